"""What the commands have in common: options, progress, and one sentence where nothing can go on."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from bridge.pipeline.case_run import Examined, Settings
    from bridge.pipeline.examine_case import Suite
    from bridge.report import CaseReport

#: Exit codes: as expected; something is not; the command or the machine is at fault.
OK: Final = 0
UNEXPECTED: Final = 1
BROKEN: Final = 2


def settings(frontend: str, seconds: float, memory: int, **more: Any) -> Settings:
    """Return how scripts are run, as the options say; stop at one that cannot be."""
    if frontend not in ("auto", "cran", "standin"):
        stop(f"--frontend is auto, cran or standin, not {frontend!r}.")
    from bridge.pipeline.case_run import Settings
    from bridge.process.pool import MIB, Limits

    limits = Limits(seconds, memory * MIB)
    return Settings(**{"frontend": frontend, "jobs": 1, "limits": limits, **more})


def cases_at_once() -> int:
    """Return how many cases to run at once: each takes a few processes of a GiB."""
    import psutil

    roomy = psutil.virtual_memory().available >= 8 * 2**30
    return 2 if roomy and (os.cpu_count() or 1) >= 2 else 1


@contextmanager
def suite_with(options: Settings) -> Iterator[Suite]:
    """Give a suite that runs with these settings and shows what it does."""
    from bridge.pipeline.examine_case import Suite

    if options.sandbox:
        from bridge.process.sandbox import why_not

        reason = why_not()
        if reason:
            stop(
                f"--sandbox cannot be had on this machine: {reason}. Nothing was run; without "
                "--sandbox the script may do whatever you may."
            )
    with (
        Progress("starting R and TensorFlow") as progress,
        Suite(options, progress.step) as suite,
    ):
        yield suite


@contextmanager
def environment_errors() -> Iterator[None]:
    """Turn what is wrong with the machine into one sentence and exit code 2."""
    from bridge.process.pool import PoolError
    from bridge.r.script import NoFrontEndError, NoRError
    from bridge.r.standin.build import StandinError

    try:
        yield
    except (NoFrontEndError, NoRError, StandinError, PoolError) as error:
        stop(str(error))


class Progress:
    """Says on a terminal's stderr what is being done; silent when it is piped.

    Nothing is shown before ``after`` seconds.
    """

    def __init__(self, first: str = "", after: float = 0.0) -> None:
        self._shown = sys.stderr.isatty()
        self._started = time.monotonic()
        self._first, self._after = first, after

    def __enter__(self) -> Progress:
        self.step("", self._first)
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def step(self, case: str, what: str) -> None:
        """Say what is being done."""
        passed = time.monotonic() - self._started
        if self._shown and passed >= self._after:
            text = f"[{passed:5.1f} s] {case} {what}".replace("]  ", "] ")
            sys.stderr.write(f"\r\x1b[2K{text[:100]}")
            sys.stderr.flush()


class CaseLines:
    """Writes one plain line on stderr for each case that is done, also where it is piped."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._lock = threading.Lock()

    def __call__(self, examined: Examined, seconds: float) -> None:
        """Say what became of a case, and how long it took."""
        from bridge.report.text import one_line

        report = examined.report
        with self._lock:
            self._done += 1
            # The live display stands in the same line; it comes back with the next step.
            start = "\r\x1b[2K" if sys.stderr.isatty() else ""
            parts = (report.case, report.verdict, report.cause, f"{seconds:.1f} s")
            text = "  ".join(one_line(part) for part in parts)
            sys.stderr.write(f"{start}[{self._done}/{self._total}] {text}\n")
            sys.stderr.flush()


#: What a command prints of what it found.
FORMATS: Final = ("text", "json", "sarif", "github")


def check_format(name: str) -> None:
    """Find out before anything runs whether there is such a format."""
    if name not in FORMATS:
        stop(f"--format is {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, not {name!r}.")


def check_observed(observed: Path | None) -> None:
    """Find out before anything runs whether the observations can be read."""
    from bridge.explain.observations import ObservedError, read_observed

    if observed is None:
        return
    try:
        read_observed(observed)
    except ObservedError as error:
        stop(str(error))


def check_out(out: Path) -> None:
    """Find out before anything runs whether the folder can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        stop(f"The folder {out} cannot be written ({error.strerror}): choose another with --out.")


def stop(sentence: str) -> NoReturn:
    """Say on stderr what to do, and end with exit code 2."""
    print(f"keras-bridge: {sentence}", file=sys.stderr)
    raise typer.Exit(BROKEN)


def is_unexpected(report: CaseReport) -> bool:
    """Say whether a case is not as its header expects; without one, agreement is expected."""
    if report.expected is not None:
        return not report.expected.met
    return report.verdict in ("different", "failed")
