"""Classes or ids are counted from 1, where Keras counts from 0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule.values import ArrayValue, Pairs, Scalar
from bridge.rules.errors import errors
from bridge.rules.losses import loss_of
from bridge.rules.models import is_one_hot, whole
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, is_one_dimensional, name_of, number, output_layer

RULE = Rule("D04", "counted-from-one", cause="r-index-base", whose="R's rules")
#: What TensorFlow says of an index that its table does not have (gather, embedding), and of a
#: class that a sparse loss does not know.
_BEYOND: Final = re.compile(
    r"indices\[[\d,]*\] = (\d+) is not in \[0, (\d+)\)"
    r"|label value of (\d+) which is outside the valid range of \[0, (\d+)\)"
)


@RULE.detector
def one_beyond(run: Run) -> Iterator[Finding]:
    """Find indices that are refused because they are just one too large."""
    for error, text in errors(run):
        found = _BEYOND.search(text)
        if found is None:
            continue
        value, size = (int(group) for group in found.groups() if group is not None)
        labels = found[3] is not None
        if value == size:
            yield RULE.finding(
                f"{'Class' if labels else 'Index'} {value} is refused: "
                f"Keras counts {size} from 0 to {size - 1}",
                "R counts from 1: levels of a factor, match(), seq_along().",
                at=error.line,
                help="Subtract 1 from the labels."
                if labels
                else "Subtract 1, or make room for one more.",
                refused=True,
            )
            return


@RULE.detector
def one_hot(run: Run) -> Iterator[Finding]:
    """Find classes from 1 on, of which to_categorical() makes a column too many.

    Where another call is given a class 0, this one was given a part of the rows.
    """
    found: Finding | None = None
    for call in run.asked:
        if name_of(call) != "to_categorical" or not (call.args or call.kwargs):
            continue
        values = _elements(run, next(iter((*call.args, *call.kwargs.values()))))
        if values is None or not isinstance(call.result, ArrayValue) or values.size < 2:
            continue
        low, high = int(values.min()), int(values.max())
        if low == 0:
            return
        if low == 1 and high > 1 and call.result.shape[-1:] == (high + 1,):
            so = "to_categorical() makes a column for class 0"
            found = found or _from_one(call.line, high, so)
    if found is not None:
        yield found


@RULE.detector
def labels(run: Run) -> Iterator[Finding]:
    """Find classes from 1 on under a sparse loss, where a unit is left over for class 0.

    Where the model is given a class 0 elsewhere, these are a part of the rows.
    """
    found: dict[int, Finding] = {}
    from_zero: set[int] = set()
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind not in ("fit", "evaluate") or len(probe.targets) != 1 or state is None:
            continue
        last, y = output_layer(state), run.array(probe.targets[0])
        compiled = state.compiled if isinstance(state.compiled, dict) else {}
        sparse = "sparse" in f"{loss_of(run, state).loss} {compiled.get('loss', '')}".lower()
        if last is None or y is None or not sparse or not y.size or not is_one_dimensional(y):
            continue
        first, most, units = float(y.min()), float(y.max()), last.config.get("units")
        if first == 0:
            from_zero.add(state.id)
        elif first == 1 and most > 1 and units in (most, most + 1):
            so = f"the last layer has {units} units"
            found.setdefault(state.id, _from_one(probe.line, int(most), so))
    yield from [entry for model, entry in found.items() if model not in from_zero][:1]


@RULE.detector
def class_weights(run: Run) -> Iterator[Finding]:
    """Find weights for classes from 1 on, where the classes of the targets begin at 0."""
    for call in run.asked:
        probe = next((probe for probe in run.probes if probe.call == call.id), None)
        given = call.kwargs.get("class_weight")
        if not isinstance(given, Pairs) or probe is None or len(probe.targets) != 1:
            continue
        y, keys = run.array(probe.targets[0]), [number(key) for key, _ in given.items]
        if y is None or not y.size:
            continue
        if is_one_hot(y) and y.ndim == 2:
            classes = list(range(y.shape[1]))
        elif is_one_dimensional(y) and whole(y):
            classes = [int(label) for label in np.unique(y)]
        else:
            continue
        if len(keys) > 1 and classes[0] == 0 and keys == [label + 1 for label in classes]:
            weights = [number(weight) for _, weight in given.items]
            pairs = zip(classes, weights, strict=True)
            mended = ", ".join(f'"{name}" = {weight:g}' for name, weight in pairs if weight)
            yield RULE.finding(
                "class_weight counts the classes from 1, and Keras from 0",
                f"The targets are {classes[0]} to {classes[-1]}. Class 0 has no weight, and "
                f"that of {classes[-1] + 1} is of no row.",
                at=run.place(call, "class_weight") or call.line,
                evidence=(
                    ("classes of the targets", ", ".join(map(str, classes))),
                    ("classes with a weight", ", ".join(f"{key:g}" for key in keys if key)),
                ),
                help=run.help(
                    "Name the weights from 0 on.",
                    run.set_argument(call, "class_weight", f"list({mended})"),
                ),
                refused=probe.status != "made",
            )
            return


def _from_one(line: int | None, high: int, so: str) -> Finding:
    return RULE.finding(
        f"The classes are numbered 1 to {high}, and Keras counts from 0",
        f"R numbers the levels of a factor from 1. Here {so}, and no row belongs to class 0.",
        at=line,
        help="Subtract 1 from the labels.",
    )


def _elements(run: Run, value: object) -> npt.NDArray[Any] | None:
    if isinstance(value, ArrayValue) and value.key is not None:
        found = np.asarray(run.capsule.arrays[value.key])
        return found if found.dtype.kind in "iuf" else None
    items = getattr(value, "items", None)
    if not isinstance(items, tuple):
        return None
    numbers = [float(i.v) for i in items if isinstance(i, Scalar) and i.t in ("int", "float")]
    return np.array(numbers) if numbers and len(numbers) == len(items) else None
