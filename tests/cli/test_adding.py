"""A script is added with a header that says what was found of it, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from bridge.capsule import Capsule, Environment, FrontEnd, Manifest
from bridge.cases.case import Case, find_cases, read_case
from bridge.cli.add import AddingError, add_script, place_for
from bridge.cli.main import app
from bridge.pipeline.examine_case import Suite
from bridge.report import CaseReport


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "r_scripts").mkdir()
    return tmp_path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "my_model.R"
    path.write_text("library(keras)\n")
    return path


def suite() -> Suite:
    def examine(cases: list[Any]) -> Any:
        report = CaseReport(
            case=cases[0].name,
            script="",
            frontend=FrontEnd(kind="none", package="", version=""),
            environment=Environment(),
            verdict="different",
            cause="r-default",
            sentence="They differ.",
        )
        run = Capsule(Manifest(runner="r", case="", status="ok", seconds=2.31), {})
        yield SimpleNamespace(report=report, runs={"r": run})

    return cast("Suite", SimpleNamespace(examine=examine))


def expected(case: Case) -> tuple[tuple[str, ...], tuple[str, ...]]:
    situation = FrontEnd(kind="standin", package="keras", version="2.16.1"), Environment()
    return case.verdicts(*situation), case.causes(*situation)


def test_the_header_says_what_was_found(project: Path, script: Path) -> None:
    added = add_script(script, place_for(script, project), suite())
    case = read_case(added.path)
    assert (case.title, *expected(case)) == ("My model", ("different",), ("r-default",))
    assert case.seconds == 24
    assert case.unreviewed
    assert not case.problems
    assert added.path.read_text().endswith("library(keras)\n")
    found = find_cases([(project / "r_scripts", project / "comparisons")])
    assert [each.name for each in found] == ["my_model"]


def test_what_its_header_says_already_is_kept(project: Path, script: Path) -> None:
    script.write_text("#| title: Mine\n#| expect-verdict: same-bits\nlibrary(keras)\n")
    case = read_case(add_script(script, place_for(script, project), suite()).path)
    assert (case.title, *expected(case)) == ("Mine", ("same-bits",), ("r-default",))


def test_a_header_that_expects_a_verdict_and_a_cause_was_written_by_somebody(
    project: Path, script: Path
) -> None:
    lines = ["#| expect-verdict[cran]: same-bits", "#| expect-cause: none", "#| unreviewed: no"]
    script.write_text("\n".join([*lines[:2], "library(keras)\n"]))
    case = read_case(add_script(script, place_for(script, project), suite()).path)
    assert not case.unreviewed
    assert expected(case) == ((), ("none",))
    script.write_text("\n".join([*lines[1:], "library(keras)\n"]))
    case = read_case(add_script(script, place_for(script, project, "other"), suite()).path)
    assert not case.unreviewed


def test_a_script_that_is_not_utf8_is_copied_as_it_is(project: Path, script: Path) -> None:
    script.write_bytes(b"\xef\xbb\xbfx <- 'caf\xe9'\n")
    data = add_script(script, place_for(script, project), suite()).path.read_bytes()
    assert data.startswith(b"#| title")
    assert data.endswith(b"\nx <- 'caf\xe9'\n")


def test_nothing_is_overwritten(project: Path, script: Path) -> None:
    place = place_for(script, project)
    place.write_text("precious")
    with pytest.raises(AddingError, match="choose another name with --name"):
        place_for(script, project)
    with pytest.raises(AddingError, match="in the suite already"):
        add_script(script, place, suite())
    assert place.read_text() == "precious"


def test_another_name_may_be_chosen_but_no_other_folder(project: Path, script: Path) -> None:
    assert place_for(script, project, "other").name == "other.R"
    with pytest.raises(AddingError, match="is no name for a case"):
        place_for(script, project, "../other")


def test_without_a_suite_the_message_says_what_to_type(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    result = CliRunner().invoke(app, ["add", str(script)])
    assert result.exit_code == 2
    assert "mkdir r_scripts" in result.output
