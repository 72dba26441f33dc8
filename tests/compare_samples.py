"""Small recorded runs, made by NumPy in float32, for the tests that compare runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import (
    Array,
    Capsule,
    ErrorRecord,
    LayerOutput,
    LayerState,
    Manifest,
    ModelState,
    Probe,
    WeightRecord,
)
from bridge.compare.result import LayerVerdict
from bridge.rounding.ladder import LADDER, LadderStep, LayerCase, judge_case
from bridge.rounding.rules import Layer

F32 = np.ndarray[Any, np.dtype[np.float32]]
RunnerName = Literal["r", "replay", "twin", "intent", "reference"]


@dataclass
class Dense:
    """A dense layer of a sample model."""

    kernel: F32
    bias: F32
    activation: str = "linear"
    name: str = "dense"
    extra: dict[str, Any] = field(default_factory=dict)

    def run(self, x: F32) -> F32:
        """Evaluate in float32; relu and linear only."""
        z: F32 = x @ self.kernel + self.bias
        return np.maximum(z, np.float32(0)) if self.activation == "relu" else z


class Sample:
    """A run under construction: add probes, then ``capsule()``."""

    def __init__(self, runner: RunnerName = "r", **manifest: Any) -> None:
        self._manifest: dict[str, Any] = {"runner": runner, "case": "sample", "status": "ok"}
        self._manifest |= manifest
        self._arrays: dict[str, AnyArray] = {}
        self._states: list[ModelState] = []
        self._probes: list[Probe] = []

    def array(self, name: str, values: AnyArray) -> Array:
        """Store an array and return the reference to it."""
        key = f"a{len(self._arrays)}"
        self._arrays[key] = values
        return Array(name=name, key=key, dtype=values.dtype.name, shape=values.shape)

    def predict(
        self,
        layers: Sequence[Dense],
        x: AnyArray,
        *,
        looked: bool = True,
        outputs: Sequence[F32] | None = None,
        **probe: Any,
    ) -> Sample:
        """Add a prediction of a Sequential of dense layers; ``outputs`` replaces what they make."""
        made: list[F32] = []
        fed: F32 = x.astype(np.float32)
        for layer in layers:
            fed = layer.run(fed)
            made.append(fed)
        made = list(outputs) if outputs is not None else made
        self._states.append(self._state(layers, x))
        inputs = [x.astype(np.float32), *made[:-1]]
        seen = [
            LayerOutput(
                layer=layer.name,
                inputs=(self.array("x" if number == 0 else layers[number - 1].name, given),),
                outputs=(self.array(layer.name, y),),
            )
            for number, (layer, given, y) in enumerate(zip(layers, inputs, made, strict=True))
        ]
        return self.probe(
            kind="predict",
            state=len(self._states) - 1,
            inputs=(self.array("x", x),),
            outputs=(self.array("y", made[-1]),),
            layers=tuple(seen) if looked else (),
            **probe,
        )

    def probe(self, **fields: Any) -> Sample:
        """Add a probe as it is given."""
        self._probes.append(Probe(index=len(self._probes), **fields))
        return self

    def capsule(self) -> Capsule:
        """Return the run."""
        states, probes = tuple(self._states), tuple(self._probes)
        manifest = Manifest(states=states, probes=probes, **self._manifest)
        return Capsule(manifest, dict(self._arrays))

    def _state(self, layers: Sequence[Dense], x: AnyArray) -> ModelState:
        return ModelState(
            id=1,
            cls="keras.Sequential",
            keras="tf_keras",
            name="sequential",
            layers=tuple(
                LayerState(
                    name=layer.name,
                    cls="keras.layers.Dense",
                    config={
                        "name": layer.name,
                        "dtype": "float32",
                        "units": layer.kernel.shape[1],
                        "activation": layer.activation,
                        **layer.extra,
                    },
                    weights=(
                        WeightRecord(name="kernel", array=self.array("kernel", layer.kernel)),
                        WeightRecord(name="bias", array=self.array("bias", layer.bias)),
                    ),
                )
                for layer in layers
            ),
            config={
                "layers": [
                    {
                        "class_name": "InputLayer",
                        "config": {"batch_input_shape": [None, *x.shape[1:]]},
                    }
                ]
            },
        )


def two_layers(seed: int = 0, width: int = 5) -> list[Dense]:
    """Return a relu layer and a linear one, with random weights."""
    rng = np.random.default_rng(seed)
    return [
        Dense(normal(rng, 3, width), normal(rng, width), "relu", "dense"),
        Dense(normal(rng, width, 2), normal(rng, 2), "linear", "dense_1"),
    ]


def normal(rng: np.random.Generator, *shape: int) -> F32:
    """Return standard normal float32 numbers."""
    return rng.standard_normal(shape).astype(np.float32)


def grid(rows: int = 20, columns: int = 3, seed: int = 1) -> F32:
    """Return an input of a sample model."""
    return normal(np.random.default_rng(seed), rows, columns)


def flip_bit(values: F32, place: tuple[int, ...], bit: int = 0) -> F32:
    """Return a copy in which one bit of one element is another."""
    changed = values.copy()
    changed.view(np.uint32)[place] ^= np.uint32(1 << bit)
    return changed


def error(message: str, cls: str = "ValueError", **fields: Any) -> ErrorRecord:
    """Return a Python error."""
    return ErrorRecord(**{"language": "python", "cls": cls, "message": message, **fields})


def judge_layer(
    layer: Layer,
    inputs: Sequence[AnyArray],
    outputs: Sequence[AnyArray],
    ladder: Sequence[LadderStep] = LADDER,
) -> LayerVerdict:
    """Judge a layer on the inputs that it received and the outputs that it made."""
    return judge_case(LayerCase(layer, tuple(inputs), tuple(outputs)), ladder)
