"""What a stretch must make of its whole numbers, and what it would make with one thing lost.

Everything here is arithmetic on numbers that float64 holds exactly, so two results are the same or
they are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bridge._typing import AnyArray, Mask
from bridge.capsule import Capsule, ModelState, Probe
from bridge.exact.integers import InexactError
from bridge.exact.layers import Exact, exact_output
from bridge.rounding.layer_graph import Node, inputs_of, nodes_of, output_names
from bridge.rounding.rules import Layer, UnsupportedError, evaluate, layer_of


@dataclass(frozen=True)
class Numbers:
    """A stretch with its whole numbers: layers with their weights, how they are fed, and inputs."""

    layers: Mapping[str, Layer]
    nodes: Mapping[str, Node]
    inputs: Mapping[str, AnyArray]
    outputs: tuple[str, ...]

    @cached_property
    def exact(self) -> Mapping[str, Exact]:
        """What every layer makes.

        Raises:
            InexactError: something may be rounded; the message names the layer and the number.
        """
        found: dict[str, Exact] = {}
        values = dict(self.inputs)
        for name, node in self.nodes.items():
            try:
                made = exact_output(self.layers[name], [values[feed] for feed in node.feeds])
            except UnsupportedError as error:
                raise InexactError(f"layer {name!r}: {error}") from None
            found[name] = made
            values[name] = made.value
        return found

    def received(self, name: str) -> list[AnyArray]:
        """Return the exact inputs of a layer."""
        return [self.inputs[feed] if feed in self.inputs else self.exact[feed].value
                for feed in self.nodes[name].feeds]  # fmt: skip

    def likenesses(
        self, made: Sequence[AnyArray], names: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        """Yield each of the layers, and what it may have lost, whose loss alone gives ``made``."""
        for name in names:
            for what, lesser in _losses(self.layers[name]):
                outputs = self._with(name, lesser)
                if outputs is not None and all(
                    a.shape == b.shape and bool(agree(a, b).all())
                    for a, b in zip(made, outputs, strict=True)
                ):
                    yield name, what

    def _with(self, changed: str, layer: Layer) -> list[AnyArray] | None:
        """Return the outputs with another layer in the place of one."""
        values = dict(self.inputs) | {name: each.value for name, each in self.exact.items()}
        touched = {changed}
        for name, node in self.nodes.items():
            if name != changed and not touched.intersection(node.feeds):
                continue
            touched.add(name)
            given = [values[feed] for feed in node.feeds]
            use = layer if name == changed else self.layers[name]
            try:
                (made,) = evaluate(use, given, received=False)
            except (UnsupportedError, ValueError):
                return None
            values[name] = made.value
        return [values[name] for name in self.outputs]


def numbers_of(capsule: Capsule, state: ModelState, probe: Probe) -> Numbers:
    """Return the numbers of a probe, from the capsule that holds it.

    Raises:
        WiringError: how the layers hang together was not recorded.
        CapsuleError: an array was not recorded.
        InexactError: the model has other inputs than the probe.
    """
    names, arrays = inputs_of(state), [capsule.array(ref) for ref in probe.inputs]
    if len(names) != len(arrays):
        raise InexactError(f"the model has {len(names)} inputs and was given {len(arrays)}")
    nodes = nodes_of(state)
    devices = capsule.manifest.environment.devices or ("CPU",)
    layers = {
        layer.name: layer_of(capsule, state, layer, False, devices)
        for layer in state.layers
        if layer.name in nodes
    }
    return Numbers(layers, nodes, dict(zip(names, map(as_exact, arrays), strict=True)),
                   output_names(state))  # fmt: skip


def as_exact(x: AnyArray) -> AnyArray:
    """Return an input as a number that NumPy computes with: floats of any type as float32."""
    return x if x.dtype.kind in "biu" else x.astype(np.float32)


def agree(made: AnyArray, exact: AnyArray) -> Mask:
    """Return where two arrays have the same values.

    The sign of a zero is not one: which zero a sum of zeros gives is a matter of order.
    """
    return np.asarray(made.astype(np.float64) == exact.astype(np.float64))


def _losses(layer: Layer) -> Iterator[tuple[str, Layer]]:
    """Yield what a layer may lose, and the layer without it."""
    if layer.config.get("activation") not in (None, "linear"):
        config = {**layer.config, "activation": "linear"}
        yield "its activation", replace(layer, config=config)
    if "bias" in layer.weights:
        weights = {**layer.weights, "bias": np.zeros_like(layer.weights["bias"])}
        yield "its bias", replace(layer, weights=weights)
