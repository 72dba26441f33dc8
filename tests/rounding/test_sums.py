"""The bound of a sum holds in every order, and is no wider than its theorem says."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rounding.rules.arithmetic import Product, dot_error, sum_error
from bridge.rounding.rules.rounding import BFLOAT16, FLOAT16, FLOAT32, FORMATS, Format
from tests.examples import examples

ONES = np.ones(1)


def _rounded(value: float, fmt: Format) -> float:
    return float(fmt.cast(np.asarray(value)))


@examples(60)
@given(
    terms=st.lists(st.floats(-2.0, 2.0, width=32), min_size=1, max_size=6),
    name=st.sampled_from(sorted(FORMATS)),
)
def test_no_order_and_no_bracketing_of_a_few_terms_leaves_the_bound(
    terms: list[float], name: str
) -> None:
    fmt = FORMATS[name]
    held = [_rounded(each, fmt) for each in terms]
    exact = sum(map(Fraction, held))
    size = np.asarray([float(sum(abs(Fraction(each)) for each in held))])
    bound = sum_error(size, np.asarray([float(exact)]), len(held) - 1, rounded=False, fmt=fmt,
                      lost=len(held) * fmt.tiny)  # fmt: skip
    for order in set(permutations(held)):
        chain = order[0]
        for each in order[1:]:
            chain = _rounded(chain + each, fmt)
        pairs = list(order)
        while len(pairs) > 1:
            pairs = [_rounded(sum(pairs[k : k + 2]), fmt) for k in range(0, len(pairs), 2)]
        for made in (chain, pairs[0]):
            assert abs(Fraction(made) - exact) <= Fraction(float(bound[0]))


def test_terms_of_both_signs_have_half_the_bound_of_terms_of_one() -> None:
    n = 1000
    one = sum_error(n * ONES, n * ONES, n - 1)
    both = sum_error(n * ONES, 0 * ONES, n - 1)
    assert 0.5 < both[0] / one[0] < 0.51
    assert one[0] == pytest.approx(n * 2.0**-24 * n, rel=1e-3)


def test_positive_terms_in_one_type_can_come_near_their_bound() -> None:
    # 1 + u + u + ...: every addition to the large partial sum loses all of u.
    n, u = 256, FLOAT16.unit
    terms = np.asarray([1.0, *([u] * (n - 1))])
    total = 1.0
    for each in terms[1:]:
        total = _rounded(total + each, FLOAT16)
    size = np.asarray([terms.sum()])
    bound = sum_error(size, size, n - 1, rounded=False, fmt=FLOAT16)
    assert 0.8 < (terms.sum() - total) / bound[0] <= 1.0


def test_an_uncertain_factor_is_carried_and_counts_towards_the_partial_sums() -> None:
    x, w, off = np.ones((1, 4)), np.ones((4, 1)), np.full((1, 4), 0.25)
    known = dot_error([Product(x, w, np.matmul, 4)], None, x @ w)
    unsure = dot_error([Product(x, w, np.matmul, 4, off)], None, x @ w)
    assert unsure[0, 0] >= 1.0 + 1.25 * known[0, 0] * 0.99


def test_a_sum_that_may_overflow_in_some_order_has_no_bound() -> None:
    x = np.asarray([[3e38, -3e38]])
    assert np.isinf(
        dot_error([Product(x, np.ones((2, 1)), np.matmul, 2)], None, x.sum(axis=1, keepdims=True))
    )


@pytest.mark.parametrize("fmt", [FLOAT32, FLOAT16, BFLOAT16], ids=lambda fmt: fmt.name)
def test_the_constants_of_a_type_are_those_of_its_numbers(fmt: Format) -> None:
    one = np.asarray(1.0)
    step = 2.0**-fmt.digits
    assert fmt.cast(one + step) == 1.0 + step
    assert fmt.cast(one + step / 2) == 1.0
    assert fmt.unit == (step if fmt.chopped else step / 2)
    assert np.isinf(fmt.cast(np.asarray(fmt.overflow)))
    assert np.isfinite(fmt.cast(np.asarray(fmt.overflow * (1.0 - 2.0**-20))))
    assert fmt.cast(np.asarray(fmt.tiny)) == fmt.tiny
    assert fmt.ulp(one) == step
    assert np.isinf(BFLOAT16.growth(10**6))
    with pytest.raises(ValueError, match="too many"):
        fmt.gamma(2**fmt.digits + 1)
