"""Coercion tables: what each argument of each R wrapper becomes in Python, as it was measured.

A table is JSON, one file a package and version (``keras3-1.5.1.json``), and is checked here before
anything is made from it, so that a field of the wrong type is an error and not a rule that silently
does not hold. Of several tables of a package the one of the newest version counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bridge.errors import BridgeError
from bridge.facts.r import TABLES, newest_tables

Sends = Literal["all", "typed", "unknown"]
Forces = Literal["layer-first", "object-first"]


class TableError(BridgeError, ValueError):
    """A table that cannot be read; the message names the file and the place in it."""


class _Part(BaseModel):
    # A table also says how it was measured; what is not a rule is kept and not looked at.
    model_config = ConfigDict(frozen=True, extra="allow")


class Argument(_Part):
    """One argument of a wrapper.

    It goes ``to`` a Python argument (a name, or a number when it is sent by position) after the
    ``kind`` of change. ``choices`` belong to the kind ``choice``, ``error`` is the text of an
    argument that always fails, ``warns`` of one that warns; ``when_omitted`` is what crosses (as
    Python text) where only typed arguments do and this one was not typed.
    """

    to: str | int | None = None
    kind: str = "unknown"
    choices: tuple[str, ...] = ()
    error: str = ""
    warns: str = ""
    when_omitted: str | None = None


class Mode(_Part):
    """One way in which a wrapper calls Python.

    ``python`` is the dotted path of what is called; ``sends`` says whether all arguments cross
    or only the typed ones; ``drops_null`` are the Python arguments that do not cross when they
    are NULL; ``constants`` always cross; ``dots_arguments`` are rules for names in ``...``.
    """

    python: str = ""
    sends: Sends = "unknown"
    arguments: dict[str, Argument] = Field(default_factory=dict)
    dots_arguments: dict[str, Argument] = Field(default_factory=dict)
    drops_null: tuple[str, ...] = ()
    constants: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether enough is known to make this call."""
        return bool(self.python) and self.sends != "unknown"


class Function(Mode):
    """One exported wrapper.

    ``formals`` are (name, default as R text or None for no default) in order. A wrapper that
    ``composes`` makes a layer and adds it to, or calls it on, its argument ``object``; ``forces``
    says which of the two exists first. ``modes`` are other calls: ``called`` when the first
    argument is given, ``function`` when y_true or y_pred is. A ``method`` is looked up on the
    argument that goes to ``self``; what is listed in ``before`` is called first, with nothing; R
    gets what Python ``gives`` back, or, without printing it, the object or TRUE.
    """

    formals: tuple[tuple[str, str | None], ...] = ()
    composes: bool = False
    object: str = "object"
    forces: Forces | None = None
    modes: dict[str, Mode] = Field(default_factory=dict)
    method: bool = False
    before: tuple[str, ...] = ()
    gives: Literal["result", "self", "true"] = "result"
    py_function_name: str = ""
    returns: str = ""
    returns_zero_indexed: str = ""
    unmeasured: str = ""


class Table(_Part):
    """The table of one R package at one version."""

    package: str
    version: str
    functions: dict[str, Function] = Field(default_factory=dict)
    exports: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Read one table.

    Raises:
        TableError: The file is not JSON or not a table.
    """
    try:
        return Table.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, ValueError) as error:
        raise TableError(f"{path.name} is not a coercion table: {error}") from error


def table_path(package: str, folder: Path = TABLES) -> Path:
    """Return the file of the newest version of a package that was measured.

    Raises:
        TableError: There is none.
    """
    found = newest_tables(folder)
    if package not in found:
        raise TableError(f"there is no table {package}-<version>.json in {folder}")
    return found[package]


def read_tables(folder: Path = TABLES) -> dict[str, Table]:
    """Read the newest table of every package in ``folder``; package name -> table."""
    return {package: read_table(path) for package, path in sorted(newest_tables(folder).items())}
