"""From R's syntax tree to the Python that a reader of the text would write.

Names and numbers are those of the text; nothing is converted behind it. What cannot be translated
is left as a marked gap with its line; what is read otherwise than R's own rules have it (an array
that is filled by rows, a function that keeps its own round of a loop) is noted as a reading.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from bridge.facts.r import SEEDING_KERAS
from bridge.translate.places import Places
from bridge.translate.statements import Statements
from bridge.translate.syntax import (
    Assign,
    Call,
    For,
    Function,
    Member,
    Node,
    Operation,
    Row,
    Symbol,
    SyntaxRowsError,
    build,
    called_in,
    nodes_in,
    walk,
)
from bridge.translate.wrappers import exports
from bridge.translate.writing import (
    ORDER,
    Gap,
    Scope,
    Translation,
    WatchedError,
    assigned_in,
    root_of,
)


def translate(
    rows: Sequence[Row],
    *,
    script: str,
    package: str,
    generation: int,
    as_r: frozenset[tuple[str, int]] = frozenset(),
) -> Translation:
    """Translate a script, given as the rows of R's syntax tree.

    Args:
        rows: see :mod:`bridge.translate.syntax`.
        script: the script's name, for gaps.
        package: the front end that it loads.
        generation: the generation of Keras that it means, 2 or 3.
        as_r: what is to be taken as R has it, although a reader of the text would not: the kinds
            and lines of readings; ``ORDER`` for the order in which a pipe makes its layers.
    """
    try:
        nodes = build(rows)
    except SyntaxRowsError as error:
        gap = Gap(1, str(error), script)
        return Translation(f"# GAP {gap.sentence}\n", (1,), (gap,))
    first = _Translator(script, package, generation, nodes, as_r)
    made = first.script_text()
    if not first.meets:
        return made
    # Only now it is known which vectors meet tensors.
    second = _Translator(script, package, generation, nodes, as_r)
    second.met = first.meets
    return second.script_text()


class _Translator(Statements):
    """One script's translation."""

    def __init__(
        self,
        script: str,
        package: str,
        generation: int,
        nodes: Sequence[Node],
        as_r: frozenset[tuple[str, int]],
    ) -> None:
        super().__init__(script, package, generation, as_r)
        self._nodes = nodes
        self.tops: list[int] = []
        self.ordinals: list[int] = []
        seeded = bool(called_in(nodes) & SEEDING_KERAS)
        # Without a seed the order in which layers draw theirs is nobody's meaning.
        reversed_ = package == "keras" or _nests_layers(nodes)
        self.as_made = reversed_ and (not seeded or ORDER in as_r)
        self.scope = Scope()
        self.functions = _functions_of(nodes)
        self.values = _values_of(nodes)
        self.place_of = Places(nodes, package, self.functions).of
        self.given = _given_to_python(nodes, package, self.functions)
        counts = Counter(name for node in nodes for each in walk(node) for name in _changes(each))
        #: Names that are given one value only: their kinds are known wherever they are read.
        self.once = {name for name, count in counts.items() if count == 1}

    def script_text(self) -> Translation:
        """Translate all expressions."""
        self.scope.names = set(assigned_in(self._nodes))
        keras = "import tf_keras as keras" if self.generation == 2 else "import keras"
        head = f'"""What {self.script} says, in Python."""'
        self.line(head, 0)
        self.line("", 0)
        for text in ("import numpy as np", "import tensorflow as tf", keras):
            self.line(text, 0)
        self.line("", 0)
        self.line("from bridge.translate import rbase as r", 0)
        self.line("", 0)
        self.tops = [0] * len(self.written)
        self.ordinals = [0] * len(self.written)
        for place, node in enumerate(self._nodes, start=1):
            self.here = min(each.line for each in walk(node))
            first = self.here
            self.top(node)
            more = len(self.written) - len(self.tops)
            self.tops += [first] * more
            self.ordinals += [place] * more
        text = "\n".join(line for line, _ in self.written) + "\n"
        lines = tuple(line for _, line in self.written)
        return Translation(
            text,
            lines,
            tuple(self.gaps),
            tuple(self.readings),
            tuple(self.tops),
            tuple(self.ordinals),
            self.as_made,
            tuple(dict.fromkeys(self.places)),
        )

    def top(self, node: Node) -> None:
        """Translate an expression at the top of the script; what R would print is shown."""
        mark = self.mark()
        try:
            self.statement(node, show=True)
        except RecursionError:
            self.back_to(mark)
            self.line(self.gap(node, "an expression that is nested too deeply").text)
        except WatchedError as wider:
            # What is to be watched is no expression here: then R answers for the statement.
            self.back_to(mark)
            made = Gap(node.line, wider.what, self.script)
            self.gaps.append(made)
            self.line(f"# GAP {made.sentence}")
            self.line(f"r.gap({made.sentence!r})")


def _changes(node: Node) -> list[str]:
    if isinstance(node, (Assign, Operation, For)):
        if isinstance(node, Assign):
            name = root_of(node.target)
            return [name] if name else []
        if isinstance(node, For):
            return [node.variable]
        if node.operator in ("%<-%", "%<>%", "%as%"):
            return assigned_in([node])
    if isinstance(node, Function):
        return [name for name, _ in node.parameters]
    return []


def _nests_layers(nodes: Sequence[Node]) -> bool:
    """Say whether a layer is made within the arguments of another: R makes that one first."""
    return any(
        _is_layer(inner)
        for call in nodes_in(nodes, Call)
        if _is_layer(call)
        for argument in call.arguments
        if argument.value is not None
        for inner in walk(argument.value)
    )


def _is_layer(node: Node) -> bool:
    return isinstance(node, Call) and node.name.startswith(("layer_", "bidirectional"))


def _functions_of(nodes: Sequence[Node]) -> dict[str, Function]:
    """Return the functions that the script defines, by name."""
    found: dict[str, Function] = {}
    for node in nodes:
        for each in walk(node):
            if (
                isinstance(each, Assign)
                and isinstance(each.target, Symbol)
                and isinstance(each.value, Function)
            ):
                found[each.target.name] = each.value
    return found


def _given_to_python(
    nodes: Sequence[Node], package: str, functions: Mapping[str, Function]
) -> frozenset[int]:
    """Return the functions that Python calls, and those that they call, by identity.

    They are arguments of what the packages export, or of Python's own functions; a function that
    makes one is taken with it.
    """
    exported = exports(package or "tensorflow") | {"R6Class"}
    found: dict[int, Function] = {}
    waiting: list[Node] = [
        each.value
        for call in nodes_in(nodes, Call)
        if isinstance(call.function, Member) or call.name in exported
        for each in call.arguments
        if each.value is not None
    ]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Symbol):
            node = functions.get(node.name, node)
        if isinstance(node, Function):
            if id(node) not in found:
                found[id(node)] = node
                waiting += [
                    functions[call.name]
                    for call in nodes_in([node.body], Call)
                    if call.name in functions
                ]
        elif isinstance(node, Call) and node.name in functions:
            waiting.append(functions[node.name])
        elif isinstance(node, Call) and node.name in ("list", "c"):
            waiting += [each.value for each in node.arguments if each.value is not None]
    return frozenset(found)


def _values_of(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """Return all that the script gives to each name."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for each in walk(node):
            if isinstance(each, Assign) and isinstance(each.target, Symbol):
                found[each.target.name].append(each.value)
    return found
