"""Which of Grappler's passes is to blame, found by halving.

Two facts are kept at every step: with the passes ``off`` turned off the result is wrong, and with
``off`` and ``suspects`` turned off it is right. Halving the suspects keeps both, so one pass is
left after log2(n) runs, whether it acts alone, with others, or beside others. What it takes to
blame it is asked for afterwards: only this pass off, and only this pass on.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

from bridge.explain.lever_search.protocol import ALL_OFF, Asking, Log, Maybe, Pull, not_again
from bridge.explain.result import Attribution, LeverOutcome

Held = Literal["", "graph"]


@dataclass(frozen=True)
class _Switch:
    """A pass with which the result turns from wrong to right, while the passes ``off`` are off."""

    name: str
    off: frozenset[str]


def blame_passes(log: Log, way: Held, first: str = "") -> Maybe:
    """Find the pass that is to blame; None where turning passes off mends nothing.

    Args:
        log: what was asked for so far.
        way: the way of executing that runs are held to.
        first: a pass that is suspected before all others (``remapping`` where ops are fused).
    """
    passes = log.situation.passes
    alone = yield from _alone(log, way, first)
    if alone == "right":
        switch: _Switch | None = _Switch(first, frozenset())
    else:
        every = yield from log.ask(ALL_OFF, way=way)
        if every != "right" or not passes:
            return None
        # What stays wrong with one pass off: that one is no suspect, or not the only one.
        off = frozenset({first}) if alone == "wrong" else frozenset[str]()
        suspects = tuple(each for each in passes if each not in off)
        switch = yield from _halve(log, way, off, suspects)
    if switch is None:
        sentence = (
            f"With Grappler off {log.situation.subject} is right; which of its passes is to blame "
            "could not be told, because runs with some of them off were not decided."
        )
        return log.unknown(sentence, "which pass of Grappler is to blame")
    return (yield from _confirm(log, way, switch))


def _alone(log: Log, way: Held, name: str) -> Asking:
    if name not in log.situation.passes:
        return "open"
    return (yield from log.off(frozenset({name}), way))


def _halve(
    log: Log, way: Held, off: frozenset[str], suspects: tuple[str, ...]
) -> Generator[Pull, LeverOutcome, _Switch | None]:
    """Return a pass that makes the difference; None where too little could be decided."""
    while len(suspects) > 1:
        half = (len(suspects) + 1) // 2
        for some, rest in ((suspects[:half], suspects[half:]), (suspects[half:], suspects[:half])):
            answer = yield from log.off(off | set(some), way)
            if answer == "right":
                suspects = some
                break
            if answer == "wrong":
                off, suspects = off | set(some), rest
                break
        else:
            return None
    return _Switch(suspects[0], off)


def _confirm(log: Log, way: Held, switch: _Switch) -> Maybe:
    """Ask whether the pass alone takes the fault away, and whether it alone brings it back."""
    every = frozenset(log.situation.passes)
    name = switch.name
    takes = yield from log.off(frozenset({name}), way)
    brings = yield from log.off(every - {name}, way)
    if takes == "right" and brings == "wrong":
        sentence = (
            f"The pass '{name}' of Grappler is to blame for {log.situation.subject}: with it alone "
            "off the result is right, and with all others off it is still wrong."
        )
        return log.named(f"grappler:{name}", "proven", sentence)
    if not log.seen_wrong:
        again = yield from log.off(frozenset(), way)
        if again != "wrong":
            return not_again(log, again)
    if takes == "right" and brings == "right":
        return (yield from _needs_another(log, way, name))
    if takes == "wrong" and brings == "wrong":
        return (yield from _beside_another(log, way, name))
    if takes == "right":
        sentence = (
            f"With the pass '{name}' of Grappler off {log.situation.subject} is right; whether the "
            "pass alone makes it wrong was not decided."
        )
        return log.named(f"grappler:{name}", "likely", sentence)
    return log.unknown(
        f"With some passes of Grappler off {log.situation.subject} is right, '{name}' among them; "
        "no pass by itself decides.",
        "which passes of Grappler are to blame",
    )


def _needs_another(log: Log, way: Held, name: str) -> Maybe:
    """Find the pass without which this one does no harm."""
    every = frozenset(log.situation.passes)
    others = tuple(each for each in log.situation.passes if each != name)
    partner = yield from _halve(log, way, frozenset(), others)
    if partner is not None:
        pair = frozenset({name, partner.name})
        both = yield from log.off(every - pair, way)
        mends = yield from log.off(frozenset({partner.name}), way)
        if both == "wrong" and mends == "right":
            return _two(log, pair, "only together make {subject} wrong: either alone does not")
    return log.unknown(
        f"The pass '{name}' of Grappler is needed for {log.situation.subject} to be wrong, but it "
        "does no harm alone, and what else it takes was not found.",
        "which passes of Grappler act together",
    )


def _beside_another(log: Log, way: Held, name: str) -> Maybe:
    """Find the pass that does the same harm by itself."""
    every = frozenset(log.situation.passes)
    others = tuple(each for each in log.situation.passes if each != name)
    partner = yield from _halve(log, way, frozenset({name}), others)
    if partner is not None:
        pair = frozenset({name, partner.name})
        mended = yield from log.off(pair, way)
        itself = yield from log.off(every - {partner.name}, way)
        if mended == "right" and itself == "wrong":
            return _two(log, pair, "each make {subject} wrong by themselves")
    return log.unknown(
        f"The pass '{name}' of Grappler makes {log.situation.subject} wrong by itself, but so does "
        "something else that could not be named.",
        "which other pass of Grappler does the same harm",
    )


def _two(log: Log, pair: frozenset[str], what: str) -> Attribution:
    first, second = (each for each in log.situation.passes if each in pair)
    told = what.format(subject=log.situation.subject)
    return log.named(
        f"grappler:{first}",
        "likely",
        f"The passes '{first}' and '{second}' of Grappler {told}.",
        unexplained=(f"which of the passes '{first}' and '{second}' is the one at fault",),
    )
