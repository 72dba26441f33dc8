"""Which R packages answer ``library(keras)``: CRAN's where installed, else our stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.capsule import FrontEnd
from bridge.errors import BridgeError
from bridge.r.script import Installed
from bridge.r.standin.build import ensure_standin

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
