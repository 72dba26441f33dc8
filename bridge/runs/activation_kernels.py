"""The activation kernels that are measured, and the ways to reach them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from bridge.rounding.rules.forms import FORMS, LEAKY_SLOPE, Form
from bridge.rounding.rules.rounding import FLOAT32, Format

Array = np.ndarray[Any, np.dtype[Any]]
Kernel = Callable[[Any], Any]
Mode = Callable[[Array], Array]

#: Elements of one call: more no longer save time, for the arrays outgrow the caches.
CHUNK: Final = 1 << 19
#: The activations that were measured first; the others follow in the order of their names.
FOUNDING: Final = (
    "relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu",
)  # fmt: skip
#: Names of functions of ``keras.activations`` that take one number to one number.
_NAMES: Final = (
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu",
    "linear", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh", "tanh_shrink",
)  # fmt: skip
#: Measured through another operation: softmax of (0, z), whose second part is sigmoid(z).
SOFTMAX: Final = "softmax_pair"
#: No activation, but a part of log_softmax.
LOGARITHM: Final = "log"


@dataclass(frozen=True)
class Subject:
    """An activation under measurement: its float64 form and its kernel in both Keras."""

    name: str
    form: Form
    keras2: Kernel | None
    keras3: Kernel | None


def modes_of(
    subject: Subject,
    scalar: bool,
    units: int = 16,
    fmt: Format = FLOAT32,
    size: int = CHUNK,
    pieces: int = 128,
) -> dict[str, Mode]:
    """Return the ways to run the kernel, as functions of NumPy arrays of ``size`` elements.

    ``scalar`` asks for the loop over leftover elements alone, else for all the other ways. Of
    that, a call runs ``pieces``: more take longer to build and less time each.
    """
    import tensorflow as tf

    dtype = tf.as_dtype(fmt.name)
    eye = tf.Variable(tf.eye(units, dtype=dtype))
    zero = tf.Variable(tf.zeros([units], dtype))
    flat = [tf.TensorSpec([size], dtype)]
    rows = [tf.TensorSpec([size // units, units], dtype)]
    keras2, keras3 = subject.keras2, subject.keras3
    plain = keras2 or keras3
    assert plain is not None
    if scalar:
        return {"scalar": scalar_mode(plain, fmt, pieces)}
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


def scalar_mode(kernel: Kernel, fmt: Format, pieces: int) -> Mode:
    """Return the kernel run on seven elements at a time: with eight it would use vectors."""
    import tensorflow as tf

    width = 7

    run = tf.function(
        lambda x: tf.stack([kernel(part) for part in tf.unstack(x)]),
        input_signature=[tf.TensorSpec([pieces, width], tf.as_dtype(fmt.name))],
    )

    def mode(x: Array) -> Array:
        padded = np.resize(x, -(-x.size // (width * pieces)) * width * pieces)
        parts = [run(tf.constant(part)).numpy() for part in padded.reshape(-1, pieces, width)]
        whole: Array = np.concatenate(parts).ravel()[: x.size]
        return whole

    return mode


def short_mode(kernel: Kernel, fmt: Format) -> Mode:
    """Return the kernel run on seven elements at a time, in a loop inside one graph.

    Quicker to build than :func:`scalar_mode`, and slower to run.
    """
    import tensorflow as tf

    width = 7

    run = tf.function(
        lambda x: tf.map_fn(kernel, x),
        input_signature=[tf.TensorSpec([None, width], tf.as_dtype(fmt.name))],
    )

    def mode(x: Array) -> Array:
        padded = np.resize(x, -(-x.size // width) * width)
        return np.asarray(run(tf.constant(padded.reshape(-1, width)))).ravel()[: x.size]

    return mode


def executed(mode: Mode, fmt: Format = FLOAT32, size: int = CHUNK) -> dict[str, int]:
    """Return the operations that a mode executed after the graph optimiser, counted.

    To be asked before the mode is used otherwise: a graph is reported when it first runs.
    """
    from tensorflow.python.eager import context

    run = context.context()
    run.enable_run_metadata()
    try:
        mode(np.ones(size, fmt.dtype))
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
    """Return everything that is measured, the founding activations first."""
    import keras
    import tensorflow as tf
    import tf_keras

    def kernel(module: Any, name: str) -> Kernel | None:
        try:
            found: Kernel = module.activations.get(name)
        except ValueError:
            return None
        return found

    def layer(module: Any, name: str, **constants: Any) -> Kernel:
        """Return a layer as a kernel: one for each type that it is called with."""
        known: dict[str, Any] = {}

        def call(x: Any) -> Any:
            dtype = x.dtype.name
            if dtype not in known:
                with tf.init_scope():
                    known[dtype] = getattr(module.layers, name)(dtype=dtype, **constants)
                    known[dtype].build((None, 1))
            return known[dtype].call(x)

        return call

    def slopes(module: Any) -> Any:
        return module.initializers.Constant(LEAKY_SLOPE)

    def pair(x: Any) -> Any:
        line = tf.reshape(x, [-1])
        return tf.nn.softmax(tf.stack([tf.zeros_like(line), line], axis=1))[:, 1]

    def pinned(name: str, **constants: Any) -> Kernel:
        return partial(getattr(keras.activations, name), **constants)

    both = tuple(
        Subject(name, FORMS[name], kernel(tf_keras, name), kernel(keras, name)) for name in _NAMES
    )
    tanh_gelu = tuple(
        partial(module.activations.gelu, approximate=True) for module in (tf_keras, keras)
    )
    prelu = tuple(
        layer(module, "PReLU", alpha_initializer=slopes(module)) for module in (tf_keras, keras)
    )
    more = (
        Subject("gelu_tanh", FORMS["gelu_tanh"], *tanh_gelu),
        Subject("hard_sigmoid_2", FORMS["hard_sigmoid_2"], kernel(tf_keras, "hard_sigmoid"), None),
        Subject("hard_sigmoid_3", FORMS["hard_sigmoid_3"], None, kernel(keras, "hard_sigmoid")),
        Subject("prelu", FORMS["prelu"], *prelu),
        Subject("threshold", FORMS["threshold"], None,
                pinned("threshold", threshold=0.5, default_value=-0.25)),
        Subject("thresholded_relu", FORMS["thresholded_relu"],
                layer(tf_keras, "ThresholdedReLU", theta=1.0), None),
        Subject(SOFTMAX, FORMS["sigmoid"], pair, pair),
        Subject(LOGARITHM, Form("log", np.log), None, tf.math.log),
    )  # fmt: skip
    known = {one.name: one for one in (*both, *more)}
    order = (*FOUNDING, *sorted(set(known) - set(FOUNDING)))
    return {name: known[name] for name in order}
