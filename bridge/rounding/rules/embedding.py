"""Embedding: each index is replaced by its row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray, Mask
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.rounding import FORMATS, TINY
from bridge.rounding.rules.windows import check_size

_INT32: Final = 2**31


def embedding(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Look up the rows.

    An index that is no integer is cast to int32, which cuts off its fraction. In Keras 3, negative
    indices count from the end. Nothing is claimed for an index outside the table: TensorFlow
    raises on a CPU and returns zeros or another row elsewhere.
    """
    fmt = layer.arithmetic()
    if set(layer.weights) != {"embeddings"}:
        raise UnsupportedError(f"its weights are {sorted(layer.weights)}; its rule knows one")
    table = layer.weights["embeddings"]
    if table.ndim != 2 or table.shape[0] == 0 or table.dtype.name not in FORMATS:
        raise UnsupportedError(f"its table is of type {table.dtype.name}, shape {table.shape}")
    x = single(inputs)
    check_size((*x.shape, table.shape[1]))
    index, known = _index(x)
    rows = table.shape[0]
    if layer.generation == 3:
        index = np.where(index < 0, index + rows, index)
    known = known & (index >= 0) & (index < rows)
    with np.errstate(over="ignore"):
        cast = table.astype(fmt.dtype)
    value = cast[np.where(known, index, 0)]

    def derive() -> F64:
        # A cast flushes what it makes subnormal; a row that is only copied keeps its bits.
        size = np.abs(value.astype(np.float64))
        lost = np.where(size < TINY, size, 0.0) if cast.dtype != table.dtype else 0.0 * size
        return np.where(known[..., None] & ~np.isnan(size), lost, np.inf)

    if known.all() and cast.dtype == table.dtype:
        return (Evaluation(value),)
    return (Evaluation(value, derive),)


def _index(x: AnyArray) -> tuple[AnyArray, Mask]:
    """Return the indices as int64, and where they are known.

    A double that a layer may have been given as the float32 next to it must mean the same either
    way.
    """
    if x.dtype.kind in "biu":
        inside = x <= np.iinfo(np.int64).max if x.dtype.kind == "u" else np.ones(x.shape, np.bool_)
        return np.where(inside, x, 0).astype(np.int64), np.asarray(inside)
    if x.dtype.name not in (*FORMATS, "float64"):
        raise UnsupportedError(f"its indices are of type {x.dtype.name}")
    with np.errstate(all="ignore"):
        number = np.trunc(x.astype(np.float64))
        narrow = np.trunc(x.astype(np.float32).astype(np.float64))
    known = (np.abs(number) < _INT32) & (number == narrow)
    return np.where(known, number, 0.0).astype(np.int64), known


RULES: Final[Mapping[str, Rule]] = {"Embedding": embedding}
