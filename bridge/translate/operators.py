"""Expressions: operators, indices, choices."""

from __future__ import annotations

from typing import Final

from bridge.translate import base
from bridge.translate.classes import Classes
from bridge.translate.syntax import (
    Argument,
    Assign,
    Block,
    Call,
    For,
    Function,
    If,
    Index,
    Member,
    Node,
    Number,
    Operation,
    Paren,
    Symbol,
    Text,
    Unknown,
    While,
    number_of,
    walk,
)
from bridge.translate.writing import (
    NUMBERS,
    OBJECTS,
    Code,
    NeedsStatementsError,
    WatchedError,
    python_name,
)

_NATIVE: Final = {"+": "+", "-": "-", "*": "*", "/": "/", "^": "**", "%%": "%", "%/%": "//"}

_BARE: Final = NUMBERS | {"array"} | OBJECTS


class Operators(Classes):
    """The part of a translation that writes expressions."""

    def expression(self, node: Node, into: str = "", discard: bool = False) -> Code:
        """Return an expression; what it needs before itself is written.

        ``into`` is the name that takes the value: it may be used while the value is made.
        """
        mark = self.mark()
        try:
            return self._expression(node, into, discard)
        except WatchedError as wider:
            if wider.node is not node:
                raise
            self.back_to(mark)
            return self.answered(node, wider.what)

    def _expression(self, node: Node, into: str, discard: bool) -> Code:
        match node:
            case Number():
                return self._number(node)
            case Text():
                return Code(repr(node.value), "str")
            case Symbol():
                return self.symbol(node)
            case Paren():
                if isinstance(node.inner, Assign):
                    self.may_write()
                    self.assign(node.inner)
                    return self._read(node.inner.target)
                code = self.expression(node.inner)
                return code if code.atom else Code(f"({code.text})", code.kind)
            case Operation():
                return self._operation(node)
            case Call():
                return self.call(node, into, discard)
            case Member():
                return self.member(node)
            case Index():
                return self._index(node)
            case Function():
                return self.literal(node)
            case If():
                return self._choice(node)
            case Assign():
                self.may_write()
                self.assign(node)
                return self._read(node.target)
            case Block() | For() | While():
                if isinstance(node, Block) and len(node.items) == 1:
                    return self.expression(node.items[0], into, discard)
                return Code(f"{self.thunk(node).text}()")
            case Unknown():
                return self.gap(node, node.what)
            case _:
                return self.gap(node, "an expression of a kind that is not known")

    def _read(self, node: Node) -> Code:
        return self.expression(node)

    def _number(self, node: Number) -> Code:
        try:
            value, integer = number_of(node.text)
        except ValueError:
            return self.gap(node, f"the number {node.text}")
        return Code(repr(value), "int" if integer else "float")

    def _choice(self, node: If) -> Code:
        blocks = [each for each in (node.then, node.otherwise) if each is not None]
        mark = self.mark()
        condition = self.condition(node.condition)
        if not any(
            isinstance(each, (Assign, For, While)) for part in blocks for each in walk(part)
        ):
            try:
                with self.pure():
                    then = self.expression(node.then)
                    other = self.expression(node.otherwise) if node.otherwise else Code("None")
                return Code(f"{then.tight} if {condition} else {other.tight}", "any", False)
            except NeedsStatementsError:
                self.back_to(mark)
        self.back_to(mark)
        return Code(f"{self._chosen(node)}()")

    def _chosen(self, node: If) -> str:
        return self.thunk(
            Block(node.line, node.column, (Symbol(node.line, node.column, "NULL"), node))
        ).text

    def condition(self, node: Node) -> str:
        """Return a condition."""
        while isinstance(node, Paren):
            node = node.inner
        if isinstance(node, Operation) and node.operator in ("&&", "||") and node.left is not None:
            word = "and" if node.operator == "&&" else "or"
            left = self.condition(node.left)
            before = self.mark()
            try:
                with self.pure():
                    right = self.condition(node.right)
            except NeedsStatementsError:
                self.back_to(before)
                right = self.condition(node.right)
            return f"({left}) {word} ({right})"
        if isinstance(node, Operation) and node.operator == "!" and node.left is None:
            return f"not ({self.condition(node.right)})"
        code = self.expression(node)
        return code.text if code.kind == "bool" else f"r.true({code.text})"

    def _operation(self, node: Operation) -> Code:
        operator = node.operator
        if node.left is None:
            right = self.expression(node.right)
            if operator == "-":
                if right.kind in _BARE:
                    return Code(f"-{right.tight}", right.kind, right.kind in NUMBERS)
                return Code(f"r.neg({right.text})")
            if operator == "+":
                return right
            if operator == "!":
                if right.kind == "bool":
                    return Code(f"not {right.tight}", "bool", False)
                return Code(f"r.negate({right.text})")
            return self.gap(node, f"the operator {operator}")
        if operator in ("&&", "||"):
            return Code(self.condition(node), "bool", False)
        if operator == ":":
            return self._colon(node)
        left, right = self.expression(node.left), self.expression(node.right)
        if operator in ("%as%", "%<-%", "%T>%"):
            return self.gap(node, f"the operator {operator} inside an expression")
        if operator in _NATIVE and self._may_be_native(operator, left, right):
            kind = _joined(operator, left.kind, right.kind)
            return Code(f"{left.tight} {_NATIVE[operator]} {right.tight}", kind, False)
        if operator in base.COMPARED and left.kind in NUMBERS and right.kind in NUMBERS:
            return Code(f"{left.tight} {operator} {right.tight}", "bool", False)
        if operator in base.OPERATORS:
            array = {"array", *NUMBERS} >= {left.kind, right.kind} or operator == "%*%"
            foreign = {left.kind, right.kind} & OBJECTS
            kind = "tensor" if foreign else "array" if array else "any"
            along = ""
            if operator in ("+", "-", "*", "/"):
                sides = (node.left, left), (node.right, right)
                for (one, code), (_, other) in (sides, sides[::-1]):
                    if not isinstance(one, Symbol) or code.kind in OBJECTS:
                        continue
                    if other.kind in OBJECTS:
                        self.meets.add(one.name)
                    elif one.name in self.met:
                        along = ", along=True"
            return Code(f"r.{base.OPERATORS[operator]}({left.text}, {right.text}{along})", kind)
        user = python_name(operator)
        if operator in self.scope.names or operator in self.functions:
            return Code(f"{user}({left.text}, {right.text})")
        return self.gap(node, f"the operator {operator}")

    @staticmethod
    def _may_be_native(operator: str, left: Code, right: Code) -> bool:
        if operator == "/" and (right.kind not in _BARE or _is_zero(right)):
            return False
        if operator in ("%%", "%/%", "/") and right.kind in NUMBERS and not _literal(right):
            # Python refuses to divide by zero.
            return False
        both = {left.kind, right.kind}
        if both <= NUMBERS or (both & OBJECTS and both <= OBJECTS | NUMBERS):
            return not (operator == "^" and both <= {"int"})
        # One number beside an array: recycling and broadcasting are the same.
        if "array" in both and both <= NUMBERS | {"array"} and both & NUMBERS:
            return left.kind == "float" or right.kind == "float"
        return False

    def _colon(self, node: Operation) -> Code:
        assert node.left is not None
        left, right = self.expression(node.left), self.expression(node.right)
        a, b = whole_literal(left), whole_literal(right)
        if a is not None and b is not None and b >= a:
            return Code(f"np.arange({a}, {b + 1}, dtype=np.int32)", "array")
        return Code(f"r.colon({left.text}, {right.text})", "array")

    def _index(self, node: Index) -> Code:
        where = [self.index(each) for each in node.arguments if each.name not in ("drop", "exact")]
        dropping = [each for each in node.arguments if each.name == "drop"]
        base = self.expression(node.object)
        if node.double:
            place = node.arguments[0].value
            code = self.expression(place) if place is not None else Code("1")
            n = whole_literal(code)
            if base.kind in OBJECTS and n is not None and n > 0:
                return Code(f"{base.tight}[{n - 1}]", "py")
            return Code(
                f"r.item({base.text}, {', '.join(where)})", "py" if base.kind in OBJECTS else "any"
            )
        drop = ""
        if dropping and dropping[0].value is not None:
            drop = f", drop={self.expression(dropping[0].value).text}"
        kind = "tensor" if base.kind in OBJECTS else "any"
        return Code(f"r.index({base.text}, {', '.join(where)}{drop})", kind)

    def index(self, argument: Argument) -> str:
        """Return one index, as R counts."""
        if argument.value is None:
            return "r.ALL"
        code = self.expression(argument.value)
        n = whole_literal(code)
        return str(n) if n is not None else code.text


def _joined(operator: str, a: str, b: str) -> str:
    if {a, b} & OBJECTS:
        return "tensor"
    if "array" in (a, b):
        return "array"
    if operator in ("/", "^"):
        return "float"
    return "float" if "float" in (a, b) else "int" if a == b == "int" else "num"


def _literal(code: Code) -> bool:
    try:
        float(code.text)
    except ValueError:
        return False
    return True


def _is_zero(code: Code) -> bool:
    return _literal(code) and float(code.text) == 0


def whole_literal(code: Code) -> int | None:
    """Return the value of a literal that is a whole number."""
    if code.kind not in NUMBERS or not _literal(code):
        return None
    value = float(code.text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else None
