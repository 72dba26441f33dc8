"""R's variables, as a recorded run has them before and after each statement of its script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import Answer, Capsule
from bridge.capsule.values import ArrayValue, Items, Pairs, Scalar, Value
from bridge.translate.syntax import Index, Member, Node, Paren, RSymbol, Text


@dataclass(frozen=True)
class RObject:
    """A value of R's: ``kind`` is ``null``, ``list``, ``numbers``, ``text``, or another.

    ``names`` and ``levels`` are empty where it has none; ``shape`` is that of a matrix or array.
    ``items`` are those of a list, ``words`` those of a character vector, and ``numbers`` the
    elements of a numeric one, of a matrix column after column; the codes where it is a factor.
    """

    kind: str
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    items: tuple[RObject, ...] = ()
    words: tuple[str, ...] = ()
    numbers: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        """How many elements it has."""
        return len(self.items or self.words if self.numbers is None else self.numbers)

    def part(self, name: str) -> RObject | None:
        """Return the part of a list that has a name, None where there is none."""
        return self.items[self.names.index(name)] if name in self.names and self.items else None


class RVariables:
    """The variables of a script as R had them, statement by statement, counted from 1."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule
        self._answers: Sequence[Answer] = capsule.manifest.answers

    @property
    def statements(self) -> int:
        """How many statements R came through."""
        return max((answer.statement for answer in self._answers), default=0)

    def before(self, statement: int, name: str) -> RObject | None:
        """Return what a variable was when a statement began, None where it is not known."""
        given = [
            variable.value
            for answer in self._answers
            if answer.statement < statement
            for variable in answer.variables
            if variable.name == name
        ]
        return self._value(given[-1]) if given else None

    def of(self, statement: int, node: Node | None) -> RObject | None:
        """Return what a name, or a part of one by its name, was when a statement began."""
        while isinstance(node, Paren):
            node = node.inner
        if isinstance(node, RSymbol) and not node.package:
            return self.before(statement, node.name)
        part = named_part(node)
        if part is None:
            return None
        whole = self.of(statement, part[0])
        return whole.part(part[1]) if whole is not None and whole.kind == "list" else None

    def _value(self, value: Value) -> RObject:
        fields = _fields(value)
        items = fields.get("items")
        numbers = None
        words: tuple[str, ...] = ()
        values = fields.get("values")
        if isinstance(values, ArrayValue) and values.key is not None:
            numbers = self._capsule.arrays.get(values.key)
            numbers = None if numbers is None else np.ravel(numbers, order="F")
        elif isinstance(values, Items):
            words = _words(values)
        return RObject(
            kind=_word(fields.get("kind")),
            classes=_words(fields.get("cls")),
            names=_words(fields.get("names")),
            levels=_words(fields.get("levels")),
            shape=tuple(int(size) for size in _words(fields.get("dim"))),
            items=tuple(map(self._value, items.items)) if isinstance(items, Items) else (),
            words=words,
            numbers=numbers,
        )


def named_part(node: Node | None) -> tuple[Node, str] | None:
    """Return the object and the name of ``x$name`` or ``x[["name"]]``, None for all else."""
    if isinstance(node, Member) and not node.slot:
        return node.object, node.name
    if isinstance(node, Index) and node.double and len(node.arguments) == 1:
        name = node.arguments[0].value
        if isinstance(name, Text):
            return node.object, name.value
    return None


def _fields(value: Value | None) -> dict[str, Value]:
    if not isinstance(value, Pairs):
        return {}
    return {_word(key): item for key, item in value.items}


def _words(value: Value | None) -> tuple[str, ...]:
    return tuple(map(_word, value.items)) if isinstance(value, Items) else ()


def _word(value: Value | None) -> str:
    return value.v if isinstance(value, Scalar) else ""
