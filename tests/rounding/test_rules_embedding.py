"""Embedding: rows are copied bit for bit, and nothing is claimed for an index outside the table."""

from __future__ import annotations

from typing import Any, Final

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bridge._typing import AnyArray
from bridge.facts.keras import Generation
from bridge.rounding.rules import Layer, UnsupportedError, evaluate
from tests.compare_samples import F32
from tests.examples import examples
from tests.orders import GOOD, arrays, flush, judged, layer
from tests.tensorflow_ways import GENERATIONS, hold

TYPES: Final = ("int32", "int64", "uint8", "int16", "float32", "float64", "float16")


@examples(60)
@given(
    table=arrays(9, 4),
    index=hnp.arrays(np.int64, (3, 5), elements=st.integers(0, 8)),
    dtype=st.sampled_from(TYPES),
)
def test_a_row_keeps_its_bits(table: F32, index: AnyArray, dtype: str) -> None:
    this = layer("Embedding", embeddings=table)
    y = table[index]
    assert judged(this, index.astype(dtype), y).verdict == "same-bits"
    wrong = table[(index + 1) % 9]
    verdict = judged(this, index, wrong)
    # Zeros of either sign are the same number.
    assert verdict.beyond_bound == (wrong != y).sum()


@examples(30)
@given(table=arrays(5, 3), policy=st.sampled_from(["float16", "bfloat16"]))
def test_a_row_is_cast_once_to_the_type_that_the_layer_computes_in(table: F32, policy: str) -> None:
    this = layer("Embedding", {"dtype": f"mixed_{policy}"}, embeddings=table)
    index = np.arange(5)[None]
    with np.errstate(over="ignore"):
        cast = table.astype(getattr(ml_dtypes, policy, policy))
        early = flush(table).astype(cast.dtype)
    for y in (cast, early):
        assert judged(this, index, y[None]).verdict in GOOD


def test_a_fraction_is_cut_off() -> None:
    table = np.arange(4, dtype=np.float32)[:, None]
    index = np.array([[1.9, 2.0, -0.5]], np.float32)
    y = np.array([[[1], [2], [0]]], np.float32)
    assert judged(layer("Embedding", embeddings=table), index, y).verdict == "same-bits"


def test_negative_indices_count_from_the_end_in_keras_3_alone() -> None:
    table = np.arange(4, dtype=np.float32)[:, None]
    index, y = np.array([[-1, 1]]), np.array([[[3], [1]]], np.float32)
    assert judged(layer("Embedding", embeddings=table), index, y).verdict == "same-bits"
    for generation in (0, 2):
        this = layer("Embedding", generation=generation, embeddings=table)
        assert judged(this, index, y).verdict == "abstained"
        wrong = y + np.array([[[0], [1]]], np.float32)
        assert judged(this, index, wrong).beyond_bound == 1


@pytest.mark.parametrize(
    "outside",
    [4, 10**12, -5, 2**63 - 1, np.nan, np.inf, 1e30, -1e30, 2.99999999999, 16777217.0],
)
@pytest.mark.parametrize("seen", [0.0, 3.0, 7.0])
def test_an_index_that_names_no_row_is_left_alone(outside: Any, seen: float) -> None:
    table = np.arange(4, dtype=np.float32)[:, None]
    index = np.array([[1, outside]])
    y = np.array([[[1], [seen]]], np.float32)
    this = layer("Embedding", embeddings=table)
    assert judged(this, index, y).verdict != "different"
    assert judged(this, index, y + np.float32(1)).verdict == "different"


def test_an_unsigned_index_beyond_all_others_is_left_alone() -> None:
    index = np.array([[2**64 - 1, 0]], np.uint64)
    table = np.arange(4, dtype=np.float32)[:, None]
    y = np.array([[[3], [0]]], np.float32)
    assert judged(layer("Embedding", embeddings=table), index, y).verdict == "abstained"


TABLE: Final = np.ones((4, 2), np.float32)
REFUSED: Final[list[tuple[Layer, AnyArray, str]]] = [
    (layer("Embedding"), np.zeros((1, 2)), "weights are"),
    (layer("Embedding", embeddings=TABLE, lora_embeddings_a=TABLE), np.zeros((1, 2)), "weights"),
    (layer("Embedding", embeddings=TABLE[0]), np.zeros((1, 2)), "shape"),
    (layer("Embedding", embeddings=TABLE[:0]), np.zeros((1, 2)), "shape"),
    (layer("Embedding", embeddings=TABLE.astype(np.int8)), np.zeros((1, 2)), "type int8"),
    (layer("Embedding", {"dtype": "int8_from_float32"}, embeddings=TABLE), np.zeros((1, 2)),
     "computes in"),
    (layer("Embedding", embeddings=TABLE), np.zeros((1, 2), np.complex64), "complex64"),
    (layer("Embedding", embeddings=np.ones((1, 2**14), np.float32)), np.zeros((2, 2**14)),
     "too large"),
]  # fmt: skip


@pytest.mark.parametrize(("this", "index", "why"), REFUSED)
def test_what_cannot_be_read_is_refused(this: Layer, index: AnyArray, why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        evaluate(this, [index])


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_tensorflow_looks_up_the_same_rows(
    generation: Generation, package: str, policy: str
) -> None:
    layers = pytest.importorskip(package).layers
    made = layers.Embedding(7, 3, dtype=policy)
    made.build((None, 4))
    rng = np.random.default_rng(0)
    table = rng.standard_normal((7, 3)) * 10.0 ** rng.uniform(-44, 3, (7, 3))
    made.set_weights([table.astype(np.float32)])
    index = rng.integers(-7 if generation == 3 else 0, 7, (3, 4))
    inputs = [index.astype(dtype) for dtype in ("int32", "int64", "float32")]
    hold(made, generation, [*inputs, inputs[-1] + np.float32(0.25) * (inputs[-1] >= 0)])
