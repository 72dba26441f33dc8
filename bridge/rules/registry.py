"""Every rule: found by its file, asked of a run, and its page."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bridge.capsule import Capsule
from bridge.errors import BridgeError, isolated
from bridge.explain.experiment import Experiment
from bridge.rules.ranking import explained, ranked
from bridge.rules.rule import Detector, Finding, Rule
from bridge.rules.run import Mended, Run
from bridge.translate.syntax import Row, SyntaxRowsError, build

_HERE: Final = Path(__file__).parent


class RuleError(BridgeError, ValueError):
    """There is no rule of a code, or two have the same; the message names the near ones."""


@dataclass(frozen=True)
class Answered:
    """What the rules found, and the experiments that they wait for."""

    findings: tuple[Finding, ...]
    wanted: tuple[Experiment, ...] = ()


@cache
def rules() -> Mapping[str, Rule]:
    """Return every rule by its code: each module of a family's folder that has a ``RULE``.

    Raises:
        RuleError: two files have the same code.
    """
    found: dict[str, Rule] = {}
    for family in sorted(path.parent for path in _HERE.glob("*/__init__.py")):
        for module in pkgutil.iter_modules([str(family)]):
            name = f"{__package__}.{family.name}.{module.name}"
            rule = getattr(importlib.import_module(name), "RULE", None)
            if not isinstance(rule, Rule):
                continue
            if rule.code in found:
                raise RuleError(f"{rule.name} and {found[rule.code].name} are both {rule.code}")
            found[rule.code] = rule
    return MappingProxyType(dict(sorted(found.items())))


def answers(
    capsule: Capsule,
    tree: Sequence[Row] = (),
    outcomes: Mapping[Experiment, Capsule] | None = None,
    repairs: Sequence[Mended] = (),
    allowed: Collection[str] = (),
) -> Answered:
    """Return what a run and the text of its script answer, ranked.

    ``tree`` has the rows of R's syntax tree (:mod:`bridge.translate.syntax`); without them the
    rules that read the text stay silent. ``outcomes`` are the experiments that were made: a rule
    that waits for others says which. ``repairs`` are those with which a call was seen to work.
    Rules whose codes are ``allowed`` are not asked.
    """
    try:
        nodes = build(tree)
    except SyntaxRowsError:
        nodes = []
    run = Run(capsule, nodes, outcomes or {}, repairs, tree)
    found: list[Finding] = []
    wanted: list[tuple[str, Experiment]] = []
    for rule in rules().values():
        if rule.code in allowed:
            continue
        run.wanted.clear()
        for detect in rule.detectors:
            found += isolated(f"the rule {rule.code}", partial(_all_of, detect, run), ())
        wanted += [(rule.code, request) for request in run.wanted]
    # What would only find a symptom of what is known, or what is worth knowing beside it, waits.
    known = explained(found, rules())
    if any(finding.decides for finding in found):
        known |= {code for code, rule in rules().items() if rule.status == "preview"}
    needed = dict.fromkeys(request for code, request in wanted if code not in known)
    return Answered(ranked(found, rules()), tuple(sorted(needed, key=lambda request: request.cost)))


def _all_of(detect: Detector, run: Run) -> tuple[Finding, ...]:
    return tuple(run.located(found) for found in detect(run))


def page(code: str) -> str:
    """Return the page of a rule, as Markdown.

    Raises:
        RuleError: there is no such rule; the message names the near ones.
    """
    return page_of(find(code)).read_text("utf-8")


def find(code: str) -> Rule:
    """Return the rule of a code, or of a name.

    Raises:
        RuleError: there is no such rule; the message names the near ones.
    """
    wanted = code.strip()
    for rule in rules().values():
        if wanted.upper() == rule.code or wanted.lower() == rule.name:
            return rule
    raise RuleError(f"There is no rule {code!r}; near it are {', '.join(_near(code))}.")


def page_of(rule: Rule) -> Path:
    """Return where the page of a rule lies: beside its file."""
    module = importlib.import_module(rule.detectors[0].__module__)
    return Path(str(module.__file__)).with_suffix(".md")


def unknown(codes: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence for each code that no rule has, with the near ones."""
    return tuple(
        f"allow: there is no rule {code!r}; near it are {', '.join(_near(code))}"
        for code in codes
        if code not in rules()
    )


def _near(code: str) -> list[str]:
    """Return codes that are nearly the same, or those of the same family."""
    spelled = {rule.name: rule_code for rule_code, rule in rules().items()}
    wanted = code.strip()
    number = wanted[1:].zfill(2) if wanted[1:].isdigit() else wanted[1:]
    near = difflib.get_close_matches(f"{wanted[:1].upper()}{number}", rules(), n=3, cutoff=0.6)
    near += [spelled[name] for name in difflib.get_close_matches(wanted.lower(), spelled, n=3)]
    return list(dict.fromkeys(near)) or [
        rule_code for rule_code in rules() if rule_code.endswith("01")
    ]
