"""One case that goes wrong in our own hands costs no other case its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge import suite
from bridge.capsule import Capsule, FrontEnd, Manifest
from bridge.case import Case, read_case
from bridge.r.frontend import Served
from bridge.r.script import Inspection, Installed
from bridge.runners.pool import Pool
from bridge.suite import Settings, Suite


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Two cases, and a suite that starts nothing: empty capsules answer for R and the intent."""
    served = Served(FrontEnd(kind="none", package="reticulate", version=""), (), ())

    def run_r(_pool: object, case: str, *_: object) -> Capsule:
        return Capsule(Manifest(runner="r", case=case, status="ok"), {})

    def run_intent(_pool: object, case: str, *_: object) -> Capsule:
        return Capsule(Manifest(runner="intent", case=case, status="ok"), {})

    monkeypatch.setattr(
        suite, "inspect", lambda paths: (Installed("4.2.2", {}), [Inspection("x")] * len(paths))
    )
    monkeypatch.setattr(suite, "serve", lambda *_: served)
    monkeypatch.setattr(suite, "run_r", run_r)
    monkeypatch.setattr(suite, "run_intent", run_intent)
    monkeypatch.setattr(Pool, "warm", lambda *_: None)
    for name in ("first", "second"):
        (tmp_path / f"{name}.R").write_text("x")
    return [read_case(tmp_path / f"{name}.R") for name in ("first", "second")]


@pytest.mark.parametrize("broken", ["run_r", "conclude"])
def test_a_defect_of_ours_is_reported_and_the_next_case_examined(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    whole = getattr(suite, broken)
    calls: list[int] = []

    def fails_once(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("add")
        return whole(*args)

    monkeypatch.setattr(suite, broken, fails_once)
    with Suite(Settings(jobs=1)) as running:
        first, second = running.examine(cases)
    assert (first.report.verdict, first.report.cause) == ("abstained", "not-known")
    assert "KeyError" in first.report.sentence
    assert "never calls Keras" in second.report.sentence
