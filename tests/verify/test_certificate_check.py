"""A certificate holds if it is honest, true and fair, and whatever was tampered with is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._typing import F64, AnyArray
from bridge.capsule import Capsule
from bridge.rounding import rules
from bridge.rounding.layer_records import Judge, judge_probe
from bridge.rounding.rules import Layer, activation_forms
from bridge.rounding.rules.activation_forms import FORMS, Form
from bridge.rounding.rules.layer import Evaluation
from bridge.verify import layer_values
from bridge.verify.certificate import Certificates, certificates
from bridge.verify.check import FLOAT64_PART
from bridge.verify.exact_arithmetic import (
    PLAIN,
    balls,
    dots,
    dyadic,
    exactly,
    points,
    precisely,
    product,
    real_of,
    upper,
)
from tests.compare_samples import Dense, Sample, flip_bit, grid, normal, two_layers
from tests.examples import examples
from tests.verify.samples import check_all, with_array, with_capsule_array

PLACE = (3, 2)


@pytest.fixture(scope="module")
def run() -> Capsule:
    rng = np.random.default_rng(0)
    dense = [
        Dense(normal(rng, 7, 5), normal(rng, 5), "relu", "first"),
        Dense(normal(rng, 5, 3), normal(rng, 3), "linear", "last"),
    ]
    return Sample().predict(dense, grid(12, 7), label="it").capsule()


@pytest.fixture(scope="module")
def issued(run: Capsule) -> Certificates:
    return certificates(run)


def at(place: tuple[int, ...], change: Callable[[float], float]) -> Callable[[F64], F64]:
    def changed(values: F64) -> F64:
        values[place] = change(float(values[place]))
        return values

    return changed


def why(run: Capsule, found: Certificates) -> str:
    """Return what the checker says of the first certificate that does not hold."""
    bad = [outcome for outcome in check_all(run, found) if not outcome.holds]
    assert bad
    return f"{bad[0].layer}{bad[0].failures[0].index}: {bad[0].failures[0].why}"


# --- honest certificates -------------------------------------------------------------------------


def test_an_honest_certificate_holds_in_every_element(run: Capsule, issued: Certificates) -> None:
    outcomes = check_all(run, issued)
    assert [(each.layer, each.prediction) for each in outcomes] == [
        ("first", None), ("last", None), ("last", 0),
    ]  # fmt: skip
    assert [each.checked for each in outcomes] == [60, 36, 36]
    assert all(each.holds and not each.unchecked for each in outcomes)
    assert all(0.0 < each.ratio <= 1.0 for each in outcomes)


def test_every_verdict_has_its_place_and_every_certified_one_a_certificate(run: Capsule) -> None:
    issued = certificates(run)
    verdicts = judge_probe(run, run.manifest.probes[0])
    told = [(each.verdict, each.rung) for each in issued.manifest.judged]
    assert told == [(each.verdict, each.rung) for each in verdicts]
    assert all(told[0] == ("within-rounding", "certified") for _ in told)
    assert len(issued.manifest.certificates) == len(verdicts)


def test_what_the_comparison_judged_is_not_judged_again(
    run: Capsule, issued: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge()
    verdicts = judge(run, run.manifest.probes[0])
    assert judge.verdicts(run) == {0: verdicts}

    def again(*_: Any) -> Any:
        raise AssertionError("it was judged again")

    monkeypatch.setattr("bridge.verify.certificate.judge_probe", again)
    assert certificates(run, judge.verdicts(run)).manifest == issued.manifest
    with pytest.raises(AssertionError, match="judged again"):
        certificates(run)


def test_a_certificate_says_what_it_rests_on(issued: Certificates) -> None:
    first = issued.manifest.certificates[0]
    assert (first.rule, first.format) == ("products.dense", "float32")
    words = " / ".join(first.rests_on)
    assert "any order of summation" in words
    assert "measured errors of relu in float32, TensorFlow 2." in words
    assert "linear" not in words
    assert list(first.tables) == ["relu"]


def test_a_prediction_that_is_its_layers_output_shares_its_numbers(issued: Certificates) -> None:
    _, layer, prediction = issued.manifest.certificates
    assert prediction.outputs == layer.outputs


def test_issuing_twice_gives_the_same(run: Capsule) -> None:
    one, two = certificates(run), certificates(run)
    assert one.manifest == two.manifest
    assert all(np.array_equal(one.arrays[key], two.arrays[key]) for key in one.arrays)


def test_what_has_the_bits_of_float64_rounded_once_needs_no_certificate() -> None:
    ones = [Dense(np.ones((3, 2), np.float32), np.zeros(2, np.float32))]
    capsule = Sample().predict(ones, np.arange(12.0).reshape(4, 3)).capsule()
    issued = certificates(capsule)
    assert issued.manifest.certificates == ()
    assert {each.rung for each in issued.manifest.judged} == {"bit-equal"}


def test_a_sample_looks_at_so_many_elements(run: Capsule, issued: Certificates) -> None:
    assert [each.checked for each in check_all(run, issued, sample=10)] == [10, 10, 10]
    assert [each.checked for each in check_all(run, issued, sample=50)] == [50, 36, 36]


# --- tampered certificates -----------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.99999, 1.00001, 2.0, 1e30])
def test_a_bound_that_is_not_the_rules_is_named(
    run: Capsule, issued: Certificates, factor: float
) -> None:
    for number, layer in ((0, "first"), (1, "last")):
        found = with_array(issued, at(PLACE, lambda b: b * factor), "bound", number)
        assert why(run, found).startswith(f"{layer}{PLACE}: the bound ")
        assert "is not what the rules give" in why(run, found)


def test_a_rule_whose_value_is_wrong_is_found(
    run: Capsule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds are the rules', values are not: a rule that forgets a bias certifies nothing."""
    rule = rules.RULES["Dense"]

    def without_bias(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
        weights = {name: w for name, w in layer.weights.items() if name != "bias"}
        return rule(replace(layer, weights=weights), inputs)

    monkeypatch.setitem(rules.RULES, "Dense", without_bias)
    layers = run.manifest.probes[0].layers
    ref = layers[1].outputs[0]
    state = run.manifest.states[0].layers[1]
    made = Layer(
        "last", state.cls, state.config, {w.name: run.array(w.array) for w in state.weights}
    )
    (wrong,) = rules.evaluate(made, [run.array(layers[1].inputs[0])])
    y = np.nextafter(wrong.value.astype(np.float32), np.float32(np.inf))
    changed = with_capsule_array(run, ref, y)
    issued = certificates(changed)
    assert ("last", "within-rounding") in {
        (each.layer, each.verdict) for each in issued.manifest.judged
    }
    assert why(changed, issued).startswith("last(0, 0): the error is recorded as")


@pytest.mark.parametrize("factor", [0.0, 0.99, 1.01, 30.0])
def test_an_error_that_is_not_the_exact_one_is_named(
    run: Capsule, issued: Certificates, factor: float
) -> None:
    error = issued.arrays[issued.manifest.certificates[0].outputs[0].error.key or ""]
    place = tuple(int(n) for n in np.unravel_index(error.argmax(), error.shape))
    found = with_array(issued, at(place, lambda e: e * factor), "error")
    assert why(run, found).startswith(f"first{place}: the error is recorded as")
    assert "but exact arithmetic gives" in why(run, found)


@pytest.mark.parametrize("name", ["bound", "error"])
@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_what_is_no_bound_or_no_error_is_named(
    run: Capsule, issued: Certificates, name: str, value: float
) -> None:
    found = with_array(issued, at(PLACE, lambda _: value), name)
    assert why(run, found).startswith(f"first{PLACE}: ")


def test_an_infinite_bound_certifies_nothing(run: Capsule, issued: Certificates) -> None:
    found = with_array(issued, lambda b: b * np.inf, "bound", 1)
    assert "the bound inf is not what the rules give" in why(run, found)


def test_all_that_fails_is_counted_and_some_is_described(
    run: Capsule, issued: Certificates
) -> None:
    (outcome, *_) = check_all(run, with_array(issued, lambda e: e + 1.0, "error"))
    assert outcome.failed == 60
    assert len(outcome.failures) == 5


def test_another_output_in_the_capsule_is_named(run: Capsule, issued: Certificates) -> None:
    ref = run.manifest.probes[0].layers[1].outputs[0]
    changed = with_capsule_array(run, ref, flip_bit(np.asarray(run.array(ref)), PLACE))
    assert why(changed, issued).startswith(f"last{PLACE}: the error is recorded as")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_no_number_is_named(
    run: Capsule, issued: Certificates, value: float
) -> None:
    ref = run.manifest.probes[0].layers[1].outputs[0]
    y = np.asarray(run.array(ref)).copy()
    y[PLACE] = value
    assert why(with_capsule_array(run, ref, y), issued).startswith(f"last{PLACE}: ")


@pytest.mark.parametrize("weight", [0, 1])
def test_another_weight_in_the_capsule_is_named(
    run: Capsule, issued: Certificates, weight: int
) -> None:
    ref = run.manifest.states[0].layers[1].weights[weight].array
    values = np.asarray(run.array(ref))
    changed = with_capsule_array(run, ref, flip_bit(values, (1,) * values.ndim))
    assert why(changed, issued).startswith("last(0, 1): the error is recorded as")


def test_another_input_in_the_capsule_is_named(run: Capsule, issued: Certificates) -> None:
    ref = run.manifest.probes[0].layers[1].inputs[0]
    x = np.asarray(run.array(ref))
    place = tuple(int(n) for n in np.unravel_index(x.argmax(), x.shape))
    for bit, words in ((1, "the error is recorded as"), (8, "the bound ")):
        changed = with_capsule_array(run, ref, flip_bit(x, place, bit))
        assert f"last({place[0]}, 0): {words}" in why(changed, issued)


def test_that_a_kernel_was_measured_again_is_said(run: Capsule, issued: Certificates) -> None:
    first = issued.manifest.certificates[0].model_copy(update={"tables": {"relu": "0123"}})
    manifest = issued.manifest.model_copy(update={"certificates": (first,)})
    other = Certificates(manifest, issued.arrays)
    assert all(outcome.holds for outcome in check_all(run, other))
    padded = with_array(other, lambda b: b * 2.0, "bound")
    assert why(run, padded).endswith("; since it was issued, relu has been measured again")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"position": 7}, "the probe has 2 layers"),
        ({"position": 1}, "the capsule has the layer 'last'"),
        ({"probe": 5}, "0 probes of number 5"),
        ({"layer": "other"}, "the capsule has the layer 'first'"),
        ({"cls": "keras.layers.Activation"}, "of class keras.layers.Dense"),
        ({"format": "float16"}, "the layer computes in float32"),
        ({"outputs": ()}, "0 outputs, the capsule 1"),
        ({"prediction": 3}, "no such output of the model"),
    ],
)
def test_a_certificate_about_something_else_is_refused(
    run: Capsule, issued: Certificates, changes: dict[str, Any], words: str
) -> None:
    first = issued.manifest.certificates[0].model_copy(update=changes)
    manifest = issued.manifest.model_copy(update={"certificates": (first,)})
    assert words in why(run, Certificates(manifest, issued.arrays))


@pytest.mark.parametrize(
    "change",
    [lambda b: b[:-1], lambda b: b.astype(np.float32), lambda b: b.reshape(-1), lambda b: b[0, 0]],
)
def test_numbers_of_another_shape_or_type_are_refused(
    run: Capsule, issued: Certificates, change: Callable[[F64], F64]
) -> None:
    assert "its bounds are" in why(run, with_array(issued, change, "bound"))


def test_a_layer_without_a_formula_is_not_passed_silently(
    run: Capsule, issued: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_values, "EXACT", {})
    outcomes = check_all(run, issued)
    assert {each.unchecked for each in outcomes} == {"there is no exact evaluation of Dense here"}
    assert all(each.checked == 0 for each in outcomes)


@pytest.mark.internal_errors
def test_a_checker_that_stumbles_does_not_pass_anything(
    run: Capsule, issued: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(_layer: Any, _inputs: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(layer_values, "EXACT", {"Dense": stumble})
    assert all("could not follow it" in each.unchecked for each in check_all(run, issued))


@examples(60)
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 40))
def test_of_random_layers_honest_ones_hold_and_one_changed_bit_is_named(
    seed: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    capsule = Sample().predict(two_layers(seed % 1000, width), grid(6, 3, seed % 1000)).capsule()
    issued = certificates(capsule)
    assert all(each.holds and not each.unchecked for each in check_all(capsule, issued))
    for certificate in issued.manifest.certificates:
        ref = capsule.manifest.probes[0].layers[certificate.position].outputs[0]
        if certificate.prediction is not None:
            ref = capsule.manifest.probes[0].outputs[0]
        y = np.asarray(capsule.array(ref))
        place = tuple(int(rng.integers(0, size)) for size in y.shape)
        bound = issued.arrays[certificate.outputs[0].bound.key or ""][place]
        # The last bit of a zero is the smallest subnormal number, which may be flushed; and of a
        # sum that cancels it is less than float64 may be off by.
        if y[place] == 0.0 or np.spacing(abs(y[place])) < 4.0 * FLOAT64_PART * bound:
            continue
        changed = with_capsule_array(capsule, ref, flip_bit(y, place))
        failures = [one for each in check_all(changed, issued) for one in each.failures]
        assert place in [one.index for one in failures]


# --- the arithmetic of the checker ---------------------------------------------------------------


def _floats(**options: Any) -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False, **options)


@given(st.lists(_floats(), max_size=20))
def test_floats_are_integers_times_a_power_of_two(values: list[float]) -> None:
    found = dyadic(np.array(values, np.float64))
    scale = Fraction(2) ** found.exponent
    assert [n * scale for n in found.numbers] == [Fraction(v) for v in values]
    again = exactly(balls(found), (len(values),))
    assert [n * Fraction(2) ** again.exponent for n in again.numbers] == [*map(Fraction, values)]


@given(st.lists(st.tuples(_floats(width=32), _floats(width=32)), min_size=1, max_size=12))
def test_sums_of_products_are_exact(pairs: list[tuple[float, float]]) -> None:
    x, w = (np.array([column], np.float64) for column in zip(*pairs, strict=True))
    exact = sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))
    for found in (dots(dyadic(x), dyadic(w)), product(dyadic(x), dyadic(w.T))):
        assert [n * Fraction(2) ** found.exponent for n in found.numbers] == [exact]


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        dyadic(np.array([1.0, np.inf]))


#: Functions that cancel near zero, where their float64 form has an absolute error.
_CANCELLING = ("hard_sigmoid_2", "hard_sigmoid_3", "hard_silu", "sparse_plus", "sparse_sigmoid")

_FAMILIES: list[Form] = [
    activation_forms.relu(0.1, 0.5, 3.0),
    activation_forms.relu(0.0, -0.5, None),
    activation_forms.leaky_relu(0.1),
    activation_forms.elu(0.7),
    activation_forms.celu(0.5),
    activation_forms.squareplus(1.0),
    activation_forms.threshold(0.3, -1.0),
    activation_forms.hard_shrink(0.2),
    activation_forms.soft_shrink(0.2),
]


@pytest.mark.parametrize(
    "form",
    [*(FORMS[name] for name in sorted(PLAIN)), *_FAMILIES],
    ids=lambda form: f"{form.name}{form.constants or ''}",
)
@examples(40)
@given(st.lists(_floats(min_value=-60.0, max_value=60.0, width=32), min_size=1, max_size=30))
def test_balls_and_float64_give_the_same_activations(form: Form, values: list[float]) -> None:
    z = np.array(values, np.float64)
    function = real_of(form)
    assert function is not None
    with precisely():
        real = [function(each) for each in points(z)]
        apart = upper([abs(a - b) for a, b in zip(points(form(z)), real, strict=True)])
    rough = 2.0**-50 * np.maximum(np.abs(z), 1.0) if form.name in _CANCELLING else 0.0
    rough = 2.0**-52 if form.name in ("relu", "soft_shrink") and form.constants else rough
    smallest = np.maximum(np.abs(form(z)), 2.0**-126)
    assert (apart <= 2.0**-43 * smallest + rough).all()


def test_every_activation_that_the_rules_know_has_an_exact_evaluation() -> None:
    # These are never read from a configuration: one has slopes, the other is a threshold.
    without = {"prelu", "thresholded_relu"}
    assert {name for name, form in FORMS.items() if real_of(form) is None} == without


def test_what_is_checked_needs_neither_r_nor_tensorflow_nor_a_report() -> None:
    code = (
        "import sys, bridge.verify.verification, bridge.verify.certificate\n"
        "print([name for name in sys.modules if name.startswith(('bridge.explain', "
        "'bridge.report', 'bridge.runs', 'bridge.process', 'bridge.r.', 'tensorflow', 'rpy2'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
