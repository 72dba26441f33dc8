"""The text of a script with R's own syntax tree of it: its parts, what they are, and edits.

Rows are those of :mod:`bridge.translate.syntax`. An edit is a :class:`Cut` and what stands there
then; none is made by searching the text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

_TAB: Final = 8
_LARGE: Final = re.compile(r"[1-9]\d+L?")
_PIPES: Final = frozenset({"PIPE", "SPECIAL"})


@dataclass(frozen=True)
class Cut:
    """A piece of a script, from one place in its text up to another, and what stands there then."""

    start: int
    end: int
    by: str = ""


class SyntaxRows:
    """The rows of a tree under their parents, with the place of each in the text."""

    def __init__(self, text: str, tree: Sequence[Sequence[Any]]) -> None:
        self._script = text
        starts = _line_starts(text)
        lines = text.split("\n")
        self.under: dict[int, list[int]] = defaultdict(list)
        self.above: dict[int, int] = {}
        self.token: dict[int, str] = {}
        self.text: dict[int, str] = {}
        self.start: dict[int, int] = {}
        for number, parent, line, column, token, said in tree:
            self.under[parent].append(number)
            self.above[number] = parent
            self.token[number], self.text[number] = token, said
            if 0 < line <= len(lines):
                self.start[number] = starts[line - 1] + _place(lines[line - 1], column)

    def cut(self, first: int, last: int | None = None) -> Cut:
        """Return the piece from one part to the end of another, or of itself."""
        return Cut(self.start[first], self.end(first if last is None else last))

    def end(self, number: int) -> int:
        """Return where a part ends."""
        below = self.under.get(number)
        if below:
            return max(self.end(child) for child in below)
        return self.start[number] + len(self.text[number])

    def begins(self, number: int, pattern: re.Pattern[str]) -> bool:
        """Say whether a part begins with what a pattern says."""
        return pattern.match(self._script, self.start[number]) is not None

    def numbers(self) -> Iterator[tuple[int, str]]:
        """Yield the whole numbers of two digits and more, with their texts."""
        for number, text in self.text.items():
            if self.token[number] == "NUM_CONST" and _LARGE.fullmatch(text):
                yield number, text

    def groups(self) -> Iterator[list[int]]:
        """Yield the parts under each part, in the order of the text."""
        for parts in self.under.values():
            yield sorted(parts, key=lambda part: self.start[part])


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _place(line: str, column: int) -> int:
    """Return the place of R's column in a line: R counts from 1, and a tab up to the next 8."""
    at = 0
    for place, sign in enumerate(line):
        at = at + 1 if sign != "\t" else -(-(at + 1) // _TAB) * _TAB
        if at >= column:
            return place
    return len(line)


def edited(text: str, edits: Sequence[Cut]) -> str:
    """Return the text with every edit made; of two that overlap the first is."""
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda cut: (cut.start, cut.end)):
        if edit.start >= at:
            pieces += [text[at : edit.start], edit.by]
            at = edit.end
    return "".join([*pieces, text[at:]])


def shown(text: str, edits: Sequence[Cut]) -> tuple[str, str]:
    """Return the lines that edits change, before and after them."""
    spans = sorted({
        (text.rfind("\n", 0, edit.start) + 1, text.find("\n", edit.end) % (len(text) + 1))
        for edit in edits
    })  # fmt: skip
    before, after = [], []
    for start, end in spans:
        own = [
            Cut(edit.start - start, edit.end - start, edit.by)
            for edit in edits
            if start <= edit.start and edit.end <= end
        ]
        before.append(text[start:end].strip())
        after.append(edited(text[start:end], own).strip())
    return "\n".join(before), "\n".join(after)


@dataclass(frozen=True)
class _ArgumentRow:
    """An argument of a call: its name, "" where it has none, and the row of its value."""

    name: str
    value: int


class ScriptText:
    """A script that can be edited: its calls are found by line and name.

    Every edit is None where the place is not there, or is not the only one.
    """

    def __init__(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        self.text = text
        # A recording from elsewhere can have a tree without the text, or with another one.
        count = text.count("\n") + 1
        self._rows = [row for row in rows if row[4] != "COMMENT" and row[2] <= count]

    @cached_property
    def _parts(self) -> SyntaxRows:
        return SyntaxRows(self.text, self._rows)

    def calls(self, name: str, line: int) -> list[int]:
        """Return the calls of a function whose name stands in a line."""
        found = []
        for number, _, at, _, token, said in self._rows:
            if token == "SYMBOL_FUNCTION_CALL" and said == name and at == line:
                function = self._parts.above[number]
                found.append(self._parts.above[function])
        return found

    def value(self, name: str, line: int, argument: str, was: str = "") -> tuple[int, int] | None:
        """Return the call and the value of an argument, in the only call that has it.

        ``was`` is the text of a string that the argument has: it finds the call among several, and
        the value where it has no name.
        """
        found = []
        for call in self.calls(name, line):
            given = self._arguments_of(call)
            named = [part.value for part in given if part.name == argument]
            bare = [part.value for part in given if not part.name] if was and not named else []
            values = [node for node in (*named, *bare) if not was or self._string(node) == was]
            found += [(call, values[0])] if values else []
        return found[0] if len(found) == 1 else None

    def set_argument(
        self, name: str, line: int, argument: str, value: str, was: str = ""
    ) -> Cut | None:
        """Return the edit that gives an argument of the only such call another value."""
        place = self.value(name, line, argument, was)
        if place is not None:
            cut = self._parts.cut(place[1])
            return Cut(cut.start, cut.end, value)
        calls = self.calls(name, line)
        if (
            was
            or len(calls) != 1
            or any(part.name == argument for part in self._arguments_of(calls[0]))
        ):
            return None
        end = self._parts.end(calls[0]) - 1
        lead = ", " if self._arguments_of(calls[0]) else ""
        return Cut(end, end, f"{lead}{argument} = {value}")

    def set_number(self, name: str, line: int, argument: str, value: str) -> Cut | None:
        """Return the edit of an argument that has no name where it is the first number given."""
        calls = self.calls(name, line)
        if len(calls) != 1:
            return None
        given = self._arguments_of(calls[0])
        named = [part.value for part in given if part.name == argument]
        bare = [part.value for part in given if not part.name and self._is_number(part.value)]
        values = named or bare[:1]
        if not values:
            return None
        cut = self._parts.cut(values[0])
        return Cut(cut.start, cut.end, value)

    def replace_call(self, name: str, line: int, by: str) -> Cut | None:
        """Return the edit that puts another expression in the place of the only such call."""
        calls = self.calls(name, line)
        if len(calls) != 1:
            return None
        cut = self._parts.cut(calls[0])
        return Cut(cut.start, cut.end, by)

    def source(self, row: int) -> str:
        """Return the text of an expression, by its row in the tree; "" where it is not there."""
        cut = self.replace(row, "")
        return "" if cut is None else self.text[cut.start : cut.end]

    def replace(self, row: int, by: str) -> Cut | None:
        """Return the edit that puts another expression in the place of the one with a row."""
        if row not in self._parts.token or not self.text:
            return None
        cut = self._parts.cut(row)
        return Cut(cut.start, cut.end, by)

    def after_call(self, name: str, line: int, text: str) -> Cut | None:
        """Return the edit that puts a text behind the only such call."""
        cut = self.replace_call(name, line, text)
        return None if cut is None else Cut(cut.end, cut.end, text)

    def rename_call(self, name: str, line: int, by: str) -> Cut | None:
        """Return the edit that calls another function with the arguments of the only such call."""
        calls = self.calls(name, line)
        if len(calls) != 1:
            return None
        cut = self._parts.cut(self._below(calls[0])[0])
        return Cut(cut.start, cut.end, by)

    def wrap_first(self, name: str, line: int, function: str) -> Cut | None:
        """Return the edit that applies a function to the first argument of the only such call."""
        calls = self.calls(name, line)
        given = self._arguments_of(calls[0]) if len(calls) == 1 else []
        if not given:
            return None
        cut = self._parts.cut(given[0].value)
        return Cut(cut.start, cut.end, f"{function}({self.text[cut.start : cut.end]})")

    def step_before(self, name: str, line: int, step: str) -> Cut | None:
        """Return the edit that puts a step into a pipe, before the only such call."""
        calls = self.calls(name, line)
        if len(calls) != 1:
            return None
        group = self._below(self._parts.above[calls[0]])
        pipes = [node for node in group if self._parts.token[node] in _PIPES]
        if len(pipes) != 1 or group[-1] != calls[0]:
            return None
        start = self._parts.cut(calls[0]).start
        return Cut(start, start, f"{step} {self._parts.text[pipes[0]]} ")

    def line_before(self, line: int, statement: str) -> Cut | None:
        """Return the edit that puts a statement before the one of the script that has a line."""
        for number in self._parts.under[0]:
            if not self._parts.token[number].startswith("expr"):
                continue
            cut = self._parts.cut(number)
            first = 1 + self.text.count("\n", 0, cut.start)
            last = 1 + self.text.count("\n", 0, cut.end)
            if first <= line <= last:
                return Cut(cut.start, cut.start, f"{statement}\n")
        return None

    def symbols(self, name: str, line: int) -> list[str]:
        """Return the arguments without a name of the only such call, "" for what is no symbol."""
        calls = self.calls(name, line)
        if len(calls) != 1:
            return []
        found = []
        for part in self._arguments_of(calls[0]):
            below = self._parts.under.get(part.value, [])
            plain = len(below) == 1 and self._parts.token[below[0]] == "SYMBOL"
            found.append(self._parts.text[below[0]] if plain and not part.name else "")
        return found

    def _below(self, number: int) -> list[int]:
        """Return the parts under a part, in the order of the text."""
        return sorted(self._parts.under[number], key=lambda node: self._parts.start[node])

    def _arguments_of(self, call: int) -> list[_ArgumentRow]:
        """Return the arguments of a call, in order."""
        found: list[_ArgumentRow] = []
        name = ""
        for number in self._below(call)[1:]:
            token = self._parts.token[number]
            if token in ("SYMBOL_SUB", "STR_CONST"):
                name = self._parts.text[number].strip("`'\"")
            elif token.startswith("expr"):
                found.append(_ArgumentRow(name, number))
                name = ""
        return found

    def _is_number(self, number: int) -> bool:
        below = self._parts.under.get(number, [])
        return len(below) == 1 and self._parts.token[below[0]] == "NUM_CONST"

    def _string(self, number: int) -> str | None:
        below = self._parts.under.get(number, [])
        if len(below) == 1 and self._parts.token[below[0]] == "STR_CONST":
            return self._parts.text[below[0]][1:-1]
        return None
