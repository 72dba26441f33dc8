"""Paths that a recording or a text names, as a run has them in a folder of its own.

A run that makes again what R did must neither write where the user's files are nor read what lies
there now: what the script saved lies in the run's own folder, and what it found was recorded.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final

#: What stands in a capsule for the folders of the run that it is of.
WORK: Final = "<work>"
_LONGEST: Final = 1000
_HOME: Final = re.compile(r"~[\w.-]*(/\S*)?")
_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")


def own_path(text: str, folder: Path) -> str:
    """Return a path as a run has it whose own folder is ``folder``.

    What is no path, or lies in the folder anyhow, is returned as it is. Folders that do not exist
    yet are made: the script had made them, or was refused.
    """
    if not text or len(text) > _LONGEST or "\n" in text or "\0" in text:
        return text
    if text.startswith(WORK):
        return str(_inside(folder, text.removeprefix(WORK)))
    if _HOME.fullmatch(text):
        return str(_inside(folder / "home", text.partition("/")[2]))
    if _DRIVE.match(text):
        return str(_inside(folder / "root", text[2:].replace("\\", "/")))
    path = PurePosixPath(text)
    if path.is_absolute():
        if path.is_relative_to(folder) or len(path.parts) < 3 or not Path(*path.parts[:2]).is_dir():
            return text
        return str(_inside(folder / "root", text))
    if ".." in path.parts:
        return str(_inside(folder / "above", text))
    return text


def with_folders(text: str, folder: Path) -> None:
    """Make the folders in which a path of a run lies, where they are its own."""
    path = folder / text
    if len(text) <= _LONGEST and "/" in text and path.is_relative_to(folder):
        path.parent.mkdir(parents=True, exist_ok=True)


def _inside(folder: Path, rest: str) -> Path:
    parts = [part for part in PurePosixPath(rest).parts if part not in ("/", "..", ".")]
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
