"""Recordings are cut down to what is needed to reach a call."""

from __future__ import annotations

from bridge.capsule import Call, Capsule, Manifest
from bridge.capsule.values import Method, ObjectValue, Symbol, Value
from bridge.trace.slicing import up_to


def model(number: int) -> ObjectValue:
    return ObjectValue(id=number, cls="keras:Model")


def made(number: int, result: int) -> Call:
    return Call(id=number, kind="call", target=Symbol(path="keras:Model"), result=model(result))


def used(number: int, name: str, of: int, *args: Value) -> Call:
    return Call(id=number, kind="call", target=Method(owner=model(of), name=name), args=args)


def kept(*calls: Call, wanted: int) -> list[int]:
    capsule = Capsule(Manifest(runner="r", case="case", status="ok", calls=calls), {})
    return [call.id for call in up_to(capsule, {wanted}).manifest.calls]


def test_what_comes_after_the_call_is_left_out() -> None:
    assert kept(made(1, 1), used(2, "predict", 1), used(3, "fit", 1), wanted=2) == [1, 2]


def test_the_training_of_another_model_is_left_out_but_not_its_making() -> None:
    calls = (made(1, 1), made(2, 2), used(3, "fit", 2), used(4, "predict", 1))
    assert kept(*calls, wanted=4) == [1, 2, 4]


def test_training_is_kept_where_the_models_have_met() -> None:
    calls = (made(1, 1), made(2, 2), used(3, "add", 1, model(2)), used(4, "fit", 2),
             used(5, "predict", 1))  # fmt: skip
    assert kept(*calls, wanted=5) == [1, 2, 3, 4, 5]
