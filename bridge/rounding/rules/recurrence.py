"""Going over time with a cell: together where the states were seen, else one after the other.

Where every state was seen, each step is evaluated on the state that was seen before it, all of
them at once; only a memory, which is never seen, is followed step by step. Where they were not,
each step is evaluated on what the last one made, and errors are carried through all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.arithmetic import Arithmetic
from bridge.rounding.rules.cells import Cell
from bridge.rounding.rules.near import Near, join, stack
from bridge.rounding.rules.rounding import FLOAT32

#: Elements of the gates that are worked on at a time.
_BLOCK: Final = 2**20


@dataclass(frozen=True)
class Recurrence:
    """A cell with what it is given: ``x`` as (time, rows, features), each state as (rows, units).

    ``seen`` are the states as they were observed after each step, None where they were not.
    """

    cell: Cell
    do: Arithmetic
    x: F64
    states: tuple[F64, ...]
    seen: F64 | None
    every: bool

    @cached_property
    def values(self) -> tuple[F64, ...]:
        """The output and the last states in float64."""
        return tuple(near.value for near in self._run(replace(self.do, bounded=False)))

    @cached_property
    def bounds(self) -> tuple[F64, ...]:
        """The bounds of the output and of the last states.

        One that allows every number as large as those that were returned says nothing, and is
        given up.
        """
        return tuple(_telling(near) for near in self._run(self.do))

    def _run(self, do: Arithmetic) -> tuple[Near, ...]:
        width = self.cell.gates * self.states[0].shape[-1]
        rows = self.x.shape[1]
        most = max(1, _BLOCK // max(1, width))
        parts = [
            self._rows(do, slice(first, first + most), max(1, _BLOCK // (min(most, rows) * width)))
            for first in range(0, rows, most)
        ]
        shown, *last = zip(*parts, strict=True)
        return join(list(shown), 1 if self.every else 0), *(join(list(each), 0) for each in last)

    def _rows(self, do: Arithmetic, rows: slice, most: int) -> tuple[Near, ...]:
        """Go over time, at most so many steps at once, with some of the rows."""
        h, *memory = (Near(state[rows]) for state in self.states)
        c = memory[0] if memory else h
        shown: list[Near] = []
        step = self._together if self.seen is not None else self._apart
        for first in range(0, len(self.x), most):
            made, h, c = step(do, rows, slice(first, min(first + most, len(self.x))), h, c)
            if self.every:
                shown.append(made)
        output = join(shown, 0) if self.every else h
        return (output, h, c) if memory else (output, h)

    def _together(
        self, do: Arithmetic, rows: slice, steps: slice, h: Near, c: Near
    ) -> tuple[Near, Near, Near]:
        """Take steps of which each has the state that was seen before it."""
        assert self.seen is not None
        seen = self.seen[steps, rows]
        before = self._as_held(np.concatenate((h.value[np.newaxis], seen[:-1])))
        entry = self.cell.entry(do, Near(self.x[steps, rows]))
        gates = self.cell.open(do, entry, before)
        kept = c
        if self.cell.memory:
            memories: list[Near] = []
            for time in range(len(seen)):
                c = self.cell.keep(do, [gate.at(time) for gate in gates], c)
                memories.append(c)
            kept = stack(memories)
        made = self.cell.show(do, gates, before, kept)
        if steps.stop < len(self.x):
            return made, Near(seen[-1]), c
        return made, made.at(-1), c

    def _as_held(self, seen: F64) -> Near:
        """Return states that were seen as the layer may have held them.

        A compiler may keep more digits of a narrow type than it hands out.
        """
        if self.do.fmt.name == FLOAT32.name:
            return Near(seen)
        return Near(seen, self.do.fmt.unit * np.abs(seen) + self.do.fmt.tiny)

    def _apart(
        self, do: Arithmetic, rows: slice, steps: slice, h: Near, c: Near
    ) -> tuple[Near, Near, Near]:
        """Take one step after the other, each with the state that the last one made."""
        entry = self.cell.entry(do, Near(self.x[steps, rows]))
        made: list[Near] = []
        known, most = do.bounded, 2.0 * _largest(self.values[1]) if do.bounded else 0.0
        for time in range(len(entry.value)):
            # Once every error is larger than what will be returned, the bound will say nothing.
            known = known and bool((h.error <= most).any())
            now = do if known else replace(do, bounded=False)
            gates = self.cell.open(now, entry.at(time), h)
            c = self.cell.keep(now, gates, c)
            h = self.cell.show(now, gates, h, c)
            if do.bounded and not known:
                h, c = h.unknown, c.unknown
            if self.every:
                made.append(h)
        return stack(made) if made else h, h, c


def _telling(near: Near) -> F64:
    most = _largest(near.value)
    with np.errstate(all="ignore"):
        idle = (near.value - near.error < -most) & (near.value + near.error > most)
    return np.where(idle, np.inf, near.error)


def _largest(values: F64) -> float:
    """Return the largest magnitude among the finite numbers, 0 if there is none."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
