"""An argument that nobody knows has nearly the name of one that is known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Final

from bridge.rules.errors import around, errors
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run
from bridge.translate.wrappers import wrappers

RULE = Rule("E04", "misspelled-argument", cause="user-script", needs=("text",))
#: What R and Python say of an argument that they do not know.
_UNKNOWN: Final = re.compile(
    r"unused argument \((\w[\w.]*) =|Unrecognized keyword arguments? passed to \w+: \{'(\w+)'"
    r"|unexpected keyword argument '(\w+)'"
    r"|Keyword argument not understood: '?(\w+)"
    r"|\('Keyword argument not understood:', '(\w+)'\)"
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find arguments that nobody knows, and one of nearly the same name that is known."""
    for error, text in errors(run):
        found = _UNKNOWN.search(text)
        if found is None:
            continue
        name = next(filter(None, found.groups()))
        for node in around(run, error.line):
            formals = {
                package: wrappers(package)[node.name].formals
                for package in ("keras3", "keras")
                if node.name in wrappers(package)
            }
            if any(name in accepted for accepted in formals.values()):
                # It is spelled right, for the other generation.
                continue
            front = run.capsule.manifest.frontend
            known = formals.get(front.package if front is not None else "", ())
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            written = [argument.value for argument in node.arguments if argument.name == name]
            if near and written:
                line = (written[0] or node).line
                yield RULE.finding(
                    f"{node.name}() has no argument {name}; did you mean {near[0]}?",
                    at=run.word_place(line, name, "not known"),
                    help=Help(text=f"Write {near[0]}.", before=name, after=near[0]),
                    confidence="likely",
                    refused=True,
                )
                return
