"""Whether what a wrapper handed to Python is what was given to it, and what an audit found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import Field

from bridge.capsule import FrontEnd
from bridge.capsule.values import Frozen
from bridge.facts.r import NA_INTEGER

#: What became of a value. ``truncated``: its fraction is gone. ``overflowed``: it became R's
#: missing integer. ``dropped``: it, its names or its dimension did not arrive. ``shifted``: one
#: less or one more arrived. ``defaulted``: another value took its place, or one that was not given
#: is sent.
#: ``reordered``: the same elements came in another order.
Change = Literal["truncated", "overflowed", "dropped", "shifted", "defaulted", "reordered"]

#: What Python would have done with the value as it was. ``uses it``: another object was made.
#: ``refuses it``: it raises an error. ``no difference``: it makes the same of both.
Python = Literal["uses it", "refuses it", "no difference", "not known"]

#: How a finding is to be taken. ``fault``: Python would have behaved differently, and nothing says
#: that a whole number is meant. ``silent``: Python would have refused it. ``meant``: the
#: documentation asks for a whole number. ``convention``: the package counts from 1. ``harmless``.
Level = Literal["fault", "silent", "convention", "meant", "harmless", "not known"]

LEVELS: tuple[Level, ...] = ("fault", "silent", "not known", "convention", "meant", "harmless")


class ArgumentChange(Frozen):
    """One argument of one wrapper that does not arrive as it was given.

    ``probe`` is the R text of what was given, "" where nothing was; ``meant`` is what reticulate
    alone would hand over, ``arrived`` what did, both as Python. ``line`` is the line of the wrapper
    in which the argument stands, ``documented`` what Python's documentation says of it, ``detail``
    what Python said to the value as it was.
    """

    function: str
    argument: str
    change: Change
    probe: str
    meant: str
    arrived: str
    python: Python = "not known"
    level: Level = "not known"
    target: str = ""
    line: str = ""
    documented: str = ""
    detail: str = ""


class AuditReport(Frozen):
    """The audit of one package; findings are sorted, faults first.

    ``functions`` and ``arguments`` were probed; ``unprobed`` never got as far as Python, with why.
    """

    package: str
    frontend: FrontEnd
    keras: str
    r_packages: dict[str, str] = Field(default_factory=dict)
    functions: int = 0
    arguments: int = 0
    calls: int = 0
    seconds: float = 0.0
    findings: tuple[ArgumentChange, ...] = ()
    unprobed: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


# From what arrived to what was changed on the way: a pure function of the events of an audit.

_INTEGER: Final = re.compile(
    r"\b(ints?|integers?|integral|tuple|number of|axis|axes|shape|size|index|indices|seed)\b",
    re.IGNORECASE,
)
#: Arguments that every layer takes, and that its class may take without naming them.
_OF_LAYERS: Final = frozenset(
    {"input_shape", "batch_input_shape", "batch_size", "dtype", "name", "trainable", "weights"}
)
_NOTHING: Final = object()


@dataclass
class _Base:
    """The call with the least that a wrapper needs."""

    target: str
    args: list[Any]
    kwargs: dict[str, Any]
    defaults: dict[str, Any]
    documented: dict[str, str]


@dataclass
class AuditEvents:
    """The events of an audit, sorted."""

    plain: dict[str, Any] = field(default_factory=dict)
    bases: dict[str, _Base] = field(default_factory=dict)
    lines: dict[tuple[str, str], str] = field(default_factory=dict)
    arrived: list[Mapping[str, Any]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    keras: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    ended: int = 0

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one event."""
        kind = event["e"]
        if kind == "plain":
            self.plain[event["probe"]] = event["value"]
        elif kind == "base":
            self.bases[event["function"]] = _Base(
                event["public"],
                event["args"],
                event["kwargs"],
                event["defaults"],
                event["documented"],
            )
        elif kind == "line":
            self.lines[event["function"], event["argument"]] = event["text"]
        elif kind == "arrived":
            self.arrived.append(event)
        elif kind == "refused" and not event["argument"]:
            self.refused.setdefault(event["function"], event["text"])
        elif kind == "environment":
            self.keras = event["keras"]
        elif kind == "situation":
            self.packages = event["packages"]
        elif kind == "broken":
            self.broken.append(event["text"])
        elif kind == "end":
            self.ended += 1

    @property
    def unprobed(self) -> dict[str, str]:
        """Return the wrappers that never got as far as Python, and what was said."""
        return {
            name: " ".join(text.split())[:200]
            for name, text in sorted(self.refused.items())
            if name not in self.bases
        }


def judge(heard: AuditEvents) -> tuple[ArgumentChange, ...]:
    """Return one finding for each argument and kind of change, faults first."""
    found: dict[tuple[str, str, str], ArgumentChange] = {}
    for finding in (*_changes(heard), *_defaults(heard)):
        key = (finding.function, finding.argument, finding.change)
        before = found.get(key)
        if before is None or _weight(finding) < _weight(before):
            found[key] = finding
    order = {level: number for number, level in enumerate(LEVELS)}
    return tuple(
        sorted(found.values(), key=lambda f: (order[f.level], f.change, f.function, f.argument))
    )


def _weight(finding: ArgumentChange) -> int:
    return LEVELS.index(finding.level)


def _changes(heard: AuditEvents) -> Iterator[ArgumentChange]:
    for event in heard.arrived:
        name, argument, probe = event["function"], event["argument"], event["probe"]
        base, meant = heard.bases.get(name), heard.plain.get(probe)
        if base is None:
            continue
        got = _carrier(base, event, argument)
        default = base.defaults.get(argument, _NOTHING)
        change = _change(probe, meant, got, default, argument)
        documented = base.documented.get(argument, "")
        if change is None or (change == "dropped" and default is _NOTHING and not documented):
            continue  # An argument that only R has is not lost on its way to Python.
        said, _, detail = event["python"].partition(": ")
        python: Python = {"keeps": "uses it", "refuses": "refuses it", "same": "no difference"}.get(
            said, "not known"
        )  # type: ignore[assignment]
        yield ArgumentChange(
            function=name,
            argument=argument,
            change=change,
            probe=probe,
            meant=spelled(meant),
            arrived="nothing" if got is _NOTHING else spelled(got),
            python=python,
            level=_level(change, python, documented, got),
            target=base.target,
            line=_snippet(heard.lines.get((name, argument), ""), argument),
            documented=documented,
            detail=detail,
        )


def _defaults(heard: AuditEvents) -> Iterator[ArgumentChange]:
    """Find defaults that are sent although nothing was given, and that Python has not."""
    probed = {(event["function"], event["argument"]) for event in heard.arrived}
    for name, base in heard.bases.items():
        for argument, sent in base.kwargs.items():
            own = base.defaults.get(argument, _NOTHING)
            required = (name, argument) not in probed or argument not in base.defaults
            if required or own is _NOTHING or _same(own, sent) or _is_object(own):
                continue
            yield ArgumentChange(
                function=name,
                argument=argument,
                change="defaulted",
                probe="",
                meant=spelled(own),
                arrived=spelled(sent),
                python="uses it",
                level="fault" if not _is_object(sent) else "not known",
                target=base.target,
                line=_snippet(heard.lines.get((name, argument), ""), argument),
                documented=base.documented.get(argument, ""),
            )


def _carrier(base: _Base, event: Mapping[str, Any], argument: str) -> Any:
    """Return what the argument became: under its name, another one, or by its place."""
    kwargs, args = event["kwargs"], event["args"]
    if argument in kwargs:
        return kwargs[argument]
    others = [key for key in kwargs if key not in base.kwargs or kwargs[key] != base.kwargs[key]]
    if len(others) == 1:
        return kwargs[others[0]]
    for number, value in enumerate(args):
        if number >= len(base.args) or value != base.args[number]:
            return value
    return _NOTHING


def _change(probe: str, meant: Any, got: Any, default: Any, argument: str) -> Change | None:
    if got is _NOTHING:
        if meant is None:
            # NULL that is not sent is Python's default: the same where that is None.
            return None if default is _NOTHING or default is None else "defaulted"
        return "dropped" if probe == "2.5" and argument not in _OF_LAYERS else None
    if _same(meant, got):
        return None
    if meant is None:
        return "defaulted"
    if probe in ("NA", "NA_integer_"):
        return "overflowed" if _number(got) == NA_INTEGER and _number(meant) != NA_INTEGER else None
    meant_number, got_number = _number(meant), _number(got)
    if meant_number is not None and got_number is not None:
        return _of_numbers(meant_number, got_number)
    if probe.startswith("array"):
        inner = _items(meant)
        return "dropped" if got_number is not None and inner == [got_number] else None
    before, after = _items(meant), _items(got)
    if isinstance(meant, dict) and "dict" in meant:
        if isinstance(got, dict) and "dict" in got:
            moved = [key for key, _ in meant["dict"]] != [key for key, _ in got["dict"]]
            return "reordered" if moved else None
        return "dropped" if before and before == after else None
    if before and after and len(before) == len(after):
        if sorted(before) == sorted(after):
            return "reordered" if before != after else None
        steps = {b - a for a, b in zip(before, after, strict=True)}
        return "shifted" if steps in ({-1.0}, {1.0}) else None
    return None


def _of_numbers(left: float, right: float) -> Change | None:
    if right == NA_INTEGER:
        return "overflowed"
    if left != int(left):
        # Whether it is shifted as well shows in a whole number.
        return "truncated" if right == int(left) else None
    return "shifted" if abs(left - right) == 1 else None


def _level(change: Change, python: Python, documented: str, got: Any) -> Level:
    if change == "shifted":
        return "convention"
    if python == "no difference":
        return "harmless"
    if python == "refuses it":
        return "silent"
    if change in ("truncated", "overflowed"):
        if documented and _INTEGER.search(documented):
            return "meant"
        return "fault" if python == "uses it" else "not known"
    return "fault" if change == "dropped" and got is _NOTHING else "not known"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and "object" in value


def _number(value: Any) -> float | None:
    if isinstance(value, dict) and ("int" in value or "float" in value):
        return float(value["int"] if "int" in value else value["float"])
    if isinstance(value, dict) and "array" in value and not value["array"][1]:
        return _number(value["array"][2][0])
    return None


def _items(value: Any) -> list[float] | None:
    """Return the numbers of a list, a tuple, a dict or an array."""
    if not isinstance(value, dict):
        return None
    parts: list[Any] | None = value.get("list", value.get("tuple"))
    if "dict" in value:
        parts = [item for _, item in value["dict"]]
    elif "array" in value:
        parts = value["array"][2]
    if parts is None:
        return None
    numbers = [_number(part) for part in parts]
    return None if None in numbers else [n for n in numbers if n is not None]


def _same(left: Any, right: Any) -> bool:
    """Say whether two values are equal, whatever kind of number or sequence they are."""
    a, b = _number(left), _number(right)
    if a is not None or b is not None:
        return a == b or (a is not None and b is not None and a != a and b != b)
    if isinstance(left, dict) and isinstance(right, dict):
        if "dict" in left or "dict" in right:
            return left == right
        x, y = (side.get("list", side.get("tuple")) for side in (left, right))
        if isinstance(x, list) and isinstance(y, list):
            return len(x) == len(y) and all(map(_same, x, y))
        # A whole array of one kind and a list of the same numbers are the same to Keras.
        return _items(left) is not None and _items(left) == _items(right) and "array" not in left
    return bool(left == right)


def spelled(value: Any) -> str:
    """Return a value as Python writes it."""
    if isinstance(value, dict):
        if "int" in value or "float" in value:
            return str(value.get("int", value.get("float")))
        if "object" in value:
            return f"<{value['object'].partition(':')[2]}>"
        if "dict" in value:
            pairs = (f"{key!r}: {spelled(item)}" for key, item in value["dict"])
            return f"{{{', '.join(pairs)}}}"
        if "array" in value:
            dtype, shape, items = value["array"]
            inner = ", ".join(map(spelled, items))
            return f"array([{inner}], {dtype})" if shape else f"{dtype}({inner})"
        is_tuple = "tuple" in value
        parts: list[Any] = value["tuple"] if is_tuple else value.get("list", [])
        inner = ", ".join(map(spelled, parts))
        if not is_tuple:
            return f"[{inner}]"
        return f"({inner},)" if len(parts) == 1 else f"({inner})"
    return repr(value)


def _snippet(line: str, argument: str) -> str:
    """Cut from a line of R what it does with the argument."""
    name = re.escape(argument)
    match = re.search(rf"(?<![\w.])`?{name}`? = [\w.:]+(\([^()]*\))?", line)
    return match[0] if match else line[:120]


def sort_events(events: Iterable[Mapping[str, Any]]) -> AuditEvents:
    """Return the events of one or several children, sorted."""
    heard = AuditEvents()
    for event in events:
        heard.hear(event)
    return heard
