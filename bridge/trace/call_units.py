"""Calls as units that can be judged: what went in was seen, and what came out.

Mostly that is one call. Where the output of a layer could not be seen, because that would have
changed what is executed, the call belongs to the same unit as the call that it feeds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


class Wired(Protocol):
    """A call, as far as units are concerned: tensors by number."""

    @property
    def inputs(self) -> tuple[int, ...]:
        """The tensors that it receives."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """The tensors that it makes."""


@dataclass(frozen=True)
class Unit:
    """Calls by their places, in order, and the inputs that reach them from outside.

    Each input is the place of a call in ``calls`` and of one of the call's inputs.
    """

    calls: tuple[int, ...]
    inputs: tuple[tuple[int, int], ...]

    @property
    def last(self) -> int:
        """The place of the call whose outputs were seen."""
        return self.calls[-1]

    @property
    def is_chain(self) -> bool:
        """Whether each call receives nothing but what the one before made."""
        return all(call == self.calls[0] for call, _ in self.inputs)


def units(calls: Sequence[Wired], visible: Collection[int]) -> list[Unit]:
    """Return the units of a run whose tensors of these numbers were seen, in the order of the run.

    A call of which no output was seen is only a part of other units.
    """
    found = []
    for place, call in enumerate(calls):
        if any(number in visible for number in call.outputs):
            found.append(_unit(calls, visible, place))
    return found


def _unit(calls: Sequence[Wired], visible: Collection[int], last: int) -> Unit:
    members = {last}
    waiting = [last]
    outside: set[tuple[int, int]] = set()
    while waiting:
        place = waiting.pop()
        for which, number in enumerate(calls[place].inputs):
            maker = None if number in visible else _maker(calls, number, place)
            if maker is None:
                outside.add((place, which))
            elif maker not in members:
                members.add(maker)
                waiting.append(maker)
    return Unit(tuple(sorted(members)), tuple(sorted(outside)))


def _maker(calls: Sequence[Wired], number: int, before: int) -> int | None:
    """Return the last call before another that made a tensor; some hand on what they are given."""
    places = (place for place in reversed(range(before)) if number in calls[place].outputs)
    return next(places, None)
