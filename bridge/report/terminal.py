"""The report on a terminal, and the text of a failed test."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from bridge.cases.claims import Holds
from bridge.compare.result import Verdict
from bridge.report.ranking import unmet, worst_cases, worst_number
from bridge.report.schema import CaseReport
from bridge.report.text import one_line
from bridge.report.words import SIGNS, claim_word, failed_steps, front_end_short

_COLOURS: Final[dict[Verdict, str]] = {
    "failed": "bold red",
    "different": "bold red",
    "abstained": "yellow",
    "within-rounding": "cyan",
    "same-error": "magenta",
    "same-bits": "green",
}

_CLAIMS: Final[dict[Holds, str]] = {
    "holds": "green",
    "does not hold": "bold red",
    "holds in part": "cyan",
    "undecided": "yellow",
}

#: On a narrower terminal the sentences stand below the table.
_WIDE: Final = 140
#: With the sentences, the table has so many columns.
_COLUMNS: Final = 6
#: Wide enough that a row of plain text is one line, for grep and its like.
_PLAIN_WIDTH: Final = 1_000_000
#: So many observations that a cause leaves unexplained are named.
_LEFT: Final = 3


class SummaryTable(Table):
    """The table of a suite; on a narrow terminal its sentences stand below it."""

    def __init__(
        self, reports: Sequence[CaseReport], *, sentences: bool, between: str = "\n"
    ) -> None:
        """Make the table of ``reports`` in their order, with or without their sentences.

        ``between`` stands between a sentence, its cause and what that leaves unexplained.
        """
        super().__init__(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        self._reports = reports
        self._between = between
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
                Text(between.join([_sentence(report), *_below(report)])),
            ]
            self.add_row(*cells[: len(self.columns)])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table in the way that fits where it goes."""
        if not options.is_terminal:
            if self._between == " ":
                yield from super().__rich_console__(console, options)
                return
            # A row is a line there.
            sentences = len(self.columns) == _COLUMNS
            yield SummaryTable(self._reports, sentences=sentences, between=" ")
            return
        self.box = box.SIMPLE_HEAD
        if options.max_width >= _WIDE or len(self.columns) < _COLUMNS:
            yield from super().__rich_console__(console, options)
            return
        yield SummaryTable(self._reports, sentences=False)
        for report in self._reports:
            case = (f"{one_line(report.case)}: ", _COLOURS[report.verdict])
            yield Text.assemble(case, _sentence(report))
            yield from (Text(f"  {line}") for line in _below(report))


def summary_table(reports: Sequence[CaseReport]) -> Table:
    """Return the table of ``reports``, the worst first."""
    return SummaryTable(worst_cases(reports), sentences=True)


def print_summary(reports: Sequence[CaseReport], file: IO[str] | None = None) -> None:
    """Print the table to ``file``, or to standard output; a row is a line when it is piped."""
    stream = file or sys.stdout
    console = Console(file=stream, highlight=False)
    if console.is_terminal:
        console.print(summary_table(reports))
        for report in reports:
            for line in _claims(report):
                console.print(line)
        return
    plain = Console(file=stream, width=_PLAIN_WIDTH, highlight=False, color_system=None)
    with plain.capture() as captured:
        plain.print(summary_table(reports))
    print("\n".join(line.rstrip() for line in captured.get().splitlines()), file=stream)


def _claims(report: CaseReport) -> Iterator[Text]:
    """Yield what was claimed about a case and what became of it, two lines for each."""
    if report.claims:
        yield Text(f"\n{one_line(report.case)}: what was claimed", "bold")
    for claim in report.claims:
        word = claim_word(claim.holds, claim.verdict)
        yield Text.assemble((f"  {word:<13}", _CLAIMS[word]), f"  {one_line(claim.claim)}")
        yield Text(f"{' ' * 17}{one_line(claim.evidence)}", "dim")


def _counted(report: CaseReport) -> str:
    """Return how many claims hold, and how many do not."""
    words = Counter(claim_word(each.holds, each.verdict) for each in report.claims)
    said: dict[Holds, str] = {
        "holds": "hold" if words["holds"] != 1 else "holds",
        "does not hold": "do not" if words["does not hold"] != 1 else "does not",
        "holds in part": "in part",
        "undecided": "undecided",
    }
    return ", ".join(f"{words[word]} {text}" for word, text in said.items() if words[word])


def _sentence(report: CaseReport) -> str:
    sentence = one_line(report.sentence)
    if unmet(report) and report.expected is not None and report.expected.verdict:
        sentence = f"{sentence} Expected: {one_line(report.expected.verdict)}."
    return sentence


def _below(report: CaseReport) -> list[str]:
    """Return what stands under a sentence: the cause with its confidence, and what it leaves."""
    lines = []
    if report.internal_errors:
        lines.append(failed_steps(len(report.internal_errors)))
    if report.claims:
        lines.append(f"Claims: {_counted(report)}.")
    if report.confidence:
        where = report.first_divergence.where if report.first_divergence is not None else ""
        place = f", at {one_line(where)}" if where else ""
        lines.append(f"Cause: {one_line(report.cause)} ({report.confidence}){place}.")
    if report.unexplained:
        left = "; ".join(one_line(each).rstrip(".") for each in report.unexplained[:_LEFT])
        more = len(report.unexplained) - _LEFT
        lines.append(f"Unexplained: {left}" + (f" and {more:,} more." if more > 0 else "."))
    return lines


# A case that is not as expected, as the text of a failed test.

#: So many points are shown of each pair that differs, and so many lines of explanation.
_POINTS: Final = 3
_LINES: Final = 8


def explain_failure(report: CaseReport) -> str:
    """Say what was expected and found, where the runs part first, and at which points most."""
    return "\n".join(one_line(line) if line.strip() else "" for line in _lines(report))


def _lines(report: CaseReport) -> Iterator[str]:
    yield f"{report.case}: {report.verdict}, cause {report.cause}"
    if report.expected is not None:
        wanted = [report.expected.verdict or "any verdict", report.expected.cause or "any cause"]
        yield f"expected: {wanted[0]}, cause {wanted[1]}"
    yield report.sentence
    if report.first_divergence is not None:
        first = report.first_divergence
        yield f"The runs part first at the stage '{first.stage}': {first.where} {first.detail}"
    yield from report.explanation[:_LINES]
    for pair in report.pairs:
        if pair.verdict not in ("different", "failed"):
            continue
        yield f"{pair.probe}: {pair.a} and {pair.b} differ; {pair.detail}".removesuffix("; ")
        for point in pair.worst[:_POINTS]:
            yield f"    at {list(point.index)}: {pair.a} {point.a!r}, {pair.b} {point.b!r}"
    for line in report.unexplained:
        yield f"Not explained: {line}"
