"""Named inputs: a named list becomes a dict, and the order of a dict's names is its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.capsule import Capsule
from bridge.capsule.values import Items, ObjectValue, Pairs, Scalar
from bridge.rules.said import Said, asked, at, name_of, owner_of
from bridge.translate.syntax import Node


def sorted_names(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[Said]:
    """Find models with named inputs that are fed by place: Keras sorts the names."""
    named: dict[int, tuple[list[str], int | None]] = {}
    for call in asked(capsule):
        inputs = call.kwargs.get("inputs")
        made = call.result
        if isinstance(inputs, Pairs) and isinstance(made, ObjectValue):
            names = [key.v for key, _ in inputs.items if isinstance(key, Scalar)]
            named[made.id] = (names, call.line)
        owner = owner_of(call)
        if owner not in named or name_of(call) not in ("predict", "fit", "evaluate"):
            continue
        names, line = named[owner]
        given = call.kwargs.get("x") or next(iter(call.args), None)
        if isinstance(given, Items) and sorted(names) != names and len(given.items) == len(names):
            yield Said(
                "r-conversion",
                f"{at(line)}the inputs of the model are named {', '.join(names)}: a named list "
                f"becomes a dict, of which Keras sorts the names ({', '.join(sorted(names))}). "
                f"{at(call.line)}it is fed a list without names, which is taken in the sorted "
                "order. Give the arrays the names of the inputs.",
                line=call.line,
                refused=call.error is not None,
            )
            return
