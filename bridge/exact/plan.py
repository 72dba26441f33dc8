"""Planning exact probes: which parts of a model can be probed, and with which whole numbers.

The model's graph is cut wherever exactness ends: before and after layers that round, and where
magnitudes have grown too far. What hangs together between the cuts is a stretch, a model of its
own, which starts again from fresh whole numbers. A layer that adds exactly but has an activation
that rounds is probed without it, and its stretch ends there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.capsule import LayerState, ModelState
from bridge.exact.integers import (
    Chooser,
    InexactError,
    Style,
    exact_output,
    grid,
    grows,
    may_be_bare,
    most_units,
    rounds,
    units,
    why_never,
)
from bridge.facts.keras import generation_of
from bridge.facts.layers import class_name
from bridge.rounding.layer_graph import LayerNode, WiringError, inputs_of, nodes_of, output_names
from bridge.rounding.rules import Layer, UnsupportedError
from bridge.rounding.rules.rounding import FORMATS

#: Settings that say how a layer was named, filled or trained, and not what it computes.
_APART: Final = re.compile(
    r"name|trainable|seed|batch_(input_)?shape|build_config|.*_(initializer|regularizer|constraint)"
)


@dataclass(frozen=True)
class TensorType:
    """What a layer makes: its shape, rows first, None where it is open; and its type."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class LayerInput:
    """Where an input of a layer comes from: another layer of the stretch, or fresh numbers.

    ``fresh`` numbers stand for what the layer ``name`` makes in the whole model.
    """

    name: str
    fresh: bool


@dataclass(frozen=True)
class StretchNumbers:
    """Whole numbers for a stretch: weights by layer and name, inputs in the stretch's order."""

    style: str
    weights: Mapping[str, Mapping[str, AnyArray]]
    inputs: tuple[AnyArray, ...]
    units: float = 0.0


@dataclass(frozen=True)
class Stretch:
    """A part of a model that is exact as a whole; ``bare`` layers are without their activation.

    ``whole`` says that it is the model itself.
    """

    layers: tuple[LayerState, ...]
    feeds: Mapping[str, tuple[LayerInput, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bare: tuple[str, ...] = ()
    whole: bool = False
    draws: tuple[StretchNumbers, ...] = ()

    def start(self, name: str) -> str:
        """Return the name of the fresh input that stands for what layer ``name`` makes."""
        return f"before_{self.inputs.index(name)}"

    def nodes(self) -> dict[str, LayerNode]:
        """Return how the layers are called; fresh inputs have the names that ``start`` gives."""
        return {
            name: LayerNode(name, tuple(self.start(s.name) if s.fresh else s.name for s in sources))
            for name, sources in self.feeds.items()
        }


def form(stretch: Stretch, tensors: Mapping[str, TensorType], cls: str) -> str:
    """Describe all of a stretch that a run depends on; ``cls`` is the class of its model.

    Stretches of one form are the same computation, whatever their layers are called.
    """
    places = {layer.name: place for place, layer in enumerate(stretch.layers)}
    layers = [
        (
            layer.cls,
            {key: item for key, item in layer.config.items() if not _APART.fullmatch(key)},
            [(weight.name, weight.array.shape, weight.array.dtype) for weight in layer.weights],
            [
                ["fresh", stretch.inputs.index(feed.name)] if feed.fresh else places[feed.name]
                for feed in stretch.feeds[layer.name]
            ],
        )
        for layer in stretch.layers
    ]
    fresh = [(tensors[name].shape, tensors[name].dtype) for name in stretch.inputs]
    outputs = [places[name] for name in stretch.outputs]
    kind = cls if stretch.whole else ""
    return json.dumps([layers, fresh, outputs, kind], sort_keys=True)


@dataclass(frozen=True)
class Plan:
    """The stretches of a model, and the layers that no stretch covers, each with the reason."""

    stretches: tuple[Stretch, ...]
    refused: Mapping[str, str] = field(default_factory=dict)


#: Rows of a probe: whole batches of 1 and 32, and one row left of batches of 7.
ROWS: Final = 64
#: A layer's values are held to about so many elements, with fewer rows where need be.
_ELEMENTS: Final = 2**20
_LEAST_ROWS: Final = 4
#: How long an axis is made whose length the model leaves open.
_OPEN: Final = 16

#: By style: what is tried, one after the other, until every sum is exact.
_SMALL: Final = (Style("sparse", 4, 16), Style("sparse", 2, 4), Style("sparse", 1, 2))
_DENSE: Final = (Style("dense", 4, 2**24), Style("dense", 2, 256), Style("dense", 2, 64))
#: Long inputs have so many bits fewer than the type.
_SHORTER: Final = (8, 10, 12, 14, 16)


class _FailedError(Exception):
    """A draw is not exact in ``layer``; ``final`` says that other numbers would not be either."""

    def __init__(self, layer: str, why: str, final: bool) -> None:
        super().__init__(why)
        self.layer = layer
        self.final = final


def plan(state: ModelState, tensors: Mapping[str, TensorType], seed: int = 0) -> Plan:
    """Plan the probes of a model; ``tensors`` has what each layer and input makes, by name.

    A Sequential's input has the name "".
    """
    try:
        nodes = nodes_of(state)
    except WiringError as error:
        names = [layer.name for layer in state.layers if class_name(layer.cls) != "InputLayer"]
        return Plan((), dict.fromkeys(names, str(error)))
    return _Planner(state, nodes, tensors, seed).plan()


class _Planner:
    def __init__(
        self,
        state: ModelState,
        nodes: Mapping[str, LayerNode],
        tensors: Mapping[str, TensorType],
        seed: int,
    ) -> None:
        self._state = state
        self._nodes = nodes
        self._tensors = tensors
        self._seed = seed
        self._layers = {layer.name: layer for layer in state.layers}
        self._bare: set[str] = set()
        self._cuts: set[str] = set()
        self._refused: dict[str, str] = {}

    def plan(self) -> Plan:
        for name, node in self._nodes.items():
            why = node.why or self._why_not(name)
            if why:
                self._refused[name] = why
        planned: dict[tuple[object, ...], Stretch] = {}
        again = True
        while again:
            again = False
            stretches = list(self._stretches())
            for stretch in stretches:
                key = (tuple(layer.name for layer in stretch.layers), tuple(stretch.feeds.items()))
                if key in planned:
                    continue
                try:
                    planned[key] = self._drawn(stretch)
                except _FailedError as failed:
                    self._end_before(stretch, failed)
                    again = True
                    break
        found = [
            planned[tuple(layer.name for layer in stretch.layers), tuple(stretch.feeds.items())]
            for stretch in stretches
        ]
        return Plan(tuple(found), dict(self._refused))

    def _why_not(self, name: str) -> str:
        """Say why a layer is not covered; note if it is covered without its activation."""
        layer = self._layers.get(name)
        if layer is None:
            # Keras 3 has operations in its graphs that are not among a model's layers.
            return "it is an operation and no layer"
        if layer.layers:
            return "it is a model that is used as a layer"
        why = why_never(layer.cls, layer.config)
        unknown = [feed for feed in self._nodes[name].feeds if feed not in self._tensors]
        if why or unknown:
            return why or f"what {unknown[0]!r} hands on to it has no one shape"
        found = rounds(layer.config.get("activation"))
        if found and not may_be_bare(layer.cls):
            return f"its activation {found!r} rounds"
        if found:
            self._bare.add(name)
        return ""

    def _end_before(self, stretch: Stretch, failed: _FailedError) -> None:
        """Start a new stretch at the layer that is not exact, or refuse it if it was the first."""
        name = failed.layer
        if failed.final or all(source.fresh for source in stretch.feeds[name]):
            self._refused[name] = str(failed)
        else:
            self._cuts.add(name)

    def _stretches(self) -> Iterator[Stretch]:
        """Yield what hangs together between the cuts, in the order of the model."""
        covered = [name for name in self._nodes if name not in self._refused]
        feeds = {name: tuple(self._source(name, fed) for fed in self._nodes[name].feeds)
                 for name in covered}  # fmt: skip
        group = {name: name for name in covered}
        for name in covered:
            joined = {group[name], *(group[feed.name] for feed in feeds[name] if not feed.fresh)}
            first = min(joined, key=covered.index)
            group = {member: first if of in joined else of for member, of in group.items()}
        for first in dict.fromkeys(group.values()):
            names = [name for name in covered if group[name] == first]
            yield self._stretch(names, {name: feeds[name] for name in names})

    def _source(self, name: str, fed: str) -> LayerInput:
        ended = fed in self._refused or fed in self._bare or fed not in self._nodes
        return LayerInput(fed, ended or name in self._cuts)

    def _stretch(
        self, names: Sequence[str], feeds: Mapping[str, tuple[LayerInput, ...]]
    ) -> Stretch:
        fresh = dict.fromkeys(feed.name for name in names for feed in feeds[name] if feed.fresh)
        ends = output_names(self._state)
        inner = {feed.name for name in names for feed in feeds[name] if not feed.fresh}
        outputs = [name for name in ends if name in feeds]
        outputs += [name for name in names if name not in inner and name not in outputs]
        bare = tuple(name for name in names if name in self._bare)
        ordered = [name for name in inputs_of(self._state) if name in fresh]
        inputs = tuple(dict.fromkeys([*ordered, *fresh]))
        whole = (
            not bare
            and len(names) == len(self._nodes)
            and inputs == inputs_of(self._state)
            and tuple(outputs) == ends
            and not _has_dicts(self._state.config)
        )
        layers = tuple(bared(self._layers[name]) if name in bare else self._layers[name]
                       for name in names)  # fmt: skip
        return Stretch(layers, feeds, inputs, tuple(outputs), bare, whole)

    def _drawn(self, stretch: Stretch) -> Stretch:
        """Return the stretch with its numbers.

        Raises:
            _FailedError: no small numbers make it exact.
        """
        draws = [self._first(stretch, _SMALL)]
        limit = self._limit(stretch)
        longs = [Style("long", int(limit / 2.0**less), 3, long=True)
                 for less in _SHORTER if limit / 2.0**less >= 8.0]  # fmt: skip
        for styles in (_DENSE, longs):
            try:
                draws.append(self._first(stretch, styles))
            except (_FailedError, ValueError):
                # The small numbers are exact, so the stretch stands; this style shows nothing more.
                continue
        return replace(stretch, draws=tuple(draws))

    def _first(self, stretch: Stretch, styles: Sequence[Style]) -> StretchNumbers:
        """Return the first draw that is exact."""
        failed: _FailedError | None = None
        for number, style in enumerate(styles):
            try:
                return self._draw(stretch, style, number)
            except _FailedError as error:
                failed = error
                if error.final:
                    break
        if failed is None:
            raise ValueError("no style was given")
        raise failed

    def _limit(self, stretch: Stretch) -> float:
        formats = [FORMATS.get(_layer(layer, self._state, {}).compute_dtype)
                   for layer in stretch.layers]  # fmt: skip
        return min((most_units(fmt) for fmt in formats if fmt is not None), default=2.0**24)

    def _draw(self, stretch: Stretch, style: Style, number: int) -> StretchNumbers:
        chooser = Chooser(style, (self._seed, len(stretch.layers), number, *style.name.encode()))
        rows = self._rows(stretch)
        values: dict[LayerInput, AnyArray] = {}
        for name in stretch.inputs:
            tensor = self._tensors[name]
            shape = (rows, *(_OPEN if part is None else part for part in tensor.shape[1:]))
            values[LayerInput(name, True)] = chooser.inputs(
                shape, tensor.dtype, _below(stretch, name)
            )
        inputs = tuple(values.values())
        limit, left = self._limit(stretch), _growing(stretch)
        weights: dict[str, dict[str, AnyArray]] = {}
        largest = 0.0
        for layer in stretch.layers:
            given = [values[source] for source in stretch.feeds[layer.name]]
            try:
                room = _room(given, limit, left[layer.name])
                bare = _layer(layer, self._state, {})
                weights[layer.name] = chooser.weights(layer, bare, _numbers(given), room)
                output = exact_output(_layer(layer, self._state, weights[layer.name]), given)
            except InexactError as error:
                raise _FailedError(layer.name, str(error), False) from None
            except (UnsupportedError, ValueError) as error:
                raise _FailedError(layer.name, str(error), True) from None
            values[LayerInput(layer.name, False)] = output.value
            largest = max(largest, output.units)
        return StretchNumbers(style.name, weights, inputs, largest)

    def _rows(self, stretch: Stretch) -> int:
        names = [*stretch.inputs, *(layer.name for layer in stretch.layers)]
        sizes = [
            math.prod(_OPEN if part is None else part for part in self._tensors[name].shape[1:])
            for name in names
            if name in self._tensors
        ]
        return max(_LEAST_ROWS, min(ROWS, _ELEMENTS // max(1, *sizes, 1)))


def _has_dicts(config: JsonValue) -> bool:
    """Say whether a model takes or returns a dict: then it is not called with a list."""
    keys = ("input_layers", "output_layers")
    return isinstance(config, dict) and any(isinstance(config.get(key), dict) for key in keys)


def bared(layer: LayerState) -> LayerState:
    """Return a layer without its activation."""
    config: dict[str, JsonValue] = {**layer.config, "activation": "linear"}
    return layer.model_copy(update={"config": config})


def _layer(layer: LayerState, state: ModelState, weights: Mapping[str, AnyArray]) -> Layer:
    generation = generation_of(state.keras, layer.config)
    return Layer(layer.name, layer.cls, layer.config, weights, generation)


def _numbers(given: Sequence[AnyArray]) -> list[F64]:
    return [np.asarray(x, np.float64) for x in given]


def _below(stretch: Stretch, name: str) -> int | None:
    """Return how many rows the tables have that a fresh input looks up, if it does."""
    sizes = [
        layer.config.get("input_dim")
        for layer in stretch.layers
        if class_name(layer.cls) == "Embedding"
        and LayerInput(name, True) in stretch.feeds[layer.name]
    ]
    known = [size for size in sizes if isinstance(size, int)]
    return min(known) if known else None


def _growing(stretch: Stretch) -> dict[str, int]:
    """Return how many layers in which numbers grow are left from each layer on, itself included."""
    left: dict[str, int] = {}
    for layer in reversed(stretch.layers):
        after = [
            left[follower.name]
            for follower in stretch.layers
            if follower.name in left
            and LayerInput(layer.name, False) in stretch.feeds[follower.name]
        ]
        left[layer.name] = int(grows(layer.cls)) + max(after, default=0)
    return left


def _room(given: Sequence[AnyArray], limit: float, left: int) -> float:
    """Return by how much numbers may grow in each of the layers that are left."""
    now = max((units(x, grid(x)) for x in given), default=1.0)
    # A sixteenth is kept for sums whose magnitudes add up to more than their results.
    return max(1.0, math.pow(limit / 16.0 / max(now, 1.0), 1.0 / max(left, 1)))
