"""R's syntax tree as data, built from the rows of R's own ``getParseData``.

A row is ``(id, parent, line, column, token, text)``; R's parser made it, so nothing of R's grammar
is guessed here: rows are gathered under their parents and every expression is given a name.
Pipes are resolved as R resolves them: ``a |> f(x)`` is ``f(a, x)``.
"""

# ruff: noqa: ARG001

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from bridge.errors import BridgeError

Row = Sequence[Any]
N = TypeVar("N", bound="Node")


class SyntaxRowsError(BridgeError, ValueError):
    """Rows that are no syntax tree of R's; the message names the place."""


@dataclass(frozen=True)
class Node:
    """An expression of R at a line and column of the script.

    ``row`` is the number that R's parser gives it, 0 for what stands in no row of its own.
    """

    line: int
    column: int
    row: int = field(default=0, kw_only=True, compare=False)


@dataclass(frozen=True)
class Number(Node):
    """A number as it is written: ``3``, ``3L``, ``1e-3``."""

    text: str


@dataclass(frozen=True)
class Text(Node):
    """A string, without its quotes."""

    value: str


@dataclass(frozen=True)
class RSymbol(Node):
    """A name; also ``TRUE``, ``NA`` and ``NULL``, ``NaN`` and ``Inf``."""

    name: str
    package: str = ""


@dataclass(frozen=True)
class Argument:
    """An argument of a call; an empty one (``x[, 1]``) has no value."""

    name: str
    value: Node | None


@dataclass(frozen=True)
class RCall(Node):
    """A call; ``piped`` says that a pipe put the first argument there."""

    function: Node
    arguments: tuple[Argument, ...]
    piped: bool = False

    @property
    def name(self) -> str:
        """The name of what is called, "" if that is no name."""
        return self.function.name if isinstance(self.function, RSymbol) else ""


@dataclass(frozen=True)
class Index(Node):
    """``x[...]``, or ``x[[...]]`` where ``double``."""

    object: Node
    arguments: tuple[Argument, ...]
    double: bool


@dataclass(frozen=True)
class Member(Node):
    """``x$name`` or, with ``slot``, ``x@name``."""

    object: Node
    name: str
    slot: bool = False


@dataclass(frozen=True)
class Operation(Node):
    """An operator between two expressions, or before one (``left`` is None)."""

    operator: str
    left: Node | None
    right: Node


@dataclass(frozen=True)
class Assign(Node):
    """An assignment; ``outer`` for ``<<-``."""

    target: Node
    value: Node
    outer: bool = False


@dataclass(frozen=True)
class Block(Node):
    """Expressions in braces."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Paren(Node):
    """An expression in parentheses."""

    inner: Node


@dataclass(frozen=True)
class If(Node):
    """``if``; ``otherwise`` is None where there is no ``else``."""

    condition: Node
    then: Node
    otherwise: Node | None


@dataclass(frozen=True)
class For(Node):
    """``for (variable in sequence) body``."""

    variable: str
    sequence: Node
    body: Node


@dataclass(frozen=True)
class While(Node):
    """``while``; ``repeat`` has no condition."""

    condition: Node | None
    body: Node


@dataclass(frozen=True)
class Jump(Node):
    """``next`` or ``break``."""

    word: str


@dataclass(frozen=True)
class Function(Node):
    """A function literal; a parameter without a default has None."""

    parameters: tuple[tuple[str, Node | None], ...]
    body: Node


@dataclass(frozen=True)
class Unknown(Node):
    """Something of R's grammar that is not translated (a formula, for example)."""

    what: str


@dataclass
class _Entry:
    row: Row
    children: list[_Entry] = field(default_factory=list)

    @property
    def token(self) -> str:
        return str(self.row[4])

    @property
    def text(self) -> str:
        return str(self.row[5])

    @property
    def place(self) -> tuple[int, int]:
        return int(self.row[2]), int(self.row[3])


_OPERATORS: Final = {
    "'+'", "'-'", "'*'", "'/'", "'^'", "':'", "'!'", "GT", "LT", "GE", "LE", "EQ", "NE", "AND",
    "AND2", "OR", "OR2", "SPECIAL",
}  # fmt: skip
_ASSIGNS: Final = {"LEFT_ASSIGN", "EQ_ASSIGN", "RIGHT_ASSIGN"}
_PUNCTUATION: Final = {"'('", "')'", "','", "'['", "']'", "LBB", "';'", "'{'", "'}'"}


def build(rows: Sequence[Row]) -> list[Node]:
    """Return the expressions of a script, in order.

    Raises:
        SyntaxRowsError: the rows are no syntax tree.
    """
    entries = {int(row[0]): _Entry(row) for row in rows}
    if len(entries) != len(rows):
        raise SyntaxRowsError("two rows of the syntax tree have the same number")
    roots: list[_Entry] = []
    for entry in entries.values():
        parent = int(entry.row[1])
        if parent > 0 and parent not in entries:
            raise SyntaxRowsError(f"line {entry.row[2]}: a row of the syntax tree has no parent")
        (entries[parent].children if parent > 0 else roots).append(entry)
    for entry in entries.values():
        entry.children.sort(key=lambda child: (child.place, -len(child.children)))
    try:
        return [
            _expression(node)
            for root in sorted(roots, key=lambda entry: entry.place)
            for node in _listed(root)
        ]
    except (IndexError, RecursionError) as error:
        raise SyntaxRowsError(f"the syntax tree cannot be read ({error})") from None


def _listed(entry: _Entry) -> Iterator[_Entry]:
    """Yield the expressions of a line with semicolons."""
    if entry.token == "exprlist":
        for child in entry.children:
            yield from _listed(child)
    elif entry.token not in _PUNCTUATION:
        yield entry


def _expression(entry: _Entry) -> Node:
    return replace(_read(entry), row=int(entry.row[0]))


def _read(entry: _Entry) -> Node:
    line, column = entry.place
    parts = entry.children
    if not parts:
        return _leaf(entry)
    first = parts[0].token
    if len(parts) == 1:
        return _expression(parts[0])
    if first == "'{'":
        inner = [item for part in parts[1:-1] for item in _listed(part)]
        return Block(line, column, tuple(_expression(item) for item in inner))
    if first == "'('":
        return Paren(line, column, _expression(parts[1]))
    if first == "FUNCTION" or first.startswith("'\\"):
        return _function(entry)
    if first == "IF":
        after = _expression(parts[6]) if len(parts) > 6 else None
        return If(line, column, _expression(parts[2]), _expression(parts[4]), after)
    if first == "FOR":
        cond = parts[1].children
        return For(line, column, cond[1].text, _expression(cond[3]), _expression(parts[2]))
    if first == "WHILE":
        return While(line, column, _expression(parts[2]), _expression(parts[4]))
    if first == "REPEAT":
        return While(line, column, None, _expression(parts[1]))
    second = parts[1].token
    if second in ("NS_GET", "NS_GET_INT"):
        return RSymbol(line, column, _name(parts[2].text), parts[0].text)
    if second == "'('":
        return RCall(*parts[0].place, _expression(parts[0]), _arguments(parts[2:-1]))
    if second == "'['":
        return Index(line, column, _expression(parts[0]), _arguments(parts[2:-1]), False)
    if second == "LBB":
        return Index(line, column, _expression(parts[0]), _arguments(parts[2:-2]), True)
    if second in ("'$'", "'@'"):
        if parts[2].token not in ("SYMBOL", "SYMBOL_FUNCTION_CALL", "STR_CONST", "SLOT"):
            return Unknown(line, column, "$ with an expression after it")
        name = _name(parts[2].text)
        name = _string(name) if parts[2].token == "STR_CONST" else name
        # Where the name stands is what is of interest in a long chain.
        return Member(*parts[2].place, _expression(parts[0]), name, second == "'@'")
    if second in _ASSIGNS:
        left, right = parts[0], parts[2]
        if second == "RIGHT_ASSIGN":
            left, right = right, left
        if parts[1].text == ":=":
            return Unknown(line, column, "the operator :=")
        outer = parts[1].text in ("<<-", "->>")
        return Assign(line, column, _target(left), _expression(right), outer)
    if second == "PIPE":
        return _native_pipe(line, column, _expression(parts[0]), _expression(parts[2]))
    if second in _OPERATORS and len(parts) == 3:
        operator = parts[1].text
        left_node, right_node = _expression(parts[0]), _expression(parts[2])
        if operator in ("%>%", "%T>%") and operator == "%>%":
            return pipe(line, column, left_node, right_node)
        return Operation(line, column, operator, left_node, right_node)
    if first in _OPERATORS and len(parts) == 2:
        return Operation(line, column, parts[0].text, None, _expression(parts[1]))
    if first == "'~'" or second == "'~'":
        return Unknown(line, column, "a formula")
    return Unknown(line, column, f"'{parts[1].text or first}' is not known")


def _leaf(entry: _Entry) -> Node:
    line, column = entry.place
    if entry.token == "NUM_CONST":
        if entry.text in ("TRUE", "FALSE", "NaN", "Inf") or entry.text.startswith("NA"):
            return RSymbol(line, column, entry.text)
        return Number(line, column, entry.text)
    if entry.token == "STR_CONST":
        return Text(line, column, _string(entry.text))
    if entry.token in ("NEXT", "BREAK"):
        return Jump(line, column, entry.text)
    if entry.token == "PLACEHOLDER":
        return RSymbol(line, column, "_")
    return RSymbol(line, column, _name(entry.text))


def _target(entry: _Entry) -> Node:
    """Return what is assigned to; a string is a name there."""
    node = _expression(entry)
    return RSymbol(node.line, node.column, node.value) if isinstance(node, Text) else node


def _arguments(parts: Sequence[_Entry]) -> tuple[Argument, ...]:
    if not parts:
        return ()
    groups: list[list[_Entry]] = [[]]
    for part in parts:
        if part.token == "','":
            groups.append([])
        else:
            groups[-1].append(part)
    found = []
    for group in groups:
        if len(group) >= 2 and group[1].token == "EQ_SUB":
            name = group[0].text
            name = _string(name) if group[0].token == "STR_CONST" else _name(name)
            found.append(Argument(name, _expression(group[2]) if len(group) > 2 else None))
        else:
            found.append(Argument("", _expression(group[0]) if group else None))
    return tuple(found)


def _function(entry: _Entry) -> Node:
    parts = entry.children
    end = next(n for n, part in enumerate(parts) if part.token == "')'")
    parameters: list[tuple[str, Node | None]] = []
    inside = parts[2:end]
    for n, part in enumerate(inside):
        if part.token == "SYMBOL_FORMALS":
            default = None
            if n + 2 < len(inside) + 0 and inside[n + 1].token == "EQ_FORMALS":
                default = _expression(inside[n + 2])
            parameters.append((_name(part.text), default))
    return Function(*entry.place, tuple(parameters), _expression(parts[end + 1]))


def _native_pipe(line: int, column: int, left: Node, right: Node) -> Node:
    if not isinstance(right, RCall):
        return Unknown(line, column, "a pipe into something that is no call")
    for n, argument in enumerate(right.arguments):
        if isinstance(argument.value, RSymbol) and argument.value.name == "_":
            given = list(right.arguments)
            given[n] = Argument(argument.name, left)
            return replace(right, arguments=tuple(given), piped=True)
    return replace(right, arguments=(Argument("", left), *right.arguments), piped=True)


def pipe(line: int, column: int, left: Node, right: Node) -> Node:
    """Return what ``left %>% right`` means: the dot stands for ``left``, or it comes first."""
    if isinstance(right, (RSymbol, Member)):
        return RCall(right.line, right.column, right, (Argument("", left),), True)
    if isinstance(right, Paren):
        return RCall(right.line, right.column, right.inner, (Argument("", left),), True)
    if isinstance(right, Block) or not isinstance(right, RCall):
        # `x %>% { ... . ... }`: a function of the dot.
        function = Function(right.line, right.column, ((".", None),), right)
        return RCall(right.line, right.column, function, (Argument("", left),), True)
    dots = [_is_dot(argument.value) for argument in right.arguments]
    if any(dots):
        if sum(dots) == 1:
            given = tuple(
                Argument(argument.name, left) if dot else argument
                for argument, dot in zip(right.arguments, dots, strict=True)
            )
            return replace(right, arguments=given, piped=True)
        function = Function(right.line, right.column, ((".", None),), right)
        return RCall(right.line, right.column, function, (Argument("", left),), True)
    if any(
        mentions(argument.value, ".") for argument in right.arguments if argument.value is not None
    ):
        given = (Argument("", RSymbol(right.line, right.column, ".")), *right.arguments)
        body = replace(right, arguments=given)
        function = Function(right.line, right.column, ((".", None),), body)
        return RCall(right.line, right.column, function, (Argument("", left),), True)
    return replace(right, arguments=(Argument("", left), *right.arguments), piped=True)


def _is_dot(node: Node | None) -> bool:
    return isinstance(node, RSymbol) and node.name == "."


def children(node: Node) -> Iterator[Node]:
    """Yield the expressions directly inside an expression."""
    for value in vars(node).values():
        items = value if isinstance(value, tuple) else (value,)
        for item in items:
            if isinstance(item, Node):
                yield item
            elif isinstance(item, Argument) and item.value is not None:
                yield item.value
            elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Node):
                yield item[1]


def walk(node: Node) -> Iterator[Node]:
    """Yield an expression and all that is inside it."""
    yield node
    for child in children(node):
        yield from walk(child)


def nodes_in(tree: Iterable[Node], kind: type[N]) -> list[N]:
    """Return all expressions of one kind, in the order of the text."""
    return [inner for node in tree for inner in walk(node) if isinstance(inner, kind)]


def is_number(node: Node | None, value: int) -> bool:
    """Say whether an expression is this whole number as it is written, ``2`` or ``2L``."""
    return isinstance(node, Number) and node.text.rstrip("L") == str(value)


def called_in(nodes: Iterable[Node]) -> set[str]:
    """Return the names of all functions, and of all methods of objects, that are called."""
    return {
        call.function.name if isinstance(call.function, Member) else call.name
        for call in nodes_in(nodes, RCall)
    }


def mentions(node: Node | None, name: str) -> bool:
    """Say whether a name stands anywhere in an expression, but as an inner function's own."""
    if node is None:
        return False
    if isinstance(node, Function) and any(name == parameter for parameter, _ in node.parameters):
        return False
    if isinstance(node, RSymbol) and node.name == name:
        return True
    return any(mentions(child, name) for child in children(node))


def _name(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "`" else text


_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u\{?[0-9a-fA-F]{1,4}\}?|U\{?[0-9a-fA-F]{1,8}\}?"
                            r"|[0-7]{1,3}|.)", re.DOTALL)  # fmt: skip
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f",
                 "v": "\v"}  # fmt: skip


def _string(text: str) -> str:
    raw = re.fullmatch(r"[rR][\"'](-*)[\[({](.*)[\])}]\1[\"']", text, re.DOTALL)
    if raw is not None:
        return raw[2]
    if len(text) < 2 or text[0] not in "\"'":
        return text

    def read(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU":
            return chr(int(code[1:].strip("{}"), 16))
        if code.isdigit() and code[0] in "01234567":
            return chr(int(code, 8))
        return _PLAIN.get(code, code)

    return _ESCAPE.sub(read, text[1:-1])


def number_of(text: str) -> tuple[float | int, bool]:
    """Return a number as R reads it, and whether R calls it an integer.

    Raises:
        ValueError: it is none (a complex one, for example).
    """
    body = text.removesuffix("L")
    if body.lower().startswith("0x"):
        value: float | int = float.fromhex(body) if "p" in body.lower() else int(body, 16)
    else:
        read = ast.literal_eval(body.lstrip("0") or "0") if body.isdigit() else float(body)
        value = read
    if text.endswith("L"):
        return int(value), True
    return float(value), False
