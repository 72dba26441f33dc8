"""Inputs or targets are of another size than what a model starts from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.facts.layers import class_name
from bridge.rules.models import Training
from bridge.rules.retrained import TrainingBaseline, judged, retrained, rows_of
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of
from bridge.translate.script_text import Cut

RULE = Rule(
    "D01",
    "unscaled",
    cause="maths",
    needs=("fit again",),
    explains=("T02", "T03", "T04", "M02", "M11", "D08", "P08"),
)
#: Where to look: numbers so much larger or smaller than 1, in a training that leaves so much of
#: what a constant answer leaves. They decide nothing.
_FAR: Final = 10.0
_LEFT: Final = 0.1
#: Layers that scale by themselves, and those whose inputs are no measurements.
_OWN: Final = frozenset({"Normalization", "Rescaling", "Embedding", "Discretization", "Hashing"})
#: Losses that go with the scale of the targets.
_LOSSES: Final = frozenset({"meansquarederror", "meanabsoluteerror"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find trainings from which scaled data takes most of what is left of the loss."""
    for judgement in judged(run):
        which = _which(judgement)
        if not which or not judgement.left > _LEFT:
            continue
        found = retrained(run, judgement.training, "scale", which)
        if found is None or not found.most or not max(found.changed) < judgement.chance:
            continue
        x, y = judgement.training.x, judgement.training.y
        sizes = [("inputs", _ends(x))] if "x" in which and x is not None else []
        sizes += [("targets", _ends(y))] if "y" in which and y is not None else []
        named = " and ".join(name for name, _ in sizes)
        yield RULE.finding(
            f"The {named} are not scaled",
            "A model starts with weights and outputs of about 1, and each step is small beside "
            f"these numbers. The same training with scaled {named} gets much further.",
            at=run.probe_place(judgement.training.probe),
            evidence=(*rows_of(found, f"{named} scaled", judgement.chance), *sizes),
            help=run.help(
                f"Scale the {named} before fit(), and for predict() by the same numbers.",
                *_scaling(run, judgement.training, which),
            ),
            confidence="likely",
        )
        return


def _which(judgement: TrainingBaseline) -> str:
    """Return which of a training's data are far from 1: "x", "y", "x and y" or ""."""
    training = judgement.training
    x = training.x is not None and not _scales(training) and _is_far(training.x)
    y = training.y is not None and training.used.loss in _LOSSES and _is_far(training.y)
    return " and ".join(name for name, far in (("x", x), ("y", y)) if far)


def _scales(training: Training) -> bool:
    return any(class_name(layer.cls) in _OWN for layer in training.state.layers)


def _is_far(values: npt.NDArray[Any]) -> bool:
    exact = np.asarray(values, np.float64)
    if exact.dtype.kind not in "fiu" or not exact.size or not np.isfinite(exact).all():
        return False
    size = float(np.sqrt(np.mean(exact**2)))
    return size > _FAR or 0 < size < 1 / _FAR


def _ends(values: npt.NDArray[Any]) -> str:
    return f"{float(values.min()):g} to {float(values.max()):g}"


def _scaling(run: Run, training: Training, which: str) -> tuple[Cut | None, ...]:
    """Return the edit that scales what is given by name, before it is trained with."""
    call = call_of(run.capsule, training.probe)
    if call is None or call.line is None:
        return (None,)
    x, y = run.data_names(call)
    statements = []
    if "x" in which:
        flat = training.x is not None and training.x.ndim == 2
        statements.append(f"{x} <- scale({x})" if flat else f"{x} <- ({x} - mean({x})) / sd({x})")
    if "y" in which:
        vector = training.y is not None and training.y.ndim == 1
        statements.append(f"{y} <- as.vector(scale({y}))" if vector else f"{y} <- scale({y})")
    known = (x or "x" not in which) and (y or "y" not in which)
    return (run.text.line_before(call.line, "\n".join(statements)) if known else None,)
