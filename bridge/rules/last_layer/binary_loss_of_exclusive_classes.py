"""A binary cross entropy asks a question of each class, a softmax answers one of all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.losses import loss_of
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, activation_of, output_layer

RULE = Rule("L15", "binary-loss-of-exclusive-classes", cause="user-script")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find one-hot targets of three classes or more, a softmax and a binary cross entropy."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None or len(probe.targets) != 1:
            continue
        used, last, y = loss_of(run, state), output_layer(state), run.array(probe.targets[0])
        if used.loss != "binarycrossentropy" or last is None or y is None or y.ndim != 2:
            continue
        one_hot = y.shape[1] > 2 and bool(np.all((y == 0) | (y == 1)))
        if one_hot and activation_of(last.config) == "softmax" and np.all(y.sum(axis=1) == 1):
            yield RULE.finding(
                f"A binary loss asks {y.shape[1]} questions of classes that exclude each other",
                "Each class has a yes or no of its own there, and a softmax shares one certainty "
                "out among all. Loss and accuracy are those of other questions.",
                at=run.place(used.call, "loss"),
                also=(run.layer_place(last, "activation"),),
                help=Help(
                    text="One class of several wants the categorical loss.",
                    before='loss = "binary_crossentropy"',
                    after='loss = "categorical_crossentropy"',
                ),
            )
            return
