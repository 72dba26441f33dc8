"""One case that goes wrong in our own hands costs no other case its report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from bridge.capsule import Call, Capsule, FrontEnd, Manifest
from bridge.capsule.values import Scalar, Symbol
from bridge.cases.case import Case, read_case
from bridge.cli.check import examine
from bridge.errors import Errors, collected
from bridge.pipeline import case_run, examine_case
from bridge.pipeline.examine_case import Examined, Settings, Suite
from bridge.process.pool import Pool
from bridge.r.script import Inspection, Installed, Served
from bridge.rules import registry
from bridge.rules.registry import Answered
from bridge.rules.rule import Finding, Rule
from tests.rules.samples import said as answer


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Two cases, and a suite that starts nothing: empty capsules answer for R and the intent."""
    served = Served(FrontEnd(kind="none", package="reticulate", version=""), (), ())

    def run_r(_pool: object, case: str, *_: object, **__: object) -> Capsule:
        return Capsule(Manifest(runner="r", case=case, status="ok"), {})

    def run_intent(_pool: object, case: str, *_: object, **__: object) -> Capsule:
        return Capsule(Manifest(runner="intent", case=case, status="ok"), {})

    monkeypatch.setattr(
        examine_case,
        "inspect",
        lambda paths: (Installed("4.2.2", {}), [Inspection("x")] * len(paths)),
    )
    monkeypatch.setattr(examine_case, "serve", lambda *_: served)
    monkeypatch.setattr(examine_case, "run_r", run_r)
    monkeypatch.setattr(examine_case, "run_intent", run_intent)
    monkeypatch.setattr(Pool, "warm", lambda *_: None)
    for name in ("first", "second"):
        (tmp_path / f"{name}.R").write_text("x")
    return [read_case(tmp_path / f"{name}.R") for name in ("first", "second")]


def _breaks(monkeypatch: pytest.MonkeyPatch, name: str, first_only: bool = True) -> None:
    """Let a function of the pipeline's raise, as a defect of ours would, when first called."""
    module = examine_case if hasattr(examine_case, name) else case_run
    whole = getattr(module, name)
    calls: list[int] = []

    def fails(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1 or not first_only:
            raise KeyError("add")
        return whole(*args, **kwargs)

    monkeypatch.setattr(module, name, fails)


@pytest.mark.internal_errors
@pytest.mark.parametrize(
    ("broken", "verdict", "cause"),
    [
        ("run_r", "abstained", "not-known"),
        ("conclude", "abstained", "not-known"),
        ("labels_of", "abstained", "not-known"),
        # Between two steps.
        ("honest", "abstained", "not-known"),
        # The conclusion stands where only the report of it could not be put together.
        ("build_report", "abstained", "not-known"),
    ],
)
def test_a_defect_of_ours_is_reported_and_the_next_case_examined(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, broken: str, verdict: str, cause: str
) -> None:
    _breaks(monkeypatch, broken)
    with Suite(Settings(jobs=1)) as running:
        first, second = running.examine(cases)
    assert (first.report.verdict, first.report.cause) == (verdict, cause)
    (error,) = first.report.internal_errors
    assert error.message == "KeyError: 'add'"
    assert "in fails" in error.traceback
    assert "never calls Keras" in second.report.sentence
    assert second.report.internal_errors == ()


@pytest.mark.internal_errors
def test_where_r_was_not_recorded_nothing_is_said_of_it(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaks(monkeypatch, "run_r")
    with Suite(Settings(jobs=1)) as running:
        first, _ = running.examine(cases)
    assert (first.report.verdict, first.report.cause) == ("abstained", "not-known")
    assert "could not be recorded" in first.report.explanation[0]
    assert "what R's run gives" in first.report.unexplained


@pytest.mark.internal_errors
def test_a_repair_that_cannot_be_tried_costs_no_other_answer(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaks(monkeypatch, "repairs", first_only=False)
    monkeypatch.setattr(
        examine_case, "run_r", lambda _pool, case, *_, **__: _with_a_call("r", case)
    )
    monkeypatch.setattr(
        examine_case, "run_replay", lambda *_, **__: _with_a_call("replay", "first")
    )
    monkeypatch.setattr(
        examine_case, "answers", lambda *_, **__: Answered((answer("maths", "An answer"),))
    )
    with Suite(Settings(jobs=1, quick=True)) as running:
        examined = list(running.examine(cases[:1]))
    (error,) = examined[0].report.internal_errors
    assert error.step == "trying repairs"
    assert "An answer." in (examined[0].report.sentence, *examined[0].report.explanation)


@pytest.mark.internal_errors
@pytest.mark.parametrize(
    ("broken", "step"),
    [
        ("run_intent", "the run intent"),
        ("compare_runs", "comparing r with intent"),
        ("conclude", "drawing the conclusion"),
        ("answers", "asking how the script uses Keras"),
        ("labels_of", "naming the predictions"),
        ("weigh", "weighing every cause"),
        ("calls_by_line", "writing down R's calls"),
        ("last_score", "reading the last self-test's score"),
        ("meant", "finding out what R took otherwise than its text says"),
        ("chance", "noting what is chance"),
        ("intent_notes", "noting what the text means"),
        ("build_report", "building the report"),
        ("report_pictures", "drawing the pictures of the claims"),
        ("draw", "drawing the pictures"),
        ("report_claims", "writing the claims"),
    ],
)
def test_each_step_fails_by_itself(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str, step: str
) -> None:
    _breaks(monkeypatch, broken, first_only=False)
    with Suite(Settings(jobs=1)) as running:
        examined = list(running.examine(cases[:1]))
    (error,) = examined[0].report.internal_errors
    assert error.step == step
    examine_case.write(examined, tmp_path / "out")
    folder = tmp_path / "out" / "first"
    log = (folder / "internal-errors.log").read_text("utf-8")
    assert step in log
    assert "in fails" in log
    assert str(tmp_path) not in log + (folder / "report.json").read_text("utf-8")
    told = "1 step of keras-bridge itself failed; see internal-errors.log."
    assert told in (folder / "report.md").read_text("utf-8")
    assert told in (folder / "index.html").read_text("utf-8")


@pytest.mark.internal_errors
def test_what_fails_while_files_are_written_is_listed_as_well(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        examine_case, "run_r", lambda _pool, case, *_, **__: _with_a_call("r", case)
    )
    monkeypatch.setattr(
        examine_case, "run_replay", lambda *_, **__: _with_a_call("replay", "first")
    )
    _breaks(monkeypatch, "script_of")
    with Suite(Settings(jobs=1, quick=True)) as running:
        examined = list(running.examine(cases[:1]))
    assert examined[0].report.internal_errors == ()
    examine_case.write(examined, tmp_path / "out")
    folder = tmp_path / "out" / "first"
    listed = json.loads((folder / "report.json").read_text("utf-8"))["internal_errors"]
    assert [each["step"] for each in listed] == ["writing replay.py"]
    assert "internal-errors.log" in (folder / "replay.py").read_text("utf-8")
    # Written again without a defect, the log of the earlier run is gone.
    examine_case.write(examined, tmp_path / "out")
    assert not (folder / "internal-errors.log").exists()
    assert "import" in (folder / "replay.py").read_text("utf-8")


def _run_with_a_call(_pool: object, case: str, *_: object, **__: object) -> Capsule:
    return _with_a_call("r", case)


def _with_a_call(runner: Literal["r", "replay"], case: str) -> Capsule:
    number = Scalar(t="int", v="1")
    path = Symbol(path="numpy:abs", public="numpy.abs")
    call = Call(id=1, kind="call", target=path, args=(number,), result=number)
    return Capsule(Manifest(runner=runner, case=case, status="ok", calls=(call,)), {})


@pytest.mark.parametrize(
    ("allow", "found", "told"), [("X01", [], 0), ("L01", ["X01"], 0), ("L1", ["X01"], 1)]
)
def test_a_rule_that_the_header_allows_has_nothing_to_say(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, allow: str, found: list[str], told: int
) -> None:
    always = Rule("X01", "anything", cause="maths")
    always.detector(lambda _: iter([always.finding("An answer")]))
    rules = {**registry.rules(), "X01": always}
    monkeypatch.setattr(registry, "rules", lambda: rules)
    cases[0].script.write_text(f"#| allow: {allow}\nx")
    with Suite(Settings(jobs=1, quick=True)) as running:
        (examined,) = running.examine([read_case(cases[0].script)])
    assert [each.rule for each in examined.report.findings if each.rule] == found
    assert sum("L01" in note for note in examined.report.notes) == told


@pytest.mark.internal_errors
def test_a_rule_that_fails_costs_no_other_rule_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, sound = (Rule(code, "a-rule", cause="maths") for code in ("X01", "X02"))

    @broken.detector
    def detect(_: object) -> Iterator[Finding]:
        raise IndexError("no such layer")
        yield

    sound.detector(lambda _: iter([sound.finding("An answer")]))
    monkeypatch.setattr(registry, "rules", lambda: {"X01": broken, "X02": sound})
    capsule = Capsule(Manifest(runner="r", case="a", status="ok"), {})
    with collected(Errors()) as errors:
        found = registry.answers(capsule).findings
    assert [each.headline for each in found] == ["An answer"]
    assert [each.message for each in errors.found] == ["IndexError: no such layer"]


def test_what_was_done_is_written_where_something_ends_the_command(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = Suite.examine

    def interrupted(suite: Suite, given: Sequence[Case], *finished: Any) -> Iterator[Examined]:
        yield from whole(suite, given[:1], *finished)
        raise KeyboardInterrupt

    monkeypatch.setattr(Suite, "examine", interrupted)
    with pytest.raises(KeyboardInterrupt):
        examine(cases, tmp_path / "out", Settings(jobs=1, quick=True), lines=True)
    assert (tmp_path / "out" / "first" / "report.json").is_file()
    assert (tmp_path / "out" / "index.html").is_file()
    assert not (tmp_path / "out" / "second").exists()
