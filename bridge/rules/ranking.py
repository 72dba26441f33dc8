"""The order of findings, and which of them are symptoms of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.rules.rule import FAMILIES, Finding, Rule

#: Codes that stand elsewhere than their family: missing numbers spoil all that follows; what is
#: only chance, or the last digits, comes when nothing else is left.
_FIRST: Final = ("D02",)
_LAST: Final = ("R10", "P09")


def ranked(findings: Sequence[Finding], rules: Mapping[str, Rule]) -> tuple[Finding, ...]:
    """Return what decides before what is worth knowing, and one finding for each fault.

    Among equals the earliest fault comes first, in the order of the families. A finding is left
    out where one that decides explains it. Of several of one rule the first is kept.
    """
    folded = explained(findings, rules)
    kept: dict[str, Finding] = {}
    for finding in sorted(findings, key=_key):
        if finding.rule not in folded:
            kept.setdefault(finding.rule, finding)
    return tuple(kept.values())


def explained(findings: Sequence[Finding], rules: Mapping[str, Rule]) -> set[str]:
    """Return the rules whose findings are symptoms of what was found and decides."""
    deciding = {finding.rule for finding in findings if finding.decides}
    symptoms = {code for found in deciding if found in rules for code in rules[found].explains}
    return symptoms - _explainers(deciding, rules)


def few(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return what decides, and the first of what is only worth knowing."""
    worth_knowing = [finding for finding in findings if not finding.decides][:1]
    return (*(finding for finding in findings if finding.decides), *worth_knowing)


def _explainers(deciding: set[str], rules: Mapping[str, Rule]) -> set[str]:
    """Return the rules that explain each other: neither is a symptom then."""
    return {
        code
        for code in deciding & set(rules)
        for implied in rules[code].explains
        if implied in deciding and implied in rules and code in rules[implied].explains
    }


def _key(finding: Finding) -> tuple[bool, int, int, int]:
    letter, number = finding.rule[:1], finding.rule[1:]
    place = 0 if finding.rule in _FIRST else 2 if finding.rule in _LAST else 1
    family = list(FAMILIES).index(letter) if letter in FAMILIES else len(FAMILIES)
    return not finding.decides, place, family, int(number) if number.isdigit() else 0
