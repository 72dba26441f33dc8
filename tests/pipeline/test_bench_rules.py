"""The benchmark of rules: what it plants, and how it judges."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rules.judge import Answer, Judged, read
from benchmarks.rules.kinds import KINDS, sampled, scripts
from benchmarks.rules.published import TOOLS, right
from benchmarks.rules.table import page

SILENT = Answer("none", (), "", False, False, 0, 0)
RIGHT = Answer("user-script", ("T02", "L01"), "T02", True, True, 0, 1)


def judged(fault: Answer, twin: Answer = SILENT) -> Judged:
    nothing: frozenset[str] = frozenset()
    others = dict.fromkeys(TOOLS, (nothing, nothing))
    return Judged("T02", "t02_001", ("T02",), fault, twin, others)


def test_every_kind_of_the_catalogue_is_planted() -> None:
    numbers = {"L": 14, "M": 10, "D": 8, "T": 8, "P": 8}
    wanted = {f"{family}{n:02}" for family, most in numbers.items() for n in range(1, most + 1)}
    assert set(KINDS) == wanted
    assert all(kind.accepted[0] == code for code, kind in KINDS.items())


@pytest.mark.parametrize("code", KINDS)
def test_a_seed_gives_the_same_pair_and_its_scripts_differ(code: str) -> None:
    for number in sampled(3, code, 5):
        fault, twin = scripts(code, 3, number)
        assert fault != twin
        assert (fault, twin) == scripts(code, 3, number)
        assert ("library(keras3)" in fault) == ("library(keras3)" in twin)


@pytest.mark.r
def test_r_can_parse_what_is_planted(tmp_path: Path) -> None:
    for code in KINDS:
        for number in range(3):
            for name, text in zip(("fault", "twin"), scripts(code, 5, number), strict=True):
                (tmp_path / f"{code}_{number}_{name}.R").write_text(text)
    ask = "for (f in list.files(full.names = TRUE)) parse(f); cat(length(list.files()))"
    done = subprocess.run(
        ["Rscript", "-e", ask], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == str(len(KINDS) * 6)


def test_the_first_finding_decides_what_an_answer_is_worth() -> None:
    assert judged(RIGHT).first
    assert judged(RIGHT).tried
    assert not judged(RIGHT).wrong
    later = judged(replace(RIGHT, rules=("L01", "T02"), deciding="L01"))
    assert later.second
    assert later.wrong
    assert not later.tried
    worth_knowing = judged(replace(SILENT, rules=("T02",)))
    assert worth_knowing.first
    assert worth_knowing.silent
    cause_without_a_rule = judged(replace(SILENT, cause="keras-layer"))
    assert cause_without_a_rule.wrong
    assert not cause_without_a_rule.silent


def test_a_finding_on_the_twin_is_an_alarm_and_not_known_is_none() -> None:
    assert judged(RIGHT, RIGHT).twin.alarm
    assert not judged(RIGHT, replace(SILENT, cause="not-known")).twin.alarm
    assert judged(RIGHT, RIGHT).line() == "t02_001: alarm on the twin: T02"
    assert judged(RIGHT).line() == ""


def test_an_answer_is_read_from_a_report() -> None:
    finding = {"rule": "T02", "decides": True, "confidence": "likely", "help": {"tried": None}}
    report = {
        "cause": "user-script",
        "findings": [finding | {"rule": "L01", "decides": False}, finding],
        "experiments": [{"made": True}, {"made": False}],
        "internal_errors": [{}],
    }
    answer = read(json.loads(json.dumps(report)))
    assert answer == Answer("user-script", ("L01", "T02"), "T02", True, False, 1, 1)


def test_what_a_tool_says_is_right_only_about_the_kinds_that_its_check_is_about() -> None:
    assert right("UMLAUT", {"rate is high"}, ("T03",))
    assert not right("UMLAUT", {"rate is high"}, ("T04",))
    assert not right("UMLAUT", {"input is not floating"}, ("M06",))


def test_the_page_counts_pairs() -> None:
    text = page([judged(RIGHT), judged(SILENT)], 1, 2)
    assert "| the right rule first | 1 of 2 (9-91%) |" in text
    assert "| silent | 1 of 2 (9-91%) |" in text
    assert "| T02 | 2 | 1 |  | 1 |  | 1 |  |" in text
