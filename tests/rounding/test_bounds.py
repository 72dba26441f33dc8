"""No correct float32 evaluation may leave a bound, and no visible fault may stay inside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.rounding.ladder import LayerCase, judge_case
from bridge.rounding.rules import Layer, evaluate
from bridge.rounding.rules.rounding import TINY
from tests.compare_samples import F32, judge_layer
from tests.examples import examples

Order = Callable[[F32, F32, F32], F32]


# --- ways to evaluate x W + b in float32 --------------------------------------------------------


def _products(x: F32, kernel: F32, bias: F32) -> F32:
    """Return all terms of every sum, (rows, n + 1, units), the bias last."""
    terms = x[:, :, None] * kernel[None, :, :]
    last = np.broadcast_to(bias, (x.shape[0], 1, bias.size))
    return np.concatenate([terms, last], axis=1)


def blas(x: F32, kernel: F32, bias: F32) -> F32:
    return x @ kernel + bias


def forwards(x: F32, kernel: F32, bias: F32) -> F32:
    result: F32 = np.cumsum(_products(x, kernel, bias), axis=1, dtype=np.float32)[:, -1]
    return result


def backwards(x: F32, kernel: F32, bias: F32) -> F32:
    terms = _products(x, kernel, bias)[:, ::-1]
    result: F32 = np.cumsum(terms, axis=1, dtype=np.float32)[:, -1]
    return result


def in_blocks(x: F32, kernel: F32, bias: F32) -> F32:
    total = np.zeros((x.shape[0], kernel.shape[1]), np.float32)
    for start in range(0, x.shape[1], 7):
        total = total + forwards(x[:, start : start + 7], kernel[start : start + 7], bias * 0)
    return total + bias


def smallest_first(x: F32, kernel: F32, bias: F32) -> F32:
    terms = _products(x, kernel, bias)
    terms = np.take_along_axis(terms, np.argsort(np.abs(terms), axis=1), axis=1)
    result: F32 = np.cumsum(terms, axis=1, dtype=np.float32)[:, -1]
    return result


def fused(x: F32, kernel: F32, bias: F32) -> F32:
    total = np.zeros((x.shape[0], kernel.shape[1]), np.float32)
    for number in range(x.shape[1]):
        product = x[:, number, None].astype(np.float64) * kernel[number].astype(np.float64)
        total = (total + product).astype(np.float32)
    return total + bias


def _flush(values: F32) -> F32:
    return np.where(np.abs(values) < np.float32(TINY), np.float32(0), values)


def flushing(x: F32, kernel: F32, bias: F32) -> F32:
    total = np.zeros((x.shape[0], kernel.shape[1]), np.float32)
    x, kernel, bias = _flush(x), _flush(kernel), _flush(bias)
    for number in range(x.shape[1]):
        total = _flush(total + _flush(x[:, number, None] * kernel[number]))
    return _flush(total + bias)


ORDERS: Final[tuple[Order, ...]] = (
    blas, forwards, backwards, in_blocks, smallest_first, fused, flushing,
)  # fmt: skip


# --- layers -------------------------------------------------------------------------------------


@st.composite
def denses(draw: st.DrawFn) -> tuple[F32, F32, F32]:
    """Draw an input, a kernel and a bias: any length, scale, and how much of a sum cancels."""
    rows, n, units = (draw(st.integers(1, most)) for most in (4, 300, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    exponents = st.sampled_from([-42, -38, -20, -6, -2, 0, 2, 6])
    x = rng.standard_normal((rows, n)) * 10.0 ** draw(exponents)
    kernel = rng.standard_normal((n, units)) * 10.0 ** draw(exponents)
    bias = rng.standard_normal(units) * 10.0 ** draw(exponents)
    if draw(st.booleans()):
        # Every product meets its negative, but for a part in 10^8.
        half = n // 2
        x[:, half : 2 * half] = x[:, :half]
        kernel[half : 2 * half] = -kernel[:half] * (1 + 1e-8 * rng.standard_normal((half, 1)))
    if draw(st.booleans()):
        x *= 10.0 ** rng.uniform(-8, 8, x.shape)
    return x.astype(np.float32), kernel.astype(np.float32), bias.astype(np.float32)


def dense(kernel: F32, bias: F32, activation: Any = "linear", **config: Any) -> Layer:
    weights = {"kernel": kernel, "bias": bias}
    return Layer("dense", "keras.layers.Dense", {"activation": activation, **config}, weights, 2)


ACTIVATE: Final[dict[str, Callable[[F32], F32]]] = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, np.float32(0)),
    "relu6": lambda z: np.clip(z, np.float32(0), np.float32(6)),
    "leaky_relu": lambda z: np.where(z > 0, z, np.float32(0.2) * z),
}


@examples(200)
@given(case=denses(), activation=st.sampled_from(sorted(ACTIVATE)))
def test_no_order_of_summation_leaves_the_bound(
    case: tuple[F32, F32, F32], activation: str
) -> None:
    x, kernel, bias = case
    layer = dense(kernel, bias, activation)
    for order in ORDERS:
        with np.errstate(all="ignore"):
            y = ACTIVATE[activation](order(x, kernel, bias)).astype(np.float32)
        verdict = judge_layer(layer, [x], [y])
        assert verdict.verdict in ("same-bits", "within-rounding"), (order.__name__, verdict)
        assert verdict.beyond_bound == 0
        assert verdict.max_ratio <= 1.0


@examples(200)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 300),
    scale=st.sampled_from([1e-6, 1.0, 10.0, 100.0]),
)
def test_no_float32_softmax_leaves_its_bound(seed: int, length: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((3, length)) * scale).astype(np.float32)
    parts = np.exp(x - x.max(axis=1, keepdims=True))
    for total in (parts.sum(axis=1, keepdims=True), np.cumsum(parts, axis=1)[:, -1:]):
        for y in (parts / total, parts * (np.float32(1) / total), _flush(parts / total)):
            layer = Layer("softmax", "keras.layers.Softmax", {"axis": -1}, {}, 3)
            verdict = judge_layer(layer, [x], [y.astype(np.float32)])
            assert verdict.verdict in ("same-bits", "within-rounding"), verdict


@examples(100)
@given(case=denses())
def test_a_dense_softmax_may_err_in_its_sums_too(case: tuple[F32, F32, F32]) -> None:
    x, kernel, bias = case
    for order in ORDERS:
        with np.errstate(all="ignore"):
            z = order(x, kernel, bias)
            parts = np.exp(z - z.max(axis=1, keepdims=True))
            y = (parts / parts.sum(axis=1, keepdims=True)).astype(np.float32)
        verdict = judge_layer(dense(kernel, bias, "softmax"), [x], [y])
        assert verdict.verdict != "different", (order.__name__, verdict)


@examples()
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(-1e3, 1e3),
    offset=st.floats(-1e3, 1e3),
    exponent=st.sampled_from([-40, -10, 0, 10]),
)
def test_no_rescaling_leaves_its_bound(
    seed: int, scale: float, offset: float, exponent: int
) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((4, 3)) * 10.0**exponent).astype(np.float32)
    layer = Layer("rescaling", "keras.layers.Rescaling", {"scale": scale, "offset": offset}, {}, 3)
    product = x * np.float32(scale)
    for y in (product + np.float32(offset), _flush(_flush(product) + np.float32(offset))):
        assert judge_layer(layer, [x], [y]).verdict in ("same-bits", "within-rounding")


LEAKY: Final = [
    ("LeakyReLU", {"negative_slope": 0.3}), ("LeakyReLU", {"alpha": 0.30000001192092896}),
    ("ReLU", {"max_value": 3.0, "negative_slope": 0.1, "threshold": 0.5}),
    ("ReLU", {"max_value": None, "negative_slope": "0.0", "threshold": "0.0"}),
    ("ReLU", {"max_value": 6.0}),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "config"), LEAKY)
def test_rectifiers_of_every_kind_are_followed(cls: str, config: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(20_000) * 10.0 ** rng.uniform(-42, 4, 20_000)).astype(np.float32)
    x = x.reshape(100, 200)
    slope = np.float32(config.get("negative_slope", config.get("alpha", 0.0)))
    threshold = np.float32(config.get("threshold", 0.0))
    most = np.float32(config.get("max_value") or np.inf)
    y = np.where(x > threshold, np.clip(x, 0, most), slope * (x - threshold)).astype(np.float32)
    layer = Layer("act", f"keras.layers.{cls}", config, {}, 2)
    for made in (y, _flush(y)):
        verdict = judge_layer(layer, [x], [made])
        assert verdict.verdict in ("same-bits", "within-rounding"), verdict
    wrong = y.copy()
    wrong[5, 5] = x[5, 5] + 2
    assert judge_layer(layer, [x], [wrong]).beyond_bound == 1


@examples(60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), generation=st.sampled_from([2, 3]))
def test_a_constant_that_the_optimiser_adds_to_the_bias_first_is_rounding(
    seed: int, n: int, generation: Literal[2, 3]
) -> None:
    x, kernel, bias = _ordinary(seed, n)
    scale, added = (0.2, 2.5) if generation == 2 else (1 / 6, 3.0)
    z = blas(x, kernel, bias + np.float32(added))
    y = np.clip(z * np.float32(scale), 0, 1)
    layer = replace(dense(kernel, bias, "hard_sigmoid"), generation=generation)
    assert judge_layer(layer, [x], [y]).verdict in ("same-bits", "within-rounding")
    alone = Layer("act", "keras.layers.Activation", {"activation": "hard_sigmoid"}, {}, generation)
    linear = replace(dense(kernel, bias), generation=generation)
    chain = LayerCase(linear, (x,), (y,), (alone,))
    assert judge_case(chain).verdict in ("same-bits", "within-rounding")


# --- faults -------------------------------------------------------------------------------------


def _lose_activation(x: F32, kernel: F32, bias: F32) -> F32:
    z = blas(x, kernel, bias)
    y = np.maximum(z, np.float32(0))
    y[:, 1] = z[:, 1]
    return y


def _lose_bias(x: F32, kernel: F32, bias: F32) -> F32:
    return np.maximum(blas(x, kernel, 0 * bias), np.float32(0))


def _transpose(x: F32, kernel: F32, bias: F32) -> F32:
    return np.maximum(blas(x, np.ascontiguousarray(kernel.T), bias), np.float32(0))


def _swap_columns(x: F32, kernel: F32, bias: F32) -> F32:
    return np.maximum(blas(x, kernel[:, ::-1], bias), np.float32(0))


def _change_weight(x: F32, kernel: F32, bias: F32) -> F32:
    kernel = kernel.copy()
    kernel[2, 1] += np.float32(1e-2)
    return np.maximum(blas(x, kernel, bias), np.float32(0))


def _lower_type(x: F32, kernel: F32, bias: F32) -> F32:
    half = blas(x.astype(np.float16).astype(np.float32), kernel, bias)
    return np.maximum(half, np.float32(0))


FAULTS: Final = (
    _lose_activation, _lose_bias, _transpose, _swap_columns, _change_weight, _lower_type,
)  # fmt: skip


def _ordinary(seed: int, n: int) -> tuple[F32, F32, F32]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((64, n)).astype(np.float32)
    kernel = (rng.standard_normal((n, n)) / np.sqrt(n)).astype(np.float32)
    return x, kernel, rng.standard_normal(n).astype(np.float32)


def _is_visible(fault: Order, x: F32, kernel: F32, bias: F32) -> bool:
    """Say whether the fault moves an output by twice its bound: relu may hide it in every row."""
    (right,) = evaluate(dense(kernel, bias, "relu"), [x])
    moved = np.abs(fault(x, kernel, bias) - right.value)
    return bool((moved > 2.0 * right.bound).any())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
def test_hardly_any_fault_in_an_ordinary_layer_is_invisible(fault: Order) -> None:
    cases = [_ordinary(seed, 3 + seed) for seed in range(40)]
    assert sum(_is_visible(fault, *case) for case in cases) >= 38


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
@examples(60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 300))
def test_a_visible_fault_in_an_ordinary_layer_is_always_beyond_the_bound(
    fault: Order, seed: int, n: int
) -> None:
    x, kernel, bias = _ordinary(seed, n)
    assume(_is_visible(fault, x, kernel, bias))
    verdict = judge_layer(dense(kernel, bias, "relu"), [x], [fault(x, kernel, bias)])
    assert (verdict.verdict, verdict.rung) == ("different", "certified")
    assert verdict.beyond_bound > 0
    assert verdict.max_ratio > 1.0


@examples(200)
@given(case=denses(), seed=st.integers(0, 2**32 - 1))
def test_an_error_of_more_than_the_bound_and_rounding_is_never_missed(
    case: tuple[F32, F32, F32], seed: int
) -> None:
    x, kernel, bias = case
    layer = dense(kernel, bias)
    (found,) = evaluate(layer, [x])
    y = blas(x, kernel, bias)
    rng = np.random.default_rng(seed)
    place = tuple(int(rng.integers(0, size)) for size in y.shape)
    # The honest error is at most the bound, so twice the bound and a step is outside for certain.
    shift = 2.0 * found.bound[place] + 2.0 * np.spacing(np.abs(y[place])) + 2.0**-149
    y[place] = np.float32(y[place] + rng.choice([-1.0, 1.0]) * shift * 1.001)
    verdict = judge_layer(layer, [x], [y])
    assert verdict.verdict == "different"
    assert place in [one.index for one in verdict.worst]
