"""The intent: the Python that a script's own text says, run in a process without R.

Every expression of the script is run by itself. Where one reaches a gap of the translation, it is
given up, the names that it would have changed stand for that gap from then on, and the rest goes
on. Calls into Keras and TensorFlow are recorded as R's are, with the line of R's text.
"""

from __future__ import annotations

import ast
import json
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from bridge.capsule import Capsule, read_capsule
from bridge.capsule.values import Value
from bridge.explain.attribution import Undo
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.r.script import Inspection, inspect
from bridge.runs.job import Place, begin, finish, lay_beside, ran, run_job
from bridge.runs.r_answers import LAYER, OwnCall, RAnswers, StatementLayers, called, rearranged
from bridge.runs.replay import TrainingStart
from bridge.trace.capsule_builder import Origin
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.recorder import Recorder
from bridge.trace.spool import SpoolWriter
from bridge.translate.rbase import functional, text, values
from bridge.translate.rbase.values import GapError, Missing
from bridge.translate.text import translate
from bridge.translate.writing import REFUSED, Gap, Translation

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
        about = _about(translation, undo) | {"script": script.name}
        (place.base / "about.json").write_text(json.dumps(about), "utf-8")
        return {"script": str(place.base / name), "about": str(place.base / "about.json")}

    params = {"recorded": pool.file_of(recorded), "full": full}
    private = (str(script.resolve().parent),)
    origin = Origin("intent", case, Path(name), translation.text, "python", None, private)
    with run_job(
        pool, Warm(inspection.generation), intent_job, params, limits, prepare=prepare
    ) as left:
        return left.capsule(origin)


def _about(translation: Translation, undo: Undo) -> dict[str, Any]:
    return {
        "lines": translation.lines,
        "tops": translation.tops,
        "statements": translation.statements,
        "as_made": translation.as_made,
        "readings": [reading.model_dump() for reading in translation.readings],
        "as_r": sorted(undo.as_r),
        "given": [
            (call, key, None if value is None else value.model_dump(mode="json"))
            for call, key, value in undo.arguments
        ],
    }


def intent_job(context: Context, params: dict[str, Any]) -> None:
    """Run ``params["script"]``.

    ``params["about"]`` has its lines, ``params["recorded"]`` R's run.
    """
    path = Path(params["script"])
    about = json.loads(Path(params["about"]).read_text("utf-8"))
    spool = begin(context, params, of_script=True)
    encoder = Encoder(spool)
    recorder = Recorder(spool, encoder)
    recorded = read_capsule(Path(params["recorded"]))
    if not params["full"]:
        TrainingStart(recorded, lambda: session.line).install(context.keras)
    Observer(spool, encoder, lambda: recorder.current).install(context.keras)
    known = RAnswers(recorded, context.keras)
    given = _answers_by_call(about["given"], known)
    session = _IntentSession(spool, encoder, recorder, about, given, known)
    text.heard = session.heard
    functional.asked = session.asked
    values.read_otherwise = session.read_otherwise
    values.seen_before = session.seen_before
    for reading in about["readings"]:
        spool.event("reading", **reading)
    sys.argv = [str(path)]

    def script() -> None:
        with warnings.catch_warnings(record=True):
            session.run(path)

    finish(spool, context, ran(spool, script, lambda _error: session.line))


#: An argument that is not given at all.
_NOTHING: Final = object()


def _answers_by_call(given: list[Any], known: RAnswers) -> dict[int, dict[str, Any]]:
    """Return what R gave to calls, where it is to be given instead: by call, and by argument."""
    found: dict[int, dict[str, Any]] = {}
    for call, key, value in given:
        answer = _NOTHING
        if value is not None:
            answer = known.value(TypeAdapter(Value).validate_python(value))
        found.setdefault(int(call), {})[key] = answer
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


class _IntentSession:
    """One run: where it is, what it prints, which names stand for a gap."""

    def __init__(
        self,
        spool: SpoolWriter,
        encoder: Encoder,
        recorder: Recorder,
        about: dict[str, Any],
        given: dict[int, dict[str, Any]],
        known: RAnswers,
    ) -> None:
        self._spool = spool
        self._encoder = encoder
        self._known = known
        self._recorder = recorder
        self._lines: list[int] = about["lines"]
        self._tops: list[int] = about["tops"]
        self._statements: list[int] = about["statements"]
        self._statement = 0
        self._script: str = about["script"]
        self._as_made = bool(about["as_made"])
        self._as_r = {(kind, line) for kind, line in about["as_r"]}
        self._given = given
        self._readings: list[dict[str, Any]] = list(about["readings"])
        self._printed = 0
        self._seen: set[tuple[str, int]] = set()
        self.line: int | None = None
        self._top: int | None = None

    def run(self, path: Path) -> None:
        """Run the file, statement of R's by statement."""
        names: dict[str, Any] = {
            "__name__": "__intent__",
            "__file__": str(path),
            "_bridge_call": self._call,
            LAYER: StatementLayers(),
        }
        lines = path.read_text("utf-8").split("\n")
        numbered = list(enumerate(lines[: len(self._statements)]))
        for place, part in groupby(numbered, lambda line: self._statements[line[0]]):
            self._statement = place
            source = list(part)
            first = source[0][0]
            self.line = self._r_line(first + 1, self._lines)
            self._top = self._r_line(first + 1, self._tops)
            functional.draws = self._known.draws(self._statement)
            functional.answers = self._known.places(self._statement)
            touched: set[str] = set()
            try:
                tree = ast.parse("\n".join(line for _, line in source), str(path))
                ast.increment_lineno(tree, first)
                touched = _touched(tree, names)
                self._execute(tree, names)
            except Exception as error:  # the text may raise whatever it likes
                gap = _gap_in(error)
                if gap is None and (not self._known.has(self._statement) or self._ends(error)):
                    raise
                self._taken(gap or f"it could not be computed ({error})", names, touched)

    def _ends(self, error: Exception) -> bool:
        """Say whether an error is one of Python's, at a line that is not to be taken from R."""
        return _is_pythons(error) and (REFUSED, self.line or 0) not in self._as_r

    def _execute(self, tree: ast.Module, names: dict[str, Any]) -> None:
        instrument = _Instrument()
        for statement in self._ordered(tree.body):
            self.line = self._r_line(statement.lineno, self._lines)
            seen = instrument.visit(statement)
            ast.fix_missing_locations(seen)
            exec(compile(ast.Module([seen], []), str(names["__file__"]), "exec"), names)

    def _ordered(self, statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
        """Yield statements, with their layers made in R's order where that is asked."""
        calls = self._known.makings(self._statement) if self._as_made else []
        for statement in statements:
            if len(calls) < 2:
                yield statement
            else:
                yield from rearranged(statement, calls)

    def _taken(self, why: str, names: dict[str, Any], touched: set[str]) -> None:
        """Take from R what a statement gave, where it is not known what its text means."""
        if not why.startswith(f"{self._script}:"):
            why = f"{self._script}:{self.line or 0}: {why}"
        missing: list[str] = []
        if self._known.has(self._statement):
            missing = list(self._known.take(self._statement, names))
            if not missing:
                self._spool.event("taken", text=why)
                return
        # Beyond where R's run ended nothing is compared.
        reached = not self._known.is_beyond(self._statement)
        for said in (f"{why}: {gap}" for gap in missing) if missing else (why,) * reached:
            self._spool.event("gap", text=said)
        for name in touched:
            if not missing or _is_model(names.get(name)):
                names[name] = Missing(why)

    def heard(self, numbers: list[Any]) -> None:
        """Note what is printed, for the comparison with what R printed."""
        if not numbers or self._printed > _MOST_PRINTED:
            return
        self._printed += len(numbers)
        text = " ".join(_spelled(number) for number in numbers)
        self._spool.event("output", stream="stdout", text=text + "\n", line=self._top)

    def asked(self, what: str) -> None:
        """Note that R answered for something."""
        self._spool.event("taken", text=what)

    def read_otherwise(self, kind: str, cause: str, what: str) -> bool:
        """Note that something is read otherwise than R reads it, and say whether it is."""
        if (kind, self.line or 0) in self._as_r:
            return False
        reading = {"kind": kind, "cause": cause, "line": self.line or 0, "what": what}
        if reading not in self._readings:
            self._readings.append(reading)
            self._spool.event("reading", **reading)
        return True

    def seen_before(self, kind: str, now: bool) -> bool:
        """Say whether something looked so at this line, now or before."""
        if now:
            self._seen.add((kind, self.line or 0))
        return (kind, self.line or 0) in self._seen

    def _r_line(self, number: int, lines: list[int]) -> int | None:
        return lines[number - 1] or None if 0 < number <= len(lines) else None

    def _call(self, number: int, target: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not _is_foreign(target) or _tracing():
            return target(*args, **kwargs)
        for argument in (*args, *kwargs.values()):
            if isinstance(argument, Missing):
                argument.__len__()
        before, self.line = self.line, self._r_line(number, self._lines) or self.line
        changed = self._given.get(self._recorder.count + 1)
        if changed:
            args, kwargs = _changed(changed, args, kwargs)
        result = self._recorder.call(target, {"line": self.line}, args, kwargs)
        self._known.note(self._statement, OwnCall(called(self._encoder.value(target)), result))
        # Kept where it was if an error leaves: that is where it came from.
        self.line = before
        return result


class _Instrument(ast.NodeTransformer):
    """Puts a recorder round every call."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            # It finds its class by where it stands.
            return node
        self.generic_visit(node)
        args = list(node.args)
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and (
            node.func.value.id in ("r", LAYER)):  # fmt: skip
            return ast.copy_location(ast.Call(node.func, args, node.keywords), node)
        call = ast.Call(
            ast.Name("_bridge_call", ast.Load()),
            [ast.Constant(node.lineno), node.func, *args],
            node.keywords,
        )
        return ast.copy_location(call, node)


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
    return any(str(base.__module__).partition(".")[0] in _OURS
               for base in getattr(type(target), "__mro__", ()))  # fmt: skip


def _gap_in(error: BaseException | None) -> str | None:
    """Return the gap that an error comes from: Keras may have wrapped it in one of its own."""
    while error is not None:
        if isinstance(error, GapError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def _is_pythons(error: BaseException) -> bool:
    """Say whether Keras or TensorFlow raised an error, and not what stands for R itself."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__")).partition(".")[0] in _OURS
               for frame, _ in frames)  # fmt: skip


def _touched(statement: ast.AST, names: dict[str, Any]) -> set[str]:
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
