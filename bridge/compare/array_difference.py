"""How two arrays differ, element by element, in one pass and in constant memory.

Both arrays are read in chunks, in C order whatever their layout, so arrays larger than memory
(``numpy.memmap``) can be compared. A chunk whose bits agree costs a comparison of integers; of the
others only the elements that differ are looked at further, by NumPy where they are few and by
compiled code where they are many. Large arrays are read by several threads. None of this is seen
in the result.

>>> difference(np.float32([1, 2]), np.float32([1, 2.0000002])).max_ulp
1.0
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import ml_dtypes
import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.numbers import float_type
from bridge.compare.chunks import Source, whole_rows
from bridge.compare.result import Difference
from bridge.compare.tally import Tally

if TYPE_CHECKING:
    from bridge.compare.kernel import CompiledTally

#: Elements of a chunk: small enough for the processor's cache, large enough to hide Python.
CHUNK: Final = 1 << 17

#: So many elements are worth the start of a thread, and no memory feeds more than a few threads.
THREADED: Final = 1 << 20
MOST_THREADS: Final = 4

#: So many elements that differ are worth the compiled pass, which takes as long to load as NumPy
#: takes to look at them (``make bench-difference`` measures both).
COMPILED: Final = 1 << 24
_COMPILED_TYPES: Final = tuple(
    map(np.dtype, (np.float16, ml_dtypes.bfloat16, np.float32, np.float64))
)

Progress = Callable[[int, int], None]


def difference(
    a: AnyArray,
    b: AnyArray,
    worst: int = 5,
    *,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Difference:
    """Compare two arrays of one shape.

    Arrays of different types are compared by value; they never have the same bits. -0.0 and 0.0
    have the same value (``different`` 0, 0 ULP) but not the same bits, and so have two NaN of
    different payload. The order of the bytes in memory is no part of a type. ``worst`` elements
    are listed, those that are not finite on one side first, then by |a - b|; equal ones by ULPs
    and then by index. ``progress`` is told the elements done and their total from time to time, and
    at the end, in the thread that called.

    Raises:
        ValueError: the shapes differ.
        TypeError: an array holds no real numbers.
    """
    a, b = np.asanyarray(a), np.asanyarray(b)
    if a.shape != b.shape:
        raise ValueError(f"arrays of shape {a.shape} and {b.shape} cannot be compared by element")
    for array in (a, b):
        float_type(array.dtype)
    work = _Work(a, b, worst, chunk)
    tally = Tally(worst, same_bits=work.one_type)
    if work.threads == 1:
        tally.join(work.share(progress))
    else:
        with ThreadPoolExecutor(work.threads - 1) as pool:
            helpers = [pool.submit(work.share) for _ in range(work.threads - 1)]
            tally.join(work.share(progress))
            for helper in helpers:
                tally.join(helper.result())
    if progress is not None and a.size:
        progress(a.size, a.size)
    return tally.result(a.shape)


class _Work:
    """Two arrays in chunks, of which each thread takes the next one."""

    def __init__(self, a: AnyArray, b: AnyArray, worst: int, chunk: int) -> None:
        self._sources = (Source(a), Source(b))
        self._size, self._worst = a.size, worst
        rows = not (a.flags.c_contiguous and b.flags.c_contiguous)
        self._chunk = whole_rows(a.shape, chunk) if rows else chunk
        self._next = self._done = 0
        self._lock = threading.Lock()
        dtype, other = (source.dtype for source in self._sources)
        self.one_type = dtype == other
        self._can_compile = self.one_type and dtype in _COMPILED_TYPES
        self.threads = min(_cores(), MOST_THREADS) if a.size >= THREADED else 1

    def share(self, progress: Progress | None = None) -> Tally:
        """Do one thread's part of the work and return what it found."""
        tally = Tally(self._worst)
        compiled: CompiledTally | None = None
        a, b = self._sources
        try:
            while (start := self._take()) is not None:
                x, y = a.read(start, start + self._chunk), b.read(start, start + self._chunk)
                if compiled is not None:
                    compiled.add(x, y, start)
                else:
                    unlike = tally.add(x, y, start)
                    left = self._size - start - x.size
                    if self._can_compile and unlike / x.size * left >= COMPILED:
                        compiled = self._compiled_tally()
                done = self._finish(x.size)
                if progress is not None and done < self._size:
                    progress(done, self._size)
        except BaseException:
            self._next = self._size
            raise
        if compiled is not None:
            tally.join(compiled.tally())
        return tally

    def _take(self) -> int | None:
        with self._lock:
            start = self._next
            self._next += self._chunk
        return start if start < self._size else None

    def _finish(self, elements: int) -> int:
        with self._lock:
            self._done += elements
            for source in self._sources:
                source.release(self._done)
            return self._done

    def _compiled_tally(self) -> CompiledTally | None:
        try:
            from bridge.compare.kernel import CompiledTally
        except ImportError:
            # numba is not installed, or refuses a NumPy newer than itself: NumPy finds the same.
            self._can_compile = False
            return None
        return CompiledTally(self._worst)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
