"""From recorded boundary calls to steps of Python, one for each call that can be made without R."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Call, Capsule
from bridge.capsule.values import (
    ArrayValue,
    Closure,
    Items,
    Method,
    ObjectValue,
    Opaque,
    Pairs,
    Scalar,
    Slice,
    Symbol,
    Value,
)
from bridge.errors import BridgeError
from bridge.facts.keras import BUILTINS
from bridge.trace.call_semantics import (
    KERAS,
    LIBRARIES,
    STANDING,
    is_aside,
    made_in_r,
    of_script,
    owner,
    writes,
)
from bridge.translate import literal, names
from bridge.translate.literal import (
    Apply,
    Attribute,
    Dictionary,
    Expression,
    Item,
    Made,
    Text,
    made_in,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What front ends ask while they convert; nobody misses it where the answer is not used.
_ASKING: Final = _words(
    "as_dtype is_tensor is_tf_type floatx backend convert_to_tensor "
    "convert_to_tensor_v2_with_dispatch saturate_cast issubdtype array asarray numpy "
    "tolist item astype as_list is_keras_tensor isinstance callable len repr type "
    "__str__ __repr__ get_config count_params "
)
#: What a script saves goes into a folder of the replay's own.
_SAVING: Final = frozenset({"save", "save_weights", "export", "save_model"})
_PATHS: Final = ("filepath", "path", "filename")
_SHOWN: Final = _words("predict predict_on_batch evaluate test_on_batch train_on_batch")


_CLOSURE: Final = "it was given a function that is written in R"


class UnmadeError(BridgeError, ValueError):
    """A recorded value cannot be had without R; the message says which and why."""


@dataclass
class Step:
    """One statement to be.

    ``expression`` is None for a remark. ``wanted`` is R's name of the result, ``default`` ours.
    ``asking`` marks what is left out where nobody uses the result, ``binds`` what has a result;
    ``layered`` is a call of something that was made before. ``fails`` holds the error that R met.
    """

    number: int
    expression: Expression | None
    call: Call | None = None
    wanted: str = ""
    default: str = "value"
    asking: bool = False
    binds: bool = True
    layered: bool = False
    shown: bool = False
    sets: str = ""
    fails: str = ""
    remarks: list[str] = field(default_factory=list)

    def refers_to(self) -> list[int]:
        """Return the numbers of the steps whose results it needs, in order of evaluation."""
        return [] if self.expression is None else list(made_in(self.expression))


class Steps:
    """The steps of one run; ``arrays`` are kept beside the script, by name."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule
        self.steps: list[Step] = []
        self.arrays: dict[str, AnyArray] = {}
        self.imports: dict[str, None] = {}
        self.gaps: list[str] = []
        self.keeps_files = False
        self._known: dict[int, Expression] = {}
        self._unmade: dict[int, str] = {}
        self._data: dict[tuple[str, str, str], tuple[Expression, str]] = {}
        self._files: dict[str, Expression] = {}
        self._aliases: dict[str, str] = {}
        self._own: set[int] = set()
        self._written = names.Written(Call(id=0, kind="run", target=Scalar(t="none")))
        self._call: Call | None = None
        for call in of_script(capsule):
            self._take(call)

    def _take(self, call: Call) -> None:
        self._written, self._call = names.Written(call), call
        try:
            if call.kind == "call":
                self._calls(call)
            elif call.kind == "getattr":
                self._reads(call, Attribute(self._value(call.target), _plain(call.name)))
            elif call.kind == "getitem":
                self._reads(call, Item(self._value(call.target), _key(call)))
            elif call.kind == "setattr" and call.result is not None:
                target = Attribute(self._value(call.target), _plain(call.name))
                value = self._value(call.result, None, call.name)
                step = self._add(value, call=call, binds=False)
                step.sets = call.name
                step.expression = Apply(target, (value,))
        except ValueError as error:
            self._unmake(call, _CLOSURE if _has_closure(call) else str(error))

    def _calls(self, call: Call) -> None:
        if isinstance(call.target, Method) and isinstance(call.target.owner, (Items, Pairs)):
            # A list of Python's own, of which R has a copy: nothing of the script's hangs on it.
            return
        function = self._function(call)
        name = self._aliases.get(_name_of(call.target), _name_of(call.target))
        if name.rpartition(".")[2] in _SAVING:
            self._keep_files(call)
        remarks: list[str] = []
        args = tuple(self._value(item, n) for n, item in enumerate(call.args))
        kwargs: list[tuple[str, Expression]] = []
        extra: list[tuple[str, Expression]] = []
        for key, item in call.kwargs.items():
            if key in call.defaults:
                continue
            value = self._callbacks(item, remarks) if key == "callbacks" else None
            value = value or self._value(item, None, key)
            (kwargs if names.is_plain(key) else extra).append((key, value))
        if extra:
            pairs = Dictionary(tuple((Text(literal.text(key)), value) for key, value in extra))
            kwargs.append(("**", pairs))
        owner = call.target if isinstance(call.target, (ObjectValue, Method)) else None
        if name == "__getitem__" and len(args) == 1 and isinstance(function, Attribute):
            made: Expression = Item(function.owner, args[0])
        else:
            made = Apply(function, args, tuple(kwargs))
        method = name.rpartition(".")[2]
        asking = method in _ASKING
        if asking and call.error is not None:
            return
        step = self._add(
            made,
            call=call,
            default=self._default(call, name),
            asking=asking,
            binds=not _is_nothing(call.result),
            layered=isinstance(owner, ObjectValue),
            shown=method in _SHOWN and isinstance(call.target, Method),
            fails=f"{call.error.cls}: {call.error.message}" if call.error else "",
        )
        step.remarks = remarks
        self._bind(call.result, Made(step.number))

    def _reads(self, call: Call, read: Expression) -> None:
        if isinstance(call.result, Method) and call.result.name != call.name:
            # A method may be found by another name than the one that it gives itself.
            self._aliases[call.result.name] = call.name
        fresh = [number for number in _numbers(call.result) if number not in self._known]
        if fresh and not isinstance(call.result, Method):
            step = self._add(read, call=call, default=names.of_result(call.name), asking=True)
            self._bind(call.result, Made(step.number))

    def _add(self, expression: Expression | None, **about: Any) -> Step:
        step = Step(len(self.steps), expression, **({"call": self._call} | about))
        self.steps.append(step)
        return step

    def _unmake(self, call: Call, why: str) -> None:
        for number in _numbers(call.result):
            self._unmade.setdefault(number, why)
        if call.kind in ("getattr", "getitem") or _name_of(call.target) in _ASKING:
            return
        if is_aside(call):
            if _is_front_ends_own(call):
                self._own.update(_numbers(call.result))
            return
        made_on = owner(call)
        if isinstance(made_on, ObjectValue) and not writes(call.target):
            # It lacks now what R gave it: nothing that it makes is R's any more.
            self._known.pop(made_on.id, None)
            self._unmade[made_on.id] = why
        self.gaps.append(_where(call, why))
        step = self._add(None, call=call, remarks=[f"Not made again: {why}."])
        if isinstance(call.result, ArrayValue) and call.result.t == "array" and call.result.key:
            step.remarks.append("What it gave in R:")
            name = names.of_result(_name_of(call.target))
            value = self._stored(call.result, name)
            self._add(value, call=call, default=name, wanted=name, layered=True)

    def _default(self, call: Call, name: str) -> str:
        if isinstance(call.result, ObjectValue) and not isinstance(call.target, Method):
            return names.of_class(call.result.cls)
        return names.of_result(name)

    def _bind(self, value: Value | None, made: Expression) -> None:
        """Remember how the objects that a step made can be had."""
        number = getattr(value, "id", None)
        if number is not None:
            if not isinstance(value, Closure):
                self._known.setdefault(number, made)
        elif isinstance(value, Items) and value.t != "set":
            for place, item in enumerate(value.items):
                self._bind(item, Item(made, Text(str(place))))
        elif isinstance(value, Pairs):
            for key, item in value.items:
                if isinstance(key, Scalar):
                    self._bind(item, Item(made, Text(literal.scalar(key))))

    def _function(self, call: Call) -> Expression:
        name = _name_of(call.target)
        if writes(call.target) and name.rpartition(".")[2] not in _SAVING:
            raise UnmadeError(f"{name}() writes files")
        return self._value(call.target)

    def _keep_files(self, call: Call) -> None:
        """What the script saves goes into a folder of its own, not where the user's files are."""
        for value in (*call.args, *(call.kwargs.get(key) for key in _PATHS)):
            if isinstance(value, Scalar) and value.t == "str":
                name = PurePosixPath(value.v.replace("\\", "/")).name or "saved"
                self._files[value.v] = Apply(
                    Text("os.path.join"), (Text("folder"), Text(literal.text(name)))
                )
                self.keeps_files = True

    def _callbacks(self, value: Value, remarks: list[str]) -> Expression | None:
        """Callbacks that were written in R are left out, and named."""
        if not isinstance(value, Items):
            return None
        kept = []
        for item in value.items:
            try:
                kept.append(self._value(item))
            except UnmadeError as error:
                if isinstance(item, ObjectValue) and item.id in self._own:
                    continue
                remarks.append(f"A callback is left out: {error}.")
                if self._call is not None:
                    self.gaps.append(_where(self._call, str(error)))
        return literal.brackets(value.t, tuple(kept))

    def _value(self, value: Value, place: int | None = None, key: str = "") -> Expression:
        match value:
            case Scalar():
                return self._files.get(value.v, Text(literal.scalar(value)))
            case Items():
                found = literal.numbers(value)
                if found is not None and value.t in ("list", "tuple"):
                    return self._long(found, value.t, place, key)
                return literal.brackets(value.t, tuple(self._value(each) for each in value.items))
            case Pairs():
                return Dictionary(tuple((self._value(k), self._value(v)) for k, v in value.items))
            case Slice():
                ends = (self._value(each) for each in (value.start, value.stop, value.step))
                return Apply(Text("slice"), tuple(ends))
            case ArrayValue():
                return self._array(value, place, key)
            case ObjectValue():
                if value.id in self._known:
                    return self._known[value.id]
                if value.cls in STANDING:
                    self._imports_for(STANDING[value.cls])
                    return Text(STANDING[value.cls])
                made = f"an object of class {value.cls} was made where the trace cannot see it"
                raise UnmadeError(self._unmade.get(value.id, made))
            case Symbol():
                return self._symbol(value)
            case Method():
                name = self._aliases.get(value.name, value.name)
                return Attribute(self._value(value.owner), _plain(name))
            case Opaque():
                raise UnmadeError(f"a value was not recorded: {value.text}")
        raise UnmadeError(_CLOSURE)

    def _imports_for(self, name: str) -> None:
        if "." not in name:
            self.imports[f"import {name}"] = None

    def _symbol(self, value: Symbol) -> Expression:
        module, _, name = value.path.partition(":")
        root = module.partition(".")[0]
        if module == "builtins" and name in BUILTINS:
            return Text(name)
        spelled = [*module.split("."), *name.split(".")] if name else module.split(".")
        if root == "rclasses" or made_in_r(module):
            raise UnmadeError("its class is written in R")
        if root not in LIBRARIES or not all(map(names.is_plain, spelled)):
            raise UnmadeError(f"{value.path} is not of TensorFlow, Keras or NumPy")
        if root == "numpy":
            return Text(".".join(["np", *spelled[1:]]))
        public = [part for part in value.public.split(".") if part not in ("api", "_v2")]
        public = (
            ["keras", *(part for part in public[1:] if part != "keras")]
            if (public[0] in KERAS)
            else ["keras", *public[2:]]
            if public[:2] == ["tf", "keras"]
            else public
        )
        if public[0] == "tensorflow":
            public[0] = "tf"
        if public[0] in ("keras", "tf") and all(map(names.is_plain, public)):
            return Text(".".join(public))
        if not name:
            raise UnmadeError(f"the module {module} has no documented name")
        first = name.partition(".")[0]
        self.imports[f"from {module} import {first}"] = None
        return Text(name)

    def _array(self, value: ArrayValue, place: int | None, key: str) -> Expression:
        if value.id is not None and value.id in self._known:
            return self._known[value.id]
        name = self._written.name(place, key) if place is not None or key else ""
        stored = self._stored(value, key, name)
        if value.t == "array":
            return stored
        made = Text("tf.constant" if value.t == "tensor" else "tf.Variable")
        step = self._add(Apply(made, (stored,)), default=value.t, asking=True, wanted=name)
        if value.id is not None:
            self._known[value.id] = Made(step.number)
        return Made(step.number)

    def _stored(self, value: ArrayValue, key: str, name: str = "") -> Expression:
        if value.key is None:
            raise UnmadeError(f"the elements of an array of shape {value.shape} were not recorded")
        order = "F" if value.order == "F" else ""
        about = (value.key, order, name)
        if about in self._data:
            return self._data[about][0]
        values = np.asarray(self._capsule.arrays[value.key])
        short = literal.array(values, order)
        if short is not None and not name:
            return short
        found = short or self._beside(values, order, name or names.identifier(key) or "values")
        # R's name is kept where there is one; else it stands where it is used.
        step = self._add(found, default=names.identifier(key) or "values", wanted=name, asking=True)
        self._data[about] = (Made(step.number), name)
        return Made(step.number)

    def _long(self, values: AnyArray, kind: str, place: int | None, key: str) -> Expression:
        """A long list of numbers."""
        name = self._written.name(place, key)
        span = literal.count_up(values.tolist()) if values.dtype.kind == "i" else None
        if span:
            return Apply(Text(kind), (Text(f"range({span})"),))
        stored = self._beside(values, "", name or names.identifier(key) or "values")
        listed: Expression = Apply(Attribute(stored, "tolist"))
        return listed if kind == "list" else Apply(Text("tuple"), (listed,))

    def _beside(self, values: AnyArray, order: str, name: str) -> Expression:
        """Keep an array in the file beside the script."""
        raw, restored = literal.storable(values)
        number, free = 1, name
        while free in self.arrays and not _same(self.arrays[free], raw):
            number += 1
            free = f"{name}_{number}"
        self.arrays[free] = raw
        found: Expression = Item(Text("data"), Text(f'"{free}"'))
        if restored:
            found = Text(f'data["{free}"]{restored}')
        return Apply(Text("np.asfortranarray"), (found,)) if order else found


def _has_closure(call: Call) -> bool:
    """Say whether a call was given a function of R's, at whatever depth."""
    stack: list[Value | None] = [*call.args, *call.kwargs.values()]
    while stack:
        item = stack.pop()
        if isinstance(item, Closure):
            return True
        if isinstance(item, Items):
            stack += item.items
        elif isinstance(item, Pairs):
            stack += [each for pair in item.items for each in pair]
    return False


def _is_front_ends_own(call: Call) -> bool:
    """Say whether a call makes a callback that the front end adds of itself."""
    return names.Written(call).is_method and "RCallback" in _name_of(call.target)


def _same(a: AnyArray, b: AnyArray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _plain(name: str) -> str:
    if not names.is_plain(name):
        raise UnmadeError(f"{name!r} is no name in Python")
    return name


def _key(call: Call) -> Expression:
    """Return the key of an item that R read, where it is a whole number or a name."""
    digits = call.name.removesuffix("L").removeprefix("-")
    if digits.isascii() and digits.isdigit():
        return Text(call.name.removesuffix("L"))
    return Text(literal.text(call.name))


def _name_of(target: Value) -> str:
    if isinstance(target, Method):
        return target.name
    return target.path.rpartition(":")[2] if isinstance(target, Symbol) else ""


def _numbers(value: Value | None) -> list[int]:
    """Return the numbers of the objects in a value."""
    number = getattr(value, "id", None)
    if number is not None:
        return [number]
    if isinstance(value, Items):
        return [each for item in value.items for each in _numbers(item)]
    if isinstance(value, Pairs):
        return [each for _, item in value.items for each in _numbers(item)]
    return []


def _is_nothing(value: Value | None) -> bool:
    return value is None or (isinstance(value, Scalar) and value.t == "none")


def _where(call: Call, why: str) -> str:
    line = f" (line {call.line})" if call.line else ""
    return f"{call.r_call or call.kind}{line}: {why}"
