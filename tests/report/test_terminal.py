"""A table on a terminal, plain text in a pipe, the worst first in both."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bridge.report import print_summary, summary_table
from tests.report_samples import HOSTILE, different, failed, hostile, matching, same_error

CASES = [matching(), same_error(), failed(), different()]


def on_a_terminal(width: int) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, height=50, color_system=None
    )
    console.print(summary_table(CASES))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def piped(*reports: object) -> str:
    stream = io.StringIO()
    print_summary(reports, stream)  # type: ignore[arg-type]
    return stream.getvalue()


def test_a_pipe_gets_one_plain_line_for_each_case_worst_first() -> None:
    lines = piped(*CASES).splitlines()
    assert [line.split()[0] for line in lines] == [
        *("case", "different", "failed", "matching", "same_error"),
    ]
    assert "\u2500" not in "".join(lines)
    assert all(line == line.rstrip() for line in lines)


def test_a_line_has_verdict_cause_worst_number_front_end_and_sentence() -> None:
    line = piped(matching()).splitlines()[1]
    for part in (
        "within-rounding",
        "none",
        "0.499 of the bound",
        "stand-in keras",
        matching().sentence,
    ):
        assert part in line


def test_what_was_expected_is_said_where_it_did_not_come() -> None:
    assert "Expected: within-rounding." in piped(different())
    assert "Expected" not in piped(matching())


def test_a_wide_terminal_has_the_sentences_in_the_table() -> None:
    shown = on_a_terminal(200)
    assert "sentence" in shown
    assert "\u2500" in shown


@pytest.mark.parametrize("width", [80, 100])
def test_a_narrow_terminal_has_the_sentences_below_the_table(width: int) -> None:
    lines = [line.rstrip() for line in on_a_terminal(width).splitlines()]
    assert max(map(len, lines)) <= width
    assert any(line.startswith("failed: The script did not end") for line in lines)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_do_not_reach_the_terminal_as_controls(words: str) -> None:
    for shown in (piped(hostile(words)), piped(hostile(f"[red]{words}[/nothing]"))):
        assert not set(shown) & set("\x00\x07\x1b\u202e\u2066")
        assert len(shown.splitlines()) == 2
    assert "[red]" in shown
