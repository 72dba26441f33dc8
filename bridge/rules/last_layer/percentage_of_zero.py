"""A loss of percentages is given targets that are 0."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.losses import EPSILON
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("L14", "percentage-of-zero", cause="maths", explains=("T03", "D01", "T02", "M02"))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find zeros among the targets of a percentage, and negative ones of a logarithm."""
    for training in trainings(run, evaluations=True):
        y, loss = training.y, training.used.loss
        if y is None or not y.size:
            continue
        curve = (("loss at the end", f"{training.curve[-1]:.4g}"),) if training.curve else ()
        zeros = int(np.sum(np.abs(y) <= EPSILON))
        if loss == "meanabsolutepercentageerror" and zeros:
            yield RULE.finding(
                "The loss is a percentage of targets that are 0",
                f"{zeros:,} of {y.size:,} are 0. Keras divides by {EPSILON:g} there, so that these "
                "rows are all that counts.",
                at=run.place(training.used.call, "loss", "a share of the target")
                or training.probe.line,
                also=(training.probe.line,),
                evidence=curve,
                help='Take "mae", or leave the rows with 0 out.',
            )
            return
        below = int(np.sum(y < 0))
        if loss == "meansquaredlogarithmicerror" and below:
            yield RULE.finding(
                "The loss takes logarithms, and some targets are below 0",
                f"{below:,} of {y.size:,} are negative. Keras takes each of them for 0.",
                at=run.place(training.used.call, "loss", "log(1 + target)") or training.probe.line,
                also=(training.probe.line,),
                evidence=curve,
                help='Take "mse", or shift the targets above 0.',
            )
            return
