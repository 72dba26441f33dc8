"""Ways to add up float32 numbers along the last axis, all of them correct."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from bridge.compare.result import LayerVerdict
from bridge.rounding.ladder import Marks
from bridge.rounding.rules import Layer, evaluate
from bridge.rounding.rules.rounding import TINY
from tests.compare_samples import F32, judge_layer

GOOD: Final = ("same-bits", "within-rounding")

Order = Callable[[F32], F32]


def flush(values: Any) -> F32:
    """Return the numbers with subnormal ones made zero."""
    found: F32 = np.where(np.abs(values) < np.float32(TINY), np.float32(0), values)
    return found


def forwards(terms: F32) -> F32:
    found: F32 = np.cumsum(terms, axis=-1, dtype=np.float32)[..., -1]
    return found


def backwards(terms: F32) -> F32:
    return forwards(terms[..., ::-1])


def in_blocks(terms: F32) -> F32:
    parts = [forwards(terms[..., at : at + 5]) for at in range(0, terms.shape[-1], 5)]
    return forwards(np.stack(parts, axis=-1))


def smallest_first(terms: F32) -> F32:
    order = np.argsort(np.abs(terms), axis=-1)
    return forwards(np.take_along_axis(terms, order, axis=-1))


def in_pairs(terms: F32) -> F32:
    found: F32 = np.ascontiguousarray(terms).sum(axis=-1, dtype=np.float32)
    return found


def unrounded(terms: F32) -> F32:
    """Return what an accumulator of more digits makes."""
    found: F32 = terms.astype(np.float64).sum(axis=-1).astype(np.float32)
    return found


def flushing(terms: F32) -> F32:
    total = np.zeros(terms.shape[:-1], np.float32)
    for at in range(terms.shape[-1]):
        total = flush(total + flush(terms[..., at]))
    return total


ORDERS: Final[tuple[Order, ...]] = (
    forwards, backwards, in_blocks, smallest_first, in_pairs, unrounded, flushing,
)  # fmt: skip


@st.composite
def arrays(draw: st.DrawFn, *shape: int) -> F32:
    """Draw numbers of a shape: of one scale or of many, around zero or far from it, whole ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal(shape)
    kind = draw(st.sampled_from(["plain", "wide", "far", "tiny", "large", "whole", "tied"]))
    if kind == "wide":
        x = x * 10.0 ** rng.uniform(-42, 5, shape)
    if kind == "far":
        x = x + 10.0 ** rng.uniform(0, 5)
    if kind == "tiny":
        x = x * 10.0 ** rng.uniform(-44, -36)
    if kind == "large":
        x = x * 1e15
    if kind == "whole":
        x = np.round(x * 4)
    if kind == "tied":
        x = np.where(rng.uniform(size=shape) < 0.5, x.flat[0], -x.flat[0])
    return x.astype(np.float32)


def layer(cls: str, config: Any = None, generation: Any = 3, **weights: Any) -> Layer:
    """Return a layer of Keras as a capsule describes it."""
    return Layer("here", f"keras.layers.{cls}", config or {}, weights, generation)


def judged(this: Layer, x: Any, y: Any) -> LayerVerdict:
    """Judge an output ``y`` of a layer for one input, or for a list of them."""
    return judge_layer(this, x if isinstance(x, list) else [x], [y])


class Judge:
    """Judges many outputs of a layer for the same inputs, of which the bound is derived once."""

    def __init__(self, this: Layer, x: Any) -> None:
        (self.found,) = evaluate(this, x if isinstance(x, list) else [x])

    def beyond(self, y: Any) -> int:
        """Return how many elements no rounding explains."""
        marks = Marks(y, self.found)
        assert not marks.unfit()
        return int((~marks.inside & ~marks.undecided).sum())
