"""Builds the stand-in R packages into a private R library, once for each set of sources.

The library lies in a folder named by a hash of everything that goes into it: the generator, the
tables, the runtime, R and reticulate. It is made under another name and renamed when it is whole,
so that nobody ever sees half a library and two processes may build at once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import platformdirs

from bridge.errors import BridgeError
from bridge.facts.r import TABLES
from bridge.r.standin import generate
from bridge.r.standin.generate import (
    PACKAGES,
    ExportedWrapper,
    PackageTable,
    Tags,
    amend,
    kinds_in,
    read_tables,
    tags_in,
)

HERE = Path(__file__).parent
RUNTIME = HERE / "runtime"

#: Longest time that one ``R CMD INSTALL`` may take, in seconds.
INSTALL_SECONDS = 300

#: Parts of a build that was interrupted are removed after this many seconds.
ABANDONED_SECONDS = 24 * 3600

#: Where packages are on Debian besides R's own folders.
SITES = (Path("/usr/local/lib/R/site-library"),)

_MISSING = "type: apt-get install r-base-core r-cran-reticulate"


class StandinError(BridgeError, RuntimeError):
    """The packages could not be built; the message is a sentence that says what to do."""


def runtime_files(package: generate.Package, folder: Path = RUNTIME) -> dict[str, str]:
    """Read the hand-written files of ``package``; path inside the R package -> text.

    R files go to ``R/``, with their folder's name in front; a folder ``python`` goes to
    ``inst/python``.
    """
    files: dict[str, str] = {}
    for part in package.folders:
        for path in sorted((folder / part).glob("*.R")):
            files[f"R/{part}-{path.name}"] = path.read_text(encoding="utf-8")
        for path in sorted((folder / part / "python").rglob("*.py")):
            inside = path.relative_to(folder / part).as_posix()
            files[f"inst/{inside}"] = path.read_text(encoding="utf-8")
    return files


def sources(table_folder: Path = TABLES) -> dict[str, dict[str, str]]:
    """Generate all packages in the order of installation; package -> path -> text."""
    found = generate.read_tables(table_folder)
    return {
        package.name: generate.generate(package, found.get(package.name), runtime_files(package))
        for package in generate.PACKAGES
    }


@functools.cache
def r_home() -> Path:
    """Return the folder of the R that is on the PATH.

    Raises:
        StandinError: There is none.
    """
    try:
        answer = subprocess.run(
            ["R", "RHOME"], capture_output=True, check=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StandinError(f"R is not on the PATH; {_MISSING}") from error
    return Path(answer.stdout.strip().splitlines()[-1])


def library_paths(home: Path, environment: Mapping[str, str]) -> list[Path]:
    """Return the folders in which R looks for packages, the likely ones first."""
    named = [environment.get(name, "") for name in ("R_LIBS", "R_LIBS_USER", "R_LIBS_SITE")]
    paths = [Path(part) for text in named for part in text.split(os.pathsep) if part]
    return [*paths, *SITES, home / "site-library", home / "library"]


def r_identity() -> str:
    """Return the versions of R and of reticulate, which the built packages depend on.

    Both are read from the packages' DESCRIPTION, since starting R takes a third of a second.

    Raises:
        StandinError: R or reticulate is missing.
    """
    home = r_home()
    for folder in library_paths(home, os.environ):
        with contextlib.suppress(OSError):
            reticulate = (folder / "reticulate" / "DESCRIPTION").read_text(encoding="utf-8")
            base = (home / "library" / "base" / "DESCRIPTION").read_text(encoding="utf-8")
            fields = (_field(base, "Version"), _field(base, "Built"), _field(reticulate, "Version"))
            return " ".join(fields)
    raise StandinError(f"R has no package reticulate; {_MISSING}")


def _field(text: str, name: str) -> str:
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key == name), "")


def key(table_folder: Path = TABLES) -> str:
    """Return the name of the library's folder: a hash of all that goes into it."""
    digest = hashlib.sha256(r_identity().encode())
    inputs = [
        *HERE.glob("*.py"),
        *RUNTIME.rglob("*.R"),
        *RUNTIME.rglob("*.py"),
        *table_folder.glob("*.json"),
    ]
    for path in sorted(inputs, key=str):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:20]


def ensure_standin(library: Path | None = None, table_folder: Path = TABLES) -> Path:
    """Return an R library that holds the stand-in packages, building it when it is not there.

    Args:
        library: The folder to keep libraries in; by default one in the user's cache.
        table_folder: The coercion tables to build from.

    Returns:
        The library, to be put in front of R's library paths (``R_LIBS``).

    Raises:
        StandinError: R or reticulate is missing, the folder cannot be written, or R could not
            install a package; the last names a log.
    """
    parent = library or platformdirs.user_cache_path("keras-bridge") / "standin"
    target = parent / key(table_folder)
    if target.is_dir():
        return target
    with _workplace(parent) as work:
        finished = work / "library"
        finished.mkdir()
        _install_all(sources(table_folder), work, finished)
        try:
            finished.rename(target)
        except OSError as error:
            # Another process was quicker; its library was made from the same sources.
            if not target.is_dir():
                raise _unwritable(parent, error) from error
    return target


@contextlib.contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """Make a folder beside the target to build in; it is removed unless a build failed in it."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.glob(".building-*"):
            if time.time() - old.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from error
    try:
        yield work
    except StandinError:
        raise
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise _unwritable(parent, error) from error
    except BaseException:  # what is half made goes; it is raised again
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)


def _unwritable(parent: Path, error: OSError) -> StandinError:
    return StandinError(
        f"the stand-in packages cannot be built in {parent} ({error.strerror or error}); "
        "set XDG_CACHE_HOME to a folder that can be written"
    )


def _install_all(packages: Mapping[str, Mapping[str, str]], work: Path, library: Path) -> None:
    """Install the first package, which the others import, and then those side by side."""
    first, *others = packages
    _install(first, packages[first], work, library)
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(_install, name, packages[name], work, library) for name in others]
        for job in jobs:
            job.result()


def _install(name: str, files: Mapping[str, str], work: Path, library: Path) -> None:
    source = work / name
    for path, text in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text, encoding="utf-8")
    log = work / f"{name}.log"
    paths = os.pathsep.join(filter(None, (str(library), os.environ.get("R_LIBS"))))
    command = [
        str(r_home() / "bin" / "R"), "CMD", "INSTALL", "--no-docs", "--no-multiarch",
        "--no-test-load", "--no-staged-install", "--no-lock", "--no-byte-compile",
        f"--library={library}", str(source),
    ]  # fmt: skip
    try:
        with log.open("wb") as out:
            subprocess.run(
                command,
                env=os.environ | {"R_LIBS": paths, "TMPDIR": str(work)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=True,
                timeout=INSTALL_SECONDS,
            )
    except subprocess.SubprocessError as error:
        raise StandinError(
            f"R could not install the stand-in package {name}; its log says why: {log}"
        ) from error


# How much of the most used functions of the R packages the stand-in carries: a page, made again.
#
# ``python -m bridge.r.standin.build`` writes ``COVERAGE.md`` beside this file; a test fails
# where it is stale. What a function's row rests on is tested elsewhere: the recorded scripts call
# by call (tests/r/test_standin_golden.py), the answers of every kind of argument
# (tests/r/test_standin_kinds.py).

_HERE: Final = Path(__file__).parent
PAGE: Final = _HERE / "COVERAGE.md"
_USED: Final = _HERE / "most_used.json"
_GOLDEN: Final = _HERE.parents[2] / "tests" / "data" / "golden"
_LISTED: Final = ("keras", "keras3")

#: ``recorded``: called in scripts that were recorded whole with CRAN's package, and every call of
#: these is the same. ``measured``: each argument was measured one by one, and each has its answers.
#: ``the same``: R or another package has it, and it is no stand-in at all. ``partly``: some
#: arguments refuse. ``by hand``: written from documentation, and never set beside CRAN's.
Status = Literal["recorded", "measured", "the same", "partly", "by hand", "refuses"]
IDENTICAL: Final[tuple[Status, ...]] = ("recorded", "measured", "the same")

#: Kinds that the generator writes out itself.
_WRITTEN: Final = frozenset({"choice", "only", "ignored", "always_error", "refused", "as_is"})


@dataclass(frozen=True)
class Row:
    """One function: ``files`` use it, ``scripts`` were recorded with it, ``why`` names a lack."""

    package: str
    function: str
    files: int
    status: Status
    scripts: int = 0
    why: str = ""


def rows(golden: Path = _GOLDEN) -> Iterator[Row]:
    """Yield the most used functions of each package, the most used first."""
    tables, used = read_tables(), json.loads(_USED.read_text("utf-8"))
    for package in PACKAGES:
        if package.name not in _LISTED:
            continue
        table, runtime = tables[package.name], runtime_files(package)
        tags, kinds = tags_in(runtime), kinds_in(runtime)
        counts = _recorded(golden, package.name)
        for name, files in used[package.name]["files_using"].items():
            status, why = _status(package.name, name, table, tags, kinds)
            # A row of the table is proven for each of its arguments; a script for a few.
            if counts[name] and status == "by hand":
                status = "recorded"
            yield Row(package.name, name, files, status, counts[name], why)


def _status(
    package: str, name: str, table: PackageTable, tags: Tags, kinds: frozenset[str]
) -> tuple[Status, str]:
    if name in {generic for generic, _ in tags.methods}:
        return "by hand", ""
    if any(re.search(rf"\b{re.escape(name)}\b", line) for line in tags.lines):
        return "the same", ""
    if name in tags.refused:
        return "refuses", "with a sentence"
    if name in tags.exports:
        return "by hand", ""
    function = amend(package, name, table.functions.get(name, ExportedWrapper()))
    if not function.measured:
        return "refuses", function.unmeasured or "it was not measured"
    lacking = [
        formal
        for formal, _ in function.formals
        if formal not in ("...", function.object if function.composes else "")
        and _rule(function, formal) not in kinds | _WRITTEN
    ]
    return ("partly", ", ".join(lacking)) if lacking else ("measured", "")


def _rule(function: ExportedWrapper, formal: str) -> str:
    rule = function.arguments.get(formal)
    if rule is None:
        of_modes = (mode.arguments.get(formal) for mode in function.modes.values())
        rule = next((of_mode for of_mode in of_modes if of_mode is not None), None)
    return "unknown" if rule is None else rule.kind


def _recorded(golden: Path, package: str) -> Counter[str]:
    """Count the recorded scripts in which each name is called."""
    counts: Counter[str] = Counter()
    for path in golden.glob(f"{package}-*/*.json"):
        script = "\n".join(json.loads(path.read_text("utf-8"))["script"])
        counts.update(set(re.findall(r"(?<![\w.$])([A-Za-z.][\w.]*)\s*\(", script)))
    return counts


def page(found: list[Row]) -> str:
    """Write the page."""
    used: Mapping[str, Any] = json.loads(_USED.read_text("utf-8"))
    total, good = len(found), sum(row.status in IDENTICAL for row in found)
    lines = [
        "# Coverage of the stand-in packages",
        "",
        f"Of the {total} most used functions, {good} ({good / total:.1%}) make the calls of Python "
        "that CRAN's packages make, as far as that was recorded or measured. The rest refuse with "
        "a sentence, as a whole or for some arguments, or were written by hand and never set "
        "beside CRAN's.",
        "",
        "Made by `python -m bridge.r.standin.build`; do not edit.",
        "",
        "| package | functions | " + " | ".join(_STATES) + " | identical |",
        "| --- | --- | " + " | ".join("---" for _ in _STATES) + " | --- |",
    ]
    for package in _LISTED:
        mine = [row for row in found if row.package == package]
        counts = Counter(row.status for row in mine)
        same = sum(row.status in IDENTICAL for row in mine)
        cells = " | ".join(str(counts[state]) for state in _STATES)
        lines.append(f"| {package} | {len(mine)} | {cells} | {same / len(mine):.1%} |")
    lines += ["", "What a word means:", ""]
    lines += [f"- **{state}**: {meaning}" for state, meaning in _STATES.items()]
    lines += [
        "",
        "## How the functions were chosen",
        "",
        "By the number of files that call them, counted with a pattern for names before a bracket "
        "in R code without comments. These are the packages' own tutorials and tests and a book's "
        "code, not what all users write:",
        "",
    ]
    for package in _LISTED:
        about = used[package]
        for source in about["sources"]:
            lines.append(f"- {package}: {source['source']}, {source['files']} files")
        lines.append(
            f"- {package}: {about['used']} of {about['exported']} exported functions were found; "
            f"the {len(about['files_using'])} most used are listed, ties by the alphabet"
        )
    lines += ["", "The counts are in `most_used.json`.", "", "## Functions", ""]
    for package in _LISTED:
        lines += [
            f"### {package}",
            "",
            "| function | files | status | recorded scripts | refuses or lacks |",
            "| --- | --- | --- | --- | --- |",
        ]
        for row in found:
            if row.package == package:
                lines.append(
                    f"| `{row.function}` | {row.files} | {row.status} | {row.scripts or ''} | "
                    f"{row.why} |"
                )
        lines.append("")
    return "\n".join(lines)


_STATES: Final[dict[Status, str]] = {
    "recorded": "it is called in scripts that were recorded whole with CRAN's package, and every "
    "call of these scripts is the same on the stand-in.",
    "measured": "made from the table of measurements: every argument was probed by itself in "
    "CRAN's package, and has the answers that were measured.",
    "the same": "the function is another package's and only handed on.",
    "partly": "as measured, but for the arguments named, which refuse.",
    "by hand": "written by hand, and in no recorded script: nothing is known of its calls.",
    "refuses": "it says in a sentence that CRAN's package is needed.",
}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(list(rows())), "utf-8")


if __name__ == "__main__":
    main()
