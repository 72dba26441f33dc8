"""Stretches: the parts of a model that are exact as a whole, with the numbers they are given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.capsule import LayerState
from bridge.compare.exact.calls import Node
from bridge.compare.numbers import AnyArray

#: Settings that say how a layer was named, filled or trained, and not what it computes.
_APART: Final = re.compile(
    r"name|trainable|seed|batch_(input_)?shape|build_config|.*_(initializer|regularizer|constraint)"
)


@dataclass(frozen=True)
class Tensor:
    """What a layer makes: its shape, rows first, None where it is open; and its type."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Source:
    """Where an input of a layer comes from: another layer of the stretch, or fresh numbers.

    ``fresh`` numbers stand for what the layer ``name`` makes in the whole model.
    """

    name: str
    fresh: bool


@dataclass(frozen=True)
class Draw:
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
    feeds: Mapping[str, tuple[Source, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    bare: tuple[str, ...] = ()
    whole: bool = False
    draws: tuple[Draw, ...] = ()

    def start(self, name: str) -> str:
        """Return the name of the fresh input that stands for what layer ``name`` makes."""
        return f"before_{self.inputs.index(name)}"

    def nodes(self) -> dict[str, Node]:
        """Return how the layers are called; fresh inputs have the names that ``start`` gives."""
        return {
            name: Node(name, tuple(self.start(s.name) if s.fresh else s.name for s in sources))
            for name, sources in self.feeds.items()
        }


def form(stretch: Stretch, tensors: Mapping[str, Tensor], cls: str) -> str:
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
                ["fresh", stretch.inputs.index(each.name)] if each.fresh else places[each.name]
                for each in stretch.feeds[layer.name]
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
