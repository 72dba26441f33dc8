"""Measures how far TensorFlow's float32 activations are from the functions that they stand for.

    python benchmarks/activations.py [--quick] [--scalar] [--only NAME ...] [--out FILE]

For every activation, every way in which its kernel is reached and every float32 number z, the
result y of the kernel is compared with the float64 form f(z). What is kept is, for each sign and
each binade [2^k, 2^(k+1)) of f(z), the largest |y - f(z)| and the input that reached it. No curve
is fitted: that table *is* the error model (see :mod:`bridge.compare.rules.models`).

The ways ("modes"):

``eager``     the operation called on an eager tensor;
``graph``     the same in a ``tf.function``;
``bias-add``  ``f(BiasAdd(MatMul(z, I), 0))`` in a ``tf.function``, as ``tf_keras`` builds a Dense
              layer: the graph optimiser fuses it (``_FusedMatMul[BiasAdd,GeluExact]``). I is the
              identity of 16 units: with one unit the bits are the same, and it takes ten times as
              long;
``add``       ``f(MatMul(z, I) + 0)``, as Keras 3 builds it;
``xla``       compiled by XLA;
``scalar``    tensors of seven elements: shorter than a vector register, so that the kernel's
              loop for leftover elements is what runs. Measured by itself, with ``--scalar``,
              because it takes ten minutes where the others together take three.

``--quick`` measures 4,096 significands of every exponent and stores ``"coverage": "stratified"``
(seconds for each activation); without it all 2^32 numbers, ``"coverage": "exhaustive"``. A run that
was interrupted goes on where it stopped. One thread; run it under ``nice``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402  (the environment of TensorFlow is set first)

from benchmarks.activation_kernels import (  # noqa: E402
    CHUNK,
    F32,
    Subject,
    executed,
    modes_of,
    subjects,
)
from bridge.compare.rules.erfc import F64  # noqa: E402
from bridge.compare.rules.models import BINADES, FIRST_BINADE, errors_by_row  # noqa: E402
from bridge.compare.rules.rounding import OVERFLOW, TINY  # noqa: E402

U32 = np.ndarray[Any, np.dtype[np.uint32]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

OUT: Final = ROOT / "bridge" / "compare" / "data" / "activations.json"
STATE: Final = ROOT / "build" / "activations"
FINITE: Final = 0x7F800000
SIGN: Final = 0x80000000
SAVE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Summary:
    """The largest error of each run of inputs whose true values lie in one row of the table."""

    rows: I64
    errors: F64
    bits: U32


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


def summarize(bits: U32, true: F64, rows: I64, y: F32) -> Summary:
    """Compare the results ``y`` for the inputs ``bits`` with their true values."""
    with np.errstate(all="ignore"):
        error = np.abs(y.astype(np.float64) - true)
    unlike = ~np.isfinite(error)
    if unlike.any():
        # A true value that rounds to infinity may be infinity; anything else is an error.
        right = (np.abs(true) >= OVERFLOW) & np.isinf(y) & (np.signbit(y) == (true < 0))
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
    return binade + BINADES * (raw < 0)


def exhaustive() -> Iterator[U32]:
    """Yield all finite float32 numbers as bits, in order."""
    for base in (0, SIGN):
        for start in range(0, FINITE, CHUNK):
            yield np.arange(base + start, base + start + CHUNK, dtype=np.uint32)


def stratified() -> Iterator[U32]:
    """Yield 4,096 significands of each exponent: evenly spread, the ends among them."""
    spread = np.arange(4096, dtype=np.uint32) << np.uint32(11)
    low = np.random.default_rng(1).integers(0, 2048, (255, 4096), dtype=np.uint32)
    low[:, 0] = 0
    low[:, -1] = 2047
    finite = (np.arange(255, dtype=np.uint32)[:, None] << np.uint32(23)) | (spread + low)
    both = np.concatenate((finite.ravel(), finite.ravel() | np.uint32(SIGN)))
    for start in range(0, both.size, CHUNK):
        part = both[start : start + CHUNK]
        yield np.concatenate((part, np.repeat(part[-1:], CHUNK - part.size)))


def measure(subject: Subject, quick: bool, scalar: bool) -> dict[str, Any]:
    """Measure one activation in every mode and return its record for the file."""
    begun = time.monotonic()
    kernels = modes_of(subject, scalar)
    # What eager runs is no graph; asking it first clears the reports of earlier ones.
    ops = {mode: executed(kernel) for mode, kernel in kernels.items()} | {"eager": {}}
    tables = {mode: Table() for mode in kernels}
    state = STATE / f"{subject.name}{'.scalar' if scalar else ''}.npz"
    first, before = (0, 0.0) if quick else restore(state, tables)
    total = 2 * FINITE // CHUNK
    saved_at, count = time.monotonic(), 0
    for number, bits in enumerate(stratified() if quick else exhaustive()):
        count += bits.size
        if number < first:
            continue
        x = bits.view(np.float32)
        true = subject.form(x.astype(np.float64))
        rows = row_of(true)
        done: list[tuple[U32, Summary]] = []
        for mode, kernel in kernels.items():
            y = kernel(x)
            raw = y.view(np.uint32)
            # Most modes run the same kernel: then its errors are known already.
            summary = next((known for seen, known in done if np.array_equal(raw, seen)), None)
            if summary is None:
                summary = summarize(bits, true, rows, y)
                done.append((raw, summary))
            tables[mode].take(summary)
        if not quick and time.monotonic() - saved_at > SAVE_SECONDS:
            saved_at = time.monotonic()
            seconds = before + saved_at - begun
            save(state, tables, number + 1, seconds)
            left = (saved_at - begun) / (number + 1 - first) * (total - number - 1)
            say(f"{subject.name}: {number + 1:,} of {total:,} chunks, {left / 60:.0f} min left")
    record = {
        "form": subject.form.name,
        "part": "scalar" if scalar else "vector",
        "coverage": "stratified" if quick else "exhaustive",
        "inputs": count,
        "seconds": round(before + time.monotonic() - begun, 1),
        "kernels": group(tables, special(subject, scalar), ops),
    }
    state.unlink(missing_ok=True)
    return record


def restore(state: Path, tables: dict[str, Table]) -> tuple[int, float]:
    """Fill the tables from an interrupted run; return the next chunk and the seconds spent."""
    if not state.exists():
        return 0, 0.0
    with np.load(state) as saved:
        for mode, table in tables.items():
            table.error, table.at = saved[f"{mode}.error"], saved[f"{mode}.at"]
            table.seen = saved[f"{mode}.seen"]
        return int(saved["next"]), float(saved["seconds"])


def save(state: Path, tables: dict[str, Table], following: int, seconds: float) -> None:
    """Write what is needed to go on at the chunk ``following``, in one step."""
    state.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"next": following, "seconds": seconds}
    for mode, table in tables.items():
        arrays |= {f"{mode}.error": table.error, f"{mode}.at": table.at, f"{mode}.seen": table.seen}
    part = state.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(state)


def special(subject: Subject, scalar: bool) -> dict[str, dict[str, str]]:
    """Return what each mode makes of the numbers that are not finite, and of the zeros.

    With one unit here: infinity times the zeros of a larger identity would be NaN.
    """
    asked = (-np.inf, np.inf, np.nan, -0.0, 0.0)
    x = np.resize(np.array(asked, np.float32), CHUNK)
    return {
        mode: {str(z): str(float(y)) for z, y in zip(asked, kernel(x), strict=False)}
        for mode, kernel in modes_of(subject, scalar, units=1).items()
    }


def group(
    tables: dict[str, Table], specials: dict[str, dict[str, str]], ops: dict[str, dict[str, int]]
) -> list[dict[str, Any]]:
    """Describe the tables; modes with the same table and special values share one entry."""
    groups: list[dict[str, Any]] = []
    for mode, table in tables.items():
        new = describe(table) | {"special": specials[mode]}
        for old in groups:
            if all(old[part] == value for part, value in new.items()):
                old["modes"][mode] = ops[mode]
                break
        else:
            groups.append({"modes": {mode: ops[mode]}, **new})
    return groups


def describe(table: Table) -> dict[str, Any]:
    """Return a table as data: errors in units in the last place of each binade, rounded up.

    ``a_ulp`` and ``b_abs`` sum it up for people, as error <= a_ulp * ulp(f) + b_abs: the first is
    the largest error where |f| >= 1/2, the second what then remains below.
    """
    binades = np.arange(BINADES) + FIRST_BINADE
    unit = np.ldexp(1.0, np.maximum(binades, -126) - 23)
    error = table.error.reshape(2, BINADES)
    ulps = np.vectorize(round_up)(error / unit)
    finite = np.isfinite(error)
    normal = np.where(finite & (binades >= -126), ulps, 0.0)
    most, widest = int(normal.argmax()), int(np.where(finite, error, 0.0).argmax())
    a_ulp = float(np.where(finite & (binades >= -1), ulps, 0.0).max())
    b_abs = float(np.where(finite & (binades < -1), error - a_ulp * unit, 0.0).max())
    wrong = table.at.reshape(2, BINADES)[~finite]
    seen = table.seen.reshape(2, BINADES)
    return {
        "max_ulp": float(normal.ravel()[most]),
        "max_ulp_at": f"0x{int(table.at[most]):08x}",
        "max_abs": float(table.error[widest]),
        "max_abs_at": f"0x{int(table.at[widest]):08x}",
        "a_ulp": a_ulp,
        "b_abs": max(0.0, b_abs),
        "not_finite_at": [f"0x{int(bits):08x}" for bits in wrong],
        "positive": runs(binades, ulps[0], seen[0]),
        "negative": runs(binades, ulps[1], seen[1]),
    }


def round_up(value: float) -> float:
    """Return the next number of four significant digits; infinity stays."""
    if value == 0.0 or not np.isfinite(value):
        return float(value)
    step = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(f"{np.ceil(value / step) * step:.6g}")


def runs(binades: Any, ulps: Any, seen: Any) -> list[list[float | None]]:
    """Return [first binade, last binade, ULPs] of each run of equal numbers; None: not finite."""
    found: list[list[float | None]] = []
    for binade, value in zip(binades[seen].tolist(), ulps[seen].tolist(), strict=True):
        ulp = value if np.isfinite(value) else None
        if found and found[-1][2] == ulp and found[-1][1] == binade - 1:
            found[-1][1] = binade
        else:
            found.append([binade, binade, ulp])
    return found


def environment() -> tuple[str, dict[str, Any]]:
    """Return the versions and the class of the processor, and a name for them."""
    import keras
    import tensorflow as tf
    import tf_keras

    wanted = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile")
    flags: set[str] = set()
    info = Path("/proc/cpuinfo")
    if info.exists():
        flags = set(next((line for line in info.open() if line.startswith("flags")), "").split())
    cpu = next((flag for flag in ("avx512f", "avx2", "avx") if flag in flags), "")
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
    name = "-".join(
        part
        for part in (f"tensorflow-{tf.__version__}", platform.system().lower(), platform.machine(),
                     cpu, "onednn" if onednn else "")
        if part
    )  # fmt: skip
    return name, {
        "tensorflow": tf.__version__,
        "tf_keras": tf_keras.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "cpu_flags": [flag for flag in wanted if flag in flags],
        "onednn": onednn,
        "threads": 1,
    }


def store(out: Path, record: dict[str, Any], where: dict[str, Any]) -> None:
    """Put a record into the file, in place of an earlier one of the same things."""
    known = json.loads(out.read_text()) if out.exists() else {}
    same = ("activation", "environment", "part")
    records = known.get("measurements", [])
    kept = [old for old in records if any(old[part] != record[part] for part in same)]
    better = [old for old in records if old not in kept and old["coverage"] == "exhaustive"]
    if record["coverage"] != "exhaustive" and better:
        missed = sample_missed(record, better[0])
        say(f"{record['activation']}: everything was tried before; the sample missed x{missed:g}")
        record = better[0] | {"sample_missed": missed}
    everything = {
        "schema": 1,
        "environments": known.get("environments", {}) | {record["environment"]: where},
        "measurements": sorted([*kept, record], key=lambda one: [one[part] for part in same]),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    part.write_text(compact(everything))
    part.replace(out)


def sample_missed(sample: dict[str, Any], full: dict[str, Any]) -> float:
    """Return the largest factor between the envelope of all inputs and that of a sample.

    What flushing to zero loses is left out: the smallest binade holds it in every sample.
    """
    worst = 1.0
    for side in ("positive", "negative"):
        for kernel in full["kernels"]:
            seen = [
                np.maximum.accumulate(errors_by_row(other[side]))
                for other in sample["kernels"]
                if set(other["modes"]) & set(kernel["modes"])
            ]
            low = np.min(seen, axis=0)
            high = np.maximum.accumulate(errors_by_row(kernel[side]))
            told = np.isfinite(high) & (high > 2.0 * TINY)
            worst = max(worst, float((high[told] / low[told]).max(initial=1.0)))
    return round_up(worst)


def compact(data: dict[str, Any]) -> str:
    """Return JSON with one line for each value of each kernel: changes can be read in a diff."""
    text = json.dumps(data, indent=1)
    # Whatever holds no object is written on one line.
    flat = re.compile(r"(?:\[[^{}]*?\]|\{[^{}\[\]]*?\})(?=,?\n\s*[\"}])")
    return flat.sub(lambda found: re.sub(r"\s+", " ", found.group()), text) + "\n"


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure what was asked for and store each result as soon as it is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a stratified sample only")
    parser.add_argument("--scalar", action="store_true", help="the loop over leftover elements")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these activations only")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE")
    options = parser.parse_args()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    known = subjects()
    names = options.only or list(known)
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"not known: {', '.join(unknown)}; there are {', '.join(known)}")
    place, where = environment()
    for name in names:
        about = {"activation": name, "environment": place}
        record = about | measure(known[name], options.quick, options.scalar)
        if not options.quick:
            sample = about | measure(known[name], True, options.scalar)
            record["sample_missed"] = sample_missed(sample, record)
        store(options.out, record, where)
        worst = "; ".join(
            f"{'/'.join(one['modes'])} {one['a_ulp']:g} ulp + {one['b_abs']:.3g}"
            for one in record["kernels"]
        )
        say(f"{name}: {record['coverage']}, {record['seconds']} s: {worst}")


if __name__ == "__main__":
    main()
