"""evaluate() gives another loss than its predictions do: it holds the penalties too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import ModelState, Probe
from bridge.rules.asked_again import predictions
from bridge.rules.losses import loss_of, of_predictions
from bridge.rules.penalties import penalty
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, same

RULE = Rule("P03", "loss-of-the-predictions", cause="maths", whose="Keras")


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
