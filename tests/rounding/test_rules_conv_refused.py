"""What a rule for a convolution cannot read ends in a sentence, and in nothing else."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rounding.rules import RULES, Layer, UnsupportedError, evaluate
from tests.compare_samples import F32
from tests.conv_samples import BIAS, KERNEL, X
from tests.examples import examples

REFUSED: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("Conv2D", {"padding": "full"}, "its padding 'full' is not one of valid, same"),
    ("Conv2D", {"padding": "causal"}, "its padding 'causal' is not one of valid, same"),
    ("Conv2D", {"padding": [[1, 1], [0, 0]]}, "its padding"),
    ("Conv2D", {"strides": [2]}, "its strides [2] is not made of 2 positive integers"),
    ("Conv2D", {"strides": [0, 1]}, "its strides [0, 1] is not made of 2 positive integers"),
    ("Conv2D", {"dilation_rate": 2.5}, "its dilation_rate 2.5"),
    ("Conv2D", {"dilation_rate": [2**40, 1], "padding": "same"}, "is too large"),
    ("Conv2D", {"dilation_rate": [2**40, 1]}, "its window spans 2199023255553 elements"),
    ("Conv2D", {"kernel_size": [5, 3]}, "is not of its kernel_size"),
    ("Conv2D", {"groups": 2}, "does not fit 4 channels in 2 groups"),
    ("Conv2D", {"groups": "x"}, "does not fit 4 channels in 'x' groups"),
    ("Conv2D", {"use_bias": False}, "its use_bias is not what its weights say"),
    ("Conv2D", {"data_format": "NHWC"}, "its data_format 'NHWC'"),
    ("Conv2D", {"dtype": "float64"}, "it computes in float64"),
    ("Conv2D", {"activation": "own"}, "its activation 'own'"),
    ("Conv1D", {}, "its kernel has shape (3, 3, 4, 4)"),
    ("Conv3D", {}, "its input of shape (4, 8, 8, 4) does not have 5 axes"),
    ("DepthwiseConv2D", {"depth_multiplier": 2}, "does not fit 4 channels"),
    ("SeparableConv2D", {}, "its weights are ['bias', 'kernel']"),
    ("Conv2DTranspose", {"strides": 2**40}, "is too large"),
    ("Conv2DTranspose", {"output_padding": 3}, "no convolution makes 8 elements of 13 as it does"),
    ("Conv2DTranspose", {"output_padding": [-1, 0]}, "its output_padding [-1, 0]"),
    ("Conv2DTranspose", {"padding": "causal"}, "its padding 'causal'"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "config", "why"), REFUSED)
def test_what_is_not_covered_is_refused_in_a_sentence(
    cls: str, config: dict[str, Any], why: str
) -> None:
    layer = Layer("conv", f"keras.layers.{cls}", config, {"kernel": KERNEL, "bias": BIAS}, 3)
    with pytest.raises(UnsupportedError) as caught:
        evaluate(layer, [X])
    assert why in str(caught.value)


def test_a_weight_that_is_missing_or_not_finite_is_refused() -> None:
    lost = Layer("conv", "keras.layers.Conv2D", {"use_bias": True}, {"kernel": KERNEL}, 3)
    with pytest.raises(UnsupportedError, match="its use_bias is not what its weights say"):
        evaluate(lost, [X])
    shorter = replace(lost, weights={"kernel": KERNEL, "bias": BIAS[:1]})
    with pytest.raises(UnsupportedError, match=r"its bias of shape \(1,\) does not fit 4"):
        evaluate(shorter, [X])
    infinite = KERNEL.copy()
    infinite[0, 0, 0, 0] = np.inf
    spread = Layer("conv", "keras.layers.Conv2DTranspose", {}, {"kernel": infinite}, 3)
    with pytest.raises(UnsupportedError, match="its weights are not all finite"):
        evaluate(spread, [X])
    with pytest.raises(UnsupportedError, match="it has 2 inputs"):
        evaluate(replace(lost, config={}), [X, X])


VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.sampled_from([2**40, 10**30, 0.5])
    | st.sampled_from(["same", "valid", "causal", "channels_first", "relu", "softmax", "x", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)  # fmt: skip
KEYS: Final = (
    "strides", "dilation_rate", "padding", "groups", "data_format", "kernel_size", "use_bias",
    "output_padding", "depth_multiplier", "activation", "dtype",
)  # fmt: skip
FAMILY: Final = sorted(name for name in RULES if "Conv" in name and "LSTM" not in name)


def small(cls: str) -> tuple[dict[str, F32], F32]:
    """Return weights and an input that fit a layer without any configuration."""
    rank = next(int(letter) for letter in cls if letter.isdigit())
    size = (2,) * rank
    weights = {"kernel": np.ones((*size, 2, 2), np.float32)}
    if cls.startswith("Separable"):
        pointwise = np.ones((*(1,) * rank, 4, 3), np.float32)
        weights = {"depthwise_kernel": weights["kernel"], "pointwise_kernel": pointwise}
    return weights, np.ones((2, *(3,) * rank, 2), np.float32)


@pytest.mark.parametrize("cls", FAMILY)
def test_a_layer_without_a_configuration_has_the_defaults_of_keras(cls: str) -> None:
    weights, x = small(cls)
    (found,) = evaluate(Layer("conv", f"keras.layers.{cls}", {}, weights, 3), [x])
    length = 4 if "Transpose" in cls else 2
    assert found.value.shape[:-1] == (2, *(length,) * (x.ndim - 2))


@examples(150)
@given(
    cls=st.sampled_from(FAMILY),
    config=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3),
    shapes=st.lists(st.lists(st.integers(0, 3), max_size=5).map(tuple), max_size=2),
)
def test_no_configuration_of_a_stranger_ends_in_another_exception(
    cls: str, config: dict[str, Any], shapes: list[tuple[int, ...]]
) -> None:
    weights, x = small(cls)
    weights |= {
        name: np.ones(shape, np.float32) for name, shape in zip(weights, shapes, strict=False)
    }
    layer = Layer("conv", f"keras.layers.{cls}", config, weights, 3)
    with contextlib.suppress(UnsupportedError):
        for found in evaluate(layer, [x]):
            assert found.bound.shape == found.value.shape


HUGE: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("Conv2D", {"strides": 10**30, "padding": "same"}, ""),
    ("Conv1D", {"strides": 2**62, "padding": "causal"}, ""),
    ("Conv2D", {"dilation_rate": 10**30, "padding": "same"}, "is too large"),
    ("DepthwiseConv2D", {"dilation_rate": [2**27, 1], "padding": "same"}, "is too large"),
    ("Conv2DTranspose", {"strides": 10**30}, "is too large"),
    ("Conv2DTranspose", {"dilation_rate": 2**62}, "is too large"),
    ("Conv3DTranspose", {"output_padding": 2**62, "strides": 2**62 + 1}, "is too large"),
]


@pytest.mark.parametrize(("cls", "config", "why"), HUGE)
def test_huge_numbers_are_read_or_refused(cls: str, config: dict[str, Any], why: str) -> None:
    weights, x = small(cls)
    layer = Layer("conv", f"keras.layers.{cls}", config, weights, 3)
    if why:
        with pytest.raises(UnsupportedError, match=why):
            evaluate(layer, [x])
    else:
        (found,) = evaluate(layer, [x])
        assert found.value.shape == (2, *(1,) * (x.ndim - 2), 2)
        assert np.isfinite(found.bound).all()


def test_a_single_place_may_have_any_stride() -> None:
    config: dict[str, Any] = {"output_padding": 0, "strides": 10**30, "dilation_rate": 1}
    weights, x = small("Conv1DTranspose")
    layer = Layer("conv", "keras.layers.Conv1DTranspose", config, weights, 3)
    (found,) = evaluate(layer, [x[:, :1]])
    assert found.value.shape == (2, 2, 2)


def test_every_layer_of_the_family_has_a_rule() -> None:
    every = {
        *(f"Conv{rank}D{suffix}" for rank in (1, 2, 3) for suffix in ("", "Transpose")),
        *(f"{kind}Conv{rank}D" for rank in (1, 2) for kind in ("Depthwise", "Separable")),
    }
    assert set(FAMILY) == every
