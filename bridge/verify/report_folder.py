"""A folder of reports as it is checked: which layers were called rounding, by their bounds.

Of ``report.json`` only the verdicts on layers are read, so that those of other versions can be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from bridge.capsule import Capsule, CapsuleError, Probe, read_capsule
from bridge.compare.alignment import labels_of
from bridge.compare.result import LayerVerdict
from bridge.errors import BridgeError
from bridge.rounding.layer_records import PREDICTION
from bridge.verify.certificate import (
    SUFFIX,
    Certificate,
    Certificates,
    Judged,
    read_certificates,
)

_NAME: Final = "report.json"
_MOST_BYTES: Final = 2**30
#: The runs that a report may have, which name its files; the reference has no layers.
_RUNS: Final = ("r", "replay", "twin", "intent")


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Pair(_Read):
    """One probe of two runs."""

    a: str
    b: str
    probe: str
    layers: tuple[LayerVerdict, ...] = ()


class Report(_Read):
    """What is needed of ``report.json``."""

    case: str
    pairs: tuple[Pair, ...] = ()


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
            have = {each.key for each in found.manifest.certificates}
            if len(have) != len(found.manifest.certificates):
                yield run, "", "there are several certificates for one layer"
            for each in found.manifest.judged:
                if _is_certified(each) and (each.probe, each.position, each.prediction) not in have:
                    yield run, each.layer, f"probe {each.probe} has no certificate for this layer"

    def _of_pair(self, pair: Pair) -> Iterator[tuple[str, str, str]]:
        certified = [(n, each) for n, each in enumerate(pair.layers) if _is_certified(each)]
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
        keys = (each.key for each in found.manifest.certificates) if found else iter(())
        return next((key for key in keys if (key[0], key[2]) == (probe.index, number)), None)

    def _where(self, pair: Pair) -> tuple[str, Probe] | None:
        """Find the run, and the probe in it, whose layers a pair speaks of."""
        labels = labels_of(self.runs.values())
        found = [
            (run, probe)
            for run in (pair.a, pair.b)
            for probe in (self.runs[run].manifest.probes if run in self.runs else ())
            if probe.layers and _answers(pair.layers, probe)
        ]
        named = [each for each in found if labels.get(each[1].index) == pair.probe]
        return next(iter(named), found[0] if len(found) == 1 else None)


def _is_certified(judged: LayerVerdict | Judged) -> bool:
    """Say whether a verdict is that rounding explains a layer, by its bound."""
    return (judged.verdict, judged.rung) == ("within-rounding", "certified")


def _answers(verdicts: tuple[LayerVerdict, ...], probe: Probe) -> bool:
    """Say whether verdicts are those of a probe: its layers in order, then what it predicted."""
    layers = len(probe.layers)
    if len(verdicts) < layers or any(each.layer != PREDICTION for each in verdicts[layers:]):
        return False
    # A layer of a model that is used as a layer is recorded with that: inner/dense.
    return all(
        seen.layer == each.layer or seen.layer.endswith(f"/{each.layer}")
        for seen, each in zip(probe.layers, verdicts, strict=False)
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
        found = sorted(each for each in folder.iterdir() if (each / _NAME).is_file())
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
    points = sum(math.prod(each.bound.shape) for each in certificate.outputs)
    if points != verdict.points:
        yield f"{verdict.points} against {points} outputs"
    if verdict.beyond_bound:
        yield f"{verdict.beyond_bound} outputs beyond the bound, and yet within rounding"
    if verdict.cls != certificate.cls:
        yield f"class {verdict.cls!r} against {certificate.cls!r}"
    for name, said in (("error", verdict.error), ("bound", verdict.bound)):
        try:
            made = max(
                (
                    _largest(certificates.arrays[getattr(each, name).key or ""])
                    for each in certificate.outputs
                ),
                default=0.0,
            )
        except (CapsuleError, KeyError, TypeError, ValueError) as error:
            yield f"its {name}s cannot be read: {error}"
            continue
        if made != said:
            yield f"largest {name} {said!r} against {made!r}"


def _largest(values: object) -> float:
    array = np.asarray(values, np.float64)
    return float(np.nan_to_num(array, nan=0.0, posinf=np.inf).max(initial=0.0))
