"""Reading what was reported: a small YAML or CSV file, or a capsule from the reporter's machine.

The file may come from a stranger. Nothing in it is executed or built: YAML is read as a tree of
texts, without tags and aliases, up to a size and a depth.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, LayerState, Probe, read_capsule
from bridge.capsule.numbers import same_bits
from bridge.compare.alignment import align
from bridge.errors import BridgeError
from bridge.explain.result import Observation
from bridge.explain.visual_similarity import response
from bridge.facts.layers import class_name

MAX_BYTES: Final = 2**18
MAX_REPORTS: Final = 2_000
MAX_POINTS: Final = 10_000
_MAX_DEPTH: Final = 6

#: The words for a shape, and how people say them.
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "linear": ("linear", "affine", "straight", "straight line", "line", "identity"),
    "relu": ("relu",),
    "hinge": ("hinge", "kink", "kinked"),
    "saturating": ("saturating", "sigmoid", "s shaped", "saturates"),
    "constant": ("constant", "flat", "zero", "all zero"),
    "smooth": ("smooth", "curved"),
    "as expected": ("as expected", "expected", "right", "correct", "ok", "good", "fine"),
    "wrong": ("wrong", "not as expected", "unexpected", "bad"),
}
_WORD_OF: Final = {alias: word for word, aliases in WORDS.items() for alias in aliases}

_EXAMPLE: Final = """observed:
  - {model: A, activation: relu, shape: linear}
  - {model: [A, B], activation: gelu, shape: as expected}"""

_CSV_EXAMPLE: Final = """model,activation,shape
A,relu,linear
A,gelu,as expected"""

_COLUMNS: Final = ("probe", "model", "line", "activation", "shape", "x", "y")


class ObservedError(BridgeError, ValueError):
    """The file of observations cannot be read; the message says where, and what is allowed."""


@dataclass(frozen=True)
class PlottedPoint:
    """A point that was read off: ``x`` and ``y``, each with half a unit of its last digit."""

    x: float
    y: float
    dx: float
    dy: float


@dataclass(frozen=True)
class Reported:
    """One thing that was reported, of one model: a word for its shape, or readings.

    ``line`` is the line of the file; ``at`` the line of the script that predicts, None if the
    report does not say.
    """

    line: int
    probe: str = ""
    model: str = ""
    at: int | None = None
    activation: str = ""
    shape: str = ""
    readings: tuple[PlottedPoint, ...] = ()

    @property
    def who(self) -> str:
        """Name what was reported about, in the file's own words."""
        where = f"line {self.at}" if self.at is not None else ""
        return "/".join(part for part in (self.probe, self.model, where, self.activation) if part)


@dataclass(frozen=True)
class Reports:
    """All that was reported: ``entries`` in words and points, or a ``capsule`` with everything."""

    source: str
    entries: tuple[Reported, ...] = ()
    capsule: Capsule | None = None


def read_observed(path: Path) -> Reports:
    """Read observations; the file's name says of what kind they are.

    Raises:
        ObservedError: the file cannot be read, or says something that is not allowed.
    """
    kind = path.suffix.lower()
    if kind == ".capsule":
        try:
            return Reports(path.name, capsule=read_capsule(path))
        except CapsuleError as error:
            raise ObservedError(f"{path}: {error}") from None
    if kind not in (".yml", ".yaml", ".csv"):
        raise ObservedError(
            f"{path}: what was observed is a .yml, .yaml or .csv file, or a .capsule that "
            f"'keras-bridge record' made. Such a .yml file looks like this:\n{_EXAMPLE}"
        )
    text = _text(path)
    try:
        found = of_csv(text) if kind == ".csv" else of_yaml(text)
    except ObservedError as error:
        raise ObservedError(f"{path}: {error}") from None
    return Reports(path.name, found)


def of_yaml(text: str) -> tuple[Reported, ...]:
    """Return the reports in a YAML text.

    Raises:
        ObservedError: it is not YAML, or says something that is not allowed.
    """
    try:
        _must_be_plain(text)
        # The tree that safe_load would build its objects from: it still knows the line of each
        # text, and with how many digits a number was written.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        said = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ObservedError(_example(f"{where}this is not YAML ({said})")) from None
    if root is None:
        raise ObservedError(_example("the file is empty"))
    lines: dict[tuple[Any, ...], int] = {}
    return _validated(_plain(root, (), lines), lines, _EXAMPLE)


def of_csv(text: str) -> tuple[Reported, ...]:
    """Return the reports in a CSV text; rows with x and y that are of one model belong together.

    Raises:
        ObservedError: it has no header, an unknown column, or something that is not allowed.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise ObservedError(
            _example(f"line {reader.line_num}: this is not CSV ({error})", _CSV_EXAMPLE)
        ) from None
    if not rows:
        raise ObservedError(_example("the file is empty", _CSV_EXAMPLE))
    (_, header), *body = rows
    for name in header:
        if name not in _COLUMNS:
            raise ObservedError(
                _example(f"line {rows[0][0]}: {_unknown('column', name, _COLUMNS)}", _CSV_EXAMPLE)
            )
    entries: list[dict[str, Any]] = []
    lines: dict[tuple[Any, ...], int] = {(): 1}
    together: dict[tuple[str, ...], list[list[str]]] = {}
    for line, row in body:
        if len(row) != len(header):
            found = f"line {line}: there are {len(row)} values for {len(header)} columns"
            raise ObservedError(_example(found, _CSV_EXAMPLE))
        given: dict[str, Any] = {n: cell for n, cell in zip(header, row, strict=True) if cell}
        point = [given.pop(name) for name in ("x", "y") if name in given]
        who = tuple(given.get(name, "") for name in ("probe", "model", "line", "activation"))
        if point and not given.get("shape") and who in together:
            together[who].append(point)
            continue
        lines |= {("observed", len(entries)): line}
        entries.append(given)
        if point:
            given["points"] = together[who] = [point]
    return _validated({"observed": entries}, lines, _CSV_EXAMPLE)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ObservedError(f"{path} cannot be read ({error.strerror}).") from None
    if len(data) > MAX_BYTES:
        raise ObservedError(
            f"{path} has more than {MAX_BYTES // 1024} KiB; for so many points send a capsule "
            "('keras-bridge record SCRIPT.R -o FILE.capsule')."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ObservedError(f"{path} is not UTF-8 (byte {error.start + 1}).") from None


def _must_be_plain(text: str) -> None:
    """Refuse what could grow, or stand for something else, when it is read."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ObservedError(_example(f"line {line}: anchors (&) and aliases (*) are not read"))
        if tag := getattr(event, "tag", None):
            raise ObservedError(_example(f"line {line}: tags ({tag}) are not read"))
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ObservedError(_example(f"line {line}: lists stand in lists too deeply"))


def _plain(node: Any, path: tuple[Any, ...], lines: dict[tuple[Any, ...], int]) -> Any:
    """Return lists, dicts and texts, and note the line of each by its path."""
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*path, place), lines) for place, child in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ObservedError(_example(f"line {line}: a key is a word"))
            name = str(key.value)
            if name in found:
                raise ObservedError(_example(f"line {line}: the key '{name}' is there twice"))
            found[name] = _plain(value, (*path, name), lines)
            lines[(*path, name)] = line
        return found
    return str(node.value).strip()


def _names(value: Any) -> Any:
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(name, str) and name for name in found):
        raise ValueError("it is a name, or a list of names: [A, B]")
    return found


def _word(value: Any) -> Any:
    said = " ".join(str(value).casefold().replace("_", " ").replace("-", " ").split())
    if isinstance(value, str) and said in _WORD_OF:
        return _WORD_OF[said]
    raise ValueError(f"it is one of {', '.join(WORDS)}")


def _point(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("a point is a pair of numbers: [-2.5, 0]")
    (x, dx), (y, dy) = map(_number, value)
    return PlottedPoint(x, y, dx, dy)


def _number(text: Any) -> tuple[float, float]:
    """Return a number, and half a unit of the last digit that was given of it."""
    try:
        number = Decimal(text) if isinstance(text, str) and len(text) < 40 else None
    except InvalidOperation:
        number = None
    # Python's Decimal reads far more than float64 can hold.
    if number is None or not number.is_finite() or abs(number.adjusted()) > 300:
        raise ValueError(f"a point is a pair of numbers with a decimal point, and {text!r} is none")
    return float(number), float(Decimal((0, (5,), int(number.as_tuple().exponent) - 1)))


class _ReportedEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    probe: str = Field(default="", min_length=1)
    model: Annotated[tuple[str, ...], BeforeValidator(_names)] = ("",)
    line: int | None = Field(default=None, ge=1)
    activation: Annotated[tuple[str, ...], BeforeValidator(_names)] = ("",)
    shape: Annotated[str, BeforeValidator(_word)] = ""
    points: Annotated[
        tuple[Annotated[PlottedPoint, BeforeValidator(_point)], ...], Field(max_length=MAX_POINTS)
    ] = ()

    @model_validator(mode="after")
    def _says_something(self) -> _ReportedEntry:
        if not (self.probe or any(self.model) or any(self.activation) or self.line):
            raise ValueError("it does not say of which model: give model, probe or line")
        if bool(self.shape) == bool(self.points):
            raise ValueError("it has either a shape or points")
        return self

    def reports(self, line: int) -> Iterator[Reported]:
        """Yield a report for each model with each activation."""
        for model in self.model:
            for activation in self.activation:
                yield Reported(
                    line, self.probe, model, self.line, activation, self.shape, self.points
                )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    source: str = ""
    observed: tuple[_ReportedEntry, ...] = Field(min_length=1, max_length=MAX_REPORTS)


#: What is allowed, by the type of pydantic's error, in words for people.
_ALLOWED: Final = {
    "int_parsing": "it is the number of a line of the script",
    "greater_than_equal": "it is the number of a line of the script, from 1 on",
    "model_type": "here stand keys and values",
    "tuple_type": "here stands a list, with one entry for each thing that was observed",
    "too_short": "there has to be an entry at least",
    "too_long": "there are too many entries; send a capsule ('keras-bridge record') instead",
    "string_type": "it is a text",
    "string_too_short": "it is a text that is not empty",
}


def _validated(
    data: Any, lines: Mapping[tuple[Any, ...], int], example: str
) -> tuple[Reported, ...]:
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        raise ObservedError(_example(_sentence(error, lines), example)) from None
    found = tuple(
        report
        for place, entry in enumerate(file.observed)
        for report in entry.reports(lines.get(("observed", place), 0))
    )
    if len(found) > MAX_REPORTS:
        raise ObservedError(f"there are more than {MAX_REPORTS:,} observations.")
    return found


def _sentence(error: ValidationError, lines: Mapping[tuple[Any, ...], int]) -> str:
    """Say of the first thing that is not allowed where it is, what it is, and what is allowed."""
    # A key that is misspelt is worth more than the one that is missing for it.
    found = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    first = found[0]
    path = tuple(first["loc"])
    line = next((lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines), 1)
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if first["type"] == "extra_forbidden":
        allowed = _File.model_fields if len(path) == 1 else _ReportedEntry.model_fields
        return f"line {line}: {_unknown('key', str(path[-1]), tuple(allowed))}"
    if first["type"] == "missing":
        return f"line {line}: the key '{key}' is missing"
    said = _ALLOWED.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    given = first["input"]
    shown = f"{given!r}"[:60] if isinstance(given, (str, list)) else ""
    about = f"'{key}' is {shown}: " if shown and key else f"'{key}': " if key else ""
    return f"line {line}: {about}{said}"


def _unknown(what: str, name: str, allowed: Sequence[str]) -> str:
    near = get_close_matches(name, allowed, n=1)
    meant = f"did you mean '{near[0]}'? There are" if near else "there are"
    return f"there is no {what} '{name[:40]}'; {meant} {', '.join(allowed)}"


def _example(sentence: str, example: str = _EXAMPLE) -> str:
    return f"{sentence}. Such a file looks like this:\n{example}"


#: A model's name in the script, in ``predict(model_a, x)`` and ``model_a %>% predict(x)``.
_FIRST: Final = re.compile(r"^[\w.:$]+\(\s*([A-Za-z.][\w.]*)\s*[,)]")
_PIPED: Final = re.compile(r"^([A-Za-z.][\w.]*)\s*(?:%>%|\|>)")
#: How many points of a reported curve a report shows.
MOST_SHOWN: Final = 64


@dataclass(frozen=True)
class BoundObservation:
    """An observation, the probe that it is of, and what it is compared with.

    ``word`` is the word for the shape, ``report`` has the readings, ``array`` is the output that
    was recorded on the reporter's machine.
    """

    observation: Observation
    probe: int
    report: Reported | None = None
    array: AnyArray | None = None


@dataclass(frozen=True)
class Bound:
    """Observations with their probes; ``unmatched`` has a sentence for each that has none."""

    seen: tuple[BoundObservation, ...] = ()
    unmatched: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Named:
    probe: Probe
    label: str
    models: tuple[str, ...]
    activations: tuple[str, ...]


def bind(reports: Reports, recorded: Capsule, labels: Mapping[int, str]) -> Bound:
    """Find the prediction of ``recorded`` that each report is of.

    ``labels`` has the name of each probe, by index. What is of no prediction, or of several, is
    left out, and said.
    """
    if reports.capsule is not None:
        return _of_capsule(reports.capsule, recorded, labels)
    named = _probe_names(recorded, labels)
    seen: list[BoundObservation] = []
    unmatched: list[str] = []
    for report in reports.entries:
        found = _find(report, named)
        if isinstance(found, str):
            unmatched.append(f"{reports.source}, line {report.line}: {found}")
        else:
            seen.append(
                BoundObservation(_observation(report, found.label), found.probe.index, report)
            )
    return Bound(tuple(seen), tuple(unmatched), tuple(_conflicts(seen)))


def _observation(report: Reported, label: str) -> Observation:
    points = tuple((reading.x, reading.y) for reading in report.readings)
    return Observation(
        name=label,
        model=report.model or report.probe,
        activation=report.activation,
        shape=report.shape,
        points=points,
    )


def _probe_names(recorded: Capsule, labels: Mapping[int, str]) -> tuple[_Named, ...]:
    calls = {call.id: call for call in recorded.manifest.calls}
    order: dict[int, int] = {}
    found = []
    for probe in recorded.manifest.probes:
        if probe.kind not in ("predict", "call") or not probe.outputs:
            continue
        label = labels.get(probe.index, probe.label)
        parts = label.split("/") if "/" in label else []
        models, activations = [label, *parts], list(parts)
        state = recorded.state_of(probe)
        if state is not None:
            number = order.setdefault(probe.state or 0, len(order) + 1)
            models += [state.name, str(number)]
            activations += _activations(state.layers)
        call = calls.get(probe.call) if probe.call is not None else None
        said = (_FIRST.match(call.r_call) or _PIPED.match(call.r_call)) if call else None
        models += [said[1]] if said else []
        found.append(_Named(probe, label, tuple(models), tuple(activations)))
    return tuple(found)


def _activations(layers: Iterable[LayerState]) -> list[str]:
    found: list[str] = []
    for layer in layers:
        said = layer.config.get("activation")
        if isinstance(said, dict):
            inner = said.get("config")
            said = inner if isinstance(inner, str) else said.get("class_name")
        if isinstance(said, str) and _folded(said) != "linear":
            found.append(said)
        found += [class_name(layer.cls) or layer.cls, *_activations(layer.layers)]
    return found


def _find(report: Reported, named: Sequence[_Named]) -> _Named | str:
    """Return the one prediction that a report is of, or say why there is none."""
    if not named:
        return "the script predicts nothing"
    asked: list[tuple[str, str, Callable[[_Named], Iterable[str]]]] = [
        ("prediction", report.probe, lambda prediction: [prediction.label]),
        ("model", report.model, lambda prediction: prediction.models),
        (
            "prediction at line",
            str(report.at or ""),
            lambda prediction: [str(prediction.probe.line or "")],
        ),
        ("activation", report.activation, lambda prediction: prediction.activations),
    ]
    left = list(named)
    for what, wanted, words in asked:
        if not wanted:
            continue
        kept = [
            prediction for prediction in left if _folded(wanted) in map(_folded, words(prediction))
        ]
        if not kept:
            return _there_is_none(what, wanted, report, left, named)
        left = kept
    if len(left) > 1:
        listed = ", ".join(prediction.label for prediction in left[:6])
        more = f" and {len(left) - 6} more" if len(left) > 6 else ""
        return (
            f"{report.who} may be any of {len(left)} predictions ({listed}{more}); name one with "
            "'probe:', or add 'line:' or 'activation:'"
        )
    return left[0]


def _there_is_none(
    what: str, wanted: str, report: Reported, left: Sequence[_Named], named: Sequence[_Named]
) -> str:
    if what == "activation":
        of = f" in {report.model or report.probe}" if len(left) < len(named) else ""
        there = dict.fromkeys(word for prediction in left for word in prediction.activations)
        return f"there is no activation {wanted!r}{of}; there are {', '.join(there) or 'none'}"
    if what == "prediction at line":
        lines = dict.fromkeys(
            str(prediction.probe.line) for prediction in left if prediction.probe.line
        )
        return f"nothing is predicted at line {wanted}; there is at {', '.join(lines) or 'none'}"
    words = (
        prediction.label if what == "prediction" else _shortest(prediction) for prediction in named
    )
    there = dict.fromkeys(words)
    return f"there is no {what} {wanted!r}; there are {', '.join(list(there)[:20])}"


def _shortest(named: _Named) -> str:
    """Return what a model is called best: as in the script, or in front of the label's slash."""
    own = [word for word in named.models[1:] if not word.isdigit()]
    return own[0] if "/" in named.label else own[-1] if own else named.label


def _folded(text: str) -> str:
    return re.sub(r"[\s_\-]+", "", text).casefold()


def _conflicts(seen: Sequence[BoundObservation]) -> list[str]:
    """Say where two reports of one prediction cannot both be true."""
    found = []
    for place, later in enumerate(seen):
        for earlier in seen[:place]:
            if later.probe != earlier.probe or later.report is None or earlier.report is None:
                continue
            a, b = earlier.report, later.report
            words = a.shape and b.shape and not _compatible(a.shape, b.shape)
            if words or _apart(a, b):
                difference = (
                    f"'{a.shape}' and '{b.shape}'" if words else "points that exclude each other"
                )
                found.append(
                    f"{later.observation.name} is reported twice, at lines {a.line} and {b.line}: "
                    f"{difference}"
                )
    return found


def _compatible(left: str, right: str) -> bool:
    """Say whether two words may be said of one curve."""
    pair = {left, right}
    if len(pair) == 1 or pair in ({"relu", "hinge"}, {"smooth", "saturating"}):
        return True
    return bool(pair & {"as expected", "wrong"}) and pair != {"as expected", "wrong"}


def _apart(left: Reported, right: Reported) -> bool:
    places = {reading.x: reading for reading in left.readings}
    pairs = ((places[reading.x], reading) for reading in right.readings if reading.x in places)
    return any(abs(a.y - b.y) > a.dy + b.dy for a, b in pairs)


def _of_capsule(theirs: Capsule, recorded: Capsule, labels: Mapping[int, str]) -> Bound:
    """Make every prediction of the reporter's run an observation of the same one here."""
    seen: list[BoundObservation] = []
    unmatched: list[str] = []
    for own, counterpart in align(recorded, theirs):
        if counterpart is None or counterpart.kind not in ("predict", "call"):
            continue
        name = counterpart.label or f"prediction {counterpart.index + 1}"
        if own is None or own.kind not in ("predict", "call"):
            unmatched.append(f"their {name} has no counterpart here")
            continue
        name = labels.get(own.index, own.label) or name
        try:
            array = theirs.array(counterpart.outputs[0]) if counterpart.outputs else None
            same = _same_inputs(recorded, own, theirs, counterpart)
        except CapsuleError as error:
            unmatched.append(f"their {name} cannot be compared: {error}")
            continue
        if array is None or not same:
            why = "it made no output" if array is None else "it was given another input than here"
            unmatched.append(f"their {name} cannot be compared: {why}")
            continue
        seen.append(
            BoundObservation(
                _shown(name, theirs.array(counterpart.inputs[0]), array), own.index, None, array
            )
        )
    return Bound(tuple(seen), tuple(unmatched))


def _same_inputs(a: Capsule, left: Probe, b: Capsule, right: Probe) -> bool:
    if not left.inputs or len(left.inputs) != len(right.inputs):
        return False
    pairs = zip(left.inputs, right.inputs, strict=True)
    return all(same_bits(a.array(p), b.array(q)) for p, q in pairs)


def _shown(name: str, x: AnyArray, y: AnyArray) -> Observation:
    at = response(x, y)
    if at is None:
        return Observation(name=name)
    kept = np.unique(np.linspace(0, len(at.x) - 1, min(MOST_SHOWN, len(at.x))).round().astype(int))
    points = tuple((float(at.x[place]), float(at.y[place])) for place in kept)
    return Observation(name=name, points=points)
