"""Runs models in one process with one setting of TensorFlow, and hands their runs over as capsules.

    python -m benchmarks.trust.worker LEVER

reads lines of JSON from stdin, ``{"seed": 7, "generation": 2, "folder": "/tmp/..."}``, writes one
capsule per way of running to the folder and answers with a line of JSON that lists them.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.trust.corpus import Model, Step, make  # noqa: E402
from benchmarks.trust.faults import FAULTS, OF_WEIGHTS  # noqa: E402
from bridge._typing import AnyArray  # noqa: E402
from bridge.capsule import (  # noqa: E402
    Array,
    Capsule,
    Environment,
    LayerOutput,
    Manifest,
    ModelState,
    Probe,
    write_capsule,
)
from bridge.process.environment import describe_environment  # noqa: E402
from bridge.rounding.measurements import installation_of  # noqa: E402
from bridge.rounding.rules.activation_models import measured_kernels  # noqa: E402
from bridge.runs.activation_measurement import kernels_here  # noqa: E402

Outputs = dict[str, AnyArray]

#: Settings: environment, optimiser options, threads, and the ways in which each is asked.
LEVERS: Final[dict[str, dict[str, Any]]] = {
    "plain": {"ways": ("eager", "graph", "xla", "batch-1", "batch-5"), "faults": True},
    "remapping-off": {"options": {"remapping": False}, "ways": ("graph",)},
    "onednn-off": {"env": {"TF_ENABLE_ONEDNN_OPTS": "0"}, "ways": ("eager", "graph")},
    "one-thread": {"threads": 1, "ways": ("graph",)},
    "two-threads": {"threads": 2, "ways": ("graph",)},
}


class Store:
    """Takes arrays as an encoder of the runners does, and keeps them in memory."""

    def __init__(self) -> None:
        self.arrays: dict[str, AnyArray] = {}

    def number(self, _item: object) -> int:
        """Return a number for an object; there is only one."""
        return 1

    def array(self, name: str, item: Any) -> dict[str, Any]:
        """Keep an array and describe it."""
        values = np.asarray(item)
        key = f"a{len(self.arrays)}"
        self.arrays[key] = values
        return {"name": name, "key": key, "dtype": values.dtype.name, "shape": list(values.shape)}


class Run:
    """The recorded state of a model, out of which the capsule of each of its runs is made."""

    def __init__(self, model: Model) -> None:
        from bridge.runs.activation_measurement import measure_here
        from bridge.trace.model_description import describe_model

        self.model = model
        self.store = Store()
        self.state = ModelState.model_validate(describe_model(model.keras, self.store))
        wanted = measured_kernels([self.state])
        self.environment = Environment.model_validate(describe_environment(), strict=False)
        here = installation_of(self.environment)
        self.kernels = kernels_here(wanted, measure_here, here).measured
        self.inputs = {
            name: Array.model_validate(self.store.array(name, x))
            for name, x in model.inputs.items()
        }

    def capsule(
        self, way: str, outputs: Outputs, weights: tuple[str, list[AnyArray]] | None = None
    ) -> Capsule:
        """Return the capsule of a run; ``weights`` replaces those recorded of one layer."""
        arrays = dict(self.store.arrays)
        refs = dict(self.inputs)
        for number, (name, y) in enumerate(outputs.items()):
            refs[name] = Array(name=name, key=f"o{number}", dtype=y.dtype.name, shape=y.shape)
            arrays[f"o{number}"] = y
        if weights is not None:
            layer = next(each for each in self.state.layers if each.name == weights[0])
            for record, value in zip(layer.weights, weights[1], strict=True):
                arrays[str(record.array.key)] = value
        layers = tuple(
            LayerOutput(
                layer=step.layer.name,
                inputs=tuple(refs[name] for name in step.inbound),
                outputs=(refs[step.layer.name],),
            )
            for step in self.model.steps
        )
        probe = Probe(
            index=0,
            kind="predict",
            state=0,
            inputs=tuple(self.inputs.values()),
            outputs=(refs[self.model.output],),
            layers=layers,
        )
        manifest = Manifest(
            runner="twin", lever=way, case=f"seed {self.model.seed}", status="ok",
            states=(self.state,), probes=(probe,), environment=self.environment,
            kernels=self.kernels,
        )  # fmt: skip
        return Capsule(manifest, arrays)


def call(layer: Any, given: Any) -> Any:
    """Call a layer as ``predict`` does."""
    x = given[0] if len(given) == 1 else list(given)
    try:
        return layer(x, training=False)
    except TypeError:
        return layer(x)


def step_by_step(steps: list[Step], inputs: dict[str, Any]) -> dict[str, Any]:
    """Run a model layer by layer."""
    made = dict(inputs)
    for step in steps:
        made[step.layer.name] = call(step.layer, [made[name] for name in step.inbound])
    return {step.layer.name: made[step.layer.name] for step in steps}


def numpied(outputs: dict[str, Any]) -> Outputs:
    """Return the outputs as arrays."""
    return {name: np.asarray(y) for name, y in outputs.items()}


def run_ways(model: Model, ways: tuple[str, ...]) -> Iterator[tuple[str, Outputs]]:
    """Run a model in each way that was asked for."""
    import tensorflow as tf

    def whole(inputs: dict[str, Any]) -> dict[str, Any]:
        return step_by_step(model.steps, inputs)

    signature = {
        name: tf.TensorSpec((None, *x.shape[1:]), x.dtype) for name, x in model.inputs.items()
    }
    graph = tf.function(whole, input_signature=[signature])
    for way in ways:
        if way == "eager":
            yield way, numpied(whole(model.inputs))
        elif way == "graph":
            yield way, numpied(graph(_tensors(model.inputs)))
        elif way == "xla":
            if model.seed % 3 == 0 or len(model.steps) < 8:  # compiling takes its time
                compiled = tf.function(whole, jit_compile=True)
                yield way, numpied(compiled(_tensors(model.inputs)))
        else:
            size = int(way.partition("-")[2])
            rows = len(next(iter(model.inputs.values())))
            parts = [
                numpied(graph(_tensors({n: x[k : k + size] for n, x in model.inputs.items()})))
                for k in range(0, rows, size)
            ]
            yield way, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _tensors(inputs: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.constant(x) for name, x in inputs.items()}


def run_orders(model: Model) -> Iterator[tuple[str, Outputs]]:
    """Run a model of dense layers that do not round after the sum in NumPy, in every order."""
    from tests.rounding.test_bounds import ORDERS

    for order in ORDERS:
        made: dict[str, Any] = dict(model.inputs)
        for step in model.steps:
            kernel, bias = step.layer.get_weights()
            with np.errstate(all="ignore"):
                z = order(made[step.inbound[0]], kernel, bias)
            relu = step.layer.activation.__name__ == "relu"
            made[step.layer.name] = np.maximum(z, np.float32(0)) if relu else z
        yield f"numpy {order.__name__}", {s.layer.name: made[s.layer.name] for s in model.steps}


def run_faults(model: Model, right: Outputs) -> Iterator[tuple[str, str, Outputs, Any]]:
    """Run a model with one fault at a time: name, layer, outputs, the weights it ran with."""
    made: dict[str, Any] = {**model.inputs, **right}
    for name, fault in FAULTS.items():
        rng = np.random.default_rng([model.seed, model.generation, zlib.crc32(name.encode())])
        for place in rng.permutation(len(model.steps)).tolist():
            step = model.steps[place]
            given = [made[each] for each in step.inbound]
            seen: list[Any] = []

            def watched(layer: Any, inputs: Any, seen: list[Any] = seen) -> Any:
                seen.append(layer.get_weights())
                return call(layer, inputs)

            y = fault(step.layer, watched, given, rng)
            if y is None or np.asarray(y).shape != right[step.layer.name].shape:
                continue
            outputs = dict(right) | {step.layer.name: np.asarray(y)}
            after = dict(made) | {step.layer.name: y}
            for later in model.steps[place + 1 :]:
                after[later.layer.name] = call(later.layer, [after[n] for n in later.inbound])
                outputs[later.layer.name] = np.asarray(after[later.layer.name])
            yield name, step.layer.name, outputs, seen[-1] if seen else None
            break


def answer(request: dict[str, Any], lever: str) -> dict[str, Any]:
    """Do what one line asks for."""
    keras = _keras(request["generation"])
    model = make(keras, request["generation"], request["seed"])
    run = Run(model)
    folder = Path(request["folder"])
    written: list[dict[str, str]] = []

    def keep(capsule: Capsule, **about: str) -> None:
        path = folder / f"{lever}-{len(written)}.capsule"
        write_capsule(capsule, path)
        written.append({"path": str(path), **about})

    ways, eager = LEVERS[lever]["ways"], None
    for way, outputs in run_ways(model, ways):
        eager = outputs if way == "eager" else eager
        name = way if lever == "plain" else f"{way}, {lever}"
        keep(run.capsule(name, outputs), kind="benign", name=name)
    if lever == "plain" and model.family == "plain":
        for name, outputs in run_orders(model):
            keep(run.capsule(name, outputs), kind="benign", name=name)
    if LEVERS[lever].get("faults") and eager is not None:
        for name, layer, outputs, weights in run_faults(model, eager):
            about = {"kind": "fault", "name": name, "layer": layer}
            keep(run.capsule(name, outputs), **about, recorded="")
            if name in OF_WEIGHTS:
                keep(run.capsule(name, outputs, (layer, weights)), **about, recorded="yes")
    return {"seed": model.seed, "family": model.family, "layers": len(model.steps),
            "written": written}  # fmt: skip


def _keras(generation: int) -> Any:
    if generation == 2:
        import tf_keras

        return tf_keras
    import keras

    return keras


def prepare(lever: str) -> None:
    """Set TensorFlow up before anything runs."""
    setting = LEVERS[lever]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ.update(setting.get("env", {}))
    import tensorflow as tf

    if "options" in setting:
        tf.config.optimizer.set_experimental_options(setting["options"])
    if "threads" in setting:
        tf.config.threading.set_intra_op_parallelism_threads(setting["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(setting["threads"])


def serve(lever: str, respond: Callable[[dict[str, Any]], None]) -> None:
    """Answer every line of stdin."""
    prepare(lever)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            respond(answer(request, lever))
        except Exception as error:
            respond({"seed": request["seed"], "error": f"{type(error).__name__}: {error}"[:300]})


if __name__ == "__main__":
    # Whatever else prints must not be taken for an answer.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(found: dict[str, Any]) -> None:
        """Answer with a line."""
        out.write(json.dumps(found) + "\n")
        out.flush()

    serve(sys.argv[1], say)
