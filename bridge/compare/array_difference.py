"""How two arrays differ, element by element, in one pass and in constant memory."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import ml_dtypes
import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.numbers import DType, float_type, gaps, is_nan, words
from bridge.compare.result import Difference, Worst

#: Bytes of a file that may be held before their pages are given back.
_HELD: Final = 1 << 25

#: Columns of an array that is not in C order that are read together.
_COLUMNS: Final = 256


class ArrayChunks:
    """One array as chunks of its elements, in C order and in this machine's byte order."""

    def __init__(self, array: AnyArray) -> None:
        """Make ready to read ``array``; nothing is read yet."""
        self._array = np.asarray(array)
        self.dtype: DType = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
        self._flat = self._array.reshape(-1) if array.flags.c_contiguous else None
        self._file: mmap.mmap | None = None
        self._offset = self._released = 0
        # Pages of a file that nobody writes to can be given back: reading brings them again.
        if isinstance(array, np.memmap) and array.mode == "r" and self._flat is not None:
            base = array.base
            if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
                self._file, self._offset = base, array.offset % mmap.ALLOCATIONGRANULARITY

    def read(self, start: int, end: int) -> AnyArray:
        """Return the elements from ``start`` to ``end``, or to the last."""
        if self._flat is not None:
            return np.asarray(self._flat[start:end], self.dtype)
        part = np.empty(min(end, self._array.size) - start, self.dtype)
        _copy(self._array, start, part)
        return part

    def release(self, until: int) -> None:
        """Give back memory that holds the file's elements up to about ``until``."""
        if self._file is None:
            return
        end = self._offset + until * self.dtype.itemsize
        end -= end % mmap.PAGESIZE
        if end - self._released >= _HELD:
            self._file.madvise(mmap.MADV_DONTNEED, self._released, end - self._released)
            self._released = end


def _copy(array: AnyArray, start: int, part: AnyArray) -> None:
    """Fill ``part`` with the elements of ``array`` from the flat index ``start`` on, in C order.

    Whole rows are copied together, and what is left of a row in the same way: where columns lie
    together, as in R, that is several times as fast as ``array.flat``.
    """
    if array.ndim == 1:
        part[:] = array[start : start + part.size]
        return
    row = array[0].size
    first, last = -(-start // row), (start + part.size) // row
    if first > last:
        _copy(array[last], start - last * row, part)
        return
    head, tail = first * row - start, start + part.size - last * row
    if head:
        _copy(array[first - 1], row - head, part[:head])
    if first < last:
        rows = array[first:last]
        whole = part[head : part.size - tail].reshape(rows.shape)
        # Few columns at a time, whose rows then are in the cache.
        for column in range(0, array.shape[-1], _COLUMNS):
            columns = slice(column, column + _COLUMNS)
            whole[..., columns] = rows[..., columns]
    if tail:
        _copy(array[last], 0, part[part.size - tail :])


def whole_rows(shape: tuple[int, ...], most: int) -> int:
    """Return how many elements, not more than ``most``, make whole rows of ``shape``."""
    row = 1
    for length in reversed(shape):
        if row * length > most:
            break
        row *= length
    return most - most % row


# What is known about two arrays after some of their chunks: counts, maxima, the worst elements.

#: An element that differs: -|a - b|, -ULPs, flat index, a, b. The smallest are the worst.
Seen = tuple[float, float, int, float, float]


@dataclass
class Tally:
    """What is known; ``wanted`` is the length of the list of the worst elements."""

    wanted: int
    same_bits: bool = True
    points: int = 0
    different: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    nan: int = 0
    inf: int = 0
    nan_in_both: int = 0
    #: In their order.
    worst: list[Seen] = field(default_factory=list)

    def add(self, x: AnyArray, y: AnyArray, start: int) -> int:
        """Take in one chunk of each array, whose first element has the flat index ``start``.

        Returns how many elements had to be looked at: those whose bits differ.
        """
        self.points += x.size
        nan_in_x = int(np.count_nonzero(is_nan(x)))
        if x.dtype == y.dtype:
            unlike = np.flatnonzero(words(x) != words(y))
            if unlike.size == 0:
                self.nan_in_both += nan_in_x
                return 0
            places = unlike + start
            x, y = x[unlike], y[unlike]
        else:
            places = np.arange(start, start + x.size)
        self.same_bits = False
        nan_x, nan_y = is_nan(x), is_nan(y)
        self.nan_in_both += nan_in_x - int(np.count_nonzero(nan_x & ~nan_y))
        self._unlike(x, y, places, nan_x, nan_y)
        return x.size

    def join(self, other: Tally) -> None:
        """Take in what is known about other chunks."""
        self.same_bits = self.same_bits and other.same_bits
        self.points += other.points
        self.different += other.different
        self.max_abs = max(self.max_abs, other.max_abs)
        self.max_rel = max(self.max_rel, other.max_rel)
        self.max_ulp = max(self.max_ulp, other.max_ulp)
        self.nan += other.nan
        self.inf += other.inf
        self.nan_in_both += other.nan_in_both
        self._note(other.worst)

    def _unlike(
        self, x: AnyArray, y: AnyArray, places: AnyArray, nan_x: AnyArray, nan_y: AnyArray
    ) -> None:
        nan = nan_x ^ nan_y
        infinite = ~(nan_x | nan_y) & (_is_inf(x) | _is_inf(y))
        # Infinities differ unless both are there with the same sign.
        inf = infinite.copy()
        inf[infinite] = x[infinite].astype(np.float64) != y[infinite].astype(np.float64)
        self.nan += int(np.count_nonzero(nan))
        self.inf += int(np.count_nonzero(inf))
        self.different += int(np.count_nonzero(nan)) + int(np.count_nonzero(inf))
        self._note(
            [
                (-np.inf, -np.inf, int(places[at]), float(x[at]), float(y[at]))
                for at in np.flatnonzero(nan | inf)[: max(self.wanted, 0)].tolist()
            ]
        )
        finite = np.flatnonzero(~(nan_x | nan_y | infinite))
        if finite.size:
            self._finite(x[finite], y[finite], places[finite])

    def _finite(self, x: AnyArray, y: AnyArray, places: AnyArray) -> None:
        gap, magnitude, ulp = gaps(x, y)
        apart = int(np.count_nonzero(gap))
        self.different += apart
        if apart == 0:
            return
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            relative = np.where(gap > 0.0, gap / magnitude, 0.0)
        self.max_abs = max(self.max_abs, float(gap.max()))
        self.max_rel = max(self.max_rel, float(relative.max()))
        self.max_ulp = max(self.max_ulp, float(ulp.max()))
        if self.wanted <= 0:
            return
        floor = -self.worst[-1][0] if len(self.worst) >= self.wanted else 0.0
        listed = np.flatnonzero((gap > 0.0) & (gap >= floor))
        if listed.size > self.wanted:
            # All that tie with the last place stay, so that ties are settled by ULPs and index.
            last = np.partition(gap[listed], listed.size - self.wanted)[listed.size - self.wanted]
            listed = listed[gap[listed] >= last]
            order = np.lexsort((places[listed], -ulp[listed], -gap[listed]))
            listed = listed[order[: self.wanted]]
        self._note(
            [
                (-float(gap[at]), -float(ulp[at]), int(places[at]), float(x[at]), float(y[at]))
                for at in listed.tolist()
            ]
        )

    def _note(self, seen: list[Seen]) -> None:
        self.worst = sorted([*self.worst, *seen], key=lambda entry: entry[:3])[
            : max(self.wanted, 0)
        ]

    def result(self, shape: tuple[int, ...]) -> Difference:
        """Return what is known of arrays of ``shape`` as data."""
        return Difference(
            points=self.points,
            same_bits=self.same_bits,
            different=self.different,
            max_abs=self.max_abs,
            max_rel=self.max_rel,
            max_ulp=self.max_ulp,
            nan=self.nan,
            inf=self.inf,
            nan_in_both=self.nan_in_both,
            worst=tuple(
                Worst(index=_index(place, shape), a=x, b=y, ulp=-ulp)
                for _, ulp, place, x, y in self.worst
            ),
        )


def _is_inf(values: AnyArray) -> AnyArray:
    if values.dtype.kind in "biu":
        return np.zeros(values.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isinf(values))


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(part) for part in np.unravel_index(place, shape)) if shape else ()


# How two arrays differ, element by element, in one pass and in constant memory.

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
    are listed, those that are not finite on one side first, then by ``|a - b|``; equal ones by
    ULPs and then by index. ``progress`` is told the elements done and their total from time to
    time, and at the end, in the thread that called.

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
        self._sources = (ArrayChunks(a), ArrayChunks(b))
        self._size, self._worst = a.size, worst
        rows = not (a.flags.c_contiguous and b.flags.c_contiguous)
        self._chunk = whole_rows(a.shape, chunk) if rows else chunk
        self._next = self._done = 0
        self._lock = threading.Lock()
        dtype, other_dtype = (source.dtype for source in self._sources)
        self.one_type = dtype == other_dtype
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
        except BaseException:  # other threads are to stop as well; it is raised again
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
