"""How R's value differs from what was meant is named, and chance is not taken for a pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Call, Capsule, LayerState, Manifest, ModelState
from bridge.capsule.values import Scalar, Symbol
from bridge.explain.stage_diff import ConstructorCall, making_of, read_arrays, read_setting
from bridge.facts.causes import is_cause

Rng = np.random.default_rng
Floats = np.ndarray[Any, np.dtype[np.float32]]


def floats(*shape: int, seed: int = 0) -> Floats:
    return Rng(seed).normal(size=shape).astype(np.float32)


def counts(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    return Rng(seed).integers(0, 50, shape)


CHANGES: list[tuple[str, Any, Callable[[Any], Any], str, str]] = [
    ("transposed", floats(6, 6), lambda b: b.T.copy(), "axes", "r-conversion"),
    ("other axes", floats(3, 4, 5), lambda b: b.transpose(2, 0, 1).copy(), "axes", "r-conversion"),
    ("stack transposed", floats(2, 5, 5), lambda b: b.swapaxes(1, 2), "axes", "r-conversion"),
    ("by columns", floats(4, 6), lambda b: b.reshape(-1).reshape(b.shape, order="F"),
     "by-columns", "r-conversion"),
    ("factor codes", counts(40), lambda b: b + 1, "one-more", "r-index-base"),
    ("counted down", counts(40), lambda b: b - 1, "one-less", "r-index-base"),
    ("as.integer", floats(40) * 10, np.trunc, "truncated", "r-conversion"),
    ("float32", counts(30) + 2**25 + np.arange(30) % 2 + 1, lambda b: b.astype(np.float32),
     "float32", "r-conversion"),
    ("double for integer", counts(30), lambda b: b.astype(np.float64), "type", "r-conversion"),
    ("drop", floats(8, 1), lambda b: b[:, 0], "axis-lost", "r-conversion"),
    ("as.array", floats(8), lambda b: b[:, None], "axis-added", "r-conversion"),
    ("NA", floats(20), lambda b: np.where(np.arange(20) == 3, np.float32(np.nan), b), "missing",
     "r-conversion"),
    ("recycled", floats(6, 4), lambda b: np.resize(b.ravel(order="F")[:3], 24).reshape(
        6, 4, order="F"), "recycled", "r-semantics"),
    ("columns swapped", floats(5, 6), lambda b: b[:, [0, 4, 2, 3, 1, 5]], "permuted",
     "r-conversion"),
    ("first and last of three swapped", floats(4, 3), lambda b: b[:, [2, 1, 0]], "permuted",
     "r-conversion"),
    ("reversed", floats(20), lambda b: b[::-1].copy(), "reversed", ""),
    ("negated", floats(20), lambda b: -b, "negated", ""),
    ("scaled", floats(20), lambda b: b * np.float32(0.01), "scaled", ""),
    ("sorted", floats(20), np.sort, "sorted", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("meant", "change", "pattern", "cause"), [pytest.param(*rest, id=n) for n, *rest in CHANGES]
)
def test_each_change_is_named_and_no_other(
    meant: Any, change: Callable[[Any], Any], pattern: str, cause: str
) -> None:
    found = read_arrays(change(meant), meant)
    named = {each.name for each in found.patterns}
    # Reading a square matrix by columns is transposing it.
    assert named == ({"axes", "by-columns"} if meant.shape == (6, 6) else {pattern})
    assert found.cause == cause
    # One element that is missing may be anything.
    assert found.sure == (bool(cause) and pattern != "missing")
    assert not found.cause or is_cause(found.cause)


def test_nothing_is_said_of_arrays_that_are_the_same() -> None:
    x = floats(4, 4)
    assert read_arrays(x, x.copy()).patterns == ()


@pytest.mark.parametrize("seed", range(40))
def test_unrelated_numbers_show_no_pattern(seed: int) -> None:
    assert read_arrays(floats(5, 5, seed=seed), floats(5, 5, seed=seed + 1000)).patterns == ()


def test_weights_of_another_moment_are_called_stale() -> None:
    old, new = floats(6, 6, seed=1), floats(6, 6, seed=2)
    found = read_arrays(old, new, {"what it was at moment 1": old})
    assert (found.cause, found.sure) == ("r-semantics", True)
    assert "moment 1" in found.sentence


def test_several_patterns_of_a_small_array_leave_the_cause_open() -> None:
    meant = np.array([0, 1])
    found = read_arrays(np.array([1, 0]), meant)
    assert len(found.patterns) >= 1
    assert not found.sure


def test_few_different_numbers_do_not_exclude_chance() -> None:
    meant = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]], np.float32)
    found = read_arrays(meant.reshape(-1).reshape(meant.shape, order="F"), meant)
    assert found.patterns
    assert not found.sure


def test_random_binary_arrays_never_name_a_cause_for_sure() -> None:
    chance = Rng(3)
    for _ in range(300):
        a, b = (chance.integers(0, 2, (3, 3)).astype(np.float32) for _ in range(2))
        assert not read_arrays(a, b).sure


GIVEN = ConstructorCall(
    {"activation": "relu", "rate": 0.5, "axis": 1}, "layer(activation = mm, rate = .5)"
)


@pytest.mark.parametrize(
    ("cls", "key", "has", "meant", "making", "cause"),
    [
        ("Dense", "activation", "linear", "relu", GIVEN, "r-conversion"),
        ("Dense", "activation", "linear", "relu",
         ConstructorCall({}, "layer_dense(x, act = 'relu')"), "r-conversion"),
        ("Dense", "activation", "linear", "relu", ConstructorCall({}, "layer_dense(x, units = 3)"),
         "user-script"),
        ("Dense", "activation", "linear", "relu", ConstructorCall({}, "layer_dense(x, 3, 'relu')"),
         ""),
        ("Dense", "activation", "linear", "relu", None, "r-conversion"),
        ("Dense", "activation", "tanh", "relu",
         ConstructorCall({"activation": "tanh"}, "layer_dense(x, activation = 'tanh')"),
         "user-script"),
        ("BatchNormalization", "epsilon", 1e-5, 1e-3,
         ConstructorCall({"epsilon": 1e-5}, "layer_batch_normalization(x)"), "r-default"),
        ("BatchNormalization", "epsilon", 1e-5, 1e-3, None, "r-default"),
        ("BatchNormalization", "epsilon", 1e-5, 1e-3,
         ConstructorCall({"epsilon": 1e-5}, "do.call(layer_batch_normalization, args)"), ""),
        ("Softmax", "axis", 2, 1, GIVEN, "r-index-base"),
        ("Softmax", "axis", [2], [1], None, "r-index-base"),
        ("LeakyReLU", "alpha", 0.0, 0.25, ConstructorCall({"alpha": 0.25}, "f(alpha = .25)"),
         "r-conversion"),
        ("Reshape", "target_shape", [4], [4, None], None, "r-conversion"),
        ("Dense", "units", 3.0, 3, None, "r-conversion"),
        ("Conv2D", "kernel_size", [3], 3, None, "r-conversion"),
        ("Dense", "kernel_constraint", "a", "b", None, ""),
    ],
)  # fmt: skip
def test_a_setting_is_read_against_what_was_given(
    cls: str, key: str, has: Any, meant: Any, making: ConstructorCall | None, cause: str
) -> None:
    found = read_setting(cls, key, has, meant, making)
    assert found.cause == cause, found.sentence
    assert bool(found.confidence) == bool(cause)
    assert key in found.sentence


def test_without_a_recorded_call_a_cause_is_possible_at_most() -> None:
    assert read_setting("Dense", "activation", "linear", "relu", None).confidence == "possible"


def test_the_call_that_made_a_layer_is_found_by_the_order_of_making() -> None:
    def call(number: int, activation: str) -> Call:
        return Call(
            id=number,
            kind="call",
            target=Symbol(path="keras:Dense", public="keras.layers.Dense"),
            kwargs={"activation": Scalar(t="str", v=activation)},
            r_call=f"layer_dense(activation = '{activation}')",
        )

    layers = [LayerState(name=name, cls="keras.layers.Dense") for name in ("dense_7", "dense_10")]
    state = ModelState(id=1, cls="keras.Sequential", keras="keras", name="m", layers=tuple(layers))
    calls = (call(1, "relu"), call(2, "tanh"))
    manifest = Manifest(runner="r", case="c", status="ok", states=(state,), calls=calls)
    found = [making_of(Capsule(manifest, {}), layer) for layer in layers]
    assert [each.given["activation"] for each in found if each] == ["relu", "tanh"]
    fewer = manifest.model_copy(update={"calls": calls[:1]})
    assert making_of(Capsule(fewer, {}), layers[0]) is None
