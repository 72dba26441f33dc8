"""Operations that round nothing: every wrong element shows; nothing is claimed that may vary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule, LayerOutput, Manifest, ModelState, Probe
from bridge.rounding.ladder import LayerCase, judge_case
from bridge.rounding.layer_graph import find_operation
from bridge.rounding.layer_records import seen_layers
from bridge.rounding.rules import Layer, UnsupportedError, evaluate, evaluate_chain
from tests.compare_samples import Sample, judge_layer


def operation(name: str) -> Layer:
    return Layer(name.lower(), f"keras.ops.{name}", generation=3)


def rescaling(scale: float, offset: float = 0.0) -> Layer:
    config = {"scale": scale, "offset": offset}
    return Layer("rescaling", "keras.layers.Rescaling", config, generation=3)


NUMBERS = np.array([np.nan, 1.0, -1.0, np.inf, 0.0], np.float32)
ZEROS = np.zeros(5, np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Less", [False, False, True, False, False]),
        ("GreaterEqual", [False, True, False, True, True]),
        ("NotEqual", [True, True, True, True, False]),
    ],
)
def test_a_comparison_with_nan_is_false_but_for_unequal(name: str, expected: list[bool]) -> None:
    (found,) = evaluate(operation(name), [NUMBERS, ZEROS])
    assert found.value.tolist() == expected


def test_not_less_is_not_greater_or_equal_where_there_is_a_nan() -> None:
    layers = (operation("Less"), operation("LogicalNot"))
    right = np.array([True, True, False, True, True])
    for y, verdict in ((right, "same-bits"), (NUMBERS >= ZEROS, "different")):
        case = LayerCase(layers[0], (NUMBERS, ZEROS), (y,), layers[1:])
        assert judge_case(case).verdict == verdict


def test_integers_wrap_around_and_their_magnitude_is_taken_afterwards() -> None:
    x = np.array([12, 7, 15], np.int8)
    (found,) = evaluate_chain([operation("Square"), operation("Absolute")], [x])
    assert found.value.tolist() == [112, 49, 31]
    assert found.value.dtype == np.int8


def test_one_wrong_integer_is_a_difference() -> None:
    x = np.array([[3, -4]], np.int32)
    assert judge_layer(operation("Absolute"), [x], [np.abs(x)]).verdict == "same-bits"
    assert judge_layer(operation("Absolute"), [x], [x]).verdict == "different"


@pytest.mark.parametrize(
    ("name", "inputs", "why"),
    [
        ("Less", [np.array([1e-40], np.float32), ZEROS[:1]], "subnormal"),
        ("Less", [ZEROS, ZEROS.astype(np.float64)], "one type"),
        ("Less", [ZEROS.astype(np.float64)] * 2, "float64"),
        ("Absolute", [NUMBERS], "integers alone"),
        ("LogicalNot", [np.array([1], np.int32)], "truth values"),
        ("LogicalAnd", [np.array([True])], "truth values"),
    ],
)
def test_nothing_is_claimed_of_what_may_vary(name: str, inputs: list[Any], why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        evaluate(operation(name), inputs)


def test_an_operation_after_one_that_rounds_is_not_judged() -> None:
    x = np.array([[1.0, 2.0]], np.float32)
    with pytest.raises(UnsupportedError):
        evaluate_chain([rescaling(0.1), operation("Absolute")], [x])


def test_constants_that_overflow_when_they_are_merged_show() -> None:
    x = np.array([[1e-30, 3e-30]], np.float32)
    once = x * np.float32(1e30) * np.float32(1e30)
    for y, verdict in ((once, "within-rounding"), (np.full_like(x, np.inf), "different")):
        case = LayerCase(rescaling(1e30), (x,), (y,), (rescaling(1e30),))
        assert judge_case(case).verdict in (verdict, "same-bits" if verdict != "different" else "")


def test_an_error_is_carried_through_a_rescaling_and_grows_with_its_scale() -> None:
    x = np.array([[0.1, 0.3]], np.float32)
    (alone,) = evaluate(rescaling(3.0), [x])
    (chain,) = evaluate_chain([rescaling(3.0), rescaling(7.0)], [x])
    assert (chain.bound > 7.0 * alone.bound).all()


def test_merged_constants_stay_inside_the_bound_where_rounding_explains_them() -> None:
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    first, second = rescaling(1 / 3, 0.7), rescaling(-1 / 7, 1e-3)
    merged = x * np.float32(-1 / 21) + np.float32(-0.1 + 1e-3)
    case = LayerCase(first, (x,), (merged,), (second,))
    assert judge_case(case).verdict == "within-rounding"


def test_a_sum_that_is_within_range_is_judged_though_its_parts_are_large() -> None:
    x = np.array([[3e38]], np.float32)
    assert judge_layer(rescaling(1.0, -3e38), [x], [x * 0]).verdict == "same-bits"
    inf = np.array([[-np.inf]], np.float32)
    assert judge_layer(rescaling(1.0, -3e38), [x], [inf]).verdict == "different"
    assert judge_layer(rescaling(1.0, 3e38), [x], [-inf]).verdict != "different"


CONFIG: Any = {
    "layers": [
        {"module": "keras.src.ops.numpy", "class_name": "Less", "config": {"name": "less"},
         "name": "less", "inbound_nodes": []},
        {"module": "mine", "class_name": "Less", "config": {}, "name": "own"},
        {"module": "keras.src.ops.numpy", "class_name": "Tan", "config": None, "name": "tan"},
    ]
}  # fmt: skip


def test_an_operation_is_found_in_the_configuration_and_nobody_elses() -> None:
    found = find_operation(CONFIG, "less")
    assert found is not None
    assert found.cls == "keras.ops.Less"
    assert find_operation(CONFIG, "own") is None
    assert find_operation(CONFIG, "absent") is None
    assert find_operation(None, "less") is None


def seen(name: str, arguments: dict[str, Any]) -> Any:
    sample = Sample()
    x, y, z = (sample.array(each, ZEROS) for each in "xyz")
    state = ModelState(id=1, cls="keras.Model", keras="keras", name="m", config=CONFIG)
    record = LayerOutput(layer=name, inputs=(x, y), outputs=(z,), arguments=arguments)
    probe = Probe(index=0, kind="predict", state=0, layers=(record,))
    manifest = Manifest(runner="r", case="c", status="ok", states=(state,), probes=(probe,))
    (found,) = seen_layers(Capsule(manifest, sample.capsule().arrays), probe)
    return found.case


def test_a_recorded_operation_is_judged_by_its_rule_if_it_was_given_tensors_alone() -> None:
    assert seen("less", {}).layer.cls == "keras.ops.Less"
    assert seen("less", {"x2": 0}).layer.cls == "a call with x2"
    assert seen("tan", {}) == "its configuration was not recorded"
