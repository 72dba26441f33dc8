"""What can be cut out of an R script: statements, steps of a pipe; and large numbers made small.

Pure: where a cut leaves no script that R can read, or one that shows nothing any more, is found by
running it. While that goes on, what is cut out becomes blanks, so that every line keeps its number.
Arguments stay: a call without them is another call, and nobody's question.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["statements", "steps", "numbers"]
#: The larger pieces first: what goes with them needs no cut of its own.
KINDS: Final[tuple[Kind, ...]] = ("statements", "steps", "numbers")

_PIPES: Final = frozenset({"PIPE", "SPECIAL"})
#: Without these it would be another script, or other numbers in every run.
_KEPT: Final = re.compile(
    r"(?:\w+::)?(?:library|require|set\.seed|set_random_seed|use_session_with_seed)\s*\("
)
_TAB: Final = 8
_LARGE: Final = re.compile(r"[1-9]\d+L?")
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)


@dataclass(frozen=True)
class Cut:
    """A piece of a script, from one place in its text up to another, and what stands there then."""

    start: int
    end: int
    by: str = ""


def without(text: str, cuts: Collection[Cut]) -> str:
    """Return the text with blanks in the place of what is cut out."""
    for cut in cuts:
        blank = re.sub(r"[^\n]", " ", text[cut.start + len(cut.by) : cut.end])
        text = text[: cut.start] + cut.by + blank + text[cut.end :]
    return text


def closed(text: str, left: str) -> str:
    """Return what is left of a text, :func:`without` the blanks that stand for what is gone."""
    pieces: list[str] = []
    gone = False
    for sign, now in zip(text, left, strict=True):
        # A blank that was there before goes too where it follows something that is gone.
        gone = now == " " and (gone or sign != " ")
        if not gone:
            pieces.append(now)
    return "".join(pieces)


def tidied(text: str) -> str:
    """Return the text without lines that say nothing: blanks, and comments that fill a line."""
    lines = (line.rstrip() for line in _COMMENT.sub("", text).splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def cuts(text: str, tree: Sequence[Sequence[Any]], kind: Kind) -> list[Cut]:
    """Return the pieces of one kind, in the order of the text.

    Args:
        text: of the script.
        tree: R's own syntax tree of it, as :class:`bridge.r.script.Inspection` has it.
        kind: of the pieces.
    """
    parts = _Parts(text, tree)
    found = {"statements": _statements, "steps": _steps, "numbers": _numbers}[kind](parts)
    return sorted(set(found), key=lambda each: (each.start, -each.end))


def statements_of(text: str, tree: Sequence[Sequence[Any]]) -> list[Cut]:
    """Return the statements of a script, those within others left out."""
    parts = _Parts(text, tree)
    found = [parts.cut(each) for each in parts.under[0] if parts.token[each].startswith("expr")]
    return sorted(found, key=lambda each: each.start)


class _Parts:
    """The rows of a tree under their parents, with the place of each in the text."""

    def __init__(self, text: str, tree: Sequence[Sequence[Any]]) -> None:
        self._script = text
        starts = _line_starts(text)
        lines = text.split("\n")
        self.under: dict[int, list[int]] = defaultdict(list)
        self.above: dict[int, int] = {}
        self.token: dict[int, str] = {}
        self._text: dict[int, str] = {}
        self._start: dict[int, int] = {}
        for number, parent, line, column, token, said in tree:
            self.under[parent].append(number)
            self.above[number] = parent
            self.token[number], self._text[number] = token, said
            if 0 < line <= len(lines):
                self._start[number] = starts[line - 1] + _place(lines[line - 1], column)

    def cut(self, first: int, last: int | None = None) -> Cut:
        """Return the piece from one part to the end of another, or of itself."""
        return Cut(self._start[first], self._end(first if last is None else last))

    def _end(self, number: int) -> int:
        below = self.under.get(number)
        if below:
            return max(self._end(each) for each in below)
        return self._start[number] + len(self._text[number])

    def begins(self, number: int, pattern: re.Pattern[str]) -> bool:
        """Say whether a part begins with what a pattern says."""
        return pattern.match(self._script, self._start[number]) is not None

    def numbers(self) -> Iterator[tuple[int, str]]:
        """Yield the whole numbers of two digits and more, with their texts."""
        for number, text in self._text.items():
            if self.token[number] == "NUM_CONST" and _LARGE.fullmatch(text):
                yield number, text

    def groups(self) -> Iterator[list[int]]:
        """Yield the parts under each part, in the order of the text."""
        for parts in self.under.values():
            yield sorted(parts, key=lambda each: self._start[each])


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


def _statements(parts: _Parts) -> Iterator[Cut]:
    """Yield the statements of the script, and those between braces."""
    for group in parts.groups():
        tokens = [*(parts.token[each] for each in group), ""]
        if parts.above.get(group[0]) == 0 or tokens[0] == "'{'":
            for place, each in enumerate(group):
                if tokens[place].startswith("expr") and not parts.begins(each, _KEPT):
                    ended = tokens[place + 1] == "';'"
                    yield parts.cut(each, group[place + 1] if ended else each)


def _steps(parts: _Parts) -> Iterator[Cut]:
    """Yield the steps of pipes: each with the pipe that leads on, or else to it.

    The only step of a pipe stays: without it there is no pipe.
    """
    for above, group in list(parts.under.items()):
        if len(group) != 3 or parts.token[group[1]] not in _PIPES:
            continue
        outer = parts.under[parts.above[above]] if above in parts.above else []
        leads = len(outer) == 3 and outer[0] == above and parts.token[outer[1]] in _PIPES
        inner = parts.under.get(group[0], [])
        if not leads and not (len(inner) == 3 and parts.token[inner[1]] in _PIPES):
            continue
        yield parts.cut(group[2], outer[1]) if leads else parts.cut(group[1], group[2])


def _numbers(parts: _Parts) -> Iterator[Cut]:
    """Yield the whole numbers of two digits and more, each as a 2."""
    for number, text in parts.numbers():
        cut = parts.cut(number)
        yield Cut(cut.start, cut.end, "2L" if text.endswith("L") else "2")
