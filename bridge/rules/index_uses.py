"""What a script does with an index: shows it, takes an element by it, adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bridge.translate.syntax import (
    Assign,
    Index,
    Node,
    Operation,
    Paren,
    RCall,
    RSymbol,
    nodes_in,
    walk,
)

#: What hands an index on as it is, and what shows it.
_CONVERTS: Final = frozenset(
    {"as.array", "as.integer", "as.numeric", "as.double", "as.vector", "as.matrix", "c", "drop"}
    | {"head", "tail", "invisible", "op_cast", "k_get_value", "t"}
)
_SHOWS: Final = frozenset(
    {"print", "cat", "message", "paste", "paste0", "format", "str", "sprintf"}
)
#: Functions that count classes from 0, where they are given a class.
_FROM_ZERO: Final = frozenset({"to_categorical", "op_one_hot", "k_one_hot"})


def uses(root: Node, wanted: Node, tree: Sequence[Node]) -> Iterator[str]:
    """Yield what is done with a value: shown, a subscript, added to, or nothing that is known."""
    for place, name in _places(root, wanted, tree):
        if is_value(place, name):
            yield "shown"
        for node in walk(place):
            if isinstance(node, Index) and any(
                is_value(argument.value, name) for argument in node.arguments
            ):
                yield "subscript"
            elif isinstance(node, Operation) and node.left is not None:
                if is_value(node.left, name) and node.operator in "+-":
                    yield "added" if node.operator == "+" else "subtracted"
            elif isinstance(node, RCall) and any(
                is_value(argument.value, name) for argument in node.arguments
            ):
                if node.name in _SHOWS:
                    yield "shown"
                elif node.name in _FROM_ZERO:
                    yield "from zero"


def compared(root: Node, wanted: Node, tree: Sequence[Node]) -> Iterator[Node]:
    """Yield what a value is set against with ``==``, by itself or by its name."""
    for place, name in _places(root, wanted, tree):
        for node in nodes_in([place], Operation):
            if node.operator == "==" and node.left is not None:
                for side, operand in ((node.left, node.right), (node.right, node.left)):
                    if is_value(side, name):
                        yield operand


def _places(root: Node, wanted: Node, tree: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    """Yield where a value stands, and as what: itself, then in the whole text by its name."""
    yield root, wanted
    for node in nodes_in([root], Assign):
        if isinstance(node.target, RSymbol) and is_value(node.value, wanted):
            yield from ((item, node.target) for item in tree)


def sources(node: Node | None, assigned: Mapping[str, Sequence[Node]]) -> frozenset[str]:
    """Return the names that a value goes back to: its own, and those that it is a part of.

    ``assigned`` has what each name is given. What is computed goes back to nothing.
    """
    found: set[str] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        while isinstance(part, (Index, Paren, RCall)):
            if isinstance(part, Index):
                part = part.object
            elif isinstance(part, Paren):
                part = part.inner
            else:
                kept = part.name in _CONVERTS - {"c"} and part.arguments
                part = part.arguments[0].value if kept else None
        if isinstance(part, RSymbol) and part.name not in found:
            found.add(part.name)
            waiting += assigned.get(part.name, ())
    return frozenset(found)


def is_value(node: Node | None, wanted: Node) -> bool:
    """Say whether an expression is the value itself, at most converted."""
    while isinstance(node, (RCall, Paren)):
        if node is wanted:
            return True
        if isinstance(node, Paren):
            node = node.inner
        elif node.name in _CONVERTS and node.arguments:
            node = node.arguments[0].value
        else:
            return False
    if isinstance(node, RSymbol) and isinstance(wanted, RSymbol):
        return node.name == wanted.name
    return node is wanted
