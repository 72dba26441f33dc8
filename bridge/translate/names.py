"""Names for Python variables: R's own where they are known, else what the thing is."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from bridge.capsule import Call
from bridge.facts.keras import METHODS

_RESERVED: Final = frozenset(
    {"tf", "keras", "np", "os", "data", "folder", "Path", "tempfile", "error", "_", *dir(builtins)}
)
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IDENTIFIER: Final = re.compile(r"[^\W\d][\w.]*|\.[^\W\d][\w.]*")

#: Methods of models, by the place of their data among R's arguments (the model comes first).
_DATA: Final = {"x": 1, "y": 2}
#: What the results of these methods are called where R gave them no name.
_RESULTS: Final = {
    "fit": "history",
    "predict": "prediction",
    "predict_on_batch": "prediction",
    "evaluate": "evaluation",
    "test_on_batch": "evaluation",
    "train_on_batch": "loss",
    "gradient": "gradients",
}
_CLASSES: Final = {
    "Sequential": "model",
    "Functional": "model",
    "Model": "model",
    "EagerTensor": "tensor",
    "KerasTensor": "tensor",
    "GradientTape": "tape",
}


def identifier(name: str) -> str:
    """Return R's name as one that Python takes, "" where nothing is left of it."""
    found = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name.replace(".", "_"))).strip("_")
    if not found or found[0].isdigit():
        return ""
    return f"{found}_" if keyword.iskeyword(found) or found in _RESERVED else found


def is_plain(name: str) -> bool:
    """Say whether Python takes it as the name of an attribute or an argument."""
    return name.isidentifier() and not keyword.iskeyword(name)


def of_class(cls: str) -> str:
    """Return a name for an object of a class ``module:qualname``."""
    last = cls.rpartition(":")[2].rpartition(".")[2]
    return identifier(_CLASSES.get(last, _WORDS.sub("_", last).lower())) or "thing"


def of_result(function: str) -> str:
    """Return a name for what a function or method returns."""
    last = function.rpartition(".")[2]
    return _RESULTS.get(last) or identifier(_WORDS.sub("_", last).lower()) or "value"


class Written:
    """What R's text says of a call: how its arguments are called there."""

    def __init__(self, call: Call) -> None:
        head, _, rest = call.r_call.partition("(")
        self._function = head.rpartition("$")[2]
        self._dollar = "$" in head
        self._named: dict[str, str] = {}
        self._placed: list[str] = []
        for part in _split(rest.removesuffix("...").removesuffix(")")):
            name, sign, value = part.partition("=")
            if sign and _IDENTIFIER.fullmatch(name.strip()) and not value.startswith("="):
                self._named[name.strip()] = value.strip()
            else:
                self._placed.append(part)

    @property
    def is_method(self) -> bool:
        """Whether R's text calls one of the methods that train, evaluate or predict."""
        return self._function in METHODS

    def name(self, place: int | None, keyword: str) -> str:
        """Return the R variable that an argument was, "" where it was none."""
        found = self._named.get(keyword, "")
        if not found and keyword in self._placed:
            found = keyword
        if not found and self._dollar and place is not None and place < len(self._placed):
            found = self._placed[place]
        elif not found and not self._dollar and self._function in METHODS and keyword in _DATA:
            at = _DATA[keyword]
            found = self._placed[at] if at < len(self._placed) else ""
        if not _IDENTIFIER.fullmatch(found) or found in ("TRUE", "FALSE", "NULL", "T", "F", "NA"):
            return ""
        return identifier(found)


def _split(text: str) -> Iterator[str]:
    """Yield the arguments of a call, split at its own commas."""
    depth, quote, last = 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'`":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and depth == 0:
            yield text[last:place].strip()
            last = place + 1
    if text[last:].strip():
        yield text[last:].strip()
