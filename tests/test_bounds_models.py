"""The measured error models: what the file says, how it is read, and that it still holds here."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pytest

from bridge.compare.rules.activations import activation_of
from bridge.compare.rules.forms import FORMS
from bridge.compare.rules.models import BINADES, FIRST_BINADE, ErrorModel, model_of, row
from bridge.compare.rules.rounding import TINY

FOUNDING: Final = ("relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu")
DATA: Final = json.loads(
    files("bridge.compare").joinpath("data", "activations.json").read_text("utf-8")
)


def test_every_finite_float32_was_tried_on_the_founding_activations() -> None:
    tried = {
        (each["activation"], each["part"]): each["inputs"]
        for each in DATA["measurements"]
        if each["coverage"] == "exhaustive"
    }
    for name in FOUNDING:
        assert tried[name, "vector"] == 2 * 0x7F800000


def test_every_record_says_where_it_was_measured_and_what_was_executed() -> None:
    for each in DATA["measurements"]:
        assert each["environment"] in DATA["environments"]
        assert each["coverage"] in ("exhaustive", "stratified")
        modes = [mode for kernel in each["kernels"] for mode in kernel["modes"]]
        assert len(modes) == len(set(modes))
        assert set(modes) <= {"eager", "graph", "xla", "bias-add", "add", "scalar"}
    fused = {
        each["activation"]: kernel["modes"]["bias-add"]
        for each in DATA["measurements"]
        for kernel in each["kernels"]
        if "bias-add" in kernel["modes"]
    }
    assert "_FusedMatMul[BiasAdd,Relu]" in fused["relu"]
    assert "_FusedMatMul[BiasAdd,GeluExact]" in fused["gelu"]


def test_the_recorded_worst_input_has_the_recorded_error() -> None:
    """The float64 forms of the measurement and of the rules are the same ones."""
    for each in DATA["measurements"]:
        for kernel in each["kernels"]:
            bits = np.array([int(kernel["max_abs_at"], 16)], np.uint32)
            true = activation_value(each["form"], bits.view(np.float32))
            error = kernel["max_abs"]
            # Whatever float32 came out, its error cannot be that of another function.
            unit = np.spacing(np.float32(abs(true) + error))
            nearest = np.float32(true + error), np.float32(true - error)
            gap = min(abs(abs(float(y) - true) - error) for y in nearest)
            assert gap <= 1e-9 * float(unit) + 1e-6 * error


def activation_value(form: str, z: Any) -> float:
    wide = z.astype(np.float64)
    if form == "leaky_relu":
        return float(np.where(wide > 0, wide, float(np.float32(0.2)) * wide)[0])
    return float(FORMS[form](wide)[0])


@pytest.mark.parametrize(
    ("magnitude", "binade"),
    [(0.0, -127), (TINY / 2, -127), (TINY, -126), (0.99, -1), (1.0, 0), (2.0**127, 127),
     (2.0**128, 128), (np.inf, 128)],
)  # fmt: skip
def test_rows_are_binades(magnitude: float, binade: int) -> None:
    assert row(np.array([magnitude]))[0] + FIRST_BINADE == binade
    assert row(np.array(magnitude)).shape == ()


def test_an_interval_is_covered_by_the_largest_error_up_to_its_ends() -> None:
    positive, negative = np.zeros(BINADES), np.zeros(BINADES)
    positive[-FIRST_BINADE:] = 3.0  # from 1 on
    negative[-FIRST_BINADE - 1 :] = 7.0  # from -1/2 on
    model = ErrorModel(positive, negative, (0.0, 0.0), 1.0, ("0",))
    low = np.array([0.1, 0.1, -0.1, -0.5, -4.0, 0.0])
    high = np.array([0.9, 1.0, 0.9, -0.1, 2.0, 0.0])
    assert model.error(low, high).tolist() == [0.0, 3.0, 0.0, 7.0, 7.0, 0.0]


def test_a_kernel_that_gives_no_number_for_a_finite_value_leaves_it_open() -> None:
    gelu = model_of("gelu")
    assert gelu is not None
    huge = np.array([2.0**127])
    assert np.isinf(gelu.error(huge, huge)[0])
    assert np.isinf(activation_of("gelu", 2).evaluate(huge).bound[0])


@pytest.mark.tf
@pytest.mark.parametrize("name", FOUNDING)
def test_the_kernels_installed_here_err_no_more_than_the_models(name: str) -> None:
    from benchmarks.activation_kernels import CHUNK, modes_of, subjects

    subject = subjects()[name]
    model = model_of(name)
    assert model is not None
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2**32, CHUNK, dtype=np.uint32)
    near = rng.uniform(-20, 20, CHUNK).astype(np.float32)
    x = np.where(rng.random(CHUNK) < 0.5, bits.view(np.float32), near)
    x = np.where(np.isfinite(x), x, np.float32(0.5))
    true = subject.form(x.astype(np.float64))
    bound = model.error(true, true)
    modes = modes_of(subject, scalar=False) | modes_of(subject, scalar=True)
    for mode, kernel in modes.items():
        error = np.abs(kernel(x).astype(np.float64) - true)
        decided = np.isfinite(bound) & (np.abs(true) < 2.0**128)
        assert (error[decided] <= bound[decided]).all(), mode
