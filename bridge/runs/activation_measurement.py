"""Measuring the kernels of activations on the installation at hand."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import platformdirs

from bridge._typing import F64
from bridge.capsule import Capsule, Environment, KernelErrors
from bridge.process.environment import describe_environment
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.rounding.measurements import Installation, Kernels, installation_of
from bridge.rounding.rules.activation_forms import FORMS, LEAKY_SLOPE, Form
from bridge.rounding.rules.activation_models import (
    BINADES,
    FIRST_BINADE,
    errors_by_row,
    is_measured,
    measured_kernels,
    sampled_by_row,
)
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format
from bridge.runs.job import begin, run_job
from bridge.trace.encoder import Data

Bits = np.ndarray[Any, np.dtype[Any]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_BINADE: Final = np.arange(BINADES) + FIRST_BINADE


@dataclass(frozen=True)
class Summary:
    """The largest error of each run of inputs whose true values lie in one row of the table."""

    rows: I64
    errors: F64
    bits: Bits


class ErrorTable:
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
    tables: dict[str, ErrorTable],
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


def describe(table: ErrorTable, fmt: Format) -> dict[str, Any]:
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


def ulps_of(table: ErrorTable, fmt: Format) -> F64:
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
                sampled_by_row(alike[side], fmt)
                for alike in sample["kernels"]
                if set(alike["modes"]) & set(kernel["modes"])
            ]
            low = np.min(seen, axis=0)
            high = np.maximum.accumulate(errors_by_row(kernel[side], fmt))
            normal = np.isfinite(high) & (high > 2.0 * fmt.tiny)
            worst = max(worst, float((high[normal] / low[normal]).max(initial=1.0)))
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
class MeasuredActivation:
    """An activation under measurement: its float64 form and its kernel in both Keras."""

    name: str
    form: Form
    keras2: Kernel | None
    keras3: Kernel | None


def modes_of(
    subject: MeasuredActivation,
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
                fused = [op.decode() for op in node.attr["fused_ops"].list.s]
                name = f"{node.op}[{','.join(fused)}]" if fused else str(node.op)
                counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def subjects() -> dict[str, MeasuredActivation]:
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
        MeasuredActivation(name, FORMS[name], kernel(tf_keras, name), kernel(keras, name))
        for name in _NAMES
    )
    tanh_gelu = tuple(
        partial(module.activations.gelu, approximate=True) for module in (tf_keras, keras)
    )
    prelu = tuple(
        layer(module, "PReLU", alpha_initializer=slopes(module)) for module in (tf_keras, keras)
    )
    more = (
        MeasuredActivation("gelu_tanh", FORMS["gelu_tanh"], *tanh_gelu),
        MeasuredActivation(
            "hard_sigmoid_2", FORMS["hard_sigmoid_2"], kernel(tf_keras, "hard_sigmoid"), None
        ),
        MeasuredActivation(
            "hard_sigmoid_3", FORMS["hard_sigmoid_3"], None, kernel(keras, "hard_sigmoid")
        ),
        MeasuredActivation("prelu", FORMS["prelu"], *prelu),
        MeasuredActivation(
            "threshold",
            FORMS["threshold"],
            None,
            pinned("threshold", threshold=0.5, default_value=-0.25),
        ),
        MeasuredActivation(
            "thresholded_relu",
            FORMS["thresholded_relu"],
            layer(tf_keras, "ThresholdedReLU", theta=1.0),
            None,
        ),
        MeasuredActivation(SOFTMAX, FORMS["sigmoid"], pair, pair),
        MeasuredActivation(LOGARITHM, Form("log", np.log), None, tf.math.log),
    )
    known = {subject.name: subject for subject in (*both, *more)}
    order = (*FOUNDING, *sorted(set(known) - set(FOUNDING)))
    return {name: known[name] for name in order}


#: Of the ways to measure: what another way found is not read.
_VERSION: Final = 1
#: For all kernels of a run together, in seconds: what is not done by then stays open.
_SECONDS: Final = 120.0

#: An activation and a type.
Wanted = tuple[str, str]
Measure = Callable[[str, str], KernelErrors | None]


def default_folder() -> Path:
    """Return where measurements are kept if nothing else is said."""
    return platformdirs.user_cache_path("keras-bridge") / "kernels"


def with_kernels(pool: Pool, capsule: Capsule, warm: Warm, cache: Path | None = None) -> Capsule:
    """Return a run with the errors of the kernels that it used, where the file has none.

    Args:
        pool: where they are measured.
        capsule: the run.
        warm: the kind of process in which the run was made.
        cache: where measurements are kept; the user's if None.
    """
    here = installation_of(capsule.manifest.environment)
    wanted = measured_kernels(capsule.manifest.states)
    seen = any(probe.outputs or probe.layers for probe in capsule.manifest.probes)
    if not seen or not missing(wanted, here):
        return capsule
    kernels = _kept_or_measured(wanted, here, cache, lambda left: _measured(pool, warm, left, here))
    return Capsule(capsule.manifest.model_copy(update={"kernels": kernels}), capsule.arrays)


def kernels_here(
    wanted: Iterable[Wanted], measure: Measure, here: Installation, cache: Path | None = None
) -> Kernels:
    """Return the kernels of this process's installation, with what the file says nothing of.

    Args:
        wanted: what they are needed for.
        measure: measures one in this process, or returns None if there is none.
        here: the installation.
        cache: where measurements are kept; the user's if None.
    """
    return Kernels(
        here,
        _kept_or_measured(
            wanted,
            here,
            cache,
            lambda left: [found for subject in left if (found := measure(*subject)) is not None],
        ),
    )


def _kept_or_measured(
    wanted: Iterable[Wanted],
    here: Installation,
    cache: Path | None,
    measure: Callable[[list[Wanted]], list[KernelErrors]],
) -> tuple[KernelErrors, ...]:
    names = missing(wanted, here)
    store = Store(here, default_folder() if cache is None else cache)
    known = {(kernel.activation, kernel.dtype): kernel for kernel in store.read()}
    if left := [name for name in names if name not in known]:
        fresh = measure(left)
        known |= {(kernel.activation, kernel.dtype): kernel for kernel in fresh}
        store.add(fresh)
    return tuple(known[name] for name in names if name in known)


def missing(wanted: Iterable[Wanted], here: Installation) -> tuple[Wanted, ...]:
    """Return those kernels of which the file says nothing for an installation.

    Those in float32 come first: where oneDNN is held down below what the processor has, a product
    in bfloat16 ends the process, and what was measured by then is kept.
    """
    types = list(FORMATS)
    found = (kernel for kernel in wanted if not is_measured(*kernel, Kernels(here)))
    return tuple(sorted(found, key=lambda kernel: types.index(kernel[1])))


def _measured(
    pool: Pool, warm: Warm, wanted: list[Wanted], here: Installation
) -> list[KernelErrors]:
    """Measure in a process as that of the run; nothing if it turns out to be another one."""
    kind, limits = Warm(warm.generation, env=warm.env), Limits(seconds=_SECONDS)
    params = {"kernels": [list(kernel) for kernel in wanted]}
    with run_job(pool, kind, kernels_job, params, limits) as left:
        environments = (
            Environment.model_validate(event["environment"], strict=False)
            for event in left.named("environment")
        )
        if any(installation_of(environment) != here for environment in environments):
            return []
        return [
            KernelErrors.model_validate(event["found"], strict=False)
            for event in left.named("kernel")
        ]


class Store:
    """The measurements of one installation in a folder.

    A folder that cannot be written to keeps nothing, and says nothing; so does an installation
    that was not described well enough to be told from others.
    """

    def __init__(self, here: Installation, folder: Path) -> None:
        about = json.dumps(
            [_VERSION, here.machine, here.vendor, sorted(here.instructions), here.packages,
             here.onednn, here.switches]
        )  # fmt: skip
        self._path = folder / f"{hashlib.sha256(about.encode()).hexdigest()[:24]}.json"
        self._described = here.described

    def read(self) -> list[KernelErrors]:
        """Return what is kept; a damaged file counts as none."""
        if not self._described:
            return []
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            return [KernelErrors.model_validate(entry, strict=False) for entry in kept]
        except (OSError, ValueError, TypeError):
            return []

    def add(self, measured: Sequence[KernelErrors]) -> None:
        """Keep measurements beside those that are kept; a reader sees all of them or none."""
        if not self._described or not measured:
            return
        kept = {(kernel.activation, kernel.dtype): kernel for kernel in (*self.read(), *measured)}
        text = json.dumps([kernel.model_dump(mode="json") for kernel in kept.values()])
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # A name of its own: several threads of a check may measure at the same time.
            number, name = tempfile.mkstemp(".tmp", self._path.name, self._path.parent)
            aside = Path(name)
            try:
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    file.write(text)
                aside.replace(self._path)
            finally:
                aside.unlink(missing_ok=True)


# Measures activation kernels in a process of the run's kind, in seconds.

#: Elements of one call.
_CHUNK: Final = 1 << 17


def kernels_job(context: Context, params: dict[str, Any]) -> None:
    """Write a ``kernel`` event for each of ``params["kernels"]`` that exists."""
    one_thread()
    spool = begin(context, params)
    spool.event("environment", environment=describe_environment())
    for name, dtype in params["kernels"]:
        found = measure_here(name, dtype)
        if found is not None:
            spool.event("kernel", found=found.model_dump(mode="json"))
    spool.event("end")


def one_thread() -> None:
    """Keep TensorFlow to one thread, if it has not started any: oneDNN asks all for each call.

    Which kernel runs does not depend on it, and calls of seven elements take less time.
    """
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def measure_here(name: str, dtype: str) -> KernelErrors | None:
    """Measure an activation in a type in this process; None if it has no kernel for the type."""
    import tensorflow as tf

    try:
        found = measure(_subjects()[name], FORMATS[dtype])
    except (tf.errors.OpError, TypeError, ValueError):
        return None
    return KernelErrors.model_validate(found, strict=False)


def installation_here() -> Installation:
    """Return the installation that this process runs on."""
    found = Environment.model_validate(describe_environment(), strict=False)
    return installation_of(found)


@lru_cache(maxsize=1)
def _subjects() -> dict[str, MeasuredActivation]:
    return subjects()


def measure(subject: MeasuredActivation, fmt: Format) -> Data:
    """Return the largest errors of an activation's kernels in a type, over all ways to them."""
    table = ErrorTable()
    modes = modes_of(subject, scalar=False, fmt=fmt, size=_CHUNK if fmt.name == FLOAT32.name
                     else numbers(fmt).size)  # fmt: skip
    plain = subject.keras2 or subject.keras3
    assert plain is not None
    modes["short"] = short_mode(plain, fmt)
    for bits in chunks(fmt):
        x = bits.view(fmt.dtype)
        true = subject.form(x.astype(np.float64))
        rows = row_of(true)
        seen: list[Array] = []
        for mode in modes.values():
            y = np.ascontiguousarray(mode(x))
            raw = y.view(bits.dtype)
            if not any(np.array_equal(raw, earlier) for earlier in seen):
                seen.append(raw)
                table.take(summarize(bits, true, rows, y, fmt))
    ulps = ulps_of(table, fmt)
    there = table.seen.reshape(2, BINADES)
    return {
        "activation": subject.name,
        "dtype": fmt.name,
        "exhaustive": fmt.name != FLOAT32.name,
        "positive": runs(ulps[0], there[0]),
        "negative": runs(ulps[1], there[1]),
    }


def chunks(fmt: Format) -> Iterator[Bits]:
    """Yield the inputs as bits, as many at a time as one call takes."""
    if fmt.name != FLOAT32.name:
        yield numbers(fmt)
        return
    everything = np.concatenate((ends(), sample()))
    for start in range(0, everything.size, _CHUNK):
        part = everything[start : start + _CHUNK]
        yield np.concatenate((part, np.repeat(part[-1:], _CHUNK - part.size)))


def numbers(fmt: Format) -> Bits:
    """Return all finite numbers of a short type."""
    sign = 1 << (8 * fmt.dtype.itemsize - 1)
    finite = int(np.array([np.inf], fmt.dtype).view(f"u{fmt.dtype.itemsize}")[0])
    both = (np.arange(finite), np.arange(sign, sign + finite))
    bits: Bits = np.concatenate(both).astype(f"u{fmt.dtype.itemsize}")
    return bits


def ends() -> Bits:
    """Return float32 numbers on both sides of zero, of every power of two and of the range."""
    near = np.arange(-8, 9)
    powers = (np.arange(256) << 23)[:, None] + near
    found = np.unique(np.clip(powers, 0, 0x7F7FFFFF)).astype(np.uint32)
    return np.concatenate((found, found | np.uint32(1 << 31)))


@lru_cache(maxsize=1)
def sample() -> Bits:
    """Return 4,096 float32 significands of each exponent: evenly spread, the ends among them."""
    spread = np.arange(4096, dtype=np.uint32) << np.uint32(11)
    low = np.random.default_rng(1).integers(0, 2048, (255, 4096), dtype=np.uint32)
    low[:, 0] = 0
    low[:, -1] = 2047
    finite = (np.arange(255, dtype=np.uint32)[:, None] << np.uint32(23)) | (spread + low)
    both: Bits = np.concatenate((finite.ravel(), finite.ravel() | np.uint32(1 << 31)))
    return both
