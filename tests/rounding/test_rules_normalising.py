"""Normalisation: no way to write it leaves the bound, and every wrong moment or weight shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._typing import AnyArray
from bridge.facts.keras import Generation
from bridge.rounding.rules import Layer, UnsupportedError, arithmetic, evaluate
from tests.compare_samples import F32
from tests.examples import examples
from tests.orders import GOOD, ORDERS, Judge, Order, arrays, flush, judged, layer
from tests.tensorflow_ways import GENERATIONS, described, hold

f = np.float32
ONE: Final = f(1)


# --- ways to write a normalisation in float32 ----------------------------------------------------


def divided(s: F32) -> F32:
    return np.asarray(ONE / np.sqrt(s), np.float32)


def estimated(s: F32) -> F32:
    """Return a step of Newton's method from an estimate as bad as a processor may make it."""
    estimate = (1.0 / np.sqrt(s.astype(np.float64)) * (1.0 - 1.5 * 2.0**-12)).astype(np.float32)
    found: F32 = estimate * (f(1.5) - (f(0.5) * s * estimate) * estimate)
    return found


def cancelling(x: F32, mean: F32, scale: F32, beta: F32) -> F32:
    return x * scale + (beta - mean * scale)


def centred(x: F32, mean: F32, scale: F32, beta: F32) -> F32:
    return (x - mean) * scale + beta


def flushing(x: F32, mean: F32, scale: F32, beta: F32) -> F32:
    return flush(flush(flush(flush(x) - flush(mean)) * flush(scale)) + flush(beta))


def fused(x: F32, mean: F32, scale: F32, beta: F32) -> F32:
    """Return the first way with fused multiply-add."""
    shift = (beta - mean.astype(np.float64) * scale).astype(np.float32)
    return (x.astype(np.float64) * scale + shift).astype(np.float32)


WRITTEN: Final = (cancelling, centred, flushing, fused)
Root = Callable[[F32], F32]


def written(
    x: F32, mean: F32, variance: F32, gamma: F32, beta: F32, epsilon: float
) -> Iterator[tuple[str, F32]]:
    """Yield the result of every way to write it."""
    for root in (divided, estimated):
        for way in WRITTEN:
            scale = root(variance + f(epsilon)) * gamma
            found = way(x, mean, scale.astype(np.float32), beta)
            yield f"{root.__name__} {way.__name__}", found.astype(np.float32)
        last = ((x - mean) * root(variance + f(epsilon))) * gamma + beta
        yield f"{root.__name__} gamma last", last.astype(np.float32)


def means(terms: F32, order: Order) -> F32:
    return np.asarray(order(terms) * (ONE / f(terms.shape[-1])))[..., None]


def from_deviations(x: F32, mean: F32, order: Order) -> F32:
    return means(((x - mean) * (x - mean)).astype(np.float32), order)


def from_squares(x: F32, mean: F32, order: Order) -> F32:
    return means((x * x).astype(np.float32), order) - mean * mean


@st.composite
def weights(draw: st.DrawFn, n: int) -> tuple[F32, F32]:
    scale = draw(st.sampled_from([1e-3, 1.0, 100.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gamma, beta = rng.standard_normal((2, n)) * scale
    return gamma.astype(np.float32), beta.astype(np.float32)


# --- no way leaves the bound ---------------------------------------------------------------------


@examples(80)
@given(
    x=arrays(4, 5),
    both=weights(5),
    mean=arrays(5),
    spread=arrays(5),
    epsilon=st.sampled_from([1e-3, 1e-5, 1e-7]),
    generation=st.sampled_from([2, 3]),
)
def test_no_way_to_normalise_a_batch_leaves_the_bound(
    x: F32, both: tuple[F32, F32], mean: F32, spread: F32, epsilon: float, generation: Generation
) -> None:
    gamma, beta = both
    variance = np.abs(spread)
    this = layer(
        "BatchNormalization", {"axis": -1, "epsilon": epsilon}, generation,
        gamma=gamma, beta=beta, moving_mean=mean, moving_variance=variance,
    )  # fmt: skip
    judge = Judge(this, x)
    with np.errstate(all="ignore"):
        for way, y in written(x, mean, variance, gamma, beta, epsilon):
            assert not judge.beyond(y), way


@examples(60)
@given(
    x=arrays(3, 12),
    both=weights(12),
    epsilon=st.sampled_from([1e-3, 1e-6]),
    generation=st.sampled_from([0, 2, 3]),
)
def test_no_way_to_normalise_a_layer_leaves_the_bound(
    x: F32, both: tuple[F32, F32], epsilon: float, generation: Generation
) -> None:
    gamma, beta = both
    config = {"axis": [1], "epsilon": epsilon}
    this = layer("LayerNormalization", config, generation, gamma=gamma, beta=beta)
    judge = Judge(this, x)
    with np.errstate(all="ignore"):
        for order in ORDERS:
            mean = means(x, order)
            variances = [from_deviations(x, mean, order)]
            if generation != 3 and epsilon > 1e-4:
                variances.append(from_squares(x, mean, order))
            for variance in variances:
                for way, y in written(x, mean, variance, gamma, beta, epsilon):
                    assert not judge.beyond(y), (order.__name__, way)


@examples(40)
@given(x=arrays(3, 12), both=weights(12))
def test_no_way_to_scale_by_a_spread_or_a_mean_square_leaves_the_bound(
    x: F32, both: tuple[F32, F32]
) -> None:
    gamma, none = both[0], np.zeros(12, np.float32)
    spread = layer("LayerNormalization", {"rms_scaling": True, "epsilon": 1e-6}, gamma=gamma)
    square = layer("RMSNormalization", {"epsilon": 1e-6}, scale=gamma)
    judges = Judge(spread, x), Judge(square, x)
    with np.errstate(all="ignore"):
        for order in ORDERS:
            mean = means(x, order)
            for judge, under in zip(
                judges,
                (from_deviations(x, mean, order), means((x * x).astype(np.float32), order)),
                strict=True,
            ):
                for way, y in written(x, np.zeros_like(mean), under, gamma, none, 1e-6):
                    assert not judge.beyond(y), (order.__name__, way)


@examples(30)
@given(x=arrays(2, 4, 6), both=weights(6), groups=st.sampled_from([1, 2, 3, -1]))
def test_no_way_to_normalise_groups_leaves_the_bound(
    x: F32, both: tuple[F32, F32], groups: int
) -> None:
    gamma, beta = both
    this = layer("GroupNormalization", {"groups": groups}, gamma=gamma, beta=beta)
    count = 6 if groups == -1 else groups
    each = x.reshape(2, 4, count, 6 // count)
    rows = np.moveaxis(each, 2, 1).reshape(2, count, -1)
    judge = Judge(this, x)
    with np.errstate(all="ignore"):
        for order in ORDERS:
            mean = means(rows, order)
            variance = from_deviations(rows, mean, order)
            put = [np.moveaxis(part[..., None], 1, 2) for part in (mean, variance)]
            shaped = [part.reshape(count, -1) for part in (gamma, beta)]
            for way, y in written(each, put[0], put[1], shaped[0], shaped[1], 1e-3):
                assert not judge.beyond(y.reshape(x.shape)), (order.__name__, way)


def test_the_bound_is_finite_and_narrow_where_numbers_are_ordinary() -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((50, 256)) + 1).astype(np.float32)
    gamma, beta = rng.standard_normal((2, 256)).astype(np.float32)
    for generation in (2, 3):
        this = layer("LayerNormalization", {"axis": [1]}, generation, gamma=gamma, beta=beta)
        (found,) = evaluate(this, [x])
        assert found.bound.max() < 2e-3
        for way, y in written(
            x, x.mean(1, keepdims=True), x.var(1, keepdims=True), gamma, beta, 1e-3
        ):
            verdict = judged(this, x, y)
            assert verdict.verdict == "within-rounding"
            assert 0.0005 < verdict.max_ratio <= 1.0, way


# --- what is wrong shows -------------------------------------------------------------------------


def sample(cls: str) -> tuple[Layer, F32]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 5, 5, 8)).astype(np.float32)
    gamma, beta, mean = rng.standard_normal((3, 8)).astype(np.float32)
    if cls == "RMSNormalization":
        return layer(cls, scale=gamma), x
    moving = {"moving_mean": mean, "moving_variance": np.exp(beta)}
    more = moving if cls == "BatchNormalization" else {}
    config = {"groups": 2} if cls == "GroupNormalization" else {}
    return layer(cls, config, gamma=gamma, beta=beta, **more), x


KINDS: Final = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
)  # fmt: skip


@pytest.mark.parametrize("cls", KINDS)
def test_a_weight_an_epsilon_or_an_axis_that_is_wrong_is_seen(cls: str) -> None:
    this, x = sample(cls)
    (right,) = evaluate(this, [x])
    assert judged(this, x, right.value.astype(np.float32)).verdict == "same-bits"
    for name, weight in this.weights.items():
        for wrong in (weight[::-1], weight + np.float32(1e-2)):
            other = Layer("there", this.cls, this.config, {**this.weights, name: wrong}, 3)
            (found,) = evaluate(other, [x])
            verdict = judged(this, x, found.value.astype(np.float32))
            assert verdict.verdict == "different", name
    other = Layer("there", this.cls, {**this.config, "epsilon": 0.01}, this.weights, 3)
    (found,) = evaluate(other, [x])
    assert judged(this, x, found.value.astype(np.float32)).verdict == "different"
    turned = np.swapaxes(x, 1, 2)
    (found,) = evaluate(this, [turned])
    assert judged(this, x, found.value.astype(np.float32)).verdict == "different"


def test_moments_of_the_batch_are_seen_where_the_learnt_ones_are_due() -> None:
    this, x = sample("BatchNormalization")
    mean, spread = x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2))
    y = (x - mean) / spread * this.weights["gamma"] + this.weights["beta"]
    assert judged(this, x, y).verdict == "different"


def test_a_spread_with_one_degree_of_freedom_less_is_seen() -> None:
    this, x = sample("LayerNormalization")
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-3)
    y = (y * this.weights["gamma"] + this.weights["beta"]).astype(np.float32)
    assert judged(this, x, y).verdict == "different"


def test_a_variance_that_may_be_negative_in_float32_is_left_alone() -> None:
    x = (np.random.default_rng(0).standard_normal((3, 64)) + 1e5).astype(np.float32)
    config = {"axis": [1], "scale": False, "center": False}
    nothing = np.full(x.shape, np.nan, np.float32)
    assert judged(layer("LayerNormalization", config, 2), x, nothing).verdict == "abstained"
    # Keras 3 takes the deviations from the mean, whose squares are never negative.
    assert judged(layer("LayerNormalization", config, 3), x, nothing).verdict == "different"


@pytest.mark.parametrize("variance", [-1.0, 0.0, np.nan, np.inf])
def test_a_root_of_no_positive_number_is_left_alone(variance: float) -> None:
    one = np.ones(1, np.float32)
    this = layer(
        "BatchNormalization", {"epsilon": 0.0, "scale": False, "center": False},
        moving_mean=one, moving_variance=one * np.float32(variance),
    )  # fmt: skip
    for seen in (0.0, 7.0, np.nan):
        y = np.full((2, 1), seen, np.float32)
        assert judged(this, np.full((2, 1), 3.0, np.float32), y).verdict != "different"


def test_a_fused_kernel_may_have_taken_a_larger_epsilon() -> None:
    x = np.ones((1, 1, 1, 1), np.float32)
    none = np.zeros(1, np.float32)
    config = {"epsilon": 1e-7, "scale": False, "center": False}
    y = np.full_like(x, 1 / np.sqrt(1.001e-5))
    for generation, image, verdict in ((2, x, GOOD), (2, x[0], ("different",)),
                                       (3, x, ("different",))):  # fmt: skip
        this = layer("BatchNormalization", config, generation,
                     moving_mean=none, moving_variance=none)  # fmt: skip
        assert judged(this, image, y.reshape(image.shape)).verdict in verdict
        (found,) = evaluate(this, [image])
        right = found.value.astype(np.float32)
        assert judged(this, image, right).verdict == "same-bits"


def test_half_precision_is_computed_in_float32_and_rounded_once() -> None:
    this, x = sample("BatchNormalization")
    half = Layer("here", this.cls, {"dtype": "mixed_float16"}, this.weights, 3)
    narrow = x.astype(np.float16)
    (found,) = evaluate(this, [narrow.astype(np.float32)])
    y = found.value.astype(np.float32).astype(np.float16)
    assert judged(half, narrow, y).verdict in GOOD
    assert judged(half, narrow, np.nextafter(y, np.float16(9))).verdict == "different"


# --- what is refused -----------------------------------------------------------------------------

EIGHT: Final = np.ones(8, np.float32)
FOUR: Final = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), EIGHT)
TWO: Final = {"gamma": EIGHT, "beta": EIGHT}


def made(cls: str, config: Any = None, /, **weights: AnyArray) -> Layer:
    return layer(cls, config, 3, **weights)


REFUSED: Final[list[tuple[Layer, str]]] = [
    (Layer("here", "keras.layers.BatchNormalization", {}, FOUR, 3, training=True), "training"),
    (Layer("here", "keras.layers.BatchNormalization", {}, FOUR, 3, devices=("GPU",)), "GPU"),
    (Layer("here", "keras.layers.LayerNormalization", {}, TWO, 3, devices=()), "not recorded"),
    (made("BatchNormalization", {"renorm": True}, **FOUR), "renorm"),
    (made("BatchNormalization", {"virtual_batch_size": 2}, **FOUR), "virtual"),
    (made("BatchNormalization", **TWO), "weights are"),
    (made("BatchNormalization", {"scale": False}, **FOUR), "weights are"),
    (made("BatchNormalization", {"scale": 1}, **FOUR), "neither true nor false"),
    (made("BatchNormalization", {"axis": 9}, **FOUR), "axis"),
    (made("BatchNormalization", {"axis": [2, 2]}, **FOUR), "axis"),
    (made("BatchNormalization", {"axis": []}, **FOUR), "axis"),
    (made("BatchNormalization", {"axis": "x"}, **FOUR), "axis"),
    (made("BatchNormalization", {"axis": 1}, **FOUR), "does not fit"),
    (made("BatchNormalization", {"epsilon": "many"}, **FOUR), "epsilon"),
    (made("BatchNormalization", {"epsilon": -1.0}, **FOUR), "epsilon"),
    (made("BatchNormalization", {"epsilon": 1e300}, **FOUR), "epsilon"),
    (made("BatchNormalization", {"dtype": "float64"}, **FOUR), "float64"),
    (made("BatchNormalization", **{**FOUR, "gamma": EIGHT.astype(np.int32)}), "int32"),
    (made("LayerNormalization", {"axis": [2, 1]}, **TWO), "order"),
    (made("LayerNormalization", {"axis": [1, 2]}, **TWO), "does not fit"),
    (layer("LayerNormalization", {"dtype": "mixed_float16"}, 2, **TWO), "Keras 3 alone"),
    (made("GroupNormalization", {"groups": 3}, **TWO), "3 groups"),
    (made("GroupNormalization", {"groups": 0}, **TWO), "0 groups"),
    (made("GroupNormalization", {"groups": "2"}, **TWO), "groups"),
    (made("GroupNormalization", {"groups": 2, "axis": 0}, **TWO), "axis"),
    (made("GroupNormalization", {"groups": 2}, **{**TWO, "beta": EIGHT[:4]}), "do not fit"),
    (made("RMSNormalization", **TWO), "weights are"),
    (made("UnitNormalization", {"axis": None}), "axis"),
]  # fmt: skip


@pytest.mark.parametrize(("this", "why"), REFUSED)
def test_what_cannot_be_read_is_refused(this: Layer, why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        evaluate(this, [np.zeros((2, 3, 8), np.float32)])


# --- reciprocal square roots ---------------------------------------------------------------------


def test_what_was_measured_is_what_newtons_method_promises() -> None:
    assert 3.0 * 2.0**-24 < arithmetic.relative_error() < 6.0 * 2.0**-24
    assert arithmetic.relative_error() == arithmetic.NEWTON


@examples(50)
@given(
    s=st.floats(2.0**-120, 2.0**120, width=32),
    off=st.floats(0.0, 0.9),
    at=st.floats(-1.0, 1.0),
)
def test_a_root_of_any_number_in_the_interval_is_covered(s: float, off: float, at: float) -> None:
    middle = np.array([s])
    root, error = arithmetic.reciprocal_root(middle, off * middle)
    for root_of in (divided, estimated):
        seen = root_of((middle * (1.0 + off * at)).astype(np.float32)).astype(np.float64)
        assert abs(seen - root)[0] <= error[0] * (1 + 1e-6) + 2.0**-24 * root[0] * (off > 0.0)


# --- TensorFlow ----------------------------------------------------------------------------------


def _filled(layer: Any, rng: np.random.Generator) -> Any:
    """Give every weight numbers of its own."""
    values = []
    for weight in layer.weights:
        numbers = rng.standard_normal(tuple(weight.shape))
        values.append(np.exp(numbers) if "variance" in weight.name else numbers)
    layer.set_weights([each.astype(np.float32) for each in values])
    return layer


def _inputs(rng: np.random.Generator, *shape: int) -> list[F32]:
    found = [rng.standard_normal(shape) * scale for scale in (1.0, 1e-3, 1e6)]
    found.append(rng.standard_normal(shape) + 30)
    found.append(rng.standard_normal(shape) * 10.0 ** rng.uniform(-42, 3, shape))
    return [each.astype(np.float32) for each in found]


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_batch_normalization(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(0)
    for shape, options in (
        ((7, 33), {}), ((7, 33), {"scale": False, "epsilon": 1e-5}),
        ((2, 5, 4, 9), {}), ((2, 5, 4, 9), {"axis": 1, "center": False}),
        ((2, 3, 4, 2, 5), {"epsilon": 1e-7}),
    ):  # fmt: skip
        made = layers.BatchNormalization(**options)
        made.build((None, *shape[1:]))
        hold(_filled(made, rng), generation, _inputs(rng, *shape))


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_layer_normalization(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(1)
    for shape, options in (
        ((7, 33), {}), ((7, 1000), {"epsilon": 1e-7}), ((3, 4, 5), {"axis": 1, "scale": False}),
        ((3, 4, 5), {"axis": [1, 2], "center": False}),
    ):  # fmt: skip
        made = layers.LayerNormalization(**options)
        made.build((None, *shape[1:]))
        hold(_filled(made, rng), generation, _inputs(rng, *shape))


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_group_normalization(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(2)
    for shape, options in (((3, 5, 4, 6), {"groups": 2}), ((3, 8), {"groups": -1})):
        made = layers.GroupNormalization(**options)
        made.build((None, *shape[1:]))
        hold(_filled(made, rng), generation, _inputs(rng, *shape))


@pytest.mark.tf
def test_rms_normalization() -> None:
    layers = pytest.importorskip("keras").layers
    rng = np.random.default_rng(3)
    made = layers.RMSNormalization(axis=[1, 2])
    made.build((None, 5, 8))
    hold(_filled(made, rng), 3, _inputs(rng, 4, 5, 8))


@pytest.mark.tf
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_keras_3_computes_in_float32_at_least(policy: str) -> None:
    layers = pytest.importorskip("keras").layers
    rng = np.random.default_rng(4)
    x = rng.standard_normal((5, 40)).astype(np.float32)
    for made in (
        layers.BatchNormalization(dtype=policy), layers.LayerNormalization(dtype=policy),
        layers.RMSNormalization(dtype=policy),
    ):  # fmt: skip
        made.build((None, 40))
        hold(_filled(made, rng), 3, [x, x * 100, x + 300])


@pytest.mark.tf
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 4, 8)])
def test_keras_2_normalises_batches_in_float32_too(policy: str, shape: tuple[int, ...]) -> None:
    layers = pytest.importorskip("tf_keras").layers
    rng = np.random.default_rng(5)
    made = layers.BatchNormalization(dtype=policy)
    made.build((None, *shape[1:]))
    x = rng.standard_normal(shape).astype(np.float32)
    hold(_filled(made, rng), 2, [x, x * 100])


@pytest.mark.tf
def test_xla_takes_variances_from_squares_where_tf_keras_fuses() -> None:
    tf = pytest.importorskip("tensorflow")
    layers = pytest.importorskip("tf_keras").layers
    x = (np.random.default_rng(6).standard_normal((4, 64)) + 100).astype(np.float32)
    made = layers.LayerNormalization(center=False, scale=False)
    made.build((None, 64))
    y = np.asarray(tf.function(made, jit_compile=True)(x))
    this = described(made, 2)
    assert judged(this, x, y).verdict == "within-rounding"
    strict = Layer(this.name, this.cls, this.config, this.weights, 3)
    assert judged(strict, x, y).verdict == "different"
