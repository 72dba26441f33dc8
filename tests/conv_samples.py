"""Convolutions as the lists of products that they add, and the orders in which float32 may add."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bridge.rounding.rules import Layer
from bridge.rounding.rules.rounding import TINY
from tests.compare_samples import F32


@dataclass(frozen=True)
class Conv:
    """A layer's geometry; ``kind`` is "conv", "depthwise", "separable" or "transposed"."""

    kind: str
    rank: int
    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str = "valid"
    groups: int = 1

    @property
    def cls(self) -> str:
        names = {
            "conv": "Conv{}D",
            "depthwise": "DepthwiseConv{}D",
            "separable": "SeparableConv{}D",
        }
        return "keras.layers." + names.get(self.kind, "Conv{}DTranspose").format(self.rank)

    @property
    def config(self) -> dict[str, Any]:
        return {
            "kernel_size": list(self.size), "strides": list(self.strides),
            "dilation_rate": list(self.dilation), "padding": self.padding, "groups": self.groups,
        }  # fmt: skip

    def output(self, lengths: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """Return, of each axis, the output's length and the zeros before the wide side."""
        found = []
        for n, k, s, d in zip(lengths, self.size, self.strides, self.dilation, strict=True):
            reach = (k - 1) * d + 1
            if self.kind == "transposed":
                same = self.padding == "same"
                length = n * s if same else (n - 1) * s + max(reach, s)
                found.append((length, max((n - 1) * s + reach - length, 0) // 2 if same else 0))
            elif self.padding == "same":
                places = math.ceil(n / s)
                found.append((places, max((places - 1) * s + reach - n, 0) // 2))
            elif self.padding == "causal":
                found.append((math.ceil(n / s), reach - 1))
            else:
                found.append(((n - reach) // s + 1, 0))
        return tuple(found)

    def fits(self, lengths: tuple[int, ...]) -> bool:
        return all(length > 0 for length, _ in self.output(lengths))

    def met(self, axis: int, place: int, tap: int, before: int, n: int) -> int:
        """Return which input ``tap`` meets where the output is ``place``, or -1."""
        stride, at = self.strides[axis], tap * self.dilation[axis] - before
        if self.kind == "transposed":
            found, rest = divmod(place - at, stride)
            return found if rest == 0 and 0 <= found < n else -1
        found = place * stride + at
        return found if 0 <= found < n else -1

    def terms(self, x: F32, kernel: F32) -> tuple[F32, F32]:
        """Return the factors of all products, both (n, places..., filters, products)."""
        lengths = x.shape[1:-1]
        output = self.output(lengths)
        if self.kind == "transposed":
            kernel = np.swapaxes(kernel, -1, -2)
        depth, filters = kernel.shape[-2:]
        of = np.arange(filters) // (filters // self.groups) * depth
        channels = of[:, None] + np.arange(depth)
        rows: list[tuple[F32, F32]] = []
        for place in itertools.product(*(range(length) for length, _ in output)):
            xs, ws = [], []
            for tap in itertools.product(*(range(k) for k in self.size)):
                at = [
                    self.met(axis, place[axis], tap[axis], output[axis][1], lengths[axis])
                    for axis in range(self.rank)
                ]
                pixel: Any = (slice(None), *at)
                empty = np.zeros((len(x), x.shape[-1]), np.float32)
                xs.append((empty if min(at) < 0 else x[pixel])[:, channels])
                ws.append(kernel[tap].T)
            rows.append((np.concatenate(xs, axis=-1), np.concatenate(ws, axis=-1)))
        shape = (len(x), *(length for length, _ in output), filters, -1)
        factors = np.stack([row for row, _ in rows], axis=1).reshape(shape)
        weights = np.stack([row for _, row in rows])[None].reshape(1, *shape[1:])
        return factors, np.broadcast_to(weights, factors.shape)


# --- orders in which float32 may add them --------------------------------------------------------

Order = Callable[[F32, F32, F32], F32]


def _flush(values: F32) -> F32:
    return np.where(np.abs(values) < np.float32(TINY), np.float32(0), values)


def forwards(x: F32, w: F32, bias: F32) -> F32:
    result: F32 = np.cumsum(x * w, axis=-1, dtype=np.float32)[..., -1] + bias
    return result


def bias_first(x: F32, w: F32, bias: F32) -> F32:
    first = np.broadcast_to(bias, x.shape[:-1])[..., None]
    terms = np.concatenate((first, (x * w)[..., ::-1]), axis=-1)
    result: F32 = np.cumsum(terms, axis=-1, dtype=np.float32)[..., -1]
    return result


def smallest_first(x: F32, w: F32, bias: F32) -> F32:
    terms = x * w
    terms = np.take_along_axis(terms, np.argsort(np.abs(terms), axis=-1), axis=-1)
    result: F32 = np.cumsum(terms, axis=-1, dtype=np.float32)[..., -1] + bias
    return result


def in_pairs(x: F32, w: F32, bias: F32) -> F32:
    terms = x * w
    while terms.shape[-1] > 1:
        odd = terms[..., terms.shape[-1] // 2 * 2 :]
        terms = np.concatenate((terms[..., 0:-1:2] + terms[..., 1::2], odd), axis=-1)
    return terms[..., 0] + bias


def fused(x: F32, w: F32, bias: F32) -> F32:
    total = np.zeros(x.shape[:-1], np.float32)
    for number in range(x.shape[-1]):
        product = x[..., number].astype(np.float64) * w[..., number].astype(np.float64)
        total = (total + product).astype(np.float32)
    return total + bias


def flushing(x: F32, w: F32, bias: F32) -> F32:
    total = np.zeros(x.shape[:-1], np.float32)
    x, w = _flush(x), _flush(w)
    for number in range(x.shape[-1]):
        total = _flush(total + _flush(x[..., number] * w[..., number]))
    return _flush(total + _flush(bias))


def rounded_once(x: F32, w: F32, bias: F32) -> F32:
    result: F32 = ((x.astype(np.float64) * w).sum(axis=-1) + bias).astype(np.float32)
    return result


ORDERS: Final[tuple[Order, ...]] = (
    forwards, bias_first, smallest_first, in_pairs, fused, flushing, rounded_once,
)  # fmt: skip


# --- layers ----------------------------------------------------------------------------------


def layer_of(case: Conv, kernel: F32, bias: F32, **config: Any) -> Layer:
    weights = {"kernel": kernel, "bias": bias}
    return Layer("conv", case.cls, case.config | config, weights, 3)


def as_groups(case: Conv, kernel: F32) -> tuple[Conv, F32]:
    """Describe a depthwise layer as a grouped one."""
    if case.kind != "depthwise":
        return case, kernel
    *size, channels, depth = kernel.shape
    return replace(case, groups=channels), kernel.reshape(*size, 1, channels * depth)


# --- one layer's numbers -------------------------------------------------------------------------

_RNG: Final = np.random.default_rng(11)
X: Final[F32] = _RNG.standard_normal((4, 8, 8, 4)).astype(np.float32)
KERNEL: Final[F32] = (_RNG.standard_normal((3, 3, 4, 4)) / 6).astype(np.float32)
BIAS: Final[F32] = _RNG.standard_normal(4).astype(np.float32)
