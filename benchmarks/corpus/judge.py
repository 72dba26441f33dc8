"""What an answer is worth, set against what a right answer says: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.corpus.script import Script
from bridge.facts.causes import NOTHING_WRONG

Answer = Literal["right", "abstained", "nothing wrong", "wrong", "false alarm", "no report"]


@dataclass(frozen=True)
class Judged:
    """One script: what was answered, and what became of the runs.

    ``None`` stands for what can not be asked: an intent of a script that stops in R, and what was
    printed where no run of R was kept.
    """

    script: Script
    answer: Answer
    sure: bool
    intent: bool | None
    replay: bool
    transparent: bool | None
    internal_errors: int
    cpu: float
    plain_cpu: float
    peak_mib: float


def judge(
    script: Script,
    report: Mapping[str, Any] | None,
    transparent: bool | None,
    cpu: float,
    plain_cpu: float,
    peak_mib: float,
) -> Judged:
    """Judge a ``report.json``; None stands for a check that left none."""
    if report is None:
        intent = None if script.exit else False
        return Judged(
            script, "no report", False, intent, False, transparent, 1, cpu, plain_cpu, peak_mib
        )
    return Judged(
        script,
        answer(script, report),
        report.get("confidence") != "possible",
        None if script.exit else _status(report, "intent") == "ok",
        _replayed(report),
        transparent,
        len(report.get("internal_errors", ())),
        cpu,
        plain_cpu,
        peak_mib,
    )


def answer(script: Script, report: Mapping[str, Any]) -> Answer:
    """Say what an answer is worth.

    A planted surprise is found if a rule names it that is among those accepted, or if the cause
    is. A misuse of the model is found by a rule only: its cause alone says too little.
    """
    cause = report["cause"]
    if cause == "not-known" or (report["verdict"] == "abstained" and cause in NOTHING_WRONG):
        return "abstained"
    if script.clean:
        return "right" if cause in NOTHING_WRONG else "false alarm"
    if _deciding(report) in script.rules:
        return "right"
    if cause in NOTHING_WRONG:
        return "nothing wrong"
    return "right" if cause in script.causes and script.family != "usage" else "wrong"


def _deciding(report: Mapping[str, Any]) -> str | None:
    for finding in report.get("findings", ()):
        if finding.get("decides"):
            return finding.get("rule") or None
    return None


def _status(report: Mapping[str, Any], runner: str) -> str:
    return next((run["status"] for run in report.get("runs", ()) if run["runner"] == runner), "")


def _replayed(report: Mapping[str, Any]) -> bool:
    """Say whether the replay ended as R did, and every number of both has the same bits."""
    ended = _status(report, "replay")
    if not ended or ended != _status(report, "r"):
        return False
    pairs = [pair for pair in report.get("pairs", ()) if {pair["a"], pair["b"]} == {"r", "replay"}]
    return all(pair["verdict"] in ("same-bits", "same-error") for pair in pairs)
