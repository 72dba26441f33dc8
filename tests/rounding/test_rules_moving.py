"""Layers that move elements: every element keeps its bits, and every wrong place shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._typing import AnyArray
from bridge.facts.keras import Generation
from bridge.rounding.rules import Layer, UnsupportedError, evaluate
from bridge.rounding.rules.rounding import FLOAT32
from tests.compare_samples import F32, judge_layer
from tests.examples import examples
from tests.orders import GOOD, Judge, arrays, flush, judged, layer
from tests.tensorflow_ways import GENERATIONS, described, hold

ODD: Final = np.array(
    [np.nan, -0.0, 0.0, 1e-45, -1e-40, np.inf, -np.inf, 3.4e38] * 6, np.float32
).reshape(2, 3, 8)

Move = Callable[[AnyArray], AnyArray]
MOVES: Final[list[tuple[Layer, Move]]] = [
    (layer("Flatten"), lambda x: x.reshape(2, 24)),
    (layer("Reshape", {"target_shape": [4, -1]}), lambda x: x.reshape(2, 4, 6)),
    (layer("Permute", {"dims": [2, 1]}), lambda x: x.transpose(0, 2, 1)),
    (layer("ZeroPadding1D", {"padding": [1, 2]}), lambda x: np.pad(x, [(0, 0), (1, 2), (0, 0)])),
    (layer("ZeroPadding1D", {"padding": 1}), lambda x: np.pad(x, [(0, 0), (1, 1), (0, 0)])),
    (layer("ZeroPadding1D", {"padding": [1, 0], "data_format": "channels_first"}),
     lambda x: np.pad(x, [(0, 0), (0, 0), (1, 0)])),
    (layer("Cropping1D", {"cropping": [1, 0]}), lambda x: x[:, 1:]),
    (layer("Cropping1D", {"cropping": [0, 2]}), lambda x: x[:, :1]),
    (layer("UpSampling1D", {"size": 3}), lambda x: np.repeat(x, 3, axis=1)),
]  # fmt: skip
IMAGES: Final[list[tuple[Layer, Move]]] = [
    (layer("ZeroPadding2D", {"padding": [[1, 0], [0, 2]]}),
     lambda x: np.pad(x, [(0, 0), (1, 0), (0, 2), (0, 0)])),
    (layer("ZeroPadding2D", {"padding": [1, 2]}),
     lambda x: np.pad(x, [(0, 0), (1, 1), (2, 2), (0, 0)])),
    (layer("Cropping2D", {"cropping": [[1, 0], [0, 2]]}), lambda x: x[:, 1:, :-2]),
    (layer("Cropping2D", {"cropping": [[1, 0], [0, 2]], "data_format": "channels_first"}),
     lambda x: x[:, :, 1:, :-2]),
    (layer("UpSampling2D", {"size": [2, 3], "interpolation": "nearest"}),
     lambda x: x.repeat(2, axis=1).repeat(3, axis=2)),
    (layer("Permute", {"dims": [3, 1, 2]}), lambda x: x.transpose(0, 3, 1, 2)),
]  # fmt: skip
VOLUMES: Final[list[tuple[Layer, Move]]] = [
    (layer("ZeroPadding3D", {"padding": [[1, 0], [0, 2], [1, 1]]}),
     lambda x: np.pad(x, [(0, 0), (1, 0), (0, 2), (1, 1), (0, 0)])),
    (layer("Cropping3D", {"cropping": [[1, 0], [0, 1], [1, 1]]}), lambda x: x[:, 1:, :-1, 1:-1]),
    (layer("UpSampling3D", {"size": [1, 2, 3]}), lambda x: x.repeat(2, axis=2).repeat(3, axis=3)),
]  # fmt: skip
SHAPES: Final = {3: (2, 3, 8), 4: (2, 3, 4, 5), 5: (2, 3, 4, 3, 2), 2: (2, 24)}
ALL: Final = [
    *((3, *each) for each in MOVES),
    *((4, *each) for each in IMAGES),
    *((5, *each) for each in VOLUMES),
    (2, layer("RepeatVector", {"n": 3}), lambda x: np.stack([x] * 3, axis=1)),
]


@pytest.mark.parametrize(("rank", "this", "move"), ALL)
@pytest.mark.parametrize("dtype", ["float32", "int64", "float16", "bool"])
def test_every_element_keeps_its_type_and_its_bits(
    rank: int, this: Layer, move: Move, dtype: str
) -> None:
    x = np.random.default_rng(0).permutation(np.resize(ODD, SHAPES[rank]))
    x = x if dtype == "float32" else np.nan_to_num(x, posinf=7, neginf=-7).clip(-9, 9).astype(dtype)
    policy = {"dtype": dtype} if dtype == "float16" else {}
    this = Layer(this.name, this.cls, {**this.config, **policy})
    y = move(x)
    (found,) = evaluate(this, [x])
    assert found.value.dtype == x.dtype
    assert judged(this, x, y).verdict == "same-bits"


@pytest.mark.parametrize(("rank", "this", "move"), ALL)
def test_an_element_in_the_wrong_place_is_seen(rank: int, this: Layer, move: Move) -> None:
    x = np.arange(1, 1 + np.prod(SHAPES[rank]), dtype=np.float32).reshape(SHAPES[rank])
    y = move(x)
    wrong = np.roll(y, 1)
    assert judged(this, x, y).verdict == "same-bits"
    assert judged(this, x, wrong).beyond_bound == (wrong != y).sum() > 0


def test_a_double_is_cast_before_it_is_moved_and_may_be_flushed() -> None:
    x = np.array([[0.1, 1e-40, -1e-40]])
    this = layer("Flatten")
    (found,) = evaluate(this, [x])
    assert found.value.dtype == np.float32
    for y in (x.astype(np.float32), flush(x.astype(np.float32))):
        assert judged(this, x, y).verdict in GOOD
    assert judged(this, x.astype(np.float32), flush(x.astype(np.float32))).verdict == "different"
    (exact,) = evaluate(this, [x], received=False)
    assert exact.value.tolist() == x.tolist()


@pytest.mark.parametrize(("height", "width", "first", "move"), [
    (2, 1, False, lambda x: x[:, :2, 1:2]),
    (1, 4, False, lambda x: x[:, 1:2]),
    (3, 2, True, lambda x: x[:, :, :3, 1:3]),
])  # fmt: skip
def test_the_middle_of_an_image_keeps_its_bits(
    height: int, width: int, first: bool, move: Move
) -> None:
    order = "channels_first" if first else "channels_last"
    this = layer("CenterCrop", {"height": height, "width": width, "data_format": order})
    x = np.resize(ODD, (2, 3, 4, 5))
    assert judged(this, x, move(x)).verdict == "same-bits"
    x = np.arange(1, 121, dtype=np.float32).reshape(2, 3, 4, 5)
    assert judged(this, x, np.roll(move(x), 1)).verdict == "different"


def test_whole_numbers_are_not_cast() -> None:
    x = np.array([[2**40 + 1]])
    (found,) = evaluate(layer("Flatten"), [x])
    assert found.value.dtype == np.int64
    assert found.value.tolist() == x.tolist()


# --- Masking -------------------------------------------------------------------------------------


@examples(50)
@given(x=arrays(2, 4, 3), number=st.sampled_from([0.0, 0.1, -3.0]))
def test_a_masked_step_becomes_zero(x: F32, number: float) -> None:
    x[:, 1] = np.float32(number)
    gone = (x == np.float32(number)).all(axis=-1, keepdims=True)
    this = layer("Masking", {"mask_value": number})
    chosen = np.where(gone, np.float32(0), x)
    with np.errstate(all="ignore"):
        multiplied = flush(flush(x) * (~gone).astype(np.float32))
    for y in (chosen, multiplied):
        assert judged(this, x, y).verdict in GOOD
    if number:
        assert judged(this, x, x).verdict == "different"


def test_a_mask_value_is_rounded_as_its_keras_rounds_it() -> None:
    x = np.full((1, 1, 1), 0.1, np.float16)
    for generation, seen in ((2, 0.0), (3, 0.1)):
        this = layer("Masking", {"mask_value": 0.1, "dtype": "float16"}, generation)
        assert judged(this, x, np.full_like(x, seen)).verdict == "same-bits"
    with pytest.raises(UnsupportedError, match="rounded"):
        evaluate(layer("Masking", {"mask_value": 0.1, "dtype": "float16"}, 0), [x])


def test_what_multiplying_with_zero_makes_of_infinity_is_left_alone() -> None:
    x = np.full((1, 1, 2), np.inf, np.float32)
    this = layer("Masking", {"mask_value": "inf"})
    for seen in (0.0, np.nan):
        assert judged(this, x, np.full_like(x, seen)).verdict != "different"


# --- bilinear upsampling -------------------------------------------------------------------------


def interpolated(x: F32, factor: int, axis: int, kind: str) -> F32:
    """Interpolate along an axis in float32, with c from a scale or from a quotient."""
    f = np.float32
    length = x.shape[axis]
    place = np.arange(length * factor).astype(f)
    centre = (place + f(0.5)) * (f(1) / f(factor)) if kind != "divided" else (
        (place + f(0.5)) / f(factor))  # fmt: skip
    centre = centre - f(0.5)
    low = np.floor(centre)
    t = (centre - low).reshape([-1 if at == axis else 1 for at in range(x.ndim)])
    first, second = (np.clip(low + f(step), 0, length - 1).astype(int) for step in (0, 1))
    a, b = np.take(x, first, axis), np.take(x, second, axis)
    found: F32 = a * (f(1) - t) + b * t if kind == "weights" else a + (b - a) * t
    return flush(found) if kind == "divided" else found


@examples(60)
@given(x=arrays(1, 5, 4, 2), rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_no_interpolation_leaves_its_bound(x: F32, rows: int, columns: int) -> None:
    this = layer("UpSampling2D", {"size": [rows, columns], "interpolation": "bilinear"})
    judge = Judge(this, x)
    for kind in ("scaled", "divided", "weights"):
        with np.errstate(all="ignore"):
            y = interpolated(interpolated(x, rows, 1, kind), columns, 2, kind)
            z = interpolated(interpolated(x, columns, 2, kind), rows, 1, kind)
        for made in (y, z):
            assert not judge.beyond(made), kind


def test_other_corners_or_the_nearest_element_are_seen() -> None:
    x = np.random.default_rng(0).standard_normal((1, 5, 6, 1)).astype(np.float32)
    this = layer("UpSampling2D", {"size": [2, 2], "interpolation": "bilinear"})
    nearest = x.repeat(2, axis=1).repeat(2, axis=2)
    assert judged(this, x, nearest).verdict == "different"
    places = np.linspace(0, 4, 10)
    rows = np.stack([np.interp(places, np.arange(5), x[0, :, at, 0]) for at in range(6)], axis=1)
    columns = np.stack([np.interp(np.linspace(0, 5, 12), np.arange(6), row) for row in rows])
    assert judged(this, x, columns[None, :, :, None].astype("f4")).verdict == "different"


def test_an_image_with_infinity_is_left_alone_whole() -> None:
    x = np.ones((2, 3, 3, 1), np.float32)
    x[0, 0, 0] = np.inf
    this = layer("UpSampling2D", {"size": [2, 2], "interpolation": "bilinear"})
    (found,) = evaluate(this, [x])
    assert np.isinf(found.bound[0]).all()
    assert (found.bound[1] <= 32 * FLOAT32.unit).all()


REFUSED: Final[list[tuple[Layer, tuple[int, ...], str]]] = [
    (layer("Permute", {"dims": [1, 3]}), (1, 2, 3), "dims"),
    (layer("Permute", {"dims": [1, 1]}), (1, 2, 3), "dims"),
    (layer("Permute", {"dims": "21"}), (1, 2, 3), "dims"),
    (layer("ZeroPadding1D", {"padding": [1]}), (1, 2, 3), "padding"),
    (layer("ZeroPadding1D", {"padding": [-1, 1]}), (1, 2, 3), "padding"),
    (layer("ZeroPadding1D", {"padding": [True, 1]}), (1, 2, 3), "padding"),
    (layer("ZeroPadding1D", {"padding": [10**30, 1]}), (1, 2, 3), "too large"),
    (layer("ZeroPadding2D", {"padding": [[1, 1]]}), (1, 2, 3, 1), "padding"),
    (layer("ZeroPadding2D", {"padding": [[1, 1], [1]]}), (1, 2, 3, 1), "padding"),
    (layer("ZeroPadding2D", {}), (1, 2, 3, 1), "padding"),
    (layer("ZeroPadding2D", {"padding": 1}), (1, 2, 3), "4 axes"),
    (layer("Cropping1D", {"cropping": [1, 1]}), (1, 2, 3), "leaves nothing"),
    (layer("Cropping2D", {"cropping": {"a": 1}}), (1, 2, 3, 1), "cropping"),
    (layer("CenterCrop", {"height": 2, "width": 4}), (1, 2, 3, 1), "resizes"),
    (layer("CenterCrop", {"height": 0, "width": 3}), (1, 2, 3, 1), "height"),
    (layer("CenterCrop", {"height": 2}), (1, 2, 3, 1), "width"),
    (layer("UpSampling1D", {"size": 0}), (1, 2, 3), "positive"),
    (layer("UpSampling1D", {"size": 10**12}), (1, 2, 3), "too large"),
    (layer("UpSampling2D", {"size": [2, 2], "interpolation": "bicubic"}), (1, 2, 3, 1), "bicubic"),
    (layer("UpSampling2D", {"size": [2, 2], "interpolation": 7}), (1, 2, 3, 1), "no rule for"),
    (layer("UpSampling2D", {"size": [2**21, 1]}), (1, 1, 1, 1), "uncertain"),
    (layer("UpSampling2D", {"size": [2, 2], "interpolation": "bilinear", "dtype": "float16"}),
     (1, 2, 3, 1), "float32 alone"),
    (layer("RepeatVector", {"n": -1}), (1, 2), "n"),
    (layer("RepeatVector", {"n": True}), (1, 2), "n"),
    (layer("RepeatVector", {"n": 10**12}), (1, 2), "too large"),
    (layer("RepeatVector", {"n": 2}), (1, 2, 3), "n"),
    (layer("Masking", {"mask_value": [1, 2]}), (1, 2, 3), "mask_value"),
    (layer("Masking"), (), "no axes"),
]  # fmt: skip


@pytest.mark.parametrize(("this", "shape", "why"), REFUSED)
def test_what_cannot_be_read_is_refused(this: Layer, shape: tuple[int, ...], why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        evaluate(this, [np.zeros(shape, np.float32)])


@pytest.mark.parametrize(
    "this", [layer("CenterCrop", {"height": 1, "width": 1}), layer("RandomFlip")]
)
def test_integers_that_a_layer_of_images_may_cast_are_refused(this: Layer) -> None:
    with pytest.raises(UnsupportedError, match="cast"):
        evaluate(this, [np.zeros((1, 2, 3, 1), np.uint8)])


def test_an_augmentation_hands_images_on_and_is_random_in_training() -> None:
    x = np.resize(ODD, (2, 3, 4, 5))
    this = layer("RandomFlip", {"mode": "horizontal"})
    assert judged(this, x, x).verdict == "same-bits"
    assert judged(this, x, x[:, :, ::-1]).verdict == "different"
    with pytest.raises(UnsupportedError, match="random in training"):
        evaluate(replace(this, training=True), [x])


# --- TensorFlow ----------------------------------------------------------------------------------


def _layers(layers: Any, first: bool) -> list[tuple[int, Any]]:
    """Return layers of each kind with the rank of their input."""
    order = {"data_format": "channels_first" if first else "channels_last"}
    return [
        (3, layers.Permute((2, 1))), (3, layers.ZeroPadding1D((1, 2))),
        (3, layers.Cropping1D((1, 0))), (3, layers.UpSampling1D(3)), (2, layers.RepeatVector(3)),
        (3, layers.Masking(0.0)), (4, layers.ZeroPadding2D(((1, 0), (2, 1)), **order)),
        (4, layers.Cropping2D(((1, 0), (1, 1)), **order)),
        (4, layers.UpSampling2D((2, 3), **order)), (5, layers.ZeroPadding3D((1, 2, 0), **order)),
        (5, layers.Cropping3D(((1, 0), (0, 1), (0, 0)), **order)),
        (5, layers.UpSampling3D((1, 2, 2), **order)),
    ]  # fmt: skip


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("first", [False, True])
def test_tensorflow_moves_the_same_elements(
    generation: Generation, package: str, first: bool
) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(0)
    # The first six know no order of channels.
    for rank, made in _layers(layers, first)[6 if first else 0 :]:
        hold(made, generation, [rng.permutation(np.resize(ODD, (3, 4, 4, 3, 3)[:rank]))])


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_tensorflow_crops_the_same_middle(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(1)
    for height, width in ((1, 1), (2, 3), (3, 2), (4, 5)):
        hold(layers.CenterCrop(height, width), generation,
             [rng.permutation(np.resize(ODD, (3, 4, 5, 3)))])  # fmt: skip


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_bilinear_upsampling(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(1)
    x = [rng.standard_normal((2, 5, 6, 3)) * scale for scale in (1.0, 1e5)]
    x.append(rng.standard_normal((2, 5, 6, 3)) * 10.0 ** rng.uniform(-44, 3, (2, 5, 6, 3)))
    for size in ((2, 2), (4, 1)):
        made = layers.UpSampling2D(size, interpolation="bilinear")
        hold(made, generation, [each.astype(np.float32) for each in x])


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_bilinear_upsampling_by_an_odd_factor(generation: Generation, package: str) -> None:
    # Not compiled: XLA takes a wrong neighbour where the middle of a place is an element.
    layers = pytest.importorskip(package).layers
    x = np.random.default_rng(2).standard_normal((2, 7, 5, 3)).astype(np.float32)
    made = layers.UpSampling2D((3, 5), interpolation="bilinear")
    assert judged(described(made, generation), x, np.asarray(made(x))).verdict in GOOD


AUGMENTATIONS: Final[dict[str, tuple[float, ...]]] = {
    "RandomBrightness": (0.2,), "RandomContrast": (0.2,), "RandomFlip": (), "RandomHeight": (0.2,),
    "RandomRotation": (0.2,), "RandomTranslation": (0.2, 0.2), "RandomWidth": (0.2,),
    "RandomZoom": (0.2,),
}  # fmt: skip


@pytest.mark.tf
@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_tensorflow_augments_nothing_where_models_are_used(
    generation: Generation, package: str, dtype: str
) -> None:
    keras = pytest.importorskip(package)
    here = {name: args for name, args in AUGMENTATIONS.items() if hasattr(keras.layers, name)}
    assert len(here) == {2: 8, 3: 6}[generation]
    x = np.random.default_rng(2).permutation(np.resize(ODD, (2, 4, 5, 3)))
    for name, args in here.items():
        made = getattr(keras.layers, name)(*args, dtype=dtype)
        model = keras.Sequential([keras.Input((4, 5, 3)), made])
        this = described(made, generation)
        for y in (model.predict(x, verbose=0), np.asarray(model(x, training=False))):
            assert judge_layer(this, [x], [y]).verdict == "same-bits", name
