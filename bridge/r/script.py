"""What an R script says before it is run, and which front end will answer it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from bridge.capsule import ErrorRecord, FrontEnd
from bridge.errors import BridgeError
from bridge.r.standin.build import ensure_standin

_SCRIPT: Final = Path(__file__).with_name("script.R")
_PLACE: Final = re.compile(r"^(\d+):(\d+): (.*?)(?:\n|$)", re.DOTALL)

#: Packages that reach Keras, and the generation of Keras that each of them means.
GENERATIONS: Final = {"keras": 2, "keras3": 3, "tensorflow": 3, "reticulate": 3}


class NoRError(BridgeError, RuntimeError):
    """R is not installed, or cannot be run; the message says what to type."""


@dataclass(frozen=True)
class Installed:
    """The R on the PATH, and the packages among those that matter: version and stand-in marker."""

    r: str
    packages: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Inspection:
    """One script, read but not run."""

    text: str
    problem: str = ""
    error: ErrorRecord | None = None
    loads: tuple[tuple[str, int], ...] = ()
    functions: tuple[str, ...] = ()
    #: R's own syntax tree, row by row (see :mod:`bridge.translate.syntax`).
    tree: tuple[tuple[Any, ...], ...] = field(default=(), repr=False)

    @property
    def package(self) -> str:
        """The front end that the script loads: the most specific of those it names."""
        named = [name for name, _ in self.loads if name in GENERATIONS]
        keras = [name for name in named if name.startswith("keras")]
        return (keras or sorted(named, key=list(GENERATIONS).index) or [""])[0]

    @property
    def generation(self) -> int:
        """The generation of Keras that the script means, 2 or 3."""
        return GENERATIONS.get(self.package, 3)


def inspect(paths: Sequence[Path]) -> tuple[Installed, list[Inspection]]:
    """Parse the scripts with R's own parser, all in one R process.

    Raises:
        NoRError: R cannot be run.
        OSError: a script cannot be read.
    """
    texts = [_read(path) for path in paths]
    readable = [path for path, text in zip(paths, texts, strict=True) if isinstance(text, str)]
    answers = _ask_r([str(path.resolve()) for path in readable])
    first = next(answers)
    installed = Installed(
        first["r"], {name: (version, marker) for name, version, marker in first["installed"]}
    )
    found = []
    for text in texts:
        if isinstance(text, ErrorRecord):
            found.append(Inspection("", "not-utf8", text))
        else:
            found.append(_inspection(text, next(answers)))
    return installed, found


def _read(path: Path) -> str | ErrorRecord:
    data = path.read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        byte = data[error.start]
        message = f"byte 0x{byte:02x} at line {line}, column {column} is not UTF-8"
        return ErrorRecord(
            language="process", cls="encoding", message=message, line=line, column=column
        )


def _inspection(text: str, answer: dict[str, Any]) -> Inspection:
    if answer["error"] is not None:
        place = _PLACE.match(answer["error"])
        line, column, said = place.groups() if place else (None, None, answer["error"])
        error = ErrorRecord(
            language="r",
            cls="parse error",
            message=said,
            line=int(line) if line else None,
            column=int(column) if column else None,
        )
        return Inspection(text, "syntax-error", error)
    return Inspection(
        text,
        "" if answer["expressions"] else "empty",
        None,
        tuple((name, line) for name, line in answer["loads"]),
        tuple(answer["functions"]),
        tuple(tuple(row) for row in answer["tree"]),
    )


def _ask_r(paths: list[str]) -> Iterator[Any]:
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise NoRError(
            "R is not installed (no Rscript on the PATH): type 'make run' or install r-base."
        )
    try:
        done = subprocess.run(
            [rscript, "--no-save", "--no-restore", "--no-init-file", str(_SCRIPT), *paths],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=60 + len(paths),
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise NoRError("Rscript does not answer: run 'keras-bridge doctor'.") from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())[-300:]
        raise NoRError(f"Rscript fails ({said}): run 'keras-bridge doctor'.") from None
    return iter([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])


# Which R packages answer ``library(keras)``: CRAN's where installed, else our stand-in.

Wanted = Literal["auto", "cran", "standin"]


class NoFrontEndError(BridgeError, RuntimeError):
    """The wanted front end is not there; the message says what to do."""


@dataclass(frozen=True)
class Served:
    """How a script's ``library()`` call is served."""

    frontend: FrontEnd
    libraries: tuple[str, ...]
    preload: tuple[str, ...]


def serve(package: str, wanted: Wanted, installed: Installed) -> Served:
    """Decide who serves ``package``, and build the stand-in if it is that.

    Raises:
        NoFrontEndError: CRAN's package is wanted and not installed.
        StandinError: the stand-in cannot be built.
    """
    if package in ("", "reticulate"):
        version = installed.packages.get("reticulate", ("", ""))[0]
        return Served(FrontEnd(kind="none", package="reticulate", version=version), (), ())
    version, marker = installed.packages.get(package, ("", ""))
    is_cran = bool(version) and not marker
    if wanted == "cran" and not is_cran:
        raise NoFrontEndError(
            f"CRAN's {package} is not installed in this R: type install.packages('{package}') in "
            "R, set R_LIBS to the library that has it, or use --frontend standin."
        )
    companions = ("tensorflow",) if package == "tensorflow" else (package, "tensorflow")
    if is_cran and wanted != "standin":
        # CRAN's keras3 makes TensorFlow start its threads when it is loaded: never before a fork.
        early = [name for name in companions if name != "keras3"]
        preload = tuple(name for name in early if name in installed.packages)
        return Served(FrontEnd(kind="cran", package=package, version=version), (), preload)
    library = ensure_standin()
    return Served(
        FrontEnd(kind="standin", package=package, version=""), (str(library),), companions
    )
