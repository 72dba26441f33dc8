"""Shapes are told by what the bounds of the points allow, exactly, and not by a guess."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.explain.result import ResponseShape
from bridge.explain.shapes import (
    MOST_LISTED,
    Interval,
    breaks,
    line,
    lines_through,
    segments,
    shape_of,
    simplest,
)
from tests.examples import examples

X = np.linspace(-3, 3, 61)
EPS = 2.0**-23


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def gelu(x: Any) -> Any:
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def rounded(y: Any, x: Any = X) -> ResponseShape:
    """Return the shape of a response as float32 shows it, with the bound that it has."""
    y = np.broadcast_to(y, np.shape(x))
    return shape_of(x, y.astype(np.float32), np.abs(y) * EPS)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (lambda x: 0 * x + 0.1, "constant"),
        (lambda x: 0.3 * x + 0.1, "affine"),
        (relu, "hinge"),
        (lambda x: np.abs(x - 0.2), "hinge"),
        (lambda x: np.where(x > 0.123, x, 0.2 * x + 0.8 * 0.123), "hinge"),
        (lambda x: np.clip(x / 4 + 0.5, 0, 1), "piecewise-linear"),
        (lambda x: relu(1 - np.abs(x)), "piecewise-linear"),
        (lambda x: np.where(x > 0.05, 1.0, 0.0), "piecewise-linear"),
        (np.tanh, "saturating"),
        (sigmoid, "saturating"),
        (lambda x: -np.tanh(5 * x), "saturating"),
        (lambda x: np.tanh(9 * x), "saturating"),
        (gelu, "smooth"),
        (lambda x: np.logaddexp(x, 0), "smooth"),
        (lambda x: np.where(x > 0, x, np.expm1(x)), "smooth"),
        (np.arcsinh, "smooth"),
        (lambda x: x / (1 + np.abs(x)), "smooth"),
        (lambda x: np.tanh(x / 60), "smooth"),
        (np.square, "smooth"),
        (np.sin, "smooth"),
    ],
)
def test_a_response_has_its_shape_after_rounding_to_float32(response: Any, kind: str) -> None:
    found = rounded(response(X))
    assert found.kind == kind, found.sentence
    assert found.points == 61
    assert found.beyond == 0


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e30])
@pytest.mark.parametrize("response", [relu, np.tanh, gelu, lambda x: 3 * x])
def test_shapes_do_not_depend_on_the_units(response: Any, scale: float) -> None:
    kind = rounded(response(X)).kind
    assert rounded(response(X) * scale).kind == kind
    assert rounded(response(X), X * scale).kind == kind


def test_neither_order_nor_repeated_inputs_matter() -> None:
    order = np.random.default_rng(0).permutation(122) % 61
    again = shape_of(X[order], relu(X)[order].astype(np.float32), relu(X)[order] * EPS)
    once = rounded(relu(X))
    assert (again.kind, again.slopes, again.between) == (once.kind, once.slopes, once.between)
    assert again.points == 122


def test_a_hinge_has_its_breakpoint_and_its_slopes() -> None:
    found = rounded(relu(1.7 * X - 0.3))
    (low, high), (x,) = found.between[0], found.breakpoints
    assert low <= 0.3 / 1.7 <= high
    assert low <= x <= high
    assert high - low < 1e-5
    assert found.slopes == pytest.approx((0, 1.7), abs=1e-6)
    assert found.pieces == 2


def test_the_sentence_of_relu_says_where_it_bends() -> None:
    assert rounded(relu(X)).sentence == (
        "A hinge: slope 0 up to x = 0, then slope 1; every point is on it within its rounding "
        "bound."
    )


def test_a_coarse_grid_leaves_the_breakpoint_open_as_far_as_it_does() -> None:
    x = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    found = shape_of(x, [0, 0, 0, 1, 2, 3], 0.01)
    ((low, high),) = found.between
    assert found.kind == "hinge"
    assert low == pytest.approx(-0.03, abs=0.02)
    assert high == pytest.approx(0.03, abs=0.02)
    assert f"between {low:.6g} and {high:.6g}" in found.sentence


def test_a_jump_is_no_hinge() -> None:
    found = rounded(np.where(X > 0.05, X + 1, X))
    assert found.kind == "piecewise-linear"
    assert found.between == ((X[30], X[31]),)
    assert "then a jump" in found.sentence


def test_one_bit_is_enough_to_bend_a_line_without_a_bound() -> None:
    y = X.copy()
    assert shape_of(X, y).kind == "affine"
    y[30] = np.nextafter(1e-9, 1)
    assert shape_of(X, y).kind != "affine"
    assert shape_of(X, y, 1e-9 + 1e-20).kind == "affine"


def test_a_line_of_rounded_numbers_is_no_curve_where_no_bound_is_known() -> None:
    found = shape_of(X, (0.3 * X + 0.1).astype(np.float32))
    assert found.kind == "not-known"
    assert "to and fro" in found.sentence


def test_noise_beyond_the_bound_is_no_curve() -> None:
    noise = np.random.default_rng(0).normal(size=61)
    assert shape_of(X, noise, 1e-6).kind == "not-known"


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([], [], "there are 0"),
        ([1], [1], "there is 1"),
        ([1, 1, 2], [1, 1, 2], "there are 2"),
        ([0, 1, 2, 3], [0, 0, 0, 1], "3 on every piece"),
        ([0, 1, 2], [0, math.nan, 1], "1 of 3 points are not finite"),
        ([0, 1, math.inf], [0, 1, 1], "1 of 3 points are not finite"),
        ([0, 1, 1, 2], [0, 1, 2, 3], "at x = 1 it is 1 and 2"),
    ],
)
def test_what_cannot_be_told_is_not_known_and_the_reason_is_said(x: Any, y: Any, said: str) -> None:
    found = shape_of(x, y)
    assert found.kind == "not-known"
    assert said in found.sentence


def test_points_of_which_nothing_is_known_are_left_out() -> None:
    y, bound = relu(X), np.zeros(61)
    y[10], bound[10] = 77, math.inf
    found = shape_of(X, y, bound)
    assert (found.kind, found.points) == ("hinge", 60)


@pytest.mark.parametrize(
    ("x", "y", "bound", "said"),
    [
        ([[1]], [[1]], 0, "n numbers each"),
        ([1, 2], [1], 0, "n numbers each"),
        ([1], [1], -1, "negative"),
        ([1], [1], math.nan, "negative"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x: Any, y: Any, bound: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shape_of(x, y, bound)


def test_many_pieces_are_counted_and_not_listed() -> None:
    x = np.arange(0.0, 4.0 * (MOST_LISTED + 1) + 1)
    found = shape_of(x, np.abs((x % 8) - 4))
    assert found.kind == "piecewise-linear"
    assert found.pieces == MOST_LISTED + 1
    assert not found.slopes
    assert "33 straight pieces, with slopes from -1 to 1" in found.sentence


def test_very_many_points_are_thinned_and_that_is_said() -> None:
    x = np.linspace(-1, 1, 10_001)
    found = shape_of(x, relu(x))
    assert found.kind == "hinge"
    assert "of 10,001 different inputs, 4,096 were looked at" in found.sentence


@pytest.mark.parametrize(
    ("slope", "intercept", "said"),
    [(1, 0, "x"), (-1, 2, "-x + 2"), (0.5, -0.25, "0.5 x - 0.25"), (2, 0, "2 x")],
)
def test_a_line_is_written_as_people_write_it(slope: float, intercept: float, said: str) -> None:
    assert line(slope, intercept) == said


# The geometry, against slow but simple answers.

Intervals = st.lists(st.tuples(st.integers(-8, 8), st.integers(0, 5)), min_size=2, max_size=7).map(
    lambda ends: [Interval(x, y, y + up) for x, (y, up) in enumerate(ends)]
)


def is_on_a_line(intervals: Sequence[Interval]) -> bool:
    """Say whether one of the lines through two ends passes through everything."""
    ends = [(each.x, y) for each in intervals for y in (each.low, each.high)]
    for (a, p), (b, q) in itertools.combinations(ends, 2):
        if a == b:
            continue
        slope = Fraction(q - p, b - a)
        if all(each.low <= p + slope * (each.x - a) <= each.high for each in intervals):
            return True
    return False


@given(Intervals)
@examples(100)
def test_a_line_is_found_just_where_there_is_one(intervals: list[Interval]) -> None:
    found = lines_through(intervals)
    assert (found is not None) == is_on_a_line(intervals)
    if found is not None:
        for each in intervals:
            low, high = found.values(Fraction(each.x))
            assert each.low <= low <= high <= each.high
        for slope in found.slopes():
            low, high = found.with_slope(slope)
            for intercept in (low, high):
                assert all(one.low <= slope * one.x + intercept <= one.high for one in intervals)


@given(Intervals)
@examples(100)
def test_no_cut_needs_fewer_segments(intervals: list[Interval]) -> None:
    count = len(intervals)
    fewest = [0] + [count] * count
    for stop in range(1, count + 1):
        for start in range(stop):
            part = intervals[start:stop]
            if len(part) == 1 or is_on_a_line(part):
                fewest[stop] = min(fewest[stop], fewest[start] + 1)
    found = segments(intervals)
    assert len(found) == fewest[count]
    assert sum(found) == count


@given(
    st.integers(-5, 5),
    st.integers(-5, 5),
    st.integers(3, 17),
    st.lists(st.integers(0, 3), min_size=21, max_size=21),
)
@examples(100)
def test_the_break_of_two_lines_that_meet_is_within_its_stretch(
    left: int, right: int, place: int, widths: list[int]
) -> None:
    def value(x: int) -> int:
        return left * (x - place) if x < place else right * (x - place)

    intervals = [
        Interval(x, value(x) - width, value(x) + (x * width) % 3) for x, width in enumerate(widths)
    ]
    found = breaks(intervals)
    assert found is not None
    assert found[0] <= place <= found[1]
    if left != right and not any(widths):
        assert found == (Fraction(place), Fraction(place))


@given(st.fractions(-1000, 1000), st.fractions(0, 10))
@examples(100)
def test_the_simplest_number_is_within_its_interval(low: Fraction, width: Fraction) -> None:
    assert low <= simplest(low, low + width) <= low + width


def test_the_simplest_number_has_the_fewest_digits() -> None:
    assert simplest(Fraction(29, 100), Fraction(31, 100)) == Fraction(3, 10)
    assert simplest(Fraction(-12), Fraction(-8)) == -10
    assert simplest(Fraction(-1), Fraction(1, 7)) == 0
    assert simplest(Fraction(1, 10**400), Fraction(3, 10**400)) == Fraction(2, 10**400)
