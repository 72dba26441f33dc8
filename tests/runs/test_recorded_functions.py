"""A function of R's is called as often as Keras calls it, each time as R was then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Call, Capsule, Manifest
from bridge.capsule.schema import Invocation
from bridge.capsule.values import (
    ArrayValue,
    Closure,
    Items,
    ObjectValue,
    Parameter,
    Scalar,
    Symbol,
    Value,
)
from bridge.runs.recorded_functions import NotRecordedError, RecordedFunctions
from bridge.trace.r_functions import looking

SYMBOLIC = ObjectValue(id=5, cls="tensorflow.python.framework.tensor:SymbolicTensor")
FUNCTION = Closure(id=1, name="f", module="rpytools.call")


def whole(value: int) -> Scalar:
    return Scalar(t="int", v=str(value))


def asked(number: int, *args: Value, result: Value | None = None, **about: Any) -> Invocation:
    return Invocation(id=number, closure=1, args=args, result=result, **about)


class Tensor:
    """Stands for a tensor of any kind."""

    dtype = "float32"

    def __init__(self, *shape: int | None) -> None:
        self.shape = shape


def functions_of(
    *invocations: Invocation, calls: Sequence[Call] = ()
) -> tuple[RecordedFunctions, list[tuple[Value, Any]], list[NotRecordedError]]:
    """Return functions, what they bind when they are called, and what they could not do."""
    manifest = Manifest(
        runner="r", case="case", status="ok", calls=tuple(calls), invocations=invocations
    )
    bound: list[tuple[Value, Any]] = []
    missed: list[NotRecordedError] = []

    def value(item: Value | None) -> Any:
        return int(item.v) if isinstance(item, Scalar) and item.t == "int" else None

    def body(invocation: Invocation, _: Sequence[Call], bind: Callable[[], None]) -> Any:
        bind()
        return value(invocation.result)

    functions = RecordedFunctions(
        Capsule(manifest, {}),
        value,
        lambda item, made: bound.append((item, made)) if item is not None else None,
        body,
        missed.append,
    )
    return functions, bound, missed


def function(
    *invocations: Invocation, closure: Closure = FUNCTION, calls: Sequence[Call] = ()
) -> tuple[Callable[..., Any], list[tuple[Value, Any]], list[NotRecordedError]]:
    """Return a function, what it binds when it is called, and what it could not do."""
    functions, bound, missed = functions_of(*invocations, calls=calls)
    return functions.function(closure), bound, missed


def test_the_kth_call_is_the_kth_that_was_recorded() -> None:
    made, _, _ = function(asked(1, result=whole(7)), asked(2, result=whole(8)))
    assert [made(), made()] == [7, 8]


def test_what_is_given_now_stands_for_what_was_given_then() -> None:
    made, bound, _ = function(asked(1, SYMBOLIC, whole(3)))
    tensor = Tensor(None, 3)
    made(tensor, 3)
    assert bound == [(SYMBOLIC, tensor), (whole(3), 3)]


def test_arguments_go_by_their_names() -> None:
    parameters = (Parameter(name="y_true"), Parameter(name="y_pred"))
    closure = FUNCTION.model_copy(update={"parameters": parameters})
    made, bound, _ = function(asked(1, whole(1), SYMBOLIC), closure=closure)
    tensor = Tensor(2)
    made(y_pred=tensor, y_true=1)
    assert {value.t: item for value, item in bound} == {"int": 1, "object": tensor}


def test_it_shows_the_signature_that_r_gave_it() -> None:
    import inspect

    parameters = (
        Parameter(name="inputs"),
        Parameter(name="training", default=whole(0)),
        Parameter(name="more", kind="keywords"),
    )
    made, _, _ = function(closure=FUNCTION.model_copy(update={"parameters": parameters}))
    assert str(inspect.signature(made)) == "(inputs, training=0, **more)"
    with pytest.raises(TypeError):
        made()


def test_a_call_with_other_words_is_another_one() -> None:
    training, predicting = Scalar(t="bool", v="True"), Scalar(t="bool", v="False")
    made, _, _ = function(
        asked(1, training, result=whole(1)), asked(2, predicting, result=whole(2))
    )
    assert made(False) == 2


def test_batches_of_another_length_are_other_calls() -> None:
    def batch(rows: int) -> ArrayValue:
        return ArrayValue(t="tensor", dtype="float32", shape=(rows, 1), key=None, id=rows)

    made, _, _ = function(asked(1, batch(8), result=whole(8)), asked(2, batch(4), result=whole(4)))
    assert made(Tensor(4, 1)) == 4


def test_what_always_did_the_same_may_be_asked_again() -> None:
    made, _, _ = function(asked(1, SYMBOLIC, result=whole(7)))
    assert [made(Tensor(1)), made(Tensor(1)), made(Tensor(1))] == [7, 7, 7]


def test_what_did_something_else_each_time_ends_honestly() -> None:
    made, _, missed = function(asked(1, result=whole(7)), asked(2, result=whole(8)))
    made(), made()
    with pytest.raises(NotRecordedError, match="only 2 times"):
        made()
    assert len(missed) == 1


def test_what_was_seen_once_with_numbers_that_r_could_read_is_not_done_again() -> None:
    eager = ArrayValue(t="tensor", dtype="float32", shape=(2,), key=None, id=9)
    made, _, _ = function(asked(1, eager, result=whole(7)))
    assert made(np.zeros(2, np.float32)) == 7
    with pytest.raises(NotRecordedError):
        made(np.zeros(2, np.float32))


def test_what_is_only_described_does_not_count() -> None:
    made, _, _ = function(
        asked(1, result=whole(1)),
        asked(2, result=whole(50), looked=True),
        asked(3, result=whole(2)),
    )
    assert made() == 1
    with looking():
        assert made() == 50
    assert made() == 2


def test_a_wrapper_counts_from_one_and_takes_logs_over() -> None:
    closure = FUNCTION.model_copy(update={"passing": "self-index-logs"})
    seen = Items(t="list", items=())
    made, bound, _ = function(asked(1, ObjectValue(id=3, cls="x:y"), whole(1), seen),
                              closure=closure)  # fmt: skip
    owner = object()
    assert made(owner, 0, []) is None
    assert [item for _, item in bound] == [owner, 1, []]


def test_an_older_recording_says_that_it_has_none() -> None:
    with pytest.raises(NotRecordedError, match="written in R"):
        function(closure=Closure(id=1, name="f"))


def test_calls_within_are_told_apart_from_objects_at_hand() -> None:
    target = Symbol(path="keras.src.ops:mean", public="keras.ops.mean")
    calls = [
        Call(id=n, kind="call", target=target, within=n, args=(ObjectValue(id=n, cls="a:b"),))
        for n in (1, 2)
    ]
    first = asked(1, SYMBOLIC, result=whole(7))
    second = asked(2, SYMBOLIC, result=whole(7))
    made, _, _ = function(first, second, calls=calls)
    assert [made(Tensor(1)) for _ in range(3)] == [7, 7, 7]


def test_a_call_belongs_to_what_is_being_made() -> None:
    invocations = [asked(n, result=whole(n), parent=n // 10) for n in (10, 11, 12, 20, 21)]
    functions, _, _ = functions_of(*invocations)
    made = functions.function(FUNCTION)
    functions.during = 1
    assert [made(), made()] == [10, 11]
    functions.during = 2
    assert [made(), made()] == [20, 21]


def test_what_was_asked_ahead_comes_first() -> None:
    invocations = [asked(1, result=whole(1), parent=1), asked(2, result=whole(2), parent=2)]
    functions, _, _ = functions_of(*invocations)
    made = functions.function(FUNCTION)
    functions.during = 2
    assert [made(), made()] == [1, 2]


def test_what_its_own_code_takes_is_told_from_what_is_set_on_it() -> None:
    import inspect

    parameters = (
        Parameter(name="self"),
        Parameter(name="input_shape", default=whole(0)),
        Parameter(name="more", kind="rest"),
        Parameter(name="last", kind="keyword"),
    )
    for spelled in (True, False):
        about = {"parameters": parameters, "spelled": spelled}
        made, _, _ = function(asked(1, SYMBOLIC), closure=FUNCTION.model_copy(update=about))
        assert str(inspect.signature(made)) == "(self, input_shape=0, *more, last)"
        assert ("__signature__" in vars(made)) is not spelled
