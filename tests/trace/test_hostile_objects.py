"""Objects that raise when they are looked at cost a recording themselves, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule
from bridge.capsule.values import Items, ObjectValue, Opaque, Scalar
from bridge.process.pool import Outcome
from bridge.runs.replay import Replay, ReplayError
from bridge.trace import recorder as recording
from bridge.trace.capsule_builder import Origin, assemble
from bridge.trace.encoder import (
    Encoder,
    class_name,
    has_attribute,
    is_instance,
    qualified,
    to_numpy,
)
from bridge.trace.model_description import plain
from bridge.trace.observer import Observer
from bridge.trace.recorder import Recorder, describe_error
from bridge.trace.spool import SpoolWriter, read_events


class NoAttributes:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class NoClass:
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    @__class__.setter
    def __class__(self, _: Any) -> None: ...


class NegativeLength(list[Any]):
    def __len__(self) -> int:
        return -3


class EndlessList(list[Any]):
    def __iter__(self) -> Any:
        raise MemoryError("endless")


class NoItems(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class NoComparison(float):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")


class NoText:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


class NoElements:
    dtype = "float32"
    shape = (2,)

    def assign(self, _: Any) -> None: ...

    def numpy(self) -> Any:
        raise RuntimeError("no elements")


class NoFlags(np.ndarray[Any, Any]):
    @property
    def flags(self) -> Any:
        raise RuntimeError("no flags")


class Meta(type):
    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no module")

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Nameless(metaclass=Meta):
    pass


class NoSignature:
    __hash__ = None  # type: ignore[assignment]

    @property
    def __signature__(self) -> Any:
        raise RuntimeError("no signature")

    def __call__(self, **given: Any) -> Any:
        return given


class OddNames:
    __module__: Any = 7
    __name__ = property(lambda _: 1 / 0)

    def __call__(self, *_: Any) -> int:
        return 4


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


HOSTILE: dict[str, Callable[[], Any]] = {
    "attributes": NoAttributes,
    "class": NoClass,
    "length": lambda: NegativeLength([1, 2]),
    "iteration": lambda: EndlessList([1]),
    "items": lambda: NoItems(a=1),
    "comparison": lambda: NoComparison(1.5),
    "text": NoText,
    "elements": NoElements,
    "flags": lambda: np.zeros((2, 2)).view(NoFlags),
    "metaclass": Nameless,
    "signature": NoSignature,
    "names": OddNames,
}


def _recorded(folder: Path) -> Capsule:
    outcome = Outcome("exited", 0, 0, 1.0, 0, "", "")
    origin = Origin("r", "a", Path("a.R"), "", "r")
    return assemble(origin, folder, outcome)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_object_is_described_whatever_it_does(tmp_path: Path, name: str) -> None:
    encoder = Encoder(SpoolWriter(tmp_path))
    item = HOSTILE[name]()
    whole = encoder.value({"before": 1, "it": [item], "after": 2})
    assert [value["v"] for _, value in (whole["items"][0], whole["items"][2])] == ["1", "2"]
    (found,) = whole["items"][1][1]["items"]
    assert found["t"] in ("object", "opaque", "array")
    if found["t"] != "array":
        # The same object is known again, whatever it refuses to say.
        assert found["id"] == encoder.value(item)["id"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_call_with_such_an_object_is_recorded_and_made(tmp_path: Path, name: str) -> None:
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))
    item = HOSTILE[name]()

    def give(*args: Any, keep: Any = None) -> Any:
        recorder.call(len, {"line": 3}, ("ab",), {})
        return [7, args[0], keep]

    meta = {"line": 2, "call": "give(x)", "args": [{"name": "x", "length": "odd"}]}
    made = recorder.call(give, meta, (item, 5), {"keep": item})
    assert made[1] is item
    recorder.note("getattr", item, "field", item, {"line": 4})
    outer, inner, read = _recorded(tmp_path).manifest.calls
    assert (outer.line, outer.r_call, outer.args[1]) == (2, "give(x)", Scalar(t="int", v="5"))
    assert isinstance(outer.result, Items)
    assert outer.result.items[0] == Scalar(t="int", v="7")
    assert (inner.parent, inner.line) == (outer.id, 3)
    assert (read.kind, read.name, read.line) == ("getattr", "field", 4)
    assert outer.r_args[0].length == 0


@pytest.mark.parametrize("name", ["signature", "names"])
def test_such_a_function_is_called(tmp_path: Path, name: str) -> None:
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))
    target = HOSTILE[name]()
    assert recorder.call(NoSignature(), {}, (), {"a": 1}) == {"a": 1}
    recorder.call(target, {}, (), {"a": 1} if name == "signature" else {})
    first, second = _recorded(tmp_path).manifest.calls
    assert first.kwargs == {"a": Scalar(t="int", v="1")}
    assert isinstance(second.target, ObjectValue)


def test_a_default_that_cannot_be_compared_is_none(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))
    default = NoComparison(1.0)

    def give(a: Any = default, b: int = 2) -> Any:
        return a, b

    recorder.call(give, {}, (), {"a": default, "b": 2})
    (call,) = _recorded(tmp_path).manifest.calls
    assert call.defaults == ("b",)


def test_an_error_without_a_message_is_described(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))

    def throw() -> None:
        raise MuteError

    with pytest.raises(MuteError):
        recorder.call(throw, {"line": 1}, (), {})
    (call,) = _recorded(tmp_path).manifest.calls
    assert call.error is not None
    assert call.error.cls.endswith("MuteError")
    assert "ValueError" in call.error.message


@pytest.mark.internal_errors
def test_a_call_that_is_lost_leaves_a_stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))

    def broken(*_: object) -> Any:
        raise KeyError("a defect of ours")

    monkeypatch.setattr(recording, "_r_values", broken)
    meta = {"line": 5, "call": "outer(f)", "assigned": "y"}

    def outer(x: int) -> int:
        monkeypatch.undo()
        return int(recorder.call(abs, {"line": 6}, (x,), {}))

    assert recorder.call(outer, meta, (-1,), {}) == 1
    stub, inner = _recorded(tmp_path).manifest.calls
    assert (stub.line, stub.r_call, stub.assigned, stub.kind) == (5, "outer(f)", "y", "call")
    assert isinstance(stub.target, Opaque)
    assert stub.result == Scalar(t="int", v="1")
    assert inner.parent == stub.id


def test_what_raises_beyond_the_most_calls_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_CALLS", 2)
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))
    for _ in range(4):
        recorder.call(abs, {}, (-1,), {})
    with pytest.raises(ZeroDivisionError):
        recorder.call(lambda: 1 // 0, {"line": 9}, (), {})
    first, second, last = _recorded(tmp_path).manifest.calls
    assert (first.id, second.id, last.id) == (1, 2, 5)
    assert last.error is not None
    assert (last.error.cls, last.line) == ("ZeroDivisionError", 9)


def test_an_end_without_a_beginning_is_taken(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    spool.event("returned", id=4, result={"t": "int", "v": "1"})
    spool.event("raised", id=6, error=describe_error(ValueError("no")))
    returned, raised = _recorded(tmp_path).manifest.calls
    assert (returned.id, returned.result) == (4, Scalar(t="int", v="1"))
    assert raised.error is not None
    assert isinstance(raised.target, Opaque)


def test_a_replay_says_that_a_value_was_not_recorded(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))
    recorder.call(abs, {"line": 1}, (-1,), {})
    recorder.call(len, {"line": 2}, (NoItems(a=1),), {})
    capsule = _recorded(tmp_path)
    replay = Replay(capsule, np, lambda *_: None)
    with pytest.raises(ReplayError, match="a value was not recorded: NoItems"):
        replay.value(capsule.manifest.calls[1].args[0])
    assert replay.value(capsule.manifest.calls[0].args[0]) == -1


def test_a_replay_knows_again_what_it_made_itself(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    recorder = Recorder(spool, Encoder(spool))
    item = NoItems(a=1)
    recorder.call(len, {}, ("ab",), {})
    recorder.note("setattr", item, "field", item, {})
    first, second = _recorded(tmp_path).manifest.calls
    assert isinstance(second.target, Opaque)
    replay = Replay(_recorded(tmp_path), np, lambda *_: None)
    made = first.model_copy(update={"result": second.target})
    replay.step(made)
    assert replay.value(second.target) == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_a_configuration_keeps_what_stands_beside_it(name: str) -> None:
    found = plain({"units": 4, "it": HOSTILE[name](), "rate": 0.5})
    assert (found["units"], found["rate"]) == (4, 0.5)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_probe_keeps_the_arrays_beside_it(tmp_path: Path, name: str) -> None:
    spool = SpoolWriter(tmp_path)
    observer = Observer(spool, Encoder(spool))
    notes: list[str] = []
    found = observer._arrays("x", [np.ones(2), HOSTILE[name]()], notes)
    assert found[0]["name"] == "x[0]"
    assert notes or len(found) == 2
    assert any(event["e"] == "array" for event in read_events(tmp_path))


def test_questions_are_answered_as_the_built_in_ones_do() -> None:
    assert has_attribute([], "append")
    assert not has_attribute([], "numpy")
    assert is_instance(True, int)
    assert not is_instance(NoClass(), int)
    assert qualified(dict) == "builtins:dict"
    assert class_name(Nameless()) == "Nameless"
    assert to_numpy(np.zeros((2, 2)).view(NoFlags)).flags.c_contiguous
