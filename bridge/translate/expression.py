"""Python expressions as trees, and their text: on one line where it fits, else spread over many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 92


@dataclass(frozen=True)
class Text:
    """A piece of Python that stands as it is."""

    text: str


@dataclass(frozen=True)
class Made:
    """What a statement made, by the number of the statement."""

    by: int


@dataclass(frozen=True)
class Attribute:
    """``owner.name``."""

    owner: Expression
    name: str


@dataclass(frozen=True)
class Item:
    """``owner[key]``."""

    owner: Expression
    key: Expression


@dataclass(frozen=True)
class Apply:
    """A call, with its arguments by position and by name."""

    function: Expression
    args: tuple[Expression, ...] = ()
    kwargs: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True)
class Sequence:
    """A list, tuple or set."""

    left: str
    right: str
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Dictionary:
    """A dict."""

    items: tuple[tuple[Expression, Expression], ...]


Expression = Text | Made | Attribute | Item | Apply | Sequence | Dictionary


def parts(of: Expression) -> tuple[Expression, ...]:
    """Return what an expression is made of, in the order in which Python evaluates it."""
    match of:
        case Attribute():
            return (of.owner,)
        case Item():
            return (of.owner, of.key)
        case Apply():
            return (of.function, *of.args, *(value for _, value in of.kwargs))
        case Sequence():
            return of.items
        case Dictionary():
            return tuple(each for pair in of.items for each in pair)
    return ()


def made_in(of: Expression) -> Iterator[int]:
    """Yield the numbers of the statements whose results stand in it, in order of evaluation."""
    stack = [of]
    while stack:
        item = stack.pop()
        if isinstance(item, Made):
            yield item.by
        stack.extend(reversed(parts(item)))


def write(of: Expression, name: Callable[[int], Expression], indent: int = 0, used: int = 0) -> str:
    """Return the text of an expression.

    Args:
        of: the expression.
        name: what stands for the result of a statement.
        indent: the column in which the statement begins.
        used: how many columns the first line has lost to what stands before and after.
    """
    short = _line(of, name)
    if indent + used + len(short) <= WIDTH:
        return short
    inner = indent + 4
    pad = " " * inner
    end = "\n" + " " * indent

    def spread(items: list[tuple[str, Expression]]) -> str:
        lines = (f"{pad}{key}{write(each, name, inner, len(key) + 1)}," for key, each in items)
        return "\n".join(["", *lines]) + end

    match of:
        case Made():
            return write(name(of.by), name, indent, used)
        case Attribute():
            return f"{write(of.owner, name, indent, used + len(of.name) + 1)}.{of.name}"
        case Apply() if of.args or of.kwargs:
            given = [("", each) for each in of.args]
            given += [(_given_as(key), each) for key, each in of.kwargs]
            return f"{write(of.function, name, indent, used + 1)}({spread(given)})"
        case Sequence() if all(isinstance(each, Text) for each in of.items):
            return f"{of.left}{_filled(of, name, inner)}{end}{of.right}"
        case Sequence():
            return f"{of.left}{spread([('', each) for each in of.items])}{of.right}"
        case Dictionary():
            pairs = [(f"{_line(key, name)}: ", each) for key, each in of.items]
            return f"{{{spread(pairs)}}}"
    return short


def _given_as(key: str) -> str:
    """What stands before an argument with a name; ``**`` is for those that Python cannot name."""
    return key if key == "**" else f"{key}="


def _filled(of: Sequence, name: Callable[[int], Expression], indent: int) -> str:
    """Numbers fill their lines; one a line would make a page of them."""
    lines = [""]
    for each in of.items:
        word = f"{_line(each, name)},"
        if lines[-1] and indent + len(lines[-1]) + 1 + len(word) <= WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "".join(f"\n{' ' * indent}{line}" for line in lines if line)


def _line(of: Expression, name: Callable[[int], Expression]) -> str:
    match of:
        case Text():
            return of.text
        case Made():
            return _line(name(of.by), name)
        case Attribute():
            return f"{_line(of.owner, name)}.{of.name}"
        case Item():
            return f"{_line(of.owner, name)}[{_line(of.key, name)}]"
        case Apply():
            given = [_line(each, name) for each in of.args]
            given += [f"{_given_as(key)}{_line(each, name)}" for key, each in of.kwargs]
            return f"{_line(of.function, name)}({', '.join(given)})"
        case Sequence():
            comma = "," if of.left == "(" and len(of.items) == 1 else ""
            return f"{of.left}{', '.join(_line(each, name) for each in of.items)}{comma}{of.right}"
        case Dictionary():
            pairs = (f"{_line(key, name)}: {_line(value, name)}" for key, value in of.items)
            return "{" + ", ".join(pairs) + "}"
