"""Dense layers without an activation between them do no more than one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bridge.facts.layers import class_name
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of

RULE = Rule("M01", "no-non-linearity", cause="maths")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Tell of two dense layers without an activation between; who wants that has it."""
    for state in run.capsule.manifest.states:
        if not state.cls.endswith("Sequential"):
            continue
        for one, other in pairwise(state.layers):
            both = all(class_name(each.cls) == "Dense" for each in (one, other))
            if both and activation_of(one.config) == "linear":
                yield RULE.finding(
                    "Two dense layers without an activation between them are one",
                    "A linear map of a linear map is linear: the second layer adds no bend.",
                    at=run.layer_place(one, label="no activation"),
                    help='Give the inner layer an activation, such as "relu".',
                    decides=False,
                )
                return
