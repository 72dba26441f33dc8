"""The one place where the R that is found chooses the versions that are installed beside it.

Two facts decide. rpy2 3.6 calls functions that R has from 4.5 on, so an older R needs rpy2 3.5.
reticulate before 1.38 was compiled against NumPy 1 and refuses NumPy 2's arrays. Everything else
is one set for all.

Run it as a script with any Python 3.11 or newer, before anything is installed::

    $ python3 bridge/r/version_constraints.py
    constraints/common.txt
    constraints/r-before-4.5.txt
    constraints/reticulate-before-1.38.txt
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

Version = tuple[int, ...]

OLDEST_R: Final[Version] = (4, 2)
#: The first R that rpy2 3.6 can be loaded into.
R_FOR_RPY2_3_6: Final[Version] = (4, 5)
#: The first reticulate that takes NumPy 2's arrays.
RETICULATE_FOR_NUMPY_2: Final[Version] = (1, 38)
#: The Pythons that TensorFlow has wheels for, and we support.
PYTHONS: Final[tuple[Version, Version]] = ((3, 11), (3, 13))
#: The last Python that NumPy 1 has wheels for.
LAST_PYTHON_OF_NUMPY_1: Final[Version] = (3, 12)

#: R's own start-up files are read, for they say where packages are; the user's are not, for they
#: may print, ask or wait.
R_COMMAND: Final = ("R", "-s", "--no-save", "--no-restore", "--no-init-file", "-e")

_RETICULATE: Final = (
    "cat('\\n', tryCatch(as.character(utils::packageVersion('reticulate')), "
    "error = function(e) 'none'), sep = '')"
)


class NoStackError(ValueError):
    """No set of versions is known to work here: the reason, and what to type or change."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}: {fix}")
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True)
class Stack:
    """The versions that the R found asks for, and the files in ``constraints/`` that pin them."""

    rpy2: str
    numpy: str
    constraints: tuple[str, ...]


def parse_version(text: str) -> Version | None:
    """Return the first dotted number in ``text``, or None when there is none.

    >>> parse_version("1.41.0.1")
    (1, 41, 0, 1)
    """
    found = re.search(r"\d+(?:[.-]\d+)+", text)
    return tuple(int(part) for part in re.split("[.-]", found[0])) if found else None


def parse_r_version(output: str) -> Version | None:
    """Return the version that ``R --version`` printed, or None when it names no release.

    >>> parse_r_version('R version 4.2.2 Patched (2022-11-10 r83330) -- "Innocent and Trusting"')
    (4, 2, 2)
    """
    found = re.search(r"^R version (\d+\.\d+\.\d+)", output, re.MULTILINE)
    return parse_version(found[1]) if found else None


def dotted(version: Version) -> str:
    """Return ``version`` as people write it."""
    return ".".join(map(str, version))


def choose(r: Version, reticulate: Version | None, python: Version) -> Stack:
    """Choose the versions for an R, its reticulate (None: not installed yet) and a Python.

    >>> choose((4, 5, 0), (1, 41), (3, 13)).rpy2
    '3.6.9'

    Raises:
        NoStackError: Nothing is known to work there.
    """
    oldest, newest = PYTHONS
    if not oldest <= python[:2] <= newest:
        raise NoStackError(
            f"TensorFlow needs a Python from {dotted(oldest)} to {dotted(newest)}, "
            f"and this is {dotted(python[:2])}",
            f"make PYTHON=python{dotted(newest)}",
        )
    if r < OLDEST_R:
        raise NoStackError(f"R {dotted(r)} is too old", f"install R {dotted(OLDEST_R)} or newer")
    new_r = r >= R_FOR_RPY2_3_6
    # An R without reticulate gets the one of its own time.
    numpy_2 = new_r if reticulate is None else reticulate >= RETICULATE_FOR_NUMPY_2
    if not numpy_2 and python[:2] > LAST_PYTHON_OF_NUMPY_1:
        raise NoStackError(
            "reticulate needs NumPy 1, which has no wheels for this Python, "
            f"until it is {dotted(RETICULATE_FOR_NUMPY_2)}",
            f"make PYTHON=python{dotted(LAST_PYTHON_OF_NUMPY_1)}",
        )
    return Stack(
        rpy2="3.6.9" if new_r else "3.5.17",
        numpy="2.4.6" if numpy_2 else "1.26.4",
        constraints=(
            "common.txt",
            "r-4.5.txt" if new_r else "r-before-4.5.txt",
            "reticulate-1.38.txt" if numpy_2 else "reticulate-before-1.38.txt",
        ),
    )


def ask(command: tuple[str, ...], seconds: float = 20.0) -> str:
    """Return what ``command`` prints; nothing when it is missing, fails or takes too long."""
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout


def main() -> int:
    """Print the constraint files for the R on the PATH and the Python that runs this."""
    r = parse_r_version(ask(("R", "--version")))
    if r is None:
        print("R is not on the PATH; install R and type: make", file=sys.stderr)
        return 2
    reticulate = parse_version(ask((*R_COMMAND, _RETICULATE)).rpartition("\n")[2])
    try:
        stack = choose(r, reticulate, sys.version_info[:3])
    except NoStackError as reason:
        print(reason, file=sys.stderr)
        return 2
    for name in stack.constraints:
        print(f"constraints/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
