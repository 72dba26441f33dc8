"""What is concluded about a case, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.capsule import Capsule, ErrorRecord
from bridge.compare.result import Divergence, Verdict
from bridge.explain.result import Attribution


@dataclass(frozen=True)
class Finding:
    """What is concluded about a case; ``attribution`` is what looking for the cause found."""

    verdict: Verdict
    cause: str
    sentence: str
    explanation: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    first_divergence: Divergence | None = None
    attribution: Attribution | None = None


@dataclass(frozen=True)
class OtherGeneration:
    """What happened when the calls that raise here were made on the other Keras.

    ``accepts`` has one entry for each such call, in order.
    """

    keras: str
    accepts: tuple[bool, ...]


_RUNS: Final = {
    "r": "R",
    "replay": "the replay without R",
    "twin": "the Python twin",
    "intent": "the intended Python",
    "reference": "the float64 reference",
}


def failed(sentence: str, cause: str = "user-script") -> Finding:
    """Return the finding of a case that cannot be compared."""
    return Finding("failed", cause, sentence)


def stand_in(capsule: Capsule) -> bool:
    """Say whether a stand-in answered for the R package."""
    frontend = capsule.manifest.frontend
    return frontend is not None and frontend.kind == "standin"


def run_name(name: str) -> str:
    """Return what people call a runner."""
    return _RUNS.get(name, name)


def joined(names: Sequence[str]) -> str:
    """Return names as people list them."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def short(error: ErrorRecord, width: int = 240) -> str:
    """Return what an error says in one line, without the way to it, cut to ``width``."""
    text = " ".join(_essence(error.message).split())
    if len(text) > width:
        return f"{text[: width - 3]}..."
    return text if text.endswith((".", "!", "?")) else f"{text}."


def spelled(error: ErrorRecord, width: int = 240) -> str:
    """Return an error as Python prints it: its class, and what it says."""
    said = short(error, width)
    if error.cls in _NO_CLASS or said.startswith(f"{error.cls}:"):
        return said
    return f"{error.cls.rpartition('.')[2]}: {said}"


#: What R calls the errors that it only passes on; the class is then in the message.
_NO_CLASS: Final = frozenset(
    {"Rcpp::exception", "simpleError", "error", "rlang_error", "condition"}
)
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)")
_ADVICE: Final = re.compile(r"(?:Run|See) `?reticulate::py_last_error\(\)`? for details\.?")
_RAISED: Final = re.compile(r"^\s*(?:[\w.]+\.)?\w*(?:Error|Exception): ", re.MULTILINE)
_GIVEN: Final = re.compile(r"^\s*(?:Call a|A)rguments received by .*", re.MULTILINE | re.DOTALL)
_GRAPH: Final = re.compile(r"Graph execution error:")
_NODE: Final = re.compile(r"^\s*\[\[.*", re.MULTILINE | re.DOTALL)
_FRAME: Final = re.compile(
    r"^(\s*File \".*|Detected at .*|Stack trace .*|<\.\.\..*)$", re.MULTILINE
)


def _essence(message: str) -> str:
    """Leave out of a message colours, advice, tracebacks, and what the failing call was given."""
    text = _ADVICE.sub("", _ANSI.sub("", message))
    if _GRAPH.search(text):
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
