"""Every layer with an exact evaluation: honest certificates hold, others are named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._typing import F64, AnyArray
from bridge.capsule import Capsule, ExecutedGraph, ExecutedOp, LayerState
from bridge.facts.layers import LAYERS
from bridge.rounding.rules import RULES, evaluate
from bridge.verify.certificate import Certificates, certificates
from bridge.verify.check import CertificateOutcome
from bridge.verify.layer_values import EXACT
from tests.compare_samples import F32, flip_bit, normal
from tests.examples import examples
from tests.verify.samples import Made, check_all, off_by, recorded, with_array, with_capsule_array

RNG = np.random.default_rng(2024)


def n(*shape: int) -> F32:
    return normal(RNG, *shape)


def positive(*shape: int) -> F32:
    return np.abs(n(*shape)) + np.float32(0.1)


ACTIVATIONS: Any = [
    "linear", "relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "silu", "swish",
    "gelu", "mish", "exponential", "hard_sigmoid", "hard_silu", "leaky_relu", "log_sigmoid",
    "relu6", "softmax", "hard_shrink", "soft_shrink", "celu", "squareplus", "sparse_plus",
    "sparse_sigmoid", "tanh_shrink", "hard_tanh", "log_softmax",
    {"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}},
    {"class_name": "ReLU", "config": {"max_value": 3.0, "negative_slope": 0.1, "threshold": 0.5}},
    {"class_name": "ELU", "config": {"alpha": 0.7}},
    {"class_name": "Threshold", "config": {"threshold": 0.3, "default_value": -1.0}},
    {"class_name": "Squareplus", "config": {"b": 1.0}},
    {"class_name": "Gelu", "config": {"approximate": True}},
    {"class_name": "Celu", "config": {"alpha": 0.5}},
    {"class_name": "HardShrink", "config": {"threshold": 0.2}},
    {"class_name": "SoftShrink", "config": {"threshold": 0.2}},
]  # fmt: skip


def _convolutions() -> Iterator[Made]:
    for rank in (1, 2, 3):
        space, size = (5, 4, 3)[:rank], (3, 2, 2)[:rank]
        for step, apart in ((1, 1), (2, 1), (1, 2)):
            config: dict[str, Any] = {
                "kernel_size": list(size),
                "strides": [step] * rank,
                "dilation_rate": [apart] * rank,
                "padding": "same" if step == 2 else "valid",
                "activation": "relu",
            }
            x, bias = n(2, *space, 4), n(6)
            yield Made(f"Conv{rank}D", [x], {"kernel": n(*size, 4, 6), "bias": bias}, config)
            spread = {"kernel": n(*size, 6, 4), "bias": bias}
            yield Made(f"Conv{rank}DTranspose", [x], spread, config)
            if rank < 3:
                weights = {"kernel": n(*size, 4, 2), "bias": n(8)}
                config |= {"depth_multiplier": 2}
                yield Made(f"DepthwiseConv{rank}D", [x], weights, config)
                weights = {
                    "depthwise_kernel": n(*size, 4, 2),
                    "pointwise_kernel": n(*(1, 1)[:rank], 8, 6),
                    "bias": bias,
                }
                yield Made(f"SeparableConv{rank}D", [x], weights, config)
    causal = {"padding": "causal", "kernel_size": [3], "activation": "linear"}
    yield Made("Conv1D", [n(2, 6, 3)], {"kernel": n(3, 3, 2)}, causal)
    grouped = {"kernel_size": [3, 2], "groups": 2, "data_format": "channels_first"}
    yield Made("Conv2D", [n(2, 4, 6, 5)], {"kernel": n(3, 2, 2, 6), "bias": n(6)}, grouped)
    wider = {"kernel_size": [3, 2], "strides": [2, 3], "padding": "same", "output_padding": [1, 1]}
    yield Made("Conv2DTranspose", [n(2, 4, 3, 4)], {"kernel": n(3, 2, 6, 4)}, wider)


def _poolings() -> Iterator[Made]:
    for rank in (1, 2, 3):
        for order in ("channels_last", "channels_first"):
            space = (7, 6, 5)[:rank]
            x = n(2, *space, 3) if order == "channels_last" else n(2, 3, *space)
            for padding, step in (("valid", None), ("same", [1] * rank), ("same", [2] * rank)):
                config: dict[str, Any] = {
                    "pool_size": [3, 2, 2][:rank],
                    "strides": step,
                    "padding": padding,
                    "data_format": order,
                }
                yield Made(f"AveragePooling{rank}D", [x], {}, config)
                yield Made(f"MaxPooling{rank}D", [x], {}, config)
            for keep in (False, True):
                config = {"data_format": order, "keepdims": keep}
                yield Made(f"GlobalAveragePooling{rank}D", [x], {}, config)
                yield Made(f"GlobalMaxPooling{rank}D", [x], {}, config)
            around = [[1, 2]] * rank if rank > 1 else [1, 2]
            shape = {"data_format": order}
            yield Made(f"ZeroPadding{rank}D", [x], {}, {"padding": around, **shape})
            yield Made(f"Cropping{rank}D", [x], {}, {"cropping": around, **shape})
            yield Made(f"UpSampling{rank}D", [x], {}, {"size": [2, 3, 2][:rank], **shape})


def _merging() -> Iterator[Made]:
    for cls in ("Add", "Average", "Multiply", "Maximum", "Minimum"):
        yield Made(cls, [n(4, 5, 3), n(4, 1, 3), n(4, 3)], {}, {})
        yield Made(cls, [n(4, 5), n(4, 5)], {}, {})
        yield Made(cls, [n(4, 5), n(4, 5)], {}, {"dtype": "float16"})
    yield Made("Subtract", [n(4, 5, 3), n(4, 5, 3)], {}, {})
    yield Made("Concatenate", [n(4, 2, 3), n(4, 5, 3)], {}, {"axis": 1})
    yield Made("Dot", [n(4, 5, 3), n(4, 3, 2)], {}, {"axes": [2, 1]})
    yield Made("Dot", [n(4, 5), n(4, 5)], {}, {"axes": 1})
    yield Made("Dot", [n(4, 5, 2, 3), n(4, 3, 2)], {}, {"axes": [-1, 1]})


def _normalising() -> Iterator[Made]:
    for gen in (2, 3):
        for shape in ((20, 6), (3, 4, 2, 6), (4, 5, 6)):
            learnt = {"moving_mean": n(6), "moving_variance": positive(6)}
            both = {"gamma": n(6), "beta": n(6)}
            yield Made("BatchNormalization", [n(*shape)], {**both, **learnt}, {"axis": -1}, gen)
            plain = {"axis": [len(shape) - 1], "center": False, "scale": False, "epsilon": 1e-6}
            yield Made("BatchNormalization", [n(*shape)], learnt, plain, gen)
            last: dict[str, Any] = {"axis": -1}
            yield Made("LayerNormalization", [n(*shape)], both, last, gen)
            yield Made("LayerNormalization", [n(*shape) + 100], both, last, gen)
            yield Made("RMSNormalization", [n(*shape)], {"scale": n(6)}, last, gen)
            yield Made("GroupNormalization", [n(*shape)], both, {"axis": -1, "groups": 2}, gen)
        two = {"gamma": n(5, 6), "beta": n(5, 6)}
        yield Made("LayerNormalization", [n(4, 5, 6)], two, {"axis": [1, 2]}, gen)
        rms: dict[str, Any] = {"axis": [2], "rms_scaling": True}
        yield Made("LayerNormalization", [n(4, 5, 6)], {"gamma": n(6)}, rms, gen)
    half: dict[str, Any] = {"axis": -1, "dtype": "mixed_float16"}
    yield Made("LayerNormalization", [n(4, 6)], {"gamma": n(6), "beta": n(6)}, half)


def _others() -> Iterator[Made]:
    for activation in ACTIVATIONS:
        for gen in (2, 3):
            weights = {"kernel": n(20, 4) / np.float32(4), "bias": n(4)}
            yield Made("Dense", [n(6, 20)], weights, {"activation": activation}, gen)
            yield Made("Activation", [3 * n(6, 20)], {}, {"activation": activation}, gen)
    yield Made("Dense", [n(6, 2, 5)], {"kernel": n(5, 3)}, {"activation": "tanh"})
    for activation in ("linear", "relu", "tanh", "gelu", "softmax", "elu"):
        half = {"dtype": "mixed_float16", "activation": activation}
        yield Made("Dense", [n(6, 5)], {"kernel": n(5, 3)}, half)
    yield Made("ReLU", [n(6, 5)], {}, {"max_value": 0.5})
    yield Made("LeakyReLU", [n(6, 5)], {}, {"alpha": 0.2})
    yield Made("ELU", [n(6, 5)], {}, {"alpha": 1.5})
    yield Made("PReLU", [n(6, 5, 3)], {"alpha": n(5, 1)}, {})
    yield Made("Softmax", [n(6, 5, 3)], {}, {"axis": 1})
    yield Made("Rescaling", [n(6, 5)], {}, {"scale": 0.1, "offset": [0.1, 0.2, 0.3, 0.4, 0.5]})
    yield Made("Flatten", [n(6, 5, 3)], {}, {"data_format": "channels_first"})
    yield Made("Reshape", [n(6, 8)], {}, {"target_shape": [2, -1]})
    yield Made("Permute", [n(6, 5, 3, 2)], {}, {"dims": [2, 3, 1]})
    yield Made("RepeatVector", [n(6, 5)], {}, {"n": 3})
    index = RNG.integers(0, 9, (6, 5)).astype(np.int32)
    yield Made("Embedding", [index], {"embeddings": n(9, 4)}, {})
    steps = np.where(RNG.random((6, 5, 1)) < 0.3, 0, n(6, 5, 3)).astype(np.float32)
    yield Made("Masking", [steps], {}, {"mask_value": 0.0})


MADE = [*_others(), *_convolutions(), *_poolings(), *_merging(), *_normalising()]


def name(made: Made) -> str:
    words = [made.cls, made.config.get("activation", ""), made.config.get("dtype", "")]
    return "-".join(word if isinstance(word, str) else word["class_name"] for word in words if word)


@functools.cache
def in_full(made: Made, seed: int = 1) -> tuple[Capsule, Certificates]:
    """Return a run that is off by up to its bound, and certificates for it.

    Where rounding leaves nothing to be off by, the sign of a zero is.
    """
    outputs = off_by(made, np.random.default_rng(seed))
    capsule = recorded(made, outputs)
    return capsule, certificates(capsule)


@pytest.mark.parametrize("made", MADE, ids=name)
def test_an_honest_certificate_holds_and_a_padded_one_does_not(made: Made) -> None:
    capsule, issued = in_full(made)
    for outcome in check_all(capsule, issued):
        assert (outcome.failures, outcome.unchecked) == ((), "")
        assert outcome.checked == outcome.outputs > 0
        assert (outcome.blurred, outcome.left_out) == (0, 0)
    for number, certificate in enumerate(issued.manifest.certificates):
        bound = issued.arrays[certificate.outputs[0].bound.key or ""]
        if not (bound > 1e-30).any():
            continue
        padded = with_array(issued, lambda b: b * 1.0001 + 1e-35, "bound", number)
        assert "is not what the rules give" in check_all(capsule, padded)[number].failures[0].why


@pytest.mark.parametrize(
    ("activation", "kernels"),
    [
        ("gelu", ["gelu"]),
        ("softmax", ["softmax_pair"]),
        ("log_softmax", ["softmax_pair", "log"]),
        ("leaky_relu", []),
        ("squareplus", []),
        ({"class_name": "ELU", "config": {"alpha": 0.7}}, ["elu"]),
        ({"class_name": "ReLU", "config": {"max_value": 3.0}}, []),
        ({"class_name": "ReLU", "config": {}}, ["relu"]),
    ],
)
def test_a_certificate_names_the_measured_kernels(activation: Any, kernels: list[str]) -> None:
    for made in (
        Made("Dense", [n(6, 20)], {"kernel": n(20, 4)}, {"activation": activation}),
        Made("Activation", [n(40, 20)], {}, {"activation": activation}),
    ):
        for certificate in in_full(made)[1].manifest.certificates:
            assert list(certificate.tables) == kernels
            assert all(certificate.tables.values())
            assert sum("measured errors" in each for each in certificate.rests_on) == len(kernels)


def test_nearly_all_kinds_of_layers_are_certified_here() -> None:
    """Others hand elements on as they are, or round only once."""
    certified = {
        made.cls for made in MADE if in_full(made)[1].manifest.certificates
    }  # fmt: skip
    same_bits = {made.cls for made in MADE} - certified
    assert {each for each in same_bits if "Pooling" not in each} <= {
        "Concatenate", "Cropping1D", "Cropping2D", "Cropping3D", "Embedding", "Flatten",
        "LeakyReLU", "Masking", "Maximum", "Minimum", "Permute", "PReLU", "RepeatVector", "Reshape",
        "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D",
        "ZeroPadding3D",
    }  # fmt: skip


PLANTED = [
    Made("Dense", [n(6, 20)], {"kernel": n(20, 4), "bias": n(4)}, {"activation": "gelu"}),
    Made("Dense", [n(6, 5)], {"kernel": n(5, 3)}, {"activation": "softmax"}),
    Made("Dense", [n(6, 20)], {"kernel": n(20, 4)}, {"dtype": "mixed_float16"}),
    Made("Conv2D", [n(2, 6, 6, 3)], {"kernel": n(3, 3, 3, 2)}, {"kernel_size": [3, 3]}),
    Made("DepthwiseConv1D", [n(2, 6, 3)], {"kernel": n(3, 3, 2)}, {"kernel_size": [3]}),
    Made(
        "SeparableConv1D",
        [n(2, 6, 3)],
        {"depthwise_kernel": n(3, 3, 2), "pointwise_kernel": n(1, 6, 2)},
        {"kernel_size": [3]},
    ),
    Made("Conv1DTranspose", [n(2, 6, 3)], {"kernel": n(3, 2, 3)}, {"kernel_size": [3]}),
    Made("AveragePooling2D", [n(2, 6, 6, 2)], {}, {"pool_size": [3, 3]}),
    Made("GlobalAveragePooling1D", [n(2, 7, 3)], {}, {}),
    Made("Add", [n(4, 5), n(4, 5), n(4, 5)], {}, {}),
    Made("Dot", [n(4, 5, 3), n(4, 3, 2)], {}, {"axes": [2, 1]}),
    Made("LayerNormalization", [n(4, 9)], {"gamma": n(9), "beta": n(9)}, {"axis": -1}),
    Made(
        "BatchNormalization",
        [n(8, 6)],
        {"moving_mean": n(6), "moving_variance": positive(6), "gamma": n(6), "beta": n(6)},
        {"axis": -1},
    ),
    Made("Rescaling", [n(6, 5)], {}, {"scale": 0.1, "offset": 0.3}),
    Made("Activation", [n(6, 5)], {}, {"activation": "tanh"}),
]


@pytest.mark.parametrize("made", PLANTED, ids=name)
@pytest.mark.parametrize(
    ("moved", "padding", "words"),
    [
        (2.5, 1.0, "is beyond the bound"),
        (2.5, 9.0, "what the rules give"),
        (0.0, 0.999, "what the"),
    ],
    ids=["wrong value", "wrong value and padded bound", "bound too small"],
)
def test_what_is_planted_is_named(made: Made, moved: float, padding: float, words: str) -> None:
    """A wrong output with its true error, below a bound that is the rules' or larger."""
    capsule, issued = in_full(made)
    (certificate,) = issued.manifest.certificates
    key = certificate.outputs[0].bound.key or ""
    place = tuple(
        int(k) for k in np.unravel_index(issued.arrays[key].argmax(), issued.arrays[key].shape)
    )
    bound = issued.arrays[key][place]
    ref = capsule.manifest.probes[0].layers[0].outputs[0]
    y = np.array(capsule.array(ref))
    (evaluated,) = evaluate(made.layer(), made.inputs)
    if moved:
        y[place] = evaluated.value[place] + moved * bound
    gap = abs(y.astype(np.float64) - evaluated.value)
    assert bool(gap[place] > 2.0 * bound) is bool(moved)
    forged = with_array(with_array(issued, lambda _: gap, "error"), _times(place, padding), "bound")
    (outcome,) = check_all(with_capsule_array(capsule, ref, y), forged)
    assert outcome.failed == 1
    assert outcome.failures[0].index == place
    assert words in outcome.failures[0].why


def _times(place: tuple[int, ...], factor: float) -> Callable[[F64], F64]:
    def changed(values: F64) -> F64:
        values[place] *= factor
        return values

    return changed


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_of_a_layer_without_exact_evaluation_the_bound_is_checked(factor: float) -> None:
    made = Made("UnitNormalization", [n(4, 6)], {}, {"axis": -1})
    capsule, issued = in_full(made)
    (outcome,) = check_all(capsule, issued)
    assert (outcome.failures, outcome.checked) == ((), 0)
    assert outcome.unchecked == "there is no exact evaluation of UnitNormalization here"
    (outcome,) = check_all(capsule, with_array(issued, _times((1, 2), factor), "bound"))
    assert (outcome.failed, outcome.failures[0].index) == (1, (1, 2))


HANDING_ON = [
    Made("Flatten", [n(6, 5, 3)], {}, {}),
    Made("Dropout", [n(6, 5)], {}, {"rate": 0.5}),
    Made("ZeroPadding1D", [n(6, 5, 3)], {}, {"padding": [1, 1]}),
    Made("MaxPooling2D", [n(2, 6, 6, 2)], {}, {"pool_size": [2, 2]}),
    Made("GlobalMaxPooling1D", [n(2, 6, 3)], {}, {}),
    Made("Maximum", [n(6, 5), n(6, 5)], {}, {}),
    Made("Concatenate", [n(6, 5), n(6, 5)], {}, {}),
    Made("Embedding", [np.arange(6, dtype=np.int32)], {"embeddings": n(9, 4)}, {}),
    Made("Masking", [n(6, 5, 3)], {}, {}),
]


@pytest.mark.parametrize("made", HANDING_ON, ids=name)
def test_a_zero_of_the_other_sign_is_certified_and_holds(made: Made) -> None:
    inputs = [np.where(x < 0, np.float32(0), x) if x.dtype.kind == "f" else x for x in made.inputs]
    weights = {key: np.maximum(w, np.float32(0)) for key, w in made.weights.items()}
    there = Made(made.cls, inputs, weights, made.config)
    (y,) = off_by(there, np.random.default_rng(1), 0.0)
    if not (y == 0).any():
        y = y.copy()
    capsule = recorded(there, [np.where(y == 0, np.float32(-0.0), y)])
    outcomes = check_all(capsule)
    assert all((each.failures, each.unchecked) == ((), "") for each in outcomes)
    assert outcomes or not (y == 0).any()


@pytest.mark.parametrize(
    "made", [made for made in MADE if made.weights and made.cls != "Embedding"], ids=name
)
def test_another_weight_is_named(made: Made) -> None:
    capsule, issued = in_full(made)
    if not issued.manifest.certificates:
        return
    ref = capsule.manifest.states[0].layers[0].weights[0].array
    w = np.asarray(capsule.array(ref))
    changed = with_capsule_array(capsule, ref, w * np.float32(1.01))
    assert any(outcome.failures for outcome in check_all(changed, issued))


def test_most_rules_have_an_exact_evaluation_beside_them() -> None:
    assert set(EXACT) <= set(RULES)
    handed_on = {name for name, facts in LAYERS.items() if facts.given != "numbers"}
    assert not set(EXACT) & handed_on
    assert set(RULES) - set(EXACT) - handed_on <= {
        "Bidirectional", "GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "SimpleRNN", "SimpleRNNCell",
        "StackedRNNCells", "TimeDistributed", "UnitNormalization", "LocallyConnected1D",
        "LocallyConnected2D", "Normalization", "SpectralNormalization",
    }  # fmt: skip


# --- what is odd ---------------------------------------------------------------------------------


def dense(
    x: AnyArray, kernel: AnyArray, y: AnyArray, activation: str = "linear"
) -> list[CertificateOutcome]:
    made = Made("Dense", [x], {"kernel": kernel}, {"activation": activation}, 2)
    return check_all(recorded(made, [np.asarray(y, np.float32)]))


def test_where_the_exact_result_is_no_number_nothing_is_claimed() -> None:
    x = np.array([[np.nan, 1.0], [1.0, 2.0]], np.float32)
    y = np.array([[np.nan], [np.nextafter(np.float32(3), np.float32(4))]])
    (outcome,) = dense(x, np.ones((2, 1), np.float32), y)
    assert (outcome.holds, outcome.checked, outcome.left_out) == (True, 2, 1)


#: In whatever order it is added, float64 loses some of the small numbers to the large ones.
CANCELLING = Made(
    "Dense",
    [np.array([[2.0**80, 2.0**-6, 2.0**-6, -(2.0**80), 2.0**-6] * 16], np.float32)],
    {"kernel": np.ones((80, 1), np.float32)},
    {"activation": "hard_sigmoid"},
    2,
)


def test_where_float64_does_not_know_the_value_the_bound_is_checked_all_the_same() -> None:
    capsule, issued = in_full(CANCELLING)
    (outcome,) = check_all(capsule, issued)
    assert (outcome.holds, outcome.blurred) == (True, 1)
    wrong = with_capsule_array(
        capsule, capsule.manifest.probes[0].layers[0].outputs[0], np.array([[1.75]], np.float32)
    )
    (outcome,) = check_all(wrong, issued)
    # Both values lie in the range of the activation: they are at most 1 apart.
    assert "is beyond the bound" in outcome.failures[0].why


def test_where_neither_a_bound_nor_float64_proves_anything_it_is_left_out() -> None:
    made = Made(
        "Dense", CANCELLING.inputs, CANCELLING.weights, {"activation": "exponential"}, 2
    )  # fmt: skip
    capsule, issued = in_full(made)
    for outcome in check_all(capsule, issued):
        assert (outcome.holds, outcome.left_out) == (True, 1)


def test_a_sum_that_must_overflow_is_infinite() -> None:
    x = np.array([[3e38, 3e38], [1.0, 2.0]], np.float32)
    y = np.array([[np.inf], [np.nextafter(np.float32(3), np.float32(4))]])
    (outcome,) = dense(x, np.ones((2, 1), np.float32), y)
    assert (outcome.holds, outcome.left_out) == (True, 0)


def test_no_bound_is_allowed_where_a_partial_sum_may_overflow() -> None:
    x = np.array([[3e38, 3e38, -3e38], [1.0, 2.0, 4.0]], np.float32)
    y = np.array([[3e38], [np.nextafter(np.float32(7), np.float32(8))]], np.float32)
    made = Made("Dense", [x], {"kernel": np.ones((3, 1), np.float32)}, {}, 2)
    capsule = recorded(made, [y])
    issued = certificates(capsule)
    assert all(outcome.holds for outcome in check_all(capsule, issued))
    finite = with_array(issued, lambda b: np.where(np.isinf(b), 1e33, b), "bound")
    assert "is not what the rules give, inf" in check_all(capsule, finite)[0].failures[0].why


def test_layers_that_were_executed_in_one_are_followed() -> None:
    made = Made("Dense", [n(6, 9)], {"kernel": n(9, 4), "bias": n(4)}, {}, 2)
    capsule = recorded(made, off_by(made, np.random.default_rng(0)))
    probe, state = capsule.manifest.probes[0], capsule.manifest.states[0]
    (seen,) = probe.layers
    y = np.maximum(np.asarray(capsule.array(seen.outputs[0])), np.float32(0))
    after = LayerState(name="after", cls="keras.layers.ReLU")
    quiet = LayerState(name="quiet", cls="keras.layers.Dropout", config={"rate": 0.5})
    through = seen.model_copy(update={"through": ("quiet", "after")})
    manifest = capsule.manifest.model_copy(
        update={
            "probes": (probe.model_copy(update={"layers": (through,)}),),
            "states": (state.model_copy(update={"layers": (*state.layers, quiet, after)}),),
        }
    )
    run = with_capsule_array(Capsule(manifest, capsule.arrays), seen.outputs[0], y)
    issued = certificates(run)
    (outcome,) = check_all(run, issued)
    assert (outcome.failures, outcome.unchecked) == ((), "")
    padded = with_array(issued, lambda b: b * 1.001, "bound")
    assert check_all(run, padded)[0].failed > 0


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Made("Conv1D", [n(2, 6, 3)], {"kernel": n(3, 3, 2)}, {"kernel_size": [3]}), "Winograd"),
        (Made("RMSNormalization", [n(4, 6)], {"scale": n(6)}, {}), "were never measured"),
    ],
    ids=["convolution", "normalisation"],
)
def test_what_may_not_have_run_on_a_processor_is_refused(made: Made, words: str) -> None:
    capsule, issued = in_full(made)
    graph = ExecutedGraph(ops=(ExecutedOp(op="Conv2D", name="c", device="GPU:0"),))
    probe = capsule.manifest.probes[0].model_copy(update={"executed": graph})
    manifest = capsule.manifest.model_copy(update={"probes": (probe,)})
    (outcome,) = check_all(Capsule(manifest, capsule.arrays), issued)
    (failure,) = outcome.failures
    assert failure.why.startswith("the rules give no bound for it: it ran on GPU")
    assert words in failure.why
    assert failure.why.endswith("; run the case again")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arguments": {"training": True}}, "a call with training"),
        ({"masked": True}, "it was given a mask"),
    ],
)
def test_how_a_layer_was_called_matters(changes: dict[str, Any], words: str) -> None:
    made = Made("GlobalAveragePooling1D", [n(4, 9, 5)], {}, {})
    capsule, issued = in_full(made)
    probe = capsule.manifest.probes[0]
    seen = probe.layers[0].model_copy(update=changes)
    probe = probe.model_copy(update={"layers": (seen,)})
    manifest = capsule.manifest.model_copy(update={"probes": (probe,)})
    (outcome,) = check_all(Capsule(manifest, capsule.arrays), issued)
    assert words in outcome.failures[0].why


BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("Conv2D", {"kernel_size": [3, 3], "strides": [0, 0]}),
    ("Conv2D", {"kernel_size": [3, 3], "strides": [-1, 2**70]}),
    ("Conv2D", {"kernel_size": [5, 5]}),
    ("Conv2D", {"kernel_size": [3, 3], "padding": "odd"}),
    ("Conv2D", {"kernel_size": [3, 3], "groups": 7}),
    ("Conv2D", {"kernel_size": [3, 3], "dilation_rate": [2**22, 1]}),
    ("Conv2D", {"kernel_size": "3"}),
    ("AveragePooling2D", {"pool_size": [2**22, 2**22], "padding": "same"}),
    ("AveragePooling2D", {"pool_size": None, "strides": {}}),
    ("LayerNormalization", {"axis": [0, 0]}),
    ("LayerNormalization", {"axis": "x", "epsilon": "much"}),
    ("GroupNormalization", {"groups": 0}),
    ("Softmax", {"axis": 9}),
    ("Reshape", {"target_shape": [10**9]}),
    ("Permute", {"dims": [{}, 2]}),
    ("ZeroPadding2D", {"padding": [[10**9, 10**9], [1, 1]]}),
    ("UpSampling2D", {"size": [10**5, 10**5]}),
    ("Rescaling", {"scale": [[1]], "offset": None}),
    ("Activation", {"activation": {"class_name": "ReLU", "config": {"max_value": "nan"}}}),
    ("Activation", {"activation": {"config": {}}}),
    ("Dense", {"dtype": {"config": {"config": {}}}}),
    ("Embedding", {}),
    ("BatchNormalization", {"epsilon": -1.0}),
    ("", {}),
    ("Dot", {"axes": [5, None]}),
]


@pytest.mark.parametrize(("cls", "config"), BROKEN)
def test_a_record_that_cannot_be_so_never_passes(cls: str, config: dict[str, Any]) -> None:
    made = Made("Conv2D", [n(2, 6, 6, 3)], {"kernel": n(3, 3, 3, 2)}, {"kernel_size": [3, 3]})
    capsule, issued = in_full(made)
    state = capsule.manifest.states[0]
    layer = state.layers[0].model_copy(update={"cls": f"keras.layers.{cls}", "config": config})
    state = state.model_copy(update={"layers": (layer,)})
    certificate = issued.manifest.certificates[0].model_copy(update={"cls": f"keras.layers.{cls}"})
    manifest = issued.manifest.model_copy(update={"certificates": (certificate,)})
    run = Capsule(capsule.manifest.model_copy(update={"states": (state,)}), capsule.arrays)
    (outcome,) = check_all(run, Certificates(manifest, issued.arrays))
    assert outcome.failures or outcome.unchecked


# --- generated layers ----------------------------------------------------------------------------

_SCALES = st.sampled_from([-42, -38, -20, -6, 0, 0, 2, 6, 18])


@st.composite
def scaled(draw: st.DrawFn, shape: tuple[int, ...], odd: bool = True) -> F32:
    """Draw numbers of one scale or of many, with cancellation, zeros, NaN and infinities."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal(shape) * 10.0 ** draw(_SCALES)
    if draw(st.booleans()):
        x = x * 10.0 ** rng.uniform(-8, 8, shape)
    if odd and draw(st.integers(0, 9)) == 0:
        values = rng.choice([np.nan, np.inf, -np.inf, 0.0], shape)
        x = np.where(rng.random(shape) < 0.05, values, x)
    with np.errstate(over="ignore"):
        return np.asarray(x.astype(np.float32))


@st.composite
def layers(draw: st.DrawFn) -> Made:
    """Draw a dense layer or a convolution."""
    small = st.integers(1, 4)
    activation = draw(st.sampled_from(ACTIVATIONS))
    gen = draw(st.sampled_from([2, 3]))
    if draw(st.booleans()):
        rows, length, units = draw(small), draw(st.integers(1, 120)), draw(small)
        weights = {"kernel": draw(scaled((length, units))), "bias": draw(scaled((units,)))}
        x = draw(scaled((rows, length)))
        if draw(st.booleans()):
            half = length // 2
            x[:, half : 2 * half] = x[:, :half]
            weights["kernel"][half : 2 * half] = -weights["kernel"][:half]
        dtype = draw(st.sampled_from(["float32", "float32", "mixed_float16"]))
        return Made("Dense", [x], weights, {"activation": activation, "dtype": dtype}, gen)
    rank = draw(st.sampled_from([1, 2]))
    space = tuple(draw(st.integers(1, 7)) for _ in range(rank))
    size = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    step = draw(st.integers(1, 2))
    channels, filters = draw(small), draw(small)
    config = {
        "kernel_size": list(size),
        "strides": [step] * rank,
        "dilation_rate": [draw(st.integers(1, 2)) if step == 1 else 1] * rank,
        "padding": draw(st.sampled_from(["same", "valid"])),
        "activation": activation,
    }
    transposed = draw(st.booleans())
    ends = (filters, channels) if transposed else (channels, filters)
    if not transposed and config["padding"] == "valid":
        space = tuple(each + 4 for each in space)
    weights = {"kernel": draw(scaled((*size, *ends), not transposed)),
               "bias": draw(scaled((filters,)))}  # fmt: skip
    cls = f"Conv{rank}D" + ("Transpose" if transposed else "")
    return Made(cls, [draw(scaled((2, *space, channels)))], weights, config, gen)


@pytest.mark.parametrize(
    ("activation", "y"), [("hard_sigmoid", 0.0), ("sigmoid", 0.0), ("tanh", -1.0)]
)
def test_where_float64_cancels_a_capped_bound_holds_for_the_exact_value(
    activation: str, y: float
) -> None:
    x = np.array([[2.0**30, 8.0, -(2.0**30)]], np.float32)
    kernel = np.array([[2.0**27], [1.0], [2.0**27]], np.float32)
    made = Made("Dense", [x], {"kernel": kernel}, {"activation": activation}, 2)
    capsule = recorded(made, [np.array([[y]], np.float32)])
    (outcome,) = check_all(capsule, certificates(capsule))
    assert outcome.failures == ()


@examples(150)
@given(made=layers(), seed=st.integers(0, 2**32 - 1))
def test_of_generated_layers_every_certificate_holds(made: Made, seed: int) -> None:
    capsule, issued = in_full(made, seed)
    for outcome in check_all(capsule, issued):
        assert (outcome.failures, outcome.unchecked) == ((), "")


@examples(80)
@given(made=layers(), seed=st.integers(0, 2**32 - 1))
def test_of_generated_layers_no_larger_step_of_an_output_passes(made: Made, seed: int) -> None:
    capsule, issued = in_full(made, seed)
    rng = np.random.default_rng(seed)
    ref = capsule.manifest.probes[0].layers[0].outputs[0]
    y = np.asarray(capsule.array(ref))
    place = tuple(int(rng.integers(0, size)) for size in y.shape)
    if not issued.manifest.certificates or not np.isfinite(y[place]) or y.dtype != np.float32:
        return
    bound = issued.arrays[issued.manifest.certificates[0].outputs[0].bound.key or ""][place]
    if not bound < 1e-3 * abs(y[place]) or abs(y[place]) < 1e-30:
        return
    # To twice or half of it: far more than a float64 evaluation can be off by where so little of
    # the sum cancels.
    changed = with_capsule_array(capsule, ref, flip_bit(y, place, 23))
    (outcome,) = check_all(changed, issued)
    assert place in [one.index for one in outcome.failures] or outcome.failed > 5
