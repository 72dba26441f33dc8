"""What is wrong with this installation, and the one line that mends it.

``diagnose`` is a pure function of a `Situation`; ``gather_situation`` makes one by looking at this
machine. Neither needs R or TensorFlow to be there, for their absence is the commonest finding.
"""

from __future__ import annotations

import json
import locale
import os
import platform
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Final, Literal

import psutil
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridge.process import environment
from bridge.r import version_constraints
from bridge.r.version_constraints import (
    R_COMMAND,
    RETICULATE_FOR_NUMPY_2,
    NoStackError,
    Stack,
    Version,
    ask,
    choose,
    dotted,
    parse_r_version,
    parse_version,
)
from bridge.rounding.measurements import PACKAGES, Installation, coverage, instructions

R_PACKAGES: Final = ("reticulate", "keras", "keras3", "tensorflow")
PYTHON_PACKAGES: Final = ("rpy2", "numpy", "tensorflow", "tf_keras", "keras", "tensorflow-metal")
#: Variables with which an environment takes the choice of a Keras out of a script's hands.
VARIABLES: Final = ("TF_USE_LEGACY_KERAS", "KERAS_BACKEND")

_QUESTIONS: Final = """
say <- function(...) cat("\\n@", ..., sep = "\\t")
say("home", R.home())
say("svg", isTRUE(capabilities("cairo")[[1]]))
for (name in strsplit("%s", " ")[[1]])
  try(say("package", name, as.character(utils::packageVersion(name))), silent = TRUE)
"""


@dataclass(frozen=True)
class Situation:
    """What a diagnosis is made from; None and missing keys mean that there is none."""

    python: str
    platform: str
    cores: int
    memory_gib: float
    encoding: str
    r: str | None = None
    r_home: str | None = None
    rscript: bool = False
    svg: bool = False
    r_packages: Mapping[str, str] = field(default_factory=dict)
    python_packages: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    cpu_vendor: str = ""
    cpu_flags: tuple[str, ...] = ()
    onednn: bool | None = None
    switches: Mapping[str, str] = field(default_factory=dict)


def gather_situation(seconds: float = 20.0) -> Situation:
    """Look at this machine; a question that R does not answer in ``seconds`` counts as unanswered.

    R is asked as the bridge will start it: ``--vanilla`` would skip the ``.Renviron`` in which
    people say where their packages are.
    """
    r = parse_r_version(ask(("R", "--version"), seconds))
    questions = _QUESTIONS % " ".join(R_PACKAGES)
    answers = ask((*R_COMMAND, questions), seconds) if r else ""
    facts = [line.split("\t")[1:] for line in answers.splitlines() if line.startswith("@\t")]
    single = {fact[0]: fact[1] for fact in facts if len(fact) == 2}
    return Situation(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 2**30,
        encoding=locale.nl_langinfo(locale.CODESET),
        r=version_constraints.dotted(r) if r else None,
        r_home=single.get("home"),
        rscript=shutil.which("Rscript") is not None,
        svg=single.get("svg") == "TRUE",
        r_packages={fact[1]: fact[2] for fact in facts if len(fact) == 3},
        python_packages=_installed(PYTHON_PACKAGES),
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        machine=platform.machine(),
        cpu_vendor=environment.cpu_vendor(),
        cpu_flags=environment.cpu_flags(),
        onednn=environment.onednn_by_default(),
        switches=environment.kernel_switches(),
    )


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


__all__ = [
    "Check",
    "Level",
    "Situation",
    "as_json",
    "diagnose",
    "gather_situation",
    "render",
]

Level = Literal["ok", "warning", "problem"]

#: The first reticulate that rpy2 can load without a crash.
_RETICULATE_FOR_RPY2: Final[Version] = (1, 25)
#: TensorFlow, R and two generations of Keras at once, with room for what a script makes.
_MEMORY_GIB: Final = 4.0

_INSTALL_R: Final = {
    "Linux": "sudo apt-get install --no-install-recommends r-base-core r-cran-reticulate",
    "Darwin": "brew install r",
}
_KERAS_OF: Final = {
    "tensorflow": "all scripts",
    "keras": "scripts with library(keras3)",
    "tf_keras": "scripts with library(keras)",
}
_INSTALL_RETICULATE: Final = """R -e 'install.packages("reticulate")'"""
_STYLES: Final[dict[Level, str]] = {"problem": "bold red", "warning": "yellow", "ok": "green"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how it stands, in a sentence, and what to type about it."""

    level: Level
    subject: str
    sentence: str
    fix: str | None = None


def diagnose(situation: Situation) -> list[Check]:
    """Judge ``situation``, subject by subject; every subject has at least one finding."""
    return [
        *_r(situation),
        *_reticulate(situation),
        *_front_ends(situation),
        *_rpy2(situation),
        *_numpy(situation),
        *_tensorflow(situation),
        *_metal(situation),
        *_models(situation),
        *_variables(situation),
        *_machine(situation),
    ]


def as_json(findings: Sequence[Check]) -> str:
    """Return the findings as JSON, with the keys of `Check`."""
    return json.dumps(
        {"schema": 1, "findings": [asdict(finding) for finding in findings]}, indent=2
    )


def render(findings: Sequence[Check]) -> RenderableType:
    """Return the findings for a terminal, the worst first, each with the line to type."""
    worst_first = sorted(findings, key=lambda finding: list(_STYLES).index(finding.level))
    table = Table.grid(padding=(0, 2))
    for finding in worst_first:
        sentence = Text(finding.sentence)
        if finding.fix:
            sentence.append(f"\n{finding.fix}", style="bold")
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), finding.subject, sentence)
    counts = [
        f"{count} {level}{'s' * (count > 1)}"
        for level in ("problem", "warning")
        if (count := sum(finding.level == level for finding in findings))
    ]
    return Group(table, Text(f"\n{' and '.join(counts)}." if counts else "\nNothing is wrong."))


def _version(text: str | None) -> Version | None:
    return parse_version(text) if text else None


def _stack(situation: Situation) -> Stack | NoStackError | None:
    """Return the versions for the R that was found, or why there are none."""
    r, python = _version(situation.r), _version(situation.python)
    if r is None or python is None:
        return None
    try:
        return choose(r, _version(situation.r_packages.get("reticulate")), python)
    except NoStackError as refusal:
        return refusal


def _pip(*requirements: str) -> str:
    return f"python -m pip install {shlex.join(requirements)}"


def _r(situation: Situation) -> Iterator[Check]:
    if situation.r is None:
        system = situation.platform.partition(" ")[0]
        fix = _INSTALL_R.get(system, "install R 4.2 or newer and put it on the PATH")
        yield Check("problem", "R", "R is not on the PATH, or does not answer.", fix)
        return
    yield Check("ok", "R", f"R {situation.r} in {situation.r_home or 'an unknown place'}.")
    match _stack(situation):
        case NoStackError() as refusal:
            yield Check("problem", "versions", f"{refusal.reason}.", refusal.fix)
        case Stack() as stack:
            pins = f"rpy2 {stack.rpy2} and NumPy {stack.numpy} ({', '.join(stack.constraints)})"
            yield Check("ok", "versions", f"For this R, constraints/ pins {pins}.")
    if not situation.rscript:
        yield Check(
            "warning",
            "Rscript",
            "R is on the PATH and Rscript is not, so a script cannot be run alone to compare.",
            'export PATH="$(R RHOME)/bin:$PATH"',
        )
    if not situation.svg:
        yield Check(
            "warning",
            "R graphics",
            "This R was built without cairo: its plots cannot be recorded as SVG.",
            "install Debian's r-base-core, or XQuartz on a Mac",
        )


def _reticulate(situation: Situation) -> Iterator[Check]:
    text = situation.r_packages.get("reticulate")
    version = _version(text)
    if situation.r is None:
        return
    if version is None:
        yield Check(
            "problem",
            "reticulate",
            "R has no reticulate, the package through which it calls Python.",
            _INSTALL_RETICULATE,
        )
    elif version < _RETICULATE_FOR_RPY2:
        sentence = f"reticulate {text} crashes when R runs inside Python; 1.25 mended it."
        yield Check("problem", "reticulate", sentence, _INSTALL_RETICULATE)
    elif version[:3] in {(1, 39), (1, 39, 0)}:
        sentence = f"reticulate {text} never returns when R runs inside Python; 1.40 mended it."
        yield Check("problem", "reticulate", sentence, _INSTALL_RETICULATE)
    else:
        yield Check("ok", "reticulate", f"reticulate {text}.")


def _front_ends(situation: Situation) -> Iterator[Check]:
    if situation.r is None:
        return
    front_ends = ("keras", "keras3", "tensorflow")
    there = [
        f"{name} {situation.r_packages[name]}"
        for name in front_ends
        if name in situation.r_packages
    ]
    missing = [name for name in front_ends if name not in situation.r_packages]
    if there:
        yield Check("ok", "R packages", f"From CRAN: {', '.join(there)}.")
    if missing:
        names = ", ".join(f'"{name}"' for name in missing)
        yield Check(
            "warning",
            "R packages",
            f"Without CRAN's {', '.join(missing)} a stand-in answers, which clears CRAN's package "
            "of nothing.",
            f"R -e 'install.packages(c({names}))'",
        )


def _rpy2(situation: Situation) -> Iterator[Check]:
    text = situation.python_packages.get("rpy2")
    installed, r = _version(text), _version(situation.r)
    stack = _stack(situation)
    wanted = stack.rpy2 if isinstance(stack, Stack) else None
    fix = _pip(f"rpy2=={wanted}" if wanted else "rpy2")
    if installed is None:
        sentence = "rpy2 is missing, which runs R inside Python."
        yield Check("problem", "rpy2", sentence, fix)
    elif wanted is None or installed[:2] == (_version(wanted) or ())[:2]:
        yield Check("ok", "rpy2", f"rpy2 {text}.")
    elif r is not None and installed >= (3, 6):
        sentence = f"rpy2 {text} needs R 4.5 or newer, and this is R {situation.r}."
        yield Check("problem", "rpy2", sentence, fix)
    else:
        sentence = f"rpy2 {text} is older than R {situation.r}, a pair that was never tried."
        yield Check("warning", "rpy2", sentence, fix)


def _numpy(situation: Situation) -> Iterator[Check]:
    text = situation.python_packages.get("numpy")
    installed = _version(text)
    reticulate = _version(situation.r_packages.get("reticulate"))
    if installed is None:
        yield Check("problem", "NumPy", "NumPy is missing.", _pip("numpy"))
    elif installed >= (2,) and reticulate is not None and reticulate < RETICULATE_FOR_NUMPY_2:
        yield Check(
            "problem",
            "NumPy",
            f"reticulate {dotted(reticulate)} refuses the arrays of NumPy {text}; "
            f"{dotted(RETICULATE_FOR_NUMPY_2)} was the first to take them.",
            _pip("numpy<2", "ml_dtypes<0.6"),
        )
    else:
        yield Check("ok", "NumPy", f"NumPy {text}.")


def _tensorflow(situation: Situation) -> Iterator[Check]:
    packages = situation.python_packages
    release = (_version(packages.get("tensorflow")) or ())[:2]
    for name, use in _KERAS_OF.items():
        version = _version(packages.get(name))
        if version is None:
            yield Check("problem", name, f"{name} is missing, on which {use} run.", _pip(name))
        elif name == "keras" and version < (3,):
            sentence = f"keras {packages[name]} is Keras 2, and library(keras3) needs Keras 3."
            yield Check("problem", name, sentence, _pip("keras>=3"))
        elif name == "tf_keras" and release and version[:2] != release:
            sentence = f"tf_keras {packages[name]} was not made for TensorFlow {dotted(release)}."
            yield Check("problem", name, sentence, _pip(f"tf_keras=={dotted(release)}.*"))
        else:
            yield Check("ok", name, f"{name} {packages[name]}.")


def _metal(situation: Situation) -> Iterator[Check]:
    if version := situation.python_packages.get("tensorflow-metal"):
        yield Check(
            "problem",
            "tensorflow-metal",
            f"tensorflow-metal {version} is known to lose the relu of a fused "
            "MatMul+BiasAdd+Relu in graph mode (tensorflow 61650, 62137, 92686; "
            "keras 18381, 19009).",
            "python -m pip uninstall tensorflow-metal",
        )


def _models(situation: Situation) -> Iterator[Check]:
    """Say in one line whether the activations' error models speak of this installation."""
    if "tensorflow" not in situation.python_packages:
        return
    here = Installation(
        machine=situation.machine,
        vendor=situation.cpu_vendor,
        instructions=instructions(situation.cpu_flags),
        packages=tuple(
            (name, situation.python_packages[name])
            for name in PACKAGES
            if name in situation.python_packages
        ),
        onednn=situation.onednn,
        switches=tuple(sorted(situation.switches.items())),
    )
    yield Check("ok", "activations", coverage(here).sentence)


def _variables(situation: Situation) -> Iterator[Check]:
    legacy = situation.variables.get("TF_USE_LEGACY_KERAS")
    if legacy is not None:
        loser = "keras3" if legacy.lower() in {"1", "true"} else "keras"
        yield Check(
            "warning",
            "environment",
            f"TF_USE_LEGACY_KERAS={legacy} decides for every script; one with library({loser}) "
            "run alone gets the other Keras.",
            "unset TF_USE_LEGACY_KERAS",
        )
    backend = situation.variables.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        sentence = f"KERAS_BACKEND={backend} takes a script that is run alone off TensorFlow."
        yield Check("warning", "environment", sentence, "unset KERAS_BACKEND")


def _machine(situation: Situation) -> Iterator[Check]:
    machine = (
        f"{situation.platform}, {situation.cores} cores, {situation.memory_gib:.1f} GiB, "
        f"Python {situation.python}"
    )
    if situation.memory_gib < _MEMORY_GIB:
        yield Check(
            "warning",
            "machine",
            f"{machine}: with less than {_MEMORY_GIB:.0f} GiB, run one case at a time.",
            "keras-bridge run --jobs 1",
        )
    else:
        yield Check("ok", "machine", f"{machine}.")
    if situation.encoding.upper().replace("-", "") != "UTF8":
        yield Check(
            "warning",
            "locale",
            f"The locale's encoding is {situation.encoding}: R will misread a script in UTF-8.",
            "export LC_ALL=C.UTF-8",
        )
