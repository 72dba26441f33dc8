"""Comparing two arrays: our one pass beside the same metrics in whole-array NumPy.

``make bench-difference`` writes ``benchmarks/DIFFERENCE.md``; with ``QUICK=1`` the arrays are small
and the page is only printed. Every measurement is a process of its own, so that its peak memory is
its own, and the two ways take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bridge.compare import array_difference as module  # noqa: E402
from bridge.compare.array_difference import difference  # noqa: E402

F32 = np.ndarray[Any, np.dtype[np.float32]]

QUICK: Final = os.environ.get("QUICK", "") not in ("", "0")
ROUNDS: Final = int(os.environ.get("ROUNDS", "3"))
SIZE: Final = 1_000_000 if QUICK else 100_000_000
FILE_SIZE: Final = 1_000_000_000
#: Elements made at a time, so that making the arrays needs no memory besides them.
PART: Final = 1 << 20
PLANTED: Final = 987_654_321
WORST: Final = 5
WANTED: Final = 5.0
GIB: Final = 2**30
MIB: Final = 2**20

REGIMES: Final = {
    "all bits equal": 0.0,
    "0.1 % differ": 0.001,
    "10 % differ": 0.1,
    "all differ": 1.0,
}


CLOCKS: Final = (
    "By the clock",
    "In processor seconds, all threads together",
    "In processor seconds, without the system's",
)


def make(size: int, share: float) -> tuple[F32, F32]:
    """Return standard normal numbers, and the same with ``share`` of them 1 to 64 ULP away."""
    rng = np.random.default_rng(7)
    a, b = np.empty(size, np.float32), np.empty(size, np.float32)
    for start in range(0, size, PART):
        x, y = a[start : start + PART], b[start : start + PART]
        rng.standard_normal(dtype=np.float32, out=x)
        y[:] = x
        steps = rng.integers(1, 65, x.size, dtype=np.uint32)
        y.view(np.uint32)[:] += np.where(rng.random(x.size) < share, steps, 0).astype(np.uint32)
    return a, b


def whole_arrays(a: F32, b: F32) -> dict[str, Any]:
    """Return the metrics of ``difference``, written with whole arrays and no wasted pass.

    Fair: results are written into arrays that are there already, and of the worst elements those
    that tie with the last one are not settled, as ``argpartition`` leaves them.
    """
    bits_a, bits_b = a.view(np.int32), b.view(np.int32)
    same_bits = np.array_equal(bits_a, bits_b)
    nan_a, nan_b = np.isnan(a), np.isnan(b)
    nan_in_both, nan = np.count_nonzero(nan_a & nan_b), np.count_nonzero(nan_a ^ nan_b)
    odd = ~(np.isfinite(a) & np.isfinite(b))
    inf = np.count_nonzero(odd & ~nan_a & ~nan_b & (a != b))
    gap, magnitude = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        np.subtract(gap, magnitude, out=gap)
    np.abs(gap, out=gap)
    gap[odd] = 0.0
    np.abs(magnitude, out=magnitude)
    apart = gap > 0.0
    different = nan + inf + np.count_nonzero(apart)
    with np.errstate(divide="ignore"):
        np.divide(gap, magnitude, out=magnitude, where=apart)
    max_rel = magnitude.max(initial=0.0, where=apart)
    # Negative floats in the order of their numbers, as integers.
    ulp = np.where(bits_a < 0, np.int64(-(2**31)) - bits_a, bits_a)
    ulp -= np.where(bits_b < 0, np.int64(-(2**31)) - bits_b, bits_b)
    np.abs(ulp, out=ulp)
    ulp[odd] = 0
    max_abs = gap.max()
    gap[odd & (bits_a != bits_b) & ~(nan_a & nan_b)] = np.inf
    found = np.argpartition(gap, gap.size - WORST)[-WORST:]
    found = found[np.lexsort((found, -ulp[found], -gap[found]))]
    found = found[gap[found] > 0.0]
    return {
        "points": a.size,
        "same_bits": bool(same_bits),
        "different": int(different),
        "max_abs": float(max_abs),
        "max_rel": float(max_rel),
        "max_ulp": float(ulp.max()),
        "nan": int(nan),
        "inf": int(inf),
        "nan_in_both": int(nan_in_both),
        "worst": gap[found].tolist(),
    }


def one_pass(a: F32, b: F32) -> dict[str, Any]:
    """Return the metrics as ``difference`` finds them."""
    found = difference(a, b, WORST)
    return found.model_dump() | {"worst": [abs(each.a - each.b) for each in found.worst]}


WAYS: Final[dict[str, Callable[[F32, F32], dict[str, Any]]]] = {
    "whole arrays": whole_arrays,
    "one pass": one_pass,
}


def peak() -> int:
    """Return the most memory that this process held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def timed(work: Callable[[], Any]) -> tuple[list[float], Any]:
    """Return what ``work`` takes by each of CLOCKS, in seconds, and what it returns."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    found = work()
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return [seconds, user + system, user], found


# --- what a process of its own does -------------------------------------------------------------


def measure(way: str, regime: str) -> dict[str, Any]:
    """Measure one way in one regime: the first call of a process, and ours once more."""
    a, b = make(SIZE, REGIMES[regime])
    before = peak()
    first, found = timed(lambda: WAYS[way](a, b))
    measured = {"first": first, "memory": peak() - before, "found": found}
    if way == "one pass":
        measured["again"], _ = timed(lambda: one_pass(a, b))
        measured["equal"], _ = timed(lambda: np.array_equal(a, b))
    return measured


def measure_load() -> dict[str, Any]:
    """Measure the load of the compiled pass, and what NumPy takes for an element that differs."""

    def load() -> None:
        from bridge.compare.kernel import CompiledTally

        CompiledTally(WORST).add(np.zeros(1, np.float32), np.ones(1, np.float32), 0)

    module.COMPILED = 1 << 62
    measured = {}
    for name, share in (("few", 0.1), ("many", 1.0)):
        a, b = make(min(SIZE, 10_000_000), share)
        seconds, found = timed(lambda a=a, b=b: difference(a, b, WORST))  # type: ignore[misc]
        measured[name] = [each / found.different for each in seconds]
    measured["load"], _ = timed(load)
    return measured


def measure_files(folder: str) -> dict[str, Any]:
    """Measure the comparison of two files."""
    a, b = (np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in "ab")
    told: list[int] = []
    before = peak()
    seconds, found = timed(lambda: difference(a, b, progress=lambda done, _: told.append(done)))
    assert found.points == found.different == told[-1] == FILE_SIZE
    assert found.worst[0].index == (PLANTED,)
    return {"seconds": seconds, "memory": peak() - before, "told": len(told)}


def child(*words: str, **environment: str) -> dict[str, Any]:
    """Return what a new process measured."""
    done = subprocess.run(
        [sys.executable, __file__, *words],
        env=os.environ | environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


# --- the whole ----------------------------------------------------------------------------------


def say(what: str) -> None:
    """Say what is being done."""
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and write the page."""
    if len(sys.argv) > 1:
        what, *words = sys.argv[1:]
        jobs: dict[str, Callable[..., dict[str, Any]]] = {
            "measure": measure,
            "load": measure_load,
            "files": measure_files,
        }
        print(json.dumps(jobs[what](*words)))
        return
    with tempfile.TemporaryDirectory() as empty:
        say("the first time on a machine")
        anew = child("load", NUMBA_CACHE_DIR=empty)
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    child("load")
    loads = []
    for turn in range(ROUNDS):
        for regime in REGIMES:
            for way in WAYS:
                say(f"round {turn + 1} of {ROUNDS}: {regime}, {way}")
                measured.setdefault((regime, way), []).append(child("measure", way, regime))
        loads.append(child("load"))
    for regime in REGIMES:
        found = [measured[regime, way][0]["found"] for way in ("whole arrays", "one pass")]
        assert found[0] == found[1], (regime, found)
    page = "\n".join([*head(), *table(measured), *loading(loads, anew), *files(), ""])
    print(page)
    if not QUICK:
        (Path(__file__).parent / "DIFFERENCE.md").write_text(page)


def median(runs: list[dict[str, Any]], key: str, clock: int = 0) -> float:
    """Return the median of what several runs measured, by the clock or by the processor's."""
    found = [run[key] for run in runs]
    return statistics.median(each[clock] if isinstance(each, list) else each for each in found)


def head() -> list[str]:
    """Say what was measured."""
    return [
        "# Comparing two arrays",
        "",
        "`make bench-difference` wrote this page: `bridge.difference` beside the same metrics in",
        f"whole-array NumPy, on {SIZE:,} float32 elements, {ROUNDS} rounds in turn, every",
        f"measurement in a process of its own. {os.cpu_count()} cores, Python",
        f"{platform.python_version()}, NumPy {np.__version__}. Medians; the results were the same.",
        "",
    ]


def table(measured: dict[tuple[str, str], list[dict[str, Any]]]) -> list[str]:
    """Return the tables of the regimes, and what they come to."""
    lines = []
    least = []
    for clock, title in enumerate(CLOCKS):
        lines += [
            f"## {title}",
            "",
            "| regime | whole arrays | one pass | ratio | called again | ratio "
            "| `np.array_equal` alone |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for regime in REGIMES:
            whole, ours = (measured[regime, way] for way in WAYS)
            numpy = median(whole, "first", clock)
            times = [median(ours, key, clock) for key in ("first", "again", "equal")]
            ratios = [numpy / seconds if seconds else np.inf for seconds in times]
            least.append((min(ratios[:2]), f"{regime}, {title[0].lower()}{title[1:]}"))
            lines.append(
                f"| {regime} | {numpy:.3g} s | {times[0]:.3g} s | **{ratios[0]:.1f}** "
                f"| {times[1]:.3g} s | **{ratios[1]:.1f}** | {times[2]:.3g} s |"
            )
        lines.append("")
    lines += [
        "The first ratio is of the first call in a process, which loads the compiled pass where",
        "many elements differ; the second of the next call. The system's seconds go into finding",
        "fresh memory, of which whole arrays need much. Least of all ratios:",
        f"**{min(least)[0]:.1f}** ({min(least)[1]}; wanted: at least {WANTED:.0f} by the clock).",
        "",
        "## Memory",
        "",
        f"What the first call needed besides the two arrays ({2 * 4 * SIZE / MIB:,.0f} MiB): "
        "NumPy's grows",
        "with the arrays, ours does not. The compiled pass comes with a compiler.",
        "",
        "| regime | whole arrays | one pass |",
        "| --- | ---: | ---: |",
    ]
    for regime in REGIMES:
        whole, ours = (measured[regime, way] for way in WAYS)
        lines.append(
            f"| {regime} | {median(whole, 'memory') / MIB:,.0f} MiB "
            f"| {median(ours, 'memory') / MIB:,.0f} MiB |"
        )
    return [*lines, ""]


def loading(loads: list[dict[str, Any]], anew: dict[str, Any]) -> list[str]:
    """Say from how many elements on the compiled pass pays."""
    load, few, many = (median(loads, key, 1) for key in ("load", "few", "many"))
    return [
        "## From when on the compiled pass pays",
        "",
        f"Loading it takes {load:.2f} processor seconds, and {anew['load'][1]:.1f} the first time "
        "on a machine.",
        f"In {load:.2f} s NumPy looks at {load / few / 1e6:.0f} million elements that differ where "
        f"one in ten does ({few * 1e9:.0f} ns each),",
        f"at {load / many / 1e6:.0f} million where all do ({many * 1e9:.0f} ns each); "
        f"`bridge.compare.array_difference.COMPILED` is {module.COMPILED / 1e6:.0f} million.",
        "",
    ]


def files() -> list[str]:
    """Compare two files, and say how it went."""
    title = ["## Files larger than memory need", ""]
    if QUICK:
        return [*title, "Not measured: QUICK=1."]
    (ROOT / "build").mkdir(exist_ok=True)
    free = shutil.disk_usage(ROOT / "build").free
    if free < 12 * GIB:
        return [*title, f"Not measured: 12 GiB of disk are needed and {free / GIB:.0f} are free."]
    folder = Path(tempfile.mkdtemp(prefix="bench-difference-", dir=ROOT / "build"))
    try:
        say("writing two files")
        write(folder)
        say("comparing them, from the disk")
        drop(folder)
        cold = child("files", str(folder))
        say("comparing them again")
        warm = child("files", str(folder))
    finally:
        shutil.rmtree(folder)
    return [
        *title,
        f"Two `.npy` files of {FILE_SIZE:,} float32 elements (4 GB each), of which all differ:",
        f"**{cold['seconds'][0]:.1f} s** when neither was in the system's cache "
        f"({cold['seconds'][1]:.1f} processor seconds),",
        f"**{warm['seconds'][0]:.1f} s** right after ({warm['seconds'][1]:.1f}).",
        f"The process grew by {cold['memory'] / MIB:,.0f} and {warm['memory'] / MIB:,.0f} MiB, "
        "pages of the files included,",
        f"and progress was told {cold['told']:,} times. Whole-array NumPy would need some "
        f"{FILE_SIZE * 8 * 5 / GIB:,.0f} GiB.",
    ]


def write(folder: Path) -> None:
    """Write two files whose elements all differ, the worst at a known place."""
    rng = np.random.default_rng(7)
    paths = [folder / "a.npy", folder / "b.npy"]
    with paths[0].open("wb") as file_a, paths[1].open("wb") as file_b:
        header: Any = {"descr": "<f4", "fortran_order": False, "shape": (FILE_SIZE,)}
        for file in (file_a, file_b):
            np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, FILE_SIZE, PART):
            x = rng.standard_normal(min(PART, FILE_SIZE - start), dtype=np.float32)
            y = x.copy()
            y.view(np.uint32)[:] += rng.integers(1, 65, x.size, dtype=np.uint32)
            if start <= PLANTED < start + x.size:
                y[PLANTED - start] += 1000.0
            file_a.write(x.tobytes())
            file_b.write(y.tobytes())


def drop(folder: Path) -> None:
    """Have the system forget what it holds of the files."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
