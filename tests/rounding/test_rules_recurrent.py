"""No correct recurrent layer may leave its bound, and no visible fault may stay inside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rounding.rules import Layer, UnsupportedError, evaluate, recurrent
from bridge.rounding.rules.activation_forms import FORMS
from bridge.rounding.rules.arithmetic import SLOPES, Matrix
from tests.compare_samples import F32, judge_layer
from tests.examples import examples
from tests.orders import GOOD, ORDERS, forwards, in_pairs
from tests.recurrent_samples import GATES, KINDS, Rnn, rnns, sample

kinds = pytest.mark.parametrize("kind", KINDS)


def _case(kind: str, time: int = 6, seed: int = 0, **chosen: Any) -> tuple[Rnn, F32]:
    rng = np.random.default_rng(seed)
    chosen = {"biases": 2 if kind == "GRU" else 1} | chosen
    return sample(rng, kind, 4, 5, **chosen), rng.standard_normal((3, time, 4)).astype("f4")


def _chaotic(kind: str) -> tuple[Rnn, F32]:
    """Return a layer in which states part that were almost the same, and its input."""
    config = {"reset_after": True} if kind == "GRU" else {}
    made, x = _case(kind, time=60, scale=4.0, biases=0, config=config)
    return made, x * np.float32(1e-3)


def _inside(layer: Layer, inputs: list[F32], outputs: list[F32], seen: bool) -> bool:
    """Say whether outputs are within their bounds, or nothing is claimed of them."""
    found = evaluate(layer, inputs, outputs=outputs if seen else None)
    pairs = list(zip(outputs, found, strict=True))
    assert all(y.shape == each.value.shape for y, each in pairs)
    with np.errstate(all="ignore"):
        return all(
            bool((~np.isfinite(each.bound) | (np.abs(y - each.value) <= each.bound)).all())
            for y, each in pairs
        )


@examples(40)
@given(rnns(), st.sampled_from(ORDERS))
def test_no_order_of_summation_leaves_the_bound(case: tuple[Rnn, F32], order: Any) -> None:
    made, x = case
    with np.errstate(all="ignore"):
        sequence, states = made.run(x, order)
    whole, last = made.layer(return_state=True), made.layer(return_sequences=False)
    assert _inside(whole, [x], [sequence, *states], seen=True)
    assert _inside(whole, [x], [sequence, *states], seen=False)
    assert _inside(last, [x], [sequence[:, -1]], seen=True)


@kinds
def test_bounds_are_small_where_the_states_were_seen(kind: str) -> None:
    made, x = _case(kind, time=30)
    y, states = made.run(x, in_pairs)
    for each in evaluate(made.layer(return_state=True), [x], outputs=[y, *states]):
        assert each.bound.max() < 2e-5


@kinds
def test_the_value_is_that_of_the_recursion_in_float64(kind: str) -> None:
    made, x = _case(kind)
    exact = replace(made)
    for name in ("kernel", "recurrent", "bias"):
        setattr(exact, name, getattr(made, name).astype(np.float64))
    y, _ = made.run(x, forwards)
    (alone,) = evaluate(made.layer(), [x])
    (conditional,) = evaluate(made.layer(), [x], outputs=[y])
    assert np.abs(alone.value - y).max() < 1e-6
    assert np.abs(conditional.value[:, 0] - alone.value[:, 0]).max() < 1e-15
    assert np.abs(conditional.value - alone.value).max() > 1e-12


@kinds
def test_initial_states_are_further_inputs(kind: str) -> None:
    made, x = _case(kind)
    rng = np.random.default_rng(1)
    count = 2 if kind == "LSTM" else 1
    begun = tuple(rng.standard_normal((3, 5)).astype("f4") for _ in range(count))
    y, _ = made.run(x, forwards, begun)
    assert judge_layer(made.layer(), [x, *begun], [y]).verdict in GOOD
    assert judge_layer(made.layer(), [x], [y]).verdict == "different"


@kinds
def test_backwards_and_time_major(kind: str) -> None:
    made, x = _case(kind)
    y, _ = made.run(np.ascontiguousarray(x[:, ::-1]), forwards)
    assert judge_layer(made.layer(go_backwards=True), [x], [y]).verdict in GOOD
    assert judge_layer(made.layer(), [x], [y]).verdict == "different"
    turned = made.layer(go_backwards=True, time_major=True)
    assert judge_layer(turned, [x.swapaxes(0, 1)], [y.swapaxes(0, 1)]).verdict in GOOD


@kinds
def test_visible_faults_are_different(kind: str) -> None:
    made, x = _case(kind)
    columns = np.roll(np.arange(GATES[kind] * 5), 5 if kind != "SimpleRNN" else 1)
    transposed = made.recurrent.reshape(5, -1, 5).transpose(2, 1, 0).reshape(5, -1)
    touched = made.recurrent.copy()
    touched[2, 3] += 1e-3
    broken = {
        "lost bias": replace(made, bias=None),
        "columns moved": replace(made, kernel=made.kernel[:, columns]),
        "transposed": replace(made, recurrent=np.ascontiguousarray(transposed)),
        "one weight": replace(made, recurrent=touched),
        "activation lost": replace(made, activation="linear"),
    }
    if kind != "SimpleRNN":
        broken["other gates"] = replace(made, gate="hard_sigmoid")
    for name, each in broken.items():
        if name == "lost bias" and kind == "GRU":
            each.config = {"reset_after": True}
        y, _ = each.run(x, forwards)
        assert judge_layer(made.layer(), [x], [y]).verdict == "different", name
    y, _ = made.run(x, forwards, forgetful=True)
    assert judge_layer(made.layer(), [x], [y]).verdict == "different"


def test_the_reset_gate_on_the_other_side_of_the_product() -> None:
    made, x = _case("GRU", biases=0, config={"reset_after": True})
    other = replace(made, config={"reset_after": False})
    for one, another in ((made, other), (other, made)):
        y, _ = one.run(x, forwards)
        assert judge_layer(one.layer(), [x], [y]).verdict in GOOD
        assert judge_layer(another.layer(), [x], [y]).verdict == "different"


@kinds
def test_a_fault_in_one_step_is_found_in_that_step_alone(kind: str) -> None:
    made, x = _case(kind, time=8)
    before, states = made.run(x[:, :4], forwards)
    before[0, 3, 1] += np.float32(1e-3)
    after, _ = made.run(x[:, 4:], forwards, (before[:, 3], *states[1:]))
    verdict = judge_layer(made.layer(), [x], [np.concatenate((before, after), axis=1)])
    assert verdict.verdict == "different"
    assert verdict.beyond_bound == 1
    assert verdict.worst[0].index == (0, 3, 1)


@kinds
def test_a_last_state_alone_is_judged_while_something_is_known_of_it(kind: str) -> None:
    made, x = _case(kind)
    y, _ = made.run(x, forwards)
    last = made.layer(return_sequences=False)
    assert judge_layer(last, [x], [y[:, -1]]).verdict in GOOD
    assert judge_layer(last, [x], [y[:, -1] + np.float32(0.01)]).verdict == "different"


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_bound_that_excludes_nothing_is_given_up(kind: str) -> None:
    made, x = _chaotic(kind)
    y, _ = made.run(x, forwards)
    last = made.layer(return_sequences=False, return_state=True)
    found = evaluate(last, [x])
    assert np.isinf(found[0].bound).all()
    assert np.abs(found[0].value).max() <= 1.0
    assert judge_layer(made.layer(return_sequences=False), [x], [y[:, -1]]).verdict in (
        "abstained",
        "same-bits",
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_last_state_is_judged_on_a_sequence_that_ends_with_it(kind: str) -> None:
    made, x = _chaotic(kind)
    y, states = made.run(x, forwards)
    last = made.layer(return_sequences=False, return_state=True)
    outputs = [y[:, -1], *states, y]
    assert judge_layer(last, [x], outputs).verdict in GOOD
    wrong = y[:, -1] + np.float32(1e-3)
    assert judge_layer(last, [x], [wrong, *states, y]).verdict == "abstained"
    y[:, 30] += np.float32(1e-3)
    assert judge_layer(last, [x], [y[:, -1], *states, y]).verdict == "different"


@kinds
def test_what_was_not_a_number_decides_nothing_about_later_steps(kind: str) -> None:
    made, x = _case(kind)
    y, _ = made.run(x, forwards)
    y[1, 2, 0] = np.nan
    (found,) = evaluate(made.layer(), [x], outputs=[y])
    bound = found.bound
    assert np.isfinite(bound[:, :3]).all()
    assert np.isinf(bound[1, 3]).all()
    assert judge_layer(made.layer(), [x], [y]).verdict == "different"


@kinds
def test_a_thousand_steps(kind: str) -> None:
    made, x = _case(kind, time=1000)
    (found,) = evaluate(made.layer(), [x])
    y = found.value.astype(np.float32)
    assert judge_layer(made.layer(), [x], [y]).verdict in GOOD
    y[2, 990, 4] += np.float32(1e-3)
    assert judge_layer(made.layer(), [x], [y]).verdict == "different"


@kinds
@pytest.mark.parametrize("seen", [True, False])
def test_blocks_do_not_change_what_is_said(
    kind: str, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, x = _case(kind)
    y, states = made.run(x, forwards)
    layer, outputs = made.layer(return_state=True), [y, *states] if seen else None
    whole = evaluate(layer, [x], outputs=outputs)
    bounds = [each.bound for each in whole]
    monkeypatch.setattr(recurrent, "_BLOCK", 2 * GATES[kind] * 5)
    for each, other, bound in zip(
        whole, evaluate(layer, [x], outputs=outputs), bounds, strict=True
    ):
        assert np.allclose(each.value, other.value, rtol=0.0, atol=1e-14)
        assert np.allclose(other.bound, bound, rtol=1e-6)


@pytest.mark.parametrize(("change", "why"), [
    ({"stateful": True}, "stateful"),
    ({"dropout": 0.5, "training": True}, "at random"),
    ({"recurrent_dropout": 0.5, "training": True}, "at random"),
    ({"masked": True}, "mask"),
    ({"devices": ("GPU",)}, "GPU"),
    ({"devices": ()}, "not recorded"),
    ({"return_sequences": "yes"}, "return_sequences is neither"),
    ({"go_backwards": 1}, "go_backwards is neither"),
    ({"units": 7}, "units do not agree"),
    ({"use_bias": False}, "use_bias"),
    ({"activation": "wobble"}, "wobble"),
    ({"activation": {"class_name": "function"}}, "script's own"),
    ({"dtype": "float64"}, "float64"),
])  # fmt: skip
def test_refusals_say_why(change: dict[str, Any], why: str) -> None:
    for kind in KINDS:
        made, x = _case(kind)
        fields = {key: change[key] for key in ("training", "masked", "devices") if key in change}
        config = {key: value for key, value in change.items() if key not in fields}
        with pytest.raises(UnsupportedError, match=why):
            evaluate(replace(made.layer(**config), **fields), [x])


@kinds
def test_dropout_does_nothing_at_inference(kind: str) -> None:
    made, x = _case(kind)
    y, _ = made.run(x, forwards)
    layer = made.layer(dropout=0.5, recurrent_dropout=0.2, unroll=True, seed=1)
    assert judge_layer(layer, [x], [y]).verdict in GOOD


@kinds
def test_shapes_that_do_not_fit_are_refused(kind: str) -> None:
    made, x = _case(kind)
    layer = made.layer()
    for inputs in ([x[0]], [x[..., :3]], [x[:, :0]], [x, x], [x, x[:, 0], x[:, 0], x[:, 0]]):
        with pytest.raises(UnsupportedError, match="its in"):
            evaluate(layer, inputs)
    for name, weight in layer.weights.items():
        for other in (weight[..., :-1], weight[np.newaxis, np.newaxis], weight[..., :0]):
            broken = replace(layer, weights={**layer.weights, name: other})
            with pytest.raises(UnsupportedError, match=r"its weights|its reset_after"):
                evaluate(broken, [x])
        fewer = {key: each for key, each in layer.weights.items() if key != name}
        with pytest.raises(UnsupportedError, match="weights"):
            evaluate(replace(layer, weights=fewer), [x])


def test_an_output_too_large_is_refused_before_it_is_made() -> None:
    made = sample(np.random.default_rng(0), "LSTM", 1, 512)
    x = np.zeros((2**20, 1, 1), np.float32)
    with pytest.raises(UnsupportedError, match="too large"):
        evaluate(made.layer(), [x])


@pytest.mark.parametrize("generation", [0, 2, 3])
def test_a_stateful_layer_has_a_known_state_only_where_keras_3_is_given_one(
    generation: Any,
) -> None:
    made, x = _case("SimpleRNN")
    begun = np.ones((3, 5), np.float32)
    y, _ = made.run(x, forwards, (begun,))
    layer = replace(made.layer(stateful=True), generation=generation)
    verdict = judge_layer(layer, [x, begun], [y]).verdict
    assert verdict in GOOD if generation == 3 else verdict == "abstained"


def test_the_old_hard_sigmoid_of_keras_2() -> None:
    made, x = _case("LSTM", gate="hard_sigmoid")
    y, _ = made.run(x, forwards)
    assert judge_layer(made.layer(), [x], [y]).verdict in GOOD
    assert judge_layer(replace(made.layer(), generation=2), [x], [y]).verdict == "different"
    assert judge_layer(replace(made.layer(), generation=0), [x], [y]).verdict == "abstained"


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_no_form_is_steeper_than_its_slope(name: str) -> None:
    z = np.linspace(-30.0, 30.0, 200_001)
    slope = np.abs(np.diff(FORMS[name](z))) / np.diff(z)
    nearer = np.minimum(np.abs(z[1:]), np.abs(z[:-1]))
    assert (slope <= SLOPES[name](nearer) * (1 + 1e-9) + 1e-11).all()


@examples(50)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_norms_are_those_of_the_singular_values(
    rows: int, units: int, gates: int, seed: int
) -> None:
    w = np.random.default_rng(seed).standard_normal((rows, gates * units))
    norms = Matrix(w, gates).norms
    for gate, norm in zip(np.split(w, gates, axis=1), norms[:, 0], strict=True):
        true = np.linalg.norm(gate, 2)
        assert true <= norm <= true * (1 + 1e-6)
