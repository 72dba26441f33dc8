"""Findings for other programs: well formed, at their place, and text whatever it says."""

from __future__ import annotations

import json

import pytest

from bridge.report import CaseReport
from bridge.report.annotations import github, sarif
from bridge.rules.rule import Finding, Help, Span
from tests.report_samples import HOSTILE, different, hostile, matching

FINDING = Finding(
    rule="L01",
    name="softmax-over-one-unit",
    headline="It is 1 for every input",
    whose="yours",
    cause="maths",
    spans=(Span(line=3, column=5, end_line=3, end_column=11),),
    why="exp(x) / exp(x) is 1.",
    help=Help(text="Take a sigmoid."),
)


def found(*findings: Finding) -> CaseReport:
    return matching().model_copy(update={"findings": findings, "cause": "maths"})


def test_sarif_has_a_result_with_its_rule_and_its_region() -> None:
    told = json.loads(sarif([found(FINDING)], "1.0"))
    assert told["version"] == "2.1.0"
    (run,) = told["runs"]
    assert run["tool"]["driver"]["rules"] == [{"id": "L01"}]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("L01", "error")
    assert result["message"]["text"].startswith("It is 1 for every input. exp(x)")
    assert result["message"]["text"].endswith("Fix: Take a sigmoid.")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == matching().script
    assert place["region"] == {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 12}


def test_github_shows_each_finding_beside_its_line() -> None:
    assert github([found(FINDING)]) == (
        f"::error file={matching().script},title=L01 It is 1 for every input,line=3,col=5::"
        "It is 1 for every input. exp(x) / exp(x) is 1. Fix: Take a sigmoid.\n"
    )


def test_where_nothing_is_wrong_nothing_is_annotated() -> None:
    fine = matching().model_copy(update={"findings": (FINDING,), "cause": "none"})
    assert github([fine]) == ""
    assert json.loads(sarif([fine], "1.0"))["runs"][0]["results"] == []


def test_what_is_found_beside_the_first_is_a_note() -> None:
    second = FINDING.model_copy(update={"rule": "L02"})
    lines = github([found(FINDING, second), different()]).splitlines()
    assert [line.partition(" ")[0] for line in lines[:2]] == ["::error", "::notice"]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_text(words: str) -> None:
    bad = FINDING.model_copy(update={"headline": words, "why": words, "rule": words})
    report = hostile(words).model_copy(update={"findings": (bad,), "cause": "maths"})
    (line,) = github([report]).splitlines()
    assert line.startswith("::error file=")
    properties = line[len("::error ") :].partition("::")[0]
    assert len(properties.split(",")) <= 4
    told = sarif([report], "1.0")
    assert json.loads(told)["runs"][0]["results"][0]["ruleId"]
    assert not set(told + line) & set("\x00\x07\x1b\u202e\u2066")
