"""What a script does with an index: shows it, takes an element by it, adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.translate.syntax import Assign, Call, Index, Node, Operation, Paren, Symbol, walk

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
    if is_value(root, wanted):
        yield "shown"
    for node in walk(root):
        if isinstance(node, Index) and any(is_value(each.value, wanted) for each in node.arguments):
            yield "subscript"
        elif isinstance(node, Operation) and node.left is not None:
            if is_value(node.left, wanted) and node.operator in "+-":
                yield "added" if node.operator == "+" else "subtracted"
        elif isinstance(node, Call) and any(
            is_value(each.value, wanted) for each in node.arguments
        ):
            if node.name in _SHOWS:
                yield "shown"
            elif node.name in _FROM_ZERO:
                yield "from zero"
        elif (
            isinstance(node, Assign)
            and isinstance(node.target, Symbol)
            and not isinstance(wanted, Symbol)
            and is_value(node.value, wanted)
        ):
            for item in tree:
                yield from uses(item, node.target, tree)


def is_value(node: Node | None, wanted: Node) -> bool:
    """Say whether an expression is the value itself, at most converted."""
    while isinstance(node, (Call, Paren)):
        if node is wanted:
            return True
        if isinstance(node, Paren):
            node = node.inner
        elif node.name in _CONVERTS and node.arguments:
            node = node.arguments[0].value
        else:
            return False
    if isinstance(node, Symbol) and isinstance(wanted, Symbol):
        return node.name == wanted.name
    return node is wanted
