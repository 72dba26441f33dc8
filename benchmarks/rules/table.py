"""The tables: how many of how many, with Wilson's interval."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from benchmarks.corpus.table import shown
from benchmarks.rules.judge import Judged
from benchmarks.trust.measure import Counts

_ROWS: Final[tuple[tuple[str, Callable[[Judged], bool]], ...]] = (
    ("the right rule first", lambda judged: judged.first),
    ("the right rule second", lambda judged: judged.second),
    ("silent", lambda judged: judged.silent),
    ("wrong and deciding", lambda judged: judged.wrong),
    ("... and proven or likely", lambda judged: judged.wrong and judged.fault.sure),
    ("a tried fix, the finding gone", lambda judged: judged.tried),
    ("an alarm on the mended twin", lambda judged: judged.twin.alarm),
    ("an exception of ours", lambda judged: judged.fault.errors + judged.twin.errors > 0),
)


def page(judged: Sequence[Judged], seed: int, wanted: int) -> str:
    """Write the section: all kinds together, and each of them."""
    return "\n".join(
        [
            f"`make bench-rules` wrote this section: seed {seed}, {len(judged)} of {wanted} pairs of a faulty",
            "script and its mended twin. In brackets: Wilson's 95% interval.",
            "",
            "| | pairs |",
            "| --- | ---: |",
            *(f"| {name} | {_share(judged, ask)} |" for name, ask in _ROWS),
            "",
            *_by_kind(judged),
            "",
            *_cost(judged),
        ]
    )


def _share(judged: Iterable[Judged], ask: Callable[[Judged], bool]) -> str:
    answers = [ask(each) for each in judged]
    return shown(Counts(sum(answers), len(answers)))


def _by_kind(judged: Sequence[Judged]) -> Iterable[str]:
    yield "| kind | pairs | first | second | silent | wrong | tried | twin |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for code in dict.fromkeys(each.code for each in judged):
        some = [each for each in judged if each.code == code]
        counts = [
            sum(map(ask, some))
            for ask in (
                lambda each: each.first, lambda each: each.second, lambda each: each.silent,
                lambda each: each.wrong, lambda each: each.tried, lambda each: each.twin.alarm,
            )
        ]  # fmt: skip
        yield f"| {code} | {len(some)} | {' | '.join(str(each) if each else '' for each in counts)} |"


def _cost(judged: Sequence[Judged]) -> Iterable[str]:
    answers = [answer for each in judged for answer in (each.fault, each.twin)]
    if not answers:
        return
    ratio = sum(each.seconds for each in answers) / (sum(each.plain for each in answers) or 1.0)
    yield f"- Experiments: {statistics.mean(each.experiments for each in answers):.1f} a script, in"
    yield f"  {ratio:.1f} times the seconds of R's own run; the longest run of R took"
    yield f"  {max(each.plain for each in answers):.1f} s."
