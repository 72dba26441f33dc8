"""What a model does to its input: shapes of responses, units that do nothing, layers that collapse.

Where all runs agree and the result surprises, the answer is in here: a relu that never sees a
negative number, a unit that is dead, three layers that are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.capsule import Capsule, CapsuleError, Probe
from bridge.compare.alignment import label_of
from bridge.explain.responses.error_propagation import reach
from bridge.explain.responses.shapes import shape_of
from bridge.explain.responses.units import census_of, collapses_of
from bridge.explain.result import Collapse, ResponseShape, UnitCensus
from bridge.rounding.layer_records import Seen, predicted, seen_layers

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
    census = tuple(each for one in seen if (each := census_of(name, one)) is not None)
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
    made = predicted(capsule, probe, seen)
    if x is None or made is None:
        return
    for ref, by in zip(probe.outputs, made, strict=True):
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
    probes = [one.probe for one in shapes] + [one.probe for one in census]
    for probe in dict.fromkeys([*probes, *(one.probe for one in collapses)]):
        mine = [each for each in shapes if each.probe == probe]
        straight = any(each.kind in ("affine", "constant") for each in mine)
        at = f"{probe}: " if probe else ""
        for each in census:
            if each.probe == probe:
                yield from (at + said for said in _of_units(each, straight))
        for collapse in collapses:
            if collapse.probe == probe and not collapse.beyond:
                yield at + collapse.why
        if straight and any(each.probe == probe and each.here_only for each in collapses):
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
