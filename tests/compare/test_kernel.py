"""Compiled or not, on one thread or several, the numbers are the same; and numba waits its turn."""

from __future__ import annotations

import itertools
import math
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from bridge._typing import AnyArray
from bridge.capsule.numbers import words
from bridge.compare import array_difference as module
from bridge.compare import kernel
from bridge.compare.array_difference import Tally, difference
from bridge.compare.result import Difference
from tests.examples import examples

ROOT = Path(__file__).parents[2]
FLOATS = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32),
          np.dtype(np.float64)]  # fmt: skip

slow_examples = examples(suppress_health_check=[HealthCheck.too_slow])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[AnyArray, AnyArray]:
    """Two arrays of one float type: from few values, so that there are ties, or from all bits."""
    dtype = draw(st.sampled_from(FLOATS))
    word = np.dtype(f"u{dtype.itemsize}")
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(0, 40) | st.integers(0, 3 * kernel._BLOCK))
    every = rng.integers(0, 1 << 8 * dtype.itemsize, size=size, dtype=word, endpoint=False)
    special = [0.0, -0.0, 1.0, -1.0, 1.5, 3.0, np.inf, -np.inf, np.nan]
    few = words(np.array(special).astype(dtype))
    few = np.concatenate([few, np.array([1, 2, few[-1] + 1, few[6] - 1], word)])
    allowed = few[rng.random(few.size) < draw(st.floats(0, 1))]
    a = every if allowed.size == 0 else rng.choice(allowed, size)
    b = a.copy()
    apart = np.flatnonzero(rng.random(size) < draw(st.sampled_from([0.0, 0.01, 0.5, 1.0])))
    how = draw(st.sampled_from(["bits", "one step", "few"]))
    if how == "bits":
        b[apart] = rng.integers(0, 1 << 8 * dtype.itemsize, size=apart.size, dtype=word)
    elif how == "one step":
        b[apart] += word.type(1)
    elif allowed.size:
        b[apart] = rng.choice(allowed, apart.size)
    return a.view(dtype), b.view(dtype)


def as_text(tally: Tally, size: int) -> str:
    return tally.result((size,)).model_dump_json()


@slow_examples
@given(pair=pairs(), wanted=st.integers(0, 7), cuts=st.lists(st.integers(0, 6144), max_size=3))
def test_the_compiled_pass_finds_what_numpy_finds_bit_for_bit(
    pair: tuple[AnyArray, AnyArray], wanted: int, cuts: list[int]
) -> None:
    a, b = pair
    plain, compiled = Tally(wanted), kernel.CompiledTally(wanted)
    edges = sorted({0, a.size, *(cut for cut in cuts if cut < a.size)})
    for start, end in itertools.pairwise(edges):
        plain.add(a[start:end], b[start:end], start)
        compiled.add(a[start:end], b[start:end], start)
    assert as_text(compiled.tally(), a.size) == as_text(plain, a.size)


@slow_examples
@given(pair=pairs(), wanted=st.integers(0, 5))
def test_both_find_what_a_reader_of_the_definition_finds(
    pair: tuple[AnyArray, AnyArray], wanted: int
) -> None:
    a, b = pair[0][:60], pair[1][:60]
    expected = by_definition(a, b, wanted).model_dump_json()
    assert difference(a, b, wanted).model_dump_json() == expected
    compiled = kernel.CompiledTally(wanted)
    compiled.add(a, b, 0)
    assert as_text(compiled.tally(), a.size) == expected


def by_definition(a: AnyArray, b: AnyArray, wanted: int) -> Difference:
    """Count with Python's own numbers, one element after the other."""
    top = 1 << (8 * a.dtype.itemsize - 1)

    def step(word: int) -> int:
        return word if word < top else top - word

    found: dict[str, Any] = {"max_abs": 0.0, "max_rel": 0.0, "max_ulp": 0.0, "nan": 0, "inf": 0,
                             "nan_in_both": 0}  # fmt: skip
    seen = []
    bits_a, bits_b = words(a).tolist(), words(b).tolist()
    for place, (x, y) in enumerate(zip(map(float, a), map(float, b), strict=True)):
        if math.isnan(x) and math.isnan(y):
            found["nan_in_both"] += 1
        elif x == y:
            continue
        elif math.isfinite(x) and math.isfinite(y):
            gap, ulp = abs(x - y), float(abs(step(bits_a[place]) - step(bits_b[place])))
            relative = gap / abs(y) if y else math.inf
            found["max_abs"] = max(found["max_abs"], gap)
            found["max_rel"] = max(found["max_rel"], relative)
            found["max_ulp"] = max(found["max_ulp"], ulp)
            seen.append((-gap, -ulp, place, x, y))
        else:
            found["nan" if math.isnan(x) or math.isnan(y) else "inf"] += 1
            seen.append((-math.inf, -math.inf, place, x, y))
    worst = sorted(seen, key=lambda one: one[:3])[:wanted]
    return Difference(
        points=a.size, same_bits=bits_a == bits_b, different=len(seen), **found,
        worst=[{"index": (p,), "a": x, "b": y, "ulp": -ulp} for _, ulp, p, x, y in worst],
    )  # fmt: skip


@slow_examples
@given(pair=pairs(), chunk=st.integers(1, 3000), threads=st.integers(1, 4), many=st.booleans())
def test_threads_and_compiled_code_are_not_seen_in_the_result(
    pair: tuple[AnyArray, AnyArray], chunk: int, threads: int, many: bool
) -> None:
    a, b = pair
    expected = difference(a, b).model_dump_json()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "THREADED", 0)
        patch.setattr(module, "COMPILED", 0 if many else 1 << 62)
        patch.setattr(module, "_cores", lambda: threads)
        assert difference(a, b, chunk=chunk).model_dump_json() == expected


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_gap_that_grows_shrinks_or_stays_lists_the_right_ones(dtype: np.dtype[Any]) -> None:
    size = 5 * kernel._BLOCK
    zeros = np.zeros(size, dtype)
    up = (np.arange(size) // 50 + 1).astype(dtype)
    for values in (up, up[::-1].copy(), np.ones(size, dtype)):
        plain, compiled = Tally(4), kernel.CompiledTally(4)
        plain.add(zeros, values, 0)
        compiled.add(zeros, values, 0)
        assert as_text(compiled.tally(), size) == as_text(plain, size)


def test_of_gaps_that_tie_the_one_of_more_steps_is_found_in_a_later_block() -> None:
    size = 3 * kernel._BLOCK
    a = np.full(size, 1024.0, np.float32)
    b = a + np.float32(0.5)
    a[-3], b[-3] = 0.0, 0.5
    compiled = kernel.CompiledTally(2)
    compiled.add(a, b, 0)
    assert [one[2] for one in compiled.tally().worst] == [size - 3, 0]


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


BEGIN = """
import sys
import numpy as np
from bridge.compare.array_difference import COMPILED, difference
"""


def test_where_the_bits_agree_or_little_is_to_do_numba_is_not_loaded() -> None:
    assert run(
        BEGIN + "a = np.zeros(2 * COMPILED, np.float32)\n"
        "difference(a, a)\n"
        "a, b = np.zeros(1 << 18), np.ones(1 << 18)\n"
        "difference(a, b)\n"
        "print('numba' in sys.modules)"
    ) == "False"  # fmt: skip


DENSE = (
    BEGIN + "a, b = np.zeros((2, COMPILED + (1 << 19)), np.float32)\n"
    "b += 1\n"
    "found = difference(a, b)\n"
    "print('numba' in sys.modules, found.different == found.points, found.worst[4].index)"
)


@pytest.mark.slow
def test_where_much_is_to_do_numba_is_loaded() -> None:
    assert run(DENSE) == "True True (4,)"


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """Return a folder with a package in which numba can keep nothing.

    A file where a folder should be stops root as well, whom permissions do not.
    """
    shutil.copytree(
        ROOT / "bridge", tmp_path / "bridge", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "bridge" / "compare" / "__pycache__").touch()
    return tmp_path


@pytest.mark.slow
def test_an_installation_that_cannot_be_written_is_compiled_into_the_users_cache(
    installation: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    assert run(DENSE, PYTHONPATH=str(installation), XDG_CACHE_HOME=str(cache)) == "True True (4,)"
    assert list(cache.rglob("kernel*.nbc"))


@pytest.mark.slow
def test_where_nothing_can_be_written_it_is_compiled_all_the_same(
    installation: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    environment = {"PYTHONPATH": str(installation), "XDG_CACHE_HOME": str(tmp_path / "taken")}
    assert run(DENSE, **environment) == "True True (4,)"


@pytest.mark.slow
def test_on_a_full_disk_it_is_compiled_all_the_same(installation: Path, tmp_path: Path) -> None:
    full = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    )
    environment = {"PYTHONPATH": str(installation), "XDG_CACHE_HOME": str(tmp_path)}
    assert run(full + DENSE, **environment) == "True True (4,)"


def test_without_numba_numpy_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    a = np.linspace(0, 1, 5000, dtype=np.float32)
    b = a[::-1].copy()
    expected = difference(a, b)
    monkeypatch.setattr(module, "COMPILED", 0)
    monkeypatch.setitem(sys.modules, "bridge.compare.kernel", None)
    assert difference(a, b, chunk=100) == expected


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "u8"])
def test_the_order_of_the_bytes_is_no_part_of_a_type(dtype: str) -> None:
    little = np.arange(1, 9).astype(f"<{dtype}")
    big = np.roll(little, 1).astype(f">{dtype}")
    expected = difference(little, np.roll(little, 1))
    assert difference(little, big) == expected
    assert difference(little.astype(f">{dtype}"), big) == expected
    assert difference(big, np.roll(little, 1)).same_bits


def test_progress_is_told_in_the_thread_that_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "THREADED", 0)
    monkeypatch.setattr(module, "_cores", lambda: 3)
    told: list[tuple[int, int]] = []
    threads: set[int] = set()

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        threads.add(threading.get_ident())

    values = np.zeros(10_000)
    difference(values, values, chunk=10, progress=progress)
    assert told == sorted(set(told))
    assert told[-1] == (10_000, 10_000)
    assert threads == {threading.get_ident()}


def test_what_stops_one_thread_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "THREADED", 0)
    monkeypatch.setattr(module, "_cores", lambda: 2)

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    values = np.zeros(1 << 20)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        difference(values, values, chunk=10, progress=stop)
    assert threading.active_count() == before


def test_the_pages_of_files_are_given_back(tmp_path: Path) -> None:
    size = 1 << 25
    for name in "ab":
        np.memmap(tmp_path / name, np.float32, "w+", shape=(size,)).flush()
    grown = run(
        BEGIN
        + "import resource\n"
        f"a, b = (np.memmap(name, np.float32, 'r', shape=({size},)) for name in 'ab')\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "assert difference(a, b).points == a.size\n"
        "print(peak() - before)".replace("'ab'", repr([str(tmp_path / n) for n in "ab"]))
    )
    per_kib = 1024 if sys.platform == "darwin" else 1
    assert int(grown) / per_kib < 2 * size * 4 / 1024 / 2


@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    axes=st.randoms(use_true_random=False),
    chunk=st.integers(1, 40),
    reverse=st.booleans(),
)
def test_any_layout_is_read_in_c_order(
    shape: list[int], axes: random.Random, chunk: int, reverse: bool
) -> None:
    order = list(range(len(shape)))
    axes.shuffle(order)
    array = np.zeros([shape[axis] for axis in np.argsort(order)]).transpose(order)
    assert array.shape == tuple(shape)
    array[...] = np.arange(array.size).reshape(shape)
    if reverse:
        array = array[::-1]
    found = difference(array, np.ascontiguousarray(array), chunk=chunk)
    assert found == Difference(points=array.size, same_bits=True)


def test_wide_rows_that_lie_apart_are_read_in_c_order() -> None:
    array = np.arange(4 * 1000).reshape(4, 1000)
    found = difference(np.asfortranarray(array), array, chunk=2100)
    assert found == Difference(points=4000, same_bits=True)
