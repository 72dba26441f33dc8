"""What recorded calls mean without R, and the part of a recording that some of them need."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from bridge.capsule import Call, Capsule, Manifest
from bridge.capsule.values import ArrayValue, Closure, Method, ObjectValue, Scalar, Symbol, Value
from bridge.trace.call_semantics import is_aside, up_to, writes
from bridge.trace.r_functions import handle_of, r_function
from bridge.translate.steps import Steps


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


TEXT = Scalar(t="str", v="a")
LAYER = ObjectValue(id=1, cls="keras.src.layers.core.dense:Dense")
BUFFER = ObjectValue(id=2, cls="_io:StringIO")


def called(path: str, *args: Value, **about: Any) -> Call:
    return Call(id=9, kind="call", target=Symbol(path=path), args=args, **about)


@pytest.mark.parametrize(
    "call",
    [
        called("posix:getcwd"),
        called("posixpath:join", TEXT, TEXT),
        called("_io:StringIO", result=BUFFER),
        called("builtins:print", BUFFER),
        Call(id=9, kind="call", target=Method(owner=BUFFER, name="write"), args=(TEXT,)),
        called("inspect:signature", Method(owner=LAYER, name="call")),
        called("rpytools.output:start_capture"),
        called("rclasses:make_method", Closure(id=3, name="call")),
        Call(id=9, kind="setattr", target=Symbol(path="os"), name="environ",
             result=ObjectValue(id=4, cls="os:_Environ")),
    ],
    ids=lambda call: f"{call.kind} {getattr(call.target, 'path', 'method')}",
)  # fmt: skip
def test_nothing_is_missing_where_nothing_of_kerass_was_at_hand(call: Call) -> None:
    assert is_aside(call)


@pytest.mark.parametrize(
    "call",
    [
        called("builtins:setattr", LAYER, TEXT, TEXT),
        called("builtins:exec", TEXT),
        called("os:system", TEXT),
        called("posix:rename", TEXT, TEXT),
        called("subprocess:run", TEXT),
        called("importlib:reload", Symbol(path="keras")),
        called("functools:partial", Closure(id=3, name="f")),
        called("sklearn.utils:shuffle", TEXT),
        called("tensorflow:constant", TEXT),
    ],
    ids=lambda call: call.target.path,
)
def test_what_may_have_changed_what_is_made_again_is_missing(call: Call) -> None:
    assert not is_aside(call)


def test_the_script_of_a_replay_says_what_it_leaves_out_of_what_changes_a_layer() -> None:
    dense = Call(id=1, kind="call", target=Symbol(path=LAYER.cls, public="keras.layers.Dense"),
                 result=LAYER)  # fmt: skip
    closure = Closure(id=3, name="f")
    for change in (
        called("builtins:setattr", LAYER, TEXT, TEXT),
        Call(id=9, kind="setattr", target=LAYER, name="activation", result=closure),
    ):
        manifest = Manifest(runner="r", case="case", status="ok", calls=(dense, change))
        assert len(Steps(Capsule(manifest, {})).gaps) == 1


def test_the_script_of_a_replay_writes_no_file_where_the_script_wrote_it() -> None:
    array = ArrayValue(t="array", dtype="float32", shape=(1,), key=None)
    call = Call(id=9, kind="call", target=Method(owner=array, name="tofile"), args=(TEXT,))
    manifest = Manifest(runner="r", case="case", status="ok", calls=(call,))
    assert Steps(Capsule(manifest, {})).gaps == ["call: tofile() writes files"]


def test_numpys_copies_are_no_files() -> None:
    assert not writes(Symbol(path="numpy:copy"))
    assert writes(Symbol(path="numpy:savetxt"))
    assert writes(Symbol(path="tensorflow.python.lib.io.file_io:copy_v2"))


def test_a_function_of_rs_is_told_from_reticulates_own(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("rpytools_like")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    source = (
        "def capture(): pass\n"
        "def make(f):\n    def python_function(*args): return f\n    return python_function\n"
    )
    exec(compile(source, "rpytools/call.py", "exec"), vars(module))
    assert r_function(module.capture) is None
    handle = object()
    made = module.make(handle)
    assert r_function(made) == (made, "")
    assert handle_of(made) is handle


def test_a_front_ends_wrapper_is_seen_through_and_a_strangers_is_not() -> None:
    space: dict[str, object] = {}
    source = "def make(f):\n    def python_function(*args): return f\n    return python_function\n"
    exec(compile(source, "rpytools/call.py", "exec"), space)
    inner = space["make"](object())  # type: ignore[operator]
    wrapping = (
        "def wrap_sig_self_logs(fn):\n"
        "    def wrapper(self, logs=None): return fn(self, logs)\n"
        "    return wrapper\n"
    )
    exec(compile(wrapping, "kerastools/callback.py", "exec"), space)
    wrapped = space["wrap_sig_self_logs"](inner)  # type: ignore[operator]
    assert r_function(wrapped) == (inner, "self-logs")

    def strangers(*args: object) -> object:
        return inner(*args)

    assert r_function(strangers) is None
