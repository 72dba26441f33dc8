"""What came back to the script is compared: numbers, texts, names and lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.capsule import Call, Capsule, Manifest
from bridge.capsule.values import ArrayValue, Items, Method, ObjectValue, Pairs, Scalar, Value
from bridge.compare.stages import compare_answers, compare_runs

MODEL = ObjectValue(id=2, cls="tf_keras.src.engine.sequential:Sequential")


def text(value: str) -> Scalar:
    return Scalar(t="str", v=value)


def fraction(value: float) -> Scalar:
    return Scalar(t="float", v=repr(value))


def whole(value: int) -> Scalar:
    return Scalar(t="int", v=str(value))


def run(runner: str, result: Value, arrays: dict[str, Any] | None = None, **about: Any) -> Capsule:
    call = Call(
        id=7,
        kind="call",
        target=Method(owner=MODEL, name="count_params"),
        line=3,
        r_call="count_params(m)",
        result=result,
    ).model_copy(update=about)
    manifest = Manifest.model_validate(
        {"runner": runner, "case": "case", "status": "ok", "calls": (call,)}
    )
    return Capsule(manifest, arrays or {})


def array(key: str, dtype: str = "float32") -> ArrayValue:
    return ArrayValue(t="array", dtype=dtype, shape=(2,), key=key)


def test_a_script_that_never_predicts_is_compared_by_its_answers() -> None:
    pair = compare_runs(run("r", whole(12)), run("replay", whole(12)))
    assert (pair.verdict, pair.answers) == ("same-bits", 1)


def test_another_whole_number_is_another_answer() -> None:
    pair = compare_runs(run("r", whole(12)), run("replay", whole(13)))
    assert pair.verdict == "different"
    assert pair.first_divergence is not None
    assert pair.first_divergence.where == "line 3: count_params(m)"


def test_of_fractions_nothing_is_decided() -> None:
    pair = compare_runs(run("r", fraction(0.1)), run("replay", fraction(0.1000001)))
    assert pair.verdict == "abstained"
    assert pair.first_divergence is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (text("Total params: 12"), text("Total params: 13")),
        (Items(t="list", items=(whole(1),)), Items(t="list", items=(whole(1), whole(2)))),
        (Pairs(items=((text("loss"), whole(1)),)), Pairs(items=((text("accuracy"), whole(1)),))),
        (Pairs(items=((text("loss"), whole(1)),)), Pairs()),
        (whole(1), fraction(1.0)),
    ],
    ids=["number in a text", "length", "name", "entries", "type"],
)
def test_what_is_another_answer(one: Value, other: Value) -> None:
    (found,) = compare_answers(run("r", one), run("replay", other)).unlike
    assert not found.floats


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<Dense at 0x7f01>", "<Dense at 0x7f02>"),
        ("dense_1 has 3 units", "dense_2 has 3 units"),
        ("<work>/a.keras", "<work>/b/a.keras"),
    ],
)
def test_addresses_paths_and_counters_are_no_answer(one: str, other: str) -> None:
    assert not compare_answers(run("r", text(one)), run("replay", text(other))).unlike


def test_arrays_are_compared_bit_by_bit() -> None:
    arrays = {"a0": np.array([1, 2], np.float32), "a1": np.array([1, 3], np.float32)}
    same = compare_answers(run("r", array("a0"), arrays), run("replay", array("a0"), arrays))
    assert (same.points, same.unlike) == (2, ())
    (unlike,) = compare_answers(
        run("r", array("a0"), arrays), run("replay", array("a1"), arrays)
    ).unlike
    assert unlike.floats
    assert unlike.detail == "1 of 2 elements differ"


@pytest.mark.parametrize(
    "about",
    [
        {"internal": True},
        {"within": 1},
        {"parent": 3},
        {"target": Method(owner=ObjectValue(id=1, cls="time:struct_time"), name="x")},
    ],
)
def test_what_the_script_did_not_ask_of_keras_is_no_answer(about: dict[str, Any]) -> None:
    found = compare_answers(run("r", whole(1), **about), run("replay", whole(2), **about))
    assert found.points == 0


def test_only_a_replay_answers_the_same_calls() -> None:
    assert compare_answers(run("r", whole(1)), run("twin", whole(2))).points == 0
