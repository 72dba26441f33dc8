"""A function of keras is called where keras3 is loaded, or the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.rules.errors import errors
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run
from bridge.translate.wrappers import exports

RULE = Rule("E08", "function-of-the-other-package", cause="keras-version", whose="the R package")
#: What R says of a function that it does not know.
_UNKNOWN: Final = re.compile(r"could not find function \"([\w.]+)\"")
#: What the functions of TensorFlow's own operations begin with, by the package.
_OPERATIONS: Final = {"keras": "k_", "keras3": "op_"}


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a function that the package does not have, and the other generation's has."""
    front = run.capsule.manifest.frontend
    package = front.package if front is not None else ""
    provider = {"keras": "keras3", "keras3": "keras"}.get(package)
    for error, text in errors(run):
        found = _UNKNOWN.search(text)
        if found is None or provider is None or error.line is None:
            continue
        name = found[1]
        if name in exports(package) or name not in exports(provider):
            continue
        prefix = _OPERATIONS[provider]
        here = f"{_OPERATIONS[package]}{name.removeprefix(prefix)}"
        known = name.startswith(prefix) and here in exports(package)
        yield RULE.finding(
            f"{package} has no {name}(): it is a function of {provider}",
            f"The package {provider} exports it, and {package}, which the script loads, does not.",
            at=run.word_place(error.line, name, f"not in {package}"),
            help=Help(text=f"Write {here}().", before=name, after=here)
            if known
            else f'Look for what took its place: help(package = "{package}").',
            refused=True,
        )
        return
