"""A case: an R script, what its header expects, and its Python twin where there is one.

The header is the run of ``#| key: value`` lines at the top of the script (Quarto's habit); it
names expectations and never changes what is run. What may stand in the brackets of
``expect-verdict[...]`` and ``expect-cause[...]`` is in :mod:`bridge.cases.case`.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.capsule import Environment, FrontEnd


# What a script's header expects, where it depends on the front end, a version or the processor.
#
# ``expect-verdict[keras3>=1.5, cran]: same-error`` holds where all in its brackets does: who
# answers ``library(keras)``, the version of a package, an instruction set. Of the lines that hold,
# the last counts. A version is compared as far as the header writes it: 1.5.1 is ``==1.5``, and not
# ``>1.5``.

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
    f"{', '.join(sign for sign in _COMPARISONS if sign != '>=')}.",
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


_HEADER: Final = re.compile(r"^#\|\s*([a-z-]+)\s*(?:\[([^\]]*)\])?\s*:\s*(.*?)\s*$")
_EXPECTATIONS: Final[dict[str, Subject]] = {"expect-verdict": "verdict", "expect-cause": "cause"}
#: What may stand in a header, and what each line says.
HEADER_KEYS: Final[Mapping[str, str]] = {
    "title": "What the case is about.",
    "expect-verdict": "The verdicts that are right, with commas between; may have brackets.",
    "expect-cause": "The causes that are right, with commas between; may have brackets.",
    "seconds": "The time limit of one run of this script, in place of `--seconds`.",
    "upstream": "A fault of a library that the script shows; where it no longer shows, the case "
    "is as expected and `fixed upstream`.",
    "seen-with": "The package and version that the fault was seen with, such as "
    "`tensorflow 2.21.0`.",
    "markers": "Markers that pytest gives the script, with commas between.",
    "unreviewed": "`yes`: what is expected was found by `add`, and no person has looked.",
    "allow": "Codes of rules that say nothing about this script, with commas between.",
}
#: What a file of observations may be; it stands beside the twin, by the script's name.
_OBSERVED: Final = (".yml", ".yaml", ".csv", ".capsule")


class CaseError(BridgeError, ValueError):
    """A case cannot be found, or its header cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Case:
    """One case; ``expectations`` are the lines of its header that say what to expect.

    ``observed`` is a file that says what was reported of it
    (:mod:`bridge.explain.observations`). ``upstream`` names the fault of a library that
    the case shows, ``seen_with`` the package and version that it was seen with; where it no longer
    shows, the case is "fixed upstream", and expected all the same. ``markers`` are those that
    pytest gives it. ``unreviewed``: what it expects is what was found, and nobody has looked at it.
    ``allowed`` are the codes of rules that have nothing to say of it.
    """

    name: str
    script: Path
    twin: Path | None = None
    title: str = ""
    expectations: tuple[Expectation, ...] = ()
    seconds: float | None = None
    observed: Path | None = None
    upstream: str = ""
    seen_with: str = ""
    markers: tuple[str, ...] = ()
    unreviewed: bool = False
    allowed: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    def verdicts(self, frontend: FrontEnd, environment: Environment) -> tuple[str, ...]:
        """Return the verdicts that the header accepts there; none means that it does not say."""
        return expected_values(self.expectations, "verdict", frontend, environment)

    def causes(self, frontend: FrontEnd, environment: Environment) -> tuple[str, ...]:
        """Return the causes that the header accepts there; none means that it does not say."""
        return expected_values(self.expectations, "cause", frontend, environment)


def read_case(script: Path, twin: Path | None = None, observed: Path | None = None) -> Case:
    """Read the header of ``script``.

    Raises:
        CaseError: the script cannot be read.
    """
    try:
        text = script.read_text("utf-8", errors="replace")
    except OSError as error:
        raise CaseError(f"cannot read {script}: {error.strerror}.") from None
    header, expectations, problems = _header(text)
    seconds = header.get("seconds")
    if seconds is not None and not re.fullmatch(r"\d+(\.\d+)?", seconds):
        problems.append(f"seconds should be a number, is {seconds!r}")
        seconds = None
    seen_with = header.get("seen-with", "")
    if seen_with and not re.fullmatch(r"[a-z_-]+ \d[\w.]*", seen_with):
        problems.append(f"seen-with should be a package and a version, is {seen_with!r}")
        seen_with = ""
    markers = _choices(header.get("markers", ""))
    if not all(marker.isidentifier() for marker in markers):
        problems.append(f"markers should be names, are {header['markers']!r}")
        markers = tuple(filter(str.isidentifier, markers))
    unreviewed = header.get("unreviewed", "no")
    if unreviewed not in ("yes", "no"):
        problems.append(f"unreviewed should be yes or no, is {unreviewed!r}")
    return Case(
        name=script.stem,
        script=script,
        twin=twin,
        title=header.get("title", ""),
        expectations=tuple(expectations),
        seconds=float(seconds) if seconds else None,
        observed=observed,
        upstream=header.get("upstream", ""),
        seen_with=seen_with,
        markers=markers,
        unreviewed=unreviewed == "yes",
        allowed=tuple(code.upper() for code in _choices(header.get("allow", ""))),
        problems=tuple(problems),
    )


def find_cases(folders: Iterable[tuple[Path, Path]]) -> list[Case]:
    """Return the cases of the suite: ``(r_scripts, comparisons)`` folders, earlier ones first.

    A script in an earlier folder hides one of the same name in a later folder.
    """
    found: dict[str, Case] = {}
    for scripts, comparisons in folders:
        for script in sorted(scripts.glob("*.R")):
            twin = comparisons / f"{script.stem}.py"
            beside = (comparisons / f"{script.stem}.observed{kind}" for kind in _OBSERVED)
            observed = next((path for path in beside if path.is_file()), None)
            case = read_case(script, twin if twin.is_file() else None, observed)
            found.setdefault(script.stem, case)
    return sorted(found.values(), key=lambda case: case.name)


def choose(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    """Return the cases of these names, in this order; no name means all.

    Raises:
        CaseError: a name is not known; the message lists the near ones.
    """
    by_name = {case.name: case for case in cases}
    chosen = []
    for name in names:
        stem = name.removesuffix(".R")
        if stem not in by_name:
            near = difflib.get_close_matches(stem, by_name, n=3, cutoff=0.4)
            listed = ", ".join(near or sorted(by_name)[:5]) or "none"
            hint = "near it are" if near else "there are"
            raise CaseError(
                f"There is no case {name!r}; {hint}: {listed}. "
                "Type 'keras-bridge run' without a name to run all."
            )
        chosen.append(by_name[stem])
    return chosen or list(cases)


def suite_folders(builtin: bool | None = None) -> list[tuple[Path, Path]]:
    """Return where cases are looked for: the current folder, then the suite that we ship.

    Args:
        builtin: whether the shipped suite is among them; None leaves it out where the current
            folder has scripts of its own.
    """
    package = Path(__file__).parents[1]
    shipped = [package.parent, package / "_suite"]
    own = any((Path.cwd() / "r_scripts").glob("*.R"))
    roots = [Path.cwd()]
    if builtin or (builtin is None and not own):
        roots += [root for root in shipped if (root / "r_scripts").is_dir()]
    unique = dict.fromkeys(root.resolve() for root in roots)
    return [(root / "r_scripts", root / "comparisons") for root in unique]


def header_keys(text: str) -> set[str]:
    """Return the keys of the header that a script's text begins with, known or not."""
    return {match[1] for _, match in _header_lines(text) if match}


def _header_lines(text: str) -> Iterator[tuple[int, re.Match[str] | None]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.startswith("#|"):
            return
        yield number, _HEADER.match(line)


def _header(text: str) -> tuple[dict[str, str], list[Expectation], list[str]]:
    found: dict[str, str] = {}
    expectations: list[Expectation] = []
    problems: list[str] = []
    for number, match in _header_lines(text):
        if match is None:
            problems.append(f"line {number} of the header is not 'key: value'")
            continue
        key, brackets, value = match.groups()
        if key not in HEADER_KEYS:
            near = difflib.get_close_matches(key, HEADER_KEYS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"line {number}: unknown header key {key!r}{hint}")
        elif key in _EXPECTATIONS:
            try:
                conditions = () if brackets is None else read_conditions(brackets)
            except ConditionError as error:
                problems.append(f"line {number}: {error}")
                continue
            expectations.append(Expectation(_EXPECTATIONS[key], _choices(value), conditions))
        elif brackets is not None:
            problems.append(f"line {number}: {key!r} takes no brackets, only expectations do")
        else:
            found[key] = value
    return found, expectations, problems


def _choices(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
