"""A model's units: their sums, how they spend their input, and layers that collapse into one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.explain.responses.shapes import line
from bridge.explain.result import Collapse, UnitCensus
from bridge.facts.layers import class_name, facts_of, is_sum_of_products
from bridge.rounding.layer_records import Seen
from bridge.rounding.rules import (
    Layer,
    UnsupportedError,
    evaluate,
    evaluate_chain,
)
from bridge.rounding.rules import evaluate as evaluate_layer
from bridge.rounding.rules.activations import LAYERS, Activation, activation_of

_LINEAR: Final[tuple[JsonValue, ...]] = (None, "linear")


@dataclass(frozen=True)
class Before:
    """The sums of one layer and what its activation made of them.

    ``sums`` has units on its last axis, and everything else is a row: (rows, units). ``made`` is
    what was recorded, laid out alike; None where it was not seen by itself.
    """

    layer: str
    activation: str
    function: Activation
    sums: F64
    made: F64 | None

    def at(self, values: F64) -> F64:
        """Return the activation of ``values`` in float64."""
        with np.errstate(all="ignore"):
            return np.asarray(self.function.form(values), np.float64)


def sums_before(seen: Seen) -> Before | None:
    """Return the sums before the activation of a layer, or None where there is nothing to say.

    That is so for layers without an activation or with one over several elements (softmax), those
    whose activation stands inside a recurrence, and those without a rule.
    """
    case = seen.case
    if isinstance(case, str) or len(case.inputs) != 1:
        return None
    chain = (case.layer, *case.then)
    place = next((n for n, layer in enumerate(chain) if name_of(layer) not in ("", None)), None)
    if place is None:
        return None
    acting = chain[place]
    try:
        function = _function(acting)
        sums = _evaluated(chain[:place], acting, case.inputs)
    except UnsupportedError:
        return None
    alone = place == len(chain) - 1 and len(case.outputs) == 1
    made = case.outputs[0] if alone else None
    if made is not None and made.shape != sums.shape:
        return None
    first = acting.config.get("data_format") == "channels_first"
    return Before(
        layer=acting.name,
        activation=name_of(acting) or "",
        function=function,
        sums=_by_unit(sums, first),
        made=None if made is None else _by_unit(made, first),
    )


def name_of(layer: Layer) -> str | None:
    """Return the name of a layer's activation, "" for none, None where it cannot be told."""
    cls = class_name(layer.cls) or ""
    spec: JsonValue = layer.config.get("activation")
    if cls in LAYERS and cls != "Activation":
        return cls
    if not is_sum_of_products(layer.cls) and cls != "Activation":
        return None if spec not in _LINEAR else ""
    if spec in _LINEAR:
        return ""
    if isinstance(spec, dict):
        found = spec.get("class_name")
        return found if isinstance(found, str) else None
    return spec if isinstance(spec, str) else None


def bare(layer: Layer) -> Layer:
    """Return a layer without its activation."""
    cls = class_name(layer.cls) or ""
    if cls in LAYERS:
        return replace(layer, cls="keras.layers.Activation", config={"activation": "linear"})
    return replace(layer, config={**layer.config, "activation": "linear"})


def _function(layer: Layer) -> Activation:
    cls = class_name(layer.cls) or ""
    if cls in LAYERS:
        return LAYERS[cls](layer.config, layer.generation, layer.arithmetic())
    return activation_of(layer.config.get("activation"), layer.generation, layer.arithmetic())


def _evaluated(before: Sequence[Layer], acting: Layer, inputs: Sequence[AnyArray]) -> F64:
    if is_sum_of_products(acting.cls):
        found = evaluate_chain((*before, bare(acting)), inputs)
    elif before:
        found = evaluate_chain(before, inputs)
    else:
        found = evaluate_layer(bare(acting), inputs)
    if len(found) != 1:
        raise UnsupportedError("it has several outputs")
    return np.asarray(found[0].value, np.float64)


def _by_unit(values: AnyArray, channels_first: bool) -> F64:
    """Return values as (rows, units)."""
    found = np.asarray(values, np.float64)
    if channels_first and found.ndim > 2:
        found = np.moveaxis(found, 1, -1)
    return found.reshape(-1, found.shape[-1] if found.ndim > 1 else 1)


# How the units of a layer spend their input: negative sums, dead units, saturated units.

#: An argument at which every activation that has a limit has reached it.
_FAR: Final = 1e30
_MOST_NAMED: Final = 64


def census_of(probe: str, seen: Seen) -> UnitCensus | None:
    """Count the units of a layer that has an activation, over all recorded rows.

    The sums before the activation are computed in float64 from the inputs that were recorded, so
    that the share of negative ones says what the activation has to do here. A unit is dead if its
    recorded output never changes (with relu: if it is never positive), and saturated if each of
    its outputs is one of the limits of an activation that has two. None is returned for layers of
    which :func:`bridge.explain.responses.units.sums_before` says nothing.
    """
    before = sums_before(seen)
    if before is None or not before.sums.size or not np.all(np.isfinite(before.sums)):
        return None
    rows, units = before.sums.shape
    below = int(np.sum(before.sums < 0))
    dead = _dead(before) if rows > 1 else ()
    saturated = _saturated(before) if rows > 1 else ()
    return UnitCensus(
        probe=probe,
        layer=before.layer,
        units=units,
        rows=rows,
        negative=below / before.sums.size,
        dead=dead[:_MOST_NAMED],
        activation=before.activation,
        identity=bool(np.all(before.at(before.sums) == before.sums)),
        below=below,
        dead_units=len(dead),
        saturated_units=len(saturated),
        saturated=saturated[:_MOST_NAMED],
        bends=_bends(before, seen),
    )


def _dead(before: Before) -> tuple[int, ...]:
    if before.made is None:
        return ()
    constant = np.all(before.made == before.made[:1], axis=0)
    if before.at(np.array([-1.0]))[0] == 0:
        constant &= np.all(before.made <= 0, axis=0)
    return tuple(int(unit) for unit in np.flatnonzero(constant))


def _saturated(before: Before) -> tuple[int, ...]:
    if before.made is None:
        return ()
    limits = before.at(np.array([-_FAR, _FAR]))
    if not np.all(np.abs(limits) < math.sqrt(_FAR)):
        return ()
    at_limit = np.all((before.made == limits[0]) | (before.made == limits[1]), axis=0)
    return tuple(int(unit) for unit in np.flatnonzero(at_limit))


def _bends(before: Before, seen: Seen) -> tuple[float, ...]:
    """Return the inputs at which the sums of the units are zero, for a layer of one input.

    They are where relu and its kin bend, on the grid or off it.
    """
    case = seen.case
    if isinstance(case, str) or case.then:
        return ()
    low, below, above, high = before.at(np.array([-2.0, -1.0, 1.0, 2.0]))
    if low != 2 * below or high != 2 * above or below == -above:
        return ()
    kernel, bias = case.layer.weights.get("kernel"), case.layer.weights.get("bias")
    if kernel is None or kernel.ndim != 2 or kernel.shape[0] != 1:
        return ()
    slopes = kernel[0].astype(np.float64)
    offsets: F64 = np.zeros_like(slopes) if bias is None else bias.astype(np.float64)
    if not np.all(slopes != 0) or len(slopes) > _MOST_NAMED:
        return ()
    return tuple(float(place) + 0.0 for place in -offsets / slopes)


# Layers without an activation between them are one affine map, however many they are.

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
        activation = name_of(layer)
        if layer.training is not False or activation is None:
            return None
        if activation and layer.name not in identical:
            return None
        facts = facts_of(layer.cls)
        if facts is None or not (activation or facts.affine or facts.name == "Activation"):
            return None
        layers.append(bare(layer) if activation else layer)
        here_only = here_only or bool(activation)
    return _Link(seen, tuple(layers), here_only)


def _weighs(layer: Layer) -> bool:
    facts = facts_of(layer.cls)
    return facts is not None and facts.learns_affine


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
