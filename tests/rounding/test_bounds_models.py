"""The measured error models: what the file says, how it is read, and that it still holds here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

from bridge._typing import F64
from bridge.rounding.measurements import dtype_of, read
from bridge.rounding.rules.activation_forms import FORMS
from bridge.rounding.rules.activation_models import (
    BINADES,
    FIRST_BINADE,
    ErrorModel,
    errors_by_row,
    model_of,
    row,
    sampled_by_row,
)
from bridge.rounding.rules.activations import activation_of, leaky_relu, squareplus
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, TINY, Format
from tests.tensorflow_ways import installed

FOUNDING: Final = ("relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu")
DATA: Final = read()
#: The numbers of a type that are finite.
FINITE: Final = {"float32": 2 * 0x7F800000, "float16": 2 * 0x7C00, "bfloat16": 2 * 0x7F80}
MODES: Final = {"eager", "graph", "xla", "bias-add", "add", "scalar"}


def kernels() -> Iterator[tuple[dict[str, Any], dict[str, Any], Format]]:
    for each in DATA["measurements"]:
        for kernel in each["kernels"]:
            yield each, kernel, FORMATS[dtype_of(each)]


def value_of(form: str, z: Any) -> F64:
    return np.log(z) if form == "log" else FORMS[form](z)


def number(bits: str, fmt: Format) -> F64:
    whole = np.array([int(bits, 16)], f"u{fmt.dtype.itemsize}")
    return np.asarray(whole.view(fmt.dtype).astype(np.float64))


# --- the file -----------------------------------------------------------------------------------


def test_exhaustive_means_every_finite_number_of_the_type() -> None:
    seen = set()
    for each in DATA["measurements"]:
        if each["coverage"] == "exhaustive":
            assert each["inputs"] == FINITE[dtype_of(each)]
            seen.add((each["activation"], dtype_of(each)))
    for name in FORMS:
        assert {(name, "float16"), (name, "bfloat16")} <= seen
    for name in FOUNDING:
        assert (name, "float32") in seen


def test_no_measurement_is_stored_twice() -> None:
    keys = [
        (each["activation"], each["environment"], each["part"], dtype_of(each))
        for each in DATA["measurements"]
    ]
    assert len(keys) == len(set(keys))


def test_every_record_says_where_it_was_measured_and_what_was_executed() -> None:
    for each in DATA["measurements"]:
        assert each["environment"] in DATA["environments"]
        assert each["coverage"] in ("exhaustive", "stratified")
        modes = [mode for kernel in each["kernels"] for mode in kernel["modes"]]
        assert len(modes) == len(set(modes))
        assert set(modes) <= MODES
        if each["part"] == "vector":
            assert {"eager", "graph", "xla"} <= set(modes)
    fused = {
        (each["activation"], op)
        for each, kernel, _ in kernels()
        for op in kernel["modes"].get("bias-add", {})
    }
    assert ("relu", "_FusedMatMul[BiasAdd,Relu]") in fused
    assert ("gelu", "_FusedMatMul[BiasAdd,GeluExact]") in fused


def test_the_recorded_worst_input_has_the_recorded_error() -> None:
    """The float64 forms of the measurement and of the rules are the same ones."""
    for each, kernel, fmt in kernels():
        true = float(value_of(each["form"], number(kernel["max_abs_at"], fmt))[0])
        error = kernel["max_abs"]
        # Whatever number of the type came out, its error cannot be that of another function.
        nearest = fmt.cast(np.array([true + error, true - error]))
        unit = fmt.ulp(np.array([abs(true) + error]))[0]
        assert np.abs(np.abs(nearest - true) - error).min() <= 1e-9 * unit + 1e-6 * error


def test_special_values_are_what_keras_makes_of_them() -> None:
    """A fused Relu turns NaN into zero, and a fused GeluExact loses the largest numbers."""
    found = {
        (each["activation"], mode): kernel
        for each, kernel, fmt in kernels()
        for mode in kernel["modes"]
        if fmt is FLOAT32
    }
    assert found["relu", "eager"]["special"]["nan"] == "nan"
    fused = [
        kernel for each, kernel, fmt in kernels()
        if "_FusedMatMul[BiasAdd,Relu]" in kernel["modes"].get("bias-add", {}) and fmt is FLOAT32
    ]  # fmt: skip
    assert any(kernel["special"]["nan"] == "0.0" for kernel in fused)
    assert found["tanh", "eager"]["special"]["inf"] == "1.0"


def test_derived_errors_cover_what_was_measured() -> None:
    """Families have derived errors; with the constants that were measured they must cover them."""
    made = {"leaky_relu": (leaky_relu, 0.2), "squareplus": (squareplus, 4.0)}
    checked = 0
    for each, kernel, fmt in kernels():
        if each["activation"] not in made:
            continue
        family, constant = made[each["activation"]]
        activation = family(constant, fmt)
        errors = {
            side: errors_by_row(kernel[side], fmt) for side in ("positive", "negative")
        }  # fmt: skip
        for part in ("max_abs_at", "max_ulp_at", "a_ulp_at"):
            if part not in kernel:
                continue
            z = number(kernel[part], fmt)
            found = activation.evaluate(z)
            side = "negative" if np.signbit(found.value[0]) else "positive"
            assert errors[side][row(np.abs(found.value))[0]] <= found.bound[0] * 1.001
            checked += 1
    assert checked > 20


# --- how it is read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("magnitude", "binade"),
    [(0.0, -127), (TINY / 2, -127), (TINY, -126), (0.99, -1), (1.0, 0), (2.0**127, 127),
     (2.0**128, 128), (np.inf, 128)],
)  # fmt: skip
def test_rows_are_binades(magnitude: float, binade: int) -> None:
    assert row(np.array([magnitude]))[0] + FIRST_BINADE == binade
    assert row(np.array(magnitude)).shape == ()


def test_an_interval_is_covered_by_the_largest_error_between_its_ends() -> None:
    positive, negative = np.zeros(BINADES), np.zeros(BINADES)
    positive[-FIRST_BINADE] = 3.0  # from 1 to 2
    positive[-FIRST_BINADE + 4] = 5.0  # from 16 to 32
    negative[-FIRST_BINADE - 1] = 7.0  # from -1/2 to -1
    model = ErrorModel(positive, negative, (0.0, 0.0), 1.0, ("0",))
    intervals = [
        (0.1, 0.9, 0.0), (0.1, 1.0, 3.0), (1.5, 1.5, 3.0), (2.5, 15.0, 0.0), (2.5, 17.0, 5.0),
        (-0.1, 0.9, 0.0), (-0.5, -0.1, 7.0), (-4.0, 2.0, 7.0), (-4.0, -2.0, 0.0), (0.0, 0.0, 0.0),
        (-100.0, 100.0, 7.0), (0.5, 99.0, 5.0),
    ]  # fmt: skip
    low, high, error = (np.array(part) for part in zip(*intervals, strict=True))
    assert model.error(low, high).tolist() == error.tolist()


def test_zero_has_both_signs_and_the_edge_of_a_binade_both_binades() -> None:
    positive, negative = np.zeros(BINADES), np.zeros(BINADES)
    positive[0], negative[0] = 1.0, 2.0
    positive[-FIRST_BINADE] = 3.0
    model = ErrorModel(positive, negative, (0.0, 0.0), 1.0, ("0",))
    assert model.error(np.array(0.0), np.array(0.0)) == 2.0
    below = np.nextafter(1.0, 0.0)
    assert model.error(np.array(below), np.array(below)) == 3.0


def test_any_run_of_rows_is_looked_up_right() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.random(BINADES), rng.random(BINADES)
    model = ErrorModel(positive, negative, (0.0, 0.0), 1.0, ("0",))
    everything = np.concatenate([negative[::-1], positive])
    # The middle of each row: the edges belong to two.
    middle = 1.5 * 2.0 ** np.arange(FIRST_BINADE, FIRST_BINADE + BINADES - 1.0)
    values = np.concatenate([-middle[::-1], middle])
    places = np.concatenate([np.arange(1, BINADES), np.arange(BINADES, 2 * BINADES - 1)])
    for first, last in rng.integers(0, values.size, (300, 2)):
        first, last = min(first, last), max(first, last)
        got = model.error(values[first], values[last])
        assert got == everything[places[first] : places[last] + 1].max()


def test_a_sample_has_in_each_binade_the_ulps_of_those_above_and_the_error_of_those_below() -> None:
    runs: list[list[float | None]] = [[-20, -20, 0.5], [-10, -10, 2.0], [0, 0, 1.0], [3, 3, None]]
    errors = sampled_by_row(runs)
    ulps = errors / np.ldexp(1.0, np.arange(BINADES) + FIRST_BINADE - 23)
    found = {binade: ulps[binade - FIRST_BINADE] for binade in (-20, -15, -10, -9, 0, 3, 4)}
    assert found == {-20: 2.0, -15: 2.0, -10: 2.0, -9: 1.0, 0: 1.0, 3: np.inf, 4: 1.0 / 16}
    assert errors_by_row(runs)[-15 - FIRST_BINADE] == 0.0


def test_near_a_zero_of_hard_sigmoid_nothing_is_claimed_too_sharply() -> None:
    """A sample of every exponent has few numbers near -3; the kernels of XLA err there too."""
    z = np.array([-2.9997277])
    y = np.array([4.53790053143166e-05])
    found = activation_of("hard_sigmoid", 3).evaluate(z.astype(np.float32).astype(np.float64))
    assert np.abs(y - found.value)[0] <= found.bound[0]


def test_a_kernel_that_gives_no_number_for_a_finite_value_leaves_it_open() -> None:
    gelu = model_of("gelu")
    assert gelu is not None
    huge = np.array([2.0**127])
    assert np.isinf(gelu.error(huge, huge)[0])
    assert np.isinf(activation_of("gelu", 2).evaluate(huge).bound[0])
    assert np.isfinite(gelu.error(huge / 4, huge / 4)[0])


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_error_of_softmax_is_a_factor_and_what_underflow_loses(dtype: str) -> None:
    model, fmt = model_of("softmax_pair", dtype), FORMATS[dtype]
    assert model is not None
    factor, lost = model.relative
    assert fmt.unit / 2 <= factor <= 16 * fmt.unit
    assert lost <= 4 * fmt.tiny
    value = 2.0 ** np.arange(fmt.lowest - 5.0, 1.0)
    assert (model.error(value, value) <= 2.0 * factor * value + lost).all()


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_model_is_that_of_its_type(dtype: str) -> None:
    fmt = FORMATS[dtype]
    model = model_of("tanh", dtype)
    assert model is not None
    half = np.array([0.75])
    unit = 2.0 ** -(fmt.digits + 1)
    assert unit / 4 <= model.error(half, half)[0] <= 16 * unit
    assert model_of("tanh", "float64") is None
    assert model_of("not measured", dtype) is None


# --- and that it still holds --------------------------------------------------------------------


def tried(fmt: Format, size: int) -> Any:
    """Return finite numbers of a type: all of a short one, else every exponent and near zero."""
    if fmt is not FLOAT32:
        half = FINITE[fmt.name] // 2
        both = np.concatenate([np.arange(half), np.arange(half) + 0x8000])
        return both.astype(np.uint16).view(fmt.dtype)
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2**32, size, dtype=np.uint32).view(np.float32)
    near = rng.uniform(-20, 20, size).astype(np.float32)
    x = np.where(rng.random(size) < 0.5, bits, near)
    return np.where(np.isfinite(x), x, np.float32(0.5))


@pytest.mark.tf
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_kernels_installed_here_err_no_more_than_the_models(name: str, dtype: str) -> None:
    from bridge.runs.activation_measurement import modes_of, subjects

    subject, fmt = subjects()[name], FORMATS[dtype]
    model = model_of(name, dtype, installed(frozenset([(name, dtype)])))
    assert model is not None
    assert math.isfinite(model.missed)
    x = tried(fmt, 1 << 16)
    wide = x.astype(np.float64)
    true = subject.form(wide)
    bound = model.error(true, true)
    modes = modes_of(subject, scalar=False, fmt=fmt, size=x.size)
    if name in FOUNDING:
        modes |= modes_of(subject, scalar=True, fmt=fmt)
    for mode, kernel in modes.items():
        with np.errstate(invalid="ignore"):
            error = np.abs(kernel(x).astype(np.float64) - true)
        decided = np.isfinite(bound) & (np.abs(true) < 2.0**fmt.highest)
        # What rests on a sample may be too small, by the factor that was measured.
        assert (error[decided] <= model.missed * bound[decided]).all(), mode


def test_no_sample_missed_without_limit_for_then_nothing_beyond_it_could_be_left_open() -> None:
    for name in ("relu", "gelu", "softsign", "tanh", "hard_sigmoid_3"):
        model = model_of(name)
        assert model is not None
        assert 1.0 <= model.missed < np.inf


def test_a_sample_is_given_the_factor_of_its_own_activation_and_else_the_largest() -> None:
    models = {name: model_of(name) for name in ("relu", "hard_sigmoid_2", "celu")}
    missed = {name: model.missed for name, model in models.items() if model is not None}
    assert missed["relu"] < missed["hard_sigmoid_2"]
    measured = {each["activation"] for each in read()["measurements"] if "sample_missed" in each}
    if "celu" not in measured:
        assert missed["celu"] == max(missed.values())
