"""A stranger's script is contained: what it does to others fails, and its result says what it did.

These scripts would do harm outside; each runs without network, with no process but its own, and
with every file read-only but those of its own folder.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.capsule import Capsule
from bridge.cases.case import read_case
from bridge.pipeline.examine_case import Examined, Settings, Suite
from bridge.process.pool import MIB, Limits, Pool
from bridge.process.sandbox import why_not

pytestmark = [pytest.mark.r, pytest.mark.tf]

REASON = why_not() if sys.platform == "linux" else "only Linux has namespaces"
needs_namespaces = pytest.mark.skipif(bool(REASON), reason=f"no containment here: {REASON}")

GOOD = """
library(reticulate)
keras <- import("keras")
model <- keras$Sequential(list(
  keras$layers$InputLayer(shape = list(2L)),
  keras$layers$Dense(3L, activation = "relu", kernel_initializer = "glorot_uniform"),
  keras$layers$Dense(2L)
))
model$compile(loss = "mse", optimizer = "sgd")
x <- matrix(c(-1, 0.5, 2, 3), 2)
model$fit(x, x, epochs = 2L, verbose = 0L)
print(model$predict(x, verbose = 0L))
"""

#: name: (script, words that the sentence, a note or what it printed has to contain)
SCRIPTS = {
    "fork_bomb": ('system("f() { f | f & }; f")\ncat("went on")\n', "went on"),
    "kills_everybody": ("tools::pskill(-1, 9)\ncat('alone')\n", "alone"),
    "kills_its_parent": (
        "os <- reticulate::import('os')\ntools::pskill(os$getppid(), 9)\ncat('alive')\n",
        "alive",
    ),
    "terminates_itself": ("tools::pskill(Sys.getpid(), 15)\nSys.sleep(5)\n", "SIGTERM"),
    "aborts": ("reticulate::py_run_string('import os; os.abort()')\n", "SIGABRT"),
    "segfaults": (
        "reticulate::py_run_string('import ctypes; ctypes.string_at(0)')\n",
        "SIGSEGV",
    ),
    "closes_everything": (
        "reticulate::py_run_string('import os; os.closerange(0, 200)')\n",
        "did not reach its end",
    ),
    "writes_into_its_own_record": (
        "cat('{garbage\\n', file = file.path(Sys.getenv('TMPDIR'), 'events.jsonl'))\nx <- 1\n",
        "did not reach its end",
    ),
    "deletes_files": ("print(unlink('VICTIM'))\nprint(file.exists('VICTIM'))\n", "[1] TRUE"),
    "writes_elsewhere": ("writeLines('x', 'ELSEWHERE')\n", "R itself stops at line 1"),
    "wants_the_network": (
        "s <- socketConnection('192.0.2.1', 80, timeout = 3)\n",
        "R itself stops at line 1",
    ),
    "leaves_threads": (
        "reticulate::py_run_string('import threading, time\\nfor _ in range(20): "
        "threading.Thread(target=time.sleep, args=(1000,)).start()')\ncat('threads are left')\n",
        "threads are left",
    ),
    "leaves_a_daemon": ("system('setsid sleep 1000 &')\ncat('went away')\n", "went away"),
    "leaks_options": (
        "tf <- reticulate::import('tensorflow')\n"
        "tf$config$optimizer$set_experimental_options(list(remapping = FALSE))\n"
        "tf$config$run_functions_eagerly(TRUE)\n",
        "calls into Python",
    ),
    "empties_r": (
        "options(keras_bridge = NULL)\nrm(list = ls(all.names = TRUE))\ngc()\ncat('empty')\n",
        "empty",
    ),
    "sets_the_environment": (
        "Sys.setenv(PATH = '', TF_USE_LEGACY_KERAS = '1', R_LIBS = '/nowhere')\ncat('settled')\n",
        "settled",
    ),
    "prints_what_is_no_text": (
        "cat(rawToChar(as.raw(c(0xff, 0xfe, 0x41))))\ncat('printed')\n",
        "printed",
    ),
    "draws_for_ever": (
        "#| seconds: 8\nfor (i in 1:1e6) plot.new()\n",
        "did not end in time and was stopped at line 2",
    ),
    "fills_the_disk": (
        "#| seconds: 8\nx <- raw(1e6)\nf <- file('big', 'wb')\nrepeat writeBin(x[1:10], f)\n",
        "did not end in time",
    ),
    "forks_r": (
        "for (i in 1:5) parallel::mcparallel(Sys.sleep(1000))\ncat('forked')\n",
        "forked",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strangers")
    victim, elsewhere = folder / "victim", folder / "elsewhere"
    victim.write_text("precious")
    (folder / "good.R").write_text(GOOD)
    for name, (text, _) in SCRIPTS.items():
        named = text.replace("VICTIM", str(victim)).replace("ELSEWHERE", str(elsewhere))
        (folder / f"{name}.R").write_text(named)
    return folder


@pytest.fixture(scope="module")
def examined(folder: Path) -> dict[str, Examined]:
    limits = Limits(seconds=120, memory_bytes=1500 * MIB)
    with Suite(Settings(limits=limits, quick=False, sandbox=True)) as suite:
        cases = [read_case(script) for script in sorted(folder.glob("*.R"))]
        return {each.report.case: each for each in suite.examine(cases)}


def _told(examined: Examined) -> str:
    printed = [each.text for each in examined.runs["r"].manifest.output]
    return " ".join([*examined.report.explanation, *examined.report.notes, *printed])


@needs_namespaces
@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_the_result_says_what_a_contained_script_did(
    examined: dict[str, Examined], name: str
) -> None:
    assert SCRIPTS[name][1] in _told(examined[name]), _told(examined[name])


@needs_namespaces
def test_what_it_would_delete_or_write_elsewhere_is_as_it_was(
    examined: dict[str, Examined], folder: Path
) -> None:
    assert examined
    assert (folder / "victim").read_text() == "precious"
    assert not (folder / "elsewhere").exists()


@needs_namespaces
def test_nothing_that_it_started_outlives_it(examined: dict[str, Examined]) -> None:
    assert examined
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 1000" not in found.stdout


@needs_namespaces
def test_the_report_says_how_it_was_contained(examined: dict[str, Examined]) -> None:
    notes = " ".join(examined["good"].report.notes)
    assert "Contained: no network, read-only files but its own" in notes


@needs_namespaces
def test_the_script_beside_them_has_the_bytes_that_it_has_alone(
    examined: dict[str, Examined], folder: Path, pool: Pool
) -> None:
    with Suite(Settings(), pool=pool) as suite:
        (alone,) = suite.examine([read_case(folder / "good.R")])
    beside = examined["good"]
    assert beside.report.sentence == alone.report.sentence
    assert beside.report.pairs == alone.report.pairs
    assert _results(beside.runs["r"]) == _results(alone.runs["r"])


def _results(capsule: Capsule) -> list[object]:
    return [
        (probe.kind, probe.curves, [capsule.array(each).tobytes() for each in probe.outputs])
        for probe in capsule.manifest.probes
    ]
