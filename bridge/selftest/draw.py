"""Drawing faults: which, in which layer, showing in which ways of running."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.capsule import Capsule, LayerState, Probe
from bridge.faults.catalogue import (
    EVERYWHERE,
    FAULTS,
    IN_GRAPHS,
    IN_KERNELS,
    IN_XLA,
    TRACED,
    FaultKind,
    Group,
)
from bridge.faults.layers import Fault
from bridge.faults.recording import damage
from bridge.rounding.rules import class_name

#: How many of a hundred faults are of each group.
_SHARES: Final[Mapping[Group, int]] = {
    "marshalling": 15, "arguments": 12, "weights": 13, "layers": 30, "graph": 15, "kernel": 15,
}  # fmt: skip
#: By how much a weight is moved: as an edit of the weights would, and as a rounding never does.
_MOVED: Final = (0.5, 0.1, 1e-2)
#: The ops by which TensorFlow executes layers.
_OPS: Final[Mapping[str, str]] = {
    "Dense": "MatMul", "SimpleRNN": "MatMul", "LSTM": "MatMul", "GRU": "MatMul",
    "Conv1D": "Conv2D", "Conv2D": "Conv2D", "Conv3D": "Conv3D",
}  # fmt: skip
_ACTIVATING: Final = frozenset({"ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"})
#: Of these fused ops there are kernels; with others nothing is fused in the first place.
_FUSED: Final = frozenset({"relu", "elu", "relu6", "tanh", "sigmoid"})


@dataclass(frozen=True)
class Drawn:
    """A fault that is to be put into one prediction.

    ``damaged`` is the recording that has it, for a fault of what was asked for; ``fault`` is put
    in when the model is run.
    """

    kind: FaultKind
    probe: int
    model: str
    layer: str
    truth: str
    ways: tuple[str, ...]
    fault: Fault | None = None
    damaged: Capsule | None = None


def draw(
    recorded: Capsule, probe: Probe, rng: np.random.Generator, without: Collection[str] = ()
) -> Drawn | None:
    """Draw a fault for a prediction, of a kind that was not tried; None if it can have none."""
    names = list(_SHARES)
    shares = np.array([_SHARES[name] for name in names], dtype=float)
    order = rng.choice(len(names), len(names), replace=False, p=shares / shares.sum())
    for place in order:
        group = names[int(place)]
        kinds = [k for k in FAULTS.values() if k.group == group and k.kind not in without]
        for number in rng.permutation(len(kinds)):
            drawn = _drawn(recorded, probe, kinds[int(number)], rng)
            if drawn is not None:
                return drawn
    return None


def _drawn(
    recorded: Capsule, probe: Probe, kind: FaultKind, rng: np.random.Generator
) -> Drawn | None:
    if kind.into == "recording":
        damaged = damage(recorded, kind.kind, rng, probe.index)
        if damaged is None:
            return None
        return Drawn(
            kind,
            probe.index,
            probe.label,
            damaged.layer,
            kind.cause,
            EVERYWHERE,
            None,
            damaged.capsule,
        )
    if probe.state is None:
        return None
    compiled = probe.executed is not None and probe.executed.jit_compiled
    layers = [
        layer for layer in recorded.manifest.states[probe.state].layers if _can_have(kind, layer)
    ]
    ways = list(_ways(kind, compiled))
    if not layers or not ways:
        return None
    layer = layers[int(rng.integers(len(layers)))]
    way = ways[int(rng.integers(len(ways)))]
    truth = kind.causes[way]
    if truth.endswith(":"):
        truth += _OPS[class_name(layer.cls) or ""]
    amount = _MOVED[int(rng.integers(len(_MOVED)))] if kind.kind == "weight-moved" else 0.0
    fault = Fault(kind.kind, layer.name, way, int(rng.integers(8)), amount)
    return Drawn(kind, probe.index, probe.label, layer.name, truth, way, fault)


def _ways(kind: FaultKind, compiled: bool) -> Iterator[tuple[str, ...]]:
    """Yield the ways in which a fault may show, those in which it cannot be seen here left out."""
    for ways in kind.causes:
        if compiled and ways in (EVERYWHERE, TRACED, IN_XLA):
            yield ways
        if not compiled and ways in (EVERYWHERE, TRACED, IN_GRAPHS, IN_KERNELS):
            yield ways


def _can_have(kind: FaultKind, layer: LayerState) -> bool:
    """Say whether a layer can have a fault, as far as its configuration tells."""
    name = class_name(layer.cls) or ""
    if not kind.fits(name):
        return False
    activation = layer.config.get("activation", "linear")
    shapes = [each.array.shape for each in layer.weights if len(each.array.shape) >= 2]
    if kind.kind in ("activation-lost", "activation-lost-in-unit"):
        return name in _ACTIVATING or activation != "linear"
    if kind.kind == "relu-lost-in-fused":
        return activation == "relu"
    if kind.kind in ("fused-activation-lost", "fused-order-wrong"):
        return activation in _FUSED
    if kind.kind == "gelu-approximate":
        return activation == "gelu"
    if kind.kind == "kernel-transposed":
        return any(shape[0] == shape[1] for shape in shapes)
    if kind.kind == "padding-shifted":
        return layer.config.get("padding") == "same"
    return True
