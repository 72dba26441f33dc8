"""A penalty on the weights outweighs what they are to learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule.values import ObjectValue
from bridge.rules.models import Weight, best_constant, data_loss, learned_nothing, trainings
from bridge.rules.penalties import argument_of, of_weight, strength
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, maker_of
from bridge.translate.script_text import Cut

RULE = Rule(
    "T05", "penalty-rules", cause="maths", explains=("D08", "M07", "M02", "T02", "T03", "M03")
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find penalised kernels that all shrank, in a model that learned nothing.

    That it learned nothing is measured against the best answer that is the same for every row.
    """
    for training in trainings(run):
        penalised = [each for each in training.weights(run) if strength(each.layer, each.record)]
        if not penalised or training.y is None or not training.curve or not training.plain:
            continue
        before, after = (
            sum(of_weight(strength(each.layer, each.record), values) for each, values in pairs)
            for pairs in (
                [(each, each.before) for each in penalised],
                [(each, each.after) for each in penalised],
            )
        )
        chance = best_constant(training.used.loss, training.y[: training.rows])
        shrank = all(_norm(each.after) < _norm(each.before) for each in penalised)
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
                *dict.fromkeys(_smaller(run, each) for each in penalised),
            ),
            confidence="likely",
        )
        return


#: A penalty that is usual, and rules no loss.
_USUAL: Final = "1e-4"


def _smaller(run: Run, weight: Weight) -> Cut | None:
    """Return the edit that makes a weight's penalty a usual one."""
    call = run.maker(weight.layer)
    given = call.kwargs.get(argument_of(weight.record)) if call is not None else None
    made = maker_of(run.capsule, given.id) if isinstance(given, ObjectValue) else None
    if made is None or len(strength(weight.layer, weight.record)) != 1:
        return None
    names = ("l", *strength(weight.layer, weight.record))
    edits = (run.set_number(made, name, _USUAL) for name in names)
    return next((each for each in edits if each is not None), None)


def _norm(values: npt.NDArray[Any]) -> float:
    return float(np.linalg.norm(np.asarray(values, np.float64)))
