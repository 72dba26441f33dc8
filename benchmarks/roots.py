"""Measures how far TensorFlow's float32 reciprocal square root is from the function.

    python benchmarks/roots.py [--quick] [--scalar] [--isa NAME] [--out FILE]

Normalisation divides by a square root, and TensorFlow does so with approximations: an estimate of
the processor, made better by one step of Newton's method. For every way in which a layer reaches
the kernel and every positive normal float32 number z, the result is compared with 1/sqrt(z) in
float64. What is kept is the largest relative error and the input that reached it (see
:mod:`bridge.rounding.rules.arithmetic`).

The ways ("modes"):

``eager``, ``graph``, ``xla``  ``tf.math.rsqrt``;
``fused-eager``, ``fused-graph``, ``fused-xla``  the root inside ``FusedBatchNormV3`` at inference,
    which ``tf_keras`` uses for images: with an input of one, a mean and an epsilon of zero it
    returns the root alone;
``scalar``    tensors of seven elements: shorter than a vector register. Measured by itself, with
              ``--scalar``, because it takes as long as all the others together.

``--quick`` tries every number of [1, 4), one period of the function, instead of all normal ones.
``--isa`` keeps XLA and oneDNN from using more of the processor than the name says (SSE4_2, AVX,
AVX2). One thread; run it under ``nice``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  (the folder is put where Python looks first)

from benchmarks.activations import compact, environment, say  # noqa: E402
from bridge.runs.activation_measurement import CHUNK, Mode, executed, scalar_mode  # noqa: E402

OUT: Final = ROOT / "bridge" / "rounding" / "data" / "roots.json"
FIRST_NORMAL: Final = 0x00800000
INFINITE: Final = 0x7F800000
ONE: Final = 0x3F800000
FOUR: Final = 0x40800000

F32 = np.ndarray[Any, np.dtype[np.float32]]
U32 = np.ndarray[Any, np.dtype[np.uint32]]


@dataclass
class Worst:
    """The largest relative error of a mode so far, and the bits of the input that reached it."""

    relative: float = 0.0
    at: int = 0

    def take(self, y: F32, true: Any, bits: U32) -> None:
        """Take in the results ``y`` for the inputs ``bits``."""
        error = np.abs(y.astype(np.float64) / true - 1.0)
        error[~np.isfinite(error)] = np.inf
        place = int(error.argmax())
        if error[place] > self.relative:
            self.relative, self.at = float(error[place]), int(bits[place])


def modes(scalar: bool) -> dict[str, Mode]:
    """Return the ways to run the kernel, as functions of NumPy arrays of CHUNK elements."""
    import tensorflow as tf

    if scalar:
        return {"scalar": scalar_mode(tf.math.rsqrt)}
    one, zero = (tf.constant(np.full(CHUNK, number, np.float32)) for number in (1.0, 0.0))
    ones = tf.reshape(one, [1, 1, 1, CHUNK])

    def fused(z: Any) -> Any:
        return tf.compat.v1.nn.fused_batch_norm(
            ones, one, zero, zero, z, epsilon=0.0, is_training=False
        )[0]

    spec = [tf.TensorSpec([CHUNK], tf.float32)]
    found: dict[str, Mode] = {}

    def add(name: str, kernel: Callable[[Any], Any]) -> None:
        found[name] = lambda x: kernel(tf.constant(x)).numpy().ravel()

    for prefix, kernel in (("", tf.math.rsqrt), ("fused-", fused)):
        add(prefix + "eager", kernel)
        add(prefix + "graph", tf.function(kernel, input_signature=spec))
        add(prefix + "xla", tf.function(kernel, input_signature=spec, jit_compile=True))
    return found


def inputs(quick: bool) -> Iterator[U32]:
    """Yield the bits of the numbers to try, in order."""
    first, last = (ONE, FOUR) if quick else (FIRST_NORMAL, INFINITE)
    for start in range(first, last, CHUNK):
        yield np.arange(start, start + CHUNK, dtype=np.uint32)


def measure(quick: bool, scalar: bool) -> dict[str, Any]:
    """Measure the reciprocal square root in every mode and return the record for the file."""
    begun = said = time.monotonic()
    kernels = modes(scalar)
    ops = {mode: executed(kernel) for mode, kernel in kernels.items()}
    worst = {mode: Worst() for mode in kernels}
    count = 0
    for bits in inputs(quick):
        count += bits.size
        x = bits.view(np.float32)
        true = 1.0 / np.sqrt(x.astype(np.float64))
        for mode, kernel in kernels.items():
            worst[mode].take(kernel(x), true, bits)
        if time.monotonic() - said > 30.0:
            said = time.monotonic()
            say(f"rsqrt: {bits[0]:#010x}, {said - begun:.0f} s")
    return {
        "function": "rsqrt",
        "part": "scalar" if scalar else "vector",
        "coverage": "period" if quick else "exhaustive",
        "inputs": count,
        "seconds": round(time.monotonic() - begun, 1),
        "kernels": [
            {
                "mode": mode,
                "executed": {} if mode.endswith("eager") else ops[mode],
                "max_relative": each.relative,
                "max_relative_at": f"{each.at:#010x}",
            }
            for mode, each in worst.items()
        ],
    }


def store(out: Path, record: dict[str, Any], where: dict[str, Any]) -> None:
    """Put a record into the file, in place of an earlier one of the same things."""
    known = json.loads(out.read_text()) if out.exists() else {}
    same = ("function", "environment", "part")
    records = known.get("measurements", [])
    kept = [old for old in records if any(old[part] != record[part] for part in same)]
    everything = {
        "schema": 1,
        "environments": known.get("environments", {}) | {record["environment"]: where},
        "measurements": sorted([*kept, record], key=lambda one: [one[part] for part in same]),
    }
    part = out.with_suffix(".part")
    part.write_text(compact(everything))
    part.replace(out)


def main() -> None:
    """Measure what was asked for and store it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one period of the function only")
    parser.add_argument("--scalar", action="store_true", help="the loop over leftover elements")
    parser.add_argument("--isa", choices=("SSE4_2", "AVX", "AVX2"), help="the most to be used")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE")
    options = parser.parse_args()
    if options.isa:
        os.environ["XLA_FLAGS"] = f"--xla_cpu_max_isa={options.isa}"
        os.environ["ONEDNN_MAX_CPU_ISA"] = {"SSE4_2": "SSE41"}.get(options.isa, options.isa)

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    place, where = environment()
    if options.isa:
        place, where = f"{place}-max-{options.isa.lower()}", where | {"max_isa": options.isa}
    record = {"environment": place} | measure(options.quick, options.scalar)
    store(options.out, record, where)
    for kernel in record["kernels"]:
        units = kernel["max_relative"] * 2.0**24
        say(f"{kernel['mode']}: {units:.4f} units of 2^-24 at {kernel['max_relative_at']}")


if __name__ == "__main__":
    main()
