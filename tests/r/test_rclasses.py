"""Functions of R become methods that Python can ask about their arguments."""

from __future__ import annotations

import importlib.util
import inspect
from types import ModuleType
from typing import Any

import pytest

from bridge.r.standin.build import RUNTIME


@pytest.fixture(scope="module")
def rclasses() -> ModuleType:
    path = RUNTIME / "classes" / "python" / "rclasses.py"
    spec = importlib.util.spec_from_file_location("rclasses", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def made(rclasses: ModuleType, names: list[str], defaults: dict[str, Any], **more: Any) -> Any:
    options = {"name": "call", "typed_only": False, "doc": None} | more
    method = rclasses.make_method(told, options["name"], names, defaults,
                                  options["typed_only"], options["doc"])  # fmt: skip
    return rclasses.make_class("Made", [], {}, [options["name"]], [method])()


def test_a_method_has_the_arguments_of_the_function_of_r(rclasses: ModuleType) -> None:
    instance = made(rclasses, ["self", "inputs", "training"], {"training": False}, doc="Calls.")
    assert str(inspect.signature(instance.call)) == "(inputs, training=False)"
    assert (instance.call.__name__, instance.call.__doc__) == ("call", "Calls.")


def test_defaults_cross_by_position(rclasses: ModuleType) -> None:
    instance = made(rclasses, ["self", "inputs", "training"], {"training": False})
    assert instance.call(1) == ((instance, 1, False), {})


def test_with_typed_only_r_fills_in_its_own_defaults(rclasses: ModuleType) -> None:
    instance = made(rclasses, ["self", "x", "training"], {"training": False}, typed_only=True)
    assert instance.call(1) == ((instance, 1), {})
    assert "training" in inspect.signature(instance.call).parameters


def test_what_follows_the_dots_crosses_by_name(rclasses: ModuleType) -> None:
    instance = made(rclasses, ["self", "a", "...", "b"], {"b": 2})
    assert instance.call(1, 5, c=3) == ((instance, 1, 5), {"b": 2, "c": 3})


@pytest.mark.parametrize(
    ("names", "defaults"),
    [
        (["self", "input.shape"], {}),
        (["self", "lambda"], {}),
        (["self", "a", "b"], {"a": 1}),
        (["self", "x): import os; (y"], {}),
    ],
)
def test_arguments_that_python_cannot_spell_cross_all_the_same(
    rclasses: ModuleType, names: list[str], defaults: dict[str, Any]
) -> None:
    instance = made(rclasses, names, defaults)
    assert instance.call(1, 2) == ((instance, 1, 2), {})


def test_a_method_of_a_name_that_python_cannot_spell_is_made(rclasses: ModuleType) -> None:
    instance = made(rclasses, ["self"], {}, name="my.helper")
    assert getattr(instance, "my.helper")() == ((instance,), {})


def test_an_instance_keeps_its_number_and_no_other_ever_has_it(rclasses: ModuleType) -> None:
    class Kept:
        pass

    kept = Kept()
    seen = {rclasses.token(kept)}
    assert rclasses.token(kept) in seen
    places = set()
    for _ in range(50):
        # It is gone at once, and the next is likely to lie where it lay.
        gone = Kept()
        places.add(id(gone))
        seen.add(rclasses.token(gone))
        del gone
    assert len(seen) == 51
    assert len(places) < 50


def test_epochs_are_counted_from_one_and_logs_that_come_back_are_kept(
    rclasses: ModuleType,
) -> None:
    def on_epoch_end(*args: Any) -> dict[str, int]:
        return {"epoch": args[1]}

    logs = {"loss": 1}
    rclasses.counted_from_one(on_epoch_end)(None, 0, logs)
    assert logs == {"loss": 1, "epoch": 1}


def test_the_arguments_of_a_constructor_are_told(rclasses: ModuleType) -> None:
    class Layer:
        def __init__(self, units: int, scale: float = 2.0, *more: Any, **named: Any) -> None:
            pass

    assert rclasses.parameters(Layer) == [
        ("units", False, None),
        ("scale", True, 2.0),
        ("...", False, None),
    ]
