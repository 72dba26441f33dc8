"""The answer on a terminal: of one case, of a suite, and as the text of a failed test.

What is printed is the first finding of the report, as every other surface prints it. It is plain
when it is piped, and colour says nothing that the words do not.
"""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from rich.console import Console
from rich.text import Text

from bridge._text import plural
from bridge.report.lead import Lead, Level, lead, level
from bridge.report.ranking import GROUPS, group, unmet
from bridge.report.schema import CaseReport
from bridge.report.text import one_line, visible
from bridge.report.words import claim_word

#: A page of an old terminal, less the prompt; and a width at which no terminal folds.
MOST_LINES: Final = 24
WIDTH: Final = 100
#: What stands beside a label, and beside a line of the script.
_MARGIN: Final = 9

_COLOURS: Final[dict[Level, str]] = {
    "ok": "green",
    "note": "cyan",
    "wrong": "bold red",
    "error": "magenta",
    "open": "yellow",
}


# One case.


def print_case(report: CaseReport, page: Path, file: IO[str] | None = None) -> None:
    """Print the answer of a case, at most a page of it, and where its page lies."""
    _print([*_block(report), Text(f"  page   {page}")], file)


def _block(report: CaseReport) -> list[Text]:
    """Return the answer of a case in at most a page less one line: what matters less goes first."""
    shown = lead(report)
    parts = [
        [_head(shown)],
        [Text(""), *_excerpt(shown)] if shown.lines else [],
        [Text(""), *_labelled("why", shown.why)] if shown.why else [],
        _evidence(shown),
        _help(shown),
        [*_labelled("open", "; ".join(shown.open))],
        _claims(report),
        [
            Text(f"  also   {one_line(text)}  [{one_line(code)}]"[:WIDTH])
            for text, code in shown.others
        ],
        [*_labelled("note", shown.note)],
        [Text(f"  more   keras-bridge rule {shown.rule}")] if shown.rule else [],
    ]
    # Of these the last go first; the headline, the place and the reason always stay.
    for place in (6, 3, 7, 5, 9):
        if sum(map(len, parts)) < MOST_LINES:
            break
        parts[place] = []
    return [line for part in parts for line in part][: MOST_LINES - 1]


def _head(shown: Lead) -> Text:
    return Text.assemble(
        (f"{shown.level:<6}", _COLOURS[shown.level]),
        f" {one_line(shown.place)}  ",
        (one_line(shown.headline), "bold"),
        f"  [{', '.join(filter(None, (one_line(shown.code), shown.confidence)))}]",
    )


def _excerpt(shown: Lead) -> Iterator[Text]:
    """Yield the lines of the script that a finding speaks of, marked below where it is known."""
    number = 0
    for line in shown.lines:
        if line.number != number:
            number = line.number
            yield Text(f"{number:>4} | {line.text}"[:WIDTH])
        mark = f"{' ' * line.start}{'^' * (line.end - line.start)} {one_line(line.label)}".rstrip()
        if mark:
            yield Text(f"     | {mark}"[:WIDTH], "bold red" if line.primary else "")


def _labelled(label: str, text: str) -> Iterator[Text]:
    lines = textwrap.wrap(one_line(text), WIDTH - _MARGIN)
    for place, line in enumerate(lines):
        yield Text(f"  {label if place == 0 else '':<7}{line}")


def _evidence(shown: Lead) -> list[Text]:
    wide = min(48, max((len(one_line(row.changed)) for row in shown.evidence), default=0))
    lines = []
    for place, row in enumerate(shown.evidence):
        label = "tried" if place == 0 else ""
        text = f"  {label:<7}{one_line(row.changed):<{wide}}  {one_line(row.outcome)}"
        lines.append(Text(text[:WIDTH]))
    return lines


#: Lines that a changed script printed, at most.
_PRINTED: Final = 4


def _help(shown: Lead) -> list[Text]:
    found = shown.help
    if found is None:
        return []
    lines = list(_labelled("help", found.text))
    for sign, code in (("-", found.before), ("+", found.after)):
        lines += [Text(f"       {sign} {visible(line)}"[:WIDTH]) for line in code.splitlines()]
    if found.tried is not None:
        printed = [line for line in found.tried.output.splitlines() if line.strip()]
        ends = ", and it prints at its end" if printed else ""
        lines += _labelled("", f"tried here: {found.tried.outcome}{ends}")
        lines += [Text(f"         {visible(line)}"[:WIDTH]) for line in printed[-_PRINTED:]]
    return lines


def _claims(report: CaseReport) -> list[Text]:
    """Return what was claimed of a case, and whether it holds."""
    lines = []
    for place, claim in enumerate(report.claims):
        word = claim_word(claim.holds, claim.verdict)
        label = "claims" if place == 0 else ""
        lines.append(Text(f"  {label:<7}{word}: {one_line(claim.claim)}"[:WIDTH]))
    return lines


# A suite.

_NAME: Final = 34


def print_suite(
    reports: Sequence[CaseReport],
    seconds: float,
    changed: Mapping[str, str],
    file: IO[str] | None = None,
) -> None:
    """Print one line for each case in groups, what asks for attention first, and how many are fine.

    ``changed`` has the headline that a case had in the run before, where it had another.
    """
    groups: dict[str, list[CaseReport]] = {name: [] for name in GROUPS}
    for report in sorted(reports, key=lambda report: (not report.claims, report.case)):
        groups[group(report, changed)].append(report)
    lines = []
    for name, members in groups.items():
        if not members:
            continue
        lines += [Text(f"{GROUPS[name]} ({len(members)})", "bold")]
        for report in members:
            lines.append(_line(report))
            if report.case in changed and name != "unmet":
                lines.append(Text(f"  {'':<{_NAME}}  before: {one_line(changed[report.case])}"))
        lines.append(Text(""))
    rules = Counter(
        f"{report.findings[0].rule} {report.findings[0].name}"
        for report in groups["explained"]
        if report.findings and report.findings[0].rule
    )
    if rules:
        counted = ", ".join(f"{rule} ({count})" for rule, count in rules.most_common(8))
        lines += [*_labelled("rules", counted), Text("")]
    expected = len(reports) - len(groups["unmet"])
    fine = f"{expected} of {plural(len(reports), 'case')} as expected, in {seconds:.0f} s."
    _print([*lines, Text(fine, "bold")], file)


def _line(report: CaseReport) -> Text:
    word = level(report)
    # Nothing is red that was expected.
    colour = _COLOURS[word] if unmet(report) or word == "ok" else ""
    code = report.findings[0].rule if report.findings else ""
    wanted = ""
    if unmet(report) and report.expected is not None:
        wanted = f", expected {one_line(report.expected.verdict or report.expected.cause)}"
    return Text.assemble(
        f"  {one_line(report.case):<{_NAME}}  ", (f"{word:<6}", colour),
        f" {one_line(report.sentence)}  [{one_line(code or report.cause)}{wanted}]",
    )  # fmt: skip


def _print(lines: Sequence[Text], file: IO[str] | None) -> None:
    stream = file or sys.stdout
    console = Console(file=stream, highlight=False)
    if console.is_terminal:
        for line in lines:
            console.print(line, soft_wrap=True)
        return
    print("\n".join(line.plain.rstrip() for line in lines), file=stream)


# A case that is not as expected, as the text of a failed test.

#: So many points are shown of each pair that differs.
_POINTS: Final = 3


def explain_failure(report: CaseReport) -> str:
    """Say what was expected and found, where the runs part first, and at which points most."""
    return "\n".join(line if line.strip() else "" for line in _lines(report))


def _lines(report: CaseReport) -> Iterator[str]:
    yield one_line(f"{report.case}: {report.verdict}, cause {report.cause}")
    if report.expected is not None:
        wanted = [report.expected.verdict or "any verdict", report.expected.cause or "any cause"]
        yield one_line(f"expected: {wanted[0]}, cause {wanted[1]}")
    yield from (line.plain.rstrip() for line in _block(report))
    if report.first_divergence is not None:
        first = report.first_divergence
        place = f"{first.where} {first.detail}"
        yield one_line(f"The runs part first at the stage '{first.stage}': {place}")
    for pair in report.pairs:
        if pair.verdict not in ("different", "failed"):
            continue
        parted = f"{pair.probe}: {pair.a} and {pair.b} differ; {pair.detail}"
        yield one_line(parted.removesuffix("; "))
        for point in pair.worst[:_POINTS]:
            yield f"    at {list(point.index)}: {pair.a} {point.a!r}, {pair.b} {point.b!r}"
