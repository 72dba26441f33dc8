"""Arguments of calls into Python, as the author of the text wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.translate import base
from bridge.translate.naming import Names
from bridge.translate.syntax import (
    Argument,
    Call,
    Node,
    Number,
    Operation,
    Paren,
    Symbol,
    Text,
    number_of,
)
from bridge.translate.wrappers import (
    DATA,
    SHAPES,
    WHOLE,
    Parameter,
)
from bridge.translate.writing import (
    OBJECTS,
    Code,
)

_WEIGHTS: Final = frozenset({"weights"})


class Arguments(Names):
    """The part of a translation that knows what is given to a call."""

    def argument(self, node: Node, parameter: Parameter, formal: str = "") -> Code:
        """Return an argument of a call into Python, as the author wrote it."""
        while isinstance(node, Paren):
            node = node.inner
        kind = parameter.kind
        if isinstance(node, Symbol) and not self.is_own(node.name) and node.name == "NULL":
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
                if isinstance(node, Call) and node.name == "list"
                else Code(f"[{code.text}]" if code.kind in OBJECTS else f"r.listed({code.text})")
            )
        return self._plain(node)

    def _items(self, node: Node) -> Sequence[Argument] | None:
        if (
            isinstance(node, Call)
            and node.name in ("c", "list", "shape", "tuple", "reticulate")
            and (not self.is_own(node.name))
        ):
            return node.arguments
        return None

    def _shape(self, node: Node) -> Code:
        items = self._items(node)
        if items is not None and not any(each.name for each in items):
            assert isinstance(node, Call)
            what = "c() drops NULL, and the shape loses a dimension"
            if (
                node.name == "c"
                and any(_is_null(each.value) for each in items)
                and not self.reading(node, "null", "r-semantics", what)
            ):
                items = [each for each in items if not _is_null(each.value)]
            parts = [self._size(each.value) for each in items]
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
            or (isinstance(node, Symbol) and node.name.startswith("NA"))
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
        if items is not None and not any(each.name for each in items):
            parts = [self._whole(each.value).text for each in items if each.value is not None]
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
        if isinstance(node, Text) or (isinstance(node, Symbol) and node.name in base.CONSTANTS):
            return self._plain(node)
        code = self.expression(node)
        return (
            code
            if code.kind in ("int", "bool", "none", *OBJECTS)
            else Code(f"r.whole({code.text})")
        )

    def _data(self, node: Node) -> Code:
        items = self._items(node)
        if isinstance(node, Call) and node.name == "list" and items is not None:
            if all(each.name for each in items) and items:
                parts = [
                    f"{each.name!r}: {self._data(each.value).text}"
                    for each in items
                    if each.value is not None
                ]
                return Code("{" + ", ".join(parts) + "}")
            parts = [self._data(each.value).text for each in items if each.value is not None]
            return Code(f"[{', '.join(parts)}]")
        code = self.expression(node)
        return code if code.kind in ("array", "none", *OBJECTS) else Code(f"r.data({code.text})")

    def _plain(self, node: Node) -> Code:
        """Return an argument that crosses as it is: vectors as lists, functions by their names."""
        items = self._items(node)
        if isinstance(node, Call) and node.name == "c" and items is not None:
            simple = [self._plain(each.value) for each in items if each.value is not None]
            kinds = {each.kind for each in simple}
            if kinds <= {"float", "int", "num", "str", "bool", *OBJECTS} and not any(
                each.name for each in items
            ):
                return Code(f"[{', '.join(each.text for each in simple)}]", "list")
        if isinstance(node, Call) and node.name == "list" and items is not None:
            if items and all(each.name for each in items):
                parts = [
                    f"{each.name!r}: {self._plain(each.value).text}"
                    for each in items
                    if each.value is not None
                ]
                return Code("{" + ", ".join(parts) + "}", "list")
            if not any(each.name for each in items):
                parts = [self._plain(each.value).text for each in items if each.value is not None]
                return Code(f"[{', '.join(parts)}]", "list")
        return self.expression(node)


def _is_null(node: Node | None) -> bool:
    return isinstance(node, Symbol) and node.name == "NULL"
