"""An axis 0, as Python writes it, is given to an R package that counts from 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.rules.errors import around
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import Number, number_of

RULE = Rule("E03", "axis-zero", cause="r-index-base", whose="the R package", needs=("text",))
_COUNTED: Final = frozenset({"axis", "axes", "dims", "index"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find an axis 0 where the R package refused a call."""
    error = run.capsule.manifest.error
    if error is None or error.origin not in ("keras", "keras3"):
        return
    for node in around(run, error.line):
        for argument in node.arguments:
            value = argument.value
            if argument.name not in _COUNTED or not isinstance(value, Number):
                continue
            if number_of(value.text)[0] == 0:
                yield RULE.finding(
                    f"{node.name}() counts from 1: there is no {argument.name} 0",
                    "The R package counts as R does, and Python's 0 is its 1.",
                    at=run.node_place(value, "the first is 1"),
                    help=f"Write {argument.name} = 1 for the first.",
                    refused=True,
                )
                return
