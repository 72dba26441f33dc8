"""Checking all certificates of a folder of reports."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bridge._text import plural
from bridge.verify.check import Outcome, Subjects, check_certificate
from bridge.verify.report_folder import Folder, ReportError, case_folders, read_report, read_runs

#: Told the case that is checked, and how many of how many elements were.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Run:
    """One run of a case and what became of its certificates."""

    name: str
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Problem:
    """What a report's certificates lack or contradict."""

    run: str
    layer: str
    why: str


@dataclass(frozen=True)
class CaseCheck:
    """One case: what became of its runs' certificates, and what is wrong beside them."""

    case: str
    runs: tuple[Run, ...] = ()
    problems: tuple[Problem, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes of all runs."""
        return tuple(each for run in self.runs for each in run.outcomes)

    @property
    def holds(self) -> bool:
        """Whether nothing that could be checked fails."""
        return not self.problems and all(each.holds for each in self.outcomes)


@dataclass(frozen=True)
class Verification:
    """All that was checked; ``sample`` is the number of elements drawn from each output, if any."""

    cases: tuple[CaseCheck, ...]
    sample: int | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing that could be checked fails."""
        return all(each.holds for each in self.cases)

    @property
    def readable(self) -> bool:
        """Whether every file could be read."""
        return not any(each.unreadable for each in self.cases)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes of all cases."""
        return tuple(each for case in self.cases for each in case.outcomes)

    def sentence(self) -> str:
        """Say what was found."""
        parts = [self._first(), *self._rest()]
        return " ".join(parts)

    def lines(self) -> Iterator[str]:
        """Yield the report: a line for each case, then what fails and what was not re-checked."""
        yield self.sentence()
        for case in self.cases:
            if case.outcomes:
                yield _line(case)
        for case in self.cases:
            yield from _failures(case)
        for case in self.cases:
            for why in case.unreadable:
                yield f"{case.case}: {why}"
        for (layer, why), count, elements in self._unchecked():
            yield f"not re-checked: {count} x {layer}, {elements:,} outputs: {why}"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as data."""
        return {
            "sentence": self.sentence(),
            "holds": self.holds,
            "readable": self.readable,
            "sample": self.sample,
            "cases": [_case_json(case) for case in self.cases],
        }

    def as_text(self) -> str:
        """Return all of it as JSON; what JSON has no number for is a word."""
        return json.dumps(self.as_json(), indent=1, allow_nan=False)

    def _first(self) -> str:
        done = [each for each in self.outcomes if not each.unchecked]
        if not self.holds:
            failed = sum(each.failed for each in self.outcomes)
            others = sum(1 for each in self.outcomes if each.failures and not each.failed)
            others += sum(len(case.problems) for case in self.cases)
            what = [f"{failed:,} of {_checked(done)} certified outputs do not hold"] * bool(failed)
            what += [f"{plural(others, 'certificate')} missing or contradicted"] * bool(others)
            first = next(line for case in self.cases for line in _failures(case))
            return f"{' and '.join(what)}. The first: {first}."
        if not self.outcomes:
            return (
                "Nothing here was called rounding by its bound: there is no certificate to check."
            )
        if not done:
            return "No certificate could be re-checked."
        layers = plural(len(done), "layer")
        ends = (
            "each error is what exact arithmetic gives, none is beyond its bound, and each bound "
            "is the rules'."
        )
        if self.sample is not None:
            total = sum(each.outputs for each in done)
            return f"All {_checked(done)} outputs drawn from {total:,} of {layers} hold: {ends}"
        return f"All {_checked(done)} certified outputs of {layers} hold: {ends}"

    def _rest(self) -> Iterator[str]:
        left = [each for each in self.outcomes if each.unchecked]
        if left:
            outputs = sum(each.outputs for each in left)
            yield f"{plural(len(left), 'layer')} with {outputs:,} outputs were not re-checked."
        apart = sum(each.left_out for each in self.outcomes)
        if apart:
            yield (
                f"{apart:,} outputs were left out: their exact result is no finite number, or they "
                "have no bound and so much cancels that nothing is proved."
            )
        blurred = sum(each.blurred for each in self.outcomes)
        if blurred:
            yield (
                f"Of {blurred:,} outputs only the bound was checked: so much cancels that their "
                "error in float64 is not exact."
            )
        unreadable = sum(len(case.unreadable) for case in self.cases)
        if unreadable:
            yield f"{plural(unreadable, 'file')} could not be read."

    def _unchecked(self) -> Iterator[tuple[tuple[str, str], int, int]]:
        counts: Counter[tuple[str, str]] = Counter()
        elements: Counter[tuple[str, str]] = Counter()
        for each in self.outcomes:
            if each.unchecked:
                counts[each.cls, each.unchecked] += 1
                elements[each.cls, each.unchecked] += each.outputs
        for key in sorted(counts):
            yield key, counts[key], elements[key]


def verify(
    folder: Path,
    sample: int | None = None,
    progress: Progress = lambda _case, _done, _all: None,
) -> Verification:
    """Check all certificates of all cases in a folder of reports, or of one case's folder.

    ``sample`` is the number of elements to draw at random from each output; None means all.

    Raises:
        ReportError: there is no report.
    """
    return Verification(
        tuple(_check_case(each, sample, progress) for each in case_folders(folder)), sample
    )


def _check_case(folder: Path, sample: int | None, progress: Progress) -> CaseCheck:
    try:
        report = read_report(folder)
    except ReportError as error:
        return CaseCheck(folder.name, unreadable=(str(error),))
    capsules, certificates, unreadable = read_runs(folder)
    total = sum(
        min(math.prod(output.bound.shape), sample or math.inf)
        for each in certificates.values()
        for certificate in each.manifest.certificates
        for output in certificate.outputs
    )
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        progress(report.case, done, int(total))

    runs = []
    for name, found in certificates.items():
        capsule, known = capsules[name], Subjects(capsules[name])
        outcomes = (
            check_certificate(capsule, found, certificate, sample, step, known)
            for certificate in found.manifest.certificates
        )
        runs.append(Run(name, tuple(outcomes)))
    listed = Folder(report, capsules, certificates, frozenset(unreadable))
    # Every pair with the same run speaks of the same layers.
    problems = tuple(dict.fromkeys(Problem(*each) for each in listed.problems()))
    return CaseCheck(report.case, tuple(runs), problems, tuple(unreadable.values()))


def _line(case: CaseCheck) -> str:
    done = [each for each in case.outcomes if not each.unchecked]
    ratio = max((each.ratio for each in done), default=0.0)
    parts = [
        f"{case.case}: {plural(len(done), 'layer')}",
        f"{sum(each.checked for each in done):,} outputs",
        f"largest error / bound {ratio:.3g}",
    ]
    left = len(case.outcomes) - len(done)
    if left:
        parts.append(f"{left} not re-checked")
    failed = sum(1 for each in case.outcomes if not each.holds) + len(case.problems)
    if failed:
        parts.append(f"{failed} FAILED")
    return ", ".join(parts)


def _failures(case: CaseCheck) -> Iterator[str]:
    for run in case.runs:
        for each in run.outcomes:
            name = f"{case.case}, {run.name}, probe {each.probe}, {_name(each)}"
            for failure in each.failures:
                at = f"[{', '.join(map(str, failure.index))}]" if failure.index is not None else ""
                yield f"{name}{at}: {failure.why}"
            more = each.failed - sum(1 for one in each.failures if one.index is not None)
            if more > 0:
                yield f"{name}: {more:,} outputs more"
    for problem in case.problems:
        name = f"layer {problem.layer!r}" if problem.layer else "certificates"
        yield f"{case.case}, {problem.run}, {name}: {problem.why}"


def _name(outcome: Outcome) -> str:
    if outcome.prediction is None:
        return f"layer {outcome.layer!r}"
    return f"prediction {outcome.prediction} (layer {outcome.layer!r})"


def _case_json(case: CaseCheck) -> dict[str, Any]:
    return {
        "case": case.case,
        "holds": case.holds,
        "runs": [
            {"run": run.name, "layers": [_spelled(asdict(each)) for each in run.outcomes]}
            for run in case.runs
        ],
        "problems": [asdict(each) for each in case.problems],
        "unreadable": list(case.unreadable),
    }


def _spelled(item: Any) -> Any:
    """Return data in which numbers that JSON has no word for are strings."""
    if isinstance(item, float) and not math.isfinite(item):
        return repr(item)
    if isinstance(item, dict):
        return {key: _spelled(value) for key, value in item.items()}
    return [_spelled(each) for each in item] if isinstance(item, (list, tuple)) else item


def _checked(outcomes: list[Outcome]) -> str:
    return f"{sum(each.checked for each in outcomes):,}"
