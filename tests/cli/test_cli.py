"""The command line is quick to say what it can do, and says what is wrong in one sentence."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from bridge.cases.case import Case, read_case
from bridge.cli import check, main
from bridge.cli.check import formatted
from bridge.cli.options import CaseLines
from bridge.pipeline.examine_case import Examined, Settings
from tests.commands import keras_bridge
from tests.report_samples import different, matching

COMMANDS = ["run", "check", "doctor", "record", "diff", "verify", "explain"]


def test_help_needs_nothing_heavy() -> None:
    forbid = (
        "import sys\n"
        "class Forbid:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        heavy = ('tensorflow', 'keras', 'tf_keras', 'rpy2', 'matplotlib')\n"
        "        if name.partition('.')[0] in heavy: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Forbid())\n"
        "from bridge.cli.main import app\n"
        f"for command in {COMMANDS}: app([command, '--help'], standalone_mode=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", forbid], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage") == len(COMMANDS)


def test_an_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    done = keras_bridge("run", "--format", "xml", cwd=tmp_path)
    assert done.exit_code == 2
    assert "--format is text, json, sarif or github, not 'xml'." in done.stderr


@pytest.mark.parametrize("name", ["json", "sarif", "github"])
def test_reports_are_printed_for_other_programs(name: str) -> None:
    text = formatted([different(), matching()], name, [Path("a.R"), Path("b.R")])
    if name == "github":
        assert text.startswith("::error file=")
        return
    assert len(json.loads(text)) == (2 if name == "json" else 3)


def test_an_annotation_names_a_script_as_it_is_seen_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = different()
    assert "::error file=r_scripts/a.R," in formatted([report], "github", [Path("r_scripts/a.R")])
    elsewhere = formatted([report], "github", [tmp_path.parent / "a.R"])
    assert f"::error file={report.script}," in elsewhere
    found = json.loads(formatted([report], "sarif", [tmp_path / "a.R"]))
    place = found["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a.R"


def test_an_unknown_case_lists_the_near_ones(tmp_path: Path) -> None:
    done = keras_bridge("run", "relu_midle_dense", cwd=tmp_path)
    assert done.exit_code == 2
    assert "near it are: relu_middle_dense" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    done = keras_bridge("run", "relu_middle_dense", "--out", "taken", cwd=tmp_path)
    assert done.exit_code == 2
    assert "taken cannot be written" in done.stderr
    assert (tmp_path / "taken").read_text() == "a file"


def test_an_unknown_front_end_lists_those_that_exist(tmp_path: Path) -> None:
    done = keras_bridge("run", "--frontend", "cram", cwd=tmp_path)
    assert done.exit_code == 2
    assert "auto, cran or standin" in done.stderr


def test_a_script_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    done = keras_bridge("check", "none.R", cwd=tmp_path)
    assert done.exit_code == 2
    assert "There is no file none.R" in done.stderr


def test_a_damaged_capsule_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.capsule").write_bytes(b"nothing")
    done = keras_bridge("diff", "a.capsule", "a.capsule", cwd=tmp_path)
    assert done.exit_code == 2
    assert "not a capsule" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_neither_case_nor_capsule_is_not_explained(tmp_path: Path) -> None:
    (tmp_path / "a.capsule").write_bytes(b"nothing")
    done = keras_bridge("explain", "a.capsule", cwd=tmp_path)
    assert done.exit_code == 2
    assert "not a capsule" in done.stderr
    assert "Traceback" not in done.stderr
    done = keras_bridge("explain", "relu_midle_dense", cwd=tmp_path)
    assert done.exit_code == 2
    assert "near it are: relu_middle_dense" in done.stderr


def test_run_takes_the_scripts_of_this_folder_and_ours_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[list[str]] = []

    def examine(cases: list[Case], *_rest: object, **_named: object) -> int:
        taken.append([case.name for case in cases])
        return 0

    monkeypatch.setattr(main, "examine", examine)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r_scripts").mkdir()
    (tmp_path / "r_scripts" / "mine.R").write_text("1\n")
    assert CliRunner().invoke(main.app, ["run"]).exit_code == 0
    assert CliRunner().invoke(main.app, ["run", "--builtin"]).exit_code == 0
    assert taken[0] == ["mine"]
    assert "mine" in taken[1]
    assert len(taken[1]) > 50


def test_a_run_names_the_cases_at_which_nobody_has_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {"a": "#| unreviewed: yes\n", "b": "", "c": "#| unreviewed: yes\n"}
    for name, header in headers.items():
        (tmp_path / f"{name}.R").write_text(f"{header}1\n")
    cases = [read_case(tmp_path / f"{name}.R") for name in headers]
    reported = [Examined(matching(), {}, {})]
    suite = SimpleNamespace(examine=lambda *_: iter(reported))
    monkeypatch.setattr(check, "suite_with", lambda _: contextlib.nullcontext(suite))
    monkeypatch.setattr(check, "environment_errors", contextlib.nullcontext)
    options = Settings("standin", 1)
    check.examine(cases, tmp_path, options, lines=True)
    out = capsys.readouterr().out.splitlines()
    assert "2 cases were never reviewed by a person: a, c." in out
    check.examine(cases, tmp_path, options)
    assert "reviewed" not in capsys.readouterr().out
    assert check.never_reviewed(cases[:2]) == "1 case was never reviewed by a person: a."
    assert check.never_reviewed(cases[1:2]) == ""


def test_each_case_that_is_done_has_one_plain_line(capfd: pytest.CaptureFixture[str]) -> None:
    lines = CaseLines(2)
    lines(Examined(matching(), {}, {}), 2.13)
    lines(Examined(different(), {}, {}), 0.04)
    first, second = capfd.readouterr().err.splitlines()
    assert first.split() == [
        "[1/2]", matching().case, matching().verdict, matching().cause, "2.1", "s"
    ]  # fmt: skip
    assert second.startswith("[2/2] ")
    assert "\x1b" not in first + second


def test_a_rule_is_shown_by_its_code_and_by_its_name() -> None:
    for word in ("L01", "l01", "softmax-over-one-unit"):
        shown = CliRunner().invoke(main.app, ["rule", word])
        assert shown.exit_code == 0
        assert shown.stdout.startswith("# L01 softmax-over-one-unit")


def test_all_rules_are_a_list_and_json() -> None:
    lines = CliRunner().invoke(main.app, ["rule"]).stdout.splitlines()
    rows = json.loads(CliRunner().invoke(main.app, ["rule", "--json"]).stdout)
    assert [line.split()[0] for line in lines] == [row["rule"] for row in rows]
    assert all(row["page"].startswith(f"# {row['rule']} {row['name']}") for row in rows)


def test_a_rule_that_there_is_not_names_the_near_ones() -> None:
    """In a process of its own: what the other tests ask for is asked within theirs."""
    words = [sys.executable, "-m", "bridge", "rule", "L1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "near it are L01" in done.stderr
