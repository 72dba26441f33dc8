"""The calls that Python made of R's functions, with what R called in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from bridge.capsule import Call, Capsule
from bridge.capsule.schema import Invocation
from bridge.capsule.values import (
    ArrayValue,
    Class,
    Closure,
    Items,
    Method,
    Pairs,
    Scalar,
    Slice,
    Value,
)


class Invocations:
    """The invocations of a run by function, in order."""

    def __init__(self, capsule: Capsule) -> None:
        self._of: dict[tuple[int, bool], list[Invocation]] = defaultdict(list)
        for invocation in capsule.manifest.invocations:
            self._of[invocation.closure, invocation.looked].append(invocation)
        self._calls: dict[int, list[Call]] = defaultdict(list)
        for call in capsule.manifest.calls:
            if call.within is not None and not call.internal:
                self._calls[call.within].append(call)

    def of(self, closure: int, looked: bool = False) -> Sequence[Invocation]:
        """Return the calls of a function that were made for themselves, or to describe something.

        Where there is none of a kind, those of the other.
        """
        found = self._of.get((closure, looked)) or self._of.get((closure, not looked))
        return found or ()

    def asked(self, closure: int) -> bool:
        """Say whether a function was called for itself, and not to describe something."""
        return (closure, False) in self._of

    def knows(self, closure: Closure) -> bool:
        """Say whether calls of a function were recorded, if there were any.

        Older versions recorded none, and no module of the function.
        """
        return bool(closure.module) or bool(self.of(closure.id))

    def calls(self, invocation: Invocation) -> Sequence[Call]:
        """Return what R called itself during an invocation."""
        return self._calls.get(invocation.id, ())

    def alike(self, invocations: Sequence[Invocation]) -> bool:
        """Say whether R did the same in each, but for the objects at hand."""
        return len(set(map(self.look, invocations))) <= 1

    def look(self, invocation: Invocation) -> object:
        """Return what R did and gave, without the objects at hand: equal where it is the same."""
        calls = tuple(map(_plain_call, self.calls(invocation)))
        return calls, _plain(invocation.result)

    def is_constant(self, invocations: Sequence[Invocation]) -> bool:
        """Say whether R did the same at every call, as far as was seen."""
        if not self.alike(invocations):
            return False
        # What was seen once may hang on what it was given, if R could read that.
        return len(invocations) > 1 or not any(
            isinstance(value, ArrayValue) for value in _leaves(invocations[0])
        )


def _plain_call(call: Call) -> tuple[Any, ...]:
    """Return a call without what differs anyhow: which objects were at hand."""
    given = (*call.args, *call.kwargs.values())
    return call.kind, call.name, _plain(call.target), tuple(map(_plain, given))


def _plain(value: Value | None) -> Any:
    match value:
        case Scalar():
            return value.t, value.v
        case Items():
            return tuple(map(_plain, value.items))
        case Pairs():
            return tuple((_plain(key), _plain(item)) for key, item in value.items)
        case ArrayValue() if value.t == "array":
            return value.digest or value.key
        case Method():
            return value.name
        case Slice():
            return tuple(map(_plain, (value.start, value.stop, value.step)))
        case Closure() | Class():
            return value.name
        case None:
            return None
    return getattr(value, "path", "") or getattr(value, "cls", "")


def _leaves(invocation: Invocation) -> Iterator[Value]:
    stack: list[Value] = [*invocation.args, *invocation.kwargs.values()]
    while stack:
        value = stack.pop()
        if isinstance(value, Items):
            stack += value.items
        elif isinstance(value, Pairs):
            stack += [each for pair in value.items for each in pair]
        else:
            yield value
