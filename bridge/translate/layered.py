"""Calls of the R packages' wrappers: layers, models, their methods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge.translate.basecalls import BaseCalls
from bridge.translate.syntax import (
    Argument,
    Call,
    Node,
    Symbol,
    mentions,
)
from bridge.translate.wrappers import (
    IGNORED,
    SHAPE_NAMES,
    WHOLE_NAMES,
    Parameter,
    Wrapper,
    wrappers,
)
from bridge.translate.writing import (
    Code,
    python_name,
)

#: Functions of Python that take two tensors element by element.
ELEMENTWISE: Final = frozenset(
    {"add", "subtract", "multiply", "divide", "maximum", "minimum", "mul", "sub", "truediv"}
)

_SKIPPED: Final = frozenset({"view_metrics", "zero_indexed"})

#: Methods of Python's objects whose results are numbers that R takes over.
GIVE_BACK: Final = frozenset(
    {
        "predict",
        "get_weights",
        "predict_on_batch",
        "numpy",
        "train_on_batch",
        "test_on_batch",
        "tolist",
    }
)


class Layered(BaseCalls):
    """The part of a translation that knows the wrappers."""

    def _wrapper_call(self, node: Call, into: str, discard: bool) -> Code:
        wrapper = (
            wrappers(self.package).get(node.name) or wrappers(self.package, "called")[node.name]
        )
        given = self._matched(wrapper, node)
        if "y_true" in given or "y_pred" in given:
            wrapper = wrappers(self.package, "function").get(node.name, wrapper)
        if wrapper.composes:
            return self._layer(wrapper, given, into)
        if wrapper.method:
            return self._method(wrapper, given, node, discard)
        if "inputs" in given and node.name in wrappers(self.package, "called"):
            # Layers that join take their tensors one by one as well.
            first, *more = [
                self.expression(value).text
                for key, (_, value) in given.items()
                if key == "inputs" or key.startswith("...")
            ]
            rest = {k: v for k, v in given.items() if k != "inputs" and not k.startswith("...")}
            made = wrappers(self.package)[node.name]
            inputs = f"[{', '.join([first, *more])}]" if more else first
            return Code(f"{made.python}({self._sent(made, rest)})({inputs})", "tensor")
        if wrapper.name == "keras_model" and "inputs" in given:
            value = given["inputs"][1]
            if (
                isinstance(value, Call)
                and value.name == "list"
                and value.arguments
                and all(each.name for each in value.arguments)
            ):
                what = "a list with names becomes a dict, whose keys Keras sorts"
                plain = tuple(Argument("", each.value) for each in value.arguments)
                in_order = Call(value.line, value.column, value.function, plain)
                if self.reading(node, "named", "r-semantics", what):
                    given["inputs"] = ("inputs", in_order)
        if wrapper.python.rpartition(".")[2] in ELEMENTWISE:
            self._meet(value for _, value in given.values())
        text = f"{wrapper.python}({self._sent(wrapper, given)})"
        if wrapper.from_one and "zero_indexed" not in given:
            return Code(f"r.from_one({text}, {node.name!r})", "tensor")
        family = wrapper.name.partition("_")[0]
        kind = {"layer": "layer", "keras": "model"}.get(family, "py")
        if wrapper.name in ("layer_input", "keras_input"):
            kind = "tensor"
        if wrapper.name == "to_categorical" or wrapper.name == "pad_sequences":
            return Code(f"r.array({text})", "array")
        return Code(text, kind)

    def _meet(self, values: Iterable[Node]) -> None:
        self.meets |= {each.name for each in values if isinstance(each, Symbol)}

    def _matched(self, wrapper: Wrapper, node: Call) -> dict[str, tuple[str, Node]]:
        """Return the arguments by formal (or by name in the dots), in the order they are given."""
        formals = list(wrapper.formals)
        before = formals[: formals.index("...")] if "..." in formals else formals
        taken: dict[int, str] = {}
        for place, each in enumerate(node.arguments):
            if each.name in formals:
                taken[place] = each.name
        for place, each in enumerate(node.arguments):
            if each.name and place not in taken:
                near = [f for f in before if f.startswith(each.name) and f not in taken.values()]
                taken[place] = near[0] if len(near) == 1 else each.name
        free = [f for f in formals if f not in taken.values() and f != "..."]
        if "..." in formals:
            free = [f for f in free if f in before]
        found: dict[str, tuple[str, Node]] = {}
        for place, each in enumerate(node.arguments):
            if place not in taken:
                taken[place] = free.pop(0) if free else f"...{place}"
            if each.value is not None:
                found[taken[place]] = (taken[place], each.value)
        return found

    def _sent(self, wrapper: Wrapper, given: dict[str, tuple[str, Node]]) -> str:
        places: list[tuple[int, str]] = []
        words: list[str] = []
        for formal, (_, value) in given.items():
            parameter = wrapper.parameters.get(formal)
            if parameter is None:
                if formal.startswith("..."):
                    places.append((100 + int(formal[3:]), self.expression(value).text))
                    continue
                kind = (
                    "normalize_shape"
                    if formal in SHAPE_NAMES
                    else ("as_integer" if formal in WHOLE_NAMES else "as_is")
                )
                parameter = Parameter(formal, kind)
            if parameter.to is None and formal not in _SKIPPED:
                known = formal in wrapper.required or "path" in formal
                if parameter.kind not in IGNORED or known:
                    # What was measured does not say where it goes: then where it stands.
                    place = [f for f in wrapper.formals if f != "..."].index(formal)
                    places.append((place, self.argument(value, parameter, formal).text))
                continue
            code = self.argument(value, parameter, formal)
            if isinstance(parameter.to, int):
                places.append((parameter.to, code.text))
            elif parameter.to is not None:
                words.append(f"{parameter.to}={code.text}")
        placed = [text for _, text in sorted(places, key=lambda each: each[0])]
        return ", ".join([*placed, *words])

    def _layer(
        self,
        wrapper: Wrapper,
        given: dict[str, tuple[str, Node]],
        into: str,
    ) -> Code:
        first = given.pop(wrapper.object, None)
        if first is not None and isinstance(first[1], Symbol) and first[1].name == "NULL":
            first = None
        if first is None:
            return Code(f"{wrapper.python}({self._sent(wrapper, given)})", "layer")
        more = [given.pop(key)[1] for key in list(given) if key.startswith("...")]
        if more:
            # Layers that join take their tensors one by one as well.
            together = ", ".join(self.expression(each).text for each in (first[1], *more))
            layer = f"{wrapper.python}({self._sent(wrapper, given)})"
            return Code(f"{layer}([{together}])", "tensor")
        target = self.expression(first[1], into)
        layer = f"{wrapper.python}({self._sent(wrapper, given)})"
        if target.kind in ("sequential",):
            if target.text.startswith("keras.Sequential([") and target.text.endswith("])"):
                inner = target.text[len("keras.Sequential([") : -2].rstrip()
                inner = inner.removesuffix(",")
                joined = f"{inner}, {layer}" if inner else layer
                return Code(f"keras.Sequential([{joined}])", "sequential")
            if target.text.isidentifier() and not self._pure and not self.as_made:
                self.line(f"{target.text}.add({layer})")
                return target
        if target.kind == "tensor":
            if not (target.text.isidentifier() or self._pure or self.as_made):
                # A reader makes one layer after the other.
                taken = any(mentions(value, self._r_name(into)) for _, value in given.values())
                name = into if into and not taken else self.fresh("tensor")
                self.line(f"{name} = {target.text}")
                target = Code(name, "tensor")
            return Code(f"{layer}({target.text})", "tensor")
        kind = target.kind if target.kind == "sequential" else "py"
        return Code(f"r.compose({target.text}, {layer})", kind)

    def _r_name(self, into: str) -> str:
        return next((name for name in self.scope.home.names if python_name(name) == into), into)

    def _method(
        self, wrapper: Wrapper, given: dict[str, tuple[str, Node]], node: Call, discard: bool
    ) -> Code:
        formal = next(
            (key for key, value in wrapper.parameters.items() if value.to == "self"), wrapper.object
        )
        first = given.pop(formal, None)
        if first is None:
            return self.gap(node, f"{wrapper.name}() without a model")
        target = self.expression(first[1])
        method = wrapper.python.rpartition(".")[2]
        self.compiled = target.text
        sent = self._sent(wrapper, given)
        if method == "fit":
            return Code(f"{target.tight}.fit({sent})", "history")
        if method == "evaluate":
            more = ", " if sent else ""
            return Code(f"r.evaluated({target.tight}.evaluate({sent}{more}return_dict=True))")
        text = f"{target.tight}.{method}({sent})"
        if method in GIVE_BACK:
            return Code(f"r.back({text})", "array" if method.startswith("predict") else "any")
        if method in ("compile", "set_weights", "load_weights", "save_weights", "adapt", "build"):
            # R hands the model on.
            if discard:
                return Code(text)
            return Code(f"r.then({target.text}, lambda it: it.{method}({sent}))", target.kind)
        return Code(text, "any" if method in ("get_config", "summary") else "py")
