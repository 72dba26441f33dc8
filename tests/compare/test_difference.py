from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bridge._typing import AnyArray
from bridge.compare.array_difference import difference
from bridge.compare.result import Difference
from tests.examples import examples

FLOATS = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32),
          np.dtype(np.float64)]  # fmt: skip
TYPES = [*FLOATS, *(np.dtype(name) for name in ("int8", "uint8", "int32", "int64", "uint64",
                                                "bool"))]  # fmt: skip


def one(a: Any, b: Any, dtype: Any, other: Any = None) -> Difference:
    return difference(np.array([a]).astype(dtype), np.array([b]).astype(other or dtype))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_an_array_has_the_bits_of_itself(dtype: np.dtype[Any]) -> None:
    values = np.arange(7).astype(dtype)
    found = difference(values, values.copy())
    assert found == Difference(points=7, same_bits=True)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_neighbours_are_one_step_apart(dtype: np.dtype[Any]) -> None:
    width = np.dtype(f"u{dtype.itemsize}")
    for bits in (1, 2, 77, 1 << (8 * dtype.itemsize - 4)):
        a, b = np.array([bits], width).view(dtype), np.array([bits + 1], width).view(dtype)
        found = difference(a, b)
        assert (found.max_ulp, found.different, found.same_bits) == (1.0, 1, False)
        assert found.max_abs == float(b[0]) - float(a[0])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_zeros_of_both_signs_have_one_value_and_two_bit_patterns(dtype: np.dtype[Any]) -> None:
    found = one(-0.0, 0.0, dtype)
    assert (found.same_bits, found.different, found.max_ulp, found.max_abs) == (False, 0, 0.0, 0.0)
    assert found.worst == ()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_across_zero_the_steps_on_both_sides_add_up(dtype: np.dtype[Any]) -> None:
    width = np.dtype(f"u{dtype.itemsize}")
    top = 1 << (8 * dtype.itemsize - 1)
    a, b = np.array([3], width).view(dtype), np.array([top + 2], width).view(dtype)
    assert difference(a, b).max_ulp == 5.0


def test_the_ends_of_float64_are_all_its_numbers_apart() -> None:
    most = np.finfo(np.float64).max
    found = one(most, -most, np.float64)
    assert found.max_ulp == pytest.approx(2.0 * 0x7FEFFFFFFFFFFFFF)
    assert found.max_abs == np.inf
    assert found.inf == 0


def test_nan_of_another_payload_is_the_same_value_with_other_bits() -> None:
    a = np.array([0x7FC00000], np.uint32).view(np.float32)
    b = np.array([0x7FC00001], np.uint32).view(np.float32)
    found = difference(a, b)
    assert (found.same_bits, found.different, found.nan, found.nan_in_both) == (False, 0, 0, 1)


def test_a_nan_on_one_side_is_counted_apart_and_listed_first() -> None:
    a = np.array([1, np.nan, 3, 4], np.float32)
    b = np.array([1, 2, 3, 5], np.float32)
    found = difference(a, b)
    assert (found.nan, found.different, found.max_abs, found.max_ulp) == (1, 2, 1.0, 2.0**21)
    assert [w.index for w in found.worst] == [(1,), (3,)]
    assert found.worst[0].ulp == np.inf
    assert np.isnan(found.worst[0].a)


@pytest.mark.parametrize(
    ("a", "b", "inf", "different"),
    [
        (np.inf, np.inf, 0, 0),
        (np.inf, -np.inf, 1, 1),
        (np.inf, 1.0, 1, 1),
        (-np.inf, np.nan, 0, 1),
    ],
)
def test_infinities_are_the_same_only_with_the_same_sign(
    a: float, b: float, inf: int, different: int
) -> None:
    found = one(a, b, np.float32)
    assert (found.inf, found.different) == (inf, different)
    assert found.max_abs == 0.0


def test_float32_against_float64_is_measured_in_steps_of_float32() -> None:
    exact = np.array([1.0 + 2.0**-25, -3.0, 2.0**-140])
    found = difference(exact.astype(np.float32), exact)
    assert found.max_ulp == 0.25
    assert not found.same_bits
    assert found.different == 1


def test_half_types_are_compared_in_steps_of_the_coarser_one() -> None:
    found = one(1.0, 1.0 + 2.0**-7, np.float16, ml_dtypes.bfloat16)
    assert found.max_ulp == 1.0


def test_below_its_range_float16_is_the_coarser_type() -> None:
    found = one(2.0**-24, 2.0**-25, np.float16, ml_dtypes.bfloat16)
    assert found.max_ulp == 0.5


def test_an_integer_against_a_float_is_measured_in_steps_of_the_float() -> None:
    assert one(1, 1.0 + 2.0**-23, np.int32, np.float32).max_ulp == 1.0


@pytest.mark.parametrize(
    ("a", "b", "types", "gap"),
    [
        (-(2**63), 2**63 - 1, ("int64", "int64"), 2.0**64),
        (2**53 + 1, 2**53, ("int64", "int64"), 1.0),
        (-5, 250, ("int8", "uint8"), 255.0),
        (-1, 2**64 - 1, ("int64", "uint64"), 2.0**64),
        (2**63, 2**63 + 1, ("uint64", "uint64"), 1.0),
        (2**53 + 1, 2**53, ("int64", "float64"), 1.0),
        (True, False, ("bool", "bool"), 1.0),
        (True, 3, ("bool", "int32"), 2.0),
    ],
)
def test_integers_are_exact(a: int, b: int, types: tuple[str, str], gap: float) -> None:
    found = difference(np.array([a], types[0]), np.array([b], types[1]))
    assert found.max_abs == gap
    assert found.different == 1


def test_relative_to_zero_everything_is_infinite() -> None:
    assert one(1e-30, 0.0, np.float32).max_rel == np.inf
    assert one(3.0, 2.0, np.float32).max_rel == 0.5


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2)])
def test_nothing_does_not_differ_from_nothing(shape: tuple[int, ...]) -> None:
    assert difference(np.zeros(shape), np.ones(shape)) == Difference(points=0, same_bits=True)


def test_a_scalar_has_an_empty_index() -> None:
    found = difference(np.array(1, np.float32), np.array(2, np.float32))
    assert found.worst[0].index == ()


def test_other_shapes_are_refused_with_both_named() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        difference(np.zeros((2, 3)), np.zeros((3, 2)))


@pytest.mark.parametrize("values", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_what_holds_no_real_numbers_is_refused(values: AnyArray) -> None:
    with pytest.raises(TypeError, match="cannot be compared as numbers"):
        difference(values, values)


def test_the_worst_is_never_averaged_away() -> None:
    a = np.zeros(1_000_000, np.float32)
    b = a.copy()
    b[123_456] = 10.0
    b[[7, 8]] = 1.0
    found = difference(a, b, worst=3)
    assert [(w.index, w.b) for w in found.worst] == [((123_456,), 10.0), ((7,), 1.0), ((8,), 1.0)]
    assert (found.different, found.max_abs) == (3, 10.0)


def test_indices_follow_the_shape_whatever_the_layout_in_memory() -> None:
    a = np.zeros((4, 5, 6), np.float32)
    b = a.copy()
    b[3, 1, 2] = -1.0
    for layout in (
        np.asfortranarray(b),
        b[:, ::-1][:, ::-1],
        np.moveaxis(b, 0, 2).transpose(2, 0, 1),
    ):
        assert difference(a, layout, chunk=7).worst[0].index == (3, 1, 2)


arrays = hnp.arrays(
    np.float32,
    st.integers(0, 40),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(a=arrays, seed=st.integers(0, 2**32 - 1), chunk=st.integers(1, 50))
def test_chunks_of_any_size_give_the_numbers_of_the_whole(
    a: AnyArray, seed: int, chunk: int
) -> None:
    b = a.copy()
    rng = np.random.default_rng(seed)
    if a.size:
        places = rng.integers(0, a.size, size=a.size // 2)
        b.view(np.uint32)[places] ^= rng.integers(0, 2**32, places.size, dtype=np.uint32)
    whole = difference(a, b)
    assert difference(a, b, chunk=chunk).model_dump_json() == whole.model_dump_json()
    assert whole.points == a.size
    assert whole.same_bits == (a.tobytes() == b.tobytes())
    apart = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    assert whole.different == int(apart.sum())
    both = np.isfinite(a) & np.isfinite(b)
    gaps = np.abs(a[both].astype(np.float64) - b[both].astype(np.float64))
    assert whole.max_abs == gaps.max(initial=0.0)
    assert len(whole.worst) == min(5, whole.different)


@given(a=st.floats(width=32, allow_nan=False, allow_infinity=False), steps=st.integers(0, 1000))
def test_as_many_steps_are_counted_as_were_made(a: float, steps: int) -> None:
    b = np.float32(a)
    for _ in range(steps if steps < 30 else 30):
        with np.errstate(over="ignore"):
            b = np.nextafter(b, np.float32(np.inf))
    if np.isfinite(b):
        found = difference(np.array([np.float32(a)]), np.array([b]))
        assert found.max_ulp == min(steps, 30)


@given(a=arrays)
def test_which_of_two_arrays_comes_first_does_not_matter(a: AnyArray) -> None:
    b = a[::-1]
    one_way, other_way = difference(a, b), difference(b, a)
    for name in ("different", "max_abs", "max_ulp", "nan", "inf", "same_bits"):
        assert getattr(one_way, name) == getattr(other_way, name)


@examples()
@given(a=arrays)
def test_a_result_survives_json(a: AnyArray) -> None:
    found = difference(a, a[::-1])
    assert Difference.model_validate_json(found.model_dump_json()).model_dump_json() == (
        found.model_dump_json()
    )


def test_files_are_compared_in_constant_memory(tmp_path: Path) -> None:
    size = 8_000_000
    for name in "ab":
        part = np.memmap(tmp_path / name, np.float32, "w+", shape=(size,))
        part[:] = 1.0
        part[size - 1] = ord(name)
        part.flush()
        del part
    a, b = (np.memmap(tmp_path / name, np.float32, "r", shape=(size // 4, 4)) for name in "ab")
    told: list[tuple[int, int]] = []
    tracemalloc.start()
    found = difference(a, b, progress=lambda done, total: told.append((done, total)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.worst[0].index == (size // 4 - 1, 3)
    assert (found.points, found.different, found.max_abs) == (size, 1, 1.0)
    assert peak < 8 * 2**20
    assert told[-1] == (size, size)
    assert told == sorted(told)
