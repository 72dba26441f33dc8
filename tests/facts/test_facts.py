"""What Keras and R are, each fact once: no layer without an answer, and none that disagrees."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest

from bridge.explain import responses
from bridge.explain.stage_diff import read_setting
from bridge.facts.keras import ACTIVATIONS, generation_of
from bridge.facts.layers import LAYERS, class_name, default_of, is_two_modes
from bridge.facts.r import DRAWING, SEEDING_KERAS
from bridge.rounding.rules import _FAMILIES as FAMILIES
from bridge.rounding.rules import Layer, cast_inputs

SCRIPT: Final = Path(__file__).parents[2] / "scripts" / "keras_signatures.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def table(script: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = script["signatures"]()
    return found


def test_the_signatures_are_those_of_the_installed_packages(
    script: dict[str, Any], table: dict[str, Any]
) -> None:
    assert json.loads(script["TABLE"].read_text("utf-8")) == table


def test_every_layer_with_a_rule_has_its_row_and_every_row_its_rule() -> None:
    by_rule = {
        name: family.__name__.rpartition(".")[2] for family in FAMILIES for name in family.RULES
    }
    assert by_rule == {name: facts.family for name, facts in LAYERS.items() if facts.family}


def test_every_row_is_a_class_of_keras_or_an_operation(table: dict[str, Any]) -> None:
    known = {name for layers in table["defaults"].values() for name in layers}
    odd = {name for name in set(LAYERS) - known if LAYERS[name].does != "decides"}
    assert odd == {"InputLayer"} - known


@pytest.mark.parametrize("name", [name for name, facts in LAYERS.items() if facts.family])
def test_a_layer_answers_every_question_as_its_rule_does(name: str) -> None:
    facts = LAYERS[name]
    assert facts.given in ("numbers", "elements", "anything")
    for fact in (facts.moves, facts.silent, facts.affine, facts.learns_affine, facts.errors_add):
        assert isinstance(fact, bool)
    # What moves elements keeps the type of indices; what computes is given float64.
    (given,) = cast_inputs(Layer("a", f"keras.layers.{name}"), [np.arange(3)])
    assert given.dtype.kind == ("f" if facts.given == "numbers" else "i")
    assert not (facts.moves and facts.grows)
    assert not (facts.silent and facts.weights)
    assert not (facts.learns_affine and not facts.affine)
    assert not (facts.activates and facts.merges)


def test_the_learned_weights_are_those_that_the_layers_have() -> None:
    import keras

    made = {
        "Dense": (keras.layers.Dense(2), (None, 3)),
        "Conv1D": (keras.layers.Conv1D(2, 2), (None, 5, 3)),
        "SeparableConv1D": (keras.layers.SeparableConv1D(2, 2), (None, 5, 3)),
        "Embedding": (keras.layers.Embedding(4, 2), (None, 3)),
        "BatchNormalization": (keras.layers.BatchNormalization(), (None, 3)),
        "RMSNormalization": (keras.layers.RMSNormalization(), (None, 3)),
        "PReLU": (keras.layers.PReLU(), (None, 3)),
        "Rescaling": (keras.layers.Rescaling(2.0), (None, 3)),
        "Dropout": (keras.layers.Dropout(0.5), (None, 3)),
    }
    for name, (layer, shape) in made.items():
        layer.build(shape)
        assert {weight.name for weight in layer.trainable_weights} == set(LAYERS[name].weights)


@pytest.mark.parametrize(
    ("generation", "name", "argument", "default"),
    [
        (3, "RMSNormalization", "epsilon", (1e-6,)),
        (3, "LayerNormalization", "epsilon", (1e-3,)),
        (2, "ConvLSTM1D", "activation", ("tanh",)),
        (3, "ConvLSTM3D", "activation", ("tanh",)),
        (2, "ConvLSTM2D", "recurrent_activation", ("hard_sigmoid",)),
        (3, "ConvLSTM2D", "recurrent_activation", ("sigmoid",)),
        (0, "ConvLSTM2D", "recurrent_activation", None),
        (0, "Dense", "activation", ("linear",)),
        (2, "LeakyReLU", "alpha", (0.3,)),
        (3, "LeakyReLU", "alpha", None),
        (3, "Dense", "units", None),
        (3, "Dense", "no_such_argument", None),
        (3, "NoSuchLayer", "epsilon", None),
    ],
)
def test_a_default_is_that_of_the_generation(
    generation: Any, name: str, argument: str, default: tuple[Any] | None
) -> None:
    assert default_of(generation, name, argument) == default


def test_a_dropped_argument_is_recognised_by_the_layers_own_default() -> None:
    for generation, cls, key, default, meant in (
        (3, "RMSNormalization", "epsilon", 1e-6, 1e-3),
        (2, "ConvLSTM3D", "activation", "tanh", "relu"),
        (2, "ConvLSTM2D", "recurrent_activation", "hard_sigmoid", "sigmoid"),
    ):
        told = read_setting(cls, key, default, meant, None, generation)  # type: ignore[arg-type]
        assert told.cause == "r-conversion", told.sentence
    # It is no default of this layer, whatever it is of others.
    assert not read_setting("RMSNormalization", "epsilon", 1e-3, 1e-4, None, 3).cause


@pytest.mark.parametrize(
    ("text", "config", "generation"),
    [
        ("tf_keras", {}, 2),
        ("tf_keras.src.layers.core.dense", {}, 2),
        ("tf_keras 2.21.0", {}, 2),
        ("keras", {}, 3),
        ("keras.src.layers", {}, 3),
        ("keras 3.15.1", {}, 3),
        ("keras 2.15.0", {}, 2),
        ("kerastools.layer", {}, 0),
        ("", {"dtype": "float32"}, 2),
        ("", {"dtype": {"class_name": "DTypePolicy"}}, 3),
        ("", {}, 0),
    ],
)
def test_the_generation_is_that_of_the_package_or_of_the_configuration(
    text: str, config: dict[str, object], generation: int
) -> None:
    assert generation_of(text, config) == generation


def test_a_second_name_of_a_class_is_the_class() -> None:
    assert class_name("keras.layers.Convolution2D") == "Conv2D"
    assert class_name("tf_keras.layers.MaxPool1D") == "MaxPooling1D"
    assert class_name("mine.layers.Dense") is None


def test_what_draws_does_something_else_in_training() -> None:
    assert is_two_modes("RandomFlip")
    assert is_two_modes("SpatialDropout2D")
    assert is_two_modes("BatchNormalization")
    assert not is_two_modes("Dense")


def test_what_seeds_draws_nothing() -> None:
    assert not DRAWING & SEEDING_KERAS


def test_activations_stay_in_their_range() -> None:
    from bridge.rounding.rules.activation_forms import FORMS

    z = np.array([-1e3, -3.0, -0.5, 0.0, 0.5, 3.0, 1e3])
    unknown = {name for name in ACTIVATIONS if name not in FORMS}
    assert unknown == {"hard_sigmoid", "softmax"}
    for name, facts in ACTIVATIONS.items():
        if name in FORMS and facts.range is not None:
            with np.errstate(all="ignore"):
                y = FORMS[name](z)
            low, high = facts.range
            assert (y >= low).all(), name
            assert (y <= high).all(), name
        if name in FORMS:
            # Linear between a few corners: equal steps have equal slopes, but for few of them.
            grid = np.linspace(-8.0, 8.0, 1025)
            with np.errstate(all="ignore"):
                bends = np.diff(FORMS[name](grid), 2)
            assert (np.count_nonzero(np.abs(bends) > 1e-12) <= 6) == facts.piecewise, name


@pytest.mark.parametrize(
    ("cls", "config", "affine"),
    [
        ("PReLU", {}, False),
        ("ReLU", {}, False),
        ("Masking", {"mask_value": 0.0}, False),
        ("LayerNormalization", {}, False),
        ("Activation", {"activation": "linear"}, True),
        ("Dense", {"activation": "linear"}, True),
        ("Dense", {"activation": "relu"}, False),
        ("Dropout", {}, True),
        ("Normalization", {}, True),
        ("UpSampling2D", {}, True),
    ],
)
def test_only_affine_layers_are_part_of_an_affine_map(
    cls: str, config: dict[str, Any], affine: bool
) -> None:
    x = np.ones((2, 3), np.float32)
    layer = Layer("a", f"keras.layers.{cls}", config)
    case = SimpleNamespace(layer=layer, then=(), inputs=[x], outputs=[x])
    seen: Any = SimpleNamespace(case=case)
    assert (responses._link(seen, set()) is not None) == affine
