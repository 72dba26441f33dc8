"""The intent: the Python that a script's own text says, run in a process without R.

Every expression of the script is run by itself. Where one reaches a gap of the translation, it is
given up, the names that it would have changed stand for that gap from then on, and the rest goes
on. Calls into Keras and TensorFlow are recorded as R's are, with the line of R's text.
"""

from __future__ import annotations

import ast
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from bridge.capsule import Capsule, read_capsule
from bridge.capsule.values import Value
from bridge.explain.intent_diff.attribution import Undo
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.r.script import Inspection, inspect
from bridge.runs.job import Place, begin, finish, lay_beside, ran, run_job
from bridge.runs.replay import Replay
from bridge.runs.training_start import TrainingStart
from bridge.trace.capsule_builder import Origin
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.recorder import Recorder
from bridge.trace.spool import SpoolWriter
from bridge.translate.rbase import functional, text, values
from bridge.translate.rbase.values import GapError, Missing
from bridge.translate.text import translate
from bridge.translate.writing import Gap, Translation

_OURS: Final = ("tensorflow", "keras", "tf_keras")
#: Numbers that are printed beyond this are not compared.
_MOST_PRINTED: Final = 10_000


def intended(
    script: Path, inspection: Inspection, as_r: frozenset[tuple[str, int]] = frozenset()
) -> Translation:
    """Translate a script that was inspected; ``as_r`` is what is taken as R has it."""
    return translate(
        inspection.tree,
        script=script.name,
        package=inspection.package,
        generation=inspection.generation,
        as_r=as_r,
        datasets=inspection.datasets,
    )


def translated(script: Path) -> Translation:
    """Translate the text of a script; one that R cannot read is one gap.

    Raises:
        NoRError: R cannot be run.
        OSError: the script cannot be read.
    """
    _, (inspection,) = inspect([script])
    if inspection.problem and inspection.error is not None:
        gap = Gap(inspection.error.line or 1, inspection.error.message, script.name)
        return Translation(f"# GAP {' '.join(gap.sentence.split())}\n", (0,), (gap,))
    return intended(script, inspection)


def run_intent(
    pool: Pool,
    case: str,
    script: Path,
    inspection: Inspection,
    recorded: Capsule,
    limits: Limits,
    undo: Undo | None = None,
    translation: Translation | None = None,
    *,
    full: bool = True,
) -> Capsule:
    """Run what the text means; what R drew at random is taken from its recorded run.

    Unless ``full``, trainings are judged on their first epochs, and go on from R's weights.

    ``undo`` is what is taken as R has it, to see whether that is why they part; ``translation``
    the script's, if the caller has it.

    Raises:
        PoolError: TensorFlow or Keras cannot be started.
    """
    undo = undo or Undo()
    translation = translation or intended(script, inspection, undo.as_r)
    name = f"{script.stem}.py"

    def prepare(place: Place) -> dict[str, Any]:
        lay_beside(script, place.work)
        (place.base / name).write_text(translation.text, "utf-8")
        about = _about(translation, inspection, undo)
        about["draws"] = _keep_draws(recorded, place.base / "draws.npz")
        # Data sets may be large.
        (place.base / "about.json").write_text(json.dumps(about), "utf-8")
        return {
            "script": str(place.base / name),
            "about": str(place.base / "about.json"),
            "draws": str(place.base / "draws.npz"),
        }

    params = {"recorded": pool.file_of(recorded), "full": full}
    private = (str(script.resolve().parent),)
    origin = Origin("intent", case, Path(name), translation.text, "python", None, private)
    with run_job(
        pool, Warm(inspection.generation), intent_job, params, limits, prepare=prepare
    ) as left:
        return left.capsule(origin)


def _about(translation: Translation, inspection: Inspection, undo: Undo) -> dict[str, Any]:
    return {
        "lines": translation.lines,
        "tops": translation.tops,
        "last_first": translation.last_first,
        "datasets": inspection.datasets,
        "readings": [each.model_dump() for each in translation.readings],
        "as_r": sorted(undo.as_r),
        "given": [
            (call, key, None if value is None else value.model_dump(mode="json"))
            for call, key, value in undo.arguments
        ],
    }


def _keep_draws(recorded: Capsule, path: Path) -> list[tuple[str, str, list[str]]]:
    """Write what R drew; return each draw's function, the name of its array, and its strings."""
    arrays: dict[str, Any] = {}
    names = []
    for number, draw in enumerate(recorded.manifest.draws):
        key = ""
        if draw.array is not None and draw.array.key is not None:
            key = f"draw{number}"
            arrays[key] = recorded.array(draw.array)
        names.append((draw.name, key, list(draw.strings)))
    np.savez(path, **arrays)
    return names


def intent_job(context: Context, params: dict[str, Any]) -> None:
    """Run ``params["script"]``; ``params["about"]`` has its lines, R's draws and data sets."""
    path = Path(params["script"])
    about = json.loads(Path(params["about"]).read_text("utf-8"))
    spool = begin(context, params, of_script=True)
    encoder = Encoder(spool)
    recorder = Recorder(spool, encoder)
    recorded = read_capsule(Path(params["recorded"]))
    if not params["full"]:
        TrainingStart(recorded, lambda: session.line).install(context.keras)
    Observer(spool, encoder, lambda: recorder.current).install(context.keras)
    _give_draws(about["draws"], Path(params["draws"]))
    given = _given(about["given"], recorded, context.keras)
    session = _Session(spool, recorder, about, given)
    text.heard = session.heard
    values.read_otherwise = session.read_otherwise
    for reading in about["readings"]:
        spool.event("reading", **reading)
    sys.argv = [str(path)]

    def script() -> None:
        with warnings.catch_warnings(record=True):
            session.run(path)

    finish(spool, context, ran(spool, script, lambda _error: session.line))


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


def _given(given: list[Any], recorded: Capsule, keras: Any) -> dict[int, dict[str, Any]]:
    """Return what R gave to calls, where it is to be given instead: by call, and by argument."""
    found: dict[int, dict[str, Any]] = {}
    known = Replay(recorded, keras, lambda *_: None)
    for call, key, value in given:
        made = _NOTHING
        if value is not None:
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
            except GapError as gap:
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
