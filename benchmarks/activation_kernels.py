"""The kernels that ``benchmarks/activations.py`` measures, and the ways to reach them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bridge.compare.rules.forms import FORMS, Form

F32 = np.ndarray[Any, np.dtype[np.float32]]
Kernel = Callable[[Any], Any]
Mode = Callable[[F32], F32]

#: Elements of one call.
CHUNK: Final = 1 << 18
FOUNDING: Final = (
    "relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu",
)  # fmt: skip
#: Measured through another operation: softmax of (0, z), whose second part is sigmoid(z).
SOFTMAX: Final = "softmax_pair"


@dataclass(frozen=True)
class Subject:
    """An activation under measurement: its float64 form and its kernel in both Keras."""

    name: str
    form: Form
    keras2: Kernel | None
    keras3: Kernel | None


def modes_of(subject: Subject, scalar: bool, units: int = 16) -> dict[str, Mode]:
    """Return the ways to run the kernel, as functions of NumPy arrays of CHUNK elements.

    ``scalar`` asks for the loop over leftover elements alone, else for all the other ways.
    """
    import tensorflow as tf

    eye, zero = tf.Variable(np.eye(units, dtype=np.float32)), tf.Variable(np.zeros(units, "f4"))
    flat = [tf.TensorSpec([CHUNK], tf.float32)]
    rows = [tf.TensorSpec([CHUNK // units, units], tf.float32)]
    keras2, keras3 = subject.keras2, subject.keras3
    plain = keras2 or keras3
    assert plain is not None
    if scalar:
        return {"scalar": scalar_mode(plain)}
    found: dict[str, Mode] = {"eager": lambda x: plain(tf.constant(x)).numpy()}

    def add(name: str, function: Any) -> None:
        shape = function.input_signature[0].shape
        found[name] = lambda x: function(tf.constant(x.reshape(shape))).numpy().ravel()

    add("graph", tf.function(plain, input_signature=flat))
    add("xla", tf.function(plain, input_signature=flat, jit_compile=True))
    if keras2 is not None:
        add(
            "bias-add",
            tf.function(
                lambda x: keras2(tf.nn.bias_add(tf.matmul(x, eye), zero)), input_signature=rows
            ),
        )
    if keras3 is not None:
        add(
            "add",
            tf.function(lambda x: keras3(tf.add(tf.matmul(x, eye), zero)), input_signature=rows),
        )
    return found


def scalar_mode(kernel: Kernel) -> Mode:
    """Return the kernel run on seven elements at a time: with eight it would use vectors."""
    import tensorflow as tf

    pieces, width = 1024, 7

    @tf.function(input_signature=[tf.TensorSpec([pieces, width], tf.float32)])
    def run(x: Any) -> Any:
        return tf.stack([kernel(part) for part in tf.unstack(x)])

    def mode(x: F32) -> F32:
        padded = np.resize(x, -(-x.size // (width * pieces)) * width * pieces)
        parts = [run(tf.constant(part)).numpy() for part in padded.reshape(-1, pieces, width)]
        return np.concatenate(parts).ravel()[: x.size]

    return mode


def executed(mode: Mode) -> dict[str, int]:
    """Return the operations that a mode executed after the graph optimiser, counted.

    To be asked before the mode is used otherwise: a graph is reported when it first runs.
    """
    from tensorflow.python.eager import context

    run = context.context()
    run.enable_run_metadata()
    try:
        mode(np.ones(CHUNK, np.float32))
        metadata = run.export_run_metadata()
    finally:
        run.disable_run_metadata()
    plumbing = {"_Arg", "_Retval", "Const", "Identity", "NoOp", "ReadVariableOp", "VarHandleOp"}
    counts: dict[str, int] = {}
    for graphs in metadata.function_graphs:
        for node in graphs.post_optimization_graph.node:
            if node.op not in plumbing:
                fused = [one.decode() for one in node.attr["fused_ops"].list.s]
                name = f"{node.op}[{','.join(fused)}]" if fused else str(node.op)
                counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def subjects() -> dict[str, Subject]:
    """Return every activation that is measured, the founding ones first."""
    import keras
    import tensorflow as tf
    import tf_keras

    def kernel(module: Any, name: str) -> Kernel | None:
        try:
            found: Kernel = module.activations.get(name)
        except ValueError:
            return None
        return found

    named = {
        name: Subject(name, FORMS[name], kernel(tf_keras, name), kernel(keras, name))
        for name in (
            *(name for name in FOUNDING if name in FORMS),
            "linear", "silu", "mish", "exponential", "softsign", "relu6", "log_sigmoid",
            "hard_silu",
        )
    }  # fmt: skip

    def approximate(x: Any) -> Any:
        return tf.nn.gelu(x, approximate=True)

    def pair(x: Any) -> Any:
        line = tf.reshape(x, [-1])
        return tf.nn.softmax(tf.stack([tf.zeros_like(line), line], axis=1))[:, 1]

    slope = float(np.float32(0.2))
    leaky = Form("leaky_relu", lambda z: np.where(z > 0.0, z, slope * z))
    return named | {
        "leaky_relu": Subject(
            "leaky_relu", leaky, kernel(tf_keras, "leaky_relu"), kernel(keras, "leaky_relu")
        ),
        "gelu_tanh": Subject("gelu_tanh", FORMS["gelu_tanh"], approximate, approximate),
        "hard_sigmoid_2": Subject(
            "hard_sigmoid_2", FORMS["hard_sigmoid_2"], kernel(tf_keras, "hard_sigmoid"), None
        ),
        "hard_sigmoid_3": Subject(
            "hard_sigmoid_3", FORMS["hard_sigmoid_3"], None, kernel(keras, "hard_sigmoid")
        ),
        SOFTMAX: Subject(SOFTMAX, FORMS["sigmoid"], pair, pair),
    }
