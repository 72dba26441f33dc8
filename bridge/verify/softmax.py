"""Softmax and its logarithm along an axis, with the errors of every step.

p_i = P_i / sum_j P_j with P_i = exp(z_i - m). The largest z of the row, m, cancels, and so does
what it is off by, except that differences are rounded in proportion to their size and what
underflows does so in the scale of the row. If z_i is off by e_i, the argument of the exponential is
off by d_i = e_i + u (|z_i - m| + e_i + max e); the exponential itself errs by a factor within
1 +- r and by t. A sum of n positive terms errs by a factor of n - 1 roundings, the quotient by two
more; two stand for the rules' own arithmetic. The quotient is largest where the numerator is and
every term of the sum is smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from flint import arb

from bridge.verify.activations import gamma
from bridge.verify.exact import F64, UPWARDS, Balls, Ints, largest, upper
from bridge.verify.kinds import MOST_TERMS, Kind, MisfitError, UncheckedError
from bridge.verify.stages import CHUNK, Known, Stage
from bridge.verify.table import Errors, errors_of, relative

#: What was measured is the second part of softmax(0, z): the error of an exponential and of no more
#: than three roundings.
_EXPONENTIAL: Final = "softmax_pair"
_LOGARITHM: Final = "log"
#: The relative error of exp and log in float64, with a wide margin.
_LIBRARY: Final = 2.0**-49


@dataclass(frozen=True)
class _Row:
    """A row's exact exponentials and their sum, and between what they may have been."""

    below: Balls
    parts: Balls
    total: arb
    off: Balls
    most: Balls
    least: Balls
    most_sum: arb
    least_sum: arb


@dataclass(frozen=True)
class Softmax:
    """Softmax, or its logarithm, of a stage of the given shape."""

    stage: Stage
    shape: tuple[int, ...]
    axis: int
    kind: Kind
    logarithm: bool = False

    def __post_init__(self) -> None:
        """Refuse what was not measured, or what leaves no bound."""
        if not -len(self.shape) <= self.axis < len(self.shape):
            raise MisfitError(f"its input of shape {self.shape} has no axis {self.axis}")
        if self.length + 4 > MOST_TERMS or (self.length + 4) * self.kind.u > 0.5:
            raise UncheckedError(f"rows of {self.length} are too long")
        self._errors(_EXPONENTIAL)

    @property
    def length(self) -> int:
        """The number of elements of a row."""
        return self.shape[self.axis]

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return max(1, min(self.stage.chunk, CHUNK) // max(self.length, 1)) * max(self.length, 1)

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        axis = self.axis % len(self.shape)
        step = int(np.prod(self.shape[axis + 1 :], dtype=np.int64))
        outer, rest = np.divmod(places, self.length * step)
        column, inner = np.divmod(rest, step)
        rows, row_of = np.unique(outer * step + inner, return_inverse=True)
        outer, inner = np.divmod(rows, step)
        along = np.arange(self.length, dtype=np.int64) * step
        every = (outer * self.length * step + inner)[:, None] + along[None, :]
        before = self.stage.at(every.ravel())
        made = [self._row(before, n * self.length, self.length) for n in range(rows.size)]
        value = [v for row in made for v in row[0]]
        error, evaluated = (np.concatenate([row[n] for row in made]) for n in (1, 2))
        defined = before.defined.reshape(every.shape).all(axis=1).repeat(self.length)
        wanted = row_of.ravel() * self.length + column
        return Known(
            [value[place] for place in wanted.tolist()],
            error[wanted],
            evaluated[wanted],
            defined[wanted],
        )

    def _row(self, before: Known, start: int, length: int) -> tuple[Balls, F64, F64]:
        part = slice(start, start + length)
        z, e, ev = before.value[part], before.error[part], before.evaluated[part]
        known = bool(before.defined[part].all())
        if not known:
            return [arb.nan()] * length, np.full(length, np.inf), np.zeros(length)
        row = self._ends(z, np.where(np.isfinite(e), e + ev, 0.0))
        moved = ev + float(ev.max(initial=0.0))
        far = largest(row.below)
        if self.logarithm:
            log = row.total.log()
            value = [below - log for below in row.below]
            own = moved + (far + length + largest([log])) * _LIBRARY
            error = self._log_error(row, value, log)
        else:
            value = [each / row.total for each in row.parts]
            # P |log P| is below 0.4, so that what the sum is off by is too, for each of its terms.
            own = largest(value) * (moved + far * 2.0**-52 + (length + 16) * _LIBRARY) + 2.0**-1000
            error = self._quotient_error(row, value)
        own = UPWARDS * own * 2.0
        finite = np.isfinite(error) & np.isfinite(e).all()
        return value, np.where(finite, UPWARDS * (error + own), np.inf), own

    def _ends(self, z: Balls, e: F64) -> _Row:
        u = self.kind.u
        middle = max(z, key=lambda each: float(each.mid()))
        below = [each - middle for each in z]
        parts = [each.exp() for each in below]
        widest = arb(float(e.max(initial=0.0)))
        r, t = relative(self._errors(_EXPONENTIAL), self.kind)
        r, lost = r + gamma(3, self.kind), t * widest.exp()
        errors = [arb(each) for each in e.tolist()]
        off = [own + u * (abs(b) + own + widest) for own, b in zip(errors, below, strict=True)]
        most, least = [], []
        for part, d in zip(parts, off, strict=True):
            factor = d.exp()
            most.append(part * factor * (1 + arb(r)) + lost)
            least.append((part / factor * (1 - arb(r)) - lost).max(arb(0)))
        zero = arb(0)
        return _Row(
            below, parts, sum(parts, zero), off, most, least, sum(most, zero), sum(least, zero)
        )  # fmt: skip

    def _quotient_error(self, row: _Row, value: Balls) -> F64:
        grown = arb(gamma(self.length + 4, self.kind))
        above = [(1 + grown) * each / row.least_sum for each in row.most]
        under = [(1 - grown) * each / row.most_sum for each in row.least]
        far = [(a - v).max(v - b) for a, v, b in zip(above, value, under, strict=True)]
        return np.asarray(upper(far) + self.kind.tiny)

    def _log_error(self, row: _Row, value: Balls, log: arb) -> F64:
        grown = arb(gamma(self.length + 4, self.kind))
        high, low = ((1 + grown) * row.most_sum).log(), ((1 - grown) * row.least_sum).log()
        ends = upper([low.lower()]), upper([high])
        off = largest([(high - log).max(log - low)])
        off = off + self._errors(_LOGARITHM).between(np.nextafter(ends[0], -np.inf), ends[1])
        carried = largest(row.off) + off
        size = largest(value) + carried + float(largest(row.off).max(initial=0.0))
        return np.asarray(carried + gamma(2, self.kind) * size + 2.0 * self.kind.tiny)

    def _errors(self, name: str) -> Errors:
        found = errors_of(name, self.kind)
        if found is None:
            raise UncheckedError(f"the kernels of softmax were not measured in {self.kind.name}")
        return found
