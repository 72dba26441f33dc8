"""A certificate holds if it is honest, true and fair, and whatever was tampered with is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from bridge.capsule import Capsule
from bridge.certify import layers
from bridge.certify.exact import balls, dots, dyadic, exactly, points, precisely, product, upper
from bridge.certify.functions import PLAIN
from bridge.certify.issue import certificates
from bridge.certify.kinds import KINDS
from bridge.certify.schema import Certificates
from bridge.certify.table import errors_of, relative
from bridge.compare.rules.forms import FORMS
from bridge.compare.rules.models import model_of
from bridge.compare.rules.rounding import FORMATS
from bridge.compare.seen import judge_probe
from tests.certify_samples import F64, check_all, with_array, with_capsule_array
from tests.compare_samples import Dense, Sample, flip_bit, grid, normal, two_layers
from tests.examples import examples

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


def test_a_certificate_says_what_it_rests_on(issued: Certificates) -> None:
    first = issued.manifest.certificates[0]
    assert (first.rule, first.format) == ("dense.dense", "float32")
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


def test_a_bound_below_the_error_is_named(run: Capsule, issued: Certificates) -> None:
    error = issued.arrays[issued.manifest.certificates[0].outputs[0].error.key or ""]
    place = tuple(int(n) for n in np.unravel_index(error.argmax(), error.shape))
    found = with_array(issued, at(place, lambda _: float(error[place]) * 0.999), "bound")
    assert why(run, found).startswith(f"first{place}: the error ")
    assert "is beyond the bound" in why(run, found)


@pytest.mark.parametrize("factor", [0.0, 0.99, 1.01, 30.0])
def test_an_error_that_is_not_the_exact_one_is_named(
    run: Capsule, issued: Certificates, factor: float
) -> None:
    error = issued.arrays[issued.manifest.certificates[0].outputs[0].error.key or ""]
    place = tuple(int(n) for n in np.unravel_index(error.argmax(), error.shape))
    found = with_array(issued, at(place, lambda e: e * factor), "error")
    assert why(run, found).startswith(f"first{place}: the error is recorded as")
    assert "but exact arithmetic gives" in why(run, found)


@pytest.mark.parametrize("factor", [1.00001, 2.0, 1e30])
def test_a_padded_bound_is_named(run: Capsule, issued: Certificates, factor: float) -> None:
    for number, layer in ((0, "first"), (1, "last")):
        found = with_array(issued, lambda b: b * factor, "bound", number)
        assert "is larger than the theorem allows" in why(run, found)
        assert why(run, found).startswith(layer)


@pytest.mark.parametrize("name", ["bound", "error"])
@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_what_is_no_bound_or_no_error_is_named(
    run: Capsule, issued: Certificates, name: str, value: float
) -> None:
    found = with_array(issued, at(PLACE, lambda _: value), name)
    assert why(run, found).startswith(f"first{PLACE}: ")


def test_an_infinite_bound_certifies_nothing(run: Capsule, issued: Certificates) -> None:
    found = with_array(issued, lambda b: b * np.inf, "bound", 1)
    assert "beyond the bound inf" in why(run, found)


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
    changed = with_capsule_array(run, ref, flip_bit(x, place, 8))
    assert f"last({place[0]}, 0): the error is recorded as" in why(changed, issued)


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
        ({"prediction": 3}, "the capsule 0"),
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
    assert "contradicts itself: its bounds are" in why(run, with_array(issued, change, "bound"))


def test_a_layer_without_a_formula_is_not_passed_silently(
    run: Capsule, issued: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "FORMULAS", {})
    outcomes = check_all(run, issued)
    assert {each.unchecked for each in outcomes} == {"there is no formula for Dense"}
    assert all(each.checked == 0 for each in outcomes)


@pytest.mark.internal_errors
def test_a_checker_that_stumbles_does_not_pass_anything(
    run: Capsule, issued: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(_given: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(layers, "FORMULAS", {"Dense": stumble})
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
        # The last bit of a zero is the smallest subnormal number, which may be flushed.
        if y[place] == 0.0:
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


@pytest.mark.parametrize("name", sorted(PLAIN))
@examples(40)
@given(st.lists(_floats(min_value=-60.0, max_value=60.0, width=32), min_size=1, max_size=30))
def test_balls_and_float64_give_the_same_activations(name: str, values: list[float]) -> None:
    z = np.array(values, np.float64)
    form = FORMS[name](z)
    with precisely():
        real = [PLAIN[name].real(each) for each in points(z)]
        apart = upper([abs(a - b) for a, b in zip(points(form), real, strict=True)])
    rough = np.where(np.abs(z) <= PLAIN[name].within, PLAIN[name].rough * 2.0**-53, 0.0)
    rough = rough * np.abs(z) if PLAIN[name].times else rough
    smallest = np.maximum(np.abs(form), 2.0**-126)
    assert (apart <= 2.0**-43 * smallest + rough).all()


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_activations_turn_where_they_are_said_to(name: str) -> None:
    """Between two turns a function is monotone, and no value is beyond those at the turns."""
    function = PLAIN[name]
    z = np.linspace(-20.0, 20.0, 4001)
    with precisely():
        real = [function.real(each) for each in points(z)]
        turns = sorted((float(turn.at.mid()), turn.value) for turn in function.turns)
        ends = [-np.inf, *(place for place, _ in turns), np.inf]
        for low, high in pairwise(ends):
            inside = [v for v, at in zip(real, z.tolist(), strict=True) if low < at < high]
            rises = any(one < other for one, other in pairwise(inside))
            falls = any(one > other for one, other in pairwise(inside))
            assert not (rises and falls)
        for place, value in turns:
            # A ball of numbers on both sides of a jump has the values of both.
            near = function.real(arb(place, 1e-12))
            assert near.overlaps(value + arb(0, 1e-11))


@pytest.mark.parametrize("dtype", sorted(KINDS))
def test_the_table_of_errors_is_read_as_the_rules_read_it(dtype: str) -> None:
    rng = np.random.default_rng(5)
    ends = np.sort(rng.standard_normal((2, 400)) * 10.0 ** rng.uniform(-40, 30, (2, 400)), axis=0)
    read = 0
    for name in [*PLAIN, "softmax_pair"]:
        mine, theirs = errors_of(name, KINDS[dtype]), model_of(name, dtype)
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            read += 1
            assert np.array_equal(mine.between(*ends), theirs.error(*ends))
            assert relative(mine, KINDS[dtype]) == theirs.relative
    assert read or dtype != "float32"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_types_have_the_constants_that_the_rules_give_them(name: str) -> None:
    mine, theirs = KINDS[name], FORMATS[name]
    assert (mine.u, mine.tiny, mine.limit) == (theirs.unit, theirs.tiny, theirs.overflow)
    values = np.array([0.0, 1.0, 1.5, 2.0, 3e-40, 1e-3, 7e4])
    assert np.array_equal(2.0 * mine.half_steps(values), theirs.ulp(values))


def test_the_checker_knows_nothing_of_the_rules() -> None:
    code = (
        "import sys, bridge.certify.verify, bridge.certify.layers\n"
        "print([name for name in sys.modules if name.startswith(('bridge.compare', "
        "'bridge.explain', 'bridge.report', 'bridge.runners'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
