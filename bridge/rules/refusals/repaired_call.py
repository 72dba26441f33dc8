"""A call that raises works in Python once one thing of it is put right."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.rule import Finding, Help, Rule, Tried
from bridge.rules.run import Run

RULE = Rule("E07", "repaired-call", cause="r-conversion", whose="R's rules", needs=("repair",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Tell the repair with which the call that raises was seen to work."""
    for repair in run.repairs:
        yield RULE.finding(
            repair.headline,
            repair.why,
            at=repair.line,
            help=Help(text=repair.help, tried=Tried(outcome="the call works")),
            refused=True,
        )
