"""Pooling: no order of summation leaves the bound of an average, and every wrong window shows."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._typing import AnyArray
from bridge.facts.keras import Generation
from bridge.rounding.rules import Layer, UnsupportedError, evaluate
from bridge.rounding.rules.rounding import FLOAT16, TINY
from tests.compare_samples import F32
from tests.examples import examples
from tests.orders import GOOD, ORDERS, Judge, Order, arrays, flush, judged, layer
from tests.tensorflow_ways import GENERATIONS, hold


def windows(shape: tuple[int, ...], config: dict[str, Any]) -> list[list[range]]:
    """Return the elements under each window along each spatial axis, padding left out."""
    found = []
    for length, size, stride in zip(shape, config["pool_size"], config["strides"], strict=True):
        if config["padding"] == "valid":
            starts = list(range(0, length - size + 1, stride))
        else:
            count = math.ceil(length / stride)
            first = -(max((count - 1) * stride + size - length, 0) // 2)
            starts = [first + at * stride for at in range(count)]
        found.append([range(max(at, 0), min(at + size, length)) for at in starts])
    return found


def gathered(x: AnyArray, config: dict[str, Any]) -> list[list[Any]]:
    """Return, for each place in order, the channels-last elements under its window."""
    every = windows(x.shape[1:-1], config)
    first = np.moveaxis(x, 0, -2)
    return [[first[at] for at in itertools.product(*p)] for p in itertools.product(*every)]


def pooled(x: AnyArray, config: dict[str, Any], function: Any) -> AnyArray:
    """Pool by a function of (..., elements of a window)."""
    every = windows(x.shape[1:-1], config)
    parts = [function(np.stack(found, axis=-1)) for found in gathered(x, config)]
    shape = (x.shape[0], x.shape[-1], *(len(each) for each in every))
    return np.moveaxis(np.stack(parts, axis=-1).reshape(shape), 1, -1)


def divided(order: Order, terms: F32) -> F32:
    return order(terms) / np.float32(terms.shape[-1])


def scaled(order: Order, terms: F32) -> F32:
    return order(terms * (np.float32(1) / np.float32(terms.shape[-1])))


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, dict[str, Any], F32]:
    """Draw a rank, a configuration and an input, channels last."""
    rank = draw(st.integers(1, 3))

    def each(most: int) -> list[int]:
        return [draw(st.integers(1, most)) for _ in range(rank)]

    config = {"pool_size": each(4 if rank < 3 else 2), "strides": each(3),
              "padding": draw(st.sampled_from(["valid", "same"]))}  # fmt: skip
    lengths = [draw(st.integers(4, (0, 9, 6, 4)[rank])) for _ in range(rank)]
    x = draw(arrays(draw(st.integers(1, 2)), *lengths, draw(st.integers(1, 3))))
    return rank, config, x


@examples(60)
@given(case=cases(), first=st.booleans())
def test_no_order_of_summation_leaves_the_bound_of_an_average(
    case: tuple[int, dict[str, Any], F32], first: bool
) -> None:
    rank, config, x = case

    def put(a: AnyArray) -> AnyArray:
        return np.moveaxis(a, -1, 1) if first else a

    this = layer(
        f"AveragePooling{rank}D",
        config | {"data_format": "channels_first" if first else "channels_last"},
    )
    judge = Judge(this, put(x))
    for order in ORDERS:
        with np.errstate(all="ignore"):
            y = pooled(x, config, partial(divided, order))
            z = pooled(x, config, partial(scaled, order))
        for made in (y, z):
            assert not judge.beyond(put(made).astype(np.float32)), order.__name__


@examples(60)
@given(case=cases())
def test_a_maximum_is_an_element_bit_for_bit(case: tuple[int, dict[str, Any], F32]) -> None:
    rank, config, x = case
    this = layer(f"MaxPooling{rank}D", config)
    y = pooled(x, config, lambda terms: terms.max(axis=-1)).astype(np.float32)
    assert judged(this, x, y).verdict == "same-bits"
    assert judged(this, x, flush(y)).verdict in GOOD
    far = np.abs(y) >= TINY
    if far.any():
        wrong = np.where(far, np.nextafter(y, np.float32(np.inf)), y).astype(np.float32)
        assert judged(this, x, wrong).beyond_bound == far.sum()


@examples(40)
@given(x=arrays(2, 3, 4, 5), keep=st.booleans(), first=st.booleans())
def test_no_global_average_leaves_its_bound(x: F32, keep: bool, first: bool) -> None:
    config = {"keepdims": keep, "data_format": "channels_first" if first else "channels_last"}
    this = layer("GlobalAveragePooling2D", config)
    terms = x.reshape(2, 3, -1) if first else np.moveaxis(x.reshape(2, -1, 5), 1, 2)
    for order in ORDERS:
        with np.errstate(all="ignore"):
            y = (order(terms) / np.float32(terms.shape[-1])).astype(np.float32)
        shape = ((2, 3, 1, 1) if first else (2, 1, 1, 5)) if keep else y.shape
        assert judged(this, x, y.reshape(shape)).verdict in GOOD


@examples(40)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-4, 1.0, 100.0]))
def test_half_precision_may_be_summed_in_half_or_in_float32(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((2, 40, 3)) * scale).astype(np.float16)
    this = layer("GlobalAveragePooling1D", {"dtype": "float16"})
    narrow = np.zeros((2, 3), np.float16)
    for at in range(40):
        narrow = narrow + x[:, at]
    wide = x.astype(np.float32).mean(axis=1).astype(np.float16)
    for y in ((narrow / np.float16(40)).astype(np.float16), wide):
        assert judged(this, x, y).verdict in GOOD


BASE: Final = {"pool_size": [2, 2], "strides": [2, 2], "padding": "same"}


@pytest.mark.parametrize("cls", ["MaxPooling2D", "AveragePooling2D"])
@pytest.mark.parametrize(
    "wrong",
    [{"strides": [2, 1]}, {"padding": "valid"}, {"pool_size": [3, 2]}, {"strides": [1, 2]}],
)
def test_a_wrong_window_is_seen(cls: str, wrong: dict[str, Any]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 7, 7, 3)).astype(np.float32)
    function = np.max if cls == "MaxPooling2D" else np.mean
    y = pooled(x, BASE | wrong, lambda terms: function(terms, axis=-1)).astype(np.float32)
    right = pooled(x, BASE, lambda terms: function(terms, axis=-1)).astype(np.float32)
    this = layer(cls, BASE)
    assert judged(this, x, right).verdict in GOOD
    found = judged(this, x, y)
    # A wrong shape cannot be set beside the right one, which is said instead.
    assert found.verdict == ("different" if y.shape == right.shape else "abstained")
    if y.shape != right.shape:
        assert "has shape" in found.why


def test_an_average_that_counts_the_padding_is_seen() -> None:
    x = np.ones((1, 5, 1), np.float32)
    config = {"pool_size": [2], "strides": [2], "padding": "same"}
    this = layer("AveragePooling1D", config)
    ends = np.array([1, 1, 0.5], np.float32).reshape(1, 3, 1)
    assert judged(this, x, ends).beyond_bound == 1
    assert judged(this, x, np.ones_like(ends)).verdict == "same-bits"


def test_nothing_is_claimed_of_a_maximum_beside_nan() -> None:
    x = np.array([1, np.nan, 3, 4], np.float32).reshape(1, 4, 1)
    this = layer("MaxPooling1D", {"pool_size": [2]})
    for seen in (1.0, np.nan):
        y = np.array([seen, 4], np.float32).reshape(1, 2, 1)
        assert judged(this, x, y).verdict != "different"
    wrong = np.array([1.0, 3], np.float32).reshape(1, 2, 1)
    assert judged(this, x, wrong).verdict == "different"


def test_a_window_of_nothing_but_minus_infinity_is_left_alone() -> None:
    x = np.full((1, 2, 1), -np.inf, np.float32)
    y = np.full((1, 1, 1), np.finfo(np.float32).min, np.float32)
    assert judged(layer("MaxPooling1D", {"pool_size": [2]}), x, y).verdict == "abstained"


def test_subnormal_elements_may_be_flushed_or_returned_by_a_maximum() -> None:
    x = np.array([-1e-40, 3e-41], np.float32).reshape(1, 2, 1)
    this = layer("MaxPooling1D", {"pool_size": [2]})
    for seen in (0.0, -0.0, 3e-41, -1e-40):
        y = np.array([seen], np.float32).reshape(1, 1, 1)
        assert judged(this, x, y).verdict in GOOD
    assert judged(this, x, np.array([[[1e-37]]], np.float32)).verdict == "different"


def test_whole_numbers_keep_their_type() -> None:
    x = np.array([2**40 + 1, 2**40], np.int64).reshape(1, 2, 1)
    (found,) = evaluate(layer("MaxPooling1D", {"pool_size": [2]}), [x])
    assert found.value.dtype == np.int64
    assert found.value.tolist() == [[[2**40 + 1]]]


def test_doubles_are_pooled_as_the_type_that_the_layer_computes_in() -> None:
    x = np.array([1 + 2.0**-40, 1.0]).reshape(1, 2, 1)
    this = layer("MaxPooling1D", {"pool_size": [2], "dtype": "mixed_float16"})
    (found,) = evaluate(this, [x])
    assert found.value.dtype == FLOAT16.dtype
    (exact,) = evaluate(this, [x], received=False)
    assert exact.value.item() == 1 + 2.0**-40


REFUSED: Final[list[tuple[Layer, tuple[int, ...], str]]] = [
    (layer("MaxPooling1D", {"pool_size": [0]}), (1, 4, 1), "positive integers"),
    (layer("MaxPooling1D", {"pool_size": [True]}), (1, 4, 1), "positive integers"),
    (layer("MaxPooling1D", {"pool_size": ["2"]}), (1, 4, 1), "positive integers"),
    (layer("MaxPooling2D", {"pool_size": [2]}), (1, 4, 4, 1), "2 positive integers"),
    (layer("MaxPooling2D", {"pool_size": [2, 2], "strides": [0, 1]}), (1, 4, 4, 1), "positive"),
    (layer("MaxPooling1D", {"pool_size": [2], "padding": "causal"}), (1, 4, 1), "padding"),
    (layer("MaxPooling1D", {"pool_size": [2], "padding": None}), (1, 4, 1), "padding"),
    (layer("MaxPooling1D", {"pool_size": [9]}), (1, 4, 1), "does not fit"),
    (layer("MaxPooling1D", {"pool_size": [2], "data_format": 3}), (1, 4, 1), "data_format"),
    (layer("MaxPooling1D", {"pool_size": [2]}), (4, 1), "does not have 3 axes"),
    (layer("GlobalMaxPooling1D", {"keepdims": "yes"}), (1, 4, 1), "neither true nor false"),
    (layer("GlobalMaxPooling1D"), (1, 0, 1), "over nothing"),
    (layer("GlobalAveragePooling1D"), (1, 0, 1), "over nothing"),
    (layer("GlobalAveragePooling1D", {"dtype": "float64"}), (1, 4, 1), "float64"),
    (layer("AveragePooling1D", {"pool_size": [10**30], "padding": "valid"}), (1, 4, 1), "fit"),
]  # fmt: skip


@pytest.mark.parametrize(("this", "shape", "why"), REFUSED)
def test_what_cannot_be_read_is_refused(this: Layer, shape: tuple[int, ...], why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        evaluate(this, [np.zeros(shape, np.float32)])


def test_a_huge_window_costs_nothing() -> None:
    config = {"pool_size": [10**30], "strides": [10**30], "padding": "same"}
    (found,) = evaluate(layer("MaxPooling1D", config), [np.arange(4.0).reshape(1, 4, 1)])
    assert found.value.tolist() == [[[3.0]]]


def test_a_masked_average_over_steps_is_not_judged() -> None:
    this = Layer("here", "keras.layers.GlobalAveragePooling1D", masked=True)
    with pytest.raises(UnsupportedError, match="mask"):
        evaluate(this, [np.ones((1, 2, 1), np.float32)])


# --- TensorFlow ----------------------------------------------------------------------------------


def _images(rng: np.random.Generator, *shape: int) -> list[F32]:
    found = [rng.standard_normal(shape) * scale for scale in (1.0, 1e4)]
    found.append(rng.standard_normal(shape) * 10.0 ** rng.uniform(-44, 4, shape))
    found.append(rng.standard_normal(shape) + 1e3)
    return [each.astype(np.float32) for each in found]


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_tensorflow_stays_inside(
    generation: Generation, package: str, kind: str, rank: int
) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(rank)
    shape = (2, *(7, 6, 5)[:rank], 3)
    for size, strides, padding in ((2, None, "valid"), (3, 2, "same")):
        made = getattr(layers, f"{kind}Pooling{rank}D")(size, strides=strides, padding=padding)
        hold(made, generation, _images(rng, *shape))
    for order, keep in (("channels_last", True), ("channels_first", False)):
        made = getattr(layers, f"Global{kind}Pooling{rank}D")(data_format=order, keepdims=keep)
        hold(made, generation, _images(rng, *shape))


@pytest.mark.tf
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_channels_may_be_first_in_keras_3(kind: str) -> None:
    layers = pytest.importorskip("keras").layers
    made = getattr(layers, f"{kind}Pooling2D")(2, data_format="channels_first", padding="same")
    hold(made, 3, _images(np.random.default_rng(4), 2, 3, 5, 6))


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_tensorflow_stays_inside_in_half_precision(
    generation: Generation, package: str, policy: str
) -> None:
    layers = pytest.importorskip(package).layers
    x = np.random.default_rng(5).standard_normal((2, 9, 8, 3)).astype(np.float32)
    for made in (
        layers.MaxPooling2D(2, dtype=policy), layers.AveragePooling2D(3, dtype=policy),
        layers.GlobalAveragePooling2D(dtype=policy), layers.GlobalMaxPooling2D(dtype=policy),
    ):  # fmt: skip
        hold(made, generation, [x, x * 100])
