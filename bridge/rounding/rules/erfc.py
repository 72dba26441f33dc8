"""The complementary error function of float64 arrays; NumPy has none.

W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation
23 (1969), 631-637, with the coefficients of his program CALERF: a rational function on each of
|x| <= 0.46875, |x| <= 4 and |x| > 4, of relative error below 6e-19 before rounding.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bridge._typing import F64

_SMALL: Final = 0.46875
_MIDDLE: Final = 4.0
#: Beyond this erfc is below the smallest float64.
_LARGE: Final = 27.3
_ONE_OVER_SQRT_PI: Final = 0.56418958354775628695

# Highest power first.
_A: Final = (
    1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2,
    3.77485237685302021e2, 3.20937758913846947e3,
)  # fmt: skip
_B: Final = (
    1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
    2.84423683343917062e3,
)  # fmt: skip
_C: Final = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594,
    6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
    1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
)  # fmt: skip
_D: Final = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
    1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
    3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip
_P: Final = (
    1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
    1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4,
)  # fmt: skip
_Q: Final = (
    1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1,
    6.05183413124413191e-2, 2.33520497626869185e-3,
)  # fmt: skip


def erfc(x: F64) -> F64:
    """Return erfc of every element; NaN gives NaN."""
    y = np.abs(x)
    result = np.where(np.isnan(x), np.nan, 0.0)
    for low, high, part in (
        (-1.0, _SMALL, _below), (_SMALL, _MIDDLE, _between), (_MIDDLE, _LARGE, _above),
    ):  # fmt: skip
        here = (y > low) & (y <= high)
        if here.all():
            result = part(y)
        elif here.any():
            result[here] = part(y[here])
    return np.where(x < 0.0, 2.0 - result, result)


def _below(y: F64) -> F64:
    square = y * y
    result: F64 = 1.0 - y * _ratio(_A, _B, square)
    return result


def _between(y: F64) -> F64:
    return _gauss(y) * _ratio(_C, _D, y)


def _above(y: F64) -> F64:
    square = 1.0 / (y * y)
    tail = square * _ratio(_P, _Q, square)
    result: F64 = _gauss(y) * ((_ONE_OVER_SQRT_PI - tail) / y)
    return result


def _gauss(y: F64) -> F64:
    # exp(-y^2) with y^2 = s^2 + (y - s)(y + s), where s^2 is exact.
    s = np.trunc(y * 16.0) / 16.0
    result: F64 = np.exp(-s * s) * np.exp(-(y - s) * (y + s))
    return result


def _ratio(numerator: tuple[float, ...], denominator: tuple[float, ...], x: F64) -> F64:
    top, bottom = np.full_like(x, numerator[0]), np.full_like(x, denominator[0])
    for coefficient in numerator[1:]:
        top *= x
        top += coefficient
    for coefficient in denominator[1:]:
        bottom *= x
        bottom += coefficient
    return top / bottom
