"""What a call of a layer in a model is told, beside its input."""

from __future__ import annotations

import pytest

from bridge.facts.keras import Generation
from bridge.trace.call_tracer import arguments_of
from bridge.trace.model_description import called, nodes_in_order
from tests.tensorflow_ways import GENERATIONS

pytestmark = pytest.mark.tf


@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_training_is_told_where_it_is_more_than_a_default_that_the_model_replaces(
    generation: Generation, package: str
) -> None:
    keras = pytest.importorskip(package)
    x = keras.Input((4, 4, 1))
    y = keras.layers.RandomFlip(name="default")(x)
    y = keras.layers.RandomFlip(name="in_training")(y, training=True)
    y = keras.layers.Dropout(0.5, name="drops")(y, training=True)
    y = keras.layers.Dropout(0.5, name="keeps")(y, training=False)
    nodes = nodes_in_order(keras.Model(x, y))
    told = {called(node).name: arguments_of(called(node), node) for node in nodes}
    always = {"training": True}
    assert told["default"] == told["keeps"] == {}
    assert told["drops"] == always
    assert told["in_training"] == (always if generation == 2 else {})
