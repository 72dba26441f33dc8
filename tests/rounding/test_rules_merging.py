"""Merging: no order leaves the bound of a sum or a product, and every wrong input shows."""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._typing import AnyArray
from bridge.facts.keras import Generation
from bridge.rounding.rules import Layer, UnsupportedError, evaluate
from bridge.rounding.rules.rounding import TINY
from tests.compare_samples import F32
from tests.examples import examples
from tests.orders import GOOD, ORDERS, Judge, arrays, flush, judged, layer
from tests.tensorflow_ways import GENERATIONS, hold

ELEMENTWISE: Final = ("Add", "Average", "Multiply", "Maximum", "Minimum")


@st.composite
def several(draw: st.DrawFn, least: int = 2) -> list[F32]:
    """Draw inputs that fit one another, some with fewer axes or with axes of one element."""
    shapes = [(2, 3, 4), (2, 1, 4), (2, 3, 1), (2, 4)]
    count = draw(st.integers(least, 6))
    found = [draw(arrays(*draw(st.sampled_from(shapes)))) for _ in range(count)]
    return [draw(arrays(2, 3, 4)), *found[1:]]


def spread(inputs: list[F32]) -> F32:
    """Return the inputs side by side along the last axis, as Keras aligns them."""
    aligned = [x if x.ndim == 3 else x[:, None] for x in inputs]
    return np.stack(np.broadcast_arrays(*aligned), axis=-1)


@examples(80)
@given(inputs=several())
def test_no_order_of_summation_leaves_the_bound(inputs: list[F32]) -> None:
    terms = spread(inputs)
    add, mean = Judge(layer("Add"), inputs), Judge(layer("Average"), inputs)
    for order in ORDERS:
        with np.errstate(all="ignore"):
            total = order(terms)
            average = total / np.float32(len(inputs))
            flushed = flush(total) * (np.float32(1) / np.float32(len(inputs)))
        assert not add.beyond(total), order.__name__
        for y in (average, flushed):
            assert not mean.beyond(y.astype(np.float32)), order.__name__


@examples(80)
@given(inputs=several(), seed=st.integers(0, 2**32 - 1))
def test_no_order_of_multiplication_leaves_the_bound(inputs: list[F32], seed: int) -> None:
    factors = np.moveaxis(spread(inputs), -1, 0)
    judge = Judge(layer("Multiply"), inputs)
    for order in (factors, factors[::-1], np.random.default_rng(seed).permutation(factors)):
        with np.errstate(all="ignore"):
            y = functools.reduce(np.multiply, order)
            flushed = functools.reduce(lambda a, b: flush(a * flush(b)), order[1:], flush(order[0]))
        for made in (y, flushed):
            assert not judge.beyond(made)


@examples(50)
@given(x=arrays(2, 3), y=arrays(2, 3))
def test_a_difference_is_rounded_once(x: F32, y: F32) -> None:
    with np.errstate(all="ignore"):
        right = x - y
        swapped = y - x
    for made in (right, flush(flush(x) - flush(y))):
        assert judged(layer("Subtract"), [x, y], made).verdict in GOOD
    if (np.abs(right) > 4 * TINY).any():
        assert judged(layer("Subtract"), [x, y], swapped).verdict == "different"


@examples(50)
@given(inputs=several(), least=st.booleans())
def test_an_extremum_is_an_input_bit_for_bit(inputs: list[F32], least: bool) -> None:
    terms = spread(inputs)
    y = terms.min(axis=-1) if least else terms.max(axis=-1)
    this = layer("Minimum" if least else "Maximum")
    assert judged(this, inputs, y).verdict == "same-bits"
    assert judged(this, inputs, flush(y)).verdict in GOOD
    wrong = terms.max(axis=-1) if least else terms.min(axis=-1)
    differ = np.abs(wrong - y) > 4 * TINY
    assert judged(this, inputs, wrong).beyond_bound >= differ.sum()


@examples(50)
@given(a=arrays(2, 3, 4), b=arrays(2, 5, 4), axis=st.sampled_from([1, -2]))
def test_concatenation_keeps_every_bit(a: F32, b: F32, axis: int) -> None:
    y = np.concatenate([a, b], axis=1)
    assert judged(layer("Concatenate", {"axis": axis}), [a, b], y).verdict == "same-bits"
    swapped = np.concatenate([b, a], axis=1)
    if not np.array_equal(y, swapped):
        assert judged(layer("Concatenate", {"axis": axis}), [a, b], swapped).verdict == "different"


@examples(60)
@given(a=arrays(2, 3, 9), b=arrays(2, 9, 4))
def test_no_order_leaves_the_bound_of_a_dot_product(a: F32, b: F32) -> None:
    judge = Judge(layer("Dot", {"axes": [2, 1]}), [a, b])
    with np.errstate(all="ignore"):
        terms = a[:, :, None, :] * np.swapaxes(b, 1, 2)[:, None]
        for order in ORDERS:
            assert not judge.beyond(order(terms.astype(np.float32))), order.__name__


def unit(x: F32, axis: int, generation: int, order: Any) -> F32:
    terms = np.moveaxis(x * x, axis, -1).astype(np.float32)
    squares = np.expand_dims(order(terms), axis)
    with np.errstate(all="ignore"):
        if generation == 2:
            root = np.float32(1) / np.sqrt(np.maximum(squares, np.float32(1e-12)))
        else:
            root = np.minimum(np.float32(1) / np.sqrt(squares), np.float32(1e7))
        return np.asarray(x * root, np.float32)


@examples(60)
@given(a=arrays(2, 9), b=arrays(2, 9), generation=st.sampled_from([2, 3]))
def test_no_order_leaves_the_bound_of_a_cosine(a: F32, b: F32, generation: Generation) -> None:
    judge = Judge(layer("Dot", {"axes": 1, "normalize": True}, generation), [a, b])
    for order in ORDERS:
        with np.errstate(all="ignore"):
            first, second = (unit(x, 1, generation, order) for x in (a, b))
            made = order(first * second)[:, None]
        assert not judge.beyond(made), order.__name__


@examples(80)
@given(x=arrays(3, 12), generation=st.sampled_from([2, 3]))
def test_no_order_leaves_the_bound_of_a_unit_vector(x: F32, generation: Generation) -> None:
    judge = Judge(layer("UnitNormalization", {"axis": -1}, generation), x)
    for order in ORDERS:
        with np.errstate(all="ignore"):
            terms = np.expand_dims(order(x * x), 1)
            least = np.float32(1e-12)
            if generation == 2:
                y = x / np.sqrt(np.maximum(terms, least))
            else:
                y = x * np.minimum(np.float32(1) / np.sqrt(terms), np.float32(1e12))
        assert not judge.beyond(y.astype(np.float32)), order.__name__


def test_short_vectors_are_treated_as_their_keras_does() -> None:
    x = np.array([[1e-8, 0.0]], np.float32)
    for generation, right in ((2, 1e-2), (3, 1.0)):
        this = layer("UnitNormalization", {"axis": -1}, generation)
        y = np.array([[right, 0.0]], np.float32)
        assert judged(this, x, y).verdict in GOOD
        wrong = np.array([[1.01 - right, 0.0]], np.float32)
        assert judged(this, x, wrong).verdict == "different"
    with pytest.raises(UnsupportedError, match="differ between Keras 2 and 3"):
        evaluate(layer("UnitNormalization", {"axis": -1}, 0), [x])


@pytest.mark.parametrize("cls", ELEMENTWISE)
def test_an_input_that_is_lost_or_wrong_is_seen(cls: str) -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((4, 5)).astype(np.float32) for _ in range(3)]
    others = [*inputs[:2], np.roll(inputs[2], 1)]
    (right,) = evaluate(layer(cls), inputs)
    assert judged(layer(cls), inputs, right.value.astype(np.float32)).verdict == "same-bits"
    for wrong in (inputs[:2], others):
        (found,) = evaluate(layer(cls), wrong)
        assert judged(layer(cls), inputs, found.value.astype(np.float32)).verdict == "different"


def test_a_cosine_that_was_not_normalised_is_seen() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((4, 50)).astype(np.float32) for _ in range(2))
    this = layer("Dot", {"axes": 1, "normalize": True})
    assert judged(this, [a, b], (a * b).sum(axis=1, keepdims=True)).beyond_bound == 4


def test_a_dot_product_over_the_wrong_axis_is_seen() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((2, 4, 4)).astype(np.float32) for _ in range(2))
    assert judged(layer("Dot", {"axes": [2, 1]}), [a, b], a @ b).verdict in GOOD
    wrong = np.swapaxes(a, 1, 2) @ b
    assert judged(layer("Dot", {"axes": [2, 1]}), [a, b], wrong).verdict == "different"


@pytest.mark.parametrize(
    ("shapes", "axes", "shape"),
    [
        (((3, 5), (3, 5)), -1, (3, 1)),
        (((3, 5), (3, 5, 2)), 1, (3, 2)),
        (((3, 2, 5), (3, 5)), [2, 1], (3, 2)),
        (((3, 2, 5), (3, 4, 5)), -1, (3, 2, 4)),
        (((3, 2, 5, 6), (3, 4, 5)), [2, 2], (3, 2, 6, 4)),
    ],
)
def test_a_dot_product_has_the_shape_of_what_is_left(
    shapes: tuple[tuple[int, ...], ...], axes: Any, shape: tuple[int, ...]
) -> None:
    (found,) = evaluate(layer("Dot", {"axes": axes}), [np.ones(each, "f4") for each in shapes])
    assert found.value.shape == shape
    assert (found.value == 5).all()


def test_nan_beside_a_number_is_left_alone() -> None:
    a, b = np.array([[1, np.nan]], np.float32), np.array([[2, 1]], np.float32)
    for seen in (1.0, np.nan):
        y = np.array([[2, seen]], np.float32)
        assert judged(layer("Maximum"), [a, b], y).verdict != "different"


def test_what_may_overflow_in_some_order_is_left_alone() -> None:
    big = np.full((1, 1), 3e38, np.float32)
    for cls in ("Add", "Average"):
        y = np.full((1, 1), np.inf, np.float32)
        assert judged(layer(cls), [big, big, -big], y).verdict == "abstained"
    this = layer("Multiply")
    inputs = [big, big, *(np.full((1, 1), small, np.float32) for small in (1e-37, 1e-3))]
    assert judged(this, inputs, np.full((1, 1), np.inf, np.float32)).verdict == "abstained"


def ones(*shapes: tuple[int, ...]) -> list[AnyArray]:
    return [np.ones(shape, np.float32) for shape in shapes]


REFUSED: Final[list[tuple[Layer, list[AnyArray], str]]] = [
    (layer("Subtract"), ones((1, 2)), "takes two"),
    (layer("Add"), ones((1, 2), (1, 3)), "cannot be applied"),
    (layer("Add"), ones((1, 2), ()), "no batch axis"),
    (layer("Add"), ones((1, 2**20), (2**20, 1)), "too large"),
    (layer("Multiply"), ones(*[(1, 1)] * 1025), "too many"),
    (layer("Concatenate", {"axis": 2}), ones((1, 2), (1, 2)), "axis"),
    (layer("Concatenate", {"axis": None}), ones((1, 2), (1, 2)), "axis"),
    (layer("Concatenate", {"axis": True}), ones((1, 2), (1, 2)), "axis"),
    (layer("Concatenate", {"axis": 1}), ones((1, 2), (2, 2)), "cannot be applied"),
    (layer("Concatenate"), [np.ones((1, 2), np.int32), np.ones((1, 2), "f4")], "differ"),
    (layer("Concatenate"), ones((1, 2), (1,)), "differ"),
    (layer("Maximum"), [np.ones((1, 2), np.int32), np.ones((1, 2), "f4")], "several types"),
    (layer("Dot", {"axes": 0}), ones((2, 2), (2, 2)), "axes"),
    (layer("Dot", {"axes": [1]}), ones((2, 2), (2, 2)), "axes"),
    (layer("Dot", {"axes": "1"}), ones((2, 2), (2, 2)), "axes"),
    (layer("Dot", {"axes": 1}), ones((2, 2), (2, 3)), "do not fit"),
    (layer("Dot", {"axes": 1}), ones((2, 2), (3, 2)), "samples"),
    (layer("Dot", {"axes": 1}), ones((2, 0), (2, 0)), "too few"),
    (layer("Dot", {"axes": 1}), ones((2, 2)), "two arrays"),
    (layer("Dot", {"axes": 1, "normalize": 1}), ones((2, 2), (2, 2)), "neither"),
    (layer("Dot", {"axes": 1}), ones((2, 2, 2**14), (2, 2, 2**14)), "too large"),
    (layer("Dot", {"axes": 1, "normalize": True, "dtype": "float16"}), ones((2, 2), (2, 2)),
     "float32 alone"),
]  # fmt: skip


@pytest.mark.parametrize(("this", "inputs", "why"), REFUSED)
def test_what_cannot_be_read_is_refused(this: Layer, inputs: list[AnyArray], why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        evaluate(this, inputs)


def test_square_roots_on_other_devices_are_not_judged() -> None:
    this = Layer("here", "keras.layers.UnitNormalization", {}, {}, 3, devices=("GPU",))
    with pytest.raises(UnsupportedError, match="ran on GPU"):
        evaluate(this, ones((1, 2)))


@pytest.mark.parametrize("cls", ["Maximum", "Minimum", "Multiply"])
def test_what_a_mask_changes_is_not_judged(cls: str) -> None:
    with pytest.raises(UnsupportedError, match="mask"):
        evaluate(Layer("here", f"keras.layers.{cls}", masked=True), ones((1, 2), (1, 2)))


# --- TensorFlow ----------------------------------------------------------------------------------


def _inputs(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[list[F32]]:
    found: list[list[F32]] = []
    for low, high in ((0, 0), (-44, 5), (-3, 3)):
        every = [rng.standard_normal(s) * 10.0 ** rng.uniform(low, high, s) for s in shapes]
        found.append([x.astype(np.float32) for x in every])
    return found


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("cls", [*ELEMENTWISE, "Subtract", "Concatenate"])
def test_tensorflow_stays_inside(generation: Generation, package: str, cls: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(0)
    shapes = [(3, 4, 5), (3, 4, 5), (3, 4, 5)]
    hold(getattr(layers, cls)(), generation, _inputs(rng, *shapes[: 2 if cls == "Subtract" else 3]))
    if cls not in ("Subtract", "Concatenate"):
        hold(getattr(layers, cls)(), generation, _inputs(rng, (3, 4, 5), (3, 1, 5), (3, 5)))


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot_products(generation: Generation, package: str, normalize: bool) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(1)
    for axes, shapes in (
        (1, ((4, 200), (4, 200))),
        ((2, 1), ((2, 3, 33), (2, 33, 4))),
        ((2, -1), ((2, 3, 7), (2, 4, 5, 7))),
    ):
        hold(layers.Dot(axes=axes, normalize=normalize), generation, _inputs(rng, *shapes))


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_unit_vectors(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(2)
    scales = [rng.standard_normal((5, 6, 7)) * 10.0**at for at in (0, 4, -7, -13, -20, -38)]
    for axis in (-1, 1, [1, 2]):
        made = layers.UnitNormalization(axis=axis)
        hold(made, generation, [x.astype(np.float32) for x in scales])
