"""Looking inside: what every layer of a recorded model received and made.

The model is built again from its recorded configuration and weights, in a process of its own, so
that the run that is looked at is not touched. Asking for layer outputs could change what is
executed (an activation that is asked for cannot be fused away), so the executed graph is compared
with and without the question, and the answer is kept with that comparison.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.capsule import (
    Capsule,
    ExecutedGraph,
    LayerState,
    ModelState,
    Probe,
    read_capsule,
)
from bridge.runners import child
from bridge.runners.encode import Data, Encoder
from bridge.runners.executed import executed_graphs
from bridge.runners.jobs import Context
from bridge.runners.models import wiring
from bridge.runners.spool import SpoolWriter

_BATCH: Final = 32
_FEEDING: Final = frozenset({"ReadVariableOp", "ExpandDims", "Cast", "Shape"})


class LookError(RuntimeError):
    """The model cannot be built again; the message says why."""


def run(context: Context, params: dict[str, Any]) -> None:
    """Write a ``layers`` event for every prediction of ``params["capsule"]``."""
    recorded = read_capsule(Path(params["capsule"]))
    spool = SpoolWriter(Path(params["spool"]))
    os.chdir(params["workdir"])
    child.limit(int(params.get("memory_bytes", 0)))
    encoder = Encoder(spool)
    for probe in recorded.manifest.probes:
        if probe.kind not in ("predict", "call") or probe.state is None or not probe.outputs:
            continue
        try:
            layers = list(_look(context, recorded, probe, encoder))
            spool.event("layers", probe=probe.index, layers=layers)
        except LookError as error:
            spool.event("unseen", probe=probe.index, text=str(error))
        except Exception as error:
            spool.event("unseen", probe=probe.index, text=f"{type(error).__name__}: {error}"[:500])
    spool.event("end")


def _look(context: Context, recorded: Capsule, probe: Probe, encoder: Encoder) -> Iterator[Data]:
    state = recorded.manifest.states[probe.state or 0]
    model = rebuild(context.keras, state, recorded)
    inside, seen = _inner_layers(context.keras, model)
    fed = _as_fed(_input(probe, recorded))
    with executed_graphs() as executed:
        outputs = _in_batches(inside, fed, counted=context.generation == 2 and not probe.eager)
    unchanged = _same_work(probe, executed.describe()) if probe.executed is not None else None
    made = dict(zip((layer.name for layer, _ in seen), outputs, strict=True))
    _must_agree(made[seen[-1][0].name], recorded.array(probe.outputs[0]))
    for layer, inbound in seen:
        inputs = [made[name] for name in inbound] if inbound else [fed]
        yield {
            "layer": layer.name,
            "inputs": [
                encoder.array(name, each)
                for name, each in zip(inbound or ["x"], inputs, strict=True)
            ],
            "outputs": [encoder.array(layer.name, made[layer.name])],
            "graph_unchanged": unchanged,
        }


def _in_batches(inside: Any, x: Any, counted: bool) -> list[Any]:
    """Run the model as ``predict`` does: one traced function, 32 rows at a time.

    Not through ``predict`` itself, which spends most of its time on the input pipeline. Keras 2
    counts predictions, and ties the count to the model's output (``counted``): TensorFlow fuses
    nothing into an op to which something is tied, so that the last layer is executed otherwise
    than the same layer in the middle. Looking has to tie the same knot.
    """
    import tensorflow as tf

    count = tf.Variable(0, dtype=tf.int64)

    def made_of(batch: Any) -> Any:
        made = inside(batch, training=False)
        last = made[-1] if isinstance(made, (list, tuple)) else made
        if counted:
            with tf.control_dependencies([last]):
                count.assign_add(1)
        return made

    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype)]
    traced = tf.function(made_of, input_signature=signature)
    rows = range(0, max(1, len(x)), _BATCH)
    parts = [traced(tf.constant(x[row : row + _BATCH])) for row in rows]
    parts = [part if isinstance(part, (list, tuple)) else [part] for part in parts]
    return [np.concatenate([each.numpy() for each in same]) for same in zip(*parts, strict=True)]


def rebuild(keras: Any, state: ModelState, recorded: Capsule) -> Any:
    """Build a recorded model again, with its recorded weights.

    Raises:
        LookError: it has no configuration, or one that needs code from elsewhere.
    """
    if state.config is None:
        raise LookError(f"the model cannot be built again: {state.why_no_config}")
    foreign = _foreign(state.config)
    if foreign:
        raise LookError(f"the model has a part that is not Keras' own: {foreign}")
    if state.cls.rpartition(".")[2] not in ("Sequential", "Functional", "Model"):
        raise LookError(f"the model is of a class of its own: {state.cls}")
    kind = keras.Sequential if state.cls.endswith("Sequential") else keras.Model
    model = kind.from_config(state.config)
    if not getattr(model, "inputs", None):
        raise LookError("the model was never given an input shape")
    for layer, recorded_layer in zip(model.layers, state.layers, strict=True):
        _set_weights(layer, recorded_layer, recorded)
    return model


def _set_weights(layer: Any, state: LayerState, recorded: Capsule) -> None:
    layer.set_weights([np.asarray(recorded.array(weight.array)) for weight in state.weights])


def _foreign(config: Any) -> str:
    """Name a part of a configuration that would import or run code that is not Keras' own."""
    if isinstance(config, dict):
        module = config.get("module")
        if isinstance(module, str) and module.partition(".")[0] not in (
            "keras",
            "tf_keras",
            "builtins",
        ):
            return f"{module}.{config.get('class_name', '')}"
        if config.get("registered_name") and ">" in str(config["registered_name"]):
            return str(config["registered_name"])
        if config.get("class_name") in ("Lambda", "TFOpLambda", "__lambda__", "function"):
            return str(config["class_name"])
        config = list(config.values())
    if isinstance(config, list):
        return next((found for each in config if (found := _foreign(each))), "")
    return ""


def _inner_layers(keras: Any, model: Any) -> tuple[Any, list[tuple[Any, list[str]]]]:
    """Return a model that gives every layer's output, and the layers with those that feed them."""
    layers = [
        (layer, inbound) for layer, inbound in wiring(model) if type(layer).__name__ != "InputLayer"
    ]
    if type(model).__name__ == "Sequential":
        # Not layer.output: a Sequential is wired again with every layer that is added, and in
        # Keras 3 a layer's first output belongs to a wiring of which nothing else is left.
        start = x = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
        tensors = []
        for layer, _ in layers:
            x = layer(x)
            tensors.append(x)
        before = [[], *([layer.name] for layer, _ in layers[:-1])]
        feeds = list(zip((layer for layer, _ in layers), before, strict=True))
        return keras.Model(start, tensors), feeds
    tensors = [layer.output for layer, _ in layers]
    several = [
        layer.name
        for (layer, _), tensor in zip(layers, tensors, strict=True)
        if isinstance(tensor, (list, tuple, dict))
    ]
    if several:
        raise LookError(f"layer {several[0]} has several outputs")
    feeds = [
        (layer, [name for name in inbound if not _is_input(model, name)])
        for layer, inbound in layers
    ]
    return keras.Model(model.inputs, tensors), feeds


def _is_input(model: Any, name: str) -> bool:
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    return kinds.get(name, "InputLayer") == "InputLayer"


def _input(probe: Probe, recorded: Capsule) -> Any:
    if len(probe.inputs) != 1:
        raise LookError("the model was given several inputs")
    return np.asarray(recorded.array(probe.inputs[0]))


def _as_fed(x: Any) -> Any:
    """Return the input as ``predict`` hands it on: R's doubles become float32."""
    return x.astype(np.float32) if x.dtype == np.float64 else x


def _same_work(probe: Probe, seen: Data) -> bool:
    """Say whether looking left the executed arithmetic as it was."""
    assert probe.executed is not None
    after = ExecutedGraph.model_validate(seen)
    return _arithmetic(probe.executed) == _arithmetic(after)


def _arithmetic(graph: ExecutedGraph) -> Counter[str]:
    """Count the ops that belong to layers; what feeds them in batches differs and may."""
    return Counter(op.label for op in graph.ops if "/" in op.name and op.op not in _FEEDING)


def _must_agree(seen: Any, recorded: Any) -> None:
    same = seen.shape == recorded.shape and seen.dtype == recorded.dtype
    if not same or seen.tobytes() != np.asarray(recorded).tobytes():
        raise LookError(
            "built again from its configuration and weights, the model does not give the recorded "
            "bits, so its layers were not looked at"
        )
