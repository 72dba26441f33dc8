"""Functions of R's, made again as the calls that they made on what they were given.

A function is called again as often as Keras calls it: once where it traces, and every time where it
is eager. The k-th call is the k-th that was recorded; what R computed by itself is as it was then.
"""

from __future__ import annotations

import inspect
import keyword
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
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
from bridge.trace.invocations import Invocations
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

        made: Any = None
        if signature is not None and closure.spelled:
            made = _spelled(signature, python_function)
        if made is None:
            made = python_function
            if signature is not None:
                vars(made)["__signature__"] = signature
        made.__name__ = made.__qualname__ = closure.name or "python_function"
        if closure.module:
            made.__module__ = closure.module
        # TensorFlow need not convert it: the way through R's code was taken when it was recorded.
        made.autograph_info__ = {"recorded": True}
        return made

    def _signature(self, closure: Closure) -> inspect.Signature | None:
        if closure.parameters is None:
            return None
        found = [
            inspect.Parameter(
                each.name,
                _KINDS[each.kind],
                default=inspect.Parameter.empty
                if each.default is None
                else self._value(each.default),
            )
            for each in closure.parameters
        ]
        return inspect.Signature(found)

    def _call(self, closure: Closure, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        names = [each.name for each in closure.parameters or () if each.kind != "rest"]
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
    for each in signature.parameters.values():
        if not each.name.isidentifier() or keyword.iskeyword(each.name) or each.name in space:
            return None
        rest, keywords = each.kind is each.VAR_POSITIONAL, each.kind is each.VAR_KEYWORD
        star = "*" if rest else "**" if keywords else ""
        if each.kind is each.KEYWORD_ONLY and not any(head.startswith("*") for head in heads):
            heads.append("*")
        default = "" if each.default is each.empty else f"=_defaults[{each.name!r}]"
        space["_defaults"][each.name] = each.default
        heads.append(f"{star}{each.name}{default}")
        named = f"{each.name}=" if each.kind is each.KEYWORD_ONLY else ""
        given.append(f"{star}{named}{each.name}")
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
