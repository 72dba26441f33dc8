"""Calls of R's base functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from bridge.translate import base
from bridge.translate.arguments import Arguments
from bridge.translate.syntax import (
    Argument,
    Assign,
    Block,
    Node,
    RCall,
    RSymbol,
    Unknown,
    mentions,
    walk,
)
from bridge.translate.wrappers import (
    IGNORED,
    SHAPE_NAMES,
    SHAPES,
    WHOLE,
    WHOLE_NAMES,
    Wrapper,
    WrapperParameter,
    wrappers,
)
from bridge.translate.writing import (
    OBJECTS,
    Code,
    python_name,
)


class BaseCalls(Arguments):
    """The part of a translation that knows R's base."""

    def _argument_list(self, node: RCall, front: str = "") -> str:
        parts = []
        for argument in node.arguments:
            if argument.value is None:
                continue
            text = self.expression(argument.value).text
            parts.append(f"{python_name(argument.name)}={text}" if argument.name else text)
        return front + ", ".join(parts) if parts else ""

    def _base_call(self, node: RCall) -> Code:
        python, formals = base.FUNCTIONS[node.name]
        import inspect

        from bridge.translate import rbase

        signature = list(inspect.signature(getattr(rbase, python)).parameters)
        named = [f for f in formals if f != "..."]
        dots = "..." in formals
        front = formals[: formals.index("...")] if dots else formals
        by_formal: dict[str, str] = {}
        extra: list[str] = []
        words: list[str] = []
        codes = [
            None if argument.value is None else self._handed(argument.value)
            for argument in node.arguments
        ]
        for argument, code in zip(node.arguments, codes, strict=True):
            if code is None or not argument.name:
                continue
            match = (
                argument.name
                if argument.name in named
                else next((f for f in front if f.startswith(argument.name)), "")
            )
            if match:
                by_formal[match] = code.text
            else:
                words.append(f"{python_name(argument.name)}={code.text}")
        for argument, code in zip(node.arguments, codes, strict=True):
            if code is None or argument.name:
                continue
            free = next((f for f in front if f not in by_formal), None)
            if free is not None:
                by_formal[free] = code.text
            elif dots:
                extra.append(code.text)
            else:
                return self.gap(node, f"{node.name}() with so many arguments")
        parts: list[str] = []
        for place, formal in enumerate(front):
            if formal not in by_formal:
                continue
            if place == len(parts):
                parts.append(by_formal[formal])
            else:
                words.append(f"{signature[place]}={by_formal[formal]}")
        if not dots and any(word.partition("=")[0] not in signature for word in words):
            known = [word for word in words if word.partition("=")[0] in signature]
            ignored = [word for word in words if word not in known]
            if any(
                not word.startswith(
                    (
                        "stringsAsFactors",
                        "check_names",
                        "digits",
                        "useNames",
                        "USE_NAMES",
                        "quote",
                        "row_names",
                        "envir",
                        "mode",
                        "simplify",
                        "check_attributes",
                        "drop",
                        "exact",
                        "nsmall",
                    )
                )
                for word in ignored
            ):
                return self.gap(node, f"{node.name}() with {ignored[0].partition('=')[0]}")
            words = known
        arrays = (
            "matrix",
            "make_array",
            "rep",
            "seq",
            "seq_len",
            "numeric",
            "array_reshape",
            "t",
            "rbind",
            "cbind",
            "outer",
            "array",
            "as_matrix",
            "diag",
            "scale",
        )
        numbers = ("length", "nrow", "ncol", "mean", "prod", "var", "sd", "median", "NROW", "NCOL")
        first = codes[0] if codes else None
        kind = "array" if python in arrays else "num" if python in numbers else "any"
        if python == "mean" and first is not None and first.kind != "array":
            kind = "any"
        if python in ("nrow", "ncol"):
            kind = "any"
        if python in ("is_null", "is_true", "is_false", "identical", "inherits", "any_", "all_"):
            kind = "bool"
        return Code(f"r.{python}({', '.join([*parts, *extra, *words])})", kind)

    def _handed(self, node: Node) -> Code:
        """Return an argument of R's own; a wrapper that R is to call keeps what it makes whole."""
        code = self.expression(node)
        known = None if not isinstance(node, RSymbol) else wrappers(self.package).get(node.name)
        if known is None or self.is_own(known.name):
            return code
        whole = [
            key for key, parameter in known.parameters.items() if parameter.kind in WHOLE | SHAPES
        ]
        return Code(f"r.counted({code.text}, {', '.join(map(repr, whole))})") if whole else code

    def _do_c(self, node: RCall, *_: Any) -> Code:
        codes = [
            (argument.name, self.expression(argument.value))
            for argument in node.arguments
            if argument.value is not None
        ]
        if any(name for name, _ in codes):
            if all(name for name, _ in codes):
                inner = ", ".join(f"{name!r}: {code.text}" for name, code in codes)
                return Code(f"r.c(**{{{inner}}})")
            return self.gap(node, "a vector of which only some elements have names")
        kinds = {code.kind for _, code in codes}
        texts = [code.text for _, code in codes]
        if codes and len(codes) > 1 and kinds <= {"float", "int"}:
            kind = ", dtype=np.int32" if kinds == {"int"} else ""
            return Code(f"np.array([{', '.join(texts)}]{kind})", "array")
        if len(codes) > 1 and kinds == {"str"}:
            return Code(f"[{', '.join(texts)}]", "strings")
        return Code(
            f"r.c({', '.join(texts)})",
            "array" if kinds and kinds <= {"float", "int", "num", "array"} else "any",
        )

    def _do_list(self, node: RCall, *_: Any) -> Code:
        return self._do_list_(node)

    def _do_list_(self, node: RCall, *_: Any) -> Code:
        given = [argument for argument in node.arguments if argument.value is not None]
        codes = [
            (argument.name, self.expression(argument.value))
            for argument in given
            if argument.value is not None
        ]
        if any(name for name, _ in codes):
            if not all(name for name, _ in codes):
                return self.gap(node, "a list of which only some elements have names")
            return Code(
                "{" + ", ".join(f"{name!r}: {code.text}" for name, code in codes) + "}", "list"
            )
        return Code(f"[{', '.join(code.text for _, code in codes)}]", "list")

    def _do_structure(self, node: RCall, *_: Any) -> Code:
        given = {argument.name: argument.value for argument in node.arguments}
        data, classes = given.get("", given.get(".Data")), given.get("class")
        if len(given) != 2 or data is None or classes is None:
            return self.gap(node, "the function structure()")
        return Code(f"r.put_class({self.expression(data).text}, {self.expression(classes).text})")

    def _do_array(self, node: RCall, *_: Any) -> Code:
        code = self._base_call(node)
        named = {argument.name: argument.value for argument in node.arguments}
        plain = [argument.value for argument in node.arguments if not argument.name]
        dims = named.get("dim", plain[1] if len(plain) > 1 else None)
        data = named.get("data", plain[0] if plain else None)
        items = self._items(dims) if dims is not None else None
        # What is written in the call itself is written for it; only a vector that was there before
        # has an order that the author may have meant to keep.
        there = isinstance(data, RSymbol) and self.is_own(data.name)
        if (
            items is not None
            and len(items) >= 3
            and there
            and isinstance(data, RSymbol)
            and not self.has_no_order(data.name)
        ):
            return Code(code.text.replace("r.make_array(", "r.array_by_rows(", 1), "array")
        return code

    def _do_tryCatch(self, node: RCall, *_: Any) -> Code:  # noqa: N802 - R's own name
        parts = []
        body = None
        for argument in node.arguments:
            if argument.value is None:
                continue
            if argument.name in ("", "expr") and body is None:
                body = self.thunk(argument.value).text
            elif argument.name == "error":
                parts.append(f"error={self.expression(argument.value).text}")
            elif argument.name == "finally":
                parts.append(f"finally_={self.thunk(argument.value).text}")
        return Code(f"r.try_catch({', '.join([body or 'lambda: None', *parts])})")

    def _do_try(self, node: RCall, *_: Any) -> Code:
        return self._do_try_(node)

    def _do_try_(self, node: RCall, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        return Code(f"r.try_({self.thunk(value).text})") if value is not None else Code("None")

    def _do_replicate(self, node: RCall, *_: Any) -> Code:
        if len(node.arguments) < 2 or node.arguments[1].value is None:
            return self.gap(node, "replicate() without an expression")
        n = node.arguments[0].value
        count = self.expression(n).text if n is not None else "1"
        return Code(f"r.replicate({count}, {self.thunk(node.arguments[1].value).text})")

    def _do_switch(self, node: RCall, *_: Any) -> Code:
        value = node.arguments[0].value
        assert value is not None
        head = self.expression(value).text
        words, places = [], []
        for argument in node.arguments[1:]:
            text = "None" if argument.value is None else self.thunk(argument.value).text
            if argument.name:
                words.append(f"{argument.name!r}: {text}")
            else:
                places.append(text)
        inner = ", ".join([head, *places])
        return Code(
            f"r.switch({inner}, **{{{', '.join(words)}}})" if words else f"r.switch({inner})"
        )

    def _do_with_(self, node: RCall, *_: Any) -> Code:
        given = [argument.value for argument in node.arguments]
        if len(given) != 2 or given[0] is None or given[1] is None:
            return self.gap(node, "with() of something else than an expression")
        frame, body = self.expression(given[0]), given[1]
        if isinstance(body, Block) and len(body.items) == 1:
            body = body.items[0]
        if frame.kind in OBJECTS or isinstance(body, (Block, Assign)):
            return self.gap(node, "with() of several expressions")
        return Code(f"(lambda columns: {self._of_columns(body)})({frame.text})", "any", False)

    def _do_subset(self, node: RCall, *_: Any) -> Code:
        given = [argument.value for argument in node.arguments]
        if len(given) != 2 or given[0] is None or given[1] is None or node.arguments[1].name:
            return self.gap(node, "subset() with more than one condition")
        frame, rows = self.expression(given[0]), self._of_columns(given[1])
        chosen = f"(lambda columns: r.index(columns, {rows}, r.ALL))({frame.text})"
        return Code(chosen, "any", False)

    def _of_columns(self, node: Node) -> str:
        """Return an expression whose names are columns first."""
        before, self.of_columns = self.of_columns, True
        try:
            return self.expression(node).text
        finally:
            self.of_columns = before

    def _do_missing(self, node: RCall, *_: Any) -> Code:
        return Code(f"{self._argument_list(node)} is None", "bool", False)

    def _do_Sys_time(self, *_: Any) -> Code:  # noqa: N802 - R's own name
        return Code("__import__('time').time()", "float")

    def _do_summary(self, node: RCall, *_: Any) -> Code:
        return Code(f"r.summary({self._argument_list(node)})")

    def _do_suppressWarnings(self, node: RCall, *_: Any) -> Code:  # noqa: N802 - R's own name
        value = node.arguments[0].value if node.arguments else None
        return self.expression(value) if value is not None else Code("None")

    def _drawing(self, node: RCall) -> Code:
        """Return what is given to a plot, which is made but not drawn."""
        parts = []
        for argument in node.arguments:
            computed = argument.value is not None and any(
                isinstance(part, RCall) for part in walk(argument.value)
            )
            if (
                computed
                and argument.value is not None
                and not any(isinstance(part, Unknown) for part in walk(argument.value))
            ):
                mark = self.mark()
                code = self.expression(argument.value)
                if "r.gap(" in code.text and not _calls_python(argument.value):
                    self.back_to(mark)
                    continue
                parts.append(code.text)
        return Code(f"r.nothing({', '.join(parts)})" if parts else "None")

    def _do_max_col(self, node: RCall, *_: Any) -> Code:
        return self._base_call(node)

    def _do_nlevels(self, node: RCall, *_: Any) -> Code:
        return self._base_call(node)


def _calls_python(node: Node) -> bool:
    """Say whether a model may be run in an expression."""
    return any(
        isinstance(inner, RCall) and inner.name in ("predict", "evaluate", "fit", "")
        for inner in walk(node)
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

    def _wrapper_call(self, node: RCall, into: str, discard: bool) -> Code:
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
            known_wrapper = wrappers(self.package)[node.name]
            inputs = f"[{', '.join([first, *more])}]" if more else first
            return Code(
                f"{known_wrapper.python}({self._sent(known_wrapper, rest)})({inputs})", "tensor"
            )
        if wrapper.name == "keras_model" and "inputs" in given:
            value = given["inputs"][1]
            if (
                isinstance(value, RCall)
                and value.name == "list"
                and value.arguments
                and all(argument.name for argument in value.arguments)
            ):
                what = "a list with names becomes a dict, whose keys Keras sorts"
                plain = tuple(Argument("", argument.value) for argument in value.arguments)
                in_order = RCall(value.line, value.column, value.function, plain)
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
        self.meets |= {value.name for value in values if isinstance(value, RSymbol)}

    def _matched(self, wrapper: Wrapper, node: RCall) -> dict[str, tuple[str, Node]]:
        """Return the arguments by formal (or by name in the dots), in the order they are given."""
        formals = list(wrapper.formals)
        before = formals[: formals.index("...")] if "..." in formals else formals
        taken: dict[int, str] = {}
        for place, argument in enumerate(node.arguments):
            if argument.name in formals:
                taken[place] = argument.name
        for place, argument in enumerate(node.arguments):
            if argument.name and place not in taken:
                near = [
                    f for f in before if f.startswith(argument.name) and f not in taken.values()
                ]
                taken[place] = near[0] if len(near) == 1 else argument.name
        free = [f for f in formals if f not in taken.values() and f != "..."]
        if "..." in formals:
            free = [f for f in free if f in before]
        found: dict[str, tuple[str, Node]] = {}
        for place, argument in enumerate(node.arguments):
            if place not in taken:
                taken[place] = free.pop(0) if free else f"...{place}"
            if argument.value is not None:
                found[taken[place]] = (taken[place], argument.value)
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
                parameter = WrapperParameter(formal, kind)
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
        placed = [text for _, text in sorted(places, key=lambda entry: entry[0])]
        return ", ".join([*placed, *words])

    def _layer(
        self,
        wrapper: Wrapper,
        given: dict[str, tuple[str, Node]],
        into: str,
    ) -> Code:
        first = given.pop(wrapper.object, None)
        if first is not None and isinstance(first[1], RSymbol) and first[1].name == "NULL":
            first = None
        if first is None:
            return Code(f"{wrapper.python}({self._sent(wrapper, given)})", "layer")
        more = [given.pop(key)[1] for key in list(given) if key.startswith("...")]
        if more:
            # Layers that join take their tensors one by one as well.
            together = ", ".join(self.expression(value).text for value in (first[1], *more))
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
        self, wrapper: Wrapper, given: dict[str, tuple[str, Node]], node: RCall, discard: bool
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
