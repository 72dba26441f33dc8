"""Units that begin alike are trained alike, and stay one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.facts.layers import facts_of
from bridge.rules.models import Weight, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, output_layer

RULE = Rule("M08", "units-never-part", cause="maths", explains=("M07", "D08", "T02", "T01"))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a hidden kernel whose columns have the same bits before and after a training."""
    for training in trainings(run):
        last = output_layer(training.state)
        for weight in training.weights(run):
            if weight.layer is last or not weight.trainable or not _alike(weight):
                continue
            units = weight.after.shape[-1]
            yield RULE.finding(
                f"{units} units of a layer begin alike, and stay alike",
                "Units with the same weights get the same gradient, so that training cannot part "
                "them: they do no more than one.",
                at=run.layer_place(weight.layer, "kernel_initializer", "the same for all units")
                or training.probe.line,
                also=(training.probe.line,),
                evidence=(("columns of the kernel, before and after", "the same bits"),),
                help="Leave the initializer out: the default draws other weights for each unit.",
            )
            return


def _alike(weight: Weight) -> bool:
    facts = facts_of(weight.layer.cls)
    # What the last axis of a weight is, is known of Keras' own layers alone.
    if (
        facts is None
        or not facts.units
        or weight.record.name != "kernel"
        or weight.before.shape[-1] < 2
    ):
        return False
    return all(bool(np.all(array == array[..., :1])) for array in (weight.before, weight.after))
