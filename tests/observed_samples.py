"""A recorded script without TensorFlow: models A, B and C over a grid, as NumPy computes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import (
    Array,
    Call,
    Capsule,
    Environment,
    ExecutedGraph,
    ExecutedOp,
    LayerState,
    Manifest,
    ModelState,
    Probe,
    WeightRecord,
)
from bridge.capsule.values import Symbol

F32 = npt.NDArray[np.float32]

X: F32 = np.linspace(-5, 5, 101, dtype=np.float32)

ACTIVATIONS: Mapping[str, Callable[[F32], Any]] = {
    "relu": lambda z: np.maximum(z, 0),
    "gelu": lambda z: z * np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z]),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def curve(activation: str) -> F32:
    """Return what each model makes of the grid, of shape (n, 1)."""
    return np.asarray(ACTIVATIONS[activation](X), np.float32).reshape(-1, 1)


def recorded(labelled: bool = True, bias: float = 0.0) -> Capsule:
    """Return the run of a script that predicts with A, B and C, for each activation.

    Without labels, a probe is known by its line (10, 11 and 12) and the model's name in R.
    """
    arrays: dict[str, Any] = {
        "x": X, "one": np.ones((1, 1), np.float32), "bias": np.full(1, bias, np.float32),
    }  # fmt: skip
    states: list[ModelState] = []
    probes: list[Probe] = []
    calls: list[Call] = []
    for activation in ACTIVATIONS:
        arrays[activation] = curve(activation)
        for place, model in enumerate("ABC"):
            index = len(probes)
            states.append(_state(model, activation, index))
            calls.append(
                Call(
                    id=index,
                    kind="call",
                    target=Symbol(path="keras:Model.predict"),
                    r_call=f"predict(model_{model.lower()}, x, verbose = 0)",
                )
            )
            probes.append(
                Probe(
                    index=index,
                    label=f"{model}/{activation}" if labelled else "",
                    kind="predict",
                    state=index,
                    call=index,
                    line=10 + place,
                    inputs=(Array(name="x", key="x", dtype="float32", shape=X.shape),),
                    outputs=(Array(name="y", key=activation, dtype="float32", shape=(len(X), 1)),),
                    executed=ExecutedGraph(ops=_ops(model, activation)),
                )
            )
    manifest = Manifest(
        runner="r",
        case="sample",
        status="ok",
        environment=Environment(keras="tf_keras 2.21"),
        states=tuple(states),
        probes=tuple(probes),
        calls=tuple(calls),
    )
    return Capsule(manifest, arrays)


def labels() -> dict[int, str]:
    """Return the labels of the recorded probes."""
    return {probe.index: probe.label for probe in recorded().manifest.probes}


def with_output(capsule: Capsule, index: int, y: Any) -> Capsule:
    """Return the run with another output of one probe."""
    key = f"other{index}"
    probes = list(capsule.manifest.probes)
    (ref,) = probes[index].outputs
    array = ref.model_copy(update={"key": key})
    probes[index] = probes[index].model_copy(update={"outputs": (array,)})
    manifest = capsule.manifest.model_copy(update={"probes": tuple(probes)})
    return Capsule(manifest, {**capsule.arrays, key: np.asarray(y, np.float32).reshape(-1, 1)})


def written(folder: Path, text: str, name: str = "seen.yml") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_text(text)
    return path


def _state(model: str, activation: str, index: int) -> ModelState:
    layers = [_layer("Flatten", "flatten", {})]
    if model == "C":
        layers.append(_layer("Activation", "activation", {"activation": activation}))
    else:
        layers.append(_layer("Dense", "dense", {"units": 1, "activation": activation}))
    if model != "B":
        layers.append(_layer("Dense", "last", {"units": 1, "activation": "linear"}))
    shape: Any = {"batch_input_shape": [None, 1, 1], "name": "input"}
    parts: list[Any] = [{"class_name": "InputLayer", "config": shape}]
    parts += [
        {"class_name": layer.cls.rpartition(".")[2], "config": dict(layer.config)}
        for layer in layers
    ]
    return ModelState(
        id=index,
        cls="keras.Sequential",
        keras="tf_keras",
        name=f"sequential_{index}",
        layers=tuple(layers),
        config={"name": f"sequential_{index}", "layers": parts},
    )


def _layer(kind: str, name: str, config: dict[str, Any]) -> LayerState:
    weights: tuple[WeightRecord, ...] = ()
    if kind == "Dense":
        weights = (
            WeightRecord(
                name="kernel", array=Array(name="k", key="one", dtype="float32", shape=(1, 1))
            ),
            WeightRecord(
                name="bias", array=Array(name="b", key="bias", dtype="float32", shape=(1,))
            ),
        )
    return LayerState(
        name=name, cls=f"keras.layers.{kind}", config={"name": name, **config}, weights=weights
    )


def _ops(model: str, activation: str) -> tuple[ExecutedOp, ...]:
    if model == "A" and activation == "relu":
        return (
            ExecutedOp(op="_FusedMatMul", name="m/dense/Relu", fused=("BiasAdd", "Relu")),
            ExecutedOp(op="MatMul", name="m/last/MatMul"),
        )
    return (ExecutedOp(op="MatMul", name="m/dense/MatMul"),)
