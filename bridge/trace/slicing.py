"""The part of a recording that is needed to reach some of its calls.

Whether a call raises does not hang on models that it has nothing to do with: training those again
only takes time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bridge.capsule import Call, Capsule
from bridge.capsule.values import Items, Method, ObjectValue, Pairs, Slice, Value
from bridge.facts.keras import METHODS


def up_to(capsule: Capsule, wanted: Collection[int]) -> Capsule:
    """Return the recording up to the last of the calls numbered ``wanted``.

    Left out before it is the training and use of models that share no object with these calls.
    """
    calls = capsule.manifest.calls
    last = max((n for n, call in enumerate(calls) if call.id in wanted), default=-1)
    kin = _Kin()
    for call in calls[: last + 1]:
        kin.join(_objects(call))
    needed = {kin.of(number) for call in calls if call.id in wanted for number in _objects(call)}
    kept = tuple(
        call
        for call in calls[: last + 1]
        if call.id in wanted or not _is_long(call) or needed & set(map(kin.of, _objects(call)))
    )
    return Capsule(capsule.manifest.model_copy(update={"calls": kept}), capsule.arrays)


class _Kin:
    """Objects that have met in a call, directly or by way of others, have one head."""

    def __init__(self) -> None:
        self._head: dict[int, int] = {}

    def of(self, number: int) -> int:
        while (head := self._head.setdefault(number, number)) != number:
            self._head[number] = self._head[head]
            number = head
        return number

    def join(self, numbers: Collection[int]) -> None:
        heads = {self.of(number) for number in numbers}
        for head in heads:
            self._head[head] = min(heads)


def _is_long(call: Call) -> bool:
    return call.kind == "call" and isinstance(call.target, Method) and call.target.name in METHODS


def _objects(call: Call) -> set[int]:
    """Return the numbers of the objects that a call was given, was made on, or gave."""
    values = (call.target, *call.args, *call.kwargs.values(), call.result)
    return {number for value in values for number in _numbers(value)}


def _numbers(value: Value | None) -> Iterator[int]:
    match value:
        case ObjectValue():
            yield value.id
        case Method():
            yield from _numbers(value.owner)
        case Items():
            for item in value.items:
                yield from _numbers(item)
        case Pairs():
            for pair in value.items:
                yield from (number for each in pair for number in _numbers(each))
        case Slice():
            for part in (value.start, value.stop, value.step):
                yield from _numbers(part)
        case _:
            return
