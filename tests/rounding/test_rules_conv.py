"""No correct convolution may leave its bound, and no visible fault may stay inside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._typing import F64
from bridge.rounding.rules import Layer, UnsupportedError, evaluate, products, windows
from bridge.rounding.rules.rounding import FORMATS
from tests.compare_samples import F32, judge_layer
from tests.conv_samples import (
    BIAS,
    KERNEL,
    ORDERS,
    Conv,
    X,
    as_groups,
    forwards,
    in_pairs,
    layer_of,
)
from tests.examples import examples

GOOD: Final = ("same-bits", "within-rounding")


@st.composite
def geometries(draw: st.DrawFn, kinds: tuple[str, ...]) -> tuple[Conv, tuple[int, ...]]:
    """Draw a layer and the lengths of its input."""
    kind = draw(st.sampled_from(kinds))
    rank = draw(st.integers(1, 3 if kind in ("conv", "transposed") else 2))
    most = (0, 4, 3, 2)[rank]

    def each(least: int, largest: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, largest)) for _ in range(rank))

    padding = ["valid", "same"] + (["causal"] if rank == 1 and kind != "transposed" else [])
    groups = draw(st.integers(1, 3)) if kind == "conv" else 1
    chosen = draw(st.sampled_from(padding))
    case = Conv(kind, rank, each(1, most), each(1, 3), each(1, 3), chosen, groups)
    lengths = each(1, (0, 9, 5, 3)[rank])
    if not case.fits(lengths):
        lengths = tuple((k - 1) * d + 1 for k, d in zip(case.size, case.dilation, strict=True))
    return case, lengths


@st.composite
def layers(draw: st.DrawFn, kinds: tuple[str, ...]) -> tuple[Conv, F32, F32, F32]:
    """Draw a layer, its input, kernel and bias: scales, and how much of a sum cancels."""
    case, lengths = draw(geometries(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    depth, each, n = (draw(st.integers(1, 3)) for _ in range(3))
    exponents = st.sampled_from([-42, -38, -20, -6, -2, 0, 2, 6])
    channels = depth * case.groups
    last = (depth, each * case.groups)
    if case.kind == "transposed":
        last = (each, channels)
    if case.kind == "depthwise":
        case, last = replace(case, groups=1), (channels, each)
    x = rng.standard_normal((n, *lengths, channels)) * 10.0 ** draw(exponents)
    kernel = rng.standard_normal((*case.size, *last)) * 10.0 ** draw(exponents)
    filters = channels * each if case.kind == "depthwise" else each * case.groups
    bias = rng.standard_normal(filters) * 10.0 ** draw(exponents)
    if draw(st.booleans()):
        # All values alike and signs in turn: what is added first is taken away again.
        x = np.full_like(x, x.flat[0]) * (1 + 1e-7 * rng.standard_normal(x.shape))
        kernel = np.abs(kernel.flat[0]) * (-1.0) ** np.arange(kernel.size).reshape(kernel.shape)
    if draw(st.booleans()):
        x *= 10.0 ** rng.uniform(-8, 8, x.shape)
    return case, x.astype(np.float32), kernel.astype(np.float32), bias.astype(np.float32)


SIMPLE: Final = ("conv", "depthwise", "transposed")


@examples(60)
@given(drawn=layers(SIMPLE), relu=st.booleans())
def test_no_order_of_summation_leaves_the_bound(
    drawn: tuple[Conv, F32, F32, F32], relu: bool
) -> None:
    case, x, kernel, bias = drawn
    layer = layer_of(case, kernel, bias, activation="relu" if relu else "linear")
    plain, as_drawn = as_groups(case, kernel)
    factors, weights = plain.terms(x, as_drawn)
    for order in ORDERS:
        with np.errstate(all="ignore"):
            z = order(factors, weights, bias)
            y = np.maximum(z, np.float32(0)) if relu else z
        verdict = judge_layer(layer, [x], [y])
        assert verdict.verdict in GOOD, (order.__name__, verdict)
        assert verdict.max_ratio <= 1.0


@examples(40)
@given(drawn=layers(("depthwise",)), seed=st.integers(0, 2**32 - 1))
def test_what_a_separable_layer_makes_in_between_may_be_rounded_or_not(
    drawn: tuple[Conv, F32, F32, F32], seed: int
) -> None:
    case, x, kernel, _ = drawn
    rng = np.random.default_rng(seed)
    width = kernel.shape[-2] * kernel.shape[-1]
    pointwise = rng.standard_normal((*(1,) * case.rank, width, 3)).astype(np.float32)
    bias = rng.standard_normal(3).astype(np.float32)
    weights = {"depthwise_kernel": kernel, "pointwise_kernel": pointwise, "bias": bias}
    layer = Layer("conv", replace(case, kind="separable").cls, case.config, weights, 2)
    plain, as_drawn = as_groups(case, kernel)
    factors, taps = plain.terms(x, as_drawn)
    none = np.zeros(width, np.float32)
    exact = (factors.astype(np.float64) * taps).sum(axis=-1)
    last = pointwise.reshape(width, 3)
    with np.errstate(all="ignore"):
        whole = (exact @ last.astype(np.float64) + bias).astype(np.float32)
        assert judge_layer(layer, [x], [whole]).verdict in GOOD
        for first, second in zip(ORDERS, reversed(ORDERS), strict=True):
            between = first(factors, taps, none)[..., None, :]
            spread = np.broadcast_to(between, (*between.shape[:-2], 3, width))
            y = second(spread, np.broadcast_to(last.T, spread.shape), bias)
            verdict = judge_layer(layer, [x], [y.astype(np.float32)])
            assert verdict.verdict in GOOD, (first.__name__, second.__name__, verdict)


@examples(60)
@given(
    drawn=geometries(SIMPLE),
    seed=st.integers(0, 2**32 - 1),
    at_once=st.integers(1, 200),
    first=st.booleans(),
)
def test_the_value_is_the_sum_of_the_products_whatever_the_blocks(
    drawn: tuple[Conv, tuple[int, ...]], seed: int, at_once: int, first: bool
) -> None:
    case, lengths = drawn
    rng = np.random.default_rng(seed)
    channels, each = 2 * case.groups, 3 * case.groups
    last = {"conv": (2, each), "depthwise": (channels, 3), "transposed": (each, channels)}
    case = replace(case, groups=1) if case.kind == "depthwise" else case

    def integers(*shape: int) -> F32:
        return rng.integers(-9, 10, shape).astype(np.float32)

    x, kernel = integers(3, *lengths, channels), integers(*case.size, *last[case.kind])
    bias = integers(channels * 3 if case.kind == "depthwise" else each)
    plain, as_drawn = as_groups(case, kernel)
    factors, taps = plain.terms(x, as_drawn)
    y = (factors * taps).sum(axis=-1) + bias
    order = "channels_first" if first else "channels_last"
    layer = layer_of(case, kernel, bias, data_format=order)
    if first:
        x, y = np.moveaxis(x, -1, 1), np.moveaxis(y, -1, 1)
    (whole,) = evaluate(layer, [x])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "AT_ONCE", at_once)
        patch.setattr(products, "AT_ONCE", at_once)
        (found,) = evaluate(layer, [x])
        assert np.array_equal(found.value, y)
        assert np.array_equal(found.bound, whole.bound)
    assert judge_layer(layer, [x], [y]).verdict == "same-bits"


#: A class, its configuration, the shape of its kernel, and how many products a result may add.
TERMS: Final[list[tuple[str, dict[str, Any], tuple[int, ...], int]]] = [
    ("Conv1D", {"dilation_rate": 2}, (3, 5, 4), 15),
    ("Conv2D", {"groups": 3, "padding": "same"}, (3, 2, 2, 6), 12),
    ("Conv3D", {"strides": [1, 2, 3]}, (2, 3, 1, 3, 2), 18),
    ("DepthwiseConv2D", {"depth_multiplier": 2}, (3, 2, 4, 2), 6),
    ("Conv1DTranspose", {}, (4, 2, 5), 20),
    ("Conv2DTranspose", {"strides": [2, 3]}, (3, 3, 2, 5), 10),
    ("Conv2DTranspose", {"dilation_rate": 2, "strides": 2, "padding": "same"}, (3, 2, 2, 5), 30),
]


@pytest.mark.parametrize(("cls", "config", "shape", "terms"), TERMS)
def test_the_bound_counts_every_product_and_no_other(
    cls: str, config: dict[str, Any], shape: tuple[int, ...], terms: int
) -> None:
    kernel = np.ones(shape, np.float32)
    channels = {"C": shape[-2] * config.get("groups", 1), "D": shape[-2]}[cls[0]]
    x = np.ones((2, *(9,) * (len(shape) - 2), channels), np.float32)
    if cls.endswith("Transpose"):
        x = np.ones((*x.shape[:-1], shape[-1]), np.float32)
    (found,) = evaluate(Layer("conv", f"keras.layers.{cls}", config, {"kernel": kernel}, 2), [x])
    # Of n terms of one sign the sum of magnitudes is the value, and the bound n u times that.
    assert found.value.max() == terms
    assert found.bound == pytest.approx(terms * 2.0**-24 * found.value, rel=1e-5)


@examples(60)
@given(drawn=geometries(("conv",)), seed=st.integers(0, 2**32 - 1))
def test_a_transposed_convolution_is_the_adjoint_of_a_convolution(
    drawn: tuple[Conv, tuple[int, ...]], seed: int
) -> None:
    case, lengths = drawn
    rng = np.random.default_rng(seed)
    axes = [
        windows.Axis(n, length, k, s, d, before)
        for n, k, s, d, (length, before) in zip(
            lengths, case.size, case.strides, case.dilation, case.output(lengths), strict=True
        )
    ]
    kernel: F64 = rng.integers(-9, 10, (*case.size, 2, 3)).astype(np.float64)
    x: F64 = rng.integers(-9, 10, (2, *lengths, 2)).astype(np.float64)
    y: F64 = rng.integers(-9, 10, (2, *(axis.narrow for axis in axes), 3)).astype(np.float64)
    forth, back = windows.convolve(x, kernel, axes), windows.spread(y, kernel, axes)
    assert (forth * y).sum() == (x * back).sum()
    ones = np.ones_like(kernel[..., :1, :1])
    met = windows.spread(np.ones((1, *y.shape[1:-1], 1)), ones, axes)
    assert met.max() <= math.prod(axis.overlap for axis in axes)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_may_round_every_sum_or_only_the_last(dtype: str) -> None:
    fmt = FORMATS[dtype]
    rng = np.random.default_rng(4)
    case = Conv("conv", 2, (3, 2), (1, 2), (1, 1), "same")
    for scale in (1e-4, 1.0, 30.0):
        x = fmt.cast(rng.standard_normal((3, 6, 5, 4)) * scale)
        kernel, bias = fmt.cast(rng.standard_normal((3, 2, 4, 3))), fmt.cast(rng.standard_normal(3))
        layer = layer_of(
            case, kernel.astype("f4"), bias.astype("f4"), dtype="mixed_" + dtype, use_bias=True
        )
        factors, taps = case.terms(x.astype("f4"), kernel.astype("f4"))
        products = factors.astype(np.float64) * taps
        total = np.zeros(products.shape[:-1])
        for number in range(products.shape[-1]):
            total = fmt.cast(total + fmt.cast(products[..., number]))
        short = (factors * taps).sum(axis=-1, dtype=np.float32)
        for sums in (total, fmt.cast(short)):
            y = fmt.cast(sums + bias).astype(fmt.dtype)
            assert judge_layer(layer, [x], [y]).verdict in GOOD
            wrong = fmt.cast(sums).astype(fmt.dtype)
            assert judge_layer(layer, [x], [wrong]).verdict != "same-bits"


# --- faults --------------------------------------------------------------------------------------

FAULTY: Final = Conv("conv", 2, (3, 3), (2, 2), (1, 1), "same")
Fault = Callable[[Conv, F32, F32, F32], tuple[Conv, F32, F32, F32]]


def _change_weight(kernel: F32) -> F32:
    kernel = kernel.copy()
    kernel.flat[17] += np.float32(1e-3)
    return kernel


FAULTS: Final[dict[str, Fault]] = {
    "kernel flipped": lambda c, x, k, b: (c, x, k[::-1, ::-1], b),
    "height and width swapped": lambda c, x, k, b: (c, x, np.swapaxes(k, 0, 1), b),
    "channels swapped": lambda c, x, k, b: (c, x, k[:, :, ::-1], b),
    "filters swapped": lambda c, x, k, b: (c, x, k[..., ::-1], b),
    "kernel transposed": lambda c, x, k, b: (c, x, np.swapaxes(k, 2, 3), b),
    "zeros before instead of behind": lambda c, x, k, b: (c, np.roll(x, (1, 1), (1, 2)), k, b),
    "dilation wrong": lambda c, x, k, b: (replace(c, dilation=(2, 1)), x, k, b),
    "bias lost": lambda c, x, k, b: (c, x, k, 0 * b),
    "tap lost": lambda c, x, k, b: (c, x, k * (np.arange(9) != 4).reshape(3, 3, 1, 1), b),
    "a weight changed": lambda c, x, k, b: (c, x, _change_weight(k), b),
    "axes of the input swapped": lambda c, x, k, b: (c, np.swapaxes(x, 1, 2), k, b),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_visible_fault_is_beyond_the_bound(fault: str) -> None:
    layer = layer_of(FAULTY, KERNEL, BIAS, activation="relu")

    def made(case: Conv, x: F32, kernel: F32, bias: F32) -> F32:
        z = forwards(*case.terms(x, kernel.astype(np.float32)), bias)
        return np.maximum(z, np.float32(0))

    right = made(FAULTY, X, KERNEL, BIAS)
    wrong = made(*FAULTS[fault](FAULTY, X, KERNEL, BIAS))
    assert right.shape == wrong.shape
    assert judge_layer(layer, [X], [right]).verdict in GOOD
    assert judge_layer(layer, [X], [wrong]).verdict == "different"


def test_a_bias_along_the_wrong_axis_is_beyond_the_bound() -> None:
    # Keras 3.15 does this to channels_first where the last axis is as long as there are filters.
    layer = layer_of(FAULTY, KERNEL, BIAS, data_format="channels_first")
    sums = np.moveaxis(in_pairs(*FAULTY.terms(X, KERNEL), np.zeros(4, np.float32)), -1, 1)
    x = np.moveaxis(X, -1, 1)
    assert judge_layer(layer, [x], [sums + BIAS[:, None, None]]).verdict in GOOD
    assert judge_layer(layer, [x], [sums + BIAS]).verdict == "different"


def test_an_activation_lost_in_one_channel_is_beyond_the_bound() -> None:
    layer = layer_of(FAULTY, KERNEL, BIAS, activation="relu")
    z = forwards(*FAULTY.terms(X, KERNEL), BIAS)
    y = np.maximum(z, np.float32(0))
    y[..., 2] = z[..., 2]
    assert judge_layer(layer, [X], [y]).beyond_bound == (z[..., 2] < 0).sum()


def test_a_transposed_layer_with_its_taps_the_wrong_way_round_is_beyond_the_bound() -> None:
    case = Conv("transposed", 1, (3,), (2,), (1,), "same")
    x, kernel = X[:, 0], KERNEL[0]
    layer = layer_of(case, kernel, BIAS)
    for used, expected in ((kernel, GOOD), (kernel[::-1], ("different",))):
        y = in_pairs(*case.terms(x, used), BIAS)
        assert judge_layer(layer, [x], [y]).verdict in expected


def test_a_batch_of_batches_is_a_batch() -> None:
    layer = layer_of(FAULTY, KERNEL, BIAS, activation="softmax")
    (plain,) = evaluate(layer, [X])
    (found,) = evaluate(layer, [X.reshape(2, 2, *X.shape[1:])])
    assert np.array_equal(found.value, plain.value.reshape(2, 2, *plain.value.shape[1:]))
    assert np.array_equal(found.bound, plain.bound.reshape(found.value.shape))


def test_an_empty_batch_is_evaluated() -> None:
    (found,) = evaluate(layer_of(FAULTY, KERNEL, BIAS), [X[:0]])
    assert found.value.shape == found.bound.shape == (0, 4, 4, 4)


def test_nothing_is_claimed_where_a_number_is_not_finite() -> None:
    x, kernel = X.copy(), KERNEL.copy()
    x[0, 3, 3, 1] = np.inf
    kernel[1, 1, 0, 2] = np.nan
    (found,) = evaluate(layer_of(FAULTY, kernel, BIAS), [x])
    assert not np.isfinite(found.bound[..., 2]).any()
    assert not np.isfinite(found.bound[0, 1:3, 1:3]).all()
    assert np.isfinite(found.bound[1:, ..., [0, 1, 3]]).all()
    largest = np.full_like(X, np.finfo(np.float32).max)
    (found,) = evaluate(layer_of(FAULTY, KERNEL, BIAS), [largest])
    assert np.isinf(found.bound).any()


# --- Winograd ------------------------------------------------------------------------------------


def _winograd(x: F32, g: F32) -> F32:
    """Return Winograd's F(2, 3) in float32: two sums of three products by four products."""
    two = np.float32(2)
    m1 = (x[0] - x[2]) * g[0]
    m2 = (x[1] + x[2]) * ((g[0] + g[1] + g[2]) / two)
    m3 = (x[2] - x[1]) * ((g[0] - g[1] + g[2]) / two)
    m4 = (x[1] - x[3]) * g[2]
    return np.array([m1 + m2 + m3, m2 - m3 - m4], np.float32)


def test_winograd_can_be_beyond_the_bound_so_devices_that_use_it_abstain() -> None:
    x, g = np.array([1.1, 0.0, 1.3, 0.7], np.float32), np.array([0.3, 1e6, 0.7], np.float32)
    y = _winograd(x, g)
    exact = np.correlate(x.astype(np.float64), g.astype(np.float64))
    assert np.abs(y - exact).max() <= 1e-6 * np.abs(x).max() * np.abs(g).max()
    case = Conv("conv", 1, (3,), (1,), (1,))
    layer = Layer("conv", case.cls, case.config, {"kernel": g.reshape(3, 1, 1)}, 3)
    given, made = [x.reshape(1, 4, 1)], [y.reshape(1, 2, 1)]
    assert judge_layer(layer, given, made).verdict == "different"
    for devices in (("CPU", "GPU"), ("GPU",), ("TPU",), ()):
        elsewhere = replace(layer, devices=devices)
        with pytest.raises(UnsupportedError, match="Winograd, by FFT or in TensorFloat-32"):
            evaluate(elsewhere, given)
        verdict = judge_layer(elsewhere, given, made)
        assert verdict.rung not in ("certified", "bit-equal")
        assert verdict.verdict != "different"
