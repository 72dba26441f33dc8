"""Calls: of the R packages' wrappers, of Python itself, of R's base, of the script's own."""

# ruff: noqa: ARG002, SIM102, PT018

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from bridge.translate import base
from bridge.translate.syntax import (
    Argument,
    Call,
    Function,
    Index,
    Member,
    Node,
    Number,
    Operation,
    Paren,
    Symbol,
    Text,
    Unknown,
    mentions,
    number_of,
    walk,
)
from bridge.translate.wrappers import (
    DATA,
    IGNORED,
    SHAPE_NAMES,
    SHAPES,
    WHOLE,
    WHOLE_NAMES,
    Parameter,
    Wrapper,
    by_python,
    exports,
    whole_places,
    wrappers,
)
from bridge.translate.writing import OBJECTS, Code, NeedsStatementsError, Scope, Writer, python_name

_MODULES: Final = {"keras": "keras", "tf": "tf"}
#: Methods of Python's objects whose results are numbers that R takes over.
_GIVE_BACK: Final = frozenset(
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
_SILENT_METHODS: Final = frozenset({"compile", "fit", "set_weights", "add", "build", "assign"})
_SKIPPED: Final = frozenset({"view_metrics", "zero_indexed"})
#: Functions of the packages that are R's own matter.
_OF_BASE: Final = frozenset({"array_reshape", "shape"})
_WEIGHTS: Final = frozenset({"weights"})
#: Functions that make vectors of one number.
_ALIKE: Final = frozenset({"numeric", "double", "integer", "logical", "vector", "rep_len"})
#: Functions of Python that take two tensors element by element.
_ELEMENTWISE: Final = frozenset(
    {"add", "subtract", "multiply", "divide", "maximum", "minimum", "mul", "sub", "truediv"}
)


class Calls(Writer):
    """The part of a translation that knows what is called."""

    scope: Scope
    once: set[str]
    functions: dict[str, Function]

    def __init__(
        self, script: str, package: str, generation: int, as_r: frozenset[tuple[str, int]]
    ) -> None:
        super().__init__(script, as_r)
        self.package = package or "tensorflow"
        self.generation = generation
        self.last_first = False
        self.declared: dict[int, set[str]] = {}
        self.modules: dict[str, str] = {}
        #: What is given to each name; names that meet tensors, as they are found and as they are
        #: known from a first translation.
        self.values: dict[str, list[Node]] = {}
        self.meets: set[str] = set()
        self.met: set[str] = set()

    # What the other half of the translation does.
    def expression(self, node: Node, into: str = "", discard: bool = False) -> Code:
        """Return an expression."""
        raise NotImplementedError

    def statement(self, node: Node, sink: str = "", show: bool = False) -> None:
        """Write a statement."""
        raise NotImplementedError

    def thunk(self, node: Node) -> Code:
        """Return an expression as a function of nothing."""
        raise NotImplementedError

    def index(self, argument: Argument) -> str:
        """Return one index."""
        raise NotImplementedError

    # --- names

    def variable(self, name: str) -> str:
        """Return the Python name of a variable of the script."""
        return python_name(name)

    def is_own(self, name: str) -> bool:
        """Say whether the script gives the name a value."""
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.names:
                return True
            scope = scope.outer
        return False

    def symbol(self, node: Symbol) -> Code:
        """Return a name: a variable, a constant, a module, a function as a value."""
        name = node.name
        if name == "...":
            return Code("*dots")
        if not node.package and self.is_own(name):
            return Code(python_name(name), self.scope.kind(name))
        if name in base.CONSTANTS:
            kind = {
                "True": "bool",
                "False": "bool",
                "None": "none",
                "np.pi": "float",
                "np.inf": "float",
            }.get(base.CONSTANTS[name], "any")
            return Code(base.CONSTANTS[name], kind)
        if name in _MODULES:
            return Code(_MODULES[name], "module")
        known = wrappers(self.package).get(name)
        if known is not None:
            by_function = wrappers(self.package, "function").get(name)
            return Code((by_function or known).python, "py")
        if name in base.FUNCTIONS:
            return Code(f"r.{base.FUNCTIONS[name][0]}", "function")
        if name in base.DRAWS:
            return Code(f"lambda *a, **k: r.drawn({name!r}, *a, **k)", "function", False)
        if name == ".":
            return Code("dot", self.scope.kind("."))
        if name in self.datasets:
            return Code(f"r.dataset(DATASETS[{name!r}])")
        return self.gap(node, f"the name {name}, which the script does not define")

    datasets: frozenset[str] = frozenset(
        {
            "iris",
            "mtcars",
            "airquality",
            "ToothGrowth",
            "women",
            "cars",
            "faithful",
            "trees",
            "swiss",
            "longley",
            "quakes",
            "esoph",
            "warpbreaks",
            "PlantGrowth",
            "InsectSprays",
            "attitude",
            "chickwts",
            "stackloss",
            "rock",
            "pressure",
            "USArrests",
            "LakeHuron",
            "Nile",
            "volcano",
            "AirPassengers",
            "precip",
            "rivers",
            "islands",
            "euro",
            "nhtemp",
            "lynx",
            "sunspots",
            "co2",
            "Orange",
            "ChickWeight",
            "anscombe",
            "attenu",
            "infert",
            "morley",
        }
    )

    # --- members and paths

    def path(self, node: Node) -> str:
        """Return ``keras$layers$Dense`` as a path of Python, "" if it is none."""
        names: list[str] = []
        while isinstance(node, Member) and not node.slot:
            names.insert(0, node.name)
            node = node.object
        if not isinstance(node, Symbol) or not names or self.is_own(node.name):
            if isinstance(node, Symbol) and names and node.name in self.modules:
                return ".".join([python_name(node.name), *names])
            return ""
        if node.name not in _MODULES:
            return ""
        return ".".join([_MODULES[node.name], *names])

    def native(self, node: Node) -> str | None:
        """Return an expression whose attributes can be set in place, None if it is not known."""
        if isinstance(node, Symbol):
            if self.is_own(node.name):
                kind = self.scope.kind(node.name)
                return python_name(node.name) if kind in OBJECTS else None
            return None
        if isinstance(node, Member):
            inner = self.native(node.object)
            return None if inner is None else f"{inner}.{node.name}"
        if isinstance(node, Index) and node.double and node.arguments[0].value is not None:
            inner = self.native(node.object)
            place = node.arguments[0].value
            if inner is None:
                return None
            if isinstance(place, Number):
                return f"{inner}[{int(number_of(place.text)[0]) - 1}]"
            return f"r.item({inner}, {self.expression(place).text})"
        return None

    def member(self, node: Member) -> Code:
        """Return ``x$name``."""
        path = self.path(node)
        if path:
            return Code(path, "py")
        inner = self.expression(node.object)
        if inner.kind in OBJECTS and node.name.isidentifier():
            return Code(f"{inner.tight}.{node.name}", "py")
        return Code(f"r.member({inner.text}, {node.name!r})")

    # --- calls

    def call(self, node: Call, into: str = "", discard: bool = False) -> Code:
        """Return a call."""
        before = self.here
        self.here = node.line
        try:
            if not isinstance(node.function, Symbol):
                return self._foreign_call(node)
            name = node.name
            own = not node.function.package and self.is_own(name)
            if own and (name in self.functions or name not in base.FUNCTIONS):
                return self._own_call(node)
            special = getattr(self, f"_do_{python_name(name)}", None)
            if special is not None:
                made: Code = special(node, into, discard)
                return made
            if name in base.FUNCTIONS and name in _OF_BASE:
                return self._base_call(node)
            if name in wrappers(self.package) or name in wrappers(self.package, "called"):
                return self._wrapper_call(node, into, discard)
            if name in base.DRAWS:
                return Code(f"r.drawn({name!r}{self._given(node, ', ')})", "array")
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

    def visible(self, node: Call) -> bool:
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
        return isinstance(node, Call) and node.name == "with" and len(node.arguments) == 2

    def _with(self, node: Call, sink: str) -> None:
        first, body = (each.value for each in node.arguments)
        assert first is not None and body is not None
        name = ""
        if isinstance(first, Operation) and first.operator == "%as%" and first.left is not None:
            assert isinstance(first.right, Symbol)
            name = f" as {python_name(first.right.name)}"
            self.scope.home.kinds[first.right.name] = "py"
            first = first.left
        code = self.expression(first)
        if code.kind not in OBJECTS:
            self.line(self.gap(node, "with() of a data frame").text)
            return
        self.line(f"with {code.text}{name}:")
        with self.indented():
            before = len(self.written)
            self.statement(body, sink)
            if len(self.written) == before:
                self.line("pass")

    def _given(self, node: Call, front: str = "") -> str:
        parts = []
        for each in node.arguments:
            if each.value is None:
                continue
            text = self.expression(each.value).text
            parts.append(f"{python_name(each.name)}={text}" if each.name else text)
        return front + ", ".join(parts) if parts else ""

    def _own_call(self, node: Call) -> Code:
        name = node.name
        definition = self.functions.get(name)
        formals = [each for each, _ in definition.parameters] if definition else []
        parts: list[str] = []
        words: list[str] = []
        for each in node.arguments:
            if each.value is None:
                continue
            code = self.expression(each.value)
            if each.name:
                full = each.name
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
        values = [each.value for each in node.arguments if each.value is not None]
        if kind == "layer" and len(values) == 1 and not words:
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

    # --- Python itself

    def _foreign_call(self, node: Call) -> Code:
        function = node.function
        while isinstance(function, Paren):
            function = function.inner
        path = self.path(function)
        if path:
            text = f"{path}({self._python_arguments(node, path)})"
            last = path.rpartition(".")[2]
            if last in _ELEMENTWISE:
                self._meet(each.value for each in node.arguments if each.value is not None)
            if last in _GIVE_BACK:
                return Code(f"r.back({text})")
            kind = "sequential" if last == "Sequential" else "model" if last == "Model" else "py"
            return Code(text, kind)
        if isinstance(function, Member):
            inner = self.expression(function.object)
            native = inner.kind in OBJECTS
            head = (
                f"{inner.tight}.{function.name}"
                if native
                else (f"r.member({inner.text}, {function.name!r})")
            )
            text = f"{head}({self._python_arguments(node, function.name)})"
            if function.name in _GIVE_BACK:
                return Code(f"r.back({text})")
            return Code(text, "py" if native else "any")
        if isinstance(function, Function):
            code = self.expression(function)
            return Code(f"{code.tight}({self._given(node)})")
        code = self.expression(function)
        return Code(
            f"{code.tight}({self._given(node)})", "tensor" if code.kind in OBJECTS else "any"
        )

    def _python_arguments(self, node: Call, path: str) -> str:
        """Return the arguments of a call of Python's own, as they stand in the text."""
        plain = path.removeprefix("tf.") if path.startswith("tf.keras") else path
        known = by_python(self.package).get(plain)
        places = whole_places(path)
        parts: list[str] = []
        for place, each in enumerate(node.arguments):
            if each.value is None:
                continue
            kind = "as_is"
            if each.name:
                parameter = known.parameters.get(each.name) if known else None
                if parameter is not None:
                    kind = parameter.kind
                elif each.name in SHAPE_NAMES:
                    kind = "normalize_shape"
                elif each.name in WHOLE_NAMES:
                    kind = "as_integer"
            elif known is not None and place < len(known.positional):
                found = known.parameters.get(known.positional[place])
                kind = found.kind if found is not None else "as_is"
            elif place in places:
                kind = "as_integer"
            text = self.argument(each.value, Parameter(each.name, kind), each.name).text
            if text == "*dots":
                parts.append("*dots")
                continue
            parts.append(f"{each.name}={text}" if each.name else text)
        return ", ".join(parts)

    # --- wrappers

    def _wrapper_call(self, node: Call, into: str, discard: bool) -> Code:
        wrapper = (
            wrappers(self.package).get(node.name) or wrappers(self.package, "called")[node.name]
        )
        given = self._matched(wrapper, node)
        if "y_true" in given or "y_pred" in given:
            wrapper = wrappers(self.package, "function").get(node.name, wrapper)
        if wrapper.composes:
            return self._layer(wrapper, given, node, into, discard)
        if wrapper.method:
            return self._method(wrapper, given, node, discard)
        if "inputs" in given and node.name in wrappers(self.package, "called"):
            inputs = self.expression(given["inputs"][1])
            rest = {k: v for k, v in given.items() if k != "inputs"}
            made = wrappers(self.package)[node.name]
            return Code(f"{made.python}({self._sent(made, rest)})({inputs.text})", "tensor")
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
        if wrapper.python.rpartition(".")[2] in _ELEMENTWISE:
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
                if parameter.kind not in IGNORED or formal in wrapper.required:
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
        node: Call,
        into: str,
        discard: bool,
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
            if target.text.isidentifier() and not self._pure and not self.last_first:
                self.line(f"{target.text}.add({layer})")
                return target
        if target.kind == "tensor":
            if not (target.text.isidentifier() or self._pure or self.last_first):
                # A reader makes one layer after the other.
                taken = any(mentions(value, self._r_name(into)) for _, value in given.values())
                name = into if into and not taken else self.fresh("tensor")
                self.line(f"{name} = {target.text}")
                target = Code(name, "tensor")
            return Code(f"{layer}({target.text})", "tensor")
        kind = target.kind if target.kind == "sequential" else "py"
        if self.last_first:
            return Code(f"r.added({layer}, {target.text})", kind)
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
        sent = self._sent(wrapper, given)
        if method == "fit":
            return Code(f"{target.tight}.fit({sent})", "history")
        if method == "evaluate":
            more = ", " if sent else ""
            return Code(f"r.evaluated({target.tight}.evaluate({sent}{more}return_dict=True))")
        text = f"{target.tight}.{method}({sent})"
        if method in _GIVE_BACK:
            return Code(f"r.back({text})", "array" if method.startswith("predict") else "any")
        if method in ("compile", "set_weights", "load_weights", "save_weights", "adapt", "build"):
            # R hands the model on.
            if discard:
                return Code(text)
            return Code(f"r.then({target.text}, lambda it: it.{method}({sent}))", target.kind)
        return Code(text, "any" if method in ("get_config", "summary") else "py")

    def argument(self, node: Node, parameter: Parameter, formal: str = "") -> Code:
        """Return an argument of a call into Python, as the author wrote it."""
        while isinstance(node, Paren):
            node = node.inner
        kind = parameter.kind
        if isinstance(node, Symbol) and not self.is_own(node.name):
            if node.name == "NULL":
                return Code("None", "none")
        if kind in SHAPES:
            return self._shape(node)
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

    # --- R's base

    def _base_call(self, node: Call) -> Code:
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
            None if each.value is None else self.expression(each.value) for each in node.arguments
        ]
        for each, code in zip(node.arguments, codes, strict=True):
            if code is None or not each.name:
                continue
            match = (
                each.name
                if each.name in named
                else next((f for f in front if f.startswith(each.name)), "")
            )
            if match:
                by_formal[match] = code.text
            else:
                words.append(f"{python_name(each.name)}={code.text}")
        for each, code in zip(node.arguments, codes, strict=True):
            if code is None or each.name:
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
            if place == len(parts) and not any("=" in p for p in words[:0]):
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

    # --- what is special

    def _do_c(self, node: Call, *_: Any) -> Code:
        codes = [
            (each.name, self.expression(each.value))
            for each in node.arguments
            if each.value is not None
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

    def _do_list(self, node: Call, *_: Any) -> Code:
        return self._do_list_(node)

    def _do_list_(self, node: Call, *_: Any) -> Code:
        given = [each for each in node.arguments if each.value is not None]
        codes = [
            (each.name, self.expression(each.value)) for each in given if each.value is not None
        ]
        if any(name for name, _ in codes):
            if not all(name for name, _ in codes):
                return self.gap(node, "a list of which only some elements have names")
            return Code(
                "{" + ", ".join(f"{name!r}: {code.text}" for name, code in codes) + "}", "list"
            )
        return Code(f"[{', '.join(code.text for _, code in codes)}]", "list")

    def _do_array(self, node: Call, *_: Any) -> Code:
        code = self._base_call(node)
        named = {each.name: each.value for each in node.arguments}
        plain = [each.value for each in node.arguments if not each.name]
        dims = named.get("dim", plain[1] if len(plain) > 1 else None)
        data = named.get("data", plain[0] if plain else None)
        items = self._items(dims) if dims is not None else None
        # What is written in the call itself is written for it; only a vector that was there before
        # has an order that the author may have meant to keep.
        there = isinstance(data, Symbol) and self.is_own(data.name)
        if (
            items is not None
            and len(items) >= 3
            and there
            and isinstance(data, Symbol)
            and not self.has_no_order(data.name)
        ):
            return Code(code.text.replace("r.make_array(", "r.array_by_rows(", 1), "array")
        return code

    def has_no_order(self, name: str) -> bool:
        """Say whether a variable's numbers are in no order of their own: drawn, or all the same."""
        made = self.values.get(name, [])
        chance = any(
            isinstance(each, Call) and each.name in (base.DRAWS | _ALIKE)
            for value in made
            for each in walk(value)
        )
        return chance or not made

    def _do_tryCatch(self, node: Call, *_: Any) -> Code:  # noqa: N802 - R's own name
        parts = []
        body = None
        for each in node.arguments:
            if each.value is None:
                continue
            if each.name in ("", "expr") and body is None:
                body = self.thunk(each.value).text
            elif each.name == "error":
                parts.append(f"error={self.expression(each.value).text}")
            elif each.name == "finally":
                parts.append(f"finally_={self.thunk(each.value).text}")
        return Code(f"r.try_catch({', '.join([body or 'lambda: None', *parts])})")

    def _do_try(self, node: Call, *_: Any) -> Code:
        return self._do_try_(node)

    def _do_try_(self, node: Call, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        return Code(f"r.try_({self.thunk(value).text})") if value is not None else Code("None")

    def _do_replicate(self, node: Call, *_: Any) -> Code:
        if len(node.arguments) < 2 or node.arguments[1].value is None:
            return self.gap(node, "replicate() without an expression")
        n = node.arguments[0].value
        count = self.expression(n).text if n is not None else "1"
        return Code(f"r.replicate({count}, {self.thunk(node.arguments[1].value).text})")

    def _do_switch(self, node: Call, *_: Any) -> Code:
        value = node.arguments[0].value
        assert value is not None
        head = self.expression(value).text
        words, places = [], []
        for each in node.arguments[1:]:
            text = "None" if each.value is None else self.thunk(each.value).text
            if each.name:
                words.append(f"{each.name!r}: {text}")
            else:
                places.append(text)
        inner = ", ".join([head, *places])
        return Code(
            f"r.switch({inner}, **{{{', '.join(words)}}})" if words else f"r.switch({inner})"
        )

    def _do_missing(self, node: Call, *_: Any) -> Code:
        return Code(f"{self._given(node)} is None", "bool", False)

    def _do_keras_model_sequential(self, node: Call, *_rest: Any) -> Code:
        wrapper = wrappers(self.package)[node.name]
        given = self._matched(wrapper, node)
        inputs: list[str] = []
        rest: list[str] = []
        for formal, (_name, value) in given.items():
            stem = formal.removeprefix("input_") if self.generation == 3 else formal
            if formal in ("layers", "...0"):
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
        if inputs and all("=" in each for each in rest):
            more = ", ".join(rest)
            return Code(
                f"keras.Sequential([keras.Input({', '.join(inputs)})], {more})", "sequential"
            )
        if not rest:
            return Code("keras.Sequential([])", "sequential")
        return Code(f"keras.Sequential({', '.join(rest)})", "sequential")

    def _do_as_tensor(self, node: Call, *_: Any) -> Code:
        parts: list[str] = []
        dtype, shape_ = "", ""
        for each in node.arguments:
            if each.value is None:
                continue
            if each.name == "dtype" or (not each.name and len(parts) == 1 and not dtype):
                dtype = self.expression(each.value).text
            elif each.name == "shape":
                shape_ = self._shape(each.value).text
            else:
                parts.append(self.expression(each.value).text)
        return Code(
            f"r.tensor({', '.join(parts)}{f', dtype={dtype}' if dtype else ''}"
            f"{f', shape={shape_}' if shape_ else ''})",
            "tensor",
        )

    def _do_set_random_seed(self, node: Call, *_: Any) -> Code:
        value = next((each.value for each in node.arguments if each.value is not None), None)
        seed = self._whole(value).text if value is not None else "None"
        if self.generation == 2:
            # It is that of the package tensorflow, which knows no Keras.
            return Code(f"r.set_random_seed({seed})")
        return Code(f"keras.utils.set_random_seed({seed})")

    _do_use_session_with_seed = _do_set_random_seed

    def _do_clear_session(self, *_: Any) -> Code:
        return Code("keras.backend.clear_session()")

    _do_k_clear_session = _do_clear_session

    def _do_import(self, node: Call, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        if isinstance(value, Text):
            return Code(f"__import__('importlib').import_module({value.value!r})", "module")
        return self.gap(node, "import() of a module that is not named")

    _do_import_ = _do_import

    def _do_custom_metric(self, node: Call, *_: Any) -> Code:
        values = [each.value for each in node.arguments if each.value is not None]
        return Code(
            f"r.called({', '.join(self.expression(v).text for v in reversed(values))})", "function"
        )

    def _do_tf_function(self, node: Call, *_: Any) -> Code:
        value = node.arguments[0].value if node.arguments else None
        return self.expression(value) if value is not None else Code("None")

    def _do_tuple(self, node: Call, *_: Any) -> Code:
        inside = [
            self.expression(each.value).text for each in node.arguments if each.value is not None
        ]
        return Code(f"({', '.join(inside)}{',' if len(inside) == 1 else ''})", "py")

    _do_tuple_ = _do_tuple

    def _do_dict(self, node: Call, *_: Any) -> Code:
        return self._do_list_(node)

    _do_dict_ = _do_dict

    def _do_np_array(self, node: Call, *_: Any) -> Code:
        inside = [each for each in node.arguments if each.value is not None]
        data = inside[0].value if inside else None
        parts = [f"r.array({self.expression(data).text})"] if data is not None else []
        parts += [
            f"dtype={self.expression(each.value).text}"
            for each in inside[1:]
            if each.value is not None
        ]
        return Code(f"np.array({', '.join(parts)})", "array")

    def _do_freeze_weights(self, node: Call, *_: Any) -> Code:
        if len(node.arguments) != 1 or node.arguments[0].value is None:
            return self.gap(node, f"{node.name}() of some of the layers")
        text = self.expression(node.arguments[0].value).text
        return Code(f"r.frozen({text}, {node.name != 'freeze_weights'})", "py")

    _do_unfreeze_weights = _do_freeze_weights

    def _do_Sys_time(self, *_: Any) -> Code:  # noqa: N802 - R's own name
        return Code("__import__('time').time()", "float")

    def _do_summary(self, node: Call, *_: Any) -> Code:
        return Code(f"r.summary({self._given(node)})")

    def _do_suppressWarnings(self, node: Call, *_: Any) -> Code:  # noqa: N802 - R's own name
        value = node.arguments[0].value if node.arguments else None
        return self.expression(value) if value is not None else Code("None")

    def _drawing(self, node: Call) -> Code:
        """Return what is given to a plot, which is made but not drawn."""
        parts = []
        for each in node.arguments:
            made = each.value is not None and any(
                isinstance(part, Call) for part in walk(each.value)
            )
            if (
                made
                and each.value is not None
                and not any(isinstance(part, Unknown) for part in walk(each.value))
            ):
                mark = self.mark()
                code = self.expression(each.value)
                if "r.gap(" in code.text and not _calls_python(each.value):
                    self.back_to(mark)
                    continue
                parts.append(code.text)
        return Code(f"r.nothing({', '.join(parts)})" if parts else "None")

    def _do_max_col(self, node: Call, *_: Any) -> Code:
        return self._base_call(node)

    def _do_nlevels(self, node: Call, *_: Any) -> Code:
        return self._base_call(node)


def _calls_python(node: Node) -> bool:
    """Say whether a model may be run in an expression."""
    return any(
        isinstance(each, Call) and each.name in ("predict", "evaluate", "fit", "")
        for each in walk(node)
    )


def _is_null(node: Node | None) -> bool:
    return isinstance(node, Symbol) and node.name == "NULL"


__all__ = ["Calls", "NeedsStatementsError", "exports"]
