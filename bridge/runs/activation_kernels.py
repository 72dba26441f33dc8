"""The activation kernels that are measured, and what is kept of a measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.activation_forms import FORMS, LEAKY_SLOPE, Form
from bridge.rounding.rules.activation_models import (
    BINADES,
    FIRST_BINADE,
    errors_by_row,
    sampled_by_row,
)
from bridge.rounding.rules.rounding import FLOAT32, Format

Bits = np.ndarray[Any, np.dtype[Any]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_BINADE: Final = np.arange(BINADES) + FIRST_BINADE


@dataclass(frozen=True)
class Summary:
    """The largest error of each run of inputs whose true values lie in one row of the table."""

    rows: I64
    errors: F64
    bits: Bits


class Table:
    """The largest error, by sign and binade of the true value, and the input that reached it."""

    def __init__(self) -> None:
        self.error = np.zeros(2 * BINADES)
        self.at = np.zeros(2 * BINADES, np.uint32)
        self.seen = np.zeros(2 * BINADES, np.bool_)

    def take(self, summary: Summary) -> None:
        """Take in a part of the measurement."""
        self.seen[summary.rows] = True
        for number in np.flatnonzero(summary.errors > self.error[summary.rows]):
            row = summary.rows[number]
            if summary.errors[number] > self.error[row]:
                self.error[row] = summary.errors[number]
                self.at[row] = summary.bits[number]


def summarize(bits: Bits, true: F64, rows: I64, y: Any, fmt: Format) -> Summary:
    """Compare the results ``y`` for the inputs ``bits`` with their true values."""
    result = y.astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(result - true)
    unlike = ~np.isfinite(error)
    if unlike.any():
        # A true value that rounds to infinity may be infinity, and none at all NaN; anything else
        # is an error.
        overflow = np.abs(true) >= fmt.overflow
        right = overflow & np.isinf(result) & (np.signbit(result) == (true < 0))
        right |= np.isnan(true) & np.isnan(result)
        error[unlike] = np.where(right[unlike], 0.0, np.inf)
    starts = np.concatenate(([0], np.flatnonzero(rows[1:] != rows[:-1]) + 1))
    stops = np.append(starts[1:], rows.size)
    worst = [
        start + int(error[start:stop].argmax()) for start, stop in zip(starts, stops, strict=True)
    ]
    return Summary(rows[starts], error[worst], bits[worst])


def row_of(true: F64) -> I64:
    """Return the row of the table for each value: binade, plus BINADES if it is negative.

    The first row holds everything below 2^-126, zero among it, and the last all that overflows.
    """
    raw = true.view(np.int64)
    binade = np.clip(((raw >> 52) & 0x7FF) - 1023 - FIRST_BINADE, 0, BINADES - 1)
    rows: I64 = binade + BINADES * (raw < 0)
    return rows


def group(
    tables: dict[str, Table],
    specials: dict[str, dict[str, str]],
    ops: dict[str, dict[str, int]],
    fmt: Format,
) -> list[dict[str, Any]]:
    """Describe the tables; modes with the same table and special values share one entry."""
    groups: list[dict[str, Any]] = []
    for mode, table in tables.items():
        new = describe(table, fmt) | {"special": specials[mode]}
        for old in groups:
            if all(old[part] == value for part, value in new.items()):
                old["modes"][mode] = ops[mode]
                break
        else:
            groups.append({"modes": {mode: ops[mode]}, **new})
    return groups


def describe(table: Table, fmt: Format) -> dict[str, Any]:
    """Return a table as data: errors in units in the last place of each binade, rounded up.

    ``a_ulp`` and ``b_abs`` sum it up for people, as error <= a_ulp * ulp(f) + b_abs: the first is
    the largest error where |f| >= 1/2, the second what then remains below.
    """
    unit = _unit(fmt)
    error, at = table.error.reshape(2, BINADES), table.at.reshape(2, BINADES)
    seen = table.seen.reshape(2, BINADES)
    ulps = ulps_of(table, fmt)
    finite = np.isfinite(error)
    normal = np.where(finite & (fmt.lowest <= _BINADE), ulps, 0.0)
    large = np.where(finite & (_BINADE >= -1), ulps, 0.0)
    most, widest = int(normal.argmax()), int(np.where(finite, error, 0.0).argmax())
    a_ulp = float(large.max())
    b_abs = float(np.where(finite & (_BINADE < -1), error - a_ulp * unit, 0.0).max())

    def named(bits: Any) -> str:
        return f"0x{int(bits):0{2 * fmt.dtype.itemsize}x}"

    return {
        "max_ulp": float(normal.ravel()[most]),
        "max_ulp_at": named(table.at[most]),
        "max_abs": float(table.error[widest]),
        "max_abs_at": named(table.at[widest]),
        "a_ulp": a_ulp,
        "a_ulp_at": named(table.at[int(large.argmax())]),
        "b_abs": max(0.0, b_abs),
        "not_finite_at": [named(bits) for bits in at[~finite]],
        "positive": runs(ulps[0], seen[0]),
        "negative": runs(ulps[1], seen[1]),
    }


def ulps_of(table: Table, fmt: Format) -> F64:
    """Return the errors of a table in units in the last place, rounded up, by sign and binade."""
    ulps: F64 = np.vectorize(round_up)(table.error.reshape(2, BINADES) / _unit(fmt))
    return ulps


def _unit(fmt: Format) -> F64:
    unit: F64 = np.ldexp(1.0, np.maximum(_BINADE, fmt.lowest) - fmt.digits)
    return unit


def round_up(value: float) -> float:
    """Return the next number of four significant digits; infinity stays."""
    if value == 0.0 or not np.isfinite(value):
        return float(value)
    step = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(f"{np.ceil(value / step) * step:.6g}")


def runs(ulps: F64, seen: Any) -> list[list[float | None]]:
    """Return [first binade, last binade, ULPs] of each run of equal numbers; None: not finite."""
    found: list[list[float | None]] = []
    for binade, value in zip(_BINADE[seen].tolist(), ulps[seen].tolist(), strict=True):
        ulp = value if np.isfinite(value) else None
        if found and found[-1][2] == ulp and found[-1][1] == binade - 1:
            found[-1][1] = binade
        else:
            found.append([binade, binade, ulp])
    return found


def sample_missed(sample: dict[str, Any], full: dict[str, Any], fmt: Format) -> float:
    """Return the largest factor between the envelope of all inputs and that of a sample.

    What flushing to zero loses is left out: the smallest binade holds it in every sample.
    """
    worst = 1.0
    for side in ("positive", "negative"):
        for kernel in full["kernels"]:
            seen = [
                sampled_by_row(other[side], fmt)
                for other in sample["kernels"]
                if set(other["modes"]) & set(kernel["modes"])
            ]
            low = np.min(seen, axis=0)
            high = np.maximum.accumulate(errors_by_row(kernel[side], fmt))
            told = np.isfinite(high) & (high > 2.0 * fmt.tiny)
            worst = max(worst, float((high[told] / low[told]).max(initial=1.0)))
    return round_up(worst)


# The activation kernels that are measured, and the ways to reach them.

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

    # A turn of the loop costs as much as ten kernels on seven elements, so each runs several.
    pieces, width = 64, 7

    run = tf.function(
        lambda x: tf.map_fn(
            lambda rows: tf.stack([kernel(row) for row in tf.unstack(rows)]),
            x,
            parallel_iterations=1,
        ),
        input_signature=[tf.TensorSpec([None, pieces, width], tf.as_dtype(fmt.name))],
    )

    def mode(x: Array) -> Array:
        padded = np.resize(x, -(-x.size // (width * pieces)) * width * pieces)
        return np.asarray(run(tf.constant(padded.reshape(-1, pieces, width)))).ravel()[: x.size]

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
