"""The element pass as machine code, for arrays of one float type of which many elements differ.

It finds what ``Tally`` of :mod:`bridge.compare.array_difference` finds, bit for bit. Importing this
module loads numba: that and the first call take half a second, and some seconds the first time on a
machine, when the pass is compiled. ``difference`` of that module does so only where it pays.

The pass sees a number twice: as a value, float32 or float64, and as the word of its bits, from
which NaN, the infinities and the steps between two numbers are read. float16 and bfloat16 come as
float32 values with their own bits in a wider word. All that numba compiles stands in this one file:
numba keeps what it compiled until the file changes, and knows of no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.numbers import words
from bridge.compare.array_difference import Tally

#: Elements looked at together, twice: small enough for the processor's first cache.
_BLOCK: Final = 2048

# Places in the array of counts, in that of maxima, and rows of the array of the worst.
_DIFFERENT, _NAN, _INF, _NAN_IN_BOTH, _UNLIKE, _LISTED = range(6)
_ABS, _REL, _ULP, _TIED = range(4)
_GAP, _STEPS, _A, _B = range(4)

_njit: Callable[..., Any] = numba.njit(nogil=True, error_model="numpy")


def _kept(function: Callable[..., Any]) -> Any:
    """Compile ``function`` and keep it beside this file, else in the user's cache, else nowhere."""
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:
        # There is no folder that numba may write to.
        return _njit(function)


@_njit
def _glance(wx: AnyArray, wy: AnyArray, sign: Any) -> Any:
    """Return the bits that differ in any element, and the largest word but for its sign."""
    word = wx.dtype.type
    low = word(sign - word(1))
    unlike = word(0)
    top = word(0)
    for i in range(wx.size):
        unlike |= wx[i] ^ wy[i]
        top = max(top, word(wx[i] & low), word(wy[i] & low))
    return unlike, top


@_njit
def _finite(
    wx: AnyArray, wy: AnyArray, vx: AnyArray, vy: AnyArray, sign: Any, infinity: Any, tie: Any
) -> Any:
    """Return how many elements differ, and the largest |x - y|, |x - y| / |y| and steps.

    A fourth maximum is of the steps where |x - y| is ``tie``. Elements that are not finite are
    passed over. Written without branches, so that several elements are done at once. Floats that
    are not negative are in the order of their bits, and a processor has a maximum of integers.
    """
    word = wx.dtype.type
    low = word(sign - word(1))
    different: Any = 0
    max_abs = np.int64(0)
    max_rel = np.int64(0)
    max_ulp = word(0)
    max_tied = word(0)
    for i in range(wx.size):
        low_x = word(wx[i] & low)
        low_y = word(wy[i] & low)
        finite = max(low_x, low_y) < infinity
        x = np.float64(vx[i])
        y = np.float64(vy[i])
        gap = np.float64(abs(x - y) if finite else 0.0)
        relative = np.float64(gap / abs(y) if gap > 0.0 else 0.0)
        along = word(low_x - low_y) if low_x > low_y else word(low_y - low_x)
        across = word(low_x + low_y)
        different += gap > 0.0
        max_abs = max(max_abs, gap.view(np.int64))
        max_rel = max(max_rel, relative.view(np.int64))
        steps = across if word(wx[i] ^ wy[i]) >= sign else along
        steps = steps if finite else word(0)
        max_ulp = max(max_ulp, steps)
        max_tied = max(max_tied, steps if gap == tie else word(0))
    found = np.empty(4, np.int64)
    found[_ABS] = max_abs
    found[_REL] = max_rel
    maxima = found.view(np.float64)
    maxima[_ULP] = max_ulp
    maxima[_TIED] = max_tied
    return different, maxima


@_njit
def _steps(left: Any, right: Any, sign: Any) -> Any:
    """Return the steps between the numbers of two words."""
    low_x = left & (sign - type(sign)(1))
    low_y = right & (sign - type(sign)(1))
    if (left ^ right) >= sign:
        return np.float64(low_x + low_y)
    return np.float64(max(low_x, low_y) - min(low_x, low_y))


@_njit
def _worse(gap: Any, ulp: Any, place: Any, worst: AnyArray, places: AnyArray, at: Any) -> Any:
    """Say whether an element goes before the one that is listed ``at`` a place."""
    if gap != worst[_GAP, at]:
        return gap > worst[_GAP, at]
    if ulp != worst[_STEPS, at]:
        return ulp > worst[_STEPS, at]
    return place < places[at]


@_njit
def _note(
    gap: Any, ulp: Any, place: Any, x: Any, y: Any,
    counts: AnyArray, worst: AnyArray, places: AnyArray,
) -> None:  # fmt: skip
    """Put an element into the list of the worst, if it belongs there."""
    at = counts[_LISTED]
    if at < places.size:
        counts[_LISTED] += 1
    elif at > 0 and _worse(gap, ulp, place, worst, places, at - 1):
        at -= 1
    else:
        return
    while at > 0 and _worse(gap, ulp, place, worst, places, at - 1):
        for row in range(4):
            worst[row, at] = worst[row, at - 1]
        places[at] = places[at - 1]
        at -= 1
    worst[_GAP, at] = gap
    worst[_STEPS, at] = ulp
    worst[_A, at] = x
    worst[_B, at] = y
    places[at] = place


@_njit
def _not_finite(
    wx: AnyArray, wy: AnyArray, vx: AnyArray, vy: AnyArray, sign: Any, infinity: Any, start: Any,
    counts: AnyArray, worst: AnyArray, places: AnyArray,
) -> None:  # fmt: skip
    """Take in the elements of a block that are not finite."""
    word = wx.dtype.type
    low = word(sign - word(1))
    nan = 0
    inf = 0
    nan_in_both = 0
    for i in range(wx.size):
        low_x = word(wx[i] & low)
        low_y = word(wy[i] & low)
        larger = max(low_x, low_y)
        if larger < infinity:
            continue
        if min(low_x, low_y) > infinity:
            nan_in_both += 1
            continue
        if larger > infinity:
            nan += 1
        elif wx[i] != wy[i]:
            inf += 1
        else:
            continue
        # They come in the order of their indices: none goes before another.
        last = counts[_LISTED] - 1
        if last + 1 < places.size or (last >= 0 and worst[_STEPS, last] < np.inf):
            x = np.float64(vx[i])
            y = np.float64(vy[i])
            _note(np.inf, np.inf, start + i, x, y, counts, worst, places)
    counts[_NAN] += nan
    counts[_INF] += inf
    counts[_NAN_IN_BOTH] += nan_in_both
    counts[_DIFFERENT] += nan + inf


@_njit
def _list_worst(
    wx: AnyArray, wy: AnyArray, vx: AnyArray, vy: AnyArray, sign: Any, infinity: Any, start: Any,
    counts: AnyArray, worst: AnyArray, places: AnyArray,
) -> None:  # fmt: skip
    """List the worst of a block's finite elements.

    From its end: of gaps that grow with the index only the last ones are listed.
    """
    word = wx.dtype.type
    low = word(sign - word(1))
    for i in range(wx.size - 1, -1, -1):
        if max(word(wx[i] & low), word(wy[i] & low)) >= infinity:
            continue
        x = np.float64(vx[i])
        y = np.float64(vy[i])
        gap = abs(x - y)
        listed = counts[_LISTED]
        if gap > 0.0 and (listed < places.size or gap >= worst[_GAP, listed - 1]):
            ulp = _steps(wx[i], wy[i], sign)
            _note(gap, ulp, start + i, x, y, counts, worst, places)


@_kept
def _take(
    wx: AnyArray, wy: AnyArray, vx: AnyArray, vy: AnyArray, sign: Any, infinity: Any, start: Any,
    counts: AnyArray, maxima: AnyArray, worst: AnyArray, places: AnyArray,
) -> None:  # fmt: skip
    """Take in a chunk, whose first element has the flat index ``start``."""
    for first in range(0, wx.size, _BLOCK):
        end = min(first + _BLOCK, wx.size)
        bx, by = wx[first:end], wy[first:end]
        ux, uy = vx[first:end], vy[first:end]
        place = start + first
        unlike, top = _glance(bx, by, sign)
        if unlike != 0:
            counts[_UNLIKE] = 1
        elif top <= infinity:
            continue
        if top >= infinity:
            _not_finite(bx, by, ux, uy, sign, infinity, place, counts, worst, places)
        last = counts[_LISTED] - 1
        full = last + 1 == places.size
        tie = worst[_GAP, last] if full and last >= 0 else np.inf
        different, largest = _finite(bx, by, ux, uy, sign, infinity, tie)
        counts[_DIFFERENT] += different
        for which in range(3):
            maxima[which] = max(maxima[which], largest[which])
        if different == 0 or places.size == 0:
            continue
        # Of two with one gap and the same steps the earlier is worse, and chunks come in order.
        if not full or largest[_ABS] > tie or largest[_TIED] > worst[_STEPS, last]:
            _list_worst(bx, by, ux, uy, sign, infinity, place, counts, worst, places)


class CompiledTally:
    """What is known after some chunks, which must come in the order of their indices."""

    def __init__(self, wanted: int) -> None:
        """Begin with nothing known; the ``wanted`` worst elements are listed."""
        self._wanted = max(wanted, 0)
        self._points = 0
        self._counts = np.zeros(6, np.int64)
        self._maxima = np.zeros(3)
        self._worst = np.zeros((4, self._wanted))
        self._places = np.zeros(self._wanted, np.int64)

    def add(self, x: AnyArray, y: AnyArray, start: int) -> None:
        """Take in one chunk of each array, both float16, bfloat16, float32 or float64."""
        self._points += x.size
        infinity = words(np.array([np.inf]).astype(x.dtype))[0]
        sign = infinity.dtype.type(1 << (8 * x.dtype.itemsize - 1))
        bits, values = (words(x), words(y)), (x, y)
        if x.dtype.itemsize < 4:
            bits = (bits[0].astype(np.uint32), bits[1].astype(np.uint32))
            with np.errstate(invalid="ignore"):
                values = (x.astype(np.float32), y.astype(np.float32))
            sign, infinity = np.uint32(sign), np.uint32(infinity)
        arrays = [_read_only(array) for array in (*bits, *values)]
        known = (self._counts, self._maxima, self._worst, self._places)
        try:
            _take(*arrays, sign, infinity, start, *known)
        except OSError:
            # The disk is full. What was compiled is there, though it could not be kept.
            _take(*arrays, sign, infinity, start, *known)

    def tally(self) -> Tally:
        """Return what is known."""
        counts = self._counts.tolist()
        worst = self._worst[:, : counts[_LISTED]]
        return Tally(
            wanted=self._wanted,
            same_bits=not counts[_UNLIKE],
            points=self._points,
            different=counts[_DIFFERENT],
            max_abs=float(self._maxima[_ABS]),
            max_rel=float(self._maxima[_REL]),
            max_ulp=float(self._maxima[_ULP]),
            nan=counts[_NAN],
            inf=counts[_INF],
            nan_in_both=counts[_NAN_IN_BOTH],
            worst=[
                (-gap, -ulp, place, x, y)
                for gap, ulp, x, y, place in zip(
                    *worst.tolist(), self._places.tolist(), strict=False
                )
            ],
        )


def _read_only(array: AnyArray) -> AnyArray:
    """Return a view that cannot be written to: numba compiles for each kind of array."""
    view = array.view()
    view.flags.writeable = False
    return view
