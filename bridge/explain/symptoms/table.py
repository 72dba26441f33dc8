"""What was reported, against what every fault that may be the cause would have made.

A pure function: :mod:`bridge.pipeline.hypothesis_runs` makes the outputs that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.numbers import same_bits
from bridge.explain.responses.visual_similarity import (
    as_drawn,
    as_not_expected,
    line_width,
    response,
    word_fits,
)
from bridge.explain.result import Candidate, Says, Separating, SymptomCell, SymptomTable
from bridge.explain.symptoms.fault_hypotheses import FaultHypothesis
from bridge.explain.symptoms.observations import PlottedPoint
from bridge.explain.symptoms.probe_names import Bound, BoundObservation

#: How many points of a curve are kept.
MOST_POINTS: Final = 64
_TOLD: Final = 4

#: An output, or the sentence that says why there is none.
Output = AnyArray | str


@dataclass(frozen=True)
class FaultOutputs:
    """What a suspect makes of each probe that was observed, by index, in one setting.

    ``setting`` says how the models are run, where that makes a difference: "" is as recorded.
    """

    suspect: FaultHypothesis
    setting: str
    outputs: Mapping[int, Output]


@dataclass(frozen=True)
class RecordedOutputs:
    """What was recorded here, by the probe's index: inputs, outputs, and bounds if known.

    ``bounds`` say how far an output may be from another run's by rounding, element by element.
    """

    inputs: Mapping[int, AnyArray]
    outputs: Mapping[int, AnyArray]
    bounds: Mapping[int, AnyArray]


@dataclass(frozen=True)
class Standing:
    """A candidate that explains everything, and what it makes; ``cause`` is who does it.

    ``row`` is its name without that, ``family`` the name of those that make the same.
    """

    name: str
    row: str
    family: str
    cause: str
    made: FaultOutputs


@dataclass(frozen=True)
class Matched:
    """The table without the runs that would separate, and what still stands."""

    table: SymptomTable
    standing: tuple[Standing, ...]


def match(bound: Bound, made: Sequence[FaultOutputs], recorded: RecordedOutputs) -> Matched:
    """Set every suspect against every observation."""
    grid, places = _grid(bound, recorded)
    judge = _Judge(recorded)
    rows: list[tuple[FaultOutputs, str, tuple[SymptomCell, ...]]] = []
    for _, group in groupby(made, key=lambda each: each.suspect.name):
        rows.extend(_rows(list(group), bound, judge, places))
    probes = {seen.probe for seen in bound.seen}
    families = _families([row for row in rows if _explains(row[2])], recorded, probes)
    candidates: list[Candidate] = []
    standing: list[Standing] = []
    for each, name, cells in rows:
        suspect = each.suspect
        if not _explains(cells):
            candidates.append(_candidate(each, name, suspect.causes[0], cells, recorded))
            continue
        family = families[name]
        for cause in suspect.causes:
            own = f"{name}, {suspect.how[cause]}" if len(suspect.causes) > 1 else name
            candidates.append(_candidate(each, own, cause, cells, recorded, family))
            standing.append(Standing(own, name, family, cause, each))
    table = SymptomTable(
        observations=tuple(each.observation for each in bound.seen),
        candidates=tuple(candidates),
        standing=tuple(each.name for each in standing),
        sentence=_sentence(bound, candidates, standing),
        grid=grid,
        unmatched=bound.unmatched,
        conflicts=bound.conflicts,
    )
    return Matched(table, tuple(standing))


def with_separating(table: SymptomTable, runs: Sequence[Separating]) -> SymptomTable:
    """Return the table with the runs that would tell apart what still stands."""
    return table.model_copy(update={"separating": tuple(runs)})


def says(seen: BoundObservation, made: Output, recorded: RecordedOutputs) -> tuple[Says, str, str]:
    """Return what an output says of one observation, its shape's kind, and why."""
    if isinstance(made, str):
        return "silent", "", made
    if seen.array is not None:
        return _of_array(seen.array, made, recorded.bounds.get(seen.probe))
    report = seen.report
    if report is None:
        return "silent", "", "nothing was observed of it"
    if report.shape in ("as expected", "wrong"):
        healthy = recorded.outputs[seen.probe]
        judge = as_drawn if report.shape == "as expected" else as_not_expected
        said, why = judge(made, healthy)
        return said, "", why
    at = response(recorded.inputs[seen.probe], made)
    if at is None:
        return "silent", "", "its output is not a curve over one number, so it has no shape"
    if report.shape:
        return word_fits(report.shape, at)
    return _of_points(report.readings, at.x, at.y)


def _rows(
    group: Sequence[FaultOutputs], bound: Bound, judge: _Judge, places: Mapping[int, AnyArray]
) -> Iterator[tuple[FaultOutputs, str, tuple[SymptomCell, ...]]]:
    """Yield a row for each setting; one for all of them where they all say the same."""
    found = [
        (each, tuple(judge.cell(seen, each.outputs[seen.probe], places) for seen in bound.seen))
        for each in group
    ]
    verdicts = {tuple(cell.says for cell in cells) for _, cells in found}
    if len(verdicts) == 1:
        each, cells = found[0]
        yield each, each.suspect.name, cells
        return
    for each, cells in found:
        setting = f" ({each.setting})" if each.setting else " (run as recorded)"
        yield each, each.suspect.name + setting, cells


class _Judge:
    """Judges each output once for each observation: most faults leave most outputs as they are."""

    def __init__(self, recorded: RecordedOutputs) -> None:
        self._recorded = recorded
        self._said: dict[tuple[int, bytes | str], tuple[Says, str, str]] = {}

    def cell(
        self, seen: BoundObservation, made: Output, places: Mapping[int, AnyArray]
    ) -> SymptomCell:
        """Return what an output says of an observation."""
        key = id(seen), made if isinstance(made, str) else made.tobytes()
        if key not in self._said:
            self._said[key] = says(seen, made, self._recorded)
        said, shape, why = self._said[key]
        curve: tuple[float, ...] = ()
        if seen.probe in places and not isinstance(made, str):
            at = response(self._recorded.inputs[seen.probe], made)
            if at is not None:
                curve = tuple(float(y) for y in at.y[places[seen.probe]])
        return SymptomCell(
            observation=seen.observation.name, says=said, shape=shape, why=why, curve=curve
        )


def _grid(bound: Bound, recorded: RecordedOutputs) -> tuple[tuple[float, ...], dict[int, AnyArray]]:
    """Return the x of the curves, and the places of those x in the responses of each probe.

    Probes on another grid than the first one's have no curve.
    """
    grid: AnyArray | None = None
    places: dict[int, AnyArray] = {}
    chosen = np.zeros(0, np.intp)
    for seen in bound.seen:
        at = response(recorded.inputs[seen.probe], recorded.outputs[seen.probe])
        if at is None:
            continue
        if grid is None:
            grid = at.x
            chosen = np.unique(np.linspace(0, len(grid) - 1, min(MOST_POINTS, len(grid))).round())
            chosen = chosen.astype(np.intp)
        if np.array_equal(grid, at.x):
            places[seen.probe] = chosen
    return (tuple(float(x) for x in grid[chosen]) if grid is not None else ()), places


def _of_points(readings: Sequence[PlottedPoint], x: AnyArray, y: AnyArray) -> tuple[Says, str, str]:
    """Say whether a curve passes through what was read off, within half a unit of the last digit.

    Between the x that were computed the curve is taken to lie between its neighbours.
    """
    outside, silent = [], []
    for each in readings:
        low, high = each.x - each.dx, each.x + each.dx
        if high < x[0] or low > x[-1]:
            silent.append(each)
            continue
        inside = (x >= low) & (x <= high)
        values = [*np.interp([max(low, x[0]), min(high, x[-1])], x, y), *y[inside]]
        if each.y + each.dy < min(values) or each.y - each.dy > max(values):
            outside.append((each, min(values), max(values)))
    if outside:
        worst, least, most = outside[0]
        would = f"{least:.4g}" if least == most else f"between {least:.4g} and {most:.4g}"
        return "contradicts", "", f"at x = {worst.x:g} it would be {would}, not {worst.y:g}"
    if silent:
        return "silent", "", f"x = {silent[0].x:g} is outside of what was computed"
    return "explains", "", f"it passes through all {len(readings)} points as far as they were read"


def _of_array(reported: AnyArray, made: AnyArray, bound: AnyArray | None) -> tuple[Says, str, str]:
    """Compare with what the reporter's machine made: bits, or the bound of rounding."""
    said, why = as_drawn(made, reported)
    if reported.shape != made.shape:
        return "contradicts", "", why
    if np.array_equal(reported, made, equal_nan=made.dtype.kind in "fc"):
        return "explains", "", "the same numbers, element by element"
    if bound is None or bound.shape != made.shape:
        return (
            "contradicts" if said == "contradicts" else "silent",
            "",
            f"{why} (no bound is known)",
        )
    gap = np.abs(reported.astype(np.float64) - made.astype(np.float64))
    if bool((gap <= bound).all()):
        return "explains", "", "the same within the rounding of both machines"
    beyond = int(np.sum(~(gap <= bound)))
    return "contradicts", "", f"{beyond:,} of {gap.size:,} points are beyond rounding; {why}"


def _explains(cells: Sequence[SymptomCell]) -> bool:
    return bool(cells) and all(cell.says == "explains" for cell in cells)


def _candidate(
    made: FaultOutputs,
    name: str,
    cause: str,
    cells: tuple[SymptomCell, ...],
    recorded: RecordedOutputs,
    family: str = "",
) -> Candidate:
    """Return a candidate; one that no observation speaks for has no family, and says why."""
    inert = not made.suspect.is_healthy and all(
        not isinstance(y, str) and same_bits(y, recorded.outputs[probe])
        for probe, y in made.outputs.items()
    )
    idle = "Here it changes nothing." if inert else ""
    why = "" if family else _not_standing(cells)
    return Candidate(
        name=name,
        cause=cause,
        sentence=" ".join(filter(None, (made.suspect.sentence, idle, why))),
        cells=cells,
        family=family,
        inert=inert,
    )


def _not_standing(cells: Sequence[SymptomCell]) -> str:
    against = [cell.observation for cell in cells if cell.says == "contradicts"]
    if against:
        return f"Refuted by {_listed(against)}."
    silent = [cell.observation for cell in cells if cell.says == "silent"]
    return f"Not refuted, but silent on {_listed(silent)}."


def _families(
    rows: Sequence[tuple[FaultOutputs, str, tuple[SymptomCell, ...]]],
    recorded: RecordedOutputs,
    probes: Iterable[int],
) -> dict[str, str]:
    """Return the family of each row: rows whose outputs nobody could tell apart, by the first.

    Those that stand in any setting are put in front: one of them gives the family its name.
    """
    ordered = sorted(rows, key=lambda row: row[1] != row[0].suspect.name)
    heads: list[tuple[str, FaultOutputs]] = []
    found: dict[str, str] = {}
    for made, name, _ in ordered:
        head = next((h for h, other in heads if _alike(made, other, recorded, probes)), None)
        if head is None:
            heads.append((name, made))
        found[name] = head or name
    return found


def _alike(
    one: FaultOutputs, other: FaultOutputs, recorded: RecordedOutputs, probes: Iterable[int]
) -> bool:
    """Say whether two suspects make outputs that cannot be told apart by what was observed."""
    for probe in probes:
        a, b = one.outputs[probe], other.outputs[probe]
        if isinstance(a, str) or isinstance(b, str) or a.shape != b.shape:
            return False
        gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
        if not bool((gap <= max(line_width(a), line_width(b))).all()):
            return False
        bound = recorded.bounds.get(probe)
        if bound is not None and not bool((gap <= bound).all()):
            return False
    return True


def _sentence(bound: Bound, candidates: Sequence[Candidate], standing: Sequence[Standing]) -> str:
    count = len(bound.seen)
    if not count:
        return "Nothing that was observed is of a prediction of this script."
    number = {1: "the one observation", 2: "both observations"}.get(
        count, f"all {count} observations"
    )
    clash = f" {'; '.join(bound.conflicts)}: no fault can explain both." if bound.conflicts else ""
    left = f" Left out: {'; '.join(bound.unmatched)}." if bound.unmatched else ""
    if not standing:
        return f"No candidate reproduces {number}: not known.{clash}{_nearest(candidates)}{left}"
    if any(each.made.suspect.is_healthy for each in standing):
        return (
            f"The models make {number} as they are, without any fault: what was reported follows "
            f"from usage or mathematics, or was observed where nothing is wrong.{left}"
        )
    families = list(dict.fromkeys(each.family for each in standing))
    if len(families) > 1:
        listed = "; ".join(families)
        return f"{len(families)} families of candidates reproduce {number}: {listed}.{left}"
    return f"{_one_family(families[0], number, standing)}{_against(candidates)}{left}"


def _one_family(family: str, number: str, standing: Sequence[Standing]) -> str:
    if len(standing) == 1:
        return f"Exactly one candidate reproduces {number}: {family}."
    told = f"Exactly one family of candidates reproduces {number}: {family}."
    how = dict.fromkeys(each.made.suspect.how[each.cause] for each in standing)
    if len(how) > 1:
        told += f" Whether it comes about {_or(list(how))}, what was observed does not tell."
    others = list(dict.fromkeys(each.row for each in standing if each.row != family))
    if others:
        quoted = [f"'{each}'" for each in others]
        told += f" The same outputs are made by {_or(quoted)}."
    return told


def _against(candidates: Sequence[Candidate]) -> str:
    """Say what refutes the candidates that come nearest."""
    told = []
    for each in candidates:
        against = [cell.observation for cell in each.cells if cell.says == "contradicts"]
        if not each.family and len(against) == 1 and not each.inert:
            told.append(f"'{each.name}' is refuted by {against[0]}")
    return f" {_first_upper('; '.join(told))}." if told else ""


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _or(parts: Sequence[str]) -> str:
    return " or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _nearest(candidates: Sequence[Candidate]) -> str:
    def good(each: Candidate) -> int:
        return sum(cell.says == "explains" for cell in each.cells)

    if not candidates:
        return ""
    best = max(candidates, key=good)
    against = [cell.observation for cell in best.cells if cell.says == "contradicts"]
    but = f", contradicted by {_listed(against)}" if against else ""
    return f" Nearest is '{best.name}' ({good(best)} of {len(best.cells)}{but})."


def _listed(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return ", ".join(found[:_TOLD]) + more
