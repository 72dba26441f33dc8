"""A loss that wants probabilities is given numbers of any size."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.losses import CATEGORICAL, PROBABILITIES
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule(
    "L04",
    "logits-for-probabilities",
    cause="user-script",
    explains=("M02", "M07", "T01", "T02", "T03", "L08", "L10", "D08"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a linear last layer under a cross entropy that was not told so."""
    for training in trainings(run, evaluations=True):
        end, used = training.end, training.used
        if end is None or end.activation != "linear":
            continue
        if used.loss not in PROBABILITIES or used.logits:
            continue
        yield RULE.finding(
            "The loss takes a linear output for probabilities",
            "from_logits is FALSE, and the last layer has no activation. "
            "What is below 0 or above 1 is cut off, and has no gradient there.",
            at=run.layer_place(end.by, label="no activation") or training.probe.line,
            also=(run.place(used.call, "loss", "takes probabilities"),),
            help=run.help(
                "Give the last layer a sigmoid or softmax, or the loss from_logits = TRUE.",
                run.set_activation(end.by, "softmax" if used.loss in CATEGORICAL else "sigmoid"),
            ),
        )
        return
