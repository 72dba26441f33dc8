"""Scripts made smaller: what is cut out, what is left, and that it still shows the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.capsule import ErrorRecord, Manifest
from bridge.capsule.schema import Output
from bridge.cases.case import read_case
from bridge.pipeline.examine_case import Settings, Suite
from bridge.process.pool import Pool
from bridge.r.script import inspect
from bridge.reduce.reproducer import Shown, issue
from bridge.reduce.script_reduction import (
    Kind,
    closed,
    cuts,
    reprex,
    tidied,
    without,
)

SCRIPT = """\
# what it is about
set.seed(3)
x <- 1; y <- "two
lines"
f <- function(a) {
\tz <- a %in% 300L
  z
}
m <- start(10) %>%
  add(units = 64, rate = 0.5) %>%
  stop_here("é") |> last()
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Any, ...], ...]:
    path = tmp_path_factory.mktemp("cut") / "script.R"
    path.write_text(SCRIPT, "utf-8")
    _, (inspection,) = inspect([path])
    return inspection.tree


def pieces(tree: tuple[tuple[Any, ...], ...], kind: Kind) -> list[str]:
    return [SCRIPT[cut.start : cut.end] for cut in cuts(SCRIPT, tree, kind)]


@pytest.mark.r
def test_statements_can_go_and_those_between_braces(tree: tuple[tuple[Any, ...], ...]) -> None:
    found = pieces(tree, "statements")
    assert [each.split("\n")[0] for each in found] == [
        "x <- 1;", 'y <- "two', "f <- function(a) {", "z <- a %in% 300L", "z",
        "m <- start(10) %>%",
    ]  # fmt: skip
    assert found[1].endswith('lines"')


@pytest.mark.r
def test_a_step_of_a_pipe_goes_with_the_pipe_that_leads_on(
    tree: tuple[tuple[Any, ...], ...],
) -> None:
    assert pieces(tree, "steps") == [
        "add(units = 64, rate = 0.5) %>%", 'stop_here("é") |>', "|> last()",
    ]  # fmt: skip


@pytest.mark.r
def test_large_whole_numbers_become_two(tree: tuple[tuple[Any, ...], ...]) -> None:
    found = cuts(SCRIPT, tree, "numbers")
    assert [(SCRIPT[each.start : each.end], each.by) for each in found] == [
        ("300L", "2L"), ("10", "2"), ("64", "2"),
    ]  # fmt: skip


@pytest.mark.r
def test_lines_keep_their_numbers_until_the_gaps_are_closed(
    tree: tuple[tuple[Any, ...], ...],
) -> None:
    gone = [*cuts(SCRIPT, tree, "statements")[:5], *cuts(SCRIPT, tree, "steps")[:1]]
    left = without(SCRIPT, [*gone, *cuts(SCRIPT, tree, "numbers")[1:2]])
    assert len(left) == len(SCRIPT)
    assert left.split("\n")[10] == SCRIPT.split("\n")[10]
    assert tidied(closed(SCRIPT, left)) == (
        'set.seed(3)\nm <- start(2) %>%\n  stop_here("é") |> last()\n'
    )


@pytest.mark.r
def test_what_is_printed_stands_after_the_statement_that_printed_it(
    tree: tuple[tuple[Any, ...], ...],
) -> None:
    run = Manifest(
        runner="r", case="c", status="error",
        output=(
            Output(stream="stdout", text="[1] 1\n", line=3),
            Output(stream="native", text="E0000 00:00:12.5  123 cuda_platform.cc:52] no\n"),
        ),
        error=ErrorRecord(language="r", cls="error", message="no luck", line=9),
    )  # fmt: skip
    lines = reprex(SCRIPT, tree, run).split("\n")
    assert lines[3:5] == ['lines"', "#> [1] 1"]
    assert lines[-2] == "#> Error: no luck"
    assert "cuda" not in "\n".join(lines)


def test_no_fence_of_an_issue_is_ended_by_what_stands_in_it() -> None:
    text = issue("T", ["S."], [Shown("In R", "r", "x <- '```'", "```")], "R 4")
    assert text.count("```") == 4
    assert text.startswith("# T\n\nS.\n")
    assert text.endswith("With R 4.\n")


FRACTION = """\
#| title: half a unit
# nothing of it matters but two lines
library(keras3)
words <- c("a", "b")
size <- 9.2 / 2
model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(units = 2, kernel_initializer = "ones") |>
  layer_dense(units = size, kernel_initializer = "ones")
"""


@pytest.mark.r
@pytest.mark.tf
def test_a_script_keeps_the_lines_that_show_what_was_found(pool: Pool, tmp_path: Path) -> None:
    script = tmp_path / "fraction.R"
    script.write_text(FRACTION)
    (tmp_path / "words.txt").write_text("beside it")
    with Suite(Settings(frontend="standin"), pool=pool) as suite:
        (examined,) = suite.examine([read_case(script)])
        assert examined.report.cause == "r-conversion"
        made = suite.make_small(read_case(script), examined, tmp_path / "small")
    text = (tmp_path / "small" / "repro.R").read_text()
    assert "layer_dense(units = size" in text
    assert "words" not in text
    assert "units = 2" not in text
    assert "cut off" in (tmp_path / "small" / "repro.md").read_text()
    assert "and does the same" in " ".join(made.sentences)
    assert [path.name for path in made.files][:2] == ["repro.R", "repro.py"]
    assert script.read_text() == FRACTION


@pytest.mark.r
@pytest.mark.tf
def test_of_a_script_that_shows_nothing_there_is_no_smaller_one(pool: Pool, tmp_path: Path) -> None:
    script = tmp_path / "fine.R"
    script.write_text("library(keras3)\nprint(op_relu(-1))\n")
    with Suite(Settings(frontend="standin"), pool=pool) as suite:
        (examined,) = suite.examine([read_case(script)])
        made = suite.make_small(read_case(script), examined, tmp_path / "small")
    assert made.sentences == (
        "No script was made smaller: there is neither a difference nor a cause that it would have "
        "to show.",
    )
    assert not (tmp_path / "small").exists()
