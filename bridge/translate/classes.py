"""Classes that a script makes of Keras's own: layers, callbacks, losses, metrics, models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from bridge.translate.functions import Functions
from bridge.translate.syntax import (
    Call,
    Function,
    Member,
    Node,
    Symbol,
    Text,
    nodes_in,
)
from bridge.translate.writing import Code, python_name

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
        if not isinstance(node, Call) or self.is_own(node.name):
            return ""
        given = {each.name: each.value for each in node.arguments}
        if given.get("private") is not None or given.get("active") is not None:
            return ""
        if node.name == "R6Class":
            inherit = given.get("inherit")
            return _R6.get(inherit.name, "") if isinstance(inherit, Symbol) else ""
        return _MAKERS.get(node.name, "") if "inherit" not in given else ""

    def define_class(self, name: str, r_name: str, node: Call) -> None:
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

    def _reads_fields(self, node: Call, base: str) -> bool:
        """Say whether the fields of an R6 class are meant as attributes of each object.

        Python's Keras follows the layers in them. A layer in a field of R's it never sees: that is
        as in an attribute of the class, which Keras 2 does not follow either.
        """
        what = "R keeps the fields of an R6 object to itself: Keras does not see a layer in them"
        return base != _LAYER or self.reading(node, "fields", "r-semantics", what)

    def _method_of(self, key: str, node: Function, counted: bool, fields: Sequence[str]) -> None:
        parameters = tuple(each for each in node.parameters if each[0] != "self")
        own = Function(node.line, node.column, (("self", None), *parameters), node.body)
        if id(node) in self.given:
            self.given |= {id(own)}
        self.kept_nodes.append(own)
        starts = key == "initialize" and not any(
            isinstance(call.function, Member) and _is_super(call.function.object)
            for call in nodes_in([node.body], Call)
        )
        first = ["super().__init__()"] if starts else []
        if key == "initialize":
            first += fields
        if counted and parameters:
            number = python_name(parameters[0][0])
            first.append(f"{number} = {number} + 1")
        self.define(_NAMES.get(key, key), own, "\n".join(first))

    def made_of_class(self, node: Call, name: str) -> Code:
        """Return an object of a class of the script's, added to what it is to be added to."""
        given = [each for each in node.arguments if each.value is not None]
        target = None
        if self.own_classes[name]:
            target = next((each for each in given if each.name == "object"), None) or next(
                (each for each in given if not each.name), None
            )
        rest = tuple(each for each in given if each is not target)
        sent = self._python_arguments(replace(node, arguments=rest), name)
        made = f"{python_name(name)}({sent})"
        if target is None or target.value is None:
            return Code(made, "layer" if self.own_classes[name] else "py")
        code = self.expression(target.value)
        if code.kind == "none":
            return Code(made, "layer")
        kind = code.kind if code.kind in ("tensor", "sequential") else "py"
        return Code(f"r.compose({code.text}, {made})", kind)

    def _do_create_layer(self, node: Call, *_: object) -> Code:
        given = {each.name or str(place): each.value for place, each in enumerate(node.arguments)}
        made, target = given.get("0"), given.get("1", given.get("object"))
        args = given.get("2", given.get("args"))
        if not isinstance(made, Symbol) or made.name not in self.own_classes or target is None:
            return self.gap(node, "the function create_layer()")
        layer = f"{python_name(made.name)}("
        if args is not None:
            layer += f"**r.given({self.expression(args).text})"
        code = self.expression(target)
        kind = code.kind if code.kind in ("tensor", "sequential") else "py"
        return Code(f"r.compose({code.text}, {layer}))", kind)


def _is_super(node: Node) -> bool:
    return isinstance(node, Symbol) and node.name == "super"


def _members(node: Call) -> Iterator[tuple[str, Node]]:
    """Yield the members of a class: those of ``public``, or of the call itself."""
    for each in node.arguments:
        if each.value is None or each.name in _OTHER or (not each.name):
            continue
        if each.name == "public" and isinstance(each.value, Call) and each.value.name == "list":
            for part in each.value.arguments:
                if part.name and part.value is not None:
                    yield part.name, part.value
        else:
            yield each.name, each.value
