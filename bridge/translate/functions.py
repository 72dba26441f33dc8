"""Functions that a script defines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from bridge.translate.base import CONSTANTS
from bridge.translate.calls import Calls
from bridge.translate.syntax import (
    Assign,
    Block,
    For,
    Function,
    If,
    Jump,
    Member,
    Node,
    Number,
    Paren,
    RCall,
    RSymbol,
    Text,
    While,
    mentions,
    nodes_in,
)
from bridge.translate.writing import (
    Code,
    NeedsStatementsError,
    Scope,
    assigned_in,
    python_name,
)


class Functions(Calls):
    """The part of a translation that writes functions."""

    def define(self, name: str, node: Function, first: str = "") -> None:
        """Write a ``def``; ``first`` is a line that its body begins with."""
        self.may_write()
        generic = _generic(node)
        if generic:
            self.line(f"def {name}(*args, **kwargs):", node.line)
            with self.indented():
                call = "lambda method: method(*args, **kwargs)"
                self.line(f"return r.dispatched({generic!r}, globals(), args[0], {call})")
            return
        outer = self.scope
        kept = self._kept(node)
        own = [parameter for parameter, _ in node.parameters]
        scope = Scope(outer, set(own) | set(assigned_in([node.body])))
        if own[:1] == ["self"]:
            scope.kinds["self"] = "py"
        head, late = self._parameters(node, kept)
        self.line(f"def {name}({head}):", node.line)
        self.scope = scope
        at = len(self.written)
        known = len(self.gaps)
        depth_before = self.here
        try:
            with self.indented(), self.statements(), self.called_from(node):
                if first:
                    self.line(first)
                for parameter, default in late:
                    self.line(f"if {parameter} is None:")
                    with self.indented():
                        self.line(f"{parameter} = {self.expression(default).text}")
                start = len(self.written)
                # What Python makes an object with returns nothing.
                self.statement(node.body, "" if name == "__init__" else "return")
                if len(self.written) == start:
                    self.line("return None")
                outside = self.declared.pop(id(scope), set())
                if outside:
                    self._declare(outside, at)
        finally:
            self.scope = outer
            self.here = depth_before
            if len(self.gaps) > known:
                self.incomplete.add(id(node))

    @contextmanager
    def called_from(self, node: Function) -> Iterator[None]:
        """Inside a function that Python calls, axes are counted as the R packages count them."""
        before = self.counts_from_one, self.handed
        called = id(node) in self.given
        self.counts_from_one = self.counts_from_one or called
        self.handed = frozenset(name for name, _ in node.parameters) if called else frozenset()
        try:
            yield
        finally:
            self.counts_from_one, self.handed = before

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
            name
            for name in dict.fromkeys(self.scope.looping)
            if name not in own and self._captures(node, name)
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
                isinstance(default, RSymbol) and default.name in CONSTANTS
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
            parts += [f"{python_name(name)}={python_name(name)}" for name in kept]
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
            default is not None and not isinstance(default, (Number, Text, RSymbol))
            for _, default in node.parameters
        )
        if not isinstance(simple, statements) and not late:
            kept = self._kept(node)
            try:
                with self.pure():
                    head, _ = self._parameters(node, kept)
                    self.scope = Scope(outer, own)
                    inner = simple
                    if isinstance(inner, RCall) and inner.name == "return" and inner.arguments:
                        inner = inner.arguments[0].value or inner
                    with self.called_from(node):
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
                    listed = ", ".join(python_name(inner) for inner in inside)
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
            for inner in reversed(inside):
                mangled = python_name(inner)
                self.written.insert(
                    at, (f"{indent}{mangled} = locals().get({mangled!r})", node.line)
                )
        return Code(name, "function")


def _generic(node: Function) -> str:
    """Return the name that a function finds methods by, "" where it does something else."""
    body = node.body
    if isinstance(body, Block) and len(body.items) == 1:
        body = body.items[0]
    if not isinstance(body, RCall) or body.name != "UseMethod" or len(body.arguments) != 1:
        return ""
    name = body.arguments[0].value
    return name.value if isinstance(name, Text) else ""


#: What makes a class in the R packages, and the class of Keras that it goes on from.
_MAKERS: Final = {
    "Layer": "keras.layers.Layer",
    "new_layer_class": "keras.layers.Layer",
    "Model": "keras.Model",
    "new_model_class": "keras.Model",
    "Callback": "keras.callbacks.Callback",
    "new_callback_class": "keras.callbacks.Callback",
    "Loss": "keras.losses.Loss",
    "new_loss_class": "keras.losses.Loss",
    "Metric": "keras.metrics.Metric",
    "new_metric_class": "keras.metrics.Metric",
    "Constraint": "keras.constraints.Constraint",
    "LearningRateSchedule": "keras.optimizers.schedules.LearningRateSchedule",
    "new_learning_rate_schedule_class": "keras.optimizers.schedules.LearningRateSchedule",
}
#: What classes of the package R6 go on from, where they are Keras's.
_R6: Final = {
    "KerasLayer": "keras.layers.Layer",
    "KerasCallback": "keras.callbacks.Callback",
    "KerasConstraint": "keras.constraints.Constraint",
}
_LAYER: Final = "keras.layers.Layer"
#: Arguments of the makers that are no members of the class.
_OTHER: Final = frozenset({"classname", "inherit", "package", "parent_env", "private", "active"})
#: Moments that come with a number, which keras3's ``Callback()`` counts from 1.
_COUNTED: Final = re.compile(r"on_(epoch|(train_|test_|predict_)?batch)_(begin|end)")
_NAMES: Final = {"initialize": "__init__", "finalize": "__del__"}


class Classes(Functions):
    """The part of a translation that writes classes."""

    def base_of(self, node: Node) -> str:
        """Return the class that a call makes one from, "" where it makes none that is known."""
        if not isinstance(node, RCall) or self.is_own(node.name):
            return ""
        given = {argument.name: argument.value for argument in node.arguments}
        if given.get("private") is not None or given.get("active") is not None:
            return ""
        if node.name == "R6Class":
            inherit = given.get("inherit")
            return _R6.get(inherit.name, "") if isinstance(inherit, RSymbol) else ""
        return _MAKERS.get(node.name, "") if "inherit" not in given else ""

    def define_class(self, name: str, r_name: str, node: RCall) -> None:
        """Write a ``class`` of the name of a variable of R's."""
        self.may_write()
        base = self.base_of(node)
        members = list(_members(node))
        self.own_classes[r_name] = base == _LAYER
        # Keras names what it makes of a class after the class.
        first = node.arguments[0].value
        called = first.value if isinstance(first, Text) else name
        if not called.isidentifier() or python_name(called) != called or self.is_own(called):
            called = name
        self.line(f"class {called}({base}):", node.line)
        with self.indented():
            before = len(self.written)
            fields = [
                f"{python_name(key)} = {self.expression(value).text}"
                for key, value in members
                if not isinstance(value, Function)
            ]
            methods = {key: value for key, value in members if isinstance(value, Function)}
            if fields and node.name == "R6Class" and self._reads_fields(node, base):
                fields = [f"self.{text}" for text in fields]
                if "initialize" not in methods:
                    self.line("def __init__(self, *args, **kwargs):")
                    with self.indented():
                        self.line("\n".join(["super().__init__(*args, **kwargs)", *fields]))
            elif fields:
                self.line("\n".join(fields))
                fields = []
            for key, value in methods.items():
                counted = node.name == "Callback" and _COUNTED.fullmatch(key) is not None
                self._method_of(key, value, counted, fields)
            if len(self.written) == before:
                self.line("pass")
        if called != name:
            self.line(f"{name} = {called}", node.line)

    def _reads_fields(self, node: RCall, base: str) -> bool:
        """Say whether the fields of an R6 class are meant as attributes of each object.

        Python's Keras follows the layers in them. A layer in a field of R's it never sees: that is
        as in an attribute of the class, which Keras 2 does not follow either.
        """
        what = "R keeps the fields of an R6 object to itself: Keras does not see a layer in them"
        return base != _LAYER or self.reading(node, "fields", "r-semantics", what)

    def _method_of(self, key: str, node: Function, counted: bool, fields: Sequence[str]) -> None:
        parameters = tuple(parameter for parameter in node.parameters if parameter[0] != "self")
        own = Function(node.line, node.column, (("self", None), *parameters), node.body)
        if id(node) in self.given:
            self.given |= {id(own)}
        self.kept_nodes.append(own)
        starts = key == "initialize" and not any(
            isinstance(call.function, Member) and _is_super(call.function.object)
            for call in nodes_in([node.body], RCall)
        )
        first = ["super().__init__()"] if starts else []
        if key == "initialize":
            first += fields
        if counted and parameters:
            number = python_name(parameters[0][0])
            first.append(f"{number} = {number} + 1")
        self.define(_NAMES.get(key, key), own, "\n".join(first))

    def made_of_class(self, node: RCall, name: str) -> Code:
        """Return an object of a class of the script's, added to what it is to be added to."""
        given = [argument for argument in node.arguments if argument.value is not None]
        target = None
        if self.own_classes[name]:
            target = next(
                (argument for argument in given if argument.name == "object"), None
            ) or next((argument for argument in given if not argument.name), None)
        rest = tuple(argument for argument in given if argument is not target)
        sent = self._python_arguments(replace(node, arguments=rest), name)
        written = f"{python_name(name)}({sent})"
        if target is None or target.value is None:
            return Code(written, "layer" if self.own_classes[name] else "py")
        code = self.expression(target.value)
        if code.kind == "none":
            return Code(written, "layer")
        kind = code.kind if code.kind in ("tensor", "sequential") else "py"
        return Code(f"r.compose({code.text}, {written})", kind)

    def _do_create_layer(self, node: RCall, *_: object) -> Code:
        given = {
            argument.name or str(place): argument.value
            for place, argument in enumerate(node.arguments)
        }
        maker, target = given.get("0"), given.get("1", given.get("object"))
        args = given.get("2", given.get("args"))
        if not isinstance(maker, RSymbol) or maker.name not in self.own_classes or target is None:
            return self.gap(node, "the function create_layer()")
        layer = f"{python_name(maker.name)}("
        if args is not None:
            layer += f"**r.given({self.expression(args).text})"
        code = self.expression(target)
        kind = code.kind if code.kind in ("tensor", "sequential") else "py"
        return Code(f"r.compose({code.text}, {layer}))", kind)


def _is_super(node: Node) -> bool:
    return isinstance(node, RSymbol) and node.name == "super"


def _members(node: RCall) -> Iterator[tuple[str, Node]]:
    """Yield the members of a class: those of ``public``, or of the call itself."""
    for argument in node.arguments:
        if argument.value is None or argument.name in _OTHER or (not argument.name):
            continue
        if (
            argument.name == "public"
            and isinstance(argument.value, RCall)
            and argument.value.name == "list"
        ):
            for part in argument.value.arguments:
                if part.name and part.value is not None:
                    yield part.name, part.value
        else:
            yield argument.name, argument.value
