"""An optimizer keeps what it knows of one model's weights, and is given another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.rules.errors import errors
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("E06", "optimizer-used-twice", cause="user-script")
_SAID: Final = re.compile("only be called for the variables it was originally built with")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find errors of an optimizer that was built for other variables."""
    for error, text in errors(run):
        if _SAID.search(text):
            yield RULE.finding(
                "The optimizer was used with another model before",
                "It keeps what it knows of that one's weights.",
                at=error.line,
                help="Make a new one for every model, inside the loop or function.",
                refused=True,
            )
            return
