"""The self-test: faults that were put in are counted by what was said of them."""

from __future__ import annotations

import importlib.metadata
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bridge.capsule import Capsule, CapsuleError, Manifest
from bridge.cli import main
from bridge.errors import InternalError, JobError
from bridge.explain.lever_search import Pull, Searching
from bridge.explain.result import CauseEvidence, LeverOutcome, SelftestScore
from bridge.process.pool import Limits, Pool, PoolError
from bridge.report.selftest_score import keep, last_score
from bridge.selftest.generation_run import Benign, Selftest, Trial, drive_together

KEYS = ["injected", "detected", "localised", "attributed", "abstained", "confidently_wrong",
        "false_alarms", "seconds"]  # fmt: skip


def trial(cause: str | None, confidence: Any = "likely", *, localised: bool = True) -> Trial:
    found = None
    if cause is not None:
        found = CauseEvidence(cause=cause, confidence=confidence, sentence="")
    return Trial("activation-lost", 3, "m1", "dense", "keras-layer", (), found, localised, "here")


RIGHT = trial("keras-layer")
OPEN = trial("not-known", "")
WRONG = trial("onednn")
MAYBE = trial("onednn", "possible")
UNSEEN = trial(None, localised=False)
ELSEWHERE = trial("keras-layer", localised=False)


def test_trials_are_counted_by_what_was_said_of_them() -> None:
    benign = (Benign(3, "m1", "eager"), Benign(3, "m2", "eager", "layer dense was found wrong"))
    trials = (RIGHT, RIGHT, OPEN, WRONG, MAYBE, UNSEEN, ELSEWHERE)
    score = Selftest(trials, benign, redrawn=2, seconds=12.34).score
    assert score.model_dump() == {
        "injected": 7, "detected": 6, "localised": 5, "attributed": 3, "abstained": 1,
        "confidently_wrong": 1, "false_alarms": 1, "seconds": 12.3, "benign": 2,
        "date": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("trials", "alarm", "passed"),
    [
        ((RIGHT,), "", True),
        ((RIGHT, OPEN, UNSEEN, MAYBE), "", True),
        ((RIGHT, WRONG), "", False),
        ((RIGHT,), "layer x was found wrong", False),
        ((), "", False),
    ],
)
def test_only_what_is_said_and_not_so_fails_it(
    trials: tuple[Trial, ...], alarm: str, passed: bool
) -> None:
    benign = (Benign(3, "m1", "eager", alarm),)
    assert Selftest(trials, benign, 0, 1.0).passed is passed


def test_what_went_wrong_is_listed_with_the_worst_first() -> None:
    trials = (MAYBE, UNSEEN, RIGHT, WRONG, OPEN)
    lines = list(Selftest(trials, (), 0, 1.0).lines())
    assert lines[0].startswith("Of 5 faults, 4 were noticed")
    told = [line for line in lines if line.startswith("activation-lost in dense")]
    assert len(told) == 4
    assert "onednn was named, keras-layer is right" in told[0]
    assert "not noticed" in told[1]
    row = next(line.split() for line in lines if line.startswith("activation-lost "))
    assert row == ["activation-lost", "5", "4", "4", "1", "1", "1"]


def test_the_last_score_is_kept_with_its_day(tmp_path: Path) -> None:
    assert last_score(tmp_path) is None
    score = Selftest((RIGHT,), (), 0, 1.0).score
    keep(score, tmp_path / "not" / "there")
    kept = last_score(tmp_path / "not" / "there")
    assert kept is not None
    assert kept.model_copy(update={"date": ""}) == score
    assert date.fromisoformat(kept.date) >= date(2024, 1, 1)


def test_a_score_of_other_versions_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(Selftest((RIGHT,), (), 0, 1.0).score, tmp_path)
    version = importlib.metadata.version
    newer = {"numpy": "999"}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: newer.get(name, version(name)))
    assert last_score(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"injected": "many"}', "\0"])
def test_a_score_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    keep(Selftest((RIGHT,), (), 0, 1.0).score, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(text)
    assert last_score(tmp_path) is None


def test_reports_carry_the_last_score_and_show_its_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    from bridge.capsule import Capsule, Manifest
    from bridge.cases.case import Case
    from bridge.explain.conclusion import Conclusion
    from bridge.report import CaseReport, write_report
    from bridge.report.build import ReportParts, build_report

    def report() -> CaseReport:
        runs = {"r": Capsule(Manifest(runner="r", case="a", status="ok"), {})}
        finding = Conclusion("same-bits", "none", "Alike.")
        return build_report(
            Case("a", Path("a.R")), runs, [], finding, ReportParts(selftest=last_score())
        )

    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _name: tmp_path / "cache")
    assert report().selftest is None
    keep(Selftest((RIGHT,), (), 0, 1.0).score)
    scored = report()
    assert scored.selftest is not None
    write_report([scored], tmp_path / "out", pictures={})
    written = next((tmp_path / "out").glob("*/report.json")).read_text("utf-8")
    assert json.loads(written)["selftest"]["date"] == scored.selftest.date
    page = next((tmp_path / "out").glob("*/index.html")).read_text("utf-8")
    assert f"Self-test: on {scored.selftest.date}: 1 fault put into this installation" in page


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keep(Selftest((RIGHT,), (), 0, 1.0).score, tmp_path / "file")
    assert last_score(tmp_path / "file") is None


def test_searches_that_ask_for_the_same_lever_share_a_run() -> None:
    asked: list[tuple[str, list[int]]] = []

    def searching(levers: tuple[str, ...]) -> Searching:
        outcomes = []
        for lever in levers:
            outcomes.append((yield Pull(lever)))
        return CauseEvidence(
            cause="none", confidence="", sentence=" ".join(each.detail for each in outcomes)
        )

    def answers(pull: Pull, keys: list[int]) -> dict[int, LeverOutcome]:
        asked.append((pull.lever, sorted(keys)))
        return {
            key: LeverOutcome(lever=pull.lever, verdict="abstained", detail=f"{pull.lever}{key}")
            for key in keys
        }

    wanted = {1: ("eager", "xla"), 2: ("eager", "xla"), 3: ("xla",), 4: ()}
    found = drive_together({key: searching(each) for key, each in wanted.items()}, answers)
    assert {key: each.sentence for key, each in found.items()} == {
        1: "eager1 xla1", 2: "eager2 xla2", 3: "xla3", 4: "",
    }  # fmt: skip
    assert asked == [("eager", [1, 2]), ("xla", [1, 2, 3])]


def fake(monkeypatch: pytest.MonkeyPatch, result: Selftest | Exception) -> dict[str, Any]:
    """Have the command run this; return what it was asked for, and what it kept."""
    import bridge.report.selftest_score
    import bridge.selftest.generation_run

    seen: dict[str, Any] = {}

    def run(faults: int, seed: int, **_rest: Any) -> Selftest:
        seen.update(faults=faults, seed=seed)
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(bridge.selftest.generation_run, "run", run)
    monkeypatch.setattr(bridge.report.selftest_score, "keep", lambda score: seen.update(kept=score))
    return seen


def test_the_command_prints_exactly_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = fake(monkeypatch, Selftest((RIGHT,), (), 0, 1.0))
    result = CliRunner().invoke(main.app, ["selftest", "--faults", "7", "--seed", "3", "--json"])
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)) == KEYS
    assert (seen["faults"], seen["seed"]) == (7, 3)
    assert isinstance(seen["kept"], SelftestScore)


@pytest.mark.parametrize(("trials", "code"), [((WRONG,), 1), ((OPEN,), 0), ((), 2)])
def test_the_exit_code_says_whether_anything_was_said_wrongly(
    monkeypatch: pytest.MonkeyPatch, trials: tuple[Trial, ...], code: int
) -> None:
    seen = fake(monkeypatch, Selftest(trials, (), 0, 1.0))
    result = CliRunner().invoke(main.app, ["selftest"])
    assert result.exit_code == code, result.output
    assert ("kept" in seen) is bool(trials)


def test_without_keras_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.selftest import generation_run

    monkeypatch.setattr(generation_run, "generations", tuple)
    result = CliRunner().invoke(main.app, ["selftest"])
    assert result.exit_code == 2
    assert "keras-bridge doctor" in result.stderr


def again_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Capsule | str:
    """Run models again where that fails."""
    from bridge.selftest import generation_run

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(generation_run, "rerun", fails)
    with Pool() as pool:
        half = generation_run.Half(pool, 3, 1, Limits(), lambda _text: None)
        return half._again(Capsule(Manifest(runner="r", case="a", status="ok"), {}), {}, None)


def test_what_a_model_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert again_with(monkeypatch, CapsuleError("no weights")) == "CapsuleError: no weights"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("add"),
        PoolError("no TensorFlow"),
        JobError(InternalError("the job rerun", "KeyError: 'add'", "")),
    ],
)
def test_a_defect_of_ours_is_not_taken_for_what_a_model_does(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with pytest.raises(type(error)):
        again_with(monkeypatch, error)


def test_faults_are_shared_out_among_the_generations() -> None:
    from bridge.selftest.generation_run import _shares

    assert _shares(7, 2) == [4, 3]
    assert _shares(1, 2) == [1, 0]


@pytest.mark.tf
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_random_models_are_the_same_for_the_same_seed(package: str) -> None:
    from bridge.selftest import random_models

    keras = pytest.importorskip(package)
    made: list[list[Any]] = []
    for seed in (1, 1, 2):
        weights = []
        for number in (0, 2):
            rng = np.random.default_rng([seed, number])
            model, x = random_models._FAMILIES[number](keras, rng)
            weights += [random_models._weight(rng, each) for each in model.weights] + [x]
        made.append(weights)
    assert all(np.array_equal(x, y) for x, y in zip(made[0], made[1], strict=True))
    assert any(
        x.shape != y.shape or not np.array_equal(x, y)
        for x, y in zip(made[0], made[2], strict=False)
    )


@pytest.mark.tf
@pytest.mark.slow
def test_faults_in_this_installation_are_found_and_nothing_is_blamed_wrongly(pool: Pool) -> None:
    from bridge.selftest.generation_run import run

    steps: list[str] = []
    found = run(4, 5, progress=steps.append, pool=pool)
    score = found.score
    # Both faults of a half are put into one model, which is run without one once.
    assert (score.injected, score.benign) == (4, 2)
    assert score.detected == 4
    assert score.localised == 4
    assert (score.confidently_wrong, score.false_alarms) == (0, 0), list(found.lines())
    assert score.attributed + score.abstained <= score.detected
    assert {each.generation for each in found.trials} == {2, 3}
    assert steps
