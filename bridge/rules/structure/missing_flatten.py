"""A dense layer works on the last axis only: the model answers for each step of a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from bridge.capsule import ModelState
from bridge.rules.class_units import unit_for_each
from bridge.rules.losses import CATEGORICAL, KNOWN
from bridge.rules.models import is_one_hot, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, r_name
from bridge.translate.script_text import Cut

RULE = Rule(
    "M10",
    "missing-flatten",
    cause="user-script",
    explains=("L01", "L02", "L03", "L06", "L08", "L09", "L10", "T02", "D08"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find an output with more axes than the targets, where Keras stretches or squeezes one."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or not end.shape or len(end.shape) < 3:
            continue
        if training.used.loss not in KNOWN:
            continue  # A loss that the script wrote itself may want the steps.
        if not _hidden(end.shape, y, training.used.loss):
            continue
        said = ", ".join("n" if size is None else str(size) for size in end.shape)
        yield RULE.finding(
            "The model answers for each step; a row has one target",
            "A dense layer works on the last axis alone and keeps the others. "
            "Keras makes the shapes fit and says nothing.",
            at=run.layer_place(end.layer, label=f"gives ({said})") or training.probe.line,
            also=(training.probe.line,),
            evidence=(("shape of the output", f"({said})"), ("of the targets", str(y.shape))),
            help=run.help(
                "Flatten before the dense layers, or let the recurrent layer return its last.",
                _flattened(run, training.state),
                *(unit_for_each(run, training) if end.width == 1 and is_one_hot(y) else ()),
            ),
        )
        return


def _flattened(run: Run, state: ModelState) -> Cut | None:
    """Return the edit that flattens before the last layer with weights."""
    weighted = [layer for layer in state.layers if layer.weights]
    call = run.maker(weighted[-1]) if weighted else None
    if call is None or call.line is None:
        return None
    return run.text.step_before(r_name(call), call.line, "layer_flatten()")


def _hidden(shape: tuple[int | None, ...], y: npt.NDArray[Any], loss: str) -> bool:
    """Say whether an output has an axis that the targets do not have."""
    rank = max(y.ndim, 2)
    if len(shape) <= rank and y.ndim > 1:
        return False
    steps = shape[1:-1]
    if shape[-1] == 1 and y.shape[1:] == steps:
        # One answer for each step and one target for each: unless they are classes of the row.
        return loss in CATEGORICAL and is_one_hot(y)
    sparse = loss.startswith("sparse")
    each_step = y.shape[1:] == steps
    return not (sparse and each_step) and y.ndim < len(shape)
