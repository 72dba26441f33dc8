"""Data that does not say what it seems to say: missing counts, classes from 1 on, sorted rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import Capsule
from bridge.capsule.values import ArrayValue, Scalar
from bridge.explain.result import CauseEvidence
from bridge.facts.r import NA_INTEGER
from bridge.rules.recorded_run import (
    answer,
    array,
    asked,
    at,
    is_one_dimensional,
    name_of,
    output_layer,
    parts,
)
from bridge.translate.syntax import Node


def missing(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find missing integers of R, which Python takes for the number -2147483648."""
    for probe in capsule.manifest.probes:
        for ref in (*probe.inputs, *probe.targets):
            values = array(capsule, ref)
            if values is None or values.dtype.kind not in "if" or values.dtype.itemsize < 4:
                continue
            count = int(np.count_nonzero(values == NA_INTEGER))
            if count:
                yield _lost(count, f"{ref.name} of the {probe.kind}", probe.line)
                return
    for call in asked(capsule):
        for name, value in call.kwargs.items():
            if any(
                isinstance(part, Scalar) and part.t == "int" and part.v == str(NA_INTEGER)
                for part in parts(value)
            ):
                yield _lost(1, f"the argument {name} of {name_of(call)}", call.line)
                return


def _lost(count: int, where: str, line: int | None) -> CauseEvidence:
    values = "1 value" if count == 1 else f"{count:,} values"
    return answer(
        "r-conversion",
        f"{at(line)}{values} of {where} reached Python as {NA_INTEGER}: that is how R keeps a "
        "missing integer (NA), and Python has no such thing. Decide what is to be done with "
        "missing values before they cross, or make them doubles, which become NaN.",
        line=line,
    )


def counted_from_one(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find classes that are counted from 1 where Keras counts from 0."""
    for call in asked(capsule):
        if name_of(call) != "to_categorical" or not (call.args or call.kwargs):
            continue
        given = next(iter((*call.args, *call.kwargs.values())))
        values = _elements(capsule, given)
        made = call.result
        if values is None or not isinstance(made, ArrayValue) or values.size < 2:
            continue
        low, high = int(values.min()), int(values.max())
        if low == 1 and high > 1 and made.shape[-1:] == (high + 1,):
            yield _from_one(call.line, high, "to_categorical() makes a column for class 0")
            return
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        if probe.kind not in ("fit", "evaluate") or len(probe.targets) != 1 or state is None:
            continue
        last, y = output_layer(state), array(capsule, probe.targets[0])
        compiled = state.compiled if isinstance(state.compiled, dict) else {}
        sparse = "sparse" in str(compiled.get("loss", "")).lower()
        if last is None or y is None or not sparse or not y.size or not is_one_dimensional(y):
            continue
        first, most, units = float(y.min()), float(y.max()), last.config.get("units")
        if first == 1 and most > 1 and units in (most, most + 1):
            yield _from_one(probe.line, int(most), f"the last layer has {units} units")
            return


def _from_one(line: int | None, high: int, so: str) -> CauseEvidence:
    return answer(
        "r-index-base",
        f"{at(line)}the classes are numbered from 1 to {high}, as R numbers the levels of a "
        f"factor, and Keras counts from 0: {so}, and no row belongs to class 0. Subtract 1.",
        line=line,
    )


def validated_elsewhere(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find rows to validate with whose targets do not occur among the rows to train with."""
    for probe in capsule.manifest.probes:
        share = probe.settings.get("validation_split")
        if probe.kind != "fit" or not isinstance(share, float) or not 0 < share < 1:
            continue
        y = array(capsule, probe.targets[0]) if probe.targets else None
        if y is None or len(y) < 2:
            continue
        cut = int(len(y) * (1 - share))
        if y.ndim == 2 and y.shape[1] > 1 and set(np.unique(y)) <= {0, 1}:
            y = np.argmax(y, axis=1)
        if not is_one_dimensional(y):
            continue
        flat = np.asarray(y, np.float64).reshape(len(y))
        seen, rest = flat[:cut], flat[cut:]
        if not seen.size or not rest.size:
            continue
        if rest.min() > seen.max() or rest.max() < seen.min():
            yield answer(
                "maths",
                f"{at(probe.line)}validation_split = {share:g} sets the last {len(rest):,} of "
                f"{len(flat):,} rows aside before anything is shuffled, and the rows are sorted: "
                f"their targets ({rest.min():g} to {rest.max():g}) are not among those that "
                f"are trained with ({seen.min():g} to {seen.max():g}). Shuffle the rows first.",
                line=probe.line,
            )


def _elements(capsule: Capsule, value: object) -> npt.NDArray[Any] | None:
    if not isinstance(value, ArrayValue) or value.key is None:
        return _listed(value)
    found = np.asarray(capsule.arrays[value.key])
    return found if found.dtype.kind in "iuf" else None


def _listed(value: object) -> npt.NDArray[Any] | None:
    items = getattr(value, "items", None)
    if not isinstance(items, tuple):
        return None
    numbers = [float(i.v) for i in items if isinstance(i, Scalar) and i.t in ("int", "float")]
    return np.array(numbers) if numbers and len(numbers) == len(items) else None
