"""Arguments of calls into Python, as the author of the text wrote them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from bridge.facts.r import DRAWING
from bridge.translate import base
from bridge.translate.syntax import (
    Argument,
    Assign,
    Function,
    Index,
    Member,
    Node,
    Number,
    Operation,
    Paren,
    RCall,
    RSymbol,
    Text,
    number_of,
    walk,
)
from bridge.translate.wrappers import (
    DATA,
    SHAPES,
    WHOLE,
    WrapperParameter,
    wrappers,
)
from bridge.translate.writing import (
    OBJECTS,
    Code,
    Scope,
    Writer,
    python_name,
)

_MODULES: Final = {"keras": "keras", "tf": "tf"}

#: Functions that make vectors of one number.
_ALIKE: Final = frozenset({"numeric", "double", "integer", "logical", "vector", "rep_len"})


class Names(Writer, ABC):
    """The part of a translation that knows what names stand for."""

    scope: Scope

    once: set[str]

    functions: dict[str, Function]

    def __init__(
        self, script: str, package: str, generation: int, as_r: frozenset[tuple[str, int]]
    ) -> None:
        super().__init__(script, as_r)
        self.package = package or "tensorflow"
        self.generation = generation
        self.as_made = False
        #: Whether names are looked for among a data frame's columns first: inside ``with()``.
        self.of_columns = False
        #: Functions that Python calls, by identity; inside them axes are counted as R does.
        self.given: frozenset[int] = frozenset()
        self.counts_from_one = False
        #: The model whose method is being written.
        self.compiled = ""
        #: What Python gave the function that is being translated, by name.
        self.handed: frozenset[str] = frozenset()
        #: Classes that the script makes of Keras's: whether they are layers; and what is kept, so
        #: that nothing else has its identity.
        self.own_classes: dict[str, bool] = {}
        self.kept_nodes: list[Node] = []
        #: Functions of the script's own in which something is not translated, by identity.
        self.incomplete: set[int] = set()
        #: Calls that are being translated as those of a function without methods of the script's.
        self._dispatching: set[int] = set()
        self.declared: dict[int, set[str]] = {}
        self.modules: dict[str, str] = {}
        #: What is given to each name; names that meet tensors, as they are found and as they are
        #: known from a first translation.
        self.values: dict[str, list[Node]] = {}
        self.meets: set[str] = set()
        self.met: set[str] = set()

    # What the other parts of the translation do.

    @abstractmethod
    def expression(self, node: Node, into: str = "", discard: bool = False) -> Code:
        """Return an expression."""

    @abstractmethod
    def statement(self, node: Node, sink: str = "", show: bool = False) -> None:
        """Write a statement."""

    @abstractmethod
    def end(self, sink: str, text: str) -> None:
        """Write what becomes of a value: it is returned, given a name, or nothing."""

    @abstractmethod
    def thunk(self, node: Node) -> Code:
        """Return an expression as a function of nothing."""

    @abstractmethod
    def index(self, argument: Argument) -> str:
        """Return one index."""

    @abstractmethod
    def assign(self, node: Assign) -> None:
        """Write an assignment."""

    @abstractmethod
    def condition(self, node: Node) -> str:
        """Return a condition."""

    @abstractmethod
    def define(self, name: str, node: Function) -> None:
        """Write a ``def``."""

    @abstractmethod
    def literal(self, node: Function) -> Code:
        """Return a function without a name."""

    def variable(self, name: str) -> str:
        """Return the Python name of a variable of the script."""
        return python_name(name)

    def is_own(self, name: str) -> bool:
        """Say whether the script gives the name a value."""
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.names:
                return True
            scope = scope.outer
        return False

    def symbol(self, node: RSymbol) -> Code:
        """Return a name: a variable, a constant, a module, a function as a value."""
        name = node.name
        if name == "...":
            return Code("*dots")
        if self.of_columns and not node.package and name not in base.CONSTANTS:
            own = f", lambda: {python_name(name)}" if self.is_own(name) else ""
            return Code(f"r.seen(columns, {name!r}{own})")
        if not node.package and self.is_own(name):
            return Code(python_name(name), self.scope.kind(name))
        if name in base.CONSTANTS:
            kind = {
                "True": "bool",
                "False": "bool",
                "None": "none",
                "np.pi": "float",
                "np.inf": "float",
            }.get(base.CONSTANTS[name], "any")
            return Code(base.CONSTANTS[name], kind)
        if name in _MODULES:
            return Code(_MODULES[name], "module")
        known = wrappers(self.package).get(name)
        if known is not None:
            by_function = wrappers(self.package, "function").get(name)
            return Code((by_function or known).python, "py")
        if name in base.FUNCTIONS:
            return Code(f"r.{base.FUNCTIONS[name][0]}", "function")
        if name in base.OPERATORS:
            return Code(f"r.{base.OPERATORS[name]}", "function")
        if name in DRAWING:
            return Code(f"lambda *a, **k: r.drawn({name!r}, *a, **k)", "function", False)
        if name == ".":
            return Code("dot", self.scope.kind("."))
        return self.gap(node, f"the name {name}, which the script does not define")

    def path(self, node: Node) -> str:
        """Return ``keras$layers$Dense`` as a path of Python, "" if it is none."""
        names: list[str] = []
        while isinstance(node, Member) and not node.slot:
            names.insert(0, node.name)
            node = node.object
        if not isinstance(node, RSymbol) or not names or self.is_own(node.name):
            if isinstance(node, RSymbol) and names and node.name in self.modules:
                return ".".join([python_name(node.name), *names])
            return ""
        if node.name not in _MODULES:
            return ""
        return ".".join([_MODULES[node.name], *names])

    def native(self, node: Node) -> str | None:
        """Return an expression whose attributes can be set in place, None if it is not known."""
        if isinstance(node, RSymbol):
            if self.is_own(node.name):
                kind = self.scope.kind(node.name)
                return python_name(node.name) if kind in OBJECTS else None
            return None
        if isinstance(node, Member):
            inner = self.native(node.object)
            return None if inner is None else f"{inner}.{node.name}"
        if isinstance(node, Index) and node.double and node.arguments[0].value is not None:
            inner = self.native(node.object)
            place = node.arguments[0].value
            if inner is None:
                return None
            if isinstance(place, Number):
                return f"{inner}[{int(number_of(place.text)[0]) - 1}]"
            return f"r.item({inner}, {self.expression(place).text})"
        return None

    def member(self, node: Member) -> Code:
        """Return ``x$name``."""
        path = self.path(node)
        if path:
            return Code(path, "py")
        if isinstance(node.object, RSymbol) and node.object.name == "super" and self.is_own("self"):
            name = "__init__" if node.name == "initialize" else node.name
            return Code(f"super().{name}", "py")
        inner = self.expression(node.object)
        if inner.kind in OBJECTS and node.name.isidentifier():
            return Code(f"{inner.tight}.{node.name}", "py")
        return Code(f"r.member({inner.text}, {node.name!r})")

    def has_no_order(self, name: str) -> bool:
        """Say whether a variable's numbers are in no order of their own: drawn, or all the same."""
        assigned = self.values.get(name, [])
        chance = any(
            isinstance(node, RCall) and node.name in (DRAWING | _ALIKE)
            for value in assigned
            for node in walk(value)
        )
        return chance or not assigned


_WEIGHTS: Final = frozenset({"weights"})


class Arguments(Names):
    """The part of a translation that knows what is given to a call."""

    def argument(self, node: Node, parameter: WrapperParameter, formal: str = "") -> Code:
        """Return an argument of a call into Python, as the author wrote it."""
        while isinstance(node, Paren):
            node = node.inner
        kind = parameter.kind
        if isinstance(node, RSymbol) and not self.is_own(node.name) and node.name == "NULL":
            return Code("None", "none")
        if kind in SHAPES:
            return self._shape(node)
        if kind == "as_axis" and self.counts_from_one:
            return Code(f"r.axis({self._whole(node).text})")
        if kind in WHOLE:
            return self._whole(node)
        if formal in _WEIGHTS:
            code = self.expression(node)
            return Code(f"r.weights({code.text})")
        if kind == "class_weight" or formal == "class_weight":
            code = self.expression(node)
            return Code(f"r.class_weight({code.text})")
        if kind in DATA:
            return self._data(node)
        if kind == "metrics_list":
            code = self._plain(node)
            if code.text.startswith("{") and self.compiled:
                return Code(f"r.metrics({self.compiled}, {code.text})", "list")
            return (
                Code(f"[{code.text}]")
                if code.kind in ("str", "py")
                else Code(f"r.listed({code.text})" if code.kind == "any" else code.text)
            )
        if kind in ("fit_callbacks", "callbacks_list") or formal == "callbacks":
            code = self._plain(node)
            return (
                code
                if isinstance(node, RCall) and node.name == "list"
                else Code(f"[{code.text}]" if code.kind in OBJECTS else f"r.listed({code.text})")
            )
        return self._plain(node)

    def _items(self, node: Node) -> Sequence[Argument] | None:
        if (
            isinstance(node, RCall)
            and node.name in ("c", "list", "shape", "tuple", "reticulate")
            and (not self.is_own(node.name))
        ):
            return node.arguments
        return None

    def _shape(self, node: Node) -> Code:
        items = self._items(node)
        if items is not None and not any(item.name for item in items):
            assert isinstance(node, RCall)
            what = "c() drops NULL, and the shape loses a dimension"
            if (
                node.name == "c"
                and any(_is_null(item.value) for item in items)
                and not self.reading(node, "null", "r-semantics", what)
            ):
                items = [item for item in items if not _is_null(item.value)]
            parts = [self._size(item.value) for item in items]
            comma = "," if len(parts) == 1 else ""
            return Code(f"({', '.join(parts)}{comma})")
        if isinstance(node, Number):
            return Code(f"({self._size(node)},)")
        code = self.expression(node)
        return Code(f"r.sizes({code.text})")

    def _size(self, node: Node | None) -> str:
        if (
            node is None
            or _is_null(node)
            or (isinstance(node, RSymbol) and node.name.startswith("NA"))
        ):
            return "None"
        if isinstance(node, Operation) and node.operator == "-" and node.left is None:
            return f"-{self._size(node.right)}"
        if isinstance(node, Number):
            value = number_of(node.text)[0]
            return str(int(value)) if float(value).is_integer() else repr(value)
        return f"r.whole({self.expression(node).text})"

    def _whole(self, node: Node) -> Code:
        items = self._items(node)
        if items is not None and not any(item.name for item in items):
            parts = [self._whole(item.value).text for item in items if item.value is not None]
            return Code(f"[{', '.join(parts)}]")
        if isinstance(node, Number):
            return Code(self._size(node), "num")
        if (
            isinstance(node, Operation)
            and node.operator == "-"
            and node.left is None
            and isinstance(node.right, Number)
        ):
            return Code(f"-{self._size(node.right)}", "num")
        if isinstance(node, Text) or (isinstance(node, RSymbol) and node.name in base.CONSTANTS):
            return self._plain(node)
        code = self.expression(node)
        return (
            code
            if code.kind in ("int", "bool", "none", *OBJECTS)
            else Code(f"r.whole({code.text})")
        )

    def _data(self, node: Node) -> Code:
        items = self._items(node)
        if isinstance(node, RCall) and node.name == "list" and items is not None:
            if all(item.name for item in items) and items:
                parts = [
                    f"{item.name!r}: {self._data(item.value).text}"
                    for item in items
                    if item.value is not None
                ]
                return Code("{" + ", ".join(parts) + "}")
            parts = [self._data(item.value).text for item in items if item.value is not None]
            return Code(f"[{', '.join(parts)}]")
        code = self.expression(node)
        return code if code.kind in ("array", "none", *OBJECTS) else Code(f"r.data({code.text})")

    def _plain(self, node: Node) -> Code:
        """Return an argument that crosses as it is: vectors as lists, functions by their names."""
        items = self._items(node)
        if isinstance(node, RCall) and node.name == "c" and items is not None:
            simple = [self._plain(item.value) for item in items if item.value is not None]
            kinds = {code.kind for code in simple}
            if kinds <= {"float", "int", "num", "str", "bool", *OBJECTS} and not any(
                item.name for item in items
            ):
                return Code(f"[{', '.join(code.text for code in simple)}]", "list")
        if isinstance(node, RCall) and node.name == "list" and items is not None:
            if items and all(item.name for item in items):
                parts = [
                    f"{item.name!r}: {self._plain(item.value).text}"
                    for item in items
                    if item.value is not None
                ]
                return Code("{" + ", ".join(parts) + "}", "list")
            if not any(item.name for item in items):
                parts = [self._plain(item.value).text for item in items if item.value is not None]
                return Code(f"[{', '.join(parts)}]", "list")
        return self.expression(node)


def _is_null(node: Node | None) -> bool:
    return isinstance(node, RSymbol) and node.name == "NULL"
