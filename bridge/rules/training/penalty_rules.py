"""A penalty on the weights outweighs what they are to learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule.values import ObjectValue
from bridge.rules.models import (
    Training,
    Weight,
    best_constant,
    data_loss,
    learned_nothing,
    trainings,
)
from bridge.rules.penalties import argument_of, of_weight, strength
from bridge.rules.retrained import judged, retrained, rows_of
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, maker_of
from bridge.translate.script_text import Cut

RULE = Rule(
    "T05",
    "penalty-rules",
    cause="maths",
    needs=("fit again",),
    explains=("D08", "M07", "M02", "T02", "T03", "T04", "M03", "P08"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find penalised kernels that all shrank, in a model that learned nothing.

    That it learned nothing is measured against the best answer that is the same for every row.
    """
    for training in trainings(run):
        penalised = [
            weight for weight in training.weights(run) if strength(weight.layer, weight.record)
        ]
        if not penalised or training.y is None or not training.curve or not training.plain:
            continue
        before, after = (
            sum(
                of_weight(strength(weight.layer, weight.record), values) for weight, values in pairs
            )
            for pairs in (
                [(weight, weight.before) for weight in penalised],
                [(weight, weight.after) for weight in penalised],
            )
        )
        chance = best_constant(training.used.loss, training.y[: training.rows])
        shrank = all(_norm(weight.after) < _norm(weight.before) for weight in penalised)
        predicted = data_loss(run, training) if training.rows == len(training.y) else None
        left = training.curve[-1] - after if predicted is None else predicted
        targets = training.y[: training.rows]
        if chance is None or not shrank or not learned_nothing(training.used.loss, targets, left):
            continue
        yield RULE.finding(
            "The penalty on the weights rules the loss",
            "Every penalised kernel shrank, and what is left of the loss is no better than one "
            "answer for all rows.",
            at=run.layer_place(penalised[0].layer, "kernel_regularizer", "the penalty")
            or training.probe.line,
            evidence=(
                ("penalty at the start", f"{before:.4g}"),
                ("penalty at the end", f"{after:.4g}"),
                ("loss of the best constant answer", f"{chance:.4g}"),
                ("loss at the end, without the penalty", f"{left:.4g}"),
            ),
            help=run.help(
                "Make the penalty much smaller, or leave it out.",
                *dict.fromkeys(_smaller(run, weight) for weight in penalised),
            ),
            confidence="likely",
        )
        return


@RULE.detector
def freed(run: Run) -> Iterator[Finding]:
    """Find penalties and constraints without which a training that gets nowhere gets there.

    Looked at is what is penalised by more than all the rest of the loss, or has each of its units
    at the end that its constraint has. The experiment decides: free of them, every start ends with
    less than half of the loss.
    """
    if next(detect(run), None) is not None:
        return
    for judgement in judged(run):
        training = judgement.training
        left = _left(run, training)
        rules = [
            weight
            for weight in training.weights(run)
            if _outweighs(weight, left) or _at_end(weight)
        ]
        if not rules or not 2 * left > judgement.chance:
            continue
        found = retrained(run, training, "penalty")
        if found is None or not found.most or not 2 * max(found.changed) < judgement.chance:
            continue
        first = rules[0]
        what = "penalty" if strength(first.layer, first.record) else "constraint"
        argument = argument_of(first.record) if what == "penalty" else _constraint_of(first)
        yield RULE.finding(
            f"The {what} on the weights keeps the model from learning",
            f"Without it every start ends with less than half of the loss, the {what} left out.",
            at=run.layer_place(first.layer, argument, f"the {what}") or training.probe.line,
            evidence=rows_of(found, "without it", judgement.chance),
            help=run.help(
                f"Make the {what} much weaker, or leave it out.",
                *(dict.fromkeys(_smaller(run, weight) for weight in rules)),
            ),
            confidence="likely",
        )
        return


def _left(run: Run, training: Training) -> float:
    """Return the loss after a training without its penalties: that of its rows, or the curve's."""
    own = data_loss(run, training) if training.plain else None
    if own is not None:
        return own
    weights = training.weights(run)
    added = sum(
        of_weight(strength(weight.layer, weight.record), weight.after) for weight in weights
    )
    return training.curve[-1] - added


def _outweighs(weight: Weight, left: float) -> bool:
    """Say whether the penalty on a weight is more than the loss of the predictions."""
    factors = strength(weight.layer, weight.record)
    return bool(factors) and of_weight(factors, weight.after) > left


def _at_end(weight: Weight) -> bool:
    """Say whether each unit's weights are as long as a constraint lets them be."""
    constraint = weight.layer.config.get(_constraint_of(weight))
    config = constraint.get("config") if isinstance(constraint, dict) else None
    most = config.get("max_value") if isinstance(config, dict) else None
    if not isinstance(most, int | float) or weight.after.ndim < 2:
        return False
    lengths = np.linalg.norm(np.asarray(weight.after, np.float64), axis=0)
    room = weight.after.shape[0] * float(np.finfo(np.float32).eps) * most
    return bool(np.all(lengths >= most - max(room, _EPSILON)))


def _constraint_of(weight: Weight) -> str:
    return f"{weight.record.name.rpartition('/')[2]}_constraint"


#: What Keras adds to a length before it divides by it.
_EPSILON: Final = 1e-7
#: A penalty that is usual, and rules no loss.
_USUAL: Final = "1e-4"


def _smaller(run: Run, weight: Weight) -> Cut | None:
    """Return the edit that makes a weight's penalty a usual one."""
    call = run.maker(weight.layer)
    given = call.kwargs.get(argument_of(weight.record)) if call is not None else None
    maker = maker_of(run.capsule, given.id) if isinstance(given, ObjectValue) else None
    if maker is None or len(strength(weight.layer, weight.record)) != 1:
        return None
    names = ("l", *strength(weight.layer, weight.record))
    edits = (run.set_number(maker, name, _USUAL) for name in names)
    return next((edit for edit in edits if edit is not None), None)


def _norm(values: npt.NDArray[Any]) -> float:
    return float(np.linalg.norm(np.asarray(values, np.float64)))
