"""evaluate() gives other numbers than its predictions do: penalties, and means over batches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import ModelState, Probe
from bridge.explain.experiment import Experiment, changed_and_not
from bridge.rules.asked_again import predictions
from bridge.rules.losses import loss_of, of_predictions
from bridge.rules.penalties import penalty
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, same
from bridge.trace.call_semantics import own_functions

RULE = Rule(
    "P03",
    "loss-of-the-predictions",
    cause="maths",
    whose="Keras",
    needs=("one run", "evaluate again"),
)
#: Rows of a batch where a script does not say.
_ROWS: Final = 32
#: A number as R prints it: the digits behind its point, and its exponent.
_NUMBER: Final = re.compile(r"-?\b\d+(?:\.(\d+))?(?:e([-+]\d+))?\b")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Tell of a loss that is that of the predictions and the penalties on the weights together."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "evaluate" or state is None or len(probe.inputs) != 1:
            continue
        added, p = penalty(run, state), _predicted(run, probe, state)
        y = run.array(probe.targets[0]) if len(probe.targets) == 1 else None
        said = _loss(run, probe)
        if not added or p is None or y is None or said is None:
            continue
        own = of_predictions(loss_of(run, state), y, p)
        if own is None:
            continue
        bound = (own + added) * _rounding(y)
        if abs(said - own) <= bound or abs(said - own - added) > bound:
            continue
        yield RULE.finding(
            "evaluate() adds the penalty on the weights to the loss",
            "The loss of its predictions alone is less. A regularizer is part of the loss, in "
            "training and in evaluation.",
            at=probe.line,
            evidence=(
                ("evaluate()", f"loss {said:.6g}"),
                ("computed from the predictions", f"loss {own:.6g}"),
                ("penalty on the weights", f"{added:.6g}"),
            ),
            decides=False,
        )
        return


@RULE.detector
def mean_over_batches(run: Run) -> Iterator[Finding]:
    """Find an own metric that is another number of all rows at once than as a mean over batches.

    It decides where the script prints the other number too.
    """
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "evaluate" or state is None or len(probe.targets) != 1:
            continue
        y, rows = run.array(probe.targets[0]), probe.settings.get("batch_size")
        one_batch = y is None or len(y) <= (rows if isinstance(rows, int) and rows else _ROWS)
        functions = own_functions(run.capsule, state.id, "metrics", probe.call)
        if y is None or one_batch or not functions:
            continue
        outcome = run.outcome(Experiment("evaluate again", probe.index, "own metric"))
        whole, parts = changed_and_not(outcome) if outcome is not None else (None, None)
        for name, (at_once,) in whole.curves.items() if whole is not None else ():
            assert parts is not None, "both are shown"
            means = (*parts.curves[f"{name} mean"], float(np.mean(parts.curves[name])))
            bound = _rounding(y) * max(1.0, abs(at_once))
            said = next((n for n in _said(run, probe) if _nearest(n, means) <= bound), None)
            if said is None or not abs(said - at_once) > bound:
                continue
            yield RULE.finding(
                f"evaluate() gives the mean of {len(parts.curves[name])} batches",
                "A metric that is a function is asked batch by batch, and its answers are "
                "averaged. Of all rows at once it is another number.",
                at=probe.line,
                also=(run.compile_place(state, "metrics", "asked batch by batch"),),
                evidence=(
                    (f"{name} of evaluate()", f"{said:.6g}"),
                    ("the batches one by one, their mean", f"{_near(said, means):.6g}"),
                    ("all rows at once", f"{at_once:.6g}"),
                ),
                help="Compute it from predict(), or let the metric give one number for each row.",
                decides=_is_printed(run, at_once, said, bound),
            )
            return


def _is_printed(run: Run, number: float, other: float, bound: float) -> bool:
    """Say whether a script prints a number that is the one as far as it is printed, not the other.

    The number itself is known up to a bound.

    What Python prints is not looked at: Keras shows numbers of its own there.
    """
    for output in run.capsule.manifest.output:
        for found in _NUMBER.finditer(output.text) if output.stream == "stdout" else ():
            digits = found[1] or ""
            near = bound + 0.5 * 10.0 ** (int(found[2] or 0) - len(digits))
            printed = float(found[0])
            if abs(printed - number) <= near < abs(printed - other):
                return True
    return False


def _said(run: Run, probe: Probe) -> Iterator[float]:
    """Yield the numbers that an evaluation gave."""
    for output in probe.outputs:
        values = run.array(output)
        yield from map(float, values.reshape(-1)) if values is not None else ()


def _near(value: float, others: Sequence[float]) -> float:
    return min(others, key=lambda other: abs(other - value))


def _nearest(value: float, others: Sequence[float]) -> float:
    return abs(_near(value, others) - value)


def _loss(run: Run, probe: Probe) -> float | None:
    """Return the loss that an evaluation gave: by its name, or the first of its numbers."""
    named = [output for output in probe.outputs if output.name.endswith("['loss']")]
    first = (*named, *probe.outputs)[:1]
    values = run.array(first[0]) if first else None
    return float(values.reshape(-1)[0]) if values is not None and values.size else None


def _predicted(run: Run, probe: Probe, state: ModelState) -> npt.NDArray[Any] | None:
    """Return what a model predicted for the rows of an evaluation, None if it was not asked."""
    x = run.array(probe.inputs[0])
    for earlier, now in predictions(run):
        alike = now.id == state.id and _weights(now) == _weights(state)
        asked = (
            run.array(earlier.inputs[0])
            if len(earlier.inputs) == len(earlier.outputs) == 1
            else None
        )
        if alike and same(x, asked):
            return run.array(earlier.outputs[0])
    return None


def _weights(state: ModelState) -> list[str | None]:
    return [weight.array.key for layer in state.layers for weight in layer.weights]


def _rounding(y: npt.NDArray[Any]) -> float:
    """Return how far a mean of so many float32 numbers may be off, as a part of it."""
    return float(len(y) + 32) * float(np.finfo(np.float32).eps)
