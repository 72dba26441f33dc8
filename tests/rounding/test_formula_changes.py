from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from bridge.rounding.rules import activation_forms
from bridge.rounding.rules.activation_forms import FORMS, SELU_ALPHA, SELU_SCALE, erfc
from bridge.rounding.rules.activations import FORM_ERROR
from bridge.rounding.rules.rounding import TINY

_CONTEXT = Context(prec=130, Emin=-99999, Emax=99999)
_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534"
)
_ARGUMENTS = [
    -87.3, -30.0, -13.0, -12.5, -8.0, -5.5, -3.0000002, -2.5, -1.2784646, -0.75179, -0.3, -1e-3,
    -1e-7, -1e-20, 1e-30, 1e-9, 2e-4, 0.25, 0.5, 0.69, 1.0, 2.9999998, 4.5, 9.0, 17.0, 40.0, 80.0,
]  # fmt: skip


def _erf(t: Decimal) -> Decimal:
    total = term = t
    number = 0
    while abs(term) > Decimal(10) ** -125:
        number += 1
        term = -term * t * t / number
        total += term / (2 * number + 1)
    return 2 * total / _PI.sqrt()


def _exact(name: str, z: Decimal) -> Decimal:
    one, two = Decimal(1), Decimal(2)
    if name == "sigmoid":
        return one / (one + (-z).exp())
    if name in ("tanh", "tanh_shrink"):
        tanh = one - two / ((two * z).exp() + one)
        return tanh if name == "tanh" else z - tanh
    if name == "squareplus":
        return (z + (z * z + 4).sqrt()) / two
    if name == "sparse_plus":
        return z if z >= 1 else max(z + one, Decimal(0)) ** 2 / 4
    if name in ("elu", "celu"):
        return z if z > 0 else z.exp() - one
    if name == "selu":
        scale, alpha = Decimal(SELU_SCALE), Decimal(SELU_ALPHA)
        return scale * z if z > 0 else scale * alpha * (z.exp() - one)
    if name == "softplus":
        return (one + z.exp()).ln()
    if name == "log_sigmoid":
        return -((one + (-z).exp()).ln())
    if name == "softsign":
        return z / (one + abs(z))
    if name == "silu":
        return z / (one + (-z).exp())
    if name == "gelu":
        return z * (one + _erf(z / two.sqrt())) / two
    if name == "gelu_tanh":
        t = (two / _PI).sqrt() * (z + Decimal("0.044715") * z**3)
        return z / (one + (-two * t).exp())
    if name == "mish":
        w = one + z.exp()
        return z * (w * w - one) / (w * w + one)
    assert name == "exponential"
    return z.exp()


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "elu", "selu", "softplus", "log_sigmoid",
                                  "softsign", "silu", "gelu", "gelu_tanh", "mish",
                                  "exponential", "celu", "tanh_shrink", "squareplus",
                                  "sparse_plus"])  # fmt: skip
def test_a_form_is_its_function_to_far_below_a_float32_step(name: str) -> None:
    for z in _ARGUMENTS:
        if name == "gelu" and abs(z) > 13:
            continue  # beyond the range of float32, and of the series above
        got = Decimal(float(FORMS[name](np.array(z))))
        with localcontext(_CONTEXT):
            true = _exact(name, Decimal(z))
            size = max(abs(true), Decimal(TINY))
            assert abs(got - true) <= size * Decimal(FORM_ERROR) / 2, (name, z)


def test_the_series_of_tanh_shrink_meets_the_formula() -> None:
    """Both sides of the place where one takes over from the other, and far below it."""
    z = np.concatenate([np.linspace(0.05, 0.2, 301), 2.0 ** -np.arange(4.0, 60.0)])
    for argument, got in zip(z.tolist(), FORMS["tanh_shrink"](z).tolist(), strict=True):
        with localcontext(_CONTEXT):
            true = _exact("tanh_shrink", Decimal(argument))
            assert abs(Decimal(got) - true) <= abs(true) * Decimal(FORM_ERROR) / 2, argument


def test_a_family_is_the_formula_that_keras_gives() -> None:
    z = np.array([-3.0, -0.75, -0.5, 0.0, 0.25, 0.5, 2.0])
    assert activation_forms.hard_shrink(0.5)(z).tolist() == [-3.0, -0.75, 0.0, 0.0, 0.0, 0.0, 2.0]
    assert activation_forms.soft_shrink(0.5)(z).tolist() == [-2.5, -0.25, 0.0, 0.0, 0.0, 0.0, 1.5]
    assert activation_forms.threshold(0.5, 7.0)(z).tolist() == [7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 2.0]
    assert activation_forms.relu(0.5, 0.25, 1.0)(z).tolist() == [
        -1.625,
        -0.5,
        -0.375,
        -0.125,
        0.0,
        0.5,
        1.0,
    ]
    assert (
        activation_forms.prelu(np.full(7, 0.5))(z).tolist()
        == activation_forms.leaky_relu(0.5)(z).tolist()
    )
    assert np.allclose(activation_forms.celu(2.0)(z), np.where(z > 0, z, 2.0 * np.expm1(z / 2.0)))
    assert np.allclose(activation_forms.squareplus(2.0)(z), (z + np.sqrt(z * z + 2.0)) / 2.0)


@pytest.mark.parametrize(
    "form",
    [
        activation_forms.threshold(0.5, -1.0),
        activation_forms.hard_shrink(0.5),
        activation_forms.relu(0.0, 0.5, None),
    ],
)
def test_a_form_that_jumps_has_both_sides_among_its_turns(form: activation_forms.Form) -> None:
    z = np.linspace(-2.0, 2.0, 4001)
    jumps = np.flatnonzero(np.abs(np.diff(form(z))) > 0.1)
    assert jumps.size
    for place in jumps:
        ends = z[place : place + 2]
        inside = np.array([turn for turn in form.turns if ends[0] <= turn <= ends[1]])
        assert np.abs(form(inside[[0, -1]]) - form(ends)).max() < 2e-3


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh", "mish", "hard_silu"])
def test_a_form_turns_where_it_says_and_nowhere_else(name: str) -> None:
    form = FORMS[name]
    (turn,) = form.turns
    below, above = np.linspace(-30, turn, 20_001), np.linspace(turn, 30, 20_001)
    assert (np.diff(form(below)) <= 1e-300).all()
    assert (np.diff(form(above)) >= 0).all()


@pytest.mark.parametrize("name", sorted(name for name in FORMS if not FORMS[name].turns))
def test_a_form_without_turns_never_falls(name: str) -> None:
    z = np.linspace(-60, 60, 100_001)
    # expm1 itself may be a unit of float64 off.
    assert (np.diff(FORMS[name](z)) >= -4e-16).all()


def test_erfc_is_that_of_the_c_library() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [np.linspace(-7, 26.5, 20_001), 10.0 ** rng.uniform(-300, 1.4, 2000), [0.46875, 4.0, -0.0]]
    )
    true = np.array([math.erfc(value) for value in x])
    assert (np.abs(erfc(x) - true) <= 1.2e-15 * true).all()
    ends: Any = erfc(np.array([np.inf, -np.inf, np.nan]))
    assert ends[:2].tolist() == [0.0, 2.0]
    assert np.isnan(ends[2])


def test_forms_are_quiet_about_what_is_not_a_number() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1e308, -1e308])
    chosen = {"hard_shrink", "soft_shrink", "threshold", "thresholded_relu"}
    for name, form in FORMS.items():
        # As in Keras, a comparison that does not hold of NaN chooses a number.
        assert np.isnan(form(odd)[0]) == (name not in chosen)
        assert form(odd).shape == (5,)
