"""An activation with its error model: what a kernel may return for an argument in an interval.

For an argument v of the layer's type somewhere in [z - e, z + e], a kernel returns y with
|y - f(z)| <= |f(v) - f(z)| + |y - f(v)|. The first part is at most the distance from f(z) to the
ends of f's range over the interval, which follows from the ends of the interval and from the
points inside it where f turns or jumps. The second is the kernel's own error: measured
(:mod:`bridge.rounding.rules.models`), or derived where a constant of the configuration makes one
function a family (:mod:`bridge.rounding.rules.families`).

In a type shorter than float32 the argument may never have been rounded to that type: a fused
kernel applies the function to the float32 sum and rounds once. Such a v was not among the inputs
that were measured. The error is then that of the float32 kernels and half a unit of the result, or
a whole one where results may be cut off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.forms import FORMS, Form
from bridge.rounding.rules.layer import Evaluation, UnsupportedError
from bridge.rounding.rules.models import COMPARING, model_of
from bridge.rounding.rules.rounding import FLOAT32, Format

#: Twice the relative error of a float64 form, at most (below 2^-126, relative to that); tests hold
#: them to half of it. The worst is gelu near -13, where f is 2^-126: rounding the argument of erfc
#: there changes f by 2^-44.5.
FORM_ERROR: Final = 2.0**-43

#: Error of a kernel, given the ends of the argument's interval and of the function's range there.
KernelError = Callable[[F64, F64, F64, F64], F64]


@dataclass(frozen=True)
class Activation:
    """A function of one number and the error of the kernels that compute it in a type.

    ``unrounded`` is the error for arguments that are not numbers of the type; None where
    ``kernel_error`` holds for those as well.
    """

    form: Form
    kernel_error: KernelError | None
    form_error: float = FORM_ERROR
    missed: float = 1.0
    fmt: Format = FLOAT32
    unrounded: KernelError | None = None

    def evaluate(self, z: F64, error: Callable[[], F64] | None = None) -> Evaluation:
        """Evaluate at ``z``, which a computation knows up to ``error()`` (None: exactly).

        Where the argument or the error is not finite, nothing is claimed.
        """
        value = self.form(z)

        def derive() -> F64:
            return self._bound(z, value, error() if error is not None else None)

        return Evaluation(value, derive, self.missed, self.form.name)

    def _bound(self, z: F64, value: F64, error: F64 | None) -> F64:
        with np.errstate(all="ignore"):
            if error is None:
                low_z = high_z = z
                low = high = value
                bound = np.zeros_like(value)
                known = np.isfinite(z)
            else:
                low_z, high_z = z - error, z + error
                low, high = self._range(low_z, high_z, value)
                bound = np.maximum(high - value, value - low)
                known = np.maximum(np.abs(low_z), np.abs(high_z)) < self.fmt.overflow
            largest = np.maximum(np.abs(low), np.abs(high))
            bound = bound + self.form_error * largest
            if self.kernel_error is not None:
                kernel = self.kernel_error(low_z, high_z, low, high)
                if error is not None and self.unrounded is not None:
                    kernel = np.maximum(kernel, self.unrounded(low_z, high_z, low, high))
                bound = bound + kernel
            return np.where(known & np.isfinite(value) & ~np.isnan(bound), bound, np.inf)

    def _range(self, low_z: F64, high_z: F64, value: F64) -> tuple[F64, F64]:
        first, last = self.form(low_z), self.form(high_z)
        low, high = np.minimum(first, last), np.maximum(first, last)
        low, high = np.minimum(low, value), np.maximum(high, value)
        for turn in self.form.turns:
            there = self.form(np.array(turn))
            inside = (low_z <= turn) & (turn <= high_z)
            low = np.where(inside, np.minimum(low, there), low)
            high = np.where(inside, np.maximum(high, there), high)
        return low, high


#: The identity does not compute, so it does not round.
LINEAR: Final = Activation(FORMS["linear"], None, form_error=0.0)


def measured(name: str, fmt: Format = FLOAT32) -> Activation:
    """Return an activation whose kernels were measured in a type.

    Raises:
        UnsupportedError: there is no measurement.
    """
    model, single = (model_of(name, dtype, fmt.kernels) for dtype in (fmt.name, FLOAT32.name))
    if model is None or single is None:
        raise UnsupportedError(
            f"the kernels of its activation {name!r} were never measured in {fmt.name}"
        )

    def kernel(_low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        return model.error(low, high)

    def unrounded(_low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        error = single.error(low, high)
        largest = np.maximum(np.abs(low), np.abs(high)) + error
        return error + (1.0 if fmt.chopped else 0.5) * fmt.ulp(largest) + fmt.tiny

    return Activation(
        FORMS[name],
        kernel,
        form_error=0.0 if name in COMPARING else FORM_ERROR,
        # In a short type the float32 kernels make the smaller part: that they were measured counts.
        missed=model.missed if math.isfinite(single.missed) else math.inf,
        fmt=fmt,
        unrounded=None if fmt.name == FLOAT32.name else unrounded,
    )
