"""Two ways of counting: R from 1, Python from 0 and with negative numbers from the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.capsule import Capsule
from bridge.explain.usage.said import Said, asked, name_of, number
from bridge.translate.syntax import Call, Index, Member, Node, Number, Operation, Symbol, walk

#: Functions of keras3 that give indices, and have an argument to count them from 0 (the table of
#: measurements has `zero_indexed` for each).
_GIVE_INDICES: Final = frozenset({"op_argmax", "op_argmin", "op_argsort", "op_top_k"})


def counted_results(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find indices that keras3 counts from 1 where Python's function counts from 0."""
    called = {name_of(call) for call in asked(capsule)}
    for node in (each for item in tree for each in walk(item)):
        if not isinstance(node, Call) or node.name not in _GIVE_INDICES:
            continue
        plain = node.name.removeprefix("op_")
        if plain in called and not any(each.name == "zero_indexed" for each in node.arguments):
            yield Said(
                "r-index-base",
                f"Line {node.line}: {node.name}() counts from 1, as R does, where Python's "
                f"{plain}() counts from 0: the same place, one more as a number. zero_indexed = "
                "TRUE gives Python's.",
                line=node.line,
            )
            return


def two_counts(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find layers that are asked for by a number counted from 1 and by one counted from 0."""
    wrapped: list[Call] = []
    raw: list[Call] = []
    for node in (each for item in tree for each in walk(item)):
        if isinstance(node, Call) and any(each.name == "index" for each in node.arguments):
            if node.name == "get_layer":
                wrapped.append(node)
            elif isinstance(node.function, Member) and node.function.name == "get_layer":
                raw.append(node)
    sent = [
        value
        for call in asked(capsule)
        if name_of(call) == "get_layer" and (value := number(call.kwargs.get("index"))) is not None
    ]
    if wrapped and raw and sent:
        yield Said(
            "r-index-base",
            f"Line {wrapped[0].line}: get_layer(index = ) of the R package counts layers from 1; "
            f"line {raw[0].line}: the method $get_layer() of the Python object counts them from 0, "
            "so that the same number means another layer.",
            line=raw[0].line,
        )


def from_the_end(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find negative indices of tensors, which count from the end where R leaves elements out."""
    sliced = {call.line for call in asked(capsule) if name_of(call) == "_slice_helper"}
    for node in (each for item in tree for each in walk(item)):
        if not isinstance(node, Index) or node.double or node.line not in sliced:
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
                yield Said(
                    "r-semantics",
                    f"Line {node.line}: -{value.right.text.rstrip('L')} as an index of the tensor "
                    f"{node.object.name!r} counts from the end, as in Python; of a matrix of R it "
                    "leaves that row or column out.",
                    line=node.line,
                )
                return
