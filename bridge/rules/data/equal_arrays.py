"""The targets are all one, or stand among the inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.losses import KNOWN
from bridge.rules.models import trainings, weighs_columns
from bridge.rules.outcomes import constant
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, is_one_dimensional

RULE = Rule("D03", "equal-arrays", cause="user-script", explains=("D08", "M07"))


@RULE.detector
def one_target(run: Run) -> Iterator[Finding]:
    """Find targets that are the same for every row of a training.

    A loss that the script wrote itself may not look at them.
    """
    for training in trainings(run):
        y, x = training.y, training.x
        if y is None or len(y) < 2 or not constant(y) or x is None or constant(x):
            continue
        if training.used.loss not in KNOWN:
            continue
        yield RULE.finding(
            "All targets are the same",
            f"Each of the {len(y):,} rows has the target {float(y.flat[0]):g}: there is nothing "
            "to learn from the inputs.",
            at=training.probe.line,
            help="Look at how the targets are made.",
        )
        return


@RULE.detector
def target_among_inputs(run: Run) -> Iterator[Finding]:
    """Find a column of the inputs that is the target, bit for bit."""
    for training in trainings(run):
        x, y = training.x, training.y
        if x is None or y is None or x.ndim != 2 or x.shape[1] < 2 or not is_one_dimensional(y):
            continue
        flat = np.asarray(y).reshape(len(y))
        if len(x) != len(y) or len(np.unique(flat)) < 2:
            continue
        same = [n for n in range(x.shape[1]) if np.array_equal(x[:, n], flat)]
        if same:
            yield RULE.finding(
                f"Column {same[0] + 1} of the inputs is the target itself",
                f"All {len(y):,} numbers are the same, bit for bit. A model that copies it is "
                "right here, and has nothing to copy where the target is not known.",
                at=training.probe.line,
                help="Take the target out of the inputs.",
                decides=False,
            )
            return


@RULE.detector
def never_varied(run: Run) -> Iterator[Finding]:
    """Find a column that was the same in training, and is not in a prediction.

    Pixels at the edge and rare words vary in some row of many: that decides nothing.
    """
    fits = list(trainings(run))
    for probe in run.probes:
        state = run.state(probe)
        x = run.array(probe.inputs[0]) if len(probe.inputs) == 1 else None
        if probe.kind != "predict" or state is None or x is None or x.ndim != 2:
            continue
        if not weighs_columns(state):
            continue
        for training in fits:
            seen = training.x
            if training.state.id != state.id or seen is None or seen.shape[1:] != x.shape[1:]:
                continue
            columns = np.flatnonzero(np.all(seen == seen[:1], axis=0))
            moving = [n for n in columns if np.any(x[:, n] != seen[0, n])]
            if moving and len(seen) > 1:
                yield RULE.finding(
                    f"Column {int(moving[0]) + 1} never varied in training, and does here",
                    f"All rows that were trained have {float(seen[0, moving[0]]):g} there, so that "
                    "nothing was learned of it.",
                    at=probe.line,
                    also=(training.probe.line,),
                    help="Train with rows in which it varies, or leave it out.",
                    decides=len(x) > 1 and bool(np.all(x[:, moving[0]] != seen[0, moving[0]])),
                )
                return
