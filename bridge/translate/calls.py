"""Calls: of the R packages' wrappers, of Python itself, of R's base, of the script's own."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Final

from bridge.facts.r import DRAWING
from bridge.translate import base
from bridge.translate.basecalls import ELEMENTWISE, GIVE_BACK, Layered
from bridge.translate.syntax import (
    Function,
    Member,
    Node,
    Operation,
    Paren,
    RCall,
    RSymbol,
    Text,
    nodes_in,
)
from bridge.translate.wrappers import (
    SHAPE_NAMES,
    WHOLE_NAMES,
    WrapperParameter,
    by_python,
    whole_places,
    wrappers,
)
from bridge.translate.writing import (
    OBJECTS,
    Code,
    NeedsStatementsError,
    python_name,
)


class Special(Layered):
    """The part of a translation that knows what is special."""

    def _do_keras_model_sequential(self, node: RCall, *_rest: Any) -> Code:
        wrapper = wrappers(self.package)[node.name]
        given = self._matched(wrapper, node)
        inputs: list[str] = []
        rest: list[str] = []
        for formal, (_name, value) in given.items():
            stem = formal.removeprefix("input_") if self.generation == 3 else formal
            if formal in ("layers", "...0") or _is_of_calls(value):
                rest.append(self.expression(value).text)
            elif formal == "name" or formal == "trainable":
                rest.append(f"{formal}={self.expression(value).text}")
            elif formal in (
                "input_shape",
                "shape",
                "batch_input_shape",
                "input_batch_shape",
                "batch_shape",
            ):
                word = "batch_shape" if "batch" in formal else "shape"
                inputs.append(f"{word}={self._shape(value).text}")
            elif formal in ("batch_size", "input_batch_size"):
                inputs.append(f"batch_size={self._whole(value).text}")
            else:
                inputs.append(f"{stem}={self._plain(value).text}")
        if inputs and not rest:
            return Code(f"keras.Sequential([keras.Input({', '.join(inputs)})])", "sequential")
        if inputs and all("=" in part for part in rest):
            more = ", ".join(rest)
            return Code(
                f"keras.Sequential([keras.Input({', '.join(inputs)})], {more})", "sequential"
            )
        if not rest:
            return Code("keras.Sequential([])", "sequential")
        return Code(f"keras.Sequential({', '.join(rest)})", "sequential")

    def _do_as_tensor(self, node: RCall, *_: Any) -> Code:
        parts: list[str] = []
        dtype, shape_ = "", ""
        for argument in node.arguments:
            if argument.value is None:
                continue
            if argument.name == "dtype" or (not argument.name and len(parts) == 1 and not dtype):
                dtype = self.expression(argument.value).text
            elif argument.name == "shape":
                shape_ = self._shape(argument.value).text
            else:
                parts.append(self.expression(argument.value).text)
        return Code(
            f"r.tensor({', '.join(parts)}{f', dtype={dtype}' if dtype else ''}"
            f"{f', shape={shape_}' if shape_ else ''})",
            "tensor",
        )

    def _do_set_random_seed(self, node: RCall, *_: Any) -> Code:
        value = next(
            (argument.value for argument in node.arguments if argument.value is not None), None
        )
        seed = self._whole(value).text if value is not None else "None"
        if self.generation == 2:
            # It is that of the package tensorflow, which knows no Keras.
            return Code(f"r.set_random_seed({seed})")
        return Code(f"keras.utils.set_random_seed({seed})")

    _do_use_session_with_seed = _do_set_random_seed

    def _do_clear_session(self, *_: Any) -> Code:
        return Code("keras.backend.clear_session()")

    _do_k_clear_session = _do_clear_session

    def _do_import(self, node: RCall, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        if isinstance(value, Text):
            return Code(f"__import__('importlib').import_module({value.value!r})", "module")
        return self.gap(node, "import() of a module that is not named")

    _do_import_ = _do_import

    def _do_custom_metric(self, node: RCall, *_: Any) -> Code:
        values = [argument.value for argument in node.arguments if argument.value is not None]
        return Code(
            f"r.called({', '.join(self.expression(v).text for v in reversed(values))})", "function"
        )

    def _do_tf_function(self, node: RCall, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        return self.expression(value) if value is not None else Code("None")

    def _do_tuple(self, node: RCall, *_: Any) -> Code:
        inside = [
            self.expression(argument.value).text
            for argument in node.arguments
            if argument.value is not None
        ]
        return Code(f"({', '.join(inside)}{',' if len(inside) == 1 else ''})", "py")

    _do_tuple_ = _do_tuple

    def _do_dict(self, node: RCall, *_: Any) -> Code:
        return self._do_list_(node)

    _do_dict_ = _do_dict

    def _do_np_array(self, node: RCall, *_: Any) -> Code:
        inside = [argument for argument in node.arguments if argument.value is not None]
        data = inside[0].value if inside else None
        parts = [f"r.array({self.expression(data).text})"] if data is not None else []
        parts += [
            f"dtype={self.expression(argument.value).text}"
            for argument in inside[1:]
            if argument.value is not None
        ]
        return Code(f"np.array({', '.join(parts)})", "array")

    def _do_freeze_weights(self, node: RCall, *_: Any) -> Code:
        if len(node.arguments) != 1 or node.arguments[0].value is None:
            return self.gap(node, f"{node.name}() of some of the layers")
        text = self.expression(node.arguments[0].value).text
        return Code(f"r.frozen({text}, {node.name != 'freeze_weights'})", "py")

    _do_unfreeze_weights = _do_freeze_weights


def _is_of_calls(node: Node) -> bool:
    """Say whether something is a list of what calls make: layers, and no sizes."""
    return (
        isinstance(node, RCall)
        and node.name == "list"
        and bool(node.arguments)
        and all(isinstance(argument.value, RCall) for argument in node.arguments)
    )


_SILENT_METHODS: Final = frozenset({"compile", "fit", "set_weights", "add", "build", "assign"})

#: Functions of the packages that are R's own matter.
_OF_BASE: Final = frozenset({"array_reshape", "shape"})


class Calls(Special):
    """The part of a translation that knows what is called."""

    @abstractmethod
    def made_of_class(self, node: RCall, name: str) -> Code:
        """Return an object of a class of the script's."""

    def call(self, node: RCall, into: str = "", discard: bool = False) -> Code:
        """Return a call."""
        before = self.here
        self.here = node.line
        try:
            if not isinstance(node.function, RSymbol):
                return self._foreign_call(node)
            name = node.name
            own = not node.function.package and self.is_own(name)
            if own and name in self.own_classes:
                return self.made_of_class(node, name)
            special = getattr(self, f"_do_{python_name(name)}", None)
            if not own and self._has_methods(node):
                return self._dispatched(node, into, discard)
            if own and (name in self.functions or not self._is_of_r(name, special is not None)):
                return self._own_call(node)
            if special is not None:
                code: Code = special(node, into, discard)
                return code
            if name in base.FUNCTIONS and name in _OF_BASE:
                return self._base_call(node)
            if name in wrappers(self.package) or name in wrappers(self.package, "called"):
                return self._wrapper_call(node, into, discard)
            if name in DRAWING:
                return Code(f"r.drawn({name!r}{self._argument_list(node, ', ')})", "array")
            if name in base.SILENT:
                return Code("None")
            if name in base.DRAWING:
                return self._drawing(node)
            if name in base.PASSING:
                first = node.arguments[0].value if node.arguments else None
                return Code("None") if first is None else self.expression(first, into, discard)
            if name in base.FUNCTIONS:
                return self._base_call(node)
            if name.startswith("print."):
                return Code("None")
            return self.gap(node, f"the function {name}()")
        finally:
            self.here = before

    def _has_methods(self, node: RCall) -> bool:
        """Say whether the script has methods of its own for a function of R's or a package's."""
        first = node.arguments[0].value if node.arguments else None
        named = any(name.startswith(f"{node.name}.") for name in self.functions)
        return named and isinstance(first, RSymbol) and id(node) not in self._dispatching

    def _dispatched(self, node: RCall, into: str, discard: bool) -> Code:
        self._dispatching.add(id(node))
        mark = self.mark()
        try:
            with self.pure():
                otherwise = self.expression(node).text
                first = self.expression(node.arguments[0].value or node).text
                given = self._argument_list(node)
        except NeedsStatementsError:
            self.back_to(mark)
            return self.expression(node, into, discard)
        finally:
            self._dispatching.discard(id(node))
        method = f"lambda method: method({given})"
        return Code(
            f"r.dispatched({node.name!r}, globals(), {first}, {method}, lambda: {otherwise})"
        )

    def _is_of_r(self, name: str, special: bool) -> bool:
        """Say whether a call of the name is one of R's own functions, though a variable has it too.

        R looks for a function where one is called: a number or a history of that name hides none.
        """
        if name in base.FUNCTIONS:
            return True
        known = special or name in DRAWING | base.SILENT | base.DRAWING | base.PASSING
        return known and not any(
            isinstance(value, (RSymbol, Member)) for value in self.values.get(name, ())
        )

    def visible(self, node: RCall) -> bool:
        """Say whether R prints the value of a call at the top of a script."""
        name = node.name
        if name in (
            "invisible",
            "cat",
            "message",
            "set_weights",
            "compile",
            "fit",
            "stopifnot",
            "print",
            "library",
            "freeze_weights",
            "save_model_hdf5",
            "set_random_seed",
            "clear_session",
            "k_clear_session",
            "suppressWarnings_",
        ) or (name in base.SILENT or name in base.DRAWING):
            return False
        if isinstance(node.function, Member):
            return node.function.name not in _SILENT_METHODS
        wrapper = wrappers(self.package).get(name)
        return wrapper is None or not wrapper.composes

    def _is_with(self, node: Node) -> bool:
        return isinstance(node, RCall) and node.name == "with" and len(node.arguments) == 2

    def _with(self, node: RCall, sink: str) -> None:
        first, body = (argument.value for argument in node.arguments)
        assert first is not None
        assert body is not None
        name = ""
        if isinstance(first, Operation) and first.operator == "%as%" and first.left is not None:
            assert isinstance(first.right, RSymbol)
            name = f" as {python_name(first.right.name)}"
            self.scope.home.kinds[first.right.name] = "py"
            first = first.left
        code = self.expression(first)
        if code.kind not in OBJECTS:
            # A data frame, then: its columns go before the script's own names.
            self.end(sink, self._do_with_(node).text)
            return
        self.line(f"with {code.text}{name}:")
        with self.indented():
            before = len(self.written)
            self.statement(body, sink)
            if len(self.written) == before:
                self.line("pass")

    def _own_call(self, node: RCall) -> Code:
        name = node.name
        definition = self.functions.get(name)
        if definition and id(definition) in self.incomplete and self.place_of(node):
            return self.gap(node, f"the function {name}()")
        if definition and _draws_late(node, definition):
            return self.gap(node, f"the random numbers that {name}() draws when it needs them")
        formals = [formal for formal, _ in definition.parameters] if definition else []
        parts: list[str] = []
        words: list[str] = []
        for argument in node.arguments:
            if argument.value is None:
                continue
            code = self.expression(argument.value)
            if argument.name:
                full = argument.name
                if formals and full not in formals:
                    near = [f for f in formals if f.startswith(full)]
                    full = near[0] if len(near) == 1 else full
                words.append(f"{python_name(full)}={code.text}")
            else:
                parts.append(code.text)
        if words and parts and formals:
            # R fills the formals that are left over by place.
            taken = {word.partition("=")[0] for word in words}
            free = [python_name(f) for f in formals if python_name(f) not in taken and f != "..."]
            in_front = [python_name(f) for f in formals[: len(parts)]]
            if any(f in taken for f in in_front):
                words = [f"{f}={p}" for f, p in zip(free, parts, strict=False)] + words
                parts = []
        kind = self.scope.kind(name)
        values = [argument.value for argument in node.arguments if argument.value is not None]
        if kind in ("layer", "model", "sequential") and len(values) == 1 and not words:
            target = self.expression(values[0])
            if target.kind != "tensor":
                return Code(f"r.compose({target.text}, {python_name(name)})", target.kind)
        return Code(
            f"{python_name(name)}({', '.join(parts + words)})",
            "tensor"
            if kind in ("layer", "model", "sequential")
            else "py"
            if kind in OBJECTS
            else "any",
        )

    def _foreign_call(self, node: RCall) -> Code:
        function = node.function
        while isinstance(function, Paren):
            function = function.inner
        path = self.path(function)
        if path:
            text = f"{path}({self._python_arguments(node, path)})"
            last = path.rpartition(".")[2]
            if last in ELEMENTWISE:
                self._meet(
                    argument.value for argument in node.arguments if argument.value is not None
                )
            if last in GIVE_BACK:
                return Code(f"r.back({text})")
            kind = "sequential" if last == "Sequential" else "model" if last == "Model" else "py"
            return Code(text, kind)
        if isinstance(function, Member) and self._is_class(function.object):
            assert isinstance(function.object, RSymbol)
            if function.name == "new":
                name = function.object.name
                sent = self._python_arguments(node, name)
                return Code(f"{python_name(name)}({sent})", "py")
        if isinstance(function, Member) and function.name == "initialize":
            # The words among the dots go on as words.
            sent = self._python_arguments(node, function.name)
            return Code(f"{self.member(function).text}({sent.replace('*dots', '*dots, **more')})")
        if isinstance(function, Member):
            inner = self.member(function) if _is_super(function) else None
            if inner is not None:
                return Code(f"{inner.text}({self._python_arguments(node, function.name)})", "py")
            inner = self.expression(function.object)
            native = inner.kind in OBJECTS
            head = (
                f"{inner.tight}.{function.name}"
                if native
                else (f"r.member({inner.text}, {function.name!r})")
            )
            text = f"{head}({self._python_arguments(node, function.name)})"
            if function.name in GIVE_BACK:
                return Code(f"r.back({text})")
            return Code(text, "py" if native else "any")
        if isinstance(function, Function):
            code = self.expression(function)
            return Code(f"{code.tight}({self._argument_list(node)})")
        code = self.expression(function)
        return Code(
            f"{code.tight}({self._argument_list(node)})",
            "tensor" if code.kind in OBJECTS else "any",
        )

    def _is_class(self, node: Node) -> bool:
        return isinstance(node, RSymbol) and node.name in self.own_classes

    def _python_arguments(self, node: RCall, path: str) -> str:
        """Return the arguments of a call of Python's own, as they stand in the text."""
        plain = path.removeprefix("tf.") if path.startswith("tf.keras") else path
        known = by_python(self.package).get(plain)
        places = whole_places(path)
        parts: list[str] = []
        for place, argument in enumerate(node.arguments):
            if argument.value is None:
                continue
            kind = "as_is"
            if argument.name:
                parameter = known.parameters.get(argument.name) if known else None
                if parameter is not None:
                    kind = parameter.kind
                elif argument.name in SHAPE_NAMES:
                    kind = "normalize_shape"
                elif argument.name in WHOLE_NAMES:
                    kind = "as_integer"
            elif known is not None and place < len(known.positional):
                found = known.parameters.get(known.positional[place])
                kind = found.kind if found is not None else "as_is"
            elif place in places:
                kind = "as_integer"
            text = self.argument(
                argument.value, WrapperParameter(argument.name, kind), argument.name
            ).text
            if text == "*dots":
                parts.append("*dots")
                continue
            parts.append(f"{argument.name}={text}" if argument.name else text)
        return ", ".join(parts)


def _is_super(function: Member) -> bool:
    return isinstance(function.object, RSymbol) and function.object.name == "super"


def _draws_late(node: RCall, definition: Function) -> bool:
    """Say whether arguments draw at random, and not in the order in which they are written.

    R computes an argument when the function first needs it, Python before the call.
    """
    given = [argument.value for argument in node.arguments if argument.value is not None]
    drawing = [sum(call.name in DRAWING for call in nodes_in([value], RCall)) for value in given]
    inside = any(call.name in DRAWING for call in nodes_in([definition.body], RCall))
    return sum(count > 0 for count in drawing) > 1 or (inside and any(drawing))
