"""The loss has no place for these labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.losses import loss_of
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("L07", "labels-outside-the-loss", cause="user-script")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find labels 1 and 2 under a binary cross entropy, which takes them for probabilities."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None or len(probe.targets) != 1:
            continue
        used, y = loss_of(run, state), run.array(probe.targets[0])
        if used.loss != "binarycrossentropy" or y is None or not y.size:
            continue
        if {float(each) for each in np.unique(y)[:3]} == {1.0, 2.0}:
            yield RULE.finding(
                "The classes are numbered 1 and 2, and the loss wants 0 and 1",
                "R numbers the levels of a factor from 1. A binary cross entropy takes labels for "
                "probabilities, and with 2 it may fall below 0 without end.",
                at=probe.line,
                help="Subtract 1 from the labels.",
                cause="r-index-base",
                whose="R's rules",
            )
            return
