"""Running the Python that an R script's text means, in a child of a warm process without R.

Every expression of the script is run by itself. Where one reaches a gap of the translation, it is
given up, the names that it would have changed stand for that gap from then on, and the rest goes
on. Calls into Keras and TensorFlow are recorded as R's are, with the line of R's text.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from bridge.capsule import read_capsule
from bridge.capsule.values import Value
from bridge.process import job_setup
from bridge.process.jobs import Context
from bridge.process.random_generators import start_chance
from bridge.runs.levers import pull
from bridge.runs.replay import Replay
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.recorder import Recorder, describe_error
from bridge.trace.spool import SpoolWriter
from bridge.translate.rbase import functional, text, values
from bridge.translate.rbase.values import Gap, Missing

_OURS: Final = ("tensorflow", "keras", "tf_keras")
#: Numbers that are printed beyond this are not compared.
_MOST_PRINTED: Final = 10_000


def run(context: Context, params: dict[str, Any]) -> None:
    """Run ``params["script"]``; ``params["about"]`` has its lines, R's draws and data sets."""
    path = Path(params["script"])
    about = json.loads(Path(params["about"]).read_text("utf-8"))
    spool = SpoolWriter(Path(params["spool"]))
    encoder = Encoder(spool)
    for note in pull(params.get("lever") or {}, context.keras):
        spool.event("note", text=note)
    recorder = Recorder(spool, encoder)
    Observer(spool, encoder, lambda: recorder.current).install(context.keras)
    os.chdir(params["workdir"])
    start_chance()
    job_setup.limit(int(params.get("memory_bytes", 0)))
    _give_draws(about["draws"], Path(params["draws"]))
    session = _Session(spool, recorder, about, _given(about, context.keras))
    text.heard = session.heard
    values.read_otherwise = session.read_otherwise
    for reading in about["readings"]:
        spool.event("reading", **reading)
    sys.argv = [str(path)]
    status = "ok"
    try:
        with warnings.catch_warnings(record=True):
            session.run(path)
    except SystemExit as leaving:
        status = "quit"
        spool.event("quit", code=str(leaving.code), line=None)
    except BaseException as error:
        status = "error"
        spool.event("error", error=describe_error(error) | {"line": session.line})
    spool.event("status", status=status)
    spool.event(
        "situation",
        keras=job_setup.keras_version(context.generation),
        environment=job_setup.describe_environment(),
    )
    spool.event("end")


def _give_draws(names: list[Any], path: Path) -> None:
    functional.draws.clear()
    with np.load(path, allow_pickle=False) as arrays:
        for name, key, strings in names:
            drawn: Any = arrays[key] if key else list(strings)
            if key and drawn.shape == (1,):
                drawn = drawn.reshape(-1)[0].item()
            elif not key and len(strings) == 1:
                drawn = strings[0]
            functional.draws.setdefault(name, []).append(drawn)


#: An argument that is not given at all.
_NOTHING: Final = object()


def _given(about: dict[str, Any], keras: Any) -> dict[int, dict[str, Any]]:
    """Return what R gave to calls, where it is to be given instead: by call, and by argument."""
    found: dict[int, dict[str, Any]] = {}
    if not about["given"]:
        return found
    known: Replay | None = None
    if "recorded" in about:
        known = Replay(read_capsule(Path(about["recorded"])), keras, lambda *_: None)
    for call, key, value in about["given"]:
        made = _NOTHING
        if value is not None and known is not None:
            made = known.value(TypeAdapter(Value).validate_python(value))
        found.setdefault(int(call), {})[key] = made
    return found


def _changed(
    changed: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    places, words = list(args), dict(kwargs)
    for key, value in changed.items():
        if key.isdigit() and 0 < int(key) <= len(places) and value is not _NOTHING:
            places[int(key) - 1] = value
        elif value is _NOTHING:
            words.pop(key, None)
        elif not key.isdigit():
            words[key] = value
    return tuple(places), words


class _Session:
    """One run: where it is, what it prints, which names stand for a gap."""

    def __init__(
        self,
        spool: SpoolWriter,
        recorder: Recorder,
        about: dict[str, Any],
        given: dict[int, dict[str, Any]],
    ) -> None:
        self._spool = spool
        self._recorder = recorder
        self._lines: list[int] = about["lines"]
        self._tops: list[int] = about["tops"]
        self._last_first = bool(about["last_first"])
        self._datasets = about["datasets"]
        self._as_r = {(kind, line) for kind, line in about["as_r"]}
        self._given = given
        self._readings: list[dict[str, Any]] = list(about["readings"])
        self._printed = 0
        self.line: int | None = None
        self._top: int | None = None

    def run(self, path: Path) -> None:
        """Run the file, expression by expression."""
        tree = ast.parse(path.read_text("utf-8"), str(path))
        instrument = _Instrument(self._last_first)
        names: dict[str, Any] = {
            "__name__": "__intent__",
            "__file__": str(path),
            "DATASETS": self._datasets,
            "_bridge_call": self._call,
            "_bridge_last_first": _last_first,
        }
        for statement in tree.body:
            self._top = self._r_line(statement.lineno, self._tops)
            self.line = self._r_line(statement.lineno, self._lines)
            seen = instrument.visit(statement)
            ast.fix_missing_locations(seen)
            module = ast.Module([seen], [])
            try:
                exec(compile(module, str(path), "exec"), names)
            except Gap as gap:
                self._spool.event("gap", text=str(gap))
                for name in _touched(statement, names):
                    names[name] = Missing(f"{gap}")

    def heard(self, numbers: list[Any]) -> None:
        """Note what is printed, for the comparison with what R printed."""
        if not numbers or self._printed > _MOST_PRINTED:
            return
        self._printed += len(numbers)
        text = " ".join(_spelled(each) for each in numbers)
        self._spool.event("output", stream="stdout", text=text + "\n", line=self._top)

    def read_otherwise(self, kind: str, cause: str, what: str) -> bool:
        """Note that something is read otherwise than R reads it, and say whether it is."""
        if (kind, self.line or 0) in self._as_r:
            return False
        reading = {"kind": kind, "cause": cause, "line": self.line or 0, "what": what}
        if reading not in self._readings:
            self._readings.append(reading)
            self._spool.event("reading", **reading)
        return True

    def _r_line(self, number: int, lines: list[int]) -> int | None:
        return lines[number - 1] or None if 0 < number <= len(lines) else None

    def _call(self, number: int, target: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not _is_foreign(target) or _tracing():
            return target(*args, **kwargs)
        for each in (*args, *kwargs.values()):
            if isinstance(each, Missing):
                each.__len__()
        before, self.line = self.line, self._r_line(number, self._lines) or self.line
        changed = self._given.get(self._recorder.count + 1)
        if changed:
            args, kwargs = _changed(changed, args, kwargs)
        result = self._recorder.call(target, {"line": self.line}, args, kwargs)
        # Kept where it was if an error leaves: that is where it came from.
        self.line = before
        return result


class _Instrument(ast.NodeTransformer):
    """Puts a recorder round every call, and layers in the order in which keras makes them."""

    def __init__(self, last_first: bool) -> None:
        self._last_first = last_first

    def visit_Call(self, node: ast.Call) -> ast.AST:
        is_sequential = isinstance(node.func, ast.Attribute) and node.func.attr == "Sequential"
        self.generic_visit(node)
        args = list(node.args)
        if self._last_first and is_sequential and args and isinstance(args[0], ast.List):
            items = [_thunk(each) for each in args[0].elts]
            made = ast.Call(ast.Name("_bridge_last_first", ast.Load()), items, [])
            args[0] = ast.copy_location(made, node)
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and (
            node.func.value.id == "r"):  # fmt: skip
            return ast.copy_location(ast.Call(node.func, args, node.keywords), node)
        call = ast.Call(
            ast.Name("_bridge_call", ast.Load()),
            [ast.Constant(node.lineno), node.func, *args],
            node.keywords,
        )
        return ast.copy_location(call, node)


def _thunk(node: ast.expr) -> ast.expr:
    empty = ast.arguments([], [], None, [], [], None, [])
    return ast.copy_location(ast.Lambda(empty, node), node)


def _last_first(*makers: Callable[[], Any]) -> list[Any]:
    return [make() for make in reversed(makers)][::-1]


def _tracing() -> bool:
    tf = sys.modules.get("tensorflow")
    return tf is not None and bool(tf.inside_function())


def _is_foreign(target: Any) -> bool:
    """Say whether something that is called belongs to Keras or TensorFlow."""
    owner = getattr(target, "__self__", None)
    if owner is not None and not isinstance(owner, type(sys)):
        target = owner if isinstance(owner, type) else type(owner)
    kind = target if hasattr(target, "__module__") and hasattr(target, "__name__") else type(target)
    module = str(getattr(kind, "__module__", "") or "")
    if module.partition(".")[0] in _OURS:
        return True
    return any(str(each.__module__).partition(".")[0] in _OURS
               for each in getattr(type(target), "__mro__", ()))  # fmt: skip


def _touched(statement: ast.stmt, names: dict[str, Any]) -> set[str]:
    """Return the names that a statement may have changed: assigned ones, and objects it names."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store) or _is_model(names.get(node.id)):
                found.add(node.id)
        elif isinstance(node, ast.Global):
            found |= set(node.names)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return found


def _is_model(item: Any) -> bool:
    return (
        not isinstance(item, Missing) and hasattr(item, "layers") and hasattr(item, "get_weights")
    )


def _spelled(item: Any) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, (bool, np.bool_)):
        return "TRUE" if item else "FALSE"
    if isinstance(item, (int, float, np.number)):
        return f"{float(item):.17g}"
    return str(item)
