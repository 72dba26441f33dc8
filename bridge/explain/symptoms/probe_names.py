"""Which prediction of a run is meant by what a report calls it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, LayerState, Probe
from bridge.capsule.numbers import same_bits
from bridge.compare.alignment import align
from bridge.explain.responses.visual_similarity import response
from bridge.explain.result import Observation
from bridge.explain.symptoms.observations import Reported, Reports
from bridge.facts.layers import class_name

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
    named = _names(recorded, labels)
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
    points = tuple((each.x, each.y) for each in report.readings)
    return Observation(
        name=label,
        model=report.model or report.probe,
        activation=report.activation,
        shape=report.shape,
        points=points,
    )


def _names(recorded: Capsule, labels: Mapping[int, str]) -> tuple[_Named, ...]:
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
        if isinstance(said, str) and _plain(said) != "linear":
            found.append(said)
        found += [class_name(layer.cls) or layer.cls, *_activations(layer.layers)]
    return found


def _find(report: Reported, named: Sequence[_Named]) -> _Named | str:
    """Return the one prediction that a report is of, or say why there is none."""
    if not named:
        return "the script predicts nothing"
    asked: list[tuple[str, str, Callable[[_Named], Iterable[str]]]] = [
        ("prediction", report.probe, lambda each: [each.label]),
        ("model", report.model, lambda each: each.models),
        ("prediction at line", str(report.at or ""), lambda each: [str(each.probe.line or "")]),
        ("activation", report.activation, lambda each: each.activations),
    ]
    left = list(named)
    for what, wanted, words in asked:
        if not wanted:
            continue
        kept = [each for each in left if _plain(wanted) in map(_plain, words(each))]
        if not kept:
            return _there_is_none(what, wanted, report, left, named)
        left = kept
    if len(left) > 1:
        listed = ", ".join(each.label for each in left[:6])
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
        there = dict.fromkeys(word for each in left for word in each.activations)
        return f"there is no activation {wanted!r}{of}; there are {', '.join(there) or 'none'}"
    if what == "prediction at line":
        lines = dict.fromkeys(str(each.probe.line) for each in left if each.probe.line)
        return f"nothing is predicted at line {wanted}; there is at {', '.join(lines) or 'none'}"
    words = (each.label if what == "prediction" else _shortest(each) for each in named)
    there = dict.fromkeys(words)
    return f"there is no {what} {wanted!r}; there are {', '.join(list(there)[:20])}"


def _shortest(named: _Named) -> str:
    """Return what a model is called best: as in the script, or in front of the label's slash."""
    own = [word for word in named.models[1:] if not word.isdigit()]
    return own[0] if "/" in named.label else own[-1] if own else named.label


def _plain(text: str) -> str:
    return re.sub(r"[\s_\-]+", "", text).casefold()


def _conflicts(seen: Sequence[BoundObservation]) -> list[str]:
    """Say where two reports of one prediction cannot both be true."""
    found = []
    for place, one in enumerate(seen):
        for other in seen[:place]:
            if one.probe != other.probe or one.report is None or other.report is None:
                continue
            a, b = other.report, one.report
            words = a.shape and b.shape and not _compatible(a.shape, b.shape)
            if words or _apart(a, b):
                told = f"'{a.shape}' and '{b.shape}'" if words else "points that exclude each other"
                found.append(
                    f"{one.observation.name} is reported twice, at lines {a.line} and {b.line}: "
                    f"{told}"
                )
    return found


def _compatible(one: str, other: str) -> bool:
    """Say whether two words may be said of one curve."""
    pair = {one, other}
    if len(pair) == 1 or pair in ({"relu", "hinge"}, {"smooth", "saturating"}):
        return True
    return bool(pair & {"as expected", "wrong"}) and pair != {"as expected", "wrong"}


def _apart(one: Reported, other: Reported) -> bool:
    places = {each.x: each for each in one.readings}
    pairs = ((places[each.x], each) for each in other.readings if each.x in places)
    return any(abs(a.y - b.y) > a.dy + b.dy for a, b in pairs)


def _of_capsule(theirs: Capsule, recorded: Capsule, labels: Mapping[int, str]) -> Bound:
    """Make every prediction of the reporter's run an observation of the same one here."""
    seen: list[BoundObservation] = []
    unmatched: list[str] = []
    for own, other in align(recorded, theirs):
        if other is None or other.kind not in ("predict", "call"):
            continue
        name = other.label or f"prediction {other.index + 1}"
        if own is None or own.kind not in ("predict", "call"):
            unmatched.append(f"their {name} has no counterpart here")
            continue
        name = labels.get(own.index, own.label) or name
        try:
            array = theirs.array(other.outputs[0]) if other.outputs else None
            same = _same_inputs(recorded, own, theirs, other)
        except CapsuleError as error:
            unmatched.append(f"their {name} cannot be compared: {error}")
            continue
        if array is None or not same:
            why = "it made no output" if array is None else "it was given another input than here"
            unmatched.append(f"their {name} cannot be compared: {why}")
            continue
        seen.append(
            BoundObservation(
                _shown(name, theirs.array(other.inputs[0]), array), own.index, None, array
            )
        )
    return Bound(tuple(seen), tuple(unmatched))


def _same_inputs(a: Capsule, one: Probe, b: Capsule, other: Probe) -> bool:
    if not one.inputs or len(one.inputs) != len(other.inputs):
        return False
    pairs = zip(one.inputs, other.inputs, strict=True)
    return all(same_bits(a.array(p), b.array(q)) for p, q in pairs)


def _shown(name: str, x: AnyArray, y: AnyArray) -> Observation:
    at = response(x, y)
    if at is None:
        return Observation(name=name)
    kept = np.unique(np.linspace(0, len(at.x) - 1, min(MOST_SHOWN, len(at.x))).round().astype(int))
    points = tuple((float(at.x[place]), float(at.y[place])) for place in kept)
    return Observation(name=name, points=points)
