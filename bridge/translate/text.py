"""From R's syntax tree to the Python that a reader of the text would write.

Names and numbers are those of the text; nothing is converted behind it. What cannot be translated
is left as a marked gap with its line; what is read otherwise than R's own rules have it (an array
that is filled by rows, a function that keeps its own round of a loop) is noted as a reading.
"""

# ruff: noqa: ARG002

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

from bridge.translate.base import CONSTANTS, FUNCTIONS
from bridge.translate.calls import Calls
from bridge.translate.syntax import (
    Argument,
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
    Number,
    Operation,
    Paren,
    Row,
    Symbol,
    SyntaxRowsError,
    Text,
    Unknown,
    While,
    build,
    mentions,
    number_of,
    walk,
)
from bridge.translate.writing import (
    NUMBERS,
    OBJECTS,
    ORDER,
    Code,
    Gap,
    NeedsStatementsError,
    Scope,
    Translation,
    assigned_in,
    destructured,
    python_name,
    root_of,
)

_NATIVE: Final = {"+": "+", "-": "-", "*": "*", "/": "/", "^": "**", "%%": "%", "%/%": "//"}
_COMPARED: Final = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_NAMED: Final = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "^": "power",
    "%%": "mod",
    "%/%": "intdiv",
    "%*%": "matmul",
    "%in%": "isin",
    "%||%": "otherwise",
    "&": "both",
    "|": "either",
    "%o%": "outer",
    **_COMPARED,
}
_BARE: Final = NUMBERS | {"array"} | OBJECTS


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


class _Translator(Calls):
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
        called = {each.name for node in nodes for each in walk(node) if isinstance(each, Call)}
        seeded = bool(called & {"set_random_seed", "use_session_with_seed"})
        self.last_first = package == "keras" and (not seeded or ORDER in as_r)
        self.scope = Scope()
        self.functions = _functions_of(nodes)
        self.values = _values_of(nodes)
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
        for node in self._nodes:
            self.here = min(each.line for each in walk(node))
            first = self.here
            self.tops += [0] * (len(self.written) - len(self.tops))
            self.top(node)
            self.tops += [first] * (len(self.written) - len(self.tops))
        text = "\n".join(line for line, _ in self.written) + "\n"
        lines = tuple(line for _, line in self.written)
        return Translation(
            text, lines, tuple(self.gaps), tuple(self.readings), tuple(self.tops), self.last_first
        )

    def top(self, node: Node) -> None:
        """Translate an expression at the top of the script; what R would print is shown."""
        mark = self.mark()
        try:
            self.statement(node, show=True)
        except RecursionError:
            self.back_to(mark)
            self.line(self.gap(node, "an expression that is nested too deeply").text)

    # --- statements

    def statement(self, node: Node, sink: str = "", show: bool = False) -> None:
        """Write a statement; ``sink`` is "" or "return" or the name that takes the value."""
        self.here = node.line
        if isinstance(node, Paren) and not isinstance(node.inner, Assign):
            node = node.inner if sink or not show else node
        if isinstance(node, Block):
            self.block(node.items, sink, show)
        elif isinstance(node, If):
            self._if(node, sink, show)
        elif isinstance(node, For):
            self._for(node)
            self._end(sink, "None")
        elif isinstance(node, While):
            self._while(node)
            self._end(sink, "None")
        elif isinstance(node, Jump):
            self.line("continue" if node.word == "next" else "break")
        elif isinstance(node, Assign):
            self.assign(node)
            if sink:
                self._end(sink, self._read(node.target).text)
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

    def _end(self, sink: str, text: str) -> None:
        if sink == "return":
            self.line(f"return {text}")
        elif sink and sink != text:
            self.line(f"{sink} = {text}")

    def block(self, items: Sequence[Node], sink: str = "", show: bool = False) -> None:
        """Write the expressions of a block; the last one is its value."""
        if not items:
            self._end(sink, "None")
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

    def _if(self, node: If, sink: str, show: bool) -> None:
        self.line(f"if {self.condition(node.condition)}:")
        self._body(node.then, sink)
        if node.otherwise is not None:
            self.line("else:", node.otherwise.line)
            self._body(node.otherwise, sink)
        elif sink:
            self.line("else:")
            with self.indented():
                self._end(sink, "None")

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
            a, b = _whole(first), _whole(last)
            if a is not None and b is not None:
                return f"range({a}, {b + 1})" if b >= a else f"range({a}, {b - 1}, -1)"
        if isinstance(node, Call) and node.name in ("seq_len",) and len(node.arguments) == 1:
            value = node.arguments[0].value
            code = self.expression(value) if value is not None else Code("0")
            n = _whole(code)
            if n is not None:
                return f"range(1, {n + 1})"
        return f"r.items({self.expression(node).text})"

    def _while(self, node: While) -> None:
        self.line(
            "while True:" if node.condition is None else f"while {self.condition(node.condition)}:"
        )
        self._body(node.body)

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

    # --- assignments

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
            elif isinstance(node.value, (If, Block)) or (
                isinstance(node.value, Call) and self._is_with(node.value)
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
            self._put(
                target.object, Code(f"r.put_member({inner.text}, {value.text}, {target.name!r})")
            )
            return
        if isinstance(target, Index):
            inner = self._read(target.object)
            where = ", ".join(self.index(each) for each in target.arguments)
            word = "put_item" if target.double else "put"
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
            if target.name in ("rownames", "dimnames", "storage.mode", "mode", "levels"):
                return
        self.line(self.gap(target, f"an assignment to {_called(target)}").text)

    def _read(self, node: Node) -> Code:
        return self.expression(node)

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

    # --- functions

    def define(self, name: str, node: Function) -> None:
        """Write a ``def``."""
        self.may_write()
        outer = self.scope
        kept = self._kept(node)
        own = [each for each, _ in node.parameters]
        scope = Scope(outer, set(own) | set(assigned_in([node.body])))
        head, late = self._parameters(node, kept)
        self.line(f"def {name}({head}):", node.line)
        self.scope = scope
        at = len(self.written)
        depth_before = self.here
        try:
            with self.indented(), self.statements():
                for parameter, default in late:
                    self.line(f"if {parameter} is None:")
                    with self.indented():
                        self.line(f"{parameter} = {self.expression(default).text}")
                start = len(self.written)
                self.statement(node.body, "return")
                if len(self.written) == start:
                    self.line("return None")
                outside = self.declared.pop(id(scope), set())
                if outside:
                    self._declare(outside, at)
        finally:
            self.scope = outer
            self.here = depth_before

    def _declare(self, names: set[str], at: int) -> None:
        """Say at the top of a function which names it changes outside."""
        for name in sorted(names):
            scope = self.scope.outer
            while scope is not None and name not in scope.home.names:
                scope = scope.home.outer
            word = "global" if scope is None or scope.is_script else "nonlocal"
            depth = self.written[at][0] if at < len(self.written) else "    "
            indent = depth[: len(depth) - len(depth.lstrip())]
            self.written.insert(at, (f"{indent}{word} {python_name(name)}", self.here))

    def _kept(self, node: Function) -> list[str]:
        """Return the variables of loops whose own round a function keeps, as a reader means it."""
        own = {name for name, _ in node.parameters}
        kept = [
            each
            for each in dict.fromkeys(self.scope.looping)
            if each not in own and self._captures(node, each)
        ]
        what = (
            f"a function that is made in a loop looks {', '.join(kept)} up when it is called, "
            "after the last round"
        )
        return kept if kept and self.reading(node, "closure", "r-semantics", what) else []

    def _captures(self, node: Function, name: str) -> bool:
        inside = set(assigned_in([node.body]))
        return name not in inside and mentions(node.body, name)

    def _parameters(
        self, node: Function, kept: Sequence[str]
    ) -> tuple[str, list[tuple[str, Node]]]:
        parts: list[str] = []
        late: list[tuple[str, Node]] = []
        names = [name for name, _ in node.parameters if name != "..."]
        seen_default = False
        for name, default in node.parameters:
            if name == "...":
                parts.append("*dots")
                continue
            mangled = python_name(name)
            if default is None:
                needs = seen_default and "*dots" not in parts
                parts.append(f"{mangled}=None" if needs else mangled)
                continue
            seen_default = True
            plain = isinstance(default, (Number, Text)) or (
                isinstance(default, Symbol) and default.name in CONSTANTS
            )
            if plain:
                with self.pure():
                    parts.append(f"{mangled}={self.expression(default).text}")
            else:
                parts.append(f"{mangled}=None")
                late.append((mangled, default))
        if "*dots" in parts:
            parts.append("**more")
        if kept:
            if "**more" in parts:
                parts.remove("**more")
            if "*dots" not in parts:
                parts.append("*")
            parts += [f"{python_name(each)}={python_name(each)}" for each in kept]
        del names
        return ", ".join(parts), late

    def literal(self, node: Function) -> Code:
        """Return a function without a name: a ``lambda``, or a ``def`` that is written before."""
        mark = self.mark()
        outer = self.scope
        own = {name for name, _ in node.parameters}
        simple = (
            node.body.items[0]
            if isinstance(node.body, Block) and len(node.body.items) == 1
            else node.body
        )
        while isinstance(simple, Paren):
            simple = simple.inner
        statements = (Assign, For, While, Jump, If, Block)
        late = any(
            default is not None and not isinstance(default, (Number, Text, Symbol))
            for _, default in node.parameters
        )
        if not isinstance(simple, statements) and not late:
            kept = self._kept(node)
            try:
                with self.pure():
                    head, _ = self._parameters(node, kept)
                    self.scope = Scope(outer, own)
                    inner = simple
                    if isinstance(inner, Call) and inner.name == "return" and inner.arguments:
                        inner = inner.arguments[0].value or inner
                    body = self.expression(inner)
                    return Code(
                        f"lambda {head}: {body.text}" if head else f"lambda: {body.text}",
                        "function",
                        False,
                    )
            except NeedsStatementsError:
                self.back_to(mark)
            finally:
                self.scope = outer
        self.may_write()
        name = self.fresh("function")
        self.define(name, node)
        return Code(name, "function")

    def thunk(self, node: Node) -> Code:
        """Return an expression as a function of nothing that keeps the names of its place."""
        while isinstance(node, Paren):
            node = node.inner
        mark = self.mark()
        simple = node.items[0] if isinstance(node, Block) and len(node.items) == 1 else node
        if not isinstance(simple, (Assign, For, While, Jump, If, Block)):
            try:
                with self.pure():
                    body = self.expression(simple)
                return Code(f"lambda: {body.text}", "function", False)
            except NeedsStatementsError:
                self.back_to(mark)
        self.may_write()
        name = self.fresh("step")
        outer = self.scope
        self.line(f"def {name}():", node.line)
        inside = assigned_in([node])
        self.scope = Scope(outer, set(), {}, outer.looping, True)
        try:
            with self.indented(), self.statements():
                if inside:
                    word = "global" if outer.is_script else "nonlocal"
                    listed = ", ".join(python_name(each) for each in inside)
                    self.line(f"{word} {listed}")
                self.statement(node, "return")
        finally:
            self.scope = outer
        if inside and not outer.is_script:
            # What a block is the first to assign must be there for "nonlocal".
            at = next(
                n
                for n in range(len(self.written) - 1, -1, -1)
                if self.written[n][0].lstrip().startswith(f"def {name}(")
            )
            indent = self.written[at][0][
                : len(self.written[at][0]) - len(self.written[at][0].lstrip())
            ]
            for each in reversed(inside):
                mangled = python_name(each)
                self.written.insert(
                    at, (f"{indent}{mangled} = locals().get({mangled!r})", node.line)
                )
        return Code(name, "function")

    # --- expressions

    def expression(self, node: Node, into: str = "", discard: bool = False) -> Code:
        """Return an expression; what it needs before itself is written.

        ``into`` is the name that takes the value: it may be used while the value is made.
        """
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
        if operator in _COMPARED and left.kind in NUMBERS and right.kind in NUMBERS:
            return Code(f"{left.tight} {operator} {right.tight}", "bool", False)
        if operator in _NAMED:
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
            return Code(f"r.{_NAMED[operator]}({left.text}, {right.text}{along})", kind)
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
        a, b = _whole(left), _whole(right)
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
            n = _whole(code)
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
        n = _whole(code)
        return str(n) if n is not None else code.text

    def _is_visible(self, node: Node) -> bool:
        while isinstance(node, Paren):
            return True
        if isinstance(node, Call):
            return self.visible(node)
        return not isinstance(node, (Assign, For, While, Function))


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


def _whole(code: Code) -> int | None:
    """Return the value of a literal that is a whole number."""
    if code.kind not in NUMBERS or not _literal(code):
        return None
    value = float(code.text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else None


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


def _values_of(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """Return all that the script gives to each name."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        for each in walk(node):
            if isinstance(each, Assign) and isinstance(each.target, Symbol):
                found[each.target.name].append(each.value)
    return found


def _called(node: Node) -> str:
    return f"{node.name}()" if isinstance(node, Call) and node.name else "something"


def known_base(name: str) -> bool:
    """Say whether a base function of R is translated."""
    return name in FUNCTIONS


_Any = Any
