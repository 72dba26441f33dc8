"""Training many small nets side by side, as machine code.

A group of nets goes through its steps together: every operation is done for all of them before the
next, several in one vector instruction. (How many there are must not be known when this is
compiled: short loops of a known length are unrolled, and then they are not vectorised.) Each net's
numbers are those that it would have alone: no operation mixes two nets, sums are added in one order
(unit by unit, point by point), and nothing is fused or reordered by the compiler, so that the bits
do not depend on who trains beside.

Arrays are float32 or float64; all that numba compiles stands in this one file, for numba keeps
what it compiled until the file changes, and knows of no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray

try:
    import numba
except ModuleNotFoundError:
    numba = None

#: Nets that go together. Fewer leave the vector units idle, more leave the processor's caches.
LANES: Final = 64

#: Optimisers, and the places of what they need in the array of constants.
SGD, ADAM, RMSPROP = range(3)
RATE, FIRST, SECOND, EPSILON, MOMENTUM = range(5)

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = (np.uint64(shift) for shift in (30, 27, 31, 32))


def _njit(function: Callable[..., Any]) -> Any:
    """Compile ``function``; without numba it says so when it is called, for a plan needs none."""
    if numba is None:

        def missing(*_: Any) -> None:
            raise ModuleNotFoundError("No module named 'numba'", name="numba")

        return missing
    return numba.njit(nogil=True, error_model="numpy")(function)


def _kept(function: Callable[..., Any]) -> Any:
    """Compile ``function`` and keep it beside this file, else in the user's cache, else nowhere."""
    if numba is None:
        return _njit(function)
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:
        # There is no folder that numba may write to.
        return _njit(function)


@_njit
def _mixed(state: Any) -> Any:
    """Return the output of SplitMix64 for a state."""
    state = (state ^ (state >> _30)) * _MIX_1
    state = (state ^ (state >> _27)) * _MIX_2
    return state ^ (state >> _31)


@_njit
def _shuffle(order: AnyArray, seed: Any, epoch: Any) -> None:
    """Put the numbers 0, 1, ... into an order of their own for this seed and epoch."""
    state = _mixed(np.uint64(seed) * _GOLDEN + np.uint64(epoch) + np.uint64(1))
    for i in range(order.size):
        order[i] = i
    for i in range(order.size - 1, 0, -1):
        state = state + _GOLDEN
        # The high half of a product: without the division that a remainder takes.
        j = ((_mixed(state) >> _32) * np.uint64(i + 1)) >> _32
        other = order[np.int64(j)]
        order[np.int64(j)] = order[i]
        order[i] = other


@_kept
def shuffled(points: int, seed: int, epoch: int) -> AnyArray:
    """Return the order in which the points are taken in an epoch, counted from 0."""
    order = np.empty(points, np.int32)
    _shuffle(order, seed, epoch)
    return order


@_njit
def _lay(xs: AnyArray, ys: AnyArray, x: AnyArray, y: AnyArray, orders: AnyArray) -> None:
    """Lay the points out as the nets take them: row by row, for a cache holds few columns."""
    for i in range(x.size):
        row_x, row_y = xs[i], ys[i]
        for n in range(orders.shape[0]):
            place = orders[n, i]
            row_x[n] = x[place]
            row_y[n] = y[place]


@_njit
def _gradient(
    g: AnyArray,
    w: AnyArray,
    xs: AnyArray,
    ys: AnyArray,
    lo: int,
    hi: int,
    leak: Any,
    work: AnyArray,
) -> None:
    """Set ``g`` to the gradient of the mean squared error over the points from lo to hi.

    Rows of ``w`` and ``g`` are the units' kernels, their biases, the output's kernel, its bias.
    """
    number = w.dtype.type
    units, lanes = (w.shape[0] - 1) // 3, w.shape[1]
    zero, one = number(0), number(1)
    share = number(2) / number(hi - lo)
    g[:] = zero
    d = work[units]
    for i in range(lo, hi):
        x = xs[i]
        for n in range(lanes):
            d[n] = zero
        for j in range(units):
            h = work[j]
            kernel, bias, out = w[j], w[units + j], w[2 * units + j]
            for n in range(lanes):
                a = x[n] * kernel[n] + bias[n]
                # A NaN is not less or equal, and stays.
                h[n] = leak * a if a <= zero else a
                d[n] += h[n] * out[n]
        last, gradient = w[3 * units], g[3 * units]
        y = ys[i]
        for n in range(lanes):
            d[n] = (d[n] + last[n] - y[n]) * share
            gradient[n] += d[n]
        for j in range(units):
            h, out = work[j], w[2 * units + j]
            g_kernel, g_bias, g_out = g[j], g[units + j], g[2 * units + j]
            for n in range(lanes):
                g_out[n] += d[n] * h[n]
                t = d[n] * out[n]
                t *= one if h[n] > zero else leak
                g_bias[n] += t
                g_kernel[n] += t * x[n]


@_njit
def _update(
    kind: int, w: AnyArray, m: AnyArray, v: AnyArray, g: AnyArray, c: AnyArray, alpha: Any
) -> None:
    """Take one step of an optimiser, as Keras 2 writes it."""
    lanes = w.shape[1]
    one = w.dtype.type(1)
    for p in range(w.shape[0]):
        wp, mp, vp, gp = w[p], m[p], v[p], g[p]
        if kind == ADAM:
            for n in range(lanes):
                mp[n] += (gp[n] - mp[n]) * c[FIRST]
                vp[n] += (gp[n] * gp[n] - vp[n]) * c[SECOND]
                wp[n] -= (mp[n] * alpha) / (np.sqrt(vp[n]) + c[EPSILON])
        elif kind == RMSPROP:
            for n in range(lanes):
                vp[n] = c[FIRST] * vp[n] + c[SECOND] * (gp[n] * gp[n])
                wp[n] -= c[RATE] * gp[n] * (one / np.sqrt(vp[n] + c[EPSILON]))
        else:
            for n in range(lanes):
                mp[n] = mp[n] * c[MOMENTUM] - gp[n] * c[RATE]
                wp[n] += mp[n]


@_njit
def _loss(loss: AnyArray, w: AnyArray, x: AnyArray, y: AnyArray, leak: Any) -> None:
    """Set ``loss`` to the mean squared errors over all points, in float64 whatever ``w`` is."""
    units, lanes = (w.shape[0] - 1) // 3, w.shape[1]
    zero = w.dtype.type(0)
    sums = np.zeros(lanes, np.float64)
    made = np.empty(lanes, w.dtype)
    for i in range(x.size):
        for n in range(lanes):
            made[n] = zero
        for j in range(units):
            for n in range(lanes):
                a = x[i] * w[j, n] + w[units + j, n]
                made[n] += (leak * a if a <= zero else a) * w[2 * units + j, n]
        for n in range(lanes):
            error = np.float64(made[n] + w[3 * units, n]) - np.float64(y[i])
            sums[n] += error * error
    for n in range(lanes):
        loss[n] = sums[n] / x.size


@_kept
def train_group(
    w: AnyArray,
    m: AnyArray,
    v: AnyArray,
    x: AnyArray,
    y: AnyArray,
    seeds: AnyArray,
    epochs: int,
    batch: int,
    shuffle: bool,
    leak: Any,
    kind: int,
    constants: AnyArray,
    alphas: AnyArray,
    told: AnyArray,
    losses: AnyArray,
) -> None:
    """Train a group of nets in place.

    Args:
        w: weights, shape (3 * units + 1, nets); ``m`` and ``v``, of the same shape, are the
            optimiser's slots and start at 0.
        m: first slot.
        v: second slot.
        x: points, in the type of ``w``.
        y: targets.
        seeds: each net's own number, from which its order of points comes.
        epochs: how often all points are passed.
        batch: points of a step; the last of an epoch takes what is left.
        shuffle: take the points in another order each epoch; otherwise as they come.
        leak: the slope below zero: 0 for relu.
        kind: SGD, ADAM or RMSPROP.
        constants: by RATE, FIRST, SECOND, EPSILON and MOMENTUM.
        alphas: Adam's rate of each step.
        told: epochs after which the loss is told, rising.
        losses: filled with them, shape (told.size, nets), float64.
    """
    points = x.size
    units, lanes = (w.shape[0] - 1) // 3, w.shape[1]
    g = np.empty_like(w)
    work = np.empty((units + 1, lanes), w.dtype)
    xs = np.empty((points, lanes), w.dtype)
    ys = np.empty((points, lanes), w.dtype)
    orders = np.empty((lanes, points), np.int32)
    for n in range(lanes):
        orders[n] = np.arange(points)
    _lay(xs, ys, x, y, orders)
    step = 0
    place = 0
    for epoch in range(epochs):
        if shuffle:
            for n in range(lanes):
                _shuffle(orders[n], seeds[n], epoch)
            _lay(xs, ys, x, y, orders)
        for lo in range(0, points, batch):
            _gradient(g, w, xs, ys, lo, min(lo + batch, points), leak, work)
            _update(kind, w, m, v, g, constants, alphas[step] if kind == ADAM else leak)
            step += 1
        if place < told.size and told[place] == epoch + 1:
            _loss(losses[place], w, x, y, leak)
            place += 1
