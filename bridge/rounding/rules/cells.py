"""The cells of recurrent layers: one step, as both generations of Keras compute it.

Every formula stands here once and is evaluated twice: for its value, and for its value with its
error (:class:`bridge.rounding.rules.near.Arithmetic`). The sums before a gate's activation are
taken as sums in any order, because Keras adds the input's part, the state's part and the biases in
different orders in different implementations; the rest is computed as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64
from bridge.rounding.rules.arithmetic import Arithmetic
from bridge.rounding.rules.near import Matrix, Near, Part


class Cell(Protocol):
    """One step of a recurrent layer.

    ``gates`` counts the blocks of columns of its matrices. Where it has a ``memory``, a second
    state is kept beside the one that it shows.
    """

    @property
    def kernel(self) -> Matrix:
        """The input's matrix."""

    @property
    def gates(self) -> int:
        """The number of blocks of columns."""

    @property
    def memory(self) -> bool:
        """Whether there is a second state."""

    def entry(self, do: Arithmetic, x: Near, /) -> Part:
        """Return what the input adds to the gates, as (..., gates, units)."""

    def open(self, do: Arithmetic, entry: Part, h: Near, /) -> tuple[Near, ...]:
        """Return the gates for a state ``h``, each as (..., units)."""

    def keep(self, do: Arithmetic, gates: Sequence[Near], c: Near, /) -> Near:
        """Return the memory after ``c``."""

    def show(self, do: Arithmetic, gates: Sequence[Near], h: Near, c: Near, /) -> Near:
        """Return the state after ``h``, given the new memory."""


@dataclass(frozen=True)
class _Weights:
    kernel: Matrix
    recurrent: Matrix
    bias: F64 | None
    activation: JsonValue
    gate_activation: JsonValue = None

    @property
    def gates(self) -> int:
        """The number of blocks of columns."""
        return self.kernel.gates

    @property
    def memory(self) -> bool:
        """Whether there is a second state: not in most."""
        return False

    def entry(self, do: Arithmetic, x: Near) -> Part:
        """Return x W + b."""
        return _add(do, do.product(x, self.kernel), self._biases(0))

    def keep(self, _do: Arithmetic, _gates: Sequence[Near], c: Near) -> Near:
        """Return what stands for a memory where there is none."""
        return c

    def _biases(self, row: int) -> F64 | None:
        """Return a row of the biases by gate."""
        if self.bias is None:
            return None
        rows = self.bias.reshape(-1, self.kernel.gates, self.kernel.units)
        return np.asarray(rows[row]) if row < len(rows) else None


@dataclass(frozen=True)
class Simple(_Weights):
    """SimpleRNN: h' = f(x W + b + h U)."""

    def open(self, do: Arithmetic, entry: Part, h: Near) -> tuple[Near, ...]:
        """Return the new state itself."""
        z = do.settle((entry + do.product(h, self.recurrent)).gate(0))
        return (do.activate(self.activation, z),)

    def show(self, _do: Arithmetic, gates: Sequence[Near], _h: Near, _c: Near) -> Near:
        """Return the new state."""
        return gates[0]


@dataclass(frozen=True)
class LongShort(_Weights):
    """LSTM: i, f, o = s(x W + h U + b) and g = a(x W + h U + b); c' = f c + i g; h' = o a(c').

    The columns are in the order i, f, g, o.
    """

    @property
    def memory(self) -> bool:
        """Whether there is a second state: c."""
        return True

    def open(self, do: Arithmetic, entry: Part, h: Near) -> tuple[Near, ...]:
        """Return i, f, g, o."""
        z = do.settle(entry + do.product(h, self.recurrent))
        opened = do.activate(self.gate_activation, z.gate([0, 1, 3]))
        proposed = do.activate(self.activation, z.gate(2))
        return opened.gate(0), opened.gate(1), proposed, opened.gate(2)

    def keep(self, do: Arithmetic, gates: Sequence[Near], c: Near) -> Near:
        """Return f c + i g."""
        i, f, g, _ = gates
        return do.plus(do.times(f, c), do.times(i, g))

    def show(self, do: Arithmetic, gates: Sequence[Near], _h: Near, c: Near) -> Near:
        """Return o a(c)."""
        return do.times(gates[3], do.activate(self.activation, c))


@dataclass(frozen=True)
class Gated(_Weights):
    """GRU: z, r = s(x W + b + h U + b'); h' = z h + (1 - z) a(x W + b + r * (h U + b')).

    The columns are in the order z, r, candidate. Without ``after``, the reset gate is applied
    before the product, (r * h) U, and there is no b'.
    """

    after: bool = True

    def open(self, do: Arithmetic, entry: Part, h: Near) -> tuple[Near, ...]:
        """Return z and the candidate."""
        if self.after:
            inner = _add(do, do.product(h, self.recurrent), self._biases(1))
            z, r = self._opened(do, entry, inner.gate([0, 1]))
            reset = do.single(do.times(r, do.settle(inner.gate(2))))
        else:
            first, last = self._halves
            z, r = self._opened(do, entry, do.product(h, first))
            reset = do.product(do.times(r, h), last).gate(0)
        return z, do.activate(self.activation, do.settle(entry.gate(2) + reset))

    def show(self, do: Arithmetic, gates: Sequence[Near], h: Near, _c: Near) -> Near:
        """Return z h + (1 - z) times the candidate."""
        z, candidate = gates
        return do.blend(z, h, candidate)

    def _opened(self, do: Arithmetic, entry: Part, inner: Part) -> tuple[Near, Near]:
        opened = do.activate(self.gate_activation, do.settle(entry.gate([0, 1]) + inner))
        return opened.gate(0), opened.gate(1)

    @cached_property
    def _halves(self) -> tuple[Matrix, Matrix]:
        columns = 2 * self.recurrent.units
        return Matrix(self.recurrent.w[:, :columns], 2), Matrix(self.recurrent.w[:, columns:], 1)


def _add(do: Arithmetic, part: Part, bias: F64 | None) -> Part:
    return part if bias is None else part + do.single(Near(bias))
