"""Checking all certificates of a folder of reports."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from bridge._text import plural
from bridge.capsule import Capsule, CapsuleError, Probe, read_capsule
from bridge.compare.alignment import labels_of
from bridge.compare.result import LayerVerdict
from bridge.errors import BridgeError
from bridge.rounding.layer_records import PREDICTION
from bridge.verify.certificate import (
    SUFFIX,
    Certificate,
    Certificates,
    LayerJudgement,
    read_certificates,
)
from bridge.verify.check import CertificateOutcome, Subjects, check_certificate

# A folder of reports as it is checked: which layers were called rounding, by their bounds.
#
# Of ``report.json`` only the verdicts on layers are read, so that those of other versions can be.

_NAME: Final = "report.json"
_MOST_BYTES: Final = 2**30
#: The runs that a report may have, which name its files; the reference has no layers.
_RUNS: Final = ("r", "replay", "twin", "intent")


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PairVerdicts(_Read):
    """One probe of two runs."""

    a: str
    b: str
    probe: str
    layers: tuple[LayerVerdict, ...] = ()


class Report(_Read):
    """What is needed of ``report.json``."""

    case: str
    pairs: tuple[PairVerdicts, ...] = ()


class ReportError(BridgeError, ValueError):
    """There is nothing to check, or it cannot be read; the message says why."""


@dataclass(frozen=True)
class Folder:
    """One case's report with the runs and certificates beside it.

    Of the runs named in ``unreadable``, a file is there but cannot be read.
    """

    report: Report
    runs: Mapping[str, Capsule]
    certificates: Mapping[str, Certificates]
    unreadable: frozenset[str] = frozenset()

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """Yield what the certificates lack or contradict: the run, the layer, and a sentence."""
        for pair in self.report.pairs:
            yield from self._of_pair(pair)
        for run, found in self.certificates.items():
            have = {certificate.key for certificate in found.manifest.certificates}
            if len(have) != len(found.manifest.certificates):
                yield run, "", "there are several certificates for one layer"
            for verdict in found.manifest.judged:
                if (
                    _is_certified(verdict)
                    and (verdict.probe, verdict.position, verdict.prediction) not in have
                ):
                    yield (
                        run,
                        verdict.layer,
                        f"probe {verdict.probe} has no certificate for this layer",
                    )

    def _of_pair(self, pair: PairVerdicts) -> Iterator[tuple[str, str, str]]:
        certified = [(n, layer) for n, layer in enumerate(pair.layers) if _is_certified(layer)]
        if not certified or self.unreadable.intersection((pair.a, pair.b)):
            return
        where = self._where(pair)
        if where is None:
            why = f"report.json speaks of probe {pair.probe!r}, whose layers no capsule has"
            yield pair.a, certified[0][1].layer, why
            return
        run, probe = where
        layers = len(probe.layers)
        for number, verdict in certified:
            key = (
                (probe.index, number, None)
                if number < layers
                else self._predicted(run, probe, number - layers)
            )
            yield from self._of_layer(run, probe, key, verdict)

    def _of_layer(
        self, run: str, probe: Probe, key: tuple[int, int, int | None] | None, verdict: LayerVerdict
    ) -> Iterator[tuple[str, str, str]]:
        found = self.certificates.get(run)
        if found is None:
            why = f"{run}{SUFFIX} is missing; run the case again"
            yield run, verdict.layer, f"report.json calls it certified, but {why}"
            return
        certificate = next((c for c in found.manifest.certificates if c.key == key), None)
        if certificate is None:
            name = probe.label or f"probe {probe.index}"
            yield run, verdict.layer, f"{name}: report.json calls it certified, without certificate"
            return
        for why in _unlike(verdict, certificate, found):
            yield run, verdict.layer, f"report.json and its certificate do not agree: {why}"

    def _predicted(self, run: str, probe: Probe, number: int) -> tuple[int, int, int | None] | None:
        """Return the key of the certificate for an output of the model."""
        found = self.certificates.get(run)
        keys = (
            (certificate.key for certificate in found.manifest.certificates) if found else iter(())
        )
        return next((key for key in keys if (key[0], key[2]) == (probe.index, number)), None)

    def _where(self, pair: PairVerdicts) -> tuple[str, Probe] | None:
        """Find the run, and the probe in it, whose layers a pair speaks of."""
        labels = labels_of(self.runs.values())
        found = [
            (run, probe)
            for run in (pair.a, pair.b)
            for probe in (self.runs[run].manifest.probes if run in self.runs else ())
            if probe.layers and _answers(pair.layers, probe)
        ]
        named = [entry for entry in found if labels.get(entry[1].index) == pair.probe]
        return next(iter(named), found[0] if len(found) == 1 else None)


def _is_certified(judged: LayerVerdict | LayerJudgement) -> bool:
    """Say whether a verdict is that rounding explains a layer, by its bound."""
    return (judged.verdict, judged.rung) == ("within-rounding", "certified")


def _answers(verdicts: tuple[LayerVerdict, ...], probe: Probe) -> bool:
    """Say whether verdicts are those of a probe: its layers in order, then what it predicted."""
    layers = len(probe.layers)
    if len(verdicts) < layers or any(verdict.layer != PREDICTION for verdict in verdicts[layers:]):
        return False
    # A layer of a model that is used as a layer is recorded with that: inner/dense.
    return all(
        seen.layer == verdict.layer or seen.layer.endswith(f"/{verdict.layer}")
        for seen, verdict in zip(probe.layers, verdicts, strict=False)
    )


def case_folders(folder: Path) -> list[Path]:
    """Return the folders of cases below a folder of reports, or the folder itself if it is one.

    Raises:
        ReportError: there is none.
    """
    if not folder.is_dir():
        raise ReportError(f"There is no folder {folder}.")
    try:
        if (folder / _NAME).is_file():
            return [folder]
        found = sorted(path for path in folder.iterdir() if (path / _NAME).is_file())
    except OSError as error:
        raise ReportError(f"The folder {folder} cannot be read ({error.strerror}).") from None
    if not found:
        raise ReportError(
            f"There is no report in {folder}: 'keras-bridge run --out {folder}' writes some."
        )
    return found


def read_report(folder: Path) -> Report:
    """Read a case's ``report.json``.

    Raises:
        ReportError: it cannot be read.
    """
    path = folder / _NAME
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ReportError(f"{path} has more than {_MOST_BYTES:,} bytes")
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReportError(f"{path} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(
            f"{path} is not a report: {where}: {first['msg']}".replace(": : ", ": ")
        ) from None


def read_runs(
    folder: Path,
) -> tuple[dict[str, Capsule], dict[str, Certificates], dict[str, str]]:
    """Read the capsules and certificates of a case, and say of runs that cannot be read why."""
    capsules: dict[str, Capsule] = {}
    certificates: dict[str, Certificates] = {}
    unreadable: dict[str, str] = {}
    for run in _RUNS:
        try:
            if (folder / f"{run}.capsule").exists():
                capsules[run] = read_capsule(folder / f"{run}.capsule")
            if (folder / f"{run}{SUFFIX}").exists():
                certificates[run] = read_certificates(folder / f"{run}{SUFFIX}")
        except CapsuleError as error:
            unreadable[run] = str(error)
        if run in certificates and run not in capsules:
            missing = f"{run}{SUFFIX} is there, but not {run}.capsule, which it is about"
            unreadable.setdefault(run, missing)
            del certificates[run]
    return capsules, certificates, unreadable


def _unlike(
    verdict: LayerVerdict, certificate: Certificate, certificates: Certificates
) -> Iterator[str]:
    """Say which numbers of a report are not those of a certificate."""
    points = sum(math.prod(output.bound.shape) for output in certificate.outputs)
    if points != verdict.points:
        yield f"{verdict.points} against {points} outputs"
    if verdict.beyond_bound:
        yield f"{verdict.beyond_bound} outputs beyond the bound, and yet within rounding"
    if verdict.cls != certificate.cls:
        yield f"class {verdict.cls!r} against {certificate.cls!r}"
    for name, said in (("error", verdict.error), ("bound", verdict.bound)):
        try:
            largest = max(
                (
                    _largest(certificates.arrays[getattr(output, name).key or ""])
                    for output in certificate.outputs
                ),
                default=0.0,
            )
        except (CapsuleError, KeyError, TypeError, ValueError) as error:
            yield f"its {name}s cannot be read: {error}"
            continue
        if largest != said:
            yield f"largest {name} {said!r} against {largest!r}"


def _largest(values: object) -> float:
    array = np.asarray(values, np.float64)
    return float(np.nan_to_num(array, nan=0.0, posinf=np.inf).max(initial=0.0))


#: Told the case that is checked, and how many of how many elements were.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RunVerification:
    """One run of a case and what became of its certificates."""

    name: str
    outcomes: tuple[CertificateOutcome, ...]


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
    runs: tuple[RunVerification, ...] = ()
    problems: tuple[Problem, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def outcomes(self) -> tuple[CertificateOutcome, ...]:
        """The outcomes of all runs."""
        return tuple(outcome for run in self.runs for outcome in run.outcomes)

    @property
    def holds(self) -> bool:
        """Whether nothing that could be checked fails."""
        return not self.problems and all(outcome.holds for outcome in self.outcomes)


@dataclass(frozen=True)
class Verification:
    """All that was checked; ``sample`` is the number of elements drawn from each output, if any."""

    cases: tuple[CaseCheck, ...]
    sample: int | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing that could be checked fails."""
        return all(case.holds for case in self.cases)

    @property
    def readable(self) -> bool:
        """Whether every file could be read."""
        return not any(case.unreadable for case in self.cases)

    @property
    def outcomes(self) -> tuple[CertificateOutcome, ...]:
        """The outcomes of all cases."""
        return tuple(outcome for case in self.cases for outcome in case.outcomes)

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
        done = [outcome for outcome in self.outcomes if not outcome.unchecked]
        if not self.holds:
            failed = sum(outcome.failed for outcome in self.outcomes)
            others = sum(1 for outcome in self.outcomes if outcome.failures and not outcome.failed)
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
            total = sum(outcome.outputs for outcome in done)
            return f"All {_checked(done)} outputs drawn from {total:,} of {layers} hold: {ends}"
        return f"All {_checked(done)} certified outputs of {layers} hold: {ends}"

    def _rest(self) -> Iterator[str]:
        left = [outcome for outcome in self.outcomes if outcome.unchecked]
        if left:
            outputs = sum(outcome.outputs for outcome in left)
            yield f"{plural(len(left), 'layer')} with {outputs:,} outputs were not re-checked."
        apart = sum(outcome.left_out for outcome in self.outcomes)
        if apart:
            yield (
                f"{apart:,} outputs were left out: their exact result is no finite number, or they "
                "have no bound and so much cancels that nothing is proved."
            )
        blurred = sum(outcome.blurred for outcome in self.outcomes)
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
        for outcome in self.outcomes:
            if outcome.unchecked:
                counts[outcome.cls, outcome.unchecked] += 1
                elements[outcome.cls, outcome.unchecked] += outcome.outputs
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
        tuple(_check_case(case_folder, sample, progress) for case_folder in case_folders(folder)),
        sample,
    )


def _check_case(folder: Path, sample: int | None, progress: Progress) -> CaseCheck:
    try:
        report = read_report(folder)
    except ReportError as error:
        return CaseCheck(folder.name, unreadable=(str(error),))
    capsules, certificates, unreadable = read_runs(folder)
    total = sum(
        min(math.prod(output.bound.shape), sample or math.inf)
        for capsule in certificates.values()
        for certificate in capsule.manifest.certificates
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
        runs.append(RunVerification(name, tuple(outcomes)))
    listed = Folder(report, capsules, certificates, frozenset(unreadable))
    # Every pair with the same run speaks of the same layers.
    problems = tuple(dict.fromkeys(Problem(*problem) for problem in listed.problems()))
    return CaseCheck(report.case, tuple(runs), problems, tuple(unreadable.values()))


def _line(case: CaseCheck) -> str:
    done = [outcome for outcome in case.outcomes if not outcome.unchecked]
    ratio = max((outcome.ratio for outcome in done), default=0.0)
    parts = [
        f"{case.case}: {plural(len(done), 'layer')}",
        f"{sum(outcome.checked for outcome in done):,} outputs",
        f"largest error / bound {ratio:.3g}",
    ]
    left = len(case.outcomes) - len(done)
    if left:
        parts.append(f"{left} not re-checked")
    failed = sum(1 for outcome in case.outcomes if not outcome.holds) + len(case.problems)
    if failed:
        parts.append(f"{failed} FAILED")
    return ", ".join(parts)


def _failures(case: CaseCheck) -> Iterator[str]:
    for run in case.runs:
        for outcome in run.outcomes:
            name = f"{case.case}, {run.name}, probe {outcome.probe}, {_name(outcome)}"
            for failure in outcome.failures:
                at = f"[{', '.join(map(str, failure.index))}]" if failure.index is not None else ""
                yield f"{name}{at}: {failure.why}"
            more = outcome.failed - sum(
                1 for listed in outcome.failures if listed.index is not None
            )
            if more > 0:
                yield f"{name}: {more:,} outputs more"
    for problem in case.problems:
        name = f"layer {problem.layer!r}" if problem.layer else "certificates"
        yield f"{case.case}, {problem.run}, {name}: {problem.why}"


def _name(outcome: CertificateOutcome) -> str:
    if outcome.prediction is None:
        return f"layer {outcome.layer!r}"
    return f"prediction {outcome.prediction} (layer {outcome.layer!r})"


def _case_json(case: CaseCheck) -> dict[str, Any]:
    return {
        "case": case.case,
        "holds": case.holds,
        "runs": [
            {"run": run.name, "layers": [_spelled(asdict(outcome)) for outcome in run.outcomes]}
            for run in case.runs
        ],
        "problems": [asdict(problem) for problem in case.problems],
        "unreadable": list(case.unreadable),
    }


def _spelled(item: Any) -> Any:
    """Return data in which numbers that JSON has no word for are strings."""
    if isinstance(item, float) and not math.isfinite(item):
        return repr(item)
    if isinstance(item, dict):
        return {key: _spelled(value) for key, value in item.items()}
    return [_spelled(part) for part in item] if isinstance(item, (list, tuple)) else item


def _checked(outcomes: list[CertificateOutcome]) -> str:
    return f"{sum(outcome.checked for outcome in outcomes):,}"
