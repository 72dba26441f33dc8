"""Worst first: the order of cases and pairs, and the number that speaks for a case."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final

from bridge._text import plural
from bridge.compare.result import SEVERITY, Verdict
from bridge.report import numbers
from bridge.report.numbers import PrintedNumber
from bridge.report.schema import CaseReport, Pair

#: Verdicts that somebody should look at.
ATTENTION: Final[tuple[Verdict, ...]] = ("failed", "different", "abstained")

PairKey = tuple[int, int, int, float, float]


def pair_key(pair: Pair) -> PairKey:
    """Return the key by which pairs sort worst first: verdict, then NaN and Inf, then the rest."""
    return (
        SEVERITY.index(pair.verdict),
        -(pair.nan + pair.inf),
        -(pair.beyond_bound or 0),
        -_comparable(pair.max_ulp),
        -_comparable(pair.max_abs),
    )


def concern(verdict: Verdict) -> int:
    """Return how much ``verdict`` asks for attention; the verdicts that ask for none are equal.

    By this, what is fine keeps the order of the script, in which people look for it.
    """
    place = SEVERITY.index(verdict)
    return place if verdict in ATTENTION else len(SEVERITY)


def worst_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """Return ``pairs``, the worst first; equals keep their order."""
    return sorted(pairs, key=pair_key)


def unmet(report: CaseReport) -> bool:
    """Say whether the case was expected to end otherwise."""
    return report.expected is not None and not report.expected.met


#: The groups of a suite's cases, in the order in which they ask for attention.
GROUPS: Final = {
    "unmet": "Not as expected",
    "changed": "Changed since the last run here",
    "explained": "Explained",
    "fine": "Nothing wrong",
}


def group(report: CaseReport, changed: Container[str] = ()) -> str:
    """Return the group of a case, a key of :data:`GROUPS`; ``changed`` names those that did."""
    if unmet(report) or (report.expected is None and report.verdict in ("different", "failed")):
        return "unmet"
    if report.case in changed:
        return "changed"
    return "fine" if report.cause == "none" else "explained"


def worst_cases(reports: Iterable[CaseReport]) -> list[CaseReport]:
    """Return ``reports``, the worst first; see :func:`case_key`."""
    return sorted(reports, key=case_key)


def case_key(report: CaseReport) -> tuple[bool, int, PairKey, str]:
    """Return the key by which cases sort worst first.

    A case that ended otherwise than expected comes before all that did not; within both, the
    order of verdicts decides, then the worst pair, then the name.
    """
    worst = min((pair_key(pair) for pair in report.pairs), default=(len(SEVERITY), 0, 0, 0, 0))
    return (not unmet(report), SEVERITY.index(report.verdict), worst, report.case)


def share_of_bound(pair: Pair) -> float | None:
    """Return the largest share of its bound that a layer used, where a bound decided.

    ULPs would mislead there: near a zero of the result they are many and mean nothing.
    """
    if pair.rung != "certified" or not pair.layers:
        return None
    return max(layer.max_ratio for layer in pair.layers)


def worst_number(report: CaseReport) -> tuple[PrintedNumber, str, str]:
    """Return the number that speaks for the case, its unit, and where it was found.

    The number is empty for a case in which nothing was compared.
    """
    if not report.pairs:
        return numbers.count(None), "", ""
    pair = worst_pairs(report.pairs)[0]
    where = f"{pair.probe}, {pair.a}/{pair.b}"
    if pair.nan or pair.inf:
        kind = "NaN" if pair.nan else "Inf"
        return numbers.count(pair.nan or pair.inf), f"{kind} on one side", where
    share = share_of_bound(pair)
    if share is not None:
        return numbers.ratio(share), "of the bound", where
    if pair.max_ulp is None:
        return numbers.count(None), "", where
    return numbers.ulp(pair.max_ulp), "ULP", where


def overall(reports: Sequence[CaseReport]) -> str:
    """Return the sentence that stands above all cases."""
    if not reports:
        return "No case was run."
    surprises = [report.case for report in worst_cases(reports) if unmet(report)]
    expected = sum(report.expected is not None for report in reports)
    cases = plural(len(reports), "case")
    if surprises:
        names = ", ".join(surprises[:3]) + (", ..." if len(surprises) > 3 else "")
        return f"{len(surprises):,} of {cases} not as expected: {names}"
    if expected == len(reports):
        return f"All {cases} as expected" if expected > 1 else f"{cases}, as expected"
    found = [group(report) for report in reports]
    said = {"unmet": "failed or different", "explained": "explained", "fine": "nothing wrong"}
    counts = ((found.count(name), word) for name, word in said.items())
    return f"{cases}: {', '.join(f'{number:,} {name}' for number, name in counts if number)}"


def _comparable(value: float | None) -> float:
    """Return ``value`` for sorting: none counts as 0, and NaN as worse than any number."""
    if value is None:
        return 0.0
    return float("inf") if value != value else value
