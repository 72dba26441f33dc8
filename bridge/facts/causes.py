"""The closed list of causes: what each means, and the families they are of."""

from __future__ import annotations

import re
from typing import Final, Literal

CAUSES: Final[dict[str, str]] = {
    "none": "Nothing is wrong: all runs agree.",
    "r-conversion": "A value changed when R handed it to Python.",
    "r-default": "The R package sends a default that Python would not use.",
    "r-index-base": "R counts from 1 and Python from 0, and one of them was meant.",
    "r-semantics": "R's own rules (models changed in place, closures, recycling, seeds) apply.",
    "user-script": "The script itself stops, or does not do what it says.",
    "keras-version": "The generations of Keras differ in what they accept or compute.",
    "keras-layer": "A layer of Keras computes something else than its definition.",
    "tracing": "Keras behaves differently when it is traced into a graph.",
    "grappler:<pass>": "A pass of TensorFlow's graph optimiser changed the result.",
    "kernel:<op>": "The kernel that executes an operation is wrong.",
    "xla": "XLA compiles the graph into something that computes another result.",
    "onednn": "oneDNN's version of an operation computes another result.",
    "device-plugin": "A device plug-in (tensorflow-metal, for example) executes it differently.",
    "rounding": "The results differ only by rounding, and within the proven bound.",
    "maths": "All runs agree; what surprises follows from the mathematics.",
    "not-known": "The evidence does not single out a cause.",
}

#: Causes of a case in which nothing is wrong.
NOTHING_WRONG: Final = frozenset({"none", "rounding"})

#: Whose doing something is.
Whose = Literal[
    "yours",
    "R's rules",
    "the R package",
    "Keras",
    "TensorFlow",
    "this machine",
    "mathematics",
    "nobody",
]
#: Whose doing it is, by the family of the cause.
WHOSE: Final[dict[str, Whose]] = {
    "none": "nobody",
    "not-known": "nobody",
    "r-conversion": "the R package",
    "r-default": "the R package",
    "r-index-base": "R's rules",
    "r-semantics": "R's rules",
    "user-script": "yours",
    "keras-version": "Keras",
    "keras-layer": "Keras",
    "tracing": "Keras",
    "grappler": "TensorFlow",
    "kernel": "TensorFlow",
    "xla": "TensorFlow",
    "onednn": "TensorFlow",
    "device-plugin": "this machine",
    "rounding": "nobody",
    "maths": "mathematics",
}

#: Causes that take a name, as they stand in the list.
_NAMED: Final = {"grappler": "grappler:<pass>", "kernel": "kernel:<op>"}
_NAME: Final = re.compile(r"(grappler|kernel):[A-Za-z0-9_]+")
#: What R, its packages or its way into Python do.
OF_R: Final = frozenset({"r-conversion", "r-default", "r-index-base", "r-semantics"})


def is_cause(text: str) -> bool:
    """Say whether ``text`` is on the list; ``grappler:`` and ``kernel:`` take a name."""
    return (text in CAUSES and text not in _NAMED.values()) or bool(_NAME.fullmatch(text))


def family(cause: str) -> str:
    """Return a cause without the name that it takes: ``grappler`` of ``grappler:remapping``."""
    return cause.partition(":")[0]


def meaning(cause: str) -> str:
    """Return the sentence that says what ``cause`` means.

    Raises:
        KeyError: ``cause`` is not on the list.
    """
    return CAUSES[_NAMED[family(cause)] if _NAME.fullmatch(cause) else cause]
