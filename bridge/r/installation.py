"""What is installed on this machine, found out without starting R in here or TensorFlow at all."""

from __future__ import annotations

import locale
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final

import psutil

from bridge.process import environment
from bridge.r import version_constraints
from bridge.r.version_constraints import R_COMMAND, ask, parse_r_version

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
