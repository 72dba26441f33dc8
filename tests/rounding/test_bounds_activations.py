"""Every unary activation has a rule in every type, and what a kernel may return is inside it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest

from bridge.facts.keras import Generation
from bridge.rounding.rules import Layer, UnsupportedError
from bridge.rounding.rules.activations import (
    activation_of,
    apply_activation,
    celu,
    hard_shrink,
    squareplus,
    threshold,
)
from bridge.rounding.rules.rounding import BFLOAT16, FLOAT16, FLOAT32, FORMATS, Format
from tests.compare_samples import judge_layer
from tests.examples import thorough
from tests.tensorflow_ways import GENERATIONS, described, hold, ways

#: What ``keras.activations`` has besides: over an axis, or with arguments that a name cannot give.
NOT_UNARY: Final = frozenset({"softmax", "log_softmax", "sparsemax", "glu", "threshold"})
TOOLS: Final = frozenset({"get", "serialize", "deserialize"})
UNARY: Final = (
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "soft_shrink", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
)  # fmt: skip

ACTIVATIONS: Final = (
    "relu", "relu6", "gelu", "sigmoid", "tanh", "elu", "selu", "leaky_relu", "swish", "softplus",
    "mish", "hard_sigmoid", "softmax",
)  # fmt: skip
POLICIES: Final = ("float16", "bfloat16", "mixed_bfloat16", "mixed_float16")


def operation(cls: str, **config: Any) -> dict[str, Any]:
    """Return an operation of Keras 3 as a configuration holds it."""
    config = {"name": cls.lower(), **config}
    return {
        "module": "keras.src.ops.nn", "class_name": cls, "config": config, "registered_name": cls,
    }  # fmt: skip


# --- names, layers and operations ---------------------------------------------------------------


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("name", UNARY)
def test_every_activation_has_a_rule_in_every_type(name: str, fmt: Format) -> None:
    z = fmt.cast(np.linspace(-5.0, 5.0, 101))
    found = activation_of(name, 3, fmt).evaluate(z, lambda: np.full(z.shape, 0.01))
    assert found.value.shape == found.bound.shape == z.shape
    assert np.isfinite(found.bound).all()
    exact = activation_of(name, 3, fmt).evaluate(z)
    assert (exact.bound <= found.bound).all()


@pytest.mark.parametrize("name", ["glu", "sparsemax", "threshold", "my_own"])
def test_what_has_no_rule_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(UnsupportedError, match="has no rule"):
        apply_activation(name, 3, np.zeros((2, 4)))


def test_an_operation_of_keras_3_is_read_with_its_constants() -> None:
    z = np.array([-1.5, -0.25, 0.25, 1.5])

    def value(spec: Any) -> list[float]:
        return [round(float(y), 6) for y in activation_of(spec, 3).evaluate(z).value]

    assert value(operation("HardShrink", threshold=1.0)) == [-1.5, 0.0, 0.0, 1.5]
    assert value(operation("SoftShrink", threshold=1.0)) == [-0.5, 0.0, 0.0, 0.5]
    assert value(operation("Threshold", threshold=0.0, default_value=9.0)) == [9.0, 9.0, 0.25, 1.5]
    assert value(operation("LeakyRelu", negative_slope=0.5)) == [-0.75, -0.125, 0.25, 1.5]
    assert value(operation("HardSilu")) == value("hard_silu")
    assert value(operation("Gelu", approximate=False)) == value("gelu")
    assert value(operation("Gelu", approximate=True)) != value("gelu")
    for cls in ("Celu", "Elu"):
        assert value(operation(cls, alpha=1.0)) == value(cls.lower())
        assert value(operation(cls, alpha=2.0)) != value(cls.lower())
    with pytest.raises(UnsupportedError, match="default_value was not recorded"):
        activation_of(operation("Threshold", threshold=1.0), 3)
    with pytest.raises(UnsupportedError, match="has no rule"):
        activation_of(operation("Relu", slope=1.0), 3)


@pytest.mark.parametrize(
    "place", [{"module": "mine", "registered_name": "LeakyReLU"},
              {"module": "keras.layers", "registered_name": "Custom>LeakyReLU"}],
)  # fmt: skip
def test_a_class_of_the_scripts_own_is_not_taken_for_that_of_keras(place: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="the script's own"):
        activation_of({"class_name": "LeakyReLU", "config": {"alpha": 0.1}, **place}, 2)


def test_an_activation_in_another_type_than_its_layer_is_refused() -> None:
    spec: Any = {"class_name": "LeakyReLU", "config": {"alpha": 0.1, "dtype": "float32"}}
    assert activation_of(spec, 2).form.name == "leaky_relu"
    with pytest.raises(UnsupportedError, match="computes in float32 and the layer itself in bfl"):
        activation_of(spec, 2, BFLOAT16)


# --- jumps, constants and arguments that are known only nearly ----------------------------------


@pytest.mark.parametrize(
    ("activation", "z", "sides"),
    [(hard_shrink(0.5), 0.5, (0.0, 0.5)), (hard_shrink(0.5), -0.5, (0.0, -0.5)),
     (threshold(1.0, -7.0), 1.0, (-7.0, 1.0)), (threshold(0.0, 3.0), 0.0, (3.0, 0.0))],
)  # fmt: skip
def test_near_a_jump_both_sides_are_inside(
    activation: Any, z: float, sides: tuple[float, float]
) -> None:
    for offset in (-1e-7, 0.0, 1e-7):
        found = activation.evaluate(np.array([z + offset]), lambda: np.array([2e-7]))
        for side in sides:
            assert abs(found.value[0] - side) <= found.bound[0] + 3e-7
    far = activation.evaluate(np.array([z + 0.25]), lambda: np.array([2e-7]))
    assert far.bound[0] < 1e-6


def test_flushing_can_carry_an_argument_over_a_jump_at_zero() -> None:
    found = threshold(0.0, 3.0).evaluate(np.array([1e-40]))
    assert found.value[0] == pytest.approx(1e-40)
    assert found.bound[0] >= 3.0


@pytest.mark.parametrize("fmt", [BFLOAT16, FLOAT16], ids=lambda fmt: fmt.name)
def test_constants_are_those_of_the_type(fmt: Format) -> None:
    least = 1.1
    held = fmt.held(least)
    assert held != least
    found = threshold(least, 0.0, fmt).evaluate(np.array([held, held + 4 * fmt.unit]))
    assert (found.value == 0.0).tolist() == [True, False]


@pytest.mark.parametrize("fmt", [BFLOAT16, FLOAT16], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("name", ["relu", "relu6", "hard_tanh", "tanh", "sigmoid", "elu", "gelu"])
def test_a_fused_kernel_that_rounds_once_is_inside(name: str, fmt: Format) -> None:
    """It applies the function to a float32 sum that was never rounded to the type."""
    rng = np.random.default_rng(3)
    z = rng.uniform(-4.0, 4.0, 5000)
    activation = activation_of(name, 3, fmt)
    # The rule of the sum knows it up to one rounding.
    found = activation.evaluate(fmt.cast(z), lambda: np.abs(z) * 2.0 * fmt.unit)
    y = fmt.cast(activation.form(FLOAT32.cast(z)))
    assert (np.abs(y - found.value) <= found.bound).all()


def test_constants_that_make_no_activation_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"alpha is -1\.0, not positive"):
        celu(-1.0)
    with pytest.raises(UnsupportedError, match=r"b is -1\.0, a negative number"):
        squareplus(-1.0)


def test_where_the_square_overflows_squareplus_claims_nothing() -> None:
    z = np.array([1e18, 1e20, -1e20])
    assert np.isfinite(squareplus(2.0).evaluate(z).bound).tolist() == [True, False, False]
    assert np.isinf(squareplus(4.0).evaluate(z).bound[1:]).all()


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
def test_the_slopes_of_prelu_are_weights(fmt: Format) -> None:
    slopes = np.array([0.25, -2.0, 0.1], np.float32)
    x = fmt.cast(np.linspace(-3.0, 3.0, 60).reshape(20, 3))
    config = {"dtype": fmt.name}
    layer = Layer("p", "keras.layers.PReLU", config, {"alpha": slopes}, 2)
    held = fmt.cast(slopes)
    y = fmt.cast(np.where(x > 0, x, held * x)).astype(fmt.dtype)
    assert judge_layer(layer, [x], [y]).verdict in ("same-bits", "within-rounding")
    wrong = fmt.cast(np.where(x > 0, x, held[::-1] * x)).astype(fmt.dtype)
    assert judge_layer(layer, [x], [wrong]).verdict == "different"
    short = Layer("p", "keras.layers.PReLU", config, {"alpha": slopes[:2]}, 2)
    assert judge_layer(short, [x], [y]).verdict == "abstained"


def test_log_softmax_is_inside_in_any_order_and_softmax_in_its_place_is_not() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((50, 9)).astype(np.float32)
    layer = Layer("a", "keras.layers.Activation", {"activation": "log_softmax"}, {}, 3)
    below = z - z.max(axis=-1, keepdims=True)
    y = below - np.log(np.exp(below).sum(axis=-1, keepdims=True, dtype=np.float32))
    assert judge_layer(layer, [z], [y]).verdict in ("same-bits", "within-rounding")
    assert judge_layer(layer, [z], [np.exp(y)]).verdict == "different"


# --- what TensorFlow itself returns -------------------------------------------------------------


def near(fmt: Format) -> Any:
    """Return numbers of a type where activations bend, and small ones."""
    rng = np.random.default_rng(1)
    small = rng.standard_normal(200) * 2.0 ** rng.uniform(fmt.lowest - 3, 0, 200)
    zeros = np.array([0.0, -0.0])
    parts = (small, rng.uniform(-8, 8, 1500), rng.uniform(-1.1, 1.1, 690), zeros)
    made = fmt.cast(np.concatenate(parts))
    return made[: made.size // 8 * 8].reshape(-1, 8).astype(fmt.dtype)


def wide(fmt: Format) -> Any:
    """Return numbers of a type of every exponent."""
    rng = np.random.default_rng(2)
    made = rng.standard_normal((125, 8)) * 2.0 ** rng.uniform(fmt.lowest, fmt.highest, (125, 8))
    return fmt.cast(made).astype(fmt.dtype)


def check(layer: Any, generation: Generation, fmt: Format) -> None:
    """Near zero every output is inside its bound; of the largest numbers none is beyond it."""
    first, second = near(fmt), wide(fmt)
    recorded = described(layer, generation)
    for name, way in ways(layer):
        y = np.asarray(way(np.concatenate([first, second])))
        verdict = judge_layer(recorded, [first], [y[: len(first)]])
        assert verdict.verdict in ("same-bits", "within-rounding"), (name, verdict)
        verdict = judge_layer(recorded, [second], [y[len(first) :]])
        assert verdict.verdict != "different", (name, verdict)


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_no_function_of_keras_is_forgotten(generation: Generation, package: str) -> None:
    activations = pytest.importorskip(package).activations
    names = {name for name in dir(activations) if name[0] != "_"} - TOOLS
    assert len(names) > 12
    for name in names - NOT_UNARY:
        assert activation_of(name, generation).form.name
    if generation == 3:
        assert names == set(UNARY) | NOT_UNARY


@pytest.mark.tf
@pytest.mark.timeout(900)  # on an installation that nobody measured, its kernels are measured first
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_activation_layers_in_every_type(generation: Generation, package: str, fmt: Format) -> None:
    """What both generations have meets every type in one of them."""
    keras = pytest.importorskip(package)
    both = dir(pytest.importorskip("tf_keras").activations)
    turn = generation + list(FORMATS).index(fmt.name)
    for number, name in enumerate((*UNARY, "softmax", "log_softmax")):
        if name in both and (turn + number) % 2 and not thorough():
            continue
        try:
            layer = keras.layers.Activation(name, dtype=fmt.name)
        except ValueError:
            assert generation == 2  # which has fewer of them
            continue
        if generation == 2 and name == "log_softmax":
            continue  # its configuration holds the name of a function of TensorFlow
        check(layer, generation, fmt)


@pytest.mark.tf
@pytest.mark.timeout(900)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_dense_layers_in_short_types(generation: Generation, package: str, policy: str) -> None:
    """Every activation meets every policy in one generation, and in each of them two policies."""
    keras = pytest.importorskip(package)
    turn = (generation + POLICIES.index(policy)) % 2
    fmt = FORMATS[policy.removeprefix("mixed_")]
    rng = np.random.default_rng(4)
    x = fmt.cast(rng.standard_normal((24, 12))).astype(fmt.dtype)
    for name in ACTIVATIONS if thorough() else ACTIVATIONS[turn::2]:
        layer = keras.layers.Dense(8, activation=name, dtype=policy)
        layer.build((None, 12))
        hold(layer, generation, [x])


@pytest.mark.tf
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_layers_with_constants_of_any_size(
    generation: Generation, package: str, fmt: Format
) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(5)
    dtype = fmt.name
    slope, alpha, least, most = rng.uniform(0.05, 3.0, 4).round(3).tolist()
    prelu = layers.PReLU(dtype=dtype)
    prelu.build((None, 8))
    prelu.set_weights([rng.uniform(-2, 2, 8).astype(np.float32)])
    made = [
        layers.LeakyReLU(slope, dtype=dtype), layers.ELU(alpha, dtype=dtype), prelu,
        layers.ReLU(max_value=most, negative_slope=slope, threshold=least, dtype=dtype),
        layers.ReLU(threshold=least, dtype=dtype), layers.ReLU(max_value=most, dtype=dtype),
    ]  # fmt: skip
    if generation == 2:
        made.append(layers.ThresholdedReLU(least, dtype=dtype))
    for layer in made:
        check(layer, generation, fmt)


@pytest.mark.tf
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda fmt: fmt.name)
def test_operations_of_keras_3_with_constants(fmt: Format) -> None:
    keras = pytest.importorskip("keras")
    from keras.src.ops import nn

    rng = np.random.default_rng(6)
    alpha, least, b = rng.uniform(0.1, 3.0, 3).round(3).tolist()
    for made in (
        nn.Celu(alpha), nn.Elu(alpha), nn.LeakyRelu(alpha), nn.HardShrink(least),
        nn.SoftShrink(least), nn.Squareplus(b), nn.Threshold(least, -alpha),
        nn.Gelu(approximate=True), nn.Gelu(approximate=False), nn.HardSigmoid(),
    ):  # fmt: skip
        check(keras.layers.Activation(made, dtype=fmt.name), 3, fmt)
