"""Inputs and targets come from the same rows, and one of the two was put into another order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bridge.rules.models import trainings
from bridge.rules.r_values import RObject
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import (
    Argument,
    Assign,
    Function,
    Index,
    Member,
    Node,
    RCall,
    RSymbol,
    children,
    nodes_in,
)

RULE = Rule("D09", "rows-moved-apart", cause="r-semantics", whose="yours")
#: Functions that give a number or two of what they are given, and none of its rows.
_SIZES: Final = frozenset({"nrow", "ncol", "NROW", "NCOL", "length", "dim", "seq_len", "seq_along"})
_WORDS: Final = frozenset({"TRUE", "FALSE", "NULL", "NA", "T", "F", "NaN", "Inf"})


@dataclass(frozen=True)
class _Lineage:
    """What a value goes back to: variables by name, and what put its rows into another order.

    ``moves`` has the new order, or what else tells one move from another, and where it is written.
    """

    roots: frozenset[str] = frozenset()
    moves: dict[object, Node] = field(default_factory=dict)

    def __or__(self, added: _Lineage) -> _Lineage:
        return _Lineage(self.roots | added.roots, self.moves | added.moves)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a training whose inputs went through a new order that its targets did not, or two.

    A new order is one of merge(), sample(), order() or sort(): that rows moved is seen from R's own
    values. Both sides go back to the same data; else there is no order that they have in common.
    """
    lines = {training.probe.line for training in trainings(run)}
    followed = _Followed(run)
    for number, statement in enumerate(run.tree[: run.variables.statements + 1], start=1):
        for call in nodes_in([statement], RCall):
            if call.name != "fit" or call.line not in lines:
                continue
            x, y = (followed.of(number, node) for node in _data(call))
            apart = {key: node for key, node in x.moves.items() if key not in y.moves}
            apart |= {key: node for key, node in y.moves.items() if key not in x.moves}
            if not apart or not x.roots & y.roots:
                continue
            first = min(apart.values(), key=lambda node: node.line)
            yield RULE.finding(
                "The rows of inputs and targets are no longer the same",
                "Both go back to the same data, and one of them was put into another order. Row by "
                "row they do not belong together.",
                at=run.node_place(first, "another order of rows"),
                also=(run.node_place(call, "sets them side by side"),),
                # Targets may be mixed on purpose, to see what a model learns of nothing.
                confidence="likely",
                help="Move the rows of both by one index, or take both from the table that was "
                "moved.",
            )
            return
        followed.take(number, statement)


class _Followed:
    """What each variable goes back to, statement by statement."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[str, _Lineage] = {}

    def take(self, number: int, statement: Node) -> None:
        """Follow the assignments of a statement."""
        waiting = [statement]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Assign) and isinstance(node.target, RSymbol):
                self._known[node.target.name] = self.of(number, node.value, node.target)
            elif not isinstance(node, Function):
                waiting += children(node)

    def of(self, number: int, node: Node | None, target: RSymbol | None = None) -> _Lineage:
        """Return what an expression goes back to; ``target`` is what it is assigned to."""
        if node is None or isinstance(node, Function):
            return _Lineage()
        if isinstance(node, RSymbol):
            return self._symbol(number, node)
        if isinstance(node, Index) and not node.double and node.arguments:
            rows = node.arguments[0].value
            moved = self.of(number, node.object)
            return moved | _Lineage(moves=self.of(number, rows).moves | self._order(number, rows))
        if isinstance(node, RCall):
            found = _Lineage()
            for argument in () if node.name in _SIZES else node.arguments:
                found |= self.of(number, argument.value)
            return found | _Lineage(moves=self._moved(number, node, target))
        if isinstance(node, Member):
            return self.of(number, node.object)
        found = _Lineage()
        for child in children(node):
            found |= self.of(number, child)
        return found

    def _symbol(self, number: int, node: RSymbol) -> _Lineage:
        known = self._known.get(node.name, _Lineage())
        value = self._run.variables.before(number, node.name)
        # Of a number, and of a function, there are no rows.
        single = value is not None and value.kind != "list" and len(value) < 2
        if node.name in _WORDS or single:
            return known
        return known | _Lineage(frozenset({node.name}))

    def _order(self, number: int, rows: Node | None) -> dict[object, Node]:
        """Return the new orders that a subscript has: variables, what is drawn, order()."""
        if rows is None:
            return {}
        found: dict[object, Node] = {}
        for node in [rows, *nodes_in([rows], RSymbol)]:
            value = self._run.variables.of(number, node) if isinstance(node, RSymbol) else None
            order = value.numbers if value is not None and _is_mixed(value) else None
            # What takes a row several times looks something up.
            if order is not None and len(np.unique(order)) == len(order):
                found[order.astype(float).tobytes()] = node
        for call in nodes_in([rows], RCall):
            if call.name == "sample":
                found |= self._drawn(number, call)
            elif call.name == "order" and self._moves(number, call):
                found["order", self._run.text.source(call.row)] = call
        return found

    def _drawn(self, number: int, call: RCall) -> dict[object, Node]:
        """Return the new order that a statement drew; that of one call where it drew several."""
        own = [
            draw
            for draw in self._run.capsule.manifest.draws
            if draw.statement == number and draw.name.startswith("sample") and draw.array
        ]
        values = self._run.array(own[0].array) if len(own) == 1 and own[0].array else None
        if values is None:
            return {id(call): call}
        return {values.astype(float).tobytes(): call} if values.size > 1 else {}

    def _moves(self, number: int, order: RCall) -> bool:
        """Say whether what order() is given is seen to be in another order than its own."""
        value = self._run.variables.of(
            number, order.arguments[0].value if order.arguments else None
        )
        return value is not None and _is_mixed(value)

    def _moved(self, number: int, call: RCall, target: RSymbol | None) -> dict[object, Node]:
        """Return the new order that a call gives its rows, where that is seen from its result."""
        first = call.arguments[0].value if call.arguments else None
        if call.name == "sample" and len(call.arguments) == 1 and isinstance(first, RSymbol):
            value = self._run.variables.of(number, first)
            if value is not None and len(value) > 1:
                return self._drawn(number, call)
        if call.name == "sort" and self._moves(number, call):
            return {("sort", self._run.text.source(call.row)): call}
        if call.name != "merge" or target is None:
            return {}
        before = self._run.variables.of(number, first)
        after = self._run.variables.of(number + 1, target)
        if before is None or after is None:
            return {}
        keys = [name for name in after.names[:1] if name in before.names]
        for was, now in ((before.part(key), after.part(key)) for key in keys):
            if was is not None and now is not None and _is_moved(was, now):
                return {("merge", call.row): call}
        return {}


def _is_mixed(value: RObject) -> bool:
    """Say whether numbers go up and down."""
    if value.kind != "numbers" or value.numbers is None or len(value.numbers) < 2 or value.shape:
        return False
    return value.numbers.dtype.kind in "iuf" and bool(np.any(np.diff(value.numbers) < 0))


def _is_moved(was: RObject, now: RObject) -> bool:
    """Say whether two columns have the same values in another order."""
    if was.words or now.words:
        return was.words != now.words and sorted(was.words) == sorted(now.words)
    a, b = was.numbers, now.numbers
    if a is None or b is None or a.shape != b.shape or was.levels != now.levels:
        return False
    return not np.array_equal(a, b) and np.array_equal(np.sort(a), np.sort(b))


def _data(call: RCall) -> tuple[Node | None, Node | None]:
    """Return the inputs and the targets that fit() is given: without a pipe the model is first."""
    named = {argument.name: argument.value for argument in call.arguments if argument.name}
    bare: list[Argument] = [argument for argument in call.arguments if not argument.name][1:]
    values = iter([argument.value for argument in bare])
    x = named["x"] if "x" in named else next(values, None)
    return x, named["y"] if "y" in named else next(values, None)
