"""The parts of looking that need no Keras: names, units, units in the last place, searching."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bridge.capsule import ExecutedGraph, ExecutedOp
from bridge.runs.layer_capture import View, view_of
from bridge.runs.model_execution import Sight, foreign
from bridge.runs.perturbation import in_float64, moved
from bridge.trace.call_tracer import CallGroup, units
from bridge.trace.model_description import LookError, as_fed, assemble, batches, leaves, path_of

# --- what a model was fed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [1.5, [1.5], [1.5, 2.5], {"a": 1.5}, {"b": [1.5, {"c d": 2.5}], "it's": 3.5}],
)
def test_what_was_fed_is_put_together_again_from_the_names_of_its_parts(item: Any) -> None:
    wrapped = np_leaves(item)
    assert assemble(list(leaves("x", wrapped))) == wrapped


def np_leaves(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: np_leaves(value) for key, value in item.items()}
    if isinstance(item, list):
        return [np_leaves(value) for value in item]
    return np.float32(item).reshape(1)


@pytest.mark.parametrize("names", [["x[0]", "x[2]"], ["x", "x[0]"], ["x[y]"], ["x[0]", "x['a']"]])
def test_what_was_not_all_recorded_is_not_put_together(names: list[str]) -> None:
    with pytest.raises(LookError, match=r"recorded|name"):
        assemble([(name, 1) for name in names])


def test_a_name_says_where_an_array_stood() -> None:
    assert path_of("x") == ()
    assert path_of("x[0]['a]'][1]") == (0, "a]", 1)
    assert path_of("x.y") is None


def test_a_batch_has_the_same_rows_of_every_input() -> None:
    a, b = np.arange(5), np.arange(10).reshape(5, 2)
    found = [[len(x) for _, x in batch] for batch in batches([("a", a), ("b", b)], 2)]
    assert found == [[2, 2], [2, 2], [1, 1]]
    with pytest.raises(LookError, match="rows"):
        list(batches([("a", a), ("b", b[:3])], 2))


def test_doubles_become_the_float_type_of_the_model_and_integers_stay() -> None:
    x = np.array([0.1])
    assert as_fed(x, "float32").dtype == np.float32
    assert as_fed(x, "float64").tobytes() == x.tobytes()
    assert as_fed(x, "int32").dtype == np.float32
    assert as_fed(np.array([3]), "float32").dtype == np.array([3]).dtype


# --- units --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def told(calls: list[Call], visible: Collection[int]) -> list[tuple[tuple[int, ...], list[int]]]:
    return [
        (unit.calls, [calls[place].inputs[which] for place, which in unit.inputs])
        for unit in units(calls, visible)
    ]


CHAIN = [Call((0,), (1,)), Call((1,), (2,)), Call((2,), (3,))]


def test_a_layer_that_is_seen_is_judged_by_itself() -> None:
    assert told(CHAIN, {0, 1, 2, 3}) == [((0,), [0]), ((1,), [1]), ((2,), [2])]


def test_a_layer_that_cannot_be_seen_belongs_to_the_one_that_it_feeds() -> None:
    assert told(CHAIN, {0, 2, 3}) == [((0, 1), [0]), ((2,), [2])]
    assert told(CHAIN, {0, 3}) == [((0, 1, 2), [0])]


def test_a_layer_that_hands_on_what_it_is_given_is_a_part_of_the_unit() -> None:
    calls = [Call((0,), (1,)), Call((1,), (1,)), Call((1,), (2,))]
    assert told(calls, {0, 2}) == [((0, 1, 2), [0])]
    assert told(calls, {0, 1, 2}) == [((0,), [0]), ((1,), [1]), ((2,), [1])]


def test_a_tensor_that_is_received_twice_is_told_twice() -> None:
    assert told([Call((0, 0), (1,))], {0, 1}) == [((0,), [0, 0])]


def test_a_unit_of_two_branches_receives_what_comes_from_outside_in_order() -> None:
    calls = [Call((0,), (1,)), Call((5,), (2,)), Call((1, 4), (3,))]
    (unit,) = [each for each in units(calls, {0, 3, 4, 5}) if each.last == 2]
    assert unit == CallGroup((0, 2), ((0, 0), (2, 1)))
    assert not unit.is_chain
    assert units(CHAIN, {0, 3})[0].is_chain


def test_a_hidden_layer_that_feeds_two_belongs_to_both() -> None:
    calls = [Call((0,), (1,)), Call((1,), (2,)), Call((1,), (3,))]
    assert told(calls, {0, 2, 3}) == [((0, 1), [0]), ((0, 2), [0])]


# --- units in the last place --------------------------------------------------------------------

TYPES = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]


@pytest.mark.parametrize("dtype", TYPES)
def test_a_number_is_moved_to_each_neighbour_or_stays(dtype: Any) -> None:
    x = np.full(4000, 1.0, dtype)
    found = Counter(moved(x, np.random.default_rng(0)).astype(np.float64).tolist())
    step = float(ml_dtypes.finfo(dtype).eps)
    assert set(found) == {1.0 - step / 2, 1.0, 1.0 + step}
    assert min(found.values()) > 1000


@given(
    arrays.arrays(np.float32, 20, elements=st.floats(width=32)),
    st.integers(0, 2**32),
)
def test_nothing_moves_further_than_one_unit_or_leaves_the_numbers(x: Any, seed: int) -> None:
    y = moved(x, np.random.default_rng(seed))
    finite = np.isfinite(x)
    assert np.isfinite(y[finite]).all()
    assert y[~finite].tobytes() == x[~finite].tobytes()
    with np.errstate(over="ignore"):
        up, down = np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf))
    assert ((y == x) | (y == up) | (y == down))[finite].all()


def test_zeros_of_both_signs_move_to_the_smallest_numbers() -> None:
    x = np.array([0.0, -0.0] * 200, np.float32)
    found = set(moved(x, np.random.default_rng(0)).tolist())
    smallest = float(np.finfo(np.float32).smallest_subnormal)
    assert found == {0.0, smallest, -smallest}


def test_every_part_of_a_layer_that_computes_is_made_to_compute_in_float64() -> None:
    policy = {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    config = {"dtype": policy, "layer": {"config": {"dtype": "float32", "units": 3}},
              "cells": [{"dtype": "bfloat16"}], "other": {"dtype": "int64"}}  # fmt: skip
    found = in_float64(config)
    assert (found["dtype"], found["layer"]["config"]["dtype"]) == ("float64", "float64")
    assert found["cells"] == [{"dtype": "float64"}]
    assert found["other"] == {"dtype": "int64"}


# --- what may be run ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"module": "os", "class_name": "system"}, "os.system"),
        ({"layers": [{"config": {"class_name": "Lambda"}}]}, "Lambda"),
        ({"layers": ({"class_name": "TFOpLambda"},)}, "TFOpLambda"),
        ({"registered_name": "mine>Layer"}, "mine>Layer"),
        ({"module": "keras.layers", "class_name": "Dense", "registered_name": None}, ""),
    ],
)
def test_code_that_is_not_keras_own_is_named(config: Any, named: str) -> None:
    assert foreign(config) == named


# --- searching for what can be seen -------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A call of a pretended model."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    masked: bool = False
    masks: tuple[int | None, ...] = ()


@dataclass
class Op:
    name: str
    type: str = "Op"
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)


@dataclass
class Tensor:
    op: Op
    users: list[Op] = field(default_factory=list)

    def consumers(self) -> list[Op]:
        return self.users


class Machine:
    """A chain of layers, of which asking for some changes what is executed.

    Tensor n is made by layer n from tensor n - 1; tensor 0 is the input. Each of ``fused`` is
    executed in one op with the next, unless it is asked for; asking for any of ``frail`` adds an
    op; asking for any of ``wrong`` gives other bits.
    """

    def __init__(
        self,
        length: int,
        fused: Collection[int] = (),
        frail: Collection[int] = (),
        wrong: Collection[int] = (),
        extra: int = 0,
    ) -> None:
        self.length, self.fused, self.frail, self.wrong = length, fused, frail, wrong
        self.extra = extra
        self.runs: list[frozenset[int] | None] = []
        self.ops = {n: Op(f"m/{n}") for n in range(length + 1)}
        self.tensors = [Tensor(self.ops[n]) for n in range(length + 1)]
        for number in range(length):
            self.tensors[number].users.append(self.ops[number + 1])
            self.ops[number].outputs = [self.tensors[number]]

    def __call__(self, wanted: frozenset[int] | None) -> Sight:
        self.runs.append(wanted)
        asked = set(range(1, self.length + 1)) if wanted is None else set(wanted)
        if asked.intersection(self.wrong):
            raise LookError("other bits")
        names = {
            f"m/{n}": ["Bias", "Next"] if n - 1 in self.fused and n - 1 not in asked else []
            for n in range(1, self.length + 1)
            if n not in self.fused or n in asked
        }
        names |= {f"m/frail{n}": [] for n in asked.intersection(self.frail)}
        calls: Any = [Layer((n - 1,), (n,)) for n in range(1, self.length + 1)]
        values: Any = {number: np.zeros(1) for number in (0, *asked)}
        return Sight(calls, self.tensors, values, (), frozenset({self.length}), Done(names))  # type: ignore[arg-type]

    def recorded(self) -> ExecutedGraph:
        names = self(frozenset()).executed.nodes()  # type: ignore[union-attr]
        self.runs.clear()
        ops = [ExecutedOp(op="Op", name=name, fused=tuple(fused)) for name, fused in names.items()]
        ops += [ExecutedOp(op="Op", name=f"m/extra{n}") for n in range(self.extra)]
        return ExecutedGraph(ops=tuple(ops))


@dataclass
class Done:
    """What was executed: ops by name, with what is fused into them."""

    names: dict[str, list[str]]

    def nodes(self) -> dict[str, list[str]]:
        return self.names

    def arithmetic(self) -> list[Counter[str]]:
        return [Counter(f"Op{fused}" for fused in self.names.values())]

    def describe(self) -> dict[str, Any]:
        ops = [{"op": "Op", "name": name, "fused": fused} for name, fused in self.names.items()]
        return {"ops": ops, "functions": 1, "jit_compiled": False}


def seen(machine: Machine, known: bool = True) -> tuple[View, set[int]]:
    recorded = machine.recorded() if known else None
    view = view_of(machine, recorded, hidden_work=False)
    return view, set(view.visible)


@pytest.mark.parametrize(("known", "runs"), [(True, 1), (False, 2)])
def test_where_looking_changes_nothing_the_model_is_run_no_more_than_needed(
    known: bool, runs: int
) -> None:
    machine = Machine(5)
    view, visible = seen(machine, known)
    assert (view.unchanged, visible) == (True, set(range(6)))
    assert len(machine.runs) == runs


def test_a_layer_that_is_fused_with_the_next_is_not_asked_for_again() -> None:
    machine = Machine(6, fused={1, 4})
    view, visible = seen(machine)
    assert (view.unchanged, visible) == (True, {0, 2, 3, 5, 6})
    assert machine.runs == [None, frozenset(), frozenset({2, 3, 5, 6})]


@pytest.mark.parametrize("frail", [{2}, {1, 2, 5}, {7}])
def test_what_changes_something_is_found_among_what_does_not(frail: set[int]) -> None:
    view, visible = seen(Machine(8, frail=frail))
    assert (view.unchanged, visible) == (True, set(range(9)) - frail)


def test_what_changes_the_bits_of_the_prediction_changes_something() -> None:
    view, visible = seen(Machine(4, wrong={3}))
    assert (view.unchanged, visible) == (True, {0, 1, 2, 4})


def test_a_model_that_gives_other_bits_unasked_is_not_looked_at() -> None:
    def broken(_: frozenset[int] | None) -> Sight:
        raise LookError("other bits")

    with pytest.raises(LookError, match="other bits"):
        view_of(broken, None, hidden_work=False)


def test_a_model_that_is_executed_otherwise_from_the_beginning_is_flagged() -> None:
    view, visible = seen(Machine(3, extra=1))
    assert (view.unchanged, visible) == (False, {0, 1, 2, 3})


def test_where_the_graph_does_not_show_the_work_nothing_is_claimed() -> None:
    machine = Machine(3, fused={1})
    view = view_of(machine, machine.recorded(), hidden_work=True)
    assert (view.unchanged, set(view.visible)) == (None, {0, 1, 2, 3})
