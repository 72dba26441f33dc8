"""Saying how far a long training is: a bar for a person, sentences for a program."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: What takes less time than this, in seconds, shows no bar.
PATIENCE: Final = 2.0


class Bar:
    """Tells how many of ``total`` nets are trained; use it as a context manager.

    Args:
        title: what is trained.
        total: nets.
        tell: told a sentence now and then instead of showing a bar, where it is given.
    """

    def __init__(self, title: str, total: int, tell: Callable[[str], None] | None = None) -> None:
        self._title, self._total, self._tell = title, total, tell
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, nets: int) -> None:
        """Count ``nets`` more as trained."""
        self._done += nets
        if self._tell is not None:
            self._tell(f"{self._title}: {self._done:,} of {self._total:,} nets")
        elif self._bar is None and sys.stderr.isatty() and self._elapsed() > PATIENCE:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task(self._title, total=self._total, completed=self._done)
            self._bar.start()
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started
