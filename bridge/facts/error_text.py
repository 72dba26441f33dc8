"""How R, reticulate and TensorFlow write an error down, and what of that says what went wrong."""

from __future__ import annotations

import re
from typing import Final

ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)")
ADVICE: Final = re.compile(
    r"\s*(?:Run `?reticulate::py_last_error\(\)`? for details\.?"
    r"|See `?reticulate::py_last_error\(\)`? for details\.?"
    r"|Detailed traceback:.*)",
    re.DOTALL,
)
_RAISED: Final = re.compile(r"^\s*(?:[\w.]+\.)?\w*(?:Error|Exception): ", re.MULTILINE)
_GIVEN: Final = re.compile(r"^\s*(?:Call a|A)rguments received by .*", re.MULTILINE | re.DOTALL)
GRAPH: Final = re.compile(r"Graph execution error:")
_NODE: Final = re.compile(r"^\s*\[\[.*", re.MULTILINE | re.DOTALL)
_FRAME: Final = re.compile(
    r"^(\s*File \".*|Detected at .*|Stack trace .*|<\.\.\..*)$", re.MULTILINE
)


def essence(message: str) -> str:
    """Leave out of a message colours, advice, tracebacks, and what the failing call was given."""
    text = ADVICE.sub("", ANSI.sub("", message))
    if GRAPH.search(text):
        # Where each node was made comes first; what went wrong stands in the last lines.
        lines = [each for each in _NODE.sub("", text).splitlines() if each.strip()]
        after = [n for n, each in enumerate(lines) if _FRAME.match(each)]
        said = "\n".join(lines[after[-1] + 1 :] if after else lines)
        return said if said.strip() else text
    if 'File "' in text:
        raised = list(_RAISED.finditer(text))
        text = text[raised[-1].start() :] if raised else text
    shorter = _GIVEN.sub("", text)
    return shorter if shorter.strip() else text
