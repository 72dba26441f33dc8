"""Parts that were put one after the other fill the columns of an array, and not its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bridge.rules.index_uses import sources
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of
from bridge.translate.script_text import Cut
from bridge.translate.syntax import Assign, Node, Number, Operation, Paren, RCall, RSymbol, nodes_in

RULE = Rule("R13", "columns-first", cause="r-semantics", whose="R's rules")
#: What makes a part for each element of its first argument; of these, what binds them as columns.
_EACH: Final = frozenset({"lapply", "sapply", "vapply", "map"})
_BINDING: Final = frozenset({"sapply", "vapply"})
_NONE: Final[frozenset[str]] = frozenset()

Names = Mapping[str, Sequence[Node]]


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find arrays with a row for each of several parts, which were filled part after part."""
    assigned: dict[str, list[Node]] = {}
    for node in nodes_in(run.tree, Assign):
        if isinstance(node.target, RSymbol):
            assigned.setdefault(node.target.name, []).append(node.value)
    wide = set(_wide(run, assigned))
    for node in nodes_in(run.tree, Assign):
        filled = node.value
        if not (isinstance(node.target, RSymbol) and node.target.name in wide):
            continue
        if not isinstance(filled, RCall) or filled.name not in ("array", "matrix"):
            continue
        rows, parts = _rows(filled), _parts(filled, assigned)
        if rows is None or parts is None:
            continue
        if _key(rows, assigned) in _counts(parts, assigned):
            yield RULE.finding(
                f"{filled.name}() fills columns first, so that its rows are mixed",
                "The parts stand one after the other, and each should be a row. R fills the first "
                "column with the first numbers.",
                at=run.node_place(filled, "by columns"),
                also=(parts.line,) if parts.line != filled.line else (),
                help=run.help("Fill it by rows.", *_by_rows(run, filled)),
            )
            return


@RULE.detector
def dimensions_exchanged(run: Run) -> Iterator[Finding]:
    """Find an array whose dimensions are set to those that it had, the last one first.

    That leaves the numbers where they are: only ``t()`` and ``aperm()`` turn an array.
    """
    for number, statement in enumerate(run.tree[: run.variables.statements], start=1):
        if not isinstance(statement, Assign):
            continue
        target, value = statement.target, statement.value
        filled: RCall | None = None
        source: Node | None
        if isinstance(target, RCall) and target.name == "dim" and target.arguments:
            source = target.arguments[0].value
        elif isinstance(value, RCall) and value.name in ("array", "matrix") and value.arguments:
            filled, source = value, value.arguments[0].value
            if any(argument.name == "byrow" for argument in value.arguments):
                continue
        else:
            continue
        before, after = (
            run.variables.of(number, source),
            run.variables.of(number + 1, target if filled is not None else source),
        )
        if before is None or after is None:
            continue
        was, now = ([size for size in value.shape if size != 1] for value in (before, after))
        if len(was) < 2 or was == now or was != now[::-1]:
            continue
        yield RULE.finding(
            "New dimensions do not turn an array: its rows are mixed",
            "R keeps the numbers in their order, column after column, and only counts them "
            "otherwise. Numbers that were a column stand in several rows.",
            at=run.node_place(statement, "its numbers stay where they are"),
            evidence=[("before", " x ".join(map(str, before.shape)))],
            help=run.help(
                "Use t(), which turns a matrix.",
                _turned(run, statement, source, filled) if len(before.shape) == 2 else None,
            ),
        )
        return


def _turned(run: Run, statement: Assign, source: Node | None, filled: RCall | None) -> Cut | None:
    if source is None:
        return None
    text = run.text.source(source.row)
    if filled is not None:
        return run.text.replace(source.row, f"t({text})")
    return run.text.replace(statement.row, f"{text} <- t({text})")


def _wide(run: Run, assigned: Names) -> Iterator[str]:
    """Yield the names of data with several numbers a row."""
    for probe in run.probes:
        call = call_of(run.capsule, probe)
        if call is None or len(probe.inputs) != 1:
            continue
        given = (probe.inputs[0], *probe.targets[:1])
        for name, ref in zip(run.data_names(call), given, strict=False):
            if name and len(ref.shape) > 1 and max(ref.shape[1:]) > 1:
                yield from sources(RSymbol(0, 0, name), assigned)


def _rows(filled: RCall) -> Node | None:
    """Return what says how many rows there are, None where they are filled by rows."""
    named = {argument.name: argument.value for argument in filled.arguments if argument.name}
    bare = [argument.value for argument in filled.arguments if not argument.name]
    if filled.name == "matrix":
        return None if "byrow" in named else named.get("nrow", (*bare, None, None)[1])
    sizes = named.get("dim", (*bare, None, None)[1])
    if not isinstance(sizes, RCall) or sizes.name != "c" or len(sizes.arguments) < 2:
        return None
    return sizes.arguments[0].value


def _parts(filled: RCall, assigned: Names) -> Node | None:
    """Return the list of parts, or the call that makes them; None where it is neither."""
    first = filled.arguments[0].value if filled.arguments else None
    if isinstance(first, RCall) and first.name == "unlist" and first.arguments:
        return first.arguments[0].value
    given = _followed(first, assigned)
    return first if isinstance(given, RCall) and given.name in _BINDING else None


def _counts(parts: Node, assigned: Names) -> Iterator[Any]:
    """Yield how many parts there are, as the script may write it."""
    yield ("length", _key(parts, assigned))
    source = _followed(parts, assigned)
    if not isinstance(source, RCall) or source.name not in _EACH or not source.arguments:
        return
    over = _followed(source.arguments[0].value, assigned)
    yield ("length", _key(over, assigned))
    if isinstance(over, RCall) and len(over.arguments) == 1:
        key = _key(over.arguments[0].value, assigned)
        yield key if over.name == "seq_len" else ("length", key)
    elif isinstance(over, Operation) and over.operator == ":" and _key(over.left, {}) == "1":
        yield _key(over.right, assigned)


def _followed(node: Node | None, assigned: Names, passed: frozenset[str] = _NONE) -> Node | None:
    """Return what a name was given, where it was given one thing that is not made of itself."""
    while isinstance(node, (Paren, RSymbol)):
        if isinstance(node, Paren):
            node = node.inner
            continue
        given = assigned.get(node.name, ())
        if len(given) != 1 or node.name in passed:
            return node
        passed |= {node.name}
        node = given[0]
    return node


def _key(node: Node | None, assigned: Names, passed: frozenset[str] = _NONE) -> Any:
    """Return an expression without its places, so that two that say the same are equal."""
    if isinstance(node, Paren):
        return _key(node.inner, assigned, passed)
    if isinstance(node, RSymbol):
        source = _followed(node, assigned, passed)
        names = passed | {node.name}
        return ("name", node.name) if isinstance(source, RSymbol) else _key(source, assigned, names)
    if isinstance(node, Number):
        return node.text.rstrip("L")
    if isinstance(node, Operation):
        sides = (node.left, node.right)
        return (node.operator, *(_key(side, assigned, passed) for side in sides if side))
    if isinstance(node, RCall):
        return (node.name, *(_key(argument.value, assigned, passed) for argument in node.arguments))
    return id(node)


def _by_rows(run: Run, filled: RCall) -> Sequence[Cut | None]:
    """Return the edits that fill an array by rows."""
    first = filled.arguments[0].value
    unlisted = isinstance(first, RCall) and first.name == "unlist"
    if unlisted and filled.name == "matrix":
        return [run.text.set_argument("matrix", filled.line, "byrow", "TRUE")]
    if unlisted:
        return [run.text.rename_call("array", filled.line, "array_reshape")]
    return [run.text.wrap_first(filled.name, filled.line, "t")]
