"""Places of a script at which R answers: expressions that only R can compute, and may be watched.

An expression is watched by putting it into a call that keeps its value. What stands around it must
not see that: functions that look at the text of their arguments, and the value of a function or
statement, whose visibility counts. There the place widens to what stands around, until it is one
that may be watched, and does not call Python itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.translate import base
from bridge.translate.syntax import (
    Argument,
    Assign,
    Call,
    For,
    Function,
    If,
    Index,
    Member,
    Node,
    Operation,
    Paren,
    Symbol,
    While,
    children,
    nodes_in,
    walk,
)
from bridge.translate.wrappers import exports, wrappers

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
                self._mixed |= {id(each) for each in walk(node)}
        # Defaults are computed when they are asked for, and stand in no body.
        self._mixed -= {
            id(each)
            for function in nodes_in(nodes, Function)
            for _, default in function.parameters
            if default is not None
            for each in walk(default)
        }

    def _enter(self, node: Node) -> None:
        named = {
            id(each.value): each
            for each in (node.arguments if isinstance(node, (Call, Index)) else ())
            if each.value is not None
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
        if not isinstance(node, (Call, Symbol)):
            return False
        if isinstance(node, Symbol):
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

    def _reader(self, node: Node) -> Call | None:
        """Return the outermost call around an expression that reads the text of it."""
        found = None
        above = self._above.get(id(node))
        while above is not None:
            node, argument = above
            if isinstance(node, Call) and argument is not None and self._reads(node, argument):
                found = node
            above = self._above.get(id(node))
        return found

    def _reads(self, call: Call, argument: Argument) -> bool:
        name = call.name
        if name in self._functions:
            body = self._functions[name].body
            return any(isinstance(e, Call) and e.name in _OF_CALLS for e in walk(body))
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
            case Call() if argument is not None:
                return self._is_blind(above, argument)
            case _:
                return False

    def _is_blind(self, call: Call, argument: Argument) -> bool:
        """Say whether what is called does not see how an argument of it is written."""
        name = call.name
        if not name:
            return isinstance(call.function, Member)
        if name in self._functions:
            return True
        if name in _PASSING or self._reads(call, argument):
            return False
        return name in self._exports or name in base.FUNCTIONS or name in ("c", "list")
