"""Measures how far TensorFlow's activations are from the functions that they stand for.

    python benchmarks/activations.py [--quick] [--scalar] [--again] [--only NAME ...]
                                     [--types TYPE ...] [--out FILE]

For every activation, every way in which its kernel is reached and every number z of a type, the
result y of the kernel is compared with the float64 form f(z). What is kept is, for each sign and
each binade [2^k, 2^(k+1)) of f(z), the largest |y - f(z)| and the input that reached it. No curve
is fitted: that table *is* the error model (see :mod:`bridge.rounding.rules.activation_models`).

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
              loop for leftover elements is what runs.

In float16 and bfloat16 all 2^16 numbers are tried in every mode, which takes seconds. In float32
all 2^32 are ("coverage": "exhaustive"; three to ten minutes for each activation), except in the
mode ``scalar``, which takes ten minutes more and is sampled unless ``--scalar`` asks for all of it:
4,096 significands of every exponent ("stratified"). ``--quick`` samples float32 in every mode.

What the file holds already, for these versions and this class of processor, is left alone unless
``--again`` is given; a run that was interrupted goes on where it stopped. One thread; run it under
``nice`` (``make bench-activations`` does).
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

from bridge.capsule import Environment  # noqa: E402
from bridge.process.environment import describe_environment  # noqa: E402
from bridge.rounding.measurements import (  # noqa: E402
    FLOAT_INSTRUCTIONS,
    PACKAGES,
    dtype_of,
    installation_of,
)
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format  # noqa: E402
from bridge.runs.activation_measurement import (  # noqa: E402  # noqa: E402
    CHUNK,
    Bits,
    ErrorTable,
    MeasuredActivation,
    Summary,
    executed,
    group,
    modes_of,
    numbers,
    row_of,
    sample,
    sample_missed,
    subjects,
    summarize,
)

OUT: Final = ROOT / "bridge" / "rounding" / "data" / "activations.json"
STATE: Final = ROOT / "build" / "activations"
SAVE_SECONDS: Final = 60.0
#: What tells one record of the file from another.
KEY: Final = ("activation", "environment", "part", "dtype")
#: The instructions that are in the name of an environment.
_NAMED: Final = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "asimd", "sve")


@dataclass(frozen=True)
class Job:
    """One measurement: an activation in a type, in the vector modes or in the scalar one."""

    subject: MeasuredActivation
    fmt: Format
    scalar: bool
    sampled: bool

    @property
    def part(self) -> str:
        """The name of the modes in the file."""
        return "scalar" if self.scalar else "vector"

    @property
    def coverage(self) -> str:
        """Which inputs are tried."""
        return "stratified" if self.sampled else "exhaustive"

    @property
    def total(self) -> int:
        """The number of finite numbers of the type."""
        return 2 * infinity(self.fmt)

    @property
    def chunk(self) -> int:
        """The number of inputs of one call."""
        return min(CHUNK, self.total)

    @property
    def pieces(self) -> int:
        """The number of short tensors of one call."""
        return 128 if self.sampled or self.fmt is not FLOAT32 else 1024

    @property
    def state(self) -> Path:
        """Where an interrupted measurement is kept."""
        kind = "".join(
            f".{part}" for part in (self.fmt.name, "scalar" * self.scalar)
            if part not in ("", "float32")
        )  # fmt: skip
        return STATE / f"{self.subject.name}{kind}.npz"

    def inputs(self) -> Iterator[Bits]:
        """Yield the inputs as bits, a chunk at a time."""
        return stratified(self.chunk) if self.sampled else exhaustive(self.fmt, self.chunk)


def infinity(fmt: Format) -> int:
    """Return the bits of infinity: the number of finite numbers of each sign."""
    return int(np.array([np.inf], fmt.dtype).view(unsigned(fmt))[0])


def unsigned(fmt: Format) -> np.dtype[Any]:
    """Return the type of the bits of a type."""
    return np.dtype(f"u{fmt.dtype.itemsize}")


def exhaustive(fmt: Format, chunk: int) -> Iterator[Bits]:
    """Yield all finite numbers of a type as bits, in order."""
    finite, sign = infinity(fmt), 1 << (8 * fmt.dtype.itemsize - 1)
    if chunk > finite:
        yield numbers(fmt)
        return
    for base in (0, sign):
        for start in range(0, finite, chunk):
            yield np.arange(base + start, base + start + chunk, dtype=unsigned(fmt))


def stratified(chunk: int) -> Iterator[Bits]:
    """Yield 4,096 float32 significands of each exponent: evenly spread, the ends among them."""
    both = sample()
    for start in range(0, both.size, chunk):
        part = both[start : start + chunk]
        yield np.concatenate((part, np.repeat(part[-1:], chunk - part.size)))


def measure(job: Job) -> dict[str, Any]:
    """Measure one activation in every mode and return its record for the file."""
    begun = time.monotonic()
    subject, fmt = job.subject, job.fmt
    kernels = modes_of(subject, job.scalar, fmt=fmt, size=job.chunk, pieces=job.pieces)
    # What eager runs is no graph; asking it first clears the reports of earlier ones.
    ops = {mode: executed(kernel, fmt, job.chunk) for mode, kernel in kernels.items()}
    ops |= {"eager": {}}
    tables = {mode: ErrorTable() for mode in kernels}
    first, before = (0, 0.0) if job.sampled else restore(job, tables)
    saved_at, count = time.monotonic(), 0
    for number, bits in enumerate(job.inputs()):
        count += bits.size
        if number < first:
            continue
        x = bits.view(fmt.dtype)
        true = subject.form(x.astype(np.float64))
        rows = row_of(true)
        done: list[tuple[Bits, Summary]] = []
        for mode, kernel in kernels.items():
            y = np.ascontiguousarray(kernel(x))
            raw = y.view(unsigned(fmt))
            # Most modes run the same kernel: then its errors are known already.
            summary = next((known for seen, known in done if np.array_equal(raw, seen)), None)
            if summary is None:
                summary = summarize(bits, true, rows, y, fmt)
                done.append((raw, summary))
            tables[mode].take(summary)
        if not job.sampled and time.monotonic() - saved_at > SAVE_SECONDS:
            saved_at = time.monotonic()
            save(job, tables, number + 1, before + saved_at - begun)
            chunks = job.total // job.chunk
            left = (saved_at - begun) / (number + 1 - first) * (chunks - number - 1)
            say(f"{subject.name}: {number + 1:,} of {chunks:,} chunks, {left / 60:.0f} min left")
    record = {
        "form": subject.form.name,
        "part": job.part,
        **({} if fmt is FLOAT32 else {"dtype": fmt.name}),
        "coverage": job.coverage,
        "inputs": count,
        "seconds": round(before + time.monotonic() - begun, 1),
        "kernels": group(tables, special(job), ops, fmt),
    }
    job.state.unlink(missing_ok=True)
    return record


def restore(job: Job, tables: dict[str, ErrorTable]) -> tuple[int, float]:
    """Fill the tables from an interrupted run; return the next chunk and the seconds spent."""
    if not job.state.exists():
        return 0, 0.0
    with np.load(job.state) as saved:
        for mode, table in tables.items():
            table.error, table.at = saved[f"{mode}.error"], saved[f"{mode}.at"]
            table.seen = saved[f"{mode}.seen"]
        return int(saved["tried"]) // job.chunk, float(saved["seconds"])


def save(job: Job, tables: dict[str, ErrorTable], following: int, seconds: float) -> None:
    """Write what is needed to go on at the chunk ``following``, in one step."""
    job.state.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"tried": following * job.chunk, "seconds": seconds}
    for mode, table in tables.items():
        arrays |= {f"{mode}.error": table.error, f"{mode}.at": table.at, f"{mode}.seen": table.seen}
    part = job.state.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(job.state)


def special(job: Job) -> dict[str, dict[str, str]]:
    """Return what each mode makes of what is not finite, of zeros and of subnormal numbers.

    With one unit here: infinity times the zeros of a larger identity would be NaN.
    """
    below = np.nextafter(np.array(job.fmt.tiny, job.fmt.dtype), np.array(0, job.fmt.dtype))
    asked = (-np.inf, np.inf, np.nan, -0.0, 0.0, -float(below), float(below))
    x = np.resize(np.array(asked).astype(job.fmt.dtype), job.chunk)
    kernels = modes_of(job.subject, job.scalar, units=1, fmt=job.fmt, size=job.chunk)
    return {
        mode: {shown(z): shown(y) for z, y in zip(asked, kernel(x), strict=False)}
        for mode, kernel in kernels.items()
    }


def environment() -> tuple[str, dict[str, Any]]:
    """Return what decides which kernels run here, and a name for it."""
    import tensorflow as tf

    found = Environment.model_validate(describe_environment(), strict=False)
    here = installation_of(found)
    name = "-".join(
        part.replace(" ", "").lower()
        for part in (
            f"tensorflow-{tf.__version__}", platform.system(), here.machine, here.vendor,
            *(flag for flag in FLOAT_INSTRUCTIONS if flag in here.instructions and flag in _NAMED),
            "onednn" if here.onednn else "",
            *(f"{switch}={value}" for switch, value in here.switches),
        )
        if part
    )  # fmt: skip
    return name, {
        **{package: found.packages[package] for package in PACKAGES if package in found.packages},
        "numpy": np.__version__,
        "machine": here.machine,
        "cpu_model": found.cpu_model,
        "cpu_vendor": here.vendor,
        "cpu_flags": sorted(here.instructions),
        "onednn": here.onednn,
        "switches": dict(here.switches),
        "threads": 1,
    }


def shown(value: Any) -> str:
    """Return a number with as many digits as tell float32 apart."""
    return str(float(f"{float(value):.9g}"))


def store(out: Path, record: dict[str, Any], where: dict[str, Any]) -> None:
    """Put a record into the file, in place of an earlier one of the same things."""
    known = read(out)
    records = [old for old in known["measurements"] if key(old) != key(record)]
    everything = {
        "schema": 1,
        "environments": known["environments"] | {record["environment"]: where},
        "measurements": sorted([*records, record], key=key),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    part.write_text(compact(everything))
    part.replace(out)


def read(out: Path) -> dict[str, Any]:
    """Return what the file holds, or an empty one."""
    known = json.loads(out.read_text()) if out.exists() else {}
    return {"environments": {}, "measurements": []} | known


def key(record: dict[str, Any]) -> tuple[str, ...]:
    """Return what tells a record from others."""
    return tuple(dtype_of(record) if part == "dtype" else record[part] for part in KEY)


def known_already(out: Path, job: Job, place: str) -> bool:
    """Say whether the file holds what a job would measure, or more."""
    wanted = (job.subject.name, place, job.part, job.fmt.name)
    return any(
        old["coverage"] in ("exhaustive", job.coverage)
        for old in read(out)["measurements"]
        if key(old) == wanted
    )


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """Yield what is to be measured, the quickest first."""
    known = subjects()
    chosen = [known[name] for name in options.only or known]
    for name in options.types:
        for subject in chosen:
            if FORMATS[name] is not FLOAT32:
                yield Job(subject, FORMATS[name], scalar=False, sampled=False)
                yield Job(subject, FORMATS[name], scalar=True, sampled=False)
    if FLOAT32.name in options.types:
        for subject in chosen:
            yield Job(subject, FLOAT32, scalar=True, sampled=True)
        for scalar in (False, True) if options.scalar else (False,):
            for subject in chosen:
                yield Job(subject, FLOAT32, scalar, sampled=options.quick)


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
    parser.add_argument("--quick", action="store_true", help="a sample of float32 only")
    parser.add_argument("--scalar", action="store_true", help="all inputs of leftover elements too")
    parser.add_argument("--again", action="store_true", help="measure what is known once more")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these activations only")
    parser.add_argument("--types", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE")
    options = parser.parse_args()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    unknown = sorted(set(options.only or ()) - set(subjects()))
    if unknown:
        parser.error(f"not known: {', '.join(unknown)}; there are {', '.join(subjects())}")
    place, where = environment()
    for job in jobs(options):
        if not options.again and known_already(options.out, job, place):
            continue
        name = job.subject.name
        about = {"activation": name, "environment": place}
        try:
            record = about | measure(job)
        except (tf.errors.OpError, TypeError, ValueError) as error:
            # Some kernels do not exist in a short type: then there is nothing to measure.
            if job.fmt is FLOAT32:
                raise
            say(f"{name}: none in {job.fmt.name}: {str(error).splitlines()[0]}")
            continue
        if job.fmt is FLOAT32 and not job.sampled:
            sample = about | measure(Job(job.subject, job.fmt, job.scalar, sampled=True))
            record["sample_missed"] = sample_missed(sample, record, job.fmt)
        store(options.out, record, where)
        worst = "; ".join(
            f"{'/'.join(one['modes'])} {one['a_ulp']:g} ulp + {one['b_abs']:.3g}"
            for one in record["kernels"]
        )
        say(f"{name}: {job.fmt.name}, {job.coverage}, {record['seconds']} s: {worst}")


if __name__ == "__main__":
    main()
