"""R's values, as its run took them apart, in the form of the translated text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.translate.rbase import Factor, Frame, GapError, Named
from bridge.translate.rbase.values import NoValueError, answered


def _numbers(values: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "numbers", "cls": [], "values": np.asarray(values), **more}


def test_a_vector_of_one_number_is_that_number() -> None:
    found = answered(_numbers([2.5]))
    assert (found, type(found)) == (2.5, float)
    assert type(answered(_numbers(np.array([3], np.int32)))) is int


def test_a_matrix_is_filled_by_columns() -> None:
    assert answered(_numbers([1.0, 2.0, 3.0, 4.0], dim=[2, 2])).tolist() == [[1, 3], [2, 4]]


def test_names_of_a_vector_stay() -> None:
    found = answered(_numbers([1.0, 2.0], names=["a", "b"]))
    assert isinstance(found, Named)
    assert dict(found) == {"a": 1.0, "b": 2.0}


def test_a_factor_keeps_its_levels_and_what_is_missing() -> None:
    codes = np.array([2, -(2**31), 1], np.int32)
    found = answered(_numbers(codes, levels=["low", "high"]))
    assert isinstance(found, Factor)
    assert found.text == ["high", "NA", "low"]


def test_columns_of_one_row_are_vectors() -> None:
    text = {"kind": "text", "cls": [], "values": ["x"]}
    items = [_numbers([1.0]), text]
    found = answered({"kind": "list", "cls": ["data.frame"], "names": ["n", "t"], "items": items})
    assert isinstance(found, Frame)
    assert (found["n"].tolist(), found["t"]) == ([1.0], ["x"])


def test_a_list_of_which_some_names_are_empty_is_a_list() -> None:
    parts = [_numbers([1.0]), {"kind": "null"}]
    assert answered({"kind": "list", "cls": [], "names": ["a", ""], "items": parts}) == [1.0, None]


def test_an_object_of_pythons_is_itself() -> None:
    thing = object()
    assert answered({"kind": "python", "value": thing}) is thing


def test_what_is_not_kept_says_why() -> None:
    with pytest.raises(NoValueError, match="too large"):
        answered({"kind": "unkept", "text": "it is too large (matrix)"})
    part = {"kind": "unkept", "text": "it is too large (matrix)"}
    found = answered({"kind": "list", "cls": [], "names": ["a"], "items": [part]})
    with pytest.raises(GapError, match="too large"):
        len(found["a"])
