"""R's base functions in Python: the same indices give the same values."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from bridge.translate import rbase as r
from bridge.translate.rbase import values as r_values


def test_a_matrix_is_filled_by_columns() -> None:
    assert r.matrix(np.arange(1, 7), 2).tolist() == [[1, 3, 5], [2, 4, 6]]
    assert r.matrix(np.arange(1, 7), 2, byrow=True).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_indices_count_from_one_and_negative_ones_leave_out() -> None:
    x = np.array([10.0, 20.0, 30.0])
    assert r.index(x, 1) == 10.0
    assert r.index(x, -1).tolist() == [20.0, 30.0]
    assert r.index(r.matrix(np.arange(1, 7), 2), r.ALL, -1).tolist() == [[3, 5], [4, 6]]


def test_a_changed_element_leaves_the_other_name_alone() -> None:
    x = np.array([1.0, 2.0])
    y = r.put(x, 9.0, 1)
    assert (x.tolist(), y.tolist()) == ([1.0, 2.0], [9.0, 2.0])


def test_vectors_are_recycled() -> None:
    assert r.add(np.array([1, 2, 3, 4]), np.array([10, 20])).tolist() == [11, 22, 13, 24]


def test_a_vector_that_fits_the_rows_only_goes_down_the_columns() -> None:
    assert r.mul(np.ones((2, 3)), np.array([1.0, 10.0])).tolist() == [[1, 1, 1], [10, 10, 10]]


def test_a_vector_beside_a_matrix_is_recycled_down_the_columns() -> None:
    assert r.mul(np.ones((2, 2)), np.array([1.0, 10.0])).tolist() == [[1, 1], [10, 10]]


@pytest.mark.parametrize(
    ("otherwise", "made"), [(True, [[1, 10]] * 2), (False, [[1, 1], [10, 10]])]
)
def test_a_vector_that_meets_tensors_too_goes_along_the_rows_unless_it_is_taken_as_in_r(
    monkeypatch: pytest.MonkeyPatch, otherwise: bool, made: list[list[int]]
) -> None:
    told: list[tuple[str, str]] = []

    def hears(kind: str, cause: str, _what: str) -> bool:
        told.append((kind, cause))
        return otherwise

    monkeypatch.setattr("bridge.translate.rbase.values.read_otherwise", hears)
    assert r.mul(np.ones((2, 2)), np.array([1.0, 10.0]), along=True).tolist() == made
    assert told == [("recycled", "r-semantics")]


def test_a_number_divided_by_zero_is_infinite() -> None:
    assert r.div(1.0, 0.0) == math.inf


def test_a_gap_that_is_reached_names_itself() -> None:
    with pytest.raises(r.GapError, match=r"x\.R:3"):
        r.gap("x.R:3: the function lm()")


def test_whatever_uses_a_value_that_is_not_there_names_it() -> None:
    missing = r.Missing("x.R:3: the function lm()")
    with pytest.raises(r.GapError, match=r"x\.R:3"):
        r.add(missing, 1.0)
    with pytest.raises(r.GapError, match=r"x\.R:3"):
        missing.predict(1)


def test_a_fraction_stays_and_a_whole_number_becomes_an_int() -> None:
    assert (r.whole(64.0), r.whole(3.7)) == (64, 3.7)
    assert isinstance(r.whole(64.0), int)


def test_names_go_with_the_numbers_that_are_put_in_order() -> None:
    found = r.Named(a=3.0, b=1.0, c=2.0)
    assert r.names(r.sort(found)) == ["b", "c", "a"]
    assert r.names(r.rev(found)) == ["c", "b", "a"]
    assert r.names(r.which_min(found)) == ["b"]
    assert r.item(np.arange(3.0), r.which_min(found)) == 1.0


def test_a_range_after_one_that_began_at_0_is_a_slice_of_pythons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []
    told: list[str] = []

    def seen_before(_kind: str, now: bool) -> bool:
        seen.append(now)
        return any(seen)

    def otherwise(kind: str, *_: str) -> bool:
        told.append(kind)
        return True

    monkeypatch.setattr(r_values, "seen_before", seen_before)
    monkeypatch.setattr(r_values, "read_otherwise", otherwise)
    x = np.arange(8.0)
    assert r.index(x, r.colon(4, 7)).tolist() == [3, 4, 5, 6]
    assert r.index(x, r.colon(0, 4)).tolist() == [0, 1, 2, 3]
    assert not told
    assert r.index(x, r.colon(4, 8)).tolist() == [4, 5, 6, 7]
    assert told == ["zero"]


def test_names_of_metrics_are_those_of_outputs_or_their_own() -> None:
    def off(y_true: object, y_pred: object) -> None: ...

    model = SimpleNamespace(output_names=["one", "two"])
    assert r.metrics(model, {"one": off}) == {"one": off}
    assert [each.__name__ for each in r.metrics(model, {"far": off})] == ["far"]


def test_a_factor_is_compared_by_its_levels() -> None:
    found = r.factor(["b", "a", "b"])
    assert r.eq(["b", "b", "b"], found).tolist() == [True, False, True]
    assert r.ne(found, "a").tolist() == [True, False, True]


def test_named_vectors_of_one_length_are_the_columns_of_a_matrix() -> None:
    found = r.sapply({"x": 1.0, "y": 2.0}, lambda v: r.Named(low=v, high=v * 10))
    assert found.tolist() == [[1, 2], [10, 20]]


def test_an_element_that_is_taken_again_is_there_again() -> None:
    centre = r.Named(low=-2.0, mid=0.0, high=2.0)
    assert r.index(centre, ["high", "low", "high"]).tolist() == [2, -2, 2]
    assert r.index({"a": "x", "b": "y"}, [2, 2]) == ["y", "y"]


def test_a_factor_makes_texts_of_the_frame_that_becomes_a_matrix() -> None:
    frame = r.data_frame(a=[1.5, 2.5], b=r.factor(["u", "v"]))
    assert r.as_matrix(frame).tolist() == [["1.5", "u"], ["2.5", "v"]]
    assert r.as_matrix(r.data_frame(a=[1.5, 2.5])).dtype == np.float64
