"""Texts were given where Keras computes with numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.rules.errors import errors
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("E05", "texts-for-numbers", cause="user-script")
_SAID: Final = re.compile(
    r"Cast string to \w+ is not supported|could not convert string to float"
    r"|Invalid dtype: (?:str|object)|Unsupported object type str"
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find errors that say that texts are no numbers."""
    for error, text in errors(run):
        if _SAID.search(text):
            yield RULE.finding(
                "Texts were given where Keras computes with numbers",
                "Neither R nor Keras makes numbers of words by itself.",
                at=error.line,
                help="model.matrix() makes numbers of a frame; as.matrix() makes texts of it. "
                "For classes, as.integer(factor(y)) - 1 counts from 0.",
                refused=True,
            )
            return
