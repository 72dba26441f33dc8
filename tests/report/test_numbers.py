"""Numbers are printed short, and never so short that they say something else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from bridge.report import numbers

finite = st.floats(allow_nan=False, allow_infinity=False)
gaps = st.floats(min_value=0, max_value=1e300)


def read(text: str) -> float:
    return float(text.replace(",", ""))


@given(finite)
def test_a_value_reads_back_as_the_same_float(value: float) -> None:
    printed = float(numbers.exact(value).text)
    assert printed == value
    assert math.copysign(1, printed) == math.copysign(1, value)


@given(finite)
def test_a_magnitude_is_0_exactly_when_the_number_is(value: float) -> None:
    assert (read(numbers.magnitude(value).text) == 0) == (value == 0)


@given(gaps)
def test_a_gap_in_ulps_is_0_exactly_when_the_number_is(value: float) -> None:
    assert (read(numbers.ulp(value).text) == 0) == (value == 0)


@given(gaps)
def test_a_gap_is_printed_close_to_what_it_is(value: float) -> None:
    assert read(numbers.ulp(value).text) == pytest.approx(value, rel=5e-3)


@given(st.floats(min_value=0.5, max_value=2))
def test_a_ratio_never_looks_as_if_it_stood_on_the_other_side_of_the_bound(value: float) -> None:
    printed = float(numbers.ratio(value).text)
    assert (printed > 1, printed == 1) == (value > 1, value == 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (16_735_273.0, "16,735,273"), (0.5, "0.5"), (2.0004, "2.00")],
)
def test_only_an_integral_gap_looks_like_an_integer(value: float, text: str) -> None:
    assert numbers.ulp(value).text == text


@pytest.mark.parametrize(
    ("value", "text", "spelled"),
    [
        (float("nan"), "NaN", "NaN"),
        (float("inf"), "Inf", "Infinity"),
        (float("-inf"), "-Inf", "-Infinity"),
    ],
)
def test_a_number_that_is_not_finite_is_called_what_r_calls_it(
    value: float, text: str, spelled: str
) -> None:
    for form in (numbers.exact, numbers.magnitude, numbers.ulp, numbers.ratio):
        assert form(value) == numbers.PrintedNumber(text, spelled)


def test_a_float32_is_not_printed_as_the_float64_that_it_is_not() -> None:
    assert numbers.exact(0.10000000149011612).text != numbers.exact(0.1).text


def test_html_carries_all_digits_of_a_number_that_is_printed_short() -> None:
    assert 'value="1.4993"' in str(escape(numbers.ulp(1.4993)))
    assert ">1.50<" in str(escape(numbers.ulp(1.4993)))


def test_no_number_is_printed_as_none_and_never_as_0() -> None:
    for form in (numbers.exact, numbers.magnitude, numbers.ulp, numbers.ratio, numbers.count):
        assert form(None).text == numbers.NONE
        assert not form(None)
