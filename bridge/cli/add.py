"""Putting a script into the suite: a copy with a header that says what a run of it found.

What was found is not what is right, so the header says "unreviewed" until a person takes that out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.cases.case import header_keys, read_case
from bridge.errors import BridgeError
from bridge.pipeline.examine_case import Suite
from bridge.report import CaseReport

#: How many times as long as here a run may take elsewhere before it is stopped; at least this long.
_SLOWER: Final = 10
_LEAST_SECONDS: Final = 10

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class AddingError(BridgeError, ValueError):
    """A script cannot be added; the message says what to do."""


@dataclass(frozen=True)
class Added:
    """A script in the suite, the lines that its header gained, and the report they come from."""

    path: Path
    header: tuple[str, ...]
    report: CaseReport


def place_for(script: Path, project: Path, name: str | None = None) -> Path:
    """Return where a script goes in the suite of a project.

    Raises:
        AddingError: there is no such script, no suite, or the place is taken.
    """
    folder = project / "r_scripts"
    if not script.is_file():
        raise AddingError(f"There is no file {script}.")
    if not folder.is_dir():
        raise AddingError(
            "There is no suite here: type 'mkdir r_scripts' in the folder of your project, and "
            "'keras-bridge add' again."
        )
    stem = (name or script.stem).removesuffix(".R")
    if not _NAME.fullmatch(stem):
        raise AddingError(
            f"{stem!r} is no name for a case: choose one of letters, digits, '_' and '-' with "
            "--name."
        )
    place = folder / f"{stem}.R"
    if place.exists():
        same = place.samefile(script)
        raise AddingError(
            f"{place} is in the suite already"
            + ("." if same else ": choose another name with --name, or remove it first.")
        )
    return place


def add_script(script: Path, place: Path, suite: Suite) -> Added:
    """Examine a script and copy it to ``place`` with a header; keys that it has are kept.

    Raises:
        AddingError: the place was taken meanwhile, or cannot be written.
    """
    data = script.read_bytes()
    examined = next(iter(suite.examine([read_case(script)])))
    seconds = examined.runs["r"].manifest.seconds
    report = examined.report
    found = {
        "title": place.stem.replace("_", " ").replace("-", " ").capitalize(),
        "expect-verdict": report.verdict,
        "expect-cause": report.cause,
        "seconds": str(max(_LEAST_SECONDS, math.ceil(_SLOWER * seconds))),
    }
    own = header_keys(data.decode("utf-8", "replace"))
    if not {"expect-verdict", "expect-cause"} <= own:
        found["unreviewed"] = "yes"
    lines = tuple(f"#| {key}: {value}" for key, value in found.items() if key not in own)
    marks = "".join(f"{line}\n" for line in lines).encode()
    try:
        # "x": what is there is never overwritten, not even what came while the script ran.
        with place.open("xb") as file:
            file.write(marks + data.removeprefix(b"\xef\xbb\xbf"))
    except FileExistsError:
        raise AddingError(f"{place} is in the suite already.") from None
    except OSError as error:
        raise AddingError(f"{place} cannot be written ({error.strerror}).") from None
    return Added(place, lines, report)
