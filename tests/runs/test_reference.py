from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge._typing import AnyArray
from bridge.capsule import (
    Capsule,
    LayerState,
    Manifest,
    ModelState,
    Probe,
    read_capsule,
    write_capsule,
)
from bridge.compare.stages import compare_runs
from bridge.runs.reference import reference
from tests.compare_samples import Dense, Sample, grid, two_layers


def outputs(capsule: Capsule, number: int = 0) -> list[AnyArray]:
    return [capsule.array(ref) for ref in capsule.manifest.probes[number].outputs]


def why(capsule: Capsule, number: int = 0) -> str:
    probe = capsule.manifest.probes[number]
    assert probe.outputs == ()
    return " ".join(probe.notes)


def test_a_model_is_evaluated_in_float64_from_end_to_end() -> None:
    layers, x = two_layers(), grid()
    (y,) = outputs(reference(Sample().predict(layers, x).capsule()))
    w, b = ([getattr(layer, name).astype(np.float64) for layer in layers]
            for name in ("kernel", "bias"))  # fmt: skip
    expected = np.maximum(x.astype(np.float64) @ w[0] + b[0], 0) @ w[1] + b[1]
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_the_reference_starts_from_the_float32_that_the_model_received() -> None:
    layers = [Dense(np.ones((1, 1), np.float32), np.zeros(1, np.float32))]
    x = np.array([[0.1]])
    (y,) = outputs(reference(Sample().predict(layers, x).capsule()))
    assert y[0, 0] == float(np.float32(0.1))


def test_probes_keep_their_index_label_and_state() -> None:
    sample = Sample().predict(two_layers(), grid(), label="A/relu", line=4)
    sample.probe(kind="fit").predict(two_layers(1), grid())
    found = reference(sample.capsule()).manifest
    assert found.runner == "reference"
    assert [each.index for each in found.probes] == [0, 1, 2]
    assert (found.probes[0].label, found.probes[0].line, found.probes[2].state) == ("A/relu", 4, 1)
    assert found.probes[1].outputs == ()


def test_a_reference_can_be_written_and_read(tmp_path: Path) -> None:
    made = reference(Sample().predict(two_layers(), grid()).probe(kind="value").capsule())
    write_capsule(made, tmp_path / "reference.capsule")
    back = read_capsule(tmp_path / "reference.capsule")
    assert back.manifest == made.manifest
    assert (outputs(back)[0] == outputs(made)[0]).all()


def functional(layers: list[dict[str, Any]], x: list[AnyArray], config: Any = None) -> Capsule:
    """Record a prediction of a functional model without its outputs' elements."""
    sample = Sample()
    refs = tuple(sample.array("x" if len(x) == 1 else f"x[{number}]", each)
                 for number, each in enumerate(x))  # fmt: skip
    y = sample.array("y", np.zeros(1, np.float32))
    state = ModelState(
        id=1, cls="keras.Model", keras="keras", name="m", config=config,
        layers=tuple(LayerState(**{"cls": "keras.layers.Activation", **each}) for each in layers),
    )  # fmt: skip
    empty = sample.capsule()
    probe = Probe(index=0, kind="predict", state=0, inputs=refs, outputs=(y,))
    manifest = Manifest(runner="r", case="f", status="ok", states=(state,), probes=(probe,))
    return Capsule(manifest, empty.arrays)


INPUT: dict[str, Any] = {
    "name": "in",
    "cls": "keras.layers.InputLayer",
    "config": {"batch_shape": [None, 3]},
}
RELU, TANH = {"activation": "relu"}, {"activation": "tanh"}


def test_a_functional_model_is_followed_along_its_wires() -> None:
    layers = [
        {"name": "last", "config": RELU, "inbound": ("first",)},
        INPUT,
        {"name": "first", "config": TANH, "inbound": ("in",)},
        {"name": "aside", "config": RELU, "inbound": ("in",)},
    ]
    x = grid(4, 3)
    config = {"input_layers": [["in", 0, 0]], "output_layers": [["last", 0, 0], ["aside", 0, 0]]}
    made = outputs(reference(functional(layers, [x], config)))
    assert len(made) == 2
    np.testing.assert_array_equal(made[0], np.maximum(np.tanh(x.astype(np.float64)), 0))
    np.testing.assert_array_equal(made[1], np.maximum(x.astype(np.float64), 0))


def test_an_input_gains_the_axes_that_keras_gives_it() -> None:
    deep = {**INPUT, "config": {"batch_input_shape": [None, 1, 1]}}
    flat = {"name": "flat", "cls": "keras.layers.Flatten", "inbound": ("in",)}
    (y,) = outputs(reference(functional([deep, flat], [np.arange(5, dtype=np.float32)])))
    assert y.shape == (5, 1)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([INPUT, {"name": "b", "cls": "keras.layers.ConvLSTM1D", "inbound": ("in",)}],
         "layer 'b' cannot be evaluated: there is no rule for ConvLSTM1D"),
        ([INPUT, {"name": "b", "config": RELU, "inbound": ("gone",)}], "what feeds layer 'b'"),
        ([INPUT, {"name": "b", "config": RELU}], "what feeds layer 'b'"),
        ([INPUT, {"name": "b", "config": RELU, "inbound": ("c",)},
          {"name": "c", "config": RELU, "inbound": ("b",)}], "feeds itself"),
        ([INPUT, INPUT], "the same name"),
        ([INPUT, {**INPUT, "name": "in2"}, {"name": "b", "config": RELU, "inbound": ("in",)}],
         "has 2 inputs and was given 1"),
        ([INPUT, {"name": "b", "config": RELU, "inbound": ("in", "in2")}, {**INPUT, "name": "in2"}],
         "has 2 inputs"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_says_why(layers: list[dict[str, Any]], words: str) -> None:
    assert words in why(reference(functional(layers, [grid(4, 3)])))


def test_a_training_is_not_evaluated_and_a_failed_prediction_neither() -> None:
    sample = Sample().probe(kind="fit").probe(kind="predict", notes=("raised ValueError",))
    found = reference(sample.probe(kind="predict", state=9).capsule())
    assert "only evaluates predictions" in why(found, 0)
    assert "has no output" in why(found, 1)
    assert why(found, 2)


def test_a_run_meets_its_reference_within_rounding() -> None:
    run = Sample().predict(two_layers(), grid()).capsule()
    (probe,) = compare_runs(run, reference(run)).probes
    assert (probe.a, probe.b, probe.verdict, probe.beyond_bound) == (
        "r", "reference", "within-rounding", 0,
    )  # fmt: skip
    assert probe.difference is not None
    assert 0 < probe.difference.max_abs < 1e-5
    # Near 0 a step is tiny, and how many of them it is depends on the order of the sums.
    assert 0 < probe.difference.max_ulp < math.inf
    assert [each.layer for each in probe.layers] == ["dense", "dense_1", "prediction"]


def test_an_exact_model_has_the_bits_of_its_reference() -> None:
    layers = [Dense(np.full((1, 1), 2, np.float32), np.ones(1, np.float32), "relu")]
    run = Sample().predict(layers, np.arange(-5, 5, dtype=np.float32).reshape(-1, 1)).capsule()
    (probe,) = compare_runs(run, reference(run)).probes
    assert (probe.verdict, probe.rung) == ("same-bits", "bit-equal")


def test_a_faulty_layer_shows_against_the_reference_though_its_successor_is_right() -> None:
    layers, x = two_layers(), grid()
    lost = x @ layers[0].kernel + layers[0].bias
    run = Sample().predict(layers, x, outputs=[lost, layers[1].run(lost)]).capsule()
    found = compare_runs(run, reference(run))
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert "get_layer('dense')" in found.first_divergence.where
    assert found.probes[0].beyond_bound == 0


def test_what_the_reference_cannot_evaluate_is_left_open_with_its_reason() -> None:
    lstm: dict[str, Any] = {"name": "b", "cls": "keras.layers.ConvLSTM1D", "inbound": ("in",)}
    layers = [INPUT, lstm]
    run = functional(layers, [grid(4, 3)])
    found = compare_runs(run, reference(run))
    assert found.verdict == "abstained"
    assert "no rule for ConvLSTM1D" in found.detail
