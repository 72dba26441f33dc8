"""What one case costs: a warm run beside plain R and plain Python from cold, in the same minutes.

``python benchmarks/run.py`` writes ``benchmarks/RUN.md``. Times on a busy machine say little by
themselves: the ratios do, because the rounds take turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

from bridge.cases.case import choose, find_cases, suite_folders
from bridge.pipeline.examine_case import Settings, Suite, write
from bridge.r.script import inspect, serve

HERE = Path(__file__).parent
CASE = "relu_middle_dense"
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MIB = 2**20


class Memory:
    """The most that any one process below this one held, in MiB, sampled every 50 ms."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.05):
            for process in [me, *me.children(recursive=True)]:
                try:
                    self.peak = max(self.peak, process.memory_info().rss / MIB)
                except psutil.Error:
                    continue


@dataclass
class Measured:
    """One way to run the case."""

    name: str
    work: Callable[[], None]
    seconds: list[float] = field(default_factory=list)
    peak: float = 0.0

    def measure(self) -> None:
        """Do it once."""
        with Memory() as memory:
            started = time.perf_counter()
            self.work()
            self.seconds.append(time.perf_counter() - started)
        self.peak = max(self.peak, memory.peak)

    @property
    def median(self) -> float:
        """The median time in seconds."""
        return statistics.median(self.seconds)


def main() -> None:
    """Measure and write the page."""
    (case,) = choose(find_cases(suite_folders()), [CASE])
    installed, (inspection,) = inspect([case.script])
    served = serve(inspection.package, "auto", installed)
    environment = os.environ | {
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "RETICULATE_PYTHON": sys.executable,
        "R_LIBS": os.pathsep.join([*served.libraries, os.environ.get("R_LIBS", "")]),
    }
    folder = Path(tempfile.mkdtemp(prefix="bench-run-"))

    def command(*words: str) -> None:
        subprocess.run(
            words, cwd=folder, env=environment, check=True, capture_output=True, timeout=600
        )

    twin = f"import runpy; runpy.run_path({str(case.twin)!r})['twin']()"
    with Suite(Settings()) as suite:

        def warm() -> None:
            write(list(suite.examine([case])), folder / "warm")

        warm()
        ways = [
            Measured("Rscript, from cold", lambda: command("Rscript", str(case.script))),
            Measured("Python twin, from cold", lambda: command(sys.executable, "-c", twin)),
            Measured(
                "`keras-bridge run`, from cold",
                lambda: command(sys.executable, "-m", "bridge", "run", CASE, "--out", "cold"),
            ),
            Measured("`keras-bridge run`, warm", warm),
        ]
        for turn in range(ROUNDS):
            for way in ways:
                print(f"round {turn + 1} of {ROUNDS}: {way.name}", file=sys.stderr)
                way.measure()
    page = _page(ways, f"{served.frontend.kind} front end", installed.r)
    (HERE / "RUN.md").write_text(page)
    print(page)


def _page(ways: list[Measured], frontend: str, r: str) -> str:
    both = ways[0].median + ways[1].median
    rows = [
        f"| {way.name} | {way.median:.1f} | {min(way.seconds):.1f} to {max(way.seconds):.1f} "
        f"| {way.median / both:.2f} | {way.peak:,.0f} |"
        for way in ways
    ]
    largest = max(way.peak for way in ways)
    return "\n".join(
        [
            "# What one case costs",
            "",
            f"`make bench-run` wrote this page: the case `{CASE}` (24 predictions of 1,000",
            f"points), {ROUNDS} rounds in turn, R {r}, {frontend}, {os.cpu_count()} cores.",
            "",
            "| what | median seconds | range | share of both cold processes | peak MiB |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "The two cold processes are plain `Rscript` and plain Python running the same models,",
            "without recording or comparing anything. A warm run is one case in a suite whose R",
            "and TensorFlow are already loaded: R, twin, replay, a look at every layer, the",
            "reference, the comparison, the pictures and the page.",
            "",
            f"- Warm run against both cold processes together: **{ways[3].median / both:.2f}**",
            "  (wanted: at most 0.5).",
            f"- Largest process: **{largest:,.0f} MiB** (wanted: at most 1,536).",
            "",
        ]
    )


if __name__ == "__main__":
    main()
