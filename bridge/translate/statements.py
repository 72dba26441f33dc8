"""Statements: blocks, loops, assignments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.translate import base
from bridge.translate.functions import Classes
from bridge.translate.syntax import (
    Argument,
    Assign,
    Block,
    For,
    Function,
    If,
    Index,
    Jump,
    Member,
    Node,
    Number,
    Operation,
    Paren,
    RCall,
    RSymbol,
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
    destructured,
    python_name,
    root_of,
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
            case RSymbol():
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
            case RCall():
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
        blocks = [block for block in (node.then, node.otherwise) if block is not None]
        mark = self.mark()
        condition = self.condition(node.condition)
        if not any(
            isinstance(inner, (Assign, For, While)) for part in blocks for inner in walk(part)
        ):
            try:
                with self.pure():
                    then = self.expression(node.then)
                    otherwise = self.expression(node.otherwise) if node.otherwise else Code("None")
                return Code(f"{then.tight} if {condition} else {otherwise.tight}", "any", False)
            except NeedsStatementsError:
                self.back_to(mark)
        self.back_to(mark)
        return Code(f"{self._chosen(node)}()")

    def _chosen(self, node: If) -> str:
        return self.thunk(
            Block(node.line, node.column, (RSymbol(node.line, node.column, "NULL"), node))
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
                for (symbol, code), (_, opposite) in (sides, sides[::-1]):
                    if not isinstance(symbol, RSymbol) or code.kind in OBJECTS:
                        continue
                    if opposite.kind in OBJECTS:
                        self.meets.add(symbol.name)
                    elif symbol.name in self.met:
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
        where = [
            self.index(argument)
            for argument in node.arguments
            if argument.name not in ("drop", "exact")
        ]
        dropping = [argument for argument in node.arguments if argument.name == "drop"]
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


class Statements(Operators):
    """The part of a translation that writes statements."""

    def statement(self, node: Node, sink: str = "", show: bool = False) -> None:
        """Write a statement; ``sink`` is "" or "return" or the name that takes the value."""
        self.here = node.line
        if isinstance(node, Paren) and not isinstance(node.inner, Assign):
            node = node.inner if sink or not show else node
        if isinstance(node, Block):
            self.block(node.items, sink, show)
        elif isinstance(node, If):
            self._if(node, sink)
        elif isinstance(node, For):
            self._for(node)
            self.end(sink, "None")
        elif isinstance(node, While):
            self._while(node)
            self.end(sink, "None")
        elif isinstance(node, Jump):
            self.line("continue" if node.word == "next" else "break")
        elif isinstance(node, Assign):
            self.assign(node)
            if sink:
                self.end(sink, self._read(node.target).text)
        elif isinstance(node, Operation) and node.operator in ("%<-%", "%<>%"):
            self._arrow(node)
        elif isinstance(node, RCall) and node.name == "return":
            value = node.arguments[0].value if node.arguments else None
            if value is None:
                self.line("return None")
            else:
                self.statement(value, "return")
        elif isinstance(node, RCall) and self._is_with(node):
            self._with(node, sink)
        elif isinstance(node, RCall) and node.name == "local" and node.arguments:
            inner = node.arguments[0].value
            if inner is not None:
                self.statement(
                    RCall(node.line, node.column, Function(node.line, node.column, (), inner), ()),
                    sink,
                    show,
                )
        else:
            self._value(node, sink, show)

    def _value(self, node: Node, sink: str, show: bool) -> None:
        if sink and not sink.startswith("return"):
            code = self.expression(node, into=sink)
            if code.text != sink:
                self.line(f"{sink} = {code.text}")
            return
        shown = show and self._is_visible(node)
        code = self.expression(node, discard=not sink and not shown)
        if sink == "return":
            self.line(f"return {code.text}")
        elif not code.text or code.text in ("None",):
            return
        elif shown:
            self.line(
                f"r.shown({code.text})" if not code.text.startswith("r.print_(") else code.text
            )
        elif not code.text.isidentifier():
            self.line(code.text)

    def end(self, sink: str, text: str) -> None:
        """Write what becomes of a value: it is returned, given a name, or nothing."""
        if sink == "return":
            self.line(f"return {text}")
        elif sink and sink != text:
            self.line(f"{sink} = {text}")

    def block(self, items: Sequence[Node], sink: str = "", show: bool = False) -> None:
        """Write the expressions of a block; the last one is its value."""
        if not items:
            self.end(sink, "None")
            if not sink:
                self.line("pass")
            return
        for item in items[:-1]:
            self.statement(item)
        self.statement(items[-1], sink, show)
        self.here = items[-1].line

    def _body(self, node: Node, sink: str = "") -> None:
        with self.indented():
            before = len(self.written)
            self.statement(node, sink)
            if all(
                not text.strip() or text.lstrip().startswith("#")
                for text, _ in self.written[before:]
            ):
                self.line("pass")

    def _if(self, node: If, sink: str) -> None:
        self.line(f"if {self.condition(node.condition)}:")
        self._body(node.then, sink)
        if node.otherwise is not None:
            self.line("else:", node.otherwise.line)
            self._body(node.otherwise, sink)
        elif sink:
            self.line("else:")
            with self.indented():
                self.end(sink, "None")

    def _for(self, node: For) -> None:
        name = python_name(node.variable)
        over = self._range(node.sequence)
        self.line(f"for {name} in {over}:")
        before = self.scope.looping
        self.scope.looping = (*before, node.variable)
        if node.variable in self.once:
            self.scope.home.kinds[node.variable] = "int" if over.startswith("range") else "any"
        self._body(node.body)
        self.scope.looping = before

    def _range(self, node: Node) -> str:
        if isinstance(node, Operation) and node.operator == ":" and node.left is not None:
            first, last = self.expression(node.left), self.expression(node.right)
            a, b = whole_literal(first), whole_literal(last)
            if a is not None and b is not None:
                return f"range({a}, {b + 1})" if b >= a else f"range({a}, {b - 1}, -1)"
        if isinstance(node, RCall) and node.name in ("seq_len",) and len(node.arguments) == 1:
            value = node.arguments[0].value
            code = self.expression(value) if value is not None else Code("0")
            n = whole_literal(code)
            if n is not None:
                return f"range(1, {n + 1})"
        return f"r.items({self.expression(node).text})"

    def _while(self, node: While) -> None:
        self.line(
            "while True:" if node.condition is None else f"while {self.condition(node.condition)}:"
        )
        self._body(node.body)

    def assign(self, node: Assign) -> None:
        """Write an assignment."""
        self.here = node.line
        if node.outer:
            self._outer(node)
        target = node.target
        if isinstance(target, RSymbol):
            name = self.variable(target.name)
            if isinstance(node.value, Function):
                self.define(name, node.value)
                kind = "function"
            elif isinstance(node.value, RCall) and self.base_of(node.value):
                self.define_class(name, target.name, node.value)
                kind = "function"
            elif isinstance(node.value, (If, Block)) or (
                isinstance(node.value, RCall)
                and (self._is_with(node.value) or node.value.name == "local")
            ):
                self.statement(node.value, name)
                kind = "any"
            elif isinstance(node.value, Assign):
                self.assign(node.value)
                code = self._read(node.value.target)
                self.line(f"{name} = {code.text}")
                kind = code.kind
            else:
                code = self.expression(node.value, into=name)
                if code.text != name:
                    self.line(f"{name} = {code.text}", node.line)
                kind = code.kind
            if target.name in self.once:
                self.scope.home.kinds[target.name] = kind
            return
        value = self.expression(node.value)
        self._put(target, value)

    def _outer(self, node: Assign) -> None:
        """Declare a name that belongs further out."""
        name = root_of(node.target)
        if name and not self.scope.is_script:
            self.declared.setdefault(id(self.scope.home), set()).add(name)

    def _put(self, target: Node, value: Code) -> None:
        """Write a replacement such as ``x$a[2] <- value``."""
        if isinstance(target, RSymbol):
            name = self.variable(target.name)
            if name != value.text:
                self.line(f"{name} = {value.text}")
            return
        if isinstance(target, Member):
            place = self.native(target.object)
            if place is not None:
                self.line(f"{place}.{target.name} = {value.text}")
                return
            inner = self._read(target.object)
            word = "changed" if self._is_changed(target) else "put_member"
            self._put(target.object, Code(f"r.{word}({inner.text}, {value.text}, {target.name!r})"))
            return
        if isinstance(target, Index):
            inner = self._read(target.object)
            where = ", ".join(self.index(argument) for argument in target.arguments)
            word = "put_item" if target.double else "put"
            if target.double and self._is_changed(target):
                word = "changed"
            self._put(target.object, Code(f"r.{word}({inner.text}, {value.text}, {where})"))
            return
        if isinstance(target, RCall) and target.arguments:
            first = target.arguments[0].value
            assert first is not None
            inner = self._read(first)
            if target.name == "dim":
                free = isinstance(first, RSymbol) and self.has_no_order(first.name)
                more = ", by_columns=True" if free else ""
                self._put(first, Code(f"r.put_dim({inner.text}, {value.text}{more})"))
                return
            if target.name == "names" or target.name == "colnames":
                self._put(
                    first,
                    Code(
                        f"r.set_names({inner.text}, {value.text})"
                        if target.name == "names"
                        else inner.text
                    ),
                )
                return
            if target.name in ("class", "oldClass"):
                self._put(first, Code(f"r.put_class({inner.text}, {value.text})"))
                return
            if target.name in ("rownames", "dimnames", "storage.mode", "mode", "levels"):
                return
        self.line(self.gap(target, f"an assignment to {_called(target)}").text)

    def _is_changed(self, target: Member | Index) -> bool:
        """Say whether a part of what Python gave a function is changed where it is."""
        thing = target.object
        if not isinstance(thing, RSymbol) or thing.name not in self.handed - {"self"}:
            return False
        what = f"R changes a copy of {thing.name}, where Python changes what it gave"
        return self.reading(target, "copied", "r-semantics", what)

    def _arrow(self, node: Operation) -> None:
        assert node.left is not None
        if node.operator == "%<>%":
            from bridge.translate.syntax import pipe

            self.assign(
                Assign(
                    node.line,
                    node.column,
                    node.left,
                    pipe(node.line, node.column, node.left, node.right),
                )
            )
            return
        value = self.expression(node.right)
        names = destructured(node.left)
        nested = self._targets(node.left)
        for name in names:
            self.variable(name)
        self.line(
            f"{nested} = r.items({value.text})"
            if nested.count("(") <= 1
            else f"{nested} = r.nested({value.text})"
        )

    def _targets(self, node: Node) -> str:
        if isinstance(node, RSymbol):
            return python_name(node.name)
        assert isinstance(node, RCall)
        inside = [
            self._targets(argument.value)
            for argument in node.arguments
            if argument.value is not None
        ]
        return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"

    def _is_visible(self, node: Node) -> bool:
        while isinstance(node, Paren):
            return True
        if isinstance(node, RCall):
            return self.visible(node)
        return not isinstance(node, (Assign, For, While, Function))


def _called(node: Node) -> str:
    return f"{node.name}()" if isinstance(node, RCall) and node.name else "something"
