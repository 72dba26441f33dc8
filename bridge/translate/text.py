"""From R's syntax tree to the Python that a reader of the text would write.

Names and numbers are those of the text; nothing is converted behind it. What cannot be translated
is left as a marked gap with its line; what is read otherwise than R's own rules have it (an array
that is filled by rows, a function that keeps its own round of a loop) is noted as a reading.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from bridge.facts.r import SEEDING_KERAS
from bridge.translate import base
from bridge.translate.statements import Statements
from bridge.translate.syntax import (
    Argument,
    Assign,
    For,
    Function,
    If,
    Index,
    Member,
    Node,
    Operation,
    Paren,
    RCall,
    Row,
    RSymbol,
    SyntaxRowsError,
    While,
    build,
    called_in,
    children,
    nodes_in,
    walk,
)
from bridge.translate.wrappers import exports, wrappers
from bridge.translate.writing import (
    ORDER,
    Gap,
    Scope,
    Translation,
    WatchedError,
    assigned_in,
    root_of,
)

# Places of a script at which R answers: expressions that only R can compute, and may be watched.
#
# An expression is watched by putting it into a call that keeps its value. What stands around it
# must not see that: functions that look at the text of their arguments, and the value of a function
# or statement, whose visibility counts. There the place widens to what stands around, until it is
# one that may be watched, and does not call Python itself.

#: R's functions whose value, visibility or errors are those of what they are given, or which do
#: not compute it where it stands.
_PASSING: Final = frozenset({
    "subset", "with", "within", "transform", "on.exit", "system.time", "local", "eval", "evalq",
    "library", "require", "UseMethod", "NextMethod", "replicate", "Recall", "try", "tryCatch",
    "withCallingHandlers", "suppressWarnings", "suppressMessages", "return", "invisible",
})  # fmt: skip
#: R's functions that read the text of what they are given.
_READING: Final = frozenset({
    "stopifnot", "quote", "bquote", "substitute", "expression", "missing", "match.arg", "deparse",
    "body", "match.call", "sys.call", "~",
})  # fmt: skip
#: R's functions that name what they make after the text of arguments that have no name.
_NAMING: Final = frozenset({"data.frame", "cbind", "rbind", "table", "expand.grid"})
#: What a function of the script's does that looks at how it was called.
_OF_CALLS: Final = frozenset({
    "substitute", "match.call", "sys.call", "match.arg", "missing", "deparse", "sys.function",
    "UseMethod", "nargs", "quote", "bquote", "enquo", "ensym",
})  # fmt: skip


class Places:
    """Which expressions of a script may be watched, and what R answers at them."""

    def __init__(
        self, nodes: Sequence[Node], package: str, functions: Mapping[str, Function]
    ) -> None:
        self._functions = functions
        package = package or "tensorflow"
        self._exports = exports(package) | set(wrappers(package))
        self._above: dict[int, tuple[Node, Argument | None]] = {}
        self._pythons: dict[int, bool] = {}
        self._asked: set[str] = set()
        #: Statements at the top in which Python is called: elsewhere R answers for the whole.
        self._mixed: set[int] = set()
        for node in nodes:
            self._enter(node)
            if self.calls_python(node):
                self._mixed |= {id(inner) for inner in walk(node)}
        # Defaults are computed when they are asked for, and stand in no body.
        self._mixed -= {
            id(node)
            for function in nodes_in(nodes, Function)
            for _, default in function.parameters
            if default is not None
            for node in walk(default)
        }

    def _enter(self, node: Node) -> None:
        named = {
            id(argument.value): argument
            for argument in (node.arguments if isinstance(node, (RCall, Index)) else ())
            if argument.value is not None
        }
        for child in children(node):
            self._above[id(child)] = node, named.get(id(child))
            self._enter(child)

    def calls_python(self, node: Node) -> bool:
        """Say whether an expression may make calls into Python, directly or by a function."""
        known = self._pythons.get(id(node))
        if known is None:
            self._pythons[id(node)] = False
            known = self._is_call_of_python(node) or any(map(self.calls_python, children(node)))
            self._pythons[id(node)] = known
        return known

    def _is_call_of_python(self, node: Node) -> bool:
        if not isinstance(node, (RCall, RSymbol)):
            return False
        if isinstance(node, RSymbol):
            # A function that R is to call, as in lapply(x, f).
            return node.name in self._functions and self._is_pythons(node.name)
        if isinstance(node.function, Member):
            return True
        if node.name in self._functions:
            return self._is_pythons(node.name)
        return node.name in self._exports

    def _is_pythons(self, name: str) -> bool:
        if name in self._asked:
            return False
        self._asked.add(name)
        try:
            return self.calls_python(self._functions[name].body)
        finally:
            self._asked.discard(name)

    def of(self, node: Node) -> Node | None:
        """Return the expression to be watched for the value of another, None if there is none."""
        if id(node) not in self._mixed:
            return None
        while not self.calls_python(node):
            reader = self._reader(node)
            if reader is not None:
                node = reader
            elif node.row and self._may_be_watched(node):
                return node
            else:
                above = self._above.get(id(node))
                if above is None:
                    return None
                node = above[0]
        return None

    def _reader(self, node: Node) -> RCall | None:
        """Return the outermost call around an expression that reads the text of it."""
        found = None
        above = self._above.get(id(node))
        while above is not None:
            node, argument = above
            if isinstance(node, RCall) and argument is not None and self._reads(node, argument):
                found = node
            above = self._above.get(id(node))
        return found

    def _reads(self, call: RCall, argument: Argument) -> bool:
        name = call.name
        if name in self._functions:
            body = self._functions[name].body
            return any(isinstance(e, RCall) and e.name in _OF_CALLS for e in walk(body))
        if name in _READING or name in base.DRAWING:
            return True
        return name in _NAMING and not argument.name

    def _may_be_watched(self, node: Node) -> bool:
        above, argument = self._above.get(id(node), (None, None))
        match above:
            case Assign():
                return node is above.value and not isinstance(node, Function)
            case If():
                return node is above.condition
            case While():
                return node is above.condition
            case For():
                return node is above.sequence
            case Index() | Operation() | Paren():
                return not (isinstance(above, Operation) and above.operator.startswith("%"))
            case Member():
                return True
            case RCall() if argument is not None:
                return self._is_blind(above, argument)
            case _:
                return False

    def _is_blind(self, call: RCall, argument: Argument) -> bool:
        """Say whether what is called does not see how an argument of it is written."""
        name = call.name
        if not name:
            return isinstance(call.function, Member)
        if name in self._functions:
            return True
        if name in _PASSING or self._reads(call, argument):
            return False
        return name in self._exports or name in base.FUNCTIONS or name in ("c", "list")


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
    text = first.script_text()
    if not first.meets:
        return text
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
        counts = Counter(name for node in nodes for inner in walk(node) for name in _changes(inner))
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
            self.here = min(inner.line for inner in walk(node))
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
            gap = Gap(node.line, wider.what, self.script)
            self.gaps.append(gap)
            self.line(f"# GAP {gap.sentence}")
            self.line(f"r.gap({gap.sentence!r})")


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
        for call in nodes_in(nodes, RCall)
        if _is_layer(call)
        for argument in call.arguments
        if argument.value is not None
        for inner in walk(argument.value)
    )


def _is_layer(node: Node) -> bool:
    return isinstance(node, RCall) and node.name.startswith(("layer_", "bidirectional"))


def _functions_of(nodes: Sequence[Node]) -> dict[str, Function]:
    """Return the functions that the script defines, by name."""
    found: dict[str, Function] = {}
    for node in nodes:
        for inner in walk(node):
            if (
                isinstance(inner, Assign)
                and isinstance(inner.target, RSymbol)
                and isinstance(inner.value, Function)
            ):
                found[inner.target.name] = inner.value
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
        argument.value
        for call in nodes_in(nodes, RCall)
        if isinstance(call.function, Member) or call.name in exported
        for argument in call.arguments
        if argument.value is not None
    ]
    while waiting:
        node = waiting.pop()
        if isinstance(node, RSymbol):
            node = functions.get(node.name, node)
        if isinstance(node, Function):
            if id(node) not in found:
                found[id(node)] = node
                waiting += [
                    functions[call.name]
                    for call in nodes_in([node.body], RCall)
                    if call.name in functions
                ]
        elif isinstance(node, RCall) and node.name in functions:
            waiting.append(functions[node.name])
        elif isinstance(node, RCall) and node.name in ("list", "c"):
            waiting += [argument.value for argument in node.arguments if argument.value is not None]
    return frozenset(found)


def _values_of(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """Return all that the script gives to each name."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for inner in walk(node):
            if isinstance(inner, Assign) and isinstance(inner.target, RSymbol):
                found[inner.target.name].append(inner.value)
    return found
