"""An accuracy of numbers that are measured is near 0, however well a model fits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.losses import loss_of
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, activation_of, output_layer

RULE = Rule("L11", "accuracy-of-measurements", cause="user-script")
_LOSSES = ("meansquarederror", "meanabsoluteerror")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find an accuracy beside the loss of a regression on fractions."""
    for probe in run.probes:
        state = run.state(probe)
        curve = probe.curves.get("accuracy") or probe.curves.get("acc")
        if state is None or not curve or len(probe.targets) != 1:
            continue
        used, last, y = loss_of(run, state), output_layer(state), run.array(probe.targets[0])
        if used.loss not in _LOSSES or last is None or y is None or y.dtype.kind != "f":
            continue
        if activation_of(last.config) == "linear" and np.any(y != np.round(y)):
            yield RULE.finding(
                "Accuracy says nothing about measured numbers",
                "It is the share of predictions that are equal to their target. "
                "A prediction hardly ever meets a measured number exactly.",
                at=(run.place(used.call, "metrics", "counts equal numbers")) or probe.line,
                evidence=(("accuracy at the end", f"{curve[-1]:.4g}"),),
                help=Help(text="Take the mean absolute error.", after='metrics = "mae"'),
            )
            return
