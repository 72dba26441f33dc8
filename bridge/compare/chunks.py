"""An array read in chunks: in C order, in this machine's byte order, from memory or from a file."""

from __future__ import annotations

import mmap
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.numbers import DType

#: Bytes of a file that may be held before their pages are given back.
_HELD: Final = 1 << 25

#: Columns of an array that is not in C order that are read together.
_COLUMNS: Final = 256


class Source:
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
