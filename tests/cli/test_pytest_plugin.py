"""R scripts are test items, where they are asked for, and cost nothing where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

HEADER = "#| title: A sum\n#| expect-verdict: failed\n#| expect-cause: user-script\n"
STOPS = "library(keras3)\nstop('no luck')\n"
CONFIG = "[pytest]\naddopts = --strict-markers -p no:cacheprovider\nmarkers = gpu: needs a GPU\n"
SUITE = """
from types import SimpleNamespace
import bridge.cli.pytest_plugin as plugin

class Fake:
    def examine(self, cases):
        import json, pathlib
        from bridge.report import CaseReport
        for case in cases:
            report = CaseReport.model_validate(json.loads(pathlib.Path(REPORT).read_text()))
            met = "good" in case.name
            expected = report.expected.model_copy(update={"met": met})
            yield SimpleNamespace(report=report.model_copy(update={"expected": expected}))

real = plugin._suite

def pytest_configure(config):
    plugin._suite = lambda config: Fake()

def pytest_unconfigure(config):
    plugin._suite = real
"""
REPORT = """{
 "schema": 1, "case": "a", "script": "a.R", "verdict": "different", "cause": "keras-layer",
 "sentence": "R and its replay differ from layer dense_1 on.",
 "frontend": {"kind": "standin", "package": "keras", "version": "2.16.1"}, "environment": {},
 "first_divergence": {"stage": "prediction", "where": "predict 1", "detail": "by 0.5"},
 "expected": {"verdict": "same-bits", "cause": "none", "met": false},
 "pairs": [{"a": "r", "b": "replay", "probe": "predict 1", "verdict": "different",
   "rung": "certified", "points": 4, "detail": "3 of 4 beyond the bound",
   "worst": [{"index": [2, 0], "a": 1.5, "b": 1.0, "ulp": 4194304}]}]
}"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a suite whose reports are made up."""
    pytester.makefile(".ini", pytest=CONFIG)
    report = pytester.makefile(".json", report=REPORT)
    pytester.makeconftest(SUITE.replace("REPORT", repr(str(report))))
    folder = pytester.mkdir("r_scripts")
    (folder / "good.R").write_text(HEADER)
    (folder / "bad.R").write_text(f"{HEADER}#| markers: gpu\n")
    (folder / "other.R").write_text("#| echo: false\nprint(1)\n")
    pytester.path.joinpath("loose.R").write_text("print(1)\n")
    return pytester


def test_scripts_of_the_suite_are_collected_and_others_are_not(project: pytest.Pytester) -> None:
    result = project.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines_random(["r_scripts/good.R::good", "r_scripts/bad.R::bad"])
    result.stdout.no_fnmatch_line("*other.R*")
    result.stdout.no_fnmatch_line("*loose.R*")


def test_an_expectation_with_brackets_makes_a_script_one_of_ours(project: pytest.Pytester) -> None:
    path = project.path / "r_scripts" / "brackets.R"
    path.write_text("#| expect-verdict[keras3>=1.5, cran]: failed\nprint(1)\n")
    result = project.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["r_scripts/brackets.R::brackets"])


def test_every_script_is_collected_where_that_is_asked_for(project: pytest.Pytester) -> None:
    result = project.runpytest("--collect-only", "-q", "--keras-r")
    result.stdout.fnmatch_lines_random(["loose.R::loose", "r_scripts/other.R::other"])


def test_a_script_with_a_header_is_collected_where_it_is_named(project: pytest.Pytester) -> None:
    path = project.path / "elsewhere.R"
    path.write_text(HEADER)
    project.runpytest("--collect-only", "-q").stdout.no_fnmatch_line("*elsewhere*")
    result = project.runpytest("--collect-only", "-q", "elsewhere.R")
    result.stdout.fnmatch_lines(["elsewhere.R::elsewhere"])


def test_the_text_of_a_failure_is_the_explanation(project: pytest.Pytester) -> None:
    result = project.runpytest("--junitxml=junit.xml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "expected: same-bits, cause none",
            "*R and its replay differ from layer dense_1 on.*",
            "The runs part first at the stage 'prediction': predict 1 by 0.5",
            "predict 1: r and replay differ; 3 of 4 beyond the bound",
            "*at [[]2, 0[]]: r 1.5, replay 1.0",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    junit = (project.path / "junit.xml").read_text()
    assert "R and its replay differ from layer dense_1 on." in junit
    assert 'name="verdict" value="different"' in junit


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["-k", "good"], "good"),
        (["-m", "gpu"], "bad"),
        (["-m", "r and tf and not gpu"], "good"),
        (["r_scripts/good.R::good"], "good"),
    ],
)
def test_scripts_are_chosen_as_other_tests_are(
    project: pytest.Pytester, words: list[str], chosen: str
) -> None:
    result = project.runpytest(*words)
    result.assert_outcomes(
        passed=int(chosen == "good"), failed=int(chosen == "bad"), deselected=None
    )


def test_the_first_failure_ends_the_run_where_that_is_asked_for(project: pytest.Pytester) -> None:
    project.runpytest("-x").assert_outcomes(failed=1)


def test_scripts_are_shared_out_to_processes(project: pytest.Pytester) -> None:
    project.runpytest_subprocess("-n", "2").assert_outcomes(passed=1, failed=1)


def test_nothing_is_loaded_where_there_is_no_script(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_loaded():
            loaded = {name for name in sys.modules if name.startswith("bridge")}
            assert loaded <= {"bridge", "bridge.cli", "bridge.cli.pytest_plugin"}
            assert not {"numpy", "tensorflow", "pydantic", "rpy2"} & set(sys.modules)
        """
    )
    pytester.path.joinpath("script.R").write_text(HEADER)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.r
@pytest.mark.tf
def test_a_script_is_really_run(pytester: pytest.Pytester, tmp_path: Path) -> None:
    folder = pytester.mkdir("r_scripts")
    (folder / "stops.R").write_text(HEADER + STOPS)
    (folder / "wrong.R").write_text(HEADER.replace("failed", "same-bits") + STOPS)
    out = tmp_path / "out"
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--keras-r-out={out}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Line 5 stops: no luck*"])
    assert (out / "stops" / "index.html").is_file()
