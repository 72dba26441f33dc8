"""An index that Python counts from 0 is a subscript in R, which counts from 1."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from bridge.capsule import Call
from bridge.capsule.values import Closure, Scalar, Value
from bridge.rules.index_uses import is_value, uses
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, r_name
from bridge.translate.syntax import Assign, Function, Index, Member, Node, RSymbol, nodes_in

RULE = Rule(
    "R07", "subscripts-counted-from-zero", cause="r-index-base", whose="yours", needs=("text",)
)
#: Functions that give indices counted from 0: of the legacy package, and methods of modules.
_ZERO_FUNCTIONS: Final = frozenset({"k_argmax", "k_argmin"})
_ZERO_METHODS: Final = frozenset({"argmax", "argmin", "argsort"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find indices counted from 0 that are subscripts in R, where element 0 is left out."""
    called = {name_of(call) for call in run.asked}
    for node in run.written:
        method = isinstance(node.function, Member) and node.function.name in _ZERO_METHODS
        if not (method or node.name in _ZERO_FUNCTIONS) or not called & _ZERO_METHODS:
            continue
        found = {use for root in run.tree for use in uses(root, node, run.tree)}
        if "subscript" in found and "added" not in found:
            name = node.function.name if isinstance(node.function, Member) else node.name
            yield RULE.finding(
                f"{name}() counts from 0, and R's brackets count from 1",
                "Each subscript finds the element before, and 0 finds none.",
                at=run.node_place(node, "counted from 0"),
                help="Add 1 before it is a subscript of R.",
            )
            return


@RULE.detector
def of_functions(run: Run) -> Iterator[Finding]:
    """Find a function that Python gives a count from 0, which is a subscript in it as it is."""
    for call in run.asked:
        for value in (*call.args, *call.kwargs.values()):
            if not isinstance(value, Closure) or value.passing or not _counts(run, value):
                continue
            for function in _written(run, call):
                name = function.parameters[0][0] if function.parameters else ""
                subscript = _subscript(function.body, name)
                if subscript is None:
                    continue
                yield RULE.finding(
                    f"{name} counts from 0, and R's brackets count from 1",
                    "Python calls the function with 0 first. Element 0 is none, and each later "
                    "subscript finds the element before.",
                    at=run.node_place(subscript, "0 at the first call"),
                    help=run.help(
                        "Add 1 before it is a subscript of R.",
                        run.text.replace(subscript.row, f"{name} + 1"),
                    ),
                )
                return


def _counts(run: Run, function: Closure) -> bool:
    """Say whether a function's first arguments were 0, 1, 2 and so on, once or again and again."""
    own = [
        _count(invocation.args[0]) if invocation.args else -1
        for invocation in run.capsule.manifest.invocations
        if invocation.closure == function.id and not invocation.looked
    ]
    return own[:1] == [0] and all(after in (0, before + 1) for before, after in pairwise(own))


def _count(value: Value) -> int:
    return int(value.v) if isinstance(value, Scalar) and value.t == "int" else -1


def _written(run: Run, call: Call) -> Iterator[Function]:
    """Yield the functions that a call is given, as they are written."""
    named = {
        node.target.name: node.value
        for node in nodes_in(run.tree, Assign)
        if isinstance(node.target, RSymbol)
    }
    for node in run.written:
        if node.name != r_name(call):
            continue
        for argument in node.arguments:
            value = argument.value
            if isinstance(value, RSymbol):
                value = named.get(value.name)
            if isinstance(value, Function):
                yield value


def _subscript(body: Node, name: str) -> Node | None:
    """Return where a parameter is a subscript as it is, None where it is not or is set anew."""
    for node in nodes_in([body], Assign):
        if isinstance(node.target, RSymbol) and node.target.name == name:
            return None
    wanted = RSymbol(0, 0, name)
    for index in nodes_in([body], Index):
        for argument in index.arguments:
            if argument.value is not None and is_value(argument.value, wanted):
                return argument.value
    return None
