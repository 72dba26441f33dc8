"""A vector with one number for each column is laid down the columns of a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import (
    Assign,
    Index,
    Node,
    Operation,
    Paren,
    RCall,
    RSymbol,
    is_number,
    nodes_in,
    walk,
)

RULE = Rule("R14", "recycled-down-columns", cause="r-semantics", whose="R's rules", needs=("text",))
#: R's functions that give one number for each column of a matrix, by their first argument.
_OF_COLUMNS: Final = frozenset({"colMeans", "colSums"})
#: R's functions that give a matrix with columns.
_MATRICES: Final = frozenset({"as.matrix", "data.matrix", "model.matrix", "cbind", "matrix"})
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find arithmetic of a matrix with the means, sums or other numbers of its columns.

    R's arithmetic goes down the columns: the second row of the first column meets the number of the
    second column. In ``t(t(x) - colMeans(x))``, ``sweep()`` and ``scale()`` each column meets its
    own.
    """
    given = _given_once(run.tree)
    matrices = {
        name
        for name, value in given.items()
        if isinstance(value, RCall) and value.name in _MATRICES
    }
    matrices |= {
        owner for call in nodes_in(run.tree, RCall) if (owner := _columns_of(call)) is not None
    }
    found: dict[int, _Sides] = {}
    for node in nodes_in(run.tree, Operation):
        if node.operator not in _ARITHMETIC or node.left is None:
            continue
        for matrix, vector in ((node.left, node.right), (node.right, node.left)):
            if _matrix(matrix) in matrices and _is_of_columns(vector, given):
                found[id(node)] = _Sides(node, matrix, vector)
    if not found:
        return
    within = {id(part) for sides in found.values() for part in walk(sides.matrix)}
    whole = [sides for number, sides in found.items() if number not in within]
    first = min(found.values(), key=lambda sides: (sides.vector.line, sides.vector.column))
    yield RULE.finding(
        "One number for each column is laid down the columns",
        "R recycles a vector along the first column, then the second. So the rows of a column meet "
        "the numbers of all columns in turn, not their own.",
        at=run.node_place(first.vector, "goes down the rows"),
        # A matrix of one column is right; how many it has, the text does not say.
        confidence="likely",
        help=run.help(
            "Use sweep(x, 2, ...) or scale(), which go by columns.",
            *(
                run.text.replace(operation.node.row, _swept(run, operation.node, found))
                for operation in whole
            ),
        ),
    )


@dataclass(frozen=True)
class _Sides:
    node: Operation
    matrix: Node
    vector: Node


def _given_once(tree: Sequence[Node]) -> dict[str, Node]:
    """Return the values of the names that are assigned to once."""
    found: dict[str, list[Node]] = {}
    for node in nodes_in(tree, Assign):
        if isinstance(node.target, RSymbol):
            found.setdefault(node.target.name, []).append(node.value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _columns_of(node: Node | None) -> str | None:
    """Return the matrix of which a call gives one number for each column, None if it does not."""
    if not isinstance(node, RCall) or not node.arguments:
        return None
    first = node.arguments[0].value
    by_columns = node.name in _OF_COLUMNS or (
        node.name == "apply" and len(node.arguments) > 2 and is_number(node.arguments[1].value, 2)
    )
    name = _matrix(first)
    return name if by_columns and name else None


def _is_of_columns(node: Node, given: dict[str, Node]) -> bool:
    if isinstance(node, RSymbol):
        return _columns_of(given.get(node.name)) is not None
    return _columns_of(node) is not None


def _matrix(node: Node | None) -> str:
    """Return the name of a matrix that stands there as it is, or some rows of it; "" if none."""
    while isinstance(node, Paren):
        node = node.inner
    if isinstance(node, RSymbol):
        return node.name
    if isinstance(node, Operation) and node.operator in _ARITHMETIC:
        return _matrix(node.left) or _matrix(node.right)
    rows = isinstance(node, Index) and not node.double and len(node.arguments) > 1
    if isinstance(node, Index) and rows and node.arguments[1].value is None:
        return _matrix(node.object)
    return ""


def _swept(run: Run, node: Node, found: dict[int, _Sides]) -> str:
    """Return the text of an expression, with ``sweep()`` for what goes down the columns."""
    bare = node
    while isinstance(bare, Paren):
        bare = bare.inner
    sides = found.get(id(bare))
    if sides is None:
        return run.text.source(node.row)
    matrix, operator = _swept(run, sides.matrix, found), sides.node.operator
    swept = f'sweep({matrix}, 2, {run.text.source(sides.vector.row)}, "{operator}")'
    turned = {"-": "-", "/": "1 / "} if sides.matrix is sides.node.right else {}
    return f"{turned.get(operator, '')}{swept}"
