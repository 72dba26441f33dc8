"""From recorded boundary calls to steps of Python, one for each call that can be made without R."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Call, Capsule
from bridge.capsule.schema import Invocation
from bridge.capsule.values import (
    ArrayValue,
    Class,
    Closure,
    Descriptor,
    Generator,
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
    Invocations,
    classes_of,
    is_aside,
    is_front_end,
    made_in_r,
    of_script,
    owner,
    writes,
)
from bridge.translate import spelling
from bridge.translate.spelling import (
    Apply,
    Attribute,
    Dictionary,
    Expression,
    Item,
    PythonText,
    Sequence,
    StatementResult,
    made_in,
    renamed,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What front ends ask while they convert; nobody misses it where the answer is not used.
_ASKING: Final = _words(
    "as_dtype is_tensor is_tf_type floatx backend convert_to_tensor "
    "convert_to_tensor_v2_with_dispatch saturate_cast issubdtype array asarray numpy "
    "tolist item astype as_list is_keras_tensor isinstance callable len repr type "
    "__str__ __repr__ get_config count_params super "
)
#: What a script saves goes into a folder of the replay's own.
_SAVING: Final = frozenset(
    {"save", "save_weights", "export", "save_model", "load_model", "load_weights"}
    | {"ModelCheckpoint", "CSVLogger", "TensorBoard", "BackupAndRestore"}
)
_PATHS: Final = ("filepath", "path", "filename", "log_dir", "backup_dir")
_SHOWN: Final = _words("predict predict_on_batch evaluate test_on_batch train_on_batch")


#: What the front ends have for classes of R6: the class of Keras, and the methods that call R.
_PROXIES: Final[Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]]] = {
    "RLayer": (
        "keras.layers.Layer",
        {
            "build": ("input_shape",),
            "call": ("inputs", "mask"),
            "compute_output_shape": ("input_shape",),
        },
    ),
    "RConstraint": ("keras.constraints.Constraint", {"__call__": ("w",)}),
}
#: How many bodies of a function are looked at, and in how many ways it is written.
_MOST_BODIES: Final = 50
_MOST_BRANCHES: Final = 8

_CLOSURE: Final = "it was given a function that is written in R"


class UnmadeError(BridgeError, ValueError):
    """A recorded value cannot be had without R; the message says which and why."""


@dataclass
class Step:
    """One statement to be.

    ``expression`` is None for a remark. ``wanted`` is R's name of the result, ``default`` ours.
    ``asking`` marks what is left out where nobody uses the result, ``binds`` what has a result;
    ``layered`` is a call of something that was made before. ``fails`` holds the error that R met.

    A function or a class has a ``head``, its first line, and a ``body``; ``gives`` is the
    word for what a function returns.
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
    gives: str = ""
    head: str = ""
    body: list[Step] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def refers_to(self) -> list[int]:
        """Return the numbers of the steps whose results it needs, in order of evaluation."""
        found = [] if self.expression is None else list(made_in(self.expression))
        own = {step.number for step in self.body}
        inside = (number for step in self.body for number in step.refers_to())
        return found + [number for number in inside if number not in own]


def needed(steps: Many[Step]) -> list[Step]:
    """Leave out what was only asked, and of which nobody used the answer."""
    used: set[int] = set()
    kept = []
    for step in reversed(steps):
        if step.asking and step.number not in used:
            continue
        used.update(step.refers_to())
        kept.append(step)
    return kept[::-1]


class Steps:
    """The steps of one run; ``arrays`` are kept beside the script, by name."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule
        self.steps: list[Step] = []
        self._into = self.steps
        self._count = 0
        self._invocations = Invocations(capsule)
        self._classes = {
            recorded_class.id: recorded_class for recorded_class in classes_of(capsule)
        }
        self._defined: dict[int, Expression] = {}
        self._taken: set[str] = set()
        self._beside_functions: set[str] = set()
        self._made_inside: dict[int, tuple[Step, StatementResult]] = {}
        self._keeping: dict[int, Expression] = {}
        self._later: dict[int, Expression] = {}
        self._named: dict[int, str] = {}
        self._given: dict[str, Expression] = {}
        self._scalars: dict[str, Scalar] = {}
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
        self._written = spelling.Written(Call(id=0, kind="run", target=Scalar(t="none")))
        self._call: Call | None = None
        for call in of_script(capsule):
            self._take(call)
        self._resolve(self.steps)

    def _resolve(self, steps: Many[Step]) -> None:
        """Put what was made later in its place within the functions that speak of it."""
        for step in steps:
            wanted = [number for number in step.refers_to() if number < 0]
            if step.expression is not None and wanted:
                step.expression = renamed(step.expression, self._made_later)
            self._resolve(step.body)

    def _made_later(self, number: int) -> Expression:
        if number >= 0:
            return StatementResult(number)
        found = self._known.get(-number)
        if found is None:
            why = "an object that a function of R's uses was made where the trace cannot see it"
            self.gaps.append(why)
            return PythonText("None")
        return found

    def _take(self, call: Call) -> None:
        self._written, self._call = spelling.Written(call), call
        if call.kind == "setattr" and isinstance(call.target, Closure):
            return
        try:
            if call.kind == "call" and is_front_end(_path(call.target)):
                self._helps(call)
            elif call.kind == "call":
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
            (kwargs if spelling.is_plain(key) else extra).append((key, value))
        if extra:
            pairs = Dictionary(
                tuple((PythonText(spelling.text(key)), value) for key, value in extra)
            )
            kwargs.append(("**", pairs))
        owner = call.target if isinstance(call.target, (ObjectValue, Method)) else None
        if name == "__getitem__" and len(args) == 1 and isinstance(function, Attribute):
            expression: Expression = Item(function.owner, args[0])
        else:
            expression = Apply(function, args, tuple(kwargs))
        method = name.rpartition(".")[2]
        asking = method in _ASKING
        if asking and call.error is not None:
            return
        step = self._add(
            expression,
            call=call,
            default=self._default(call, name),
            asking=asking,
            binds=not _is_nothing(call.result),
            layered=isinstance(owner, ObjectValue),
            shown=method in _SHOWN and isinstance(call.target, Method),
            fails=f"{call.error.cls}: {call.error.message}" if call.error else "",
        )
        step.remarks = remarks
        if isinstance(owner, ObjectValue):
            # A layer may hand on what it is given, which at another call it changes.
            for number in _numbers(call.result):
                self._known.pop(number, None)
        self._bind(call.result, StatementResult(step.number))

    def _reads(self, call: Call, read: Expression) -> None:
        if isinstance(call.result, Method) and call.result.name != call.name:
            # A method may be found by another name than the one that it gives itself.
            self._aliases[call.result.name] = call.name
        fresh = [number for number in _numbers(call.result) if number not in self._known]
        if fresh and not isinstance(call.result, Method):
            step = self._add(read, call=call, default=spelling.of_result(call.name), asking=True)
            self._bind(call.result, StatementResult(step.number))

    def _add(self, expression: Expression | None, **about: Any) -> Step:
        step = Step(self._count, expression, **({"call": self._call} | about))
        self._count += 1
        self._into.append(step)
        return step

    # Functions and classes of R's.

    def _function_of(self, closure: Closure, wanted: str = "") -> Expression:
        """Define a function of R's, as what it called, and return what it is called."""
        if closure.id in self._defined:
            return self._defined[closure.id]
        if not self._invocations.knows(closure):
            raise UnmadeError(_CLOSURE)
        own = "" if closure.name == "python_function" else spelling.identifier(closure.name)
        name = self._free(own or spelling.identifier(wanted) or "r_function")
        step = self._definition(closure, name)
        self._defined[closure.id] = StatementResult(step.number)
        return StatementResult(step.number)

    def _free(self, name: str) -> str:
        """Return a name that no other definition has."""
        number, free = 1, name
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free

    def _definition(self, closure: Closure, name: str, own: Many[str] = ()) -> Step:
        """Define a function as what R did in it: call by call, where that was not the same.

        ``own`` names what it is given, where R's names are not known.
        """
        found = self._invocations.of(closure.id)
        whole = [invocation for invocation in found if invocation.error is None] or found[:1]
        step = Step(-1, PythonText(name), call=self._call, wanted=name, asking=True)
        heads, _ = self._parameters(closure, whole[0] if whole else None, own)
        step.head = f"def {name}({', '.join(heads)}):"
        if not whole:
            step.remarks.append("R was never asked.")
        elif not any(map(self._invocations.calls, whole)) and not self._invocations.alike(whole):
            step.remarks.append("R computed what it gave: what that was, call by call.")
            results = (invocation.result or Scalar(t="none") for invocation in whole)
            gave = spelling.brackets("list", tuple(map(self._value, results)))
            source = self._beforehand(Apply(PythonText("iter"), (gave,)), f"{name}_gave")
            with self._inside(step):
                self._gives(Apply(PythonText("next"), (StatementResult(source.number),)))
        else:
            self._branches(step, self._groups(closure, whole, own), name)
        return self._close(step)

    def _beforehand(self, expression: Expression, name: str) -> Step:
        """Add what a function goes on with from call to call, before all definitions."""
        within, self._into = self._into, self.steps
        taken, self._taken = self._taken, self._beside_functions
        step = self._add(expression, wanted=self._free(name))
        self._into, self._taken = within, taken
        return step

    def _close(self, step: Step) -> Step:
        step.number, self._count = self._count, self._count + 1
        self._into.append(step)
        return step

    def _groups(
        self, closure: Closure, whole: Many[Invocation], own: Many[str]
    ) -> list[tuple[list[int], Step]]:
        """Return what R did, and at which calls, counted from 1."""
        groups: dict[str, tuple[list[int], Step]] = {}
        known: dict[object, str] = {}
        for place, invocation in enumerate(whole, start=1):
            look = self._invocations.look(invocation)
            if look not in known and len(known) < _MOST_BODIES:
                part = Step(-1, None, call=self._call)
                with self._inside(part):
                    self._body(invocation, self._parameters(closure, invocation, own)[1])
                known[look] = _canonical(part.body)
                groups.setdefault(known[look], ([], part))
            if look in known:
                groups[known[look]][0].append(place)
        return list(groups.values())

    def _branches(self, step: Step, groups: Many[tuple[list[int], Step]], name: str) -> None:
        if len(groups) == 1:
            step.body = groups[0][1].body
            return
        if len(groups) > _MOST_BRANCHES:
            step.remarks.append("R did other things at other calls: this is the first of them.")
            if self._call is not None:
                self.gaps.append(_where(self._call, f"{name}() does other things at other calls"))
            step.body = groups[0][1].body
            return
        self.imports["import itertools"] = None
        counting = Apply(PythonText("itertools.count"), (PythonText("1"),))
        counter = self._beforehand(counting, f"{name}_asked")
        with self._inside(step):
            asked = self._add(
                Apply(PythonText("next"), (StatementResult(counter.number),)),
                call=None,
                wanted="asked",
            )
            asked.binds = True
            word = "if"
            for places, part in groups[1:]:
                if part.body:
                    listed = ", ".join(map(str, places)) + ("," if len(places) == 1 else "")
                    part.head = f"{word} asked in ({listed}):"
                    self._close(part)
                    word = "elif"
            if groups[0][1].body:
                groups[0][1].head = "else:" if word == "elif" else "if asked:"
                self._close(groups[0][1])

    @contextmanager
    def _inside(self, step: Step) -> Iterator[None]:
        """Add what follows to the body of a definition; what it makes is not known outside."""
        before = self._into, dict(self._known), dict(self._data), self._call, self._written
        given = self._given, self._scalars
        self._into, self._given, self._scalars = step.body, {}, {}
        try:
            yield
        finally:
            step.body[:] = needed(step.body)
            own = {inner.number for inner in step.body}
            for number, expression in self._known.items():
                if isinstance(expression, StatementResult) and expression.by in own:
                    self._made_inside[number] = (step, expression)
            self._into, self._known, self._data, self._call, self._written = before
            self._given, self._scalars = given

    def _kept(self, number: int) -> Expression | None:
        """Return what a function made that goes on living outside it, as a layer's weight in R.

        It is kept where it is made.
        """
        if number not in self._made_inside:
            return None
        if number not in self._keeping:
            step, expression = self._made_inside[number]
            place = next(
                (n for n, inner in enumerate(step.body) if inner.number == expression.by), None
            )
            if place is None:
                return None
            if not self._keeping:
                # Before everything else.
                self.steps.insert(0, Step(self._count, PythonText("{}"), wanted="kept"))
                self._count += 1
            self._keeping[number] = Item(
                PythonText("kept"), PythonText(str(len(self._keeping) + 1))
            )
            keeping = Step(self._count, Apply(self._keeping[number], (expression,)), sets="kept")
            keeping.binds = False
            self._count += 1
            step.body.insert(place + 1, keeping)
        return self._keeping[number]

    def _body(self, invocation: Invocation, bound: Many[tuple[Value, str]]) -> None:
        for value, name in bound:
            for number in _numbers(value):
                self._known.pop(number, None)
            self._bind(value, PythonText(name))
            if isinstance(value, ArrayValue) and value.key and value.t == "array":
                self._given[value.key] = PythonText(name)
            if isinstance(value, Scalar):
                self._scalars[name] = value
        for call in self._invocations.calls(invocation):
            self._take(call)
        try:
            self._gives(self._value(invocation.result or Scalar(t="none")))
        except ValueError as error:
            self._add(None, remarks=[f"What it returned is not made again: {error}."])

    def _gives(self, value: Expression) -> None:
        if value != PythonText("None"):
            self._add(value, call=None, gives="return", binds=False)

    def _parameters(
        self, closure: Closure, invocation: Invocation | None, own: Many[str] = ()
    ) -> tuple[list[str], list[tuple[Value, str]]]:
        """Return how the parameters are written, and which of them were given what."""
        args = invocation.args if invocation is not None else ()
        kwargs = dict(invocation.kwargs) if invocation is not None else {}
        if closure.parameters is None:
            placed = [f"given_{n + 1}" for n in range(len(args))] if len(args) > 1 else ["given"]
            placed = [*own, *placed[len(own) :]]
            named = [(value, name) for name, value in zip(placed, args, strict=False)]
            named += [(value, key) for key, value in kwargs.items() if spelling.is_plain(key)]
            return [*placed[: len(args)], *kwargs], named
        heads, found = [], []
        places = iter(args)
        for parameter in closure.parameters:
            if parameter.kind == "rest":
                heads.append(f"*{parameter.name}")
                found += [(value, f"{parameter.name}[{n}]") for n, value in enumerate(places)]
                continue
            if parameter.kind == "keywords":
                heads.append(f"**{parameter.name}")
                own_names = {formal.name for formal in closure.parameters}
                found += [
                    (value, f"{parameter.name}[{spelling.text(key)}]")
                    for key, value in kwargs.items()
                    if key not in own_names
                ]
                continue
            default = ""
            if parameter.default is not None:
                expression = self._value(parameter.default)
                default = f"={spelling.write(expression, lambda _: PythonText('None'))}"
            heads.append(f"{parameter.name}{default}")
            value = kwargs.get(parameter.name) or next(places, None)
            if value is not None:
                found.append((value, parameter.name))
        return heads, found

    def _generator(self, value: Generator) -> Expression:
        source = self._value(value.source)
        name = self._free("batches")
        step = Step(-1, PythonText(name), call=self._call, wanted=name, asking=True)
        step.head = f"def {name}():"
        with self._inside(step):
            self._add(source, call=None, gives="yield from", binds=False)
        self._known[value.id] = Apply(StatementResult(self._close(step).number))
        return self._known[value.id]

    def _class_of(self, found: Class) -> Expression:
        """Define a class that was written in R, and return what it is called."""
        if found.id in self._defined:
            return self._defined[found.id]
        bases = tuple(self._value(base) for base in found.bases)
        spelled = [
            spelling.write(base, lambda number: PythonText(self._named[number])) for base in bases
        ]
        name = self._free(spelling.identifier(found.name))
        step = Step(-1, Sequence("(", ")", bases), call=self._call, wanted=name, asking=True)
        step.head = f"class {name}({', '.join(spelled)}):"
        self._defined[found.id] = PythonText(name)
        taken, self._taken = self._taken, set()
        with self._inside(step):
            for member, value in found.members:
                self._member(member, value)
        self._taken = taken
        self._close(step)
        self._named[step.number] = name
        self._defined[found.id] = StatementResult(step.number)
        return StatementResult(step.number)

    def _member(self, name: str, value: Value) -> None:
        if isinstance(value, Descriptor):
            function = value.functions[0] if value.functions else None
            if isinstance(function, Closure) and self._invocations.asked(function.id):
                step = self._definition(function, name)
                step.head = f"@{value.kind}\n{step.head}"
                step.asking = False
        elif isinstance(value, Closure):
            if self._invocations.asked(value.id):
                self._definition(value, name).asking = False
        elif spelling.is_plain(name) and not name.startswith("__"):
            self._add(self._value(value), wanted=name)

    def _helps(self, call: Call) -> None:
        """What the front ends have in Python, in the words of Keras.

        Raises:
            UnmadeError: there is nothing like it.
        """
        name = _name_of(call.target)
        if name == "RGenerator" and isinstance(call.args[0], Closure):
            found = self._invocations.of(call.args[0].id)
            given = tuple(self._value(e.result) for e in found if e.result is not None)
            expression = Apply(PythonText("iter"), (spelling.brackets("list", given),))
            step = self._add(expression, call=call, default="batches")
        elif name == "RCallback":
            moments = {
                key.removeprefix("r_"): value
                for key, value in call.kwargs.items()
                if isinstance(value, Closure) and key != "r_set_context" and self._acts(value)
            }
            if not moments:
                self._own.update(_numbers(call.result))
                raise UnmadeError(_CLOSURE)
            functions = tuple(
                (key, self._function_of(value, key)) for key, value in moments.items()
            )
            expression = Apply(PythonText("keras.callbacks.LambdaCallback"), (), functions)
            step = self._add(expression, call=call, default="callback")
        elif name in _PROXIES:
            step = self._proxy(call, *_PROXIES[name])
        else:
            raise UnmadeError(_CLOSURE)
        self._bind(call.result, StatementResult(step.number))

    def _proxy(self, call: Call, base: str, methods: Mapping[str, tuple[str, ...]]) -> Step:
        """Define a class of Keras whose methods are functions of R's, and make one of it."""
        placed = dict(zip(("r_call", "r_get_config"), call.args, strict=False))
        everything = (*placed.items(), *call.kwargs.items())
        functions = {key: value for key, value in everything if isinstance(value, Closure)}
        name = self._free("WrittenInR")
        kind = Step(-1, PythonText(name), call=call, wanted=name, asking=True)
        kind.head = f"class {name}({base}):"
        with self._inside(kind):
            for number in _numbers(call.result):
                self._known[number] = PythonText("self")
            for method, own in methods.items():
                closure = functions.get("r_call" if "call" in method else f"r_{method}")
                if closure is None or not self._invocations.asked(closure.id):
                    continue
                step = self._definition(closure, method, own)
                step.asking = False
                step.head = step.head.replace(f"def {method}(", f"def {method}(self, ", 1)
                if method == "build":
                    # Keras wants nothing back, and goes on after it.
                    step.body[:] = [
                        replace(inner, gives="") if inner.gives else inner
                        for inner in step.body
                        if not (inner.gives and isinstance(inner.expression, StatementResult))
                    ]
                    up = Apply(Attribute(PythonText("super()"), method), (PythonText(own[0]),))
                    step.body.append(Step(self._count, up, binds=False))
                    self._count += 1
        self._close(kind)
        given = [(k, self._value(v, None, k)) for k, v in call.kwargs.items() if k not in functions]
        return self._add(
            Apply(StatementResult(kind.number), (), tuple(given)),
            call=call,
            default=spelling.of_class(name),
        )

    def _acts(self, closure: Closure) -> bool:
        """Say whether a function does more than read."""
        return any(
            call.kind in ("call", "setattr") and not is_aside(call)
            for invocation in self._invocations.of(closure.id)
            for call in self._invocations.calls(invocation)
        )

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
            name = spelling.of_result(_name_of(call.target))
            value = self._stored(call.result, name)
            self._add(value, call=call, default=name, wanted=name, layered=True)

    def _default(self, call: Call, name: str) -> str:
        if isinstance(call.result, ObjectValue) and not isinstance(call.target, Method):
            return spelling.of_class(call.result.cls)
        return spelling.of_result(name)

    def _bind(self, value: Value | None, expression: Expression) -> None:
        """Remember how the objects that a step made can be had."""
        number = getattr(value, "id", None)
        if number is not None:
            if not isinstance(value, Closure):
                self._known.setdefault(number, expression)
        elif isinstance(value, Items) and value.t != "set":
            for place, item in enumerate(value.items):
                self._bind(item, Item(expression, PythonText(str(place))))
        elif isinstance(value, Pairs):
            for key, item in value.items:
                if isinstance(key, Scalar):
                    self._bind(item, Item(expression, PythonText(spelling.scalar(key))))

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
                    PythonText("os.path.join"),
                    (PythonText("folder"), PythonText(spelling.text(name))),
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
        return spelling.brackets(value.t, tuple(kept))

    def _value(self, value: Value, place: int | None = None, key: str = "") -> Expression:
        match value:
            case Scalar() if key and self._scalars.get(key) == value:
                return PythonText(key)
            case Scalar():
                return self._files.get(value.v, PythonText(spelling.scalar(value)))
            case Items():
                found = spelling.numbers(value)
                if found is not None and value.t in ("list", "tuple"):
                    return self._long(found, value.t, place, key)
                return spelling.brackets(value.t, tuple(self._value(item) for item in value.items))
            case Pairs():
                return Dictionary(tuple((self._value(k), self._value(v)) for k, v in value.items))
            case Slice():
                ends = (self._value(end) for end in (value.start, value.stop, value.step))
                return Apply(PythonText("slice"), tuple(ends))
            case ArrayValue():
                return self._array(value, place, key)
            case ObjectValue():
                if value.id in self._known:
                    return self._known[value.id]
                if value.id in self._classes:
                    return self._class_of(self._classes[value.id])
                kept = self._kept(value.id)
                if kept is not None:
                    return kept
                if self._into is not self.steps and value.id not in self._unmade:
                    # A function may be written before what it speaks of is made.
                    return self._later.setdefault(value.id, StatementResult(-value.id))
                if value.cls in STANDING:
                    self._imports_for(STANDING[value.cls])
                    return PythonText(STANDING[value.cls])
                why = f"an object of class {value.cls} was made where the trace cannot see it"
                raise UnmadeError(self._unmade.get(value.id, why))
            case Symbol():
                return self._symbol(value)
            case Closure():
                return self._function_of(value, self._written.name(place, key) or key)
            case Class():
                return self._class_of(value)
            case Generator():
                return self._generator(value)
            case Method() if value.of is not None:
                return Attribute(PythonText("super()"), _plain(value.name))
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
            return PythonText(name)
        spelled = [*module.split("."), *name.split(".")] if name else module.split(".")
        if root == "rclasses" or made_in_r(module):
            raise UnmadeError("its class is written in R")
        if root not in LIBRARIES or not all(map(spelling.is_plain, spelled)):
            raise UnmadeError(f"{value.path} is not of TensorFlow, Keras or NumPy")
        if root == "numpy":
            return PythonText(".".join(["np", *spelled[1:]]))
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
        if public[0] in ("keras", "tf") and all(map(spelling.is_plain, public)):
            return PythonText(".".join(public))
        if not name:
            raise UnmadeError(f"the module {module} has no documented name")
        first = name.partition(".")[0]
        self.imports[f"from {module} import {first}"] = None
        return PythonText(name)

    def _array(self, value: ArrayValue, place: int | None, key: str) -> Expression:
        if value.id is not None and value.id in self._known:
            return self._known[value.id]
        if value.t == "array" and value.key in self._given:
            return self._given[value.key]
        name = self._written.name(place, key) if place is not None or key else ""
        stored = self._stored(value, key, name)
        if value.t == "array":
            return stored
        maker = PythonText("tf.constant" if value.t == "tensor" else "tf.Variable")
        step = self._add(Apply(maker, (stored,)), default=value.t, asking=True, wanted=name)
        if value.id is not None:
            self._known[value.id] = StatementResult(step.number)
        return StatementResult(step.number)

    def _stored(self, value: ArrayValue, key: str, name: str = "") -> Expression:
        if value.key is None:
            raise UnmadeError(f"the elements of an array of shape {value.shape} were not recorded")
        order = "F" if value.order == "F" else ""
        about = (value.key, order, name)
        if about in self._data:
            return self._data[about][0]
        values = np.asarray(self._capsule.arrays[value.key])
        short = spelling.array(values, order)
        if short is not None and not name:
            return short
        found = short or self._beside(values, order, name or spelling.identifier(key) or "values")
        # R's name is kept where there is one; else it stands where it is used.
        step = self._add(
            found, default=spelling.identifier(key) or "values", wanted=name, asking=True
        )
        self._data[about] = (StatementResult(step.number), name)
        return StatementResult(step.number)

    def _long(self, values: AnyArray, kind: str, place: int | None, key: str) -> Expression:
        """A long list of numbers."""
        name = self._written.name(place, key)
        span = spelling.count_up(values.tolist()) if values.dtype.kind == "i" else None
        if span:
            return Apply(PythonText(kind), (PythonText(f"range({span})"),))
        stored = self._beside(values, "", name or spelling.identifier(key) or "values")
        listed: Expression = Apply(Attribute(stored, "tolist"))
        return listed if kind == "list" else Apply(PythonText("tuple"), (listed,))

    def _beside(self, values: AnyArray, order: str, name: str) -> Expression:
        """Keep an array in the file beside the script."""
        raw, restored = spelling.storable(values)
        number, free = 1, name
        while free in self.arrays and not _same(self.arrays[free], raw):
            number += 1
            free = f"{name}_{number}"
        self.arrays[free] = raw
        found: Expression = Item(PythonText("data"), PythonText(f'"{free}"'))
        if restored:
            found = PythonText(f'data["{free}"]{restored}')
        return Apply(PythonText("np.asfortranarray"), (found,)) if order else found


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
            stack += [part for pair in item.items for part in pair]
    return False


def _is_front_ends_own(call: Call) -> bool:
    """Say whether a call makes a callback that the front end adds of itself."""
    return spelling.Written(call).is_method and "RCallback" in _name_of(call.target)


def _same(a: AnyArray, b: AnyArray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _plain(name: str) -> str:
    if not spelling.is_plain(name):
        raise UnmadeError(f"{name!r} is no name in Python")
    return name


def _key(call: Call) -> Expression:
    """Return the key of an item that R read, where it is a whole number or a name."""
    digits = call.name.removesuffix("L").removeprefix("-")
    if digits.isascii() and digits.isdigit():
        return PythonText(call.name.removesuffix("L"))
    return PythonText(spelling.text(call.name))


def _name_of(target: Value) -> str:
    if isinstance(target, Method):
        return target.name
    return target.path.rpartition(":")[2] if isinstance(target, Symbol) else ""


def _canonical(steps: Many[Step]) -> str:
    """Return what steps do, whatever their numbers are."""
    own = {step.number: place for place, step in enumerate(steps)}
    parts = (f"{s.expression!r} {s.sets} {s.gives} {s.head} {_canonical(s.body)}" for s in steps)

    def place_of(found: re.Match[str]) -> str:
        number = int(found.group(1))
        return f"StatementResult({own[number]}th)" if number in own else found.group()

    return re.sub(r"StatementResult\(by=(\d+)\)", place_of, "\n".join(parts))


def _path(value: Value) -> str:
    return value.path if isinstance(value, Symbol) else ""


def _numbers(value: Value | None) -> list[int]:
    """Return the numbers of the objects in a value."""
    number = getattr(value, "id", None)
    if number is not None:
        return [number]
    if isinstance(value, Items):
        return [number for item in value.items for number in _numbers(item)]
    if isinstance(value, Pairs):
        return [number for _, item in value.items for number in _numbers(item)]
    return []


def _is_nothing(value: Value | None) -> bool:
    return value is None or (isinstance(value, Scalar) and value.t == "none")


def _where(call: Call, why: str) -> str:
    line = f" (line {call.line})" if call.line else ""
    return f"{call.r_call or call.kind}{line}: {why}"
