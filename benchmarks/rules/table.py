"""The tables: how many of how many, with Wilson's interval."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final

from benchmarks.corpus.table import shown
from benchmarks.rules.judge import Judged
from benchmarks.rules.kinds import KINDS
from benchmarks.rules.published import TOOLS, right
from benchmarks.trust.measure import Counts

_ROWS: Final[tuple[tuple[str, Callable[[Judged], bool]], ...]] = (
    ("the right rule first", lambda judged: judged.first),
    ("the right rule second", lambda judged: judged.second),
    ("silent", lambda judged: judged.silent),
    ("wrong and deciding", lambda judged: judged.wrong),
    ("... and proven or likely", lambda judged: judged.wrong and judged.fault.sure),
    ("a tried fix, the finding gone", lambda judged: judged.tried),
    ("an alarm on the mended twin", lambda judged: judged.twin.alarm),
    ("the twin's cause not known", lambda judged: judged.twin.cause == "not-known"),
    ("an exception of ours", lambda judged: judged.fault.errors + judged.twin.errors > 0),
)

_COLUMNS: Final = {
    "the right rule first": "first",
    "the right rule second": "second",
    "silent": "silent",
    "wrong and deciding": "wrong",
    "a tried fix, the finding gone": "tried",
    "an alarm on the mended twin": "twin",
}


def page(judged: Sequence[Judged], seed: int, wanted: int) -> str:
    """Write the section: all kinds together, and each of them."""
    return "\n".join(
        [
            f"`make bench-rules` wrote this section: seed {seed}, {len(judged)} of {wanted} pairs",
            "of a faulty script and its mended twin. In brackets: Wilson's 95% interval.",
            "",
            "| | pairs |",
            "| --- | ---: |",
            *(f"| {name} | {_share(judged, ask)} |" for name, ask in _ROWS),
            "",
            *_cost(judged),
            "",
            *_tools(judged),
            "",
            *_by_kind(judged),
        ]
    )


def _share(judged: Iterable[Judged], ask: Callable[[Judged], bool]) -> str:
    answers = [ask(each) for each in judged]
    return shown(Counts(sum(answers), len(answers)))


def _by_kind(judged: Sequence[Judged]) -> Iterable[str]:
    asked = [ask for name, ask in _ROWS if name in _COLUMNS]
    yield f"| kind | pairs | {' | '.join(_COLUMNS.values())} |"
    yield f"| --- | ---: |{' ---: |' * len(asked)}"
    for code in dict.fromkeys(each.code for each in judged):
        some = [each for each in judged if each.code == code]
        counts = [sum(map(ask, some)) or "" for ask in asked]
        yield f"| {code} | {len(some)} | {' | '.join(map(str, counts))} |"


_ABOUT: Final = """\
The rules of published tools, written again from their papers and public code
([published.py](rules/published.py)) and asked about the same runs. Right: something of what is
said is right about the fault, of all kinds and of those that the tool has a rule for; wrong:
something is said, and nothing of it is right.

| | right | of its kinds | wrong | alarms on twins |
| --- | ---: | ---: | ---: | ---: |"""


def _tools(judged: Sequence[Judged]) -> Iterable[str]:
    yield _ABOUT
    known = set(KINDS)
    named = [each.fault.deciding in each.accepted for each in judged]
    alarms = [each.twin.alarm for each in judged]
    yield _tool("keras-bridge", judged, known, named, [each.wrong for each in judged], alarms)
    for tool, (_, kinds) in TOOLS.items():
        known = set(" ".join(kinds.values()).split())
        said = [each.others[tool] for each in judged]
        named = [right(tool, s[0], j.accepted) for s, j in zip(said, judged, strict=True)]
        wrong = [bool(s[0]) and not hit for s, hit in zip(said, named, strict=True)]
        yield _tool(tool, judged, known, named, wrong, [bool(twin) for _, twin in said])


def _tool(
    name: str,
    judged: Sequence[Judged],
    known: Container[str],
    named: Sequence[bool],
    wrong: Sequence[bool],
    alarms: Sequence[bool],
) -> str:
    its = [hit for hit, each in zip(named, judged, strict=True) if each.code in known]
    shares = [shown(Counts(sum(some), len(some))) for some in (named, its, wrong, alarms)]
    return f"| {name} | {' | '.join(shares)} |"


def _cost(judged: Sequence[Judged]) -> Iterable[str]:
    made = [answer.experiments for each in judged for answer in (each.fault, each.twin)]
    if made:
        yield f"- Experiments: {statistics.mean(made):.1f} a script; {made.count(0)} of {len(made)}"
        yield "  scripts need none."
