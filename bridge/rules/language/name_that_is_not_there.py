"""A name that a list does not have is NULL, or that of another part that begins like it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

from bridge.rules.r_values import RObject, named_part
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import (
    Assign,
    Block,
    For,
    Function,
    Index,
    Member,
    Node,
    Operation,
    RCall,
    RSymbol,
    While,
    children,
    nodes_in,
    walk,
)

RULE = Rule(
    "R15", "name-that-is-not-there", cause="r-semantics", whose="R's rules", needs=("one run",)
)
#: What asks whether there is a part.
_ASKS: Final = frozenset({"is.null", "isTRUE", "isFALSE", "exists", "length", "%||%"})
#: What stands between two words of a name.
_BETWEEN_WORDS: Final = "._"


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find parts of lists and data frames that are read by names that they do not have.

    ``$`` takes a part whose name only begins so: that is found where what it leaves out is a word
    of its own. A name cut short within a word is an abbreviation, and is not.
    """
    for number, statement in enumerate(run.tree[: run.variables.statements + 1], start=1):
        moving = _assigned(statement) if isinstance(statement, (For, While, Block)) else set()
        for node in _read(statement):
            part = named_part(node)
            if part is None or _root(part[0]) in moving:
                continue
            whole = run.variables.of(number, part[0])
            if whole is None or whole.kind != "list" or not whole.names or part[1] in whole.names:
                continue
            yield from _found(run, node, part[1], whole)
            return


def _found(run: Run, node: Node, name: str, whole: RObject) -> Iterator[Finding]:
    longer = [known for known in whole.names if known.startswith(name)]
    owner = named_part(node)
    shown = run.text.source(owner[0].row) if owner is not None else ""
    written = f"{shown}${name}" if isinstance(node, Member) else f'{shown}[["{name}"]]'
    if len(written) > 40:
        written = name
    if isinstance(node, Member) and len(longer) == 1:
        if longer[0][len(name)] in _BETWEEN_WORDS:
            yield RULE.finding(
                f"{written} takes {longer[0]}",
                f"There is no {name}. `$` takes the one part whose name begins so.",
                at=run.word_place(node.line, name, f"is {longer[0]}"),
                evidence=[("names that there are", ", ".join(whole.names[:8]))],
                confidence="likely",
                help=f'[["{name}"]] takes no other name; write out the name that is meant.',
            )
        return
    near = difflib.get_close_matches(name, whole.names, n=1)
    yield RULE.finding(
        f"There is no {written}: R gives NULL",
        "`$` and `[[` give NULL for a name that a list does not have, and R does not say so. "
        "What is NULL is left out of c() and cbind(), and has the length 0.",
        at=run.word_place(node.line, name, "is NULL"),
        evidence=[("names that there are", ", ".join(whole.names[:8]))],
        confidence="proven" if near else "likely",
        help=run.help(
            f"Write {near[0]}." if near else "Write one of the names that there are.",
            run.text.replace(node.row, f"{shown}${near[0]}") if near else None,
        ),
    )


def _read(statement: Node) -> Iterator[Node]:
    """Yield the parts that are read by a name, but where it is asked whether they are there.

    Functions have variables of their own, and run at another time.
    """
    waiting: list[Node] = [statement]
    while waiting:
        node = waiting.pop(0)
        inside = list(children(node))
        if isinstance(node, Function):
            continue
        if isinstance(node, Assign):
            # What is assigned to need not be there yet.
            inside = [node.value, *_subscripts(node.target)]
        elif (isinstance(node, RCall) and node.name in _ASKS) or (
            isinstance(node, Operation) and node.operator in _ASKS
        ):
            inside = [inner for inner in inside if named_part(inner) is None]
        elif named_part(node) is not None:
            yield node
        waiting[:0] = inside


def _subscripts(target: Node) -> list[Node]:
    return [
        argument.value
        for node in walk(target)
        if isinstance(node, Index)
        for argument in node.arguments
        if argument.value is not None
    ]


def _assigned(statement: Node) -> set[str]:
    loops = {node.variable for node in nodes_in([statement], For)}
    return loops | {_root(node.target) for node in nodes_in([statement], Assign)}


def _root(node: Node) -> str:
    parts: Sequence[Node] = [inner for inner in walk(node) if isinstance(inner, RSymbol)]
    return parts[0].name if parts and isinstance(parts[0], RSymbol) else ""
