from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule
from bridge.compare.result import LayerVerdict
from bridge.rounding.ladder import LADDER
from bridge.rounding.layer_records import judge_probe
from bridge.rounding.rules import RULES, Evaluation, Layer
from bridge.rounding.rules.activation_models import model_of
from tests.compare_samples import F32, Dense, Sample, grid, judge_layer, two_layers


def layer(
    cls: str, generation: Any = 2, weights: dict[str, Any] | None = None, **config: Any
) -> Layer:
    return Layer("it", f"keras.layers.{cls}", config, weights or {}, generation)


def judge(this: Layer, x: Any, y: Any) -> LayerVerdict:
    return judge_layer(this, [np.asarray(x)], [np.asarray(y)])


def f32(*values: float) -> F32:
    return np.array([values], np.float32)


ONE = {"kernel": np.ones((2, 1), np.float32), "bias": np.zeros(1, np.float32)}


def test_what_float64_rounded_once_gives_is_bit_equal() -> None:
    expected = float(np.float64(np.float32(0.1)) + np.float64(np.float32(0.2)))
    found = judge(layer("Dense", weights=ONE, activation="relu"), f32(0.1, 0.2), f32(expected))
    assert (found.verdict, found.rung, found.points) == ("same-bits", "bit-equal", 1)


def test_one_step_beside_it_is_certified() -> None:
    y = np.nextafter(np.float32(0.3), np.float32(1)).reshape(1, 1)
    found = judge(layer("Dense", weights=ONE, activation="relu"), f32(0.1, 0.2), y)
    assert (found.verdict, found.rung, found.beyond_bound) == ("within-rounding", "certified", 0)
    assert 0 < found.error <= found.bound
    assert found.worst[0].index == (0, 0)


def test_a_nan_on_one_side_is_never_called_rounding() -> None:
    found = judge(layer("Dense", weights=ONE), f32(1, 2), f32(np.nan))
    assert (found.verdict, found.beyond_bound, found.max_ratio) == ("different", 1, np.inf)
    assert np.isnan(found.worst[0].a)
    found = judge(layer("Dense", weights=ONE), f32(np.nan, 2), f32(3))
    assert found.verdict == "abstained"


def test_an_infinity_where_a_number_belongs_is_never_called_rounding() -> None:
    found = judge(layer("Dense", weights=ONE), f32(1, 2), f32(np.inf))
    assert (found.verdict, found.beyond_bound) == ("different", 1)


def test_not_a_number_on_both_sides_is_the_same() -> None:
    x, y = np.array([[np.nan, 1], [1, 1]], np.float32), np.array([[np.nan], [2]], np.float32)
    assert judge(layer("Dense", weights=ONE), x, y).verdict == "same-bits"


def test_a_sum_that_may_overflow_in_some_order_is_left_open() -> None:
    found = judge(layer("Dense", weights=ONE), f32(3e38, -2e38), f32(np.inf))
    assert (found.verdict, found.rung) == ("abstained", "abstained")
    assert "may overflow" in found.why


def test_a_sum_that_must_overflow_is_infinite() -> None:
    assert judge(layer("Dense", weights=ONE), f32(3e38, 3e38), f32(np.inf)).verdict == "same-bits"


def test_one_element_beyond_is_enough_however_many_are_open() -> None:
    x = np.array([[3e38, -2e38], [1, 1]], np.float32)
    y = np.array([[np.inf], [2.1]], np.float32)
    found = judge(layer("Dense", weights=ONE), x, y)
    assert (found.verdict, found.beyond_bound) == ("different", 1)


def test_signs_of_zeros_are_rounding_not_more() -> None:
    found = judge(layer("Activation", activation="relu"), f32(-1, 2), f32(-0.0, 2))
    assert (found.verdict, found.rung) == ("within-rounding", "certified")


def test_rs_doubles_are_cast_once_as_keras_casts_them() -> None:
    x = np.array([[0.1, 0.2]])
    kernel = {"kernel": np.eye(2, dtype=np.float32), "bias": np.zeros(2, np.float32)}
    found = judge(layer("Dense", weights=kernel), x, x.astype(np.float32))
    assert found.verdict == "same-bits"


def test_large_integers_pass_a_reshape_unharmed() -> None:
    x = np.array([[2**62 + 1, 5]])
    found = judge(layer("Reshape", target_shape=[2, 1]), x, x.reshape(1, 2, 1))
    assert found.verdict == "same-bits"
    found = judge(layer("Reshape", target_shape=[2, 1]), x, x.reshape(1, 2, 1) + 1)
    assert found.verdict == "different"


@pytest.mark.parametrize(
    ("cls", "config", "x", "y"),
    [
        ("Flatten", {"data_format": "channels_first"}, np.arange(12).reshape(1, 2, 2, 3),
         np.array([[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]])),
        ("Flatten", {}, np.arange(3), np.arange(3).reshape(3, 1)),
        ("Flatten", {}, np.zeros((0, 2, 2)), np.zeros((0, 4))),
        ("Reshape", {"target_shape": [-1, 2]}, np.arange(8).reshape(2, 4),
         np.arange(8).reshape(2, 2, 2)),
        ("Dropout", {"rate": 0.5}, np.arange(4.0), np.arange(4.0)),
        ("InputLayer", {}, np.arange(4.0), np.arange(4.0)),
        ("Activation", {"activation": "linear"}, np.arange(4.0), np.arange(4.0)),
    ],
)  # fmt: skip
def test_moving_elements_about_keeps_their_bits(cls: str, config: Any, x: Any, y: Any) -> None:
    found = judge(layer(cls, **config), x.astype(np.float32), y.astype(np.float32))
    assert (found.verdict, found.rung) == ("same-bits", "bit-equal")


@pytest.mark.parametrize(
    ("this", "words"),
    [
        (layer("Lambda"), "no rule for Lambda"),
        (Layer("it", "mine.Dense", {}, ONE, 2), "mine.Dense is not a layer of Keras"),
        (layer("Dense", weights=ONE, dtype="mixed_float8"), "computes in float8"),
        (layer("Dense", weights=ONE, dtype={"class_name": "DTypePolicy",
                                            "config": {"name": "float64"}}), "in float64"),
        (layer("Dense", weights=ONE, activation={"value": ["4wEAAA", None, None]}),
         "function of the script's own"),
        (layer("Dense", weights=ONE, activation="my_own"), "'my_own' has no rule"),
        (layer("Dense", 0, ONE, activation="hard_sigmoid"), "differs between Keras 2 and 3"),
        (layer("Dense", weights={**ONE, "lora": ONE["bias"]}), "its rule knows"),
        (layer("Dense", weights={"kernel": np.ones((3, 1), np.float32)}), "does not fit 3 rows"),
        (layer("Dense", weights={"kernel": np.ones((2, 1), np.int8)}), "of type int8"),
        (layer("Dense", weights={"kernel": np.ones(2, np.float32)}), "have shapes (2,)"),
        (layer("Softmax", axis=[0, 1]), "not one integer"),
        (layer("Softmax", axis=7), "no axis 7"),
        (layer("Reshape", target_shape=[7]), "does not fit target_shape"),
        (layer("Reshape", target_shape="(2,)"), "not a sequence of integers"),
        (layer("Reshape", target_shape=[0, -1]), "does not fit target_shape"),
        (layer("Rescaling", scale="x"), "not made of numbers"),
        (layer("Rescaling", scale=[1.0, 2.0, 3.0]), "does not fit its input"),
        (layer("LeakyReLU", alpha={"a": 1}), "alpha is not a number"),
        (layer("ReLU", max_value=-1.0), "max_value is negative"),
    ],
)  # fmt: skip
def test_what_no_rule_covers_is_abstained_from_with_a_sentence(this: Layer, words: str) -> None:
    found = judge(this, f32(1, 2), f32(3))
    assert (found.verdict, found.rung, found.beyond_bound) == ("abstained", "abstained", 0)
    assert words in found.why


def test_a_layer_that_was_called_on_two_inputs_is_abstained_from() -> None:
    x = f32(1, 2)
    found = judge_layer(layer("Dense", weights=ONE), [x, x], [f32(3)])
    assert found.why == "it has 2 inputs; its rule takes one"


def test_noise_is_an_identity_unless_the_model_was_training() -> None:
    x, y = f32(1, 2), f32(0, 4)
    for training, verdict in ((False, "different"), (True, "abstained")):
        this = Layer("drop", "keras.layers.Dropout", {"rate": 0.5}, {}, 2, training)
        assert judge(this, x, y).verdict == verdict


def test_hard_sigmoid_is_another_function_in_each_keras() -> None:
    x = f32(-1.0, 1.0)
    second, third = f32(0.3, 0.7), f32(2 / 6, 4 / 6)
    for generation, right, wrong in ((2, second, third), (3, third, second)):
        this = layer("Activation", generation, activation="hard_sigmoid")
        assert judge(this, x, right).verdict in ("same-bits", "within-rounding")
        assert judge(this, x, wrong).verdict == "different"


@pytest.mark.parametrize("name", ["gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "silu",
                                  "mish", "softsign", "exponential"])  # fmt: skip
def test_an_activation_in_place_of_another_is_beyond_the_bound(name: str) -> None:
    x = np.linspace(-5, 5, 1000, dtype=np.float32).reshape(-1, 1)
    found = judge(layer("Activation", activation=name), x, np.maximum(x, 0))
    assert found.verdict == "different"
    assert judge(layer("Activation", activation="relu"), x, np.maximum(x, 0)).verdict == "same-bits"


def test_every_model_of_an_activation_names_its_versions() -> None:
    for name in ("relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "softmax_pair"):
        model = model_of(name)
        assert model is not None
        assert model.versions
        ends = 2.0 ** np.arange(-127.0, 128.0)
        wider = model.error(np.zeros(ends.shape), ends)
        assert (wider[1:] >= wider[:-1]).all()
    assert model_of("not measured") is None


def test_on_a_gpu_what_tensor_float_explains_is_left_open_and_a_lost_relu_is_not() -> None:
    x = np.linspace(-5, 5, 1000, dtype=np.float32).reshape(-1, 2)
    y = np.maximum(x.sum(axis=1, keepdims=True), np.float32(0))
    this = Layer("it", "keras.layers.Dense", {"activation": "relu"}, ONE, 2, devices=("GPU",))
    assert judge(this, x, y).verdict in ("same-bits", "within-rounding")
    found = judge(this, x, y * np.float32(1 + 2**-12))
    assert found.verdict == "abstained"
    assert "TensorFloat-32" in found.why
    assert judge(this, x, x.sum(axis=1, keepdims=True)).verdict == "different"


def test_rungs_are_asked_in_order_and_the_first_that_decides_speaks() -> None:
    asked: list[str] = []

    def silent(case: Any) -> None:
        asked.append(case.layer.name)

    this = layer("Dense", weights=ONE)
    found = judge_layer(this, [f32(1, 2)], [f32(3)], [silent, *LADDER])
    assert asked == ["it"]
    assert found.rung == "bit-equal"
    assert judge_layer(this, [f32(1, 2)], [f32(3)], [silent]).verdict == "abstained"


def test_every_rule_meets_empty_and_odd_inputs_with_a_verdict() -> None:
    odd = [np.zeros((0, 2), np.float32), np.zeros((), np.float32), np.zeros((2, 0), np.float32),
           f32(np.nan, np.inf), np.zeros((1, 2), np.int64), np.zeros((1, 2), np.bool_)]  # fmt: skip
    for cls in RULES:
        for x in odd:
            weights = ONE if cls == "Dense" else {}
            found = judge(layer(cls, weights=weights, target_shape=[2, 1]), x, x)
            assert found.verdict in ("same-bits", "within-rounding", "different", "abstained")


# --- probes -------------------------------------------------------------------------------------


def verdicts(capsule: Capsule) -> dict[str, LayerVerdict]:
    return {each.layer: each for each in judge_probe(capsule, capsule.manifest.probes[0])}


def test_every_layer_is_judged_on_its_own_input_and_then_the_prediction() -> None:
    found = verdicts(Sample().predict(two_layers(), grid()).capsule())
    assert list(found) == ["dense", "dense_1", "prediction"]
    assert {each.verdict for each in found.values()} <= {"same-bits", "within-rounding"}
    assert found["dense"].points == 100
    assert found["prediction"].points == 40


def test_a_faulty_layer_is_named_and_those_after_it_are_not_blamed() -> None:
    layers, x = two_layers(), grid()
    lost = x @ layers[0].kernel + layers[0].bias
    found = verdicts(Sample().predict(layers, x, outputs=[lost, layers[1].run(lost)]).capsule())
    assert found["dense"].verdict == "different"
    assert found["dense_1"].verdict in ("same-bits", "within-rounding")


def test_a_prediction_that_is_not_the_last_layers_output_is_judged_by_its_bound() -> None:
    layers, x = two_layers(), grid()
    honest = Sample().predict(layers, x).capsule()
    ref = honest.manifest.probes[0].outputs[0]
    assert ref.key is not None
    for change, verdict in ((1e-7, "within-rounding"), (1e-2, "different")):
        arrays = dict(honest.arrays)
        arrays[ref.key] = honest.array(ref) * np.float32(1 + change)
        found = verdicts(Capsule(honest.manifest, arrays))
        assert found["dense_1"].verdict in ("same-bits", "within-rounding")
        assert found["prediction"].verdict == verdict


def test_an_input_that_keras_gives_its_missing_axis_is_judged_with_it() -> None:
    x = grid(7, 1)
    layers = [Dense(np.ones((1, 1), np.float32), np.zeros(1, np.float32), "relu")]
    capsule = Sample().predict(layers, x).capsule()
    (probe,) = capsule.manifest.probes
    flat = probe.layers[0].inputs[0].model_copy(update={"shape": (7,)})
    assert flat.key is not None
    seen = probe.layers[0].model_copy(update={"inputs": (flat,)})
    changed = probe.model_copy(update={"layers": (seen,)})
    arrays = {**capsule.arrays, flat.key: x.ravel()}
    found = judge_probe(Capsule(capsule.manifest, arrays), changed)
    assert {each.verdict for each in found} == {"same-bits"}


def test_elements_that_were_not_recorded_are_said_to_be_missing() -> None:
    capsule = Sample().predict(two_layers(), grid()).capsule()
    (probe,) = capsule.manifest.probes
    gone = probe.layers[0].outputs[0].model_copy(update={"key": None})
    seen = probe.layers[0].model_copy(update={"outputs": (gone,)})
    found = judge_probe(capsule, probe.model_copy(update={"layers": (seen, probe.layers[1])}))
    assert found[0].verdict == "abstained"
    assert "not recorded" in found[0].why


def test_without_a_look_inside_nothing_is_judged() -> None:
    capsule = Sample().predict(two_layers(), grid(), looked=False).capsule()
    assert judge_probe(capsule, capsule.manifest.probes[0]) == ()


@pytest.mark.parametrize(
    ("off", "verdict"),
    [(0.5, "within-rounding"), (1.5, "abstained"), (2.5, "different"), (np.nan, "different")],
)
def test_a_bound_from_a_sample_proves_what_is_inside_and_not_all_that_is_outside(
    off: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(_layer: Layer, inputs: Any) -> tuple[Evaluation, ...]:
        wide = inputs[0].astype(np.float64)
        return (Evaluation(wide, lambda: np.full(wide.shape, 1e-3), missed=2.0, sampled="silu"),)

    monkeypatch.setitem(RULES, "Flatten", rule)
    found = judge(layer("Flatten"), f32(1.0, 2.0), f32(1.0, 2.0 + off * 1e-3))
    assert found.verdict == verdict
    if verdict == "abstained":
        assert "1 of 2 outputs are just beyond a bound that rests on a sample of silu" in found.why
