"""Whether two runs met the same errors.

An error reaches R as text with Python's class in front (``ValueError: ...``), marked up, cut, and
followed by advice of reticulate's; in Python it is an object. Both are brought to one form: the
bare name of the class, and the message without what may differ between two runs that do the same
thing (addresses, paths, colours, numbers, the counters in the names of layers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from bridge.capsule import ErrorRecord, Manifest
from bridge.facts.error_text import ADVICE, ANSI, GRAPH, essence
from bridge.facts.r import UNCLASSED_ERRORS

_CALLER: Final = re.compile(r"^Error in [^\n]{0,200}? : \s*")
_CLASS: Final = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit))\s*:\s*")
#: reticulate leaves the middle out of a long message, R and the recording the end.
_CUT: Final = re.compile(r"<\.\.\. ?(?:truncated|omitted) ?\.\.\.>")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_PATH: Final = re.compile(r"(?:[A-Za-z]:)?(?:[\w.~+-]*/){2,}[\w.+-]*|<work>[^\s'\"]*")
_COUNTED: Final = re.compile(r"\b([A-Za-z]\w*?)_\d+\b")
_NUMBER: Final = re.compile(r"(?<![A-Za-z_])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?L?")


@dataclass(frozen=True)
class PlainError:
    """An error in the form in which errors are compared."""

    cls: str
    message: str
    numbers: tuple[str, ...] = ()


def plain(error: ErrorRecord) -> PlainError:
    """Bring an error to the form in which errors are compared."""
    message = ANSI.sub("", error.message)
    message = _CALLER.sub("", message.strip())
    message = ADVICE.sub("", message).strip()
    cls = error.cls
    front = _CLASS.match(message)
    if front is not None and (cls in UNCLASSED_ERRORS or _bare(cls) == _bare(front.group(1))):
        cls, message = front.group(1), message[front.end() :]
    if GRAPH.search(message) or 'File "' in message:
        # The way to an error is another one in every process, and R has cut it.
        message = essence(message).strip()
        message = _CLASS.sub("", message)
    message = _without_places(message)
    numbers = tuple(_NUMBER.findall(message))
    message = " ".join(_NUMBER.sub("<number>", message).split())
    return PlainError(_bare(cls), message, numbers)


def same_error(a: ErrorRecord, b: ErrorRecord) -> bool:
    """Say whether two errors are the same: class and message agree in their plain form.

    Where R has cut the middle out of a long message, what is left of it must agree.
    """
    one, other = plain(a), plain(b)
    if one.cls != other.cls:
        return False
    if _CUT.search(one.message) or _CUT.search(other.message):
        return _cut_alike(one.message, other.message)
    return one.message == other.message


def spelled_alike(a: str, b: str) -> bool:
    """Say whether two texts are the same but for addresses, paths and counters in names."""
    return _without_places(a) == _without_places(b)


def _without_places(text: str) -> str:
    text = _ADDRESS.sub("<address>", ANSI.sub("", text))
    return _COUNTED.sub(r"\1", _PATH.sub("<path>", text))


def errors_of(manifest: Manifest) -> tuple[ErrorRecord, ...]:
    """Return the errors that a run met, in order: those it survived and the one that ended it."""
    return (*manifest.caught, *((manifest.error,) if manifest.error is not None else ()))


def compare_errors(a: Manifest, b: Manifest) -> tuple[bool, str]:
    """Say whether two runs met the same errors in the same order, and what speaks against it."""
    pairs = list(zip_longest(errors_of(a), errors_of(b)))
    for number, (one, other) in enumerate(pairs, start=1):
        place = "" if len(pairs) == 1 else f"error {number}: "
        if one is None or other is None:
            who, error = (b.runner, other) if one is None else (a.runner, one)
            assert error is not None
            return False, f"{place}only {who} meets {_spell(error)}"
        if not same_error(one, other):
            return False, f"{place}{a.runner} meets {_spell(one)}; {b.runner} meets {_spell(other)}"
    unlike = [
        f"{', '.join(plain(one).numbers)} and {', '.join(plain(other).numbers)}"
        for one, other in pairs
        if one is not None and other is not None and plain(one).numbers != plain(other).numbers
    ]
    return True, f"the numbers in the message differ: {unlike[0]}" if unlike else ""


def _spell(error: ErrorRecord) -> str:
    found = plain(error)
    text = " ".join(ADVICE.sub("", ANSI.sub("", error.message)).split())
    text = text.removeprefix(f"{found.cls}: ")
    line = f" (line {error.line})" if error.line else ""
    return f"{found.cls}: {text if len(text) <= 160 else text[:157] + '...'}{line}"


def _bare(cls: str) -> str:
    return re.split(r"[.:]", cls)[-1]


def _cut_alike(a: str, b: str) -> bool:
    parts_a, parts_b = ([part.strip() for part in _CUT.split(text)] for text in (a, b))
    head, tail = sorted((parts_a[0], parts_b[0]), key=len), sorted(
        (parts_a[-1], parts_b[-1]), key=len
    )  # fmt: skip
    return head[1].startswith(head[0]) and (
        tail[1].endswith(tail[0]) or min(len(parts_a), len(parts_b)) > 1
    )
