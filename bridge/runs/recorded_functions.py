"""Functions of R's, made again as the calls that they made on what they were given.

A function is called again as often as Keras calls it: once where it traces, and every time where it
is eager. The k-th call is the k-th that was recorded; what R computed by itself is as it was then.
"""

from __future__ import annotations

import inspect
import io
import keyword
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from bridge.capsule import Call, Capsule
from bridge.capsule.schema import Invocation
from bridge.capsule.values import (
    ArrayValue,
    Closure,
    Items,
    ObjectValue,
    Pairs,
    Scalar,
    Value,
)
from bridge.errors import BridgeError
from bridge.trace.call_semantics import Invocations
from bridge.trace.r_functions import is_looking

_KINDS: Final = {
    "positional-only": inspect.Parameter.POSITIONAL_ONLY,
    "any": inspect.Parameter.POSITIONAL_OR_KEYWORD,
    "rest": inspect.Parameter.VAR_POSITIONAL,
    "keyword": inspect.Parameter.KEYWORD_ONLY,
    "keywords": inspect.Parameter.VAR_KEYWORD,
}


class NotRecordedError(BridgeError, RuntimeError):
    """R was not asked what Keras asks here; the message says which function."""


#: What Keras gave a function, by the names of its arguments or by their places.
Given = dict[str | int, Any]
#: What makes an invocation's calls again with what it is given now, and returns what R returned.
Body = Callable[[Invocation, Sequence[Call], Callable[[], None]], Any]


class RecordedFunctions:
    """The functions of R's in a recording, as Python functions.

    Args:
        capsule: the recording.
        value: returns the Python object that a recorded value stands for.
        bind: gives an object the number that a recorded value has.
        body: makes the calls of an invocation again; it calls what it is given to bind arguments.
        missed: is told of a call that R was not asked for.
    """

    def __init__(
        self,
        capsule: Capsule,
        value: Callable[[Value | None], Any],
        bind: Callable[[Value | None, Any], None],
        body: Body,
        missed: Callable[[NotRecordedError], None],
    ) -> None:
        self._missed = missed
        self._value = value
        self._bind = bind
        self._body = body
        self._made: dict[int, Any] = {}
        #: The number of the recorded call that is being made, innermost.
        self.during: int | None = None
        self._asked: dict[tuple[int, bool], set[int | None]] = defaultdict(set)
        self._next: dict[tuple[int, bool], int] = defaultdict(int)
        self._recorded = Invocations(capsule)

    def function(self, closure: Closure) -> Any:
        """Return the Python function that stands for a function of R's; always the same.

        Raises:
            NotRecordedError: an older version made the recording.
        """
        if not self._recorded.knows(closure):
            raise NotRecordedError(f"the function {closure.name or ''} is written in R")
        found = self._made.get(closure.id)
        if found is None:
            found = self._made[closure.id] = self._make(closure)
        return found

    def _make(self, closure: Closure) -> Any:
        signature = self._signature(closure)

        def python_function(*args: Any, **kwargs: Any) -> Any:
            if signature is not None:
                args, kwargs = _as_passed(signature, args, kwargs)
            return _pass(closure.passing, lambda *a, **k: self._call(closure, a, k), args, kwargs)

        function: Any = None
        if signature is not None and closure.spelled:
            function = _spelled(signature, python_function)
        if function is None:
            function = python_function
            if signature is not None:
                vars(function)["__signature__"] = signature
        function.__name__ = function.__qualname__ = closure.name or "python_function"
        if closure.module:
            function.__module__ = closure.module
        # TensorFlow need not convert it: the way through R's code was taken when it was recorded.
        function.autograph_info__ = {"recorded": True}
        return function

    def _signature(self, closure: Closure) -> inspect.Signature | None:
        if closure.parameters is None:
            return None
        found = [
            inspect.Parameter(
                parameter.name,
                _KINDS[parameter.kind],
                default=inspect.Parameter.empty
                if parameter.default is None
                else self._value(parameter.default),
            )
            for parameter in closure.parameters
        ]
        return inspect.Signature(found)

    def _call(self, closure: Closure, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        names = [
            parameter.name for parameter in closure.parameters or () if parameter.kind != "rest"
        ]
        given = _by_name(names, args, kwargs)
        try:
            invocation = self._pick(closure, given, names)
        except NotRecordedError as error:
            self._missed(error)
            raise
        recorded = _by_name(names, invocation.args, invocation.kwargs)

        def bind() -> None:
            for key, value in recorded.items():
                if key in given:
                    self._bind(value, given[key])

        return self._body(invocation, self._recorded.calls(invocation), bind)

    def _pick(self, closure: Closure, given: Given, names: Sequence[str]) -> Invocation:
        key = closure.id, is_looking()
        found: Sequence[Invocation] = self._recorded.of(*key)

        def fits(invocation: Invocation) -> bool:
            return _alike(_by_name(names, invocation.args, invocation.kwargs), given)

        # A training that is cut short asks less often than R was asked during it: what is left
        # over of it is passed over.
        over = self._asked[key] - {self.during}
        rest = range(self._next[key], len(found))
        open_ = (place for place in rest if found[place].parent not in over)
        place = next((n for n in chain(open_, rest) if fits(found[n])), None)
        self._asked[key].add(self.during)
        if place is not None:
            self._next[key] = place + 1
            return found[place]
        again = list(filter(fits, found))
        if again and self._recorded.is_constant(again):
            return again[-1]
        name = closure.name or "a function of R's"
        times = f"only {len(found)} times" if found else "never"
        raise NotRecordedError(f"{name} is called again: R was asked {times} in this way")


def _spelled(signature: inspect.Signature, function: Any) -> Any:
    """Return ``function`` as one whose own code has the arguments; None where it cannot have.

    Keras asks some functions for their code, and some for what is set on them.
    """
    heads: list[str] = []
    given: list[str] = []
    space: dict[str, Any] = {"_function": function, "_defaults": {}}
    for parameter in signature.parameters.values():
        if (
            not parameter.name.isidentifier()
            or keyword.iskeyword(parameter.name)
            or parameter.name in space
        ):
            return None
        rest, keywords = (
            parameter.kind is parameter.VAR_POSITIONAL,
            parameter.kind is parameter.VAR_KEYWORD,
        )
        star = "*" if rest else "**" if keywords else ""
        if parameter.kind is parameter.KEYWORD_ONLY and not any(
            head.startswith("*") for head in heads
        ):
            heads.append("*")
        default = "" if parameter.default is parameter.empty else f"=_defaults[{parameter.name!r}]"
        space["_defaults"][parameter.name] = parameter.default
        heads.append(f"{star}{parameter.name}{default}")
        named = f"{parameter.name}=" if parameter.kind is parameter.KEYWORD_ONLY else ""
        given.append(f"{star}{named}{parameter.name}")
    source = f"def spelled({', '.join(heads)}):\n    return _function({', '.join(given)})\n"
    exec(compile(source, "<a function of R's>", "exec"), space)
    return space["spelled"]


def _as_passed(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments as a function with a signature of its own hands them on.

    Raises:
        TypeError: it does not take them.
    """
    bound = signature.bind(*args, **kwargs)
    return bound.args, bound.kwargs


def _pass(passing: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
    """Hand on to a function of R's as a front end's wrapper does."""
    if not passing:
        return call(*args, **kwargs)
    words = passing.split("-")
    given = [*args, *kwargs.values()]
    given += [None] * (len(words) - len(given))
    if "index" in words:
        given[words.index("index")] += 1
    result = call(*given)
    logs = given[words.index("logs")]
    if isinstance(result, dict) and logs is not None:
        logs.update(result)
    return None


def _by_name(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Given:
    named: Given = {
        names[place] if place < len(names) else place: value for place, value in enumerate(args)
    }
    return named | dict(kwargs)


def _alike(recorded: Given, given: Given) -> bool:
    """Say whether what is given now may stand where something was given when it was recorded."""
    return given.keys() <= recorded.keys() and all(
        _fits(value, given[key]) for key, value in recorded.items() if key in given
    )


def _fits(value: Any, item: Any) -> bool:
    match value:
        case Scalar() if value.t == "none":
            return item is None
        case Scalar() if value.t == "bool":
            return isinstance(item, bool) and str(item) == value.v
        case Scalar() if value.t in ("int", "str"):
            return type(item).__name__ != value.t or str(item) == value.v
        case Scalar():
            return not _is_tensor(item) and not isinstance(item, (str, bool, dict, list))
        case Items():
            return isinstance(item, (list, tuple, set)) and len(item) == len(value.items)
        case Pairs():
            return isinstance(item, dict) and len(item) == len(value.items)
        case ArrayValue():
            return _is_tensor(item) and _same_shape(value.shape, item)
        case ObjectValue():
            return item is not None and not isinstance(item, (bool, int, float, str))
    return True


def _is_tensor(item: Any) -> bool:
    return hasattr(item, "shape") and hasattr(item, "dtype")


def _same_shape(shape: tuple[int, ...], item: Any) -> bool:
    try:
        there = tuple(item.shape)
    except (TypeError, ValueError):  # of a tensor of which not even the rank is known
        return True
    return len(there) == len(shape) and all(
        a is None or a == b for a, b in zip(there, shape, strict=True)
    )


# What the R packages have in Python, as a replay has it that has none of the packages.
#
# reticulate and the front ends bring modules of their own (``rpytools``, ``kerastools``): classes
# whose methods call functions of R's, and helpers that catch what is printed. Each is written here
# once more, in the words of Keras alone, by the name by which a recording knows it.

_MOMENTS: Final = tuple(
    f"{what}_{end}"
    for what in (
        *("epoch", "batch", "train", "train_batch", "test", "test_batch"),
        *("predict", "predict_batch"),
    )
    for end in ("begin", "end")
)


def helper(name: str, keras: Any) -> Any:
    """Return what stands for a helper of the front ends, by its bare name; None if nothing does."""
    return _PLAIN.get(name) or (_OF_KERAS[name](keras) if name in _OF_KERAS else None)


def _callback(keras: Any) -> type:
    class RCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Calls the function given for a moment."""

        def __init__(self, r_set_context: Any = None, **moments: Any) -> None:
            super().__init__()
            self._chief_worker_only = False
            given = {name: moments.get(f"r_on_{name}") for name in _MOMENTS}
            for name, function in given.items():
                if _is_there(function):
                    setattr(self, f"on_{name}", function)
            if _is_there(r_set_context):
                self.on_train_begin = self._with_context(r_set_context, given["train_begin"])

        def _with_context(self, set_context: Any, train_begin: Any) -> Callable[..., Any]:
            """Return what tells R of the model when a training begins, and not before."""

            def on_train_begin(logs: Any = None) -> None:
                set_context(self.params, self.model)
                if _is_there(train_begin):
                    train_begin(logs)

            return on_train_begin

    return RCallback


def _is_there(function: Any) -> bool:
    """Say whether a function does anything: our stand-ins give one that is called ``nothing``."""
    return function is not None and function.__name__ != "nothing"


def _constraint(keras: Any) -> type:
    class RConstraint(keras.constraints.Constraint):  # type: ignore[misc]
        """Applies a function to the weights."""

        def __init__(self, r_call: Any, r_get_config: Any = None) -> None:
            self.r_call = r_call
            self.r_get_config = r_get_config

        def __call__(self, w: Any) -> Any:
            return self.r_call(w)

        def get_config(self) -> Any:
            return (self.r_get_config() or {}) if self.r_get_config is not None else {}

    return RConstraint


def _layer(base: Any, name: str) -> type:
    class RLayer(base):  # type: ignore[misc]
        """Calls functions for what a layer does."""

        def __init__(self, r_build: Any, r_call: Any, r_compute_output_shape: Any, **kwargs: Any):
            super().__init__(**kwargs)
            self.r_build = r_build
            self.r_call = r_call
            self.r_compute_output_shape = r_compute_output_shape

        def build(self, input_shape: Any) -> None:
            self.r_build(_listed(input_shape))
            super().build(input_shape)

        def call(self, inputs: Any, mask: Any = None) -> Any:
            return self.r_call(inputs, mask)

        def compute_output_shape(self, input_shape: Any) -> Any:
            shape = self.r_compute_output_shape(_listed(input_shape))
            several = all(isinstance(part, (tuple, list)) for part in shape)
            return shape if several else tuple(shape)

    RLayer.__name__ = RLayer.__qualname__ = name
    return RLayer


def _listed(shape: Any) -> Any:
    if isinstance(shape, (tuple, list)):
        return list(shape)
    return shape.as_list() if hasattr(shape, "as_list") else list(shape)


def _model(keras: Any) -> type:
    class RModel(keras.Model):  # type: ignore[misc]
        """Calls a function that is set once the model is there."""

        r_call: Any = None
        _r_call: Any = None

        def __init__(self, name: str | None = None) -> None:
            super().__init__(name=name)

        def call(self, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
            return (self.r_call or self._r_call)(inputs, mask, **kwargs)

    return RModel


class RGenerator:
    """Gives what a function gives, until that ends."""

    def __init__(self, r_function: Callable[[], Any], completed: Any = None) -> None:
        # In new versions of reticulate the second is how many are asked for ahead.
        self._function = r_function
        self._completed = completed

    def __iter__(self) -> RGenerator:
        return self

    def __next__(self) -> Any:
        try:
            item = self._function()
        except NotRecordedError:
            # Asked for ahead, as R was not: where it is needed, Keras says that it is missing.
            raise StopIteration from None
        if item is None or (isinstance(self._completed, str) and item == self._completed):
            raise StopIteration
        return item

    next = __next__


class OutputCaptureContext:
    """Catches what Python prints."""

    def __init__(self, capture_stdout: bool, capture_stderr: bool) -> None:
        self._names = [
            name
            for name, wanted in (("stdout", capture_stdout), ("stderr", capture_stderr))
            if wanted
        ]
        self._stream = io.StringIO()
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        for name in self._names:
            self._before[name] = getattr(sys, name)
            setattr(sys, name, self._stream)

    def __exit__(self, *_: object) -> None:
        for name, stream in self._before.items():
            setattr(sys, name, stream)

    def collect_output(self, clear: bool = True) -> str:
        """Return what was caught."""
        text = self._stream.getvalue()
        if clear:
            self._stream.truncate(0)
            self._stream.seek(0)
        return text


def _iterator_to_generator(iterator: Any) -> Iterator[Any]:
    yield from map(tuple, iterator)


def _iter_generator(iterator: Any) -> Iterator[Any]:
    while True:
        yield next(iterator)


class NoProcesses:
    """Stands where a front end keeps programs from reading what the user types."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_PLAIN: Final[dict[str, Any]] = {
    "RGenerator": RGenerator,
    "OutputCaptureContext": OutputCaptureContext,
    "iterator_to_generator": _iterator_to_generator,
    "iter_generator": _iter_generator,
    "_patched_subprocess_Popen": NoProcesses,
}
_OF_KERAS: Final[dict[str, Callable[[Any], Any]]] = {
    "RCallback": _callback,
    "RConstraint": _constraint,
    "RLayer": lambda keras: _layer(keras.layers.Layer, "RLayer"),
    "RWrapper": lambda keras: _layer(keras.layers.Wrapper, "RWrapper"),
    "RModel": _model,
}
