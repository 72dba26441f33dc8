"""What a script's header expects, where it depends on the front end, a version or the processor.

``expect-verdict[keras3>=1.5, cran]: same-error`` holds where all in its brackets does: who answers
``library(keras)``, the version of a package, an instruction set. Of the lines that hold, the last
counts. A version is compared as far as the header writes it: 1.5.1 is ``==1.5``, and not ``>1.5``.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.capsule import Environment, FrontEnd

Subject = Literal["verdict", "cause"]

_FRONT_ENDS: Final = ("cran", "standin")
#: Packages of R, by their names, and where the others stand: Python's names are another's too.
_R_PACKAGES: Final = ("keras", "keras3", "tensorflow", "reticulate")
_PYTHON_PACKAGES: Final = {"Keras": "keras", "TensorFlow": "tensorflow", "tf_keras": "tf_keras"}
_VERSIONED: Final = (*_R_PACKAGES, *_PYTHON_PACKAGES, "R")
#: Whether TensorFlow uses oneDNN, the machine, and what Linux calls the processor's instructions.
_PROCESSORS: Final = (
    "onednn", "x86_64", "aarch64", "arm64", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f",
    "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "asimd", "sve",
)  # fmt: skip
_COMPARISONS: Final[Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
#: What may stand in brackets, for readers.
CONDITIONS: Final[Mapping[str, str]] = {
    "cran": "CRAN's package answered `library(keras)` or `library(keras3)`.",
    "standin": "The stand-in answered.",
    "PACKAGE>=1.5": f"A package is of such a version, as far as it is written: "
    f"{', '.join(_R_PACKAGES)} of R; {', '.join(_PYTHON_PACKAGES)} of Python; R itself. Also "
    f"{', '.join(each for each in _COMPARISONS if each != '>=')}.",
    "onednn": "TensorFlow uses oneDNN.",
    "PROCESSOR": f"The machine, or an instruction set of its processor: "
    f"{', '.join(_PROCESSORS[1:])}.",
}
_VERSION: Final = re.compile(r"([A-Za-z]\w*)\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)")


class ConditionError(BridgeError, ValueError):
    """Something in the brackets of an expectation is not known; the message says what is."""


@dataclass(frozen=True)
class Condition:
    """One thing in brackets: a word alone, or a package with a comparison and a version."""

    name: str
    comparison: str = ""
    version: tuple[int, ...] = ()

    def holds(self, frontend: FrontEnd, environment: Environment) -> bool:
        """Say whether it is so; of a package that is not there nothing holds."""
        if not self.comparison:
            return self.name in _facts(frontend, environment)
        found = _parts(_version_of(self.name, frontend, environment))
        if not found:
            return False
        # Zeros that are not written count: 1.5 is 1.5.0.
        size = len(self.version)
        there = (found + (0,) * size)[:size]
        return _COMPARISONS[self.comparison](there, self.version)


@dataclass(frozen=True)
class Expectation:
    """One line of a header: the verdicts or the causes that it accepts, and where it holds."""

    subject: Subject
    values: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()

    def holds(self, frontend: FrontEnd, environment: Environment) -> bool:
        """Say whether all in its brackets is so."""
        return all(condition.holds(frontend, environment) for condition in self.conditions)


def expected_values(
    expectations: Iterable[Expectation],
    subject: Subject,
    frontend: FrontEnd,
    environment: Environment,
) -> tuple[str, ...]:
    """Return what the last line that holds accepts; nothing where none does."""
    values: tuple[str, ...] = ()
    for expectation in expectations:
        if expectation.subject == subject and expectation.holds(frontend, environment):
            values = expectation.values
    return values


def read_conditions(text: str) -> tuple[Condition, ...]:
    """Read what stands between the brackets, "keras3>=1.5, cran" say.

    Raises:
        ConditionError: a word or package is not known, or nothing is there.
    """
    return tuple(_condition(part.strip()) for part in text.split(","))


def _condition(text: str) -> Condition:
    compared = _VERSION.fullmatch(text)
    name = compared[1] if compared else text
    known = _VERSIONED if compared else (*_FRONT_ENDS, *_PROCESSORS)
    if name not in known:
        # A package by itself, or a comparison that cannot be read, has the package's name in it.
        if not compared and (words := re.match(r"\w+", text)) and words[0] in _VERSIONED:
            raise ConditionError(
                f"{text!r} in brackets should be a package, a comparison and a version, such as "
                f"{words[0]}>=2"
            )
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise ConditionError(f"unknown condition {text!r}; {hint}")
    if compared is None:
        return Condition(name)
    return Condition(name, compared[2], _parts(compared[3]))


def _facts(frontend: FrontEnd, environment: Environment) -> set[str]:
    facts = {frontend.kind, environment.machine, *environment.cpu_flags}
    return facts | {"onednn"} if environment.onednn else facts


def _version_of(name: str, frontend: FrontEnd, environment: Environment) -> str:
    if name == "R":
        return environment.r
    if name in _PYTHON_PACKAGES:
        return environment.packages.get(_PYTHON_PACKAGES[name], "")
    if name == frontend.package:
        return frontend.version
    return environment.r_packages.get(name, "")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
