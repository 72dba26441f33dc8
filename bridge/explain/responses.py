"""What a model does to its input: shapes of responses, units that do nothing, layers that collapse.

Where all runs agree and the result surprises, the answer is in here: a relu that never sees a
negative number, a unit that is dead, three layers that are one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.capsule import Capsule, CapsuleError, Probe
from bridge.compare.alignment import label_of
from bridge.explain.result import Collapse, ResponseShape, UnitCensus
from bridge.explain.shapes import line, shape_of
from bridge.facts.layers import class_name, facts_of, is_sum_of_products
from bridge.rounding.layer_records import Seen, predicted, seen_layers
from bridge.rounding.rules import (
    Evaluation,
    Layer,
    UnsupportedError,
    evaluate,
    evaluate_chain,
    follow,
)
from bridge.rounding.rules.activations import LAYERS, Activation, activation_of

# How far rounding may have taken what a layer made, from the model's input on.
#
# A layer's own bound holds on the input that it received, which was rounded already. Here the
# distance of that input from the exact one is carried on through the layer: through sums by the
# magnitudes of the weights, through activations by how far they can move over the interval. That is
# much longer than what rounding does, and grows with every layer, so it never decides whether
# anything is wrong. It says how closely the shape of a response can be told.
#
# An activation may be lost, and the shape of the response is then what shows it; so a layer's bound
# here is that with its activation or without it, whichever is longer.


def reach(seen: Sequence[Seen]) -> dict[str, F64 | str]:
    """Return, by the name of each layer's output, how far from exact each element may be.

    ``seen`` are the layers of one probe, in order. A layer of which it is not known has the
    sentence that says why, and so have those after it.
    """
    found: dict[str, F64 | str] = {}
    for layer in seen:
        names = [layer.last, layer.record.layer] if layer.record.through else [layer.last]
        bound = _reached(layer, found)
        for name in names:
            found[name] = bound if name not in found else f"layer {name} was called more than once"
    return found


def _reached(seen: Seen, found: Mapping[str, F64 | str]) -> F64 | str:
    case = seen.case
    if isinstance(case, str):
        return f"layer {seen.record.layer}: {case}"
    errors: list[F64] = []
    for ref, x in zip(seen.record.inputs, case.inputs, strict=True):
        error = found.get(ref.name, np.zeros(x.shape))
        if isinstance(error, str):
            return error
        if error.shape != x.shape:
            return f"layer {seen.record.layer}: its input is not what {ref.name} made"
        errors.append(error)
    if len(case.outputs) != 1:
        return f"layer {seen.record.layer} has {len(case.outputs)} outputs"
    chain = (case.layer, *case.then)
    plain = tuple(bare(layer) if name_of(layer) else layer for layer in chain)
    try:
        whole = _through(chain, case.inputs, errors)
        lost = whole if plain == chain else _through(plain, case.inputs, errors)
    except (UnsupportedError, ValueError) as error:
        return f"layer {seen.record.layer}: {error}"
    return np.asarray(np.maximum(whole, lost), np.float64)


def _through(chain: Sequence[Layer], inputs: Sequence[AnyArray], errors: Sequence[F64]) -> F64:
    """Return the bound of what a chain of layers makes, given how far its inputs are from exact."""
    local = evaluate_chain(chain, inputs)[0].bound
    if not any(error.any() for error in errors):
        return local
    first, *then = chain
    carried = _carried(first, inputs, errors)
    values: AnyArray = evaluate(first, inputs)[0].value
    for layer in then:
        carried = _carried(layer, [values], [carried])
        values = evaluate(layer, [values], received=False)[0].value
    return local + carried


def _carried(layer: Layer, inputs: Sequence[AnyArray], errors: Sequence[F64]) -> F64:
    """Bound how far an exact layer moves if its inputs move by ``errors``.

    Raises:
        UnsupportedError: that is not known of this kind of layer.
    """
    facts = facts_of(layer.cls)
    if facts is None:
        raise UnsupportedError(f"how far a {layer.cls} carries errors is not known")
    if facts.does == "activates":
        at = Evaluation(np.asarray(inputs[0], np.float64), lambda: errors[0])
        return follow((layer,), at).bound
    if facts.errors_add:
        return _value(layer, errors)
    if facts.does == "scales" and len(errors) == 1:
        still = _value(layer, [np.zeros_like(errors[0])])
        return np.asarray(np.abs(_value(layer, errors) - still))
    if facts.does != "products":
        raise UnsupportedError(f"how far a {facts.name} carries errors is not known")
    plain = bare(layer)
    moved = _value(replace(plain, weights=_magnitudes(plain.weights)), errors)
    if plain is layer or not name_of(layer):
        return moved
    sums = evaluate(plain, inputs)[0].value
    acting = replace(
        layer,
        cls="keras.layers.Activation",
        config={k: layer.config[k] for k in ("activation", "dtype") if k in layer.config},
    )
    return follow((acting,), Evaluation(np.asarray(sums, np.float64), lambda: moved)).bound


def _value(layer: Layer, inputs: Sequence[AnyArray]) -> F64:
    found = evaluate(layer, inputs, received=False)
    return np.asarray(found[0].value, np.float64)


def _magnitudes(weights: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the weights' magnitudes, and nothing added to their sums."""
    return {
        name: np.zeros_like(weight) if name == "bias" else np.abs(weight)
        for name, weight in weights.items()
    }


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
    output = case.outputs[0] if alone else None
    if output is not None and output.shape != sums.shape:
        return None
    first = acting.config.get("data_format") == "channels_first"
    return Before(
        layer=acting.name,
        activation=name_of(acting) or "",
        function=function,
        sums=_by_unit(sums, first),
        made=None if output is None else _by_unit(output, first),
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
        found = evaluate(bare(acting), inputs)
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
    which :func:`bridge.explain.responses.sums_before` says nothing.
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
    identical = {counted.layer for counted in census if counted.identity}
    found = (
        _collapse(probe, stretch, reached)
        for stretch in _stretches(seen, identical)
        if sum(_weighs(layer) for link in stretch for layer in link.layers) > 1
    )
    return tuple(collapse for collapse in found if collapse is not None)


def _stretches(seen: Sequence[Seen], identical: set[str]) -> Iterator[tuple[_Link, ...]]:
    """Yield the longest rows of affine layers, each fed by the one before it alone."""
    row: list[_Link] = []
    for layer in seen:
        link = _link(layer, identical)
        fed = [ref.name for ref in layer.record.inputs]
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
    collapse = Collapse(
        probe=probe,
        layers=tuple(layer.name for layer in layers),
        inputs=math.prod(x.shape[1:]),
        outputs=math.prod(y.shape[1:]),
        here_only=tuple(layer.name for layer in here_only),
    )
    widest = max(math.prod(link.seen.record.outputs[0].shape[1:]) for link in stretch)
    if x.ndim == 0 or (collapse.inputs + 1) * max(widest, collapse.inputs) > _MOST_COMPUTED:
        return collapse.model_copy(
            update={"why": _why(collapse, "the map is too large to compute")}
        )
    try:
        weights, offset = _map(layers, x.shape[1:])
    except (UnsupportedError, ValueError) as error:
        return collapse.model_copy(
            update={"why": _why(collapse, f"the map cannot be computed: {error}")}
        )
    mapped = np.asarray(x, np.float64).reshape(len(x), -1) @ weights + offset
    distance = np.abs(np.asarray(y, np.float64).reshape(len(y), -1) - mapped)
    bound = reached().get(last.last, "")
    measured: dict[str, object] = {"difference": float(distance.max(initial=0.0))}
    # The map's own float64 arithmetic rounds as well, by far less than float32 does.
    if not isinstance(bound, str) and bound.size == distance.size:
        measured["bound"] = float(bound.max(initial=0.0))
        measured["beyond"] = int(np.sum(distance > bound.reshape(distance.shape)))
    if weights.size + offset.size <= MOST_PRINTED:
        measured["W"] = tuple(tuple(float(number) for number in row) for row in weights)
        measured["b"] = tuple(float(number) for number in offset)
    collapse = collapse.model_copy(update=measured)
    return collapse.model_copy(update={"why": _why(collapse, "")})


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


#: So many predictions are described; all of them are compared.
_MOST_DESCRIBED: Final = 200

Described = tuple[tuple[ResponseShape, ...], tuple[UnitCensus, ...], tuple[Collapse, ...]]

#: So many columns of an output are described.
_MOST_COLUMNS = 8


def describe_run(capsule: Capsule, labels: Mapping[int, str]) -> Described:
    """Describe what the models of a run make of their inputs, prediction by prediction.

    ``labels`` names the predictions by their index.
    """
    found = [
        describe(capsule, probe, label=labels.get(probe.index, ""))
        for probe in capsule.manifest.probes[:_MOST_DESCRIBED]
    ]
    return (
        tuple(shape for shapes, _, _ in found for shape in shapes),
        tuple(layer for _, census, _ in found for layer in census),
        tuple(layers for _, _, collapses in found for layers in collapses),
    )


def describe(
    capsule: Capsule,
    probe: Probe,
    layers: Sequence[Seen] | None = None,
    label: str = "",
) -> Described:
    """Return the shapes of a probe's responses, the census of its units and what collapses.

    ``layers`` are those of the probe that were looked at (None: they are read from the capsule);
    nothing is said where there are none, or where the model was being trained. A response has a
    shape where just one number of the input varies. ``label`` names the probe in the results.
    """
    seen = tuple(layers) if layers is not None else seen_layers(capsule, probe)
    if not seen or probe.kind in ("fit", "train"):
        return (), (), ()
    name = label or label_of(probe, None)
    # Bounds cost more than values, and most probes need none here.
    reached = cache(lambda: reach(seen))
    census = tuple(counted for layer in seen if (counted := census_of(name, layer)) is not None)
    collapses = collapses_of(name, seen, census, reached)
    return tuple(_shapes(capsule, probe, seen, reached, name)), census, collapses


def _shapes(
    capsule: Capsule,
    probe: Probe,
    seen: Sequence[Seen],
    reached: Callable[[], Mapping[str, F64 | str]],
    name: str,
) -> Iterator[ResponseShape]:
    x = _varying(seen[0])
    outputs = predicted(capsule, probe, seen)
    if x is None or outputs is None:
        return
    for ref, by in zip(probe.outputs, outputs, strict=True):
        try:
            y = capsule.array(ref)
        except CapsuleError:
            continue
        if y.shape[:1] != x.shape or y.size == 0 or y.dtype.kind not in "fiu":
            continue
        columns = np.asarray(y, np.float64).reshape(len(x), -1)
        bound = reached()[seen[by.place].last]
        bounds = None if isinstance(bound, str) else bound.reshape(len(bound), -1)
        if bounds is not None and bounds.shape != columns.shape:
            bounds = None
        for column in range(min(columns.shape[1], _MOST_COLUMNS)):
            output = ref.name if columns.shape[1] == 1 else f"{ref.name}[:, {column}]"
            if bounds is None:
                yield ResponseShape(
                    probe=name,
                    output=output,
                    kind="not-known",
                    sentence="Not known: how closely it can be told is not known, for "
                    + (bound if isinstance(bound, str) else "its bound has another shape")
                    + ".",
                    points=len(x),
                )
            else:
                yield shape_of(x, columns[:, column], bounds[:, column], probe=name, output=output)


def _varying(first: Seen) -> F64 | None:
    """Return the one number of the model's input that is not the same in all rows."""
    case = first.case
    if isinstance(case, str) or len(case.inputs) != 1 or case.inputs[0].ndim == 0:
        return None
    x = np.asarray(case.inputs[0], np.float64)
    columns = x.reshape(len(x), -1)
    varying = np.flatnonzero(np.any(columns != columns[:1], axis=0)).tolist()
    return columns[:, varying[0]] if len(varying) == 1 else None


def surprise(
    shapes: Sequence[ResponseShape],
    census: Sequence[UnitCensus],
    collapses: Sequence[Collapse],
) -> tuple[str, ...]:
    """Return sentences that say how mathematics makes what may surprise, and what would change it.

    They hold where all runs agree; whether they answer what was asked is not decided here.
    """
    return tuple(dict.fromkeys(_surprises(shapes, census, collapses)))


def _surprises(
    shapes: Sequence[ResponseShape],
    census: Sequence[UnitCensus],
    collapses: Sequence[Collapse],
) -> Iterator[str]:
    probes = [shape.probe for shape in shapes] + [counted.probe for counted in census]
    for probe in dict.fromkeys([*probes, *(collapse.probe for collapse in collapses)]):
        mine = [shape for shape in shapes if shape.probe == probe]
        straight = any(shape.kind in ("affine", "constant") for shape in mine)
        at = f"{probe}: " if probe else ""
        for counted in census:
            if counted.probe == probe:
                yield from (at + said for said in _of_units(counted, straight))
        for collapse in collapses:
            if collapse.probe == probe and not collapse.beyond:
                yield at + collapse.why
        if straight and any(
            collapse.probe == probe and collapse.here_only for collapse in collapses
        ):
            yield (
                f"{at}The response is a straight line because of the input, not because the "
                "activation is missing: an input on which the sums change their sign shows it."
            )


def _of_units(census: UnitCensus, straight: bool) -> Iterator[str]:
    layer, total = census.layer, census.rows * census.units
    name = census.activation
    if census.identity:
        signs = (
            f"every pre-activation of layer {layer} is positive or zero on this grid "
            f"(0 of {total:,} are negative), so {name} is the identity here"
            if census.below == 0
            else f"{name} leaves all {total:,} sums of layer {layer} as they are on this grid"
        )
        yield signs[0].upper() + signs[1:] + _where_it_bends(census) + "."
    elif census.below == total and census.dead_units == census.units:
        yield (
            f"Every pre-activation of layer {layer} is negative on this grid ({total:,} of "
            f"{total:,}), and {name} makes the same of all of them: the layers after it are given "
            f"a constant{_where_it_bends(census)}."
        )
    elif census.dead_units:
        which = ", ".join(str(unit) for unit in census.dead[:8])
        more = ", ..." if census.dead_units > 8 else ""
        noun, are = ("unit", "is") if census.dead_units == 1 else ("units", "are")
        yield (
            f"{census.dead_units:,} of {census.units:,} units of layer {layer} {are} dead: the "
            f"output is the same for all {census.rows:,} rows ({noun} {which}{more})."
        )
    if census.saturated_units and straight:
        yield (
            f"{census.saturated_units:,} of {census.units:,} units of layer {layer} are saturated: "
            f"{name} is at one of its limits in all {census.rows:,} rows."
        )


def _where_it_bends(census: UnitCensus) -> str:
    places = sorted(set(census.bends))
    if not places:
        return ""
    shown = ", ".join(f"{place:.6g}" for place in places[:4]) + (", ..." if places[4:] else "")
    return f"; what feeds {census.layer} would have to cross {shown} for its bend to show"
