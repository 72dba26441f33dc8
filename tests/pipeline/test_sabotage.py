"""Whatever a script does, it is a reported result, and the scripts beside it keep theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.cases.case import read_case
from bridge.pipeline.examine_case import Examined, Settings, Suite
from bridge.process.pool import MIB, Limits, Pool

pytestmark = [pytest.mark.r, pytest.mark.tf]

GOOD = """
library(reticulate)
keras <- import("keras")
model <- keras$Sequential(list(
  keras$layers$InputLayer(shape = list(2L)),
  keras$layers$Dense(3L, activation = "relu", kernel_initializer = "ones")
))
print(model$predict(matrix(c(-1, 0.5, 2, 3), 2), verbose = 0L))
"""

#: name: (script, words that the sentence or a note has to contain)
SCRIPTS = {
    "does_not_parse": ("x <- (1 +\ny }\n", "does not parse: line 2, column 3"),
    "empty": ("# only a comment\n", "is empty"),
    "no_keras": ("print(1 + 1)\n", "never calls Keras"),
    "stops": ("f <- function() {\n  stop('no luck')\n}\nf()\n", "R itself stops at line 2"),
    "quits": ("cat('a')\nquit(status = 3)\n", "quit() at line 2 with status 3"),
    "reads_stdin": ("x <- readLines(file('stdin'))\n", "reads from standard input"),
    "reads_console": ("x <- readline('name? ')\n", "reads from standard input (line 1)"),
    "never_ends": (
        "#| seconds: 10\nrepeat {}\n",
        "did not end in time and was stopped at line 2",
    ),
    "eats_memory": (
        "x <- list()\nrepeat x[[length(x) + 1]] <- rep(1, 2e7)\n",
        "more memory than it may",
    ),
    "wants_too_much": ("x <- numeric(1e12)\n", "cannot allocate vector"),
    "kills_itself": ("tools::pskill(Sys.getpid(), 9)\n", "SIGKILL"),
    "crashes": ("tools::pskill(Sys.getpid(), 11)\n", "SIGSEGV"),
    "leaves_through_python": (
        "reticulate::py_run_string('import os; os._exit(3)')\n",
        "ended with code 3",
    ),
    "floods": ("repeat cat(strrep('x', 1e6))\n", "floods its output"),
    "floods_natively": ("system('yes')\n", "floods its output"),
    "recurses": ("f <- function(n) f(n + 1)\nf(1)\n", "line 2"),
    "moves_and_sets": (
        "setwd(tempdir())\noptions(digits = 3, warn = 2)\n",
        "changed R's options: digits, warn",
    ),
    "hides_base": (
        "c <- function(...) stop('mine')\npaste <- c\nnames <- c\nlibrary(reticulate)\n"
        "print(import('numpy')$sum(matrix(1:4, 2)))\n",
        "prints the same 1 number",
    ),
}

RUN_THROUGH = {"no_keras", "hides_base", "reads_stdin", "reads_console", "moves_and_sets"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "good.R").write_text(GOOD)
    (folder / "latin1.R").write_bytes(b'x <- "caf\xe9"\n')
    for name, (text, _) in SCRIPTS.items():
        (folder / f"{name}.R").write_text(text)
    return folder


@pytest.fixture(scope="module")
def examined(folder: Path) -> dict[str, Examined]:
    # Only what never ends is to meet the clock: a busy machine may be slow at everything else.
    settings = Settings(limits=Limits(seconds=120, memory_bytes=1500 * MIB))
    with Suite(settings) as suite:
        cases = [read_case(script) for script in sorted(folder.glob("*.R"))]
        return {each.report.case: each for each in suite.examine(cases)}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_the_result_says_what_the_script_did(examined: dict[str, Examined], name: str) -> None:
    report = examined[name].report
    told = " ".join([report.sentence, *report.explanation, *report.notes])
    assert SCRIPTS[name][1] in told, told


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - RUN_THROUGH))
def test_a_script_that_stops_has_failed_by_its_own_doing(
    examined: dict[str, Examined], name: str
) -> None:
    report = examined[name].report
    assert (report.verdict, report.cause) == ("failed", "user-script")


def test_a_script_that_is_not_utf8_is_told_where(examined: dict[str, Examined]) -> None:
    sentence = examined["latin1"].report.explanation[0]
    assert "byte 0xe9 at line 1, column 10" in sentence


def test_the_script_beside_them_keeps_its_result(
    examined: dict[str, Examined], folder: Path, pool: Pool
) -> None:
    with Suite(Settings(), pool=pool) as suite:
        (alone,) = suite.examine([read_case(folder / "good.R")])
    beside = examined["good"]
    assert beside.report.verdict in ("same-bits", "within-rounding")
    assert beside.report.sentence == alone.report.sentence
    assert beside.report.pairs == alone.report.pairs


def test_the_working_folder_of_the_caller_stays_as_it_was(
    examined: dict[str, Examined], folder: Path
) -> None:
    assert examined
    assert {path.suffix for path in folder.iterdir()} == {".R"}
