"""The tables of the corpus: how many of how many, with Wilson's interval."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from benchmarks.corpus.judge import Judged
from benchmarks.corpus.script import PARTS
from benchmarks.trust.measure import Counts, wilson

#: A script over this many CPU seconds may cost twice as much, a smaller one :data:`_MORE` more.
_LARGE: Final = 10.0
_MORE: Final = 10.0

Asked = Callable[[Judged], bool | None]


def _answered(*answers: str, clean: bool | None = None) -> Asked:
    def ask(judged: Judged) -> bool | None:
        if clean is not None and judged.script.clean != clean:
            return None
        return judged.answer in answers

    return ask


def _surely_wrong(judged: Judged) -> bool | None:
    return judged.answer in ("wrong", "false alarm") and judged.sure


def _affordable(judged: Judged) -> bool | None:
    plain = judged.plain_cpu
    return judged.cpu <= (2 * plain if plain > _LARGE else plain + _MORE)


ROWS: Final[tuple[tuple[str, str, Asked], ...]] = (
    ("the intent ran through", ">= 90%", lambda judged: judged.intent),
    ("the replay has R's bits", ">= 95%", lambda judged: judged.replay),
    ("right, all scripts", ">= 85%", _answered("right")),
    ("right, planted surprises", ">= 85%", _answered("right", clean=False)),
    ("right, clean scripts", "", _answered("right", clean=True)),
    ("abstained", "<= 10%", _answered("abstained")),
    ('"nothing is wrong" of a planted surprise', "0", _answered("nothing wrong", clean=False)),
    ("wrong cause of a planted surprise", "0", _answered("wrong", clean=False)),
    ("false alarm on a clean script", "0", _answered("false alarm", clean=True)),
    ("wrong or false alarm, and sure of it", "0", _surely_wrong),
    ("no report", "0", _answered("no report")),
    ("an exception of ours", "0", lambda judged: judged.internal_errors > 0),
    ("prints what plain Rscript prints", "100%", lambda judged: judged.transparent),
    ("costs no more than it may", "100%", _affordable),
)


def count(judged: Iterable[Judged], ask: Asked) -> Counts:
    """Count the scripts for which something holds, among those of which it can be asked."""
    answers = [ask(each) for each in judged]
    return Counts(sum(bool(each) for each in answers), sum(each is not None for each in answers))


def section(judged: Sequence[Judged], frontend: str) -> str:
    """Write the tables for one front end."""
    parts = [(part, [each for each in judged if each.script.part == part]) for part in PARTS]
    columns = [*parts, ("together", list(judged))]
    return "\n".join(
        [
            f"### With `--frontend {frontend}`: {len(judged)} scripts",
            "",
            _row("", "wanted", *(f"{name} ({len(some)})" for name, some in columns)),
            _row("---", "---", *("---:" for _ in columns)),
            *(
                _row(name, wanted, *(shown(count(some, ask)) for _, some in columns))
                for name, wanted, ask in ROWS
            ),
            "",
            *_by_kind(columns),
            "",
            *_costs(judged),
        ]
    )


def shown(counts: Counts) -> str:
    """Return "9 of 10 (60-98%)"."""
    if not counts.of:
        return ""
    low, high = wilson(counts)
    return f"{counts.said} of {counts.of} ({low:.0%}-{high:.0%})".replace("%-", "-")


def _by_kind(columns: Sequence[tuple[str, Sequence[Judged]]]) -> Iterable[str]:
    yield _row("right, by kind", *(name for name, _ in columns))
    yield _row("---", *("---:" for _ in columns))
    families = sorted({each.script.family for _, some in columns for each in some})
    for family in families:
        of_kind = ([each for each in some if each.script.family == family] for _, some in columns)
        yield _row(family, *(shown(count(some, _answered("right"))) for some in of_kind))


def _costs(judged: Sequence[Judged]) -> Iterable[str]:
    if not judged:
        return
    ours = sum(each.cpu for each in judged)
    plain = sum(each.plain_cpu for each in judged)
    extra = [each.cpu - each.plain_cpu for each in judged]
    yield f"- CPU of `check` from cold: {ours:.0f} s, of plain `Rscript` {plain:.0f} s:"
    yield f"  {ours / plain:.1f} times. More than plain, a script: median"
    yield f"  {statistics.median(extra):.1f} s, at most {max(extra):.1f} s."
    yield f"- Largest process: {max(each.peak_mib for each in judged):,.0f} MiB (wanted: 1,536)."
    for part in PARTS:
        some = [each for each in judged if each.script.part == part]
        errors = sum(each.internal_errors for each in some)
        yield f"- Exceptions of ours, {part}: {errors}."


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def looked_at(judged: Sequence[Judged]) -> str:
    """List the answers of the tuned part that are not right: those of the other stay unseen."""
    rows = [
        f"- {each.script.name}: {each.answer}"
        for each in judged
        if each.script.part == "tuned" and each.answer != "right"
    ]
    return "\n".join(rows)
