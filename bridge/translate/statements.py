"""Statements: blocks, loops, assignments."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.translate.operators import Operators, whole_literal
from bridge.translate.syntax import (
    Assign,
    Block,
    Call,
    For,
    Function,
    If,
    Index,
    Jump,
    Member,
    Node,
    Operation,
    Paren,
    Symbol,
    While,
)
from bridge.translate.writing import (
    Code,
    destructured,
    python_name,
    root_of,
)


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
        elif isinstance(node, Call) and node.name == "return":
            value = node.arguments[0].value if node.arguments else None
            if value is None:
                self.line("return None")
            else:
                self.statement(value, "return")
        elif isinstance(node, Call) and self._is_with(node):
            self._with(node, sink)
        elif isinstance(node, Call) and node.name == "local" and node.arguments:
            inner = node.arguments[0].value
            if inner is not None:
                self.statement(
                    Call(node.line, node.column, Function(node.line, node.column, (), inner), ()),
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
        if isinstance(node, Call) and node.name in ("seq_len",) and len(node.arguments) == 1:
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
        if isinstance(target, Symbol):
            name = self.variable(target.name)
            if isinstance(node.value, Function):
                self.define(name, node.value)
                kind = "function"
            elif isinstance(node.value, Call) and self.base_of(node.value):
                self.define_class(name, target.name, node.value)
                kind = "function"
            elif isinstance(node.value, (If, Block)) or (
                isinstance(node.value, Call)
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
        if isinstance(target, Symbol):
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
            where = ", ".join(self.index(each) for each in target.arguments)
            word = "put_item" if target.double else "put"
            if target.double and self._is_changed(target):
                word = "changed"
            self._put(target.object, Code(f"r.{word}({inner.text}, {value.text}, {where})"))
            return
        if isinstance(target, Call) and target.arguments:
            first = target.arguments[0].value
            assert first is not None
            inner = self._read(first)
            if target.name == "dim":
                free = isinstance(first, Symbol) and self.has_no_order(first.name)
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
        if not isinstance(thing, Symbol) or thing.name not in self.handed - {"self"}:
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
        if isinstance(node, Symbol):
            return python_name(node.name)
        assert isinstance(node, Call)
        inside = [self._targets(each.value) for each in node.arguments if each.value is not None]
        return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"

    def _is_visible(self, node: Node) -> bool:
        while isinstance(node, Paren):
            return True
        if isinstance(node, Call):
            return self.visible(node)
        return not isinstance(node, (Assign, For, While, Function))


def _called(node: Node) -> str:
    return f"{node.name}()" if isinstance(node, Call) and node.name else "something"
