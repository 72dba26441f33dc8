"""The suite's table on a terminal, and the same as plain text when it is piped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import IO, Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from bridge.compare.result import Verdict
from bridge.report.order import unmet, worst_cases, worst_number
from bridge.report.schema import CaseReport
from bridge.report.text import one_line
from bridge.report.words import SIGNS, front_end_short

_COLOURS: Final[dict[Verdict, str]] = {
    "failed": "bold red",
    "different": "bold red",
    "abstained": "yellow",
    "within-rounding": "cyan",
    "same-error": "magenta",
    "same-bits": "green",
}

#: On a narrower terminal the sentences stand below the table.
_WIDE: Final = 140
#: Wide enough that a row of plain text is one line, for grep and its like.
_PLAIN_WIDTH: Final = 1_000_000


class SummaryTable(Table):
    """The table of a suite; on a narrow terminal its sentences stand below it."""

    def __init__(self, reports: Sequence[CaseReport], *, sentences: bool) -> None:
        """Make the table of ``reports`` in their order, with or without their sentences."""
        super().__init__(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        self._reports = reports
        self.add_column("case", overflow="fold")
        self.add_column("verdict", no_wrap=True)
        self.add_column("cause", overflow="fold")
        self.add_column("worst", overflow="fold")
        self.add_column("front end", overflow="fold")
        if sentences:
            self.add_column("sentence", overflow="fold", min_width=30)
        for report in reports:
            number, unit, _ = worst_number(report)
            cells = [
                Text(one_line(report.case)),
                Text(f"{SIGNS[report.verdict]} {report.verdict}", _COLOURS[report.verdict]),
                Text(one_line(report.cause)),
                Text(f"{number} {unit}".strip()),
                Text(one_line(front_end_short(report.frontend))),
                Text(_sentence(report)),
            ]
            self.add_row(*cells[: len(self.columns)])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table in the way that fits where it goes."""
        if not options.is_terminal:
            yield from super().__rich_console__(console, options)
            return
        self.box = box.SIMPLE_HEAD
        if options.max_width >= _WIDE or len(self.columns) < 6:
            yield from super().__rich_console__(console, options)
            return
        yield SummaryTable(self._reports, sentences=False)
        for report in self._reports:
            case = (f"{one_line(report.case)}: ", _COLOURS[report.verdict])
            yield Text.assemble(case, _sentence(report))


def summary_table(reports: Sequence[CaseReport]) -> Table:
    """Return the table of ``reports``, the worst first."""
    return SummaryTable(worst_cases(reports), sentences=True)


def print_summary(reports: Sequence[CaseReport], file: IO[str] | None = None) -> None:
    """Print the table to ``file``, or to standard output; a row is a line when it is piped."""
    stream = file or sys.stdout
    console = Console(file=stream, highlight=False)
    if console.is_terminal:
        console.print(summary_table(reports))
        return
    plain = Console(file=stream, width=_PLAIN_WIDTH, highlight=False, color_system=None)
    with plain.capture() as captured:
        plain.print(summary_table(reports))
    print("\n".join(line.rstrip() for line in captured.get().splitlines()), file=stream)


def _sentence(report: CaseReport) -> str:
    sentence = one_line(report.sentence)
    if unmet(report) and report.expected is not None and report.expected.verdict:
        return f"{sentence} Expected: {one_line(report.expected.verdict)}."
    return sentence
