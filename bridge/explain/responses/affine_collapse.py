"""Layers without an activation between them are one affine map, however many they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.explain.responses.preactivations import SUMMING, bare, name_of
from bridge.explain.responses.shapes import line
from bridge.explain.result import Collapse, UnitCensus
from bridge.rounding.layer_records import Seen
from bridge.rounding.rules import Layer, UnsupportedError, class_name, evaluate, moving

#: Layers that are affine maps at inference, with weights of their own.
_WEIGHING: Final = frozenset({*SUMMING, "BatchNormalization"})
#: Layers that are affine maps, whatever their weights.
_AFFINE: Final = frozenset({
    "Activation", "Permute", "RepeatVector", "Rescaling", "Normalization", "ZeroPadding1D",
    "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAveragePooling3D", *moving.RULES,
})  # fmt: skip

#: Maps with more numbers than this are not printed.
MOST_PRINTED: Final = 64
#: Maps are not even computed beyond so many numbers in one layer's output.
_MOST_COMPUTED: Final = 2**22


@dataclass(frozen=True)
class _Link:
    """A layer of a stretch, as it acts on this input."""

    seen: Seen
    layers: tuple[Layer, ...]
    here_only: bool


def collapses_of(
    probe: str,
    seen: Sequence[Seen],
    census: Sequence[UnitCensus],
    reached: Callable[[], Mapping[str, F64 | str]],
) -> tuple[Collapse, ...]:
    """Return the stretches of at least two layers with weights that are one affine map together.

    ``seen`` are the layers of one probe, in order, ``census`` what is known of their units: a layer
    whose activation changes none of the recorded sums is affine here, and only here. The map is
    computed in float64 from the recorded weights, and set against what the last layer of the
    stretch was recorded to make, within ``reached()`` (:mod:`.error_propagation`).
    """
    identical = {each.layer for each in census if each.identity}
    found = (
        _collapse(probe, stretch, reached)
        for stretch in _stretches(seen, identical)
        if sum(_weighs(layer) for link in stretch for layer in link.layers) > 1
    )
    return tuple(each for each in found if each is not None)


def _stretches(seen: Sequence[Seen], identical: set[str]) -> Iterator[tuple[_Link, ...]]:
    """Yield the longest rows of affine layers, each fed by the one before it alone."""
    row: list[_Link] = []
    for each in seen:
        link = _link(each, identical)
        fed = [ref.name for ref in each.record.inputs]
        if row and (link is None or fed != [row[-1].seen.last]):
            yield tuple(row)
            row = []
        if link is not None:
            row.append(link)
    if row:
        yield tuple(row)


def _link(seen: Seen, identical: set[str]) -> _Link | None:
    case = seen.case
    if isinstance(case, str) or len(case.inputs) != 1 or len(case.outputs) != 1:
        return None
    if case.inputs[0].dtype.kind != "f" or case.outputs[0].dtype.kind != "f":
        return None
    layers: list[Layer] = []
    here_only = False
    for layer in (case.layer, *case.then):
        name = class_name(layer.cls) or ""
        activation = name_of(layer)
        if layer.training is not False or activation is None:
            return None
        if activation and layer.name not in identical:
            return None
        if not activation and name not in _WEIGHING | _AFFINE:
            return None
        layers.append(bare(layer) if activation else layer)
        here_only = here_only or bool(activation)
    return _Link(seen, tuple(layers), here_only)


def _weighs(layer: Layer) -> bool:
    return class_name(layer.cls) in _WEIGHING


def _collapse(
    probe: str, stretch: Sequence[_Link], reached: Callable[[], Mapping[str, F64 | str]]
) -> Collapse | None:
    first, last = stretch[0].seen.case, stretch[-1].seen
    if isinstance(first, str) or isinstance(last.case, str):
        return None
    layers = [layer for link in stretch for layer in link.layers]
    x, y = first.inputs[0], last.case.outputs[0]
    here_only = [layer for link in stretch if link.here_only for layer in link.layers]
    made = Collapse(
        probe=probe,
        layers=tuple(layer.name for layer in layers),
        inputs=math.prod(x.shape[1:]),
        outputs=math.prod(y.shape[1:]),
        here_only=tuple(layer.name for layer in here_only),
    )
    widest = max(math.prod(link.seen.record.outputs[0].shape[1:]) for link in stretch)
    if x.ndim == 0 or (made.inputs + 1) * max(widest, made.inputs) > _MOST_COMPUTED:
        return made.model_copy(update={"why": _why(made, "the map is too large to compute")})
    try:
        weights, offset = _map(layers, x.shape[1:])
    except (UnsupportedError, ValueError) as error:
        return made.model_copy(update={"why": _why(made, f"the map cannot be computed: {error}")})
    mapped = np.asarray(x, np.float64).reshape(len(x), -1) @ weights + offset
    distance = np.abs(np.asarray(y, np.float64).reshape(len(y), -1) - mapped)
    bound = reached().get(last.last, "")
    measured: dict[str, object] = {"difference": float(distance.max(initial=0.0))}
    # The map's own float64 arithmetic rounds as well, by far less than float32 does.
    if not isinstance(bound, str) and bound.size == distance.size:
        measured["bound"] = float(bound.max(initial=0.0))
        measured["beyond"] = int(np.sum(distance > bound.reshape(distance.shape)))
    if weights.size + offset.size <= MOST_PRINTED:
        measured["W"] = tuple(tuple(float(each) for each in row) for row in weights)
        measured["b"] = tuple(float(each) for each in offset)
    made = made.model_copy(update=measured)
    return made.model_copy(update={"why": _why(made, "")})


def _map(layers: Sequence[Layer], shape: Sequence[int]) -> tuple[F64, F64]:
    """Return W (inputs, outputs) and b (outputs), by the images of zero and of the unit vectors."""
    size = math.prod(shape)
    values: AnyArray = np.vstack((np.zeros((1, size)), np.eye(size))).reshape(size + 1, *shape)
    for layer in layers:
        values = evaluate(layer, [values], received=False)[0].value
    flat = np.asarray(values, np.float64).reshape(size + 1, -1)
    return flat[1:] - flat[:1], flat[0]


def _why(collapse: Collapse, missing: str) -> str:
    """Return the sentence that says what the stretch is, and how the recorded output fits it."""
    names = list(collapse.layers)
    weighing = f"The {len(names)} layers {', '.join(names[:-1])} and {names[-1]}"
    if collapse.here_only:
        which = ", ".join(collapse.here_only)
        reason = f"on this input, where the activation of {which} changes nothing"
    else:
        reason = "because no activation stands between them"
    said = f"{weighing} are one affine map, {reason}"
    if collapse.inputs == collapse.outputs == 1 and collapse.W:
        said += f": y = {line(collapse.W[0][0], collapse.b[0])}"
    if missing:
        return f"{said}; {missing}."
    if collapse.beyond:
        return f"{said}; but {collapse.beyond:,} recorded outputs are beyond rounding of it."
    if collapse.beyond == 0:
        return f"{said}; what was recorded is within rounding of it."
    return f"{said}; what was recorded is at most {collapse.difference:.3g} from it."
