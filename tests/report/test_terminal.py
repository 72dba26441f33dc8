"""The answer on a terminal: a page at most, plain in a pipe, what asks for attention first."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bridge.report import CaseReport, print_case, print_suite
from bridge.report.schema import SourceLine
from bridge.report.terminal import MOST_LINES, WIDTH
from bridge.rules.rule import EvidenceRow, Finding, Help, Span, Tried
from tests.report_samples import HOSTILE, different, failed, hostile, matching, same_error

CASES = [matching(), same_error(), failed(), different()]
FINDING = Finding(
    rule="L06",
    name="targets-out-of-range",
    headline="The last sigmoid cannot reach the targets",
    whose="yours",
    cause="maths",
    spans=(Span(line=2, column=14, end_column=22, label="0 to 1"), Span(line=1, primary=False)),
    why="It gives 0 to 1. " + "The targets lie beyond it. " * 2,
    evidence=tuple(EvidenceRow(changed=f"row {n}", outcome="another number") for n in range(5)),
    help=Help(text="Leave it linear.", before="a", after="b", tried=Tried(outcome="it helps")),
    open=("what is left",),
)


def found(**update: object) -> CaseReport:
    source = (
        SourceLine(number=1, text="library(keras)"),
        SourceLine(number=2, text="\tlayer_dense('sigmoid')" + " # and so on" * 20),
    )
    finding = FINDING.model_copy(update=update)
    return matching().model_copy(
        update={"findings": (finding, finding), "source": source, "cause": "maths"}
    )


def piped(report: CaseReport) -> str:
    stream = io.StringIO()
    print_case(report, Path("reports/index.html"), stream)
    return stream.getvalue()


def suite(*reports: CaseReport, changed: dict[str, str] | None = None) -> str:
    stream = io.StringIO()
    print_suite(reports, 12.3, changed or {}, stream)
    return stream.getvalue()


def test_a_case_is_a_page_at_most_and_ends_with_where_its_page_lies() -> None:
    lines = piped(found()).splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= WIDTH
    assert lines[0] == (
        "wrong  r_scripts/matching.R:2  The last sigmoid cannot reach the targets  [L06, proven]"
    )
    assert lines[-1] == "  page   reports/index.html"
    assert all(line == line.rstrip() for line in lines)


def test_what_is_marked_stands_above_its_mark() -> None:
    lines = piped(found()).splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("   2 |"))
    mark = lines[place + 1]
    assert mark.endswith("^ 0 to 1")
    start, end = mark.index("^"), mark.rindex("^") + 1
    assert lines[place][start:end] == "'sigmoid'"


def test_why_and_help_stay_where_a_page_is_too_short() -> None:
    many = found(why="It is so because of this. " * 40)
    shown = piped(many)
    assert len(shown.splitlines()) <= MOST_LINES
    assert "It is so because of this." in shown
    assert "row 0" not in shown


def test_a_report_without_a_finding_says_its_sentence() -> None:
    assert matching().sentence in piped(matching().model_copy(update={"findings": ()}))


def test_a_suite_has_a_line_a_case_in_groups_and_a_count_at_the_end() -> None:
    lines = [line for line in suite(*CASES).splitlines() if line]
    cases = [line.split()[0] for line in lines if line.startswith("  ")]
    assert cases == ["different", "failed", "same_error", "matching"]
    assert lines[0] == "Not as expected (2)"
    assert "Explained (1)" in lines
    assert "Nothing wrong (1)" in lines
    assert lines[-1] == "2 of 4 cases as expected, in 12 s."


def test_what_was_expected_is_said_where_it_did_not_come() -> None:
    assert "expected within-rounding]" in suite(different())
    assert "expected" not in suite(matching()).splitlines()[1]


def test_what_changed_since_the_last_run_is_told_with_what_it_was() -> None:
    shown = suite(matching(), changed={"matching": "It was otherwise"})
    assert shown.startswith("Changed since the last run here (1)")
    assert "before: It was otherwise" in shown


def test_nothing_is_red_that_was_expected() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system="standard")
    assert isinstance(console.file, io.StringIO)
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    print_suite([same_error()], 1.0, {}, stream)
    assert "\x1b[1;31m" not in stream.getvalue()
    assert "\x1b[31m" not in stream.getvalue()


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_do_not_reach_the_terminal_as_controls(words: str) -> None:
    for report in (hostile(words), hostile(f"[red]{words}[/nothing]")):
        for shown in (piped(report), suite(report)):
            assert not set(shown) & set("\x00\x07\x1b\u202e\u2066")
    assert "[red]" in piped(hostile(f"[red]{words}[/nothing]"))
