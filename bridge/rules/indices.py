"""Two ways of counting: R from 1, Python from 0 and with negative numbers from the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.capsule import Capsule
from bridge.explain.result import CauseEvidence
from bridge.rules.recorded_run import answer, asked, name_of, number
from bridge.translate.syntax import (
    Assign,
    Call,
    Index,
    Member,
    Node,
    Number,
    Operation,
    Paren,
    Symbol,
    nodes_in,
    number_of,
    walk,
)

#: Functions of keras3 that give indices, and have an argument to count them from 0 (the table of
#: measurements has `zero_indexed` for each).
_GIVE_INDICES: Final = frozenset({"op_argmax", "op_argmin", "op_argsort", "op_top_k"})


#: Functions that give indices counted from 0: of the legacy package, and methods of modules.
_ZERO_FUNCTIONS: Final = frozenset({"k_argmax", "k_argmin"})
_ZERO_METHODS: Final = frozenset({"argmax", "argmin", "argsort"})
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


def counted_results(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find indices that keras3 counts from 1 where Python's function counts from 0.

    Only what the script does with an index says whether that surprises: as a subscript of R it is
    what it should be, shown as a number it is one more than Python's.
    """
    called = {name_of(call) for call in asked(capsule)}
    given = [each for each in _found(tree) if each.name.removeprefix("op_") in called]
    for node in given:
        uses = {use for root in tree for use in _uses(root, node, tree)}
        plain = node.name.removeprefix("op_")
        counts = (
            f"Line {node.line}: {node.name}() counts from 1, as R does, where Python's {plain}() "
            "counts from 0"
        )
        if "added" in uses:
            so = "adding 1 to what it gives makes it one too many."
        elif "from zero" in uses:
            so = (
                "what it gives is then used where classes are counted from 0. Subtract 1, or give "
                "zero_indexed = TRUE."
            )
        else:
            so = "the same place, one more as a number. zero_indexed = TRUE gives Python's."
        known = "subscript" in uses or "subtracted" in uses
        shown = bool(uses & {"added", "from zero", "shown"})
        sure = shown and not known
        yield answer("r-index-base", f"{counts}: {so}", decides=sure, line=node.line)
        return


def counted_from_zero(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find indices counted from 0 that are subscripts in R, where element 0 is left out."""
    called = {name_of(call) for call in asked(capsule)}
    for node in nodes_in(tree, Call):
        method = isinstance(node.function, Member) and node.function.name in _ZERO_METHODS
        if not (method or node.name in _ZERO_FUNCTIONS) or not called & _ZERO_METHODS:
            continue
        uses = {use for root in tree for use in _uses(root, node, tree)}
        if "subscript" in uses and "added" not in uses:
            name = node.function.name if isinstance(node.function, Member) else node.name
            yield answer(
                "r-index-base",
                f"Line {node.line}: {name}() counts from 0, and what it gives is used as a "
                "subscript of R, which counts from 1: each finds the element before, and 0 finds "
                "none. Add 1.",
                line=node.line,
            )
            return


def _found(tree: Sequence[Node]) -> Iterator[Call]:
    """Yield the calls that give indices counted from 1."""
    for node in nodes_in(tree, Call):
        if node.name in _GIVE_INDICES and not any(
            each.name == "zero_indexed" for each in node.arguments
        ):
            yield node


def _uses(root: Node, wanted: Node, tree: Sequence[Node]) -> Iterator[str]:
    """Yield what is done with a value: shown, a subscript, added to, or nothing that is known."""
    if _is(root, wanted):
        yield "shown"
    for node in walk(root):
        if isinstance(node, Index) and any(_is(each.value, wanted) for each in node.arguments):
            yield "subscript"
        elif isinstance(node, Operation) and node.left is not None:
            if _is(node.left, wanted) and node.operator in "+-":
                yield "added" if node.operator == "+" else "subtracted"
        elif isinstance(node, Call) and any(_is(each.value, wanted) for each in node.arguments):
            if node.name in _SHOWS:
                yield "shown"
            elif node.name in _FROM_ZERO:
                yield "from zero"
        elif (
            isinstance(node, Assign)
            and isinstance(node.target, Symbol)
            and not isinstance(wanted, Symbol)
            and _is(node.value, wanted)
        ):
            for item in tree:
                yield from _uses(item, node.target, tree)


def _is(node: Node | None, wanted: Node) -> bool:
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


def two_counts(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find layers that are asked for by a number counted from 1 and by one counted from 0."""
    wrapped: list[Call] = []
    raw: list[Call] = []
    for node in nodes_in(tree, Call):
        if any(each.name == "index" for each in node.arguments):
            if node.name == "get_layer":
                wrapped.append(node)
            elif isinstance(node.function, Member) and node.function.name == "get_layer":
                raw.append(node)
    sent = [
        value
        for call in asked(capsule)
        if name_of(call) == "get_layer" and (value := number(call.kwargs.get("index"))) is not None
    ]
    # Who writes other numbers for the two has counted each as it counts.
    same = {_index(each) for each in wrapped} & {_index(each) for each in raw} - {None}
    if wrapped and raw and sent and same:
        yield answer(
            "r-index-base",
            f"Line {wrapped[0].line}: get_layer(index = ) of the R package counts layers from 1; "
            f"line {raw[0].line}: the method $get_layer() of the Python object counts them from 0, "
            "so that the same number means another layer.",
            line=raw[0].line,
        )


def _index(call: Call) -> float | None:
    """Return the number that a layer is asked for by, None where it is not written."""
    for each in call.arguments:
        if each.name == "index" and isinstance(each.value, Number):
            try:
                return float(number_of(each.value.text)[0])
            except (ValueError, OverflowError):
                return None
    return None


def from_the_end(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find negative indices of tensors, which count from the end where R leaves elements out."""
    sliced = {call.line for call in asked(capsule) if name_of(call) == "_slice_helper"}
    for node in nodes_in(tree, Index):
        if node.double or node.line not in sliced:
            continue
        if not isinstance(node.object, Symbol):
            continue
        for argument in node.arguments:
            value = argument.value
            if (
                isinstance(value, Operation)
                and value.operator == "-"
                and value.left is None
                and isinstance(value.right, Number)
            ):
                yield answer(
                    "r-semantics",
                    f"Line {node.line}: -{value.right.text.rstrip('L')} as an index of the tensor "
                    f"{node.object.name!r} counts from the end, as in Python; of a matrix of R it "
                    "leaves that row or column out.",
                    line=node.line,
                )
                return
