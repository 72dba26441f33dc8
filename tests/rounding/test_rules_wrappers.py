"""Layers around layers are judged by the rules of the layers inside."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bridge.rounding.rules import Layer, UnsupportedError, evaluate
from bridge.trace.model_description import named_weights
from tests.compare_samples import F32, judge_layer
from tests.orders import GOOD, forwards, layer
from tests.recurrent_samples import KINDS, Rnn, sample

kinds = pytest.mark.parametrize("kind", KINDS)
merges = pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])


def _spec(inner: Layer, **config: Any) -> dict[str, Any]:
    """Describe a layer as it stands in another one's configuration."""
    name = inner.cls.rpartition(".")[2]
    return {
        "module": "keras.layers",
        "class_name": name,
        "config": {"name": name.lower(), **inner.config, **config},
        "registered_name": None,
    }


def _pair(kind: str, time: int = 5) -> tuple[Rnn, Rnn, F32]:
    rng = np.random.default_rng(0)
    biases = 2 if kind == "GRU" else 1
    ahead, back = (sample(rng, kind, 4, 3, biases=biases) for _ in range(2))
    return ahead, back, rng.standard_normal((2, time, 4)).astype("f4")


def _both(ahead: Rnn, back: Rnn, merge: str | None = "concat", **config: Any) -> Layer:
    """Return a Bidirectional as Keras 2 describes it."""
    first, last = ahead.layer(**config), back.layer(**config)
    name = ahead.kind.lower()
    weights = {f"forward_{name}/cell/{key}": each for key, each in first.weights.items()}
    weights |= {f"backward_{name}/cell/{key}": each for key, each in last.weights.items()}
    return layer("Bidirectional", {"merge_mode": merge, "layer": _spec(first)}, **weights)


def _made(
    ahead: Rnn, back: Rnn, x: F32, merge: str | None
) -> tuple[list[F32], list[F32], list[F32]]:
    """Return the outputs of both directions, merged, and the last states of each."""
    y, states = ahead.run(x, forwards)
    z, others = back.run(np.ascontiguousarray(x[:, ::-1]), forwards)
    z = np.ascontiguousarray(z[:, ::-1])
    merged = {
        "concat": [np.concatenate((y, z), axis=-1)],
        "sum": [y + z],
        "mul": [y * z],
        "ave": [(y + z) / np.float32(2)],
        None: [y, z],
    }[merge]
    return merged, list(states), list(others)


@kinds
@merges
def test_two_directions(kind: str, merge: str | None) -> None:
    ahead, back, x = _pair(kind)
    outputs, states, others = _made(ahead, back, x, merge)
    whole = _both(ahead, back, merge, return_state=True)
    assert judge_layer(whole, [x], [*outputs, *states, *others]).verdict in GOOD
    assert judge_layer(_both(ahead, back, merge), [x], outputs).verdict in GOOD
    wrong = [each.copy() for each in outputs]
    wrong[-1][1, 2, -1] += np.float32(3e-3)
    assert judge_layer(_both(ahead, back, merge), [x], wrong).verdict == "different"
    assert judge_layer(_both(back, ahead, merge), [x], outputs).verdict == "different"


@kinds
@merges
def test_two_directions_that_return_their_last_states(kind: str, merge: str | None) -> None:
    ahead, back, x = _pair(kind)
    y, z = ahead.run(x, forwards)[0], back.run(np.ascontiguousarray(x[:, ::-1]), forwards)[0]
    ends = [y[:, -1], z[:, -1]]
    outputs = {
        "concat": [np.concatenate(ends, axis=-1)],
        "sum": [ends[0] + ends[1]],
        "mul": [ends[0] * ends[1]],
        "ave": [(ends[0] + ends[1]) / np.float32(2)],
        None: ends,
    }[merge]
    both = _both(ahead, back, merge, return_sequences=False)
    assert judge_layer(both, [x], outputs).verdict in GOOD
    other = replace(both, config={**both.config, "merge_mode": "sum" if merge != "sum" else "ave"})
    if merge in ("sum", "mul", "ave"):
        assert judge_layer(other, [x], outputs).verdict == "different"


@kinds
def test_last_states_are_judged_on_sequences_that_end_with_them(kind: str) -> None:
    ahead, back, x = _pair(kind, time=20)
    (y, z), states, others = _made(ahead, back, x, None)
    both = _both(ahead, back, return_sequences=False, return_state=True)
    end = np.concatenate((y[:, -1], z[:, 0]), axis=-1)
    outputs = [end, *states, *others, y, z]
    found = evaluate(both, [x], outputs=outputs)
    assert len(found) == len(outputs)
    assert max(each.bound.max() for each in found) < 2e-5
    assert judge_layer(both, [x], outputs).verdict in GOOD
    z[0, 7, 0] += np.float32(1e-3)
    assert judge_layer(both, [x], outputs).verdict == "different"


@kinds
def test_each_direction_has_its_own_initial_states(kind: str) -> None:
    ahead, back, x = _pair(kind)
    rng = np.random.default_rng(1)
    count = 2 if kind == "LSTM" else 1
    begun = [rng.standard_normal((2, 3)).astype("f4") for _ in range(2 * count)]
    y, _ = ahead.run(x, forwards, tuple(begun[:count]))
    z, _ = back.run(np.ascontiguousarray(x[:, ::-1]), forwards, tuple(begun[count:]))
    outputs = [np.concatenate((y, z[:, ::-1]), axis=-1)]
    both = _both(ahead, back)
    assert judge_layer(both, [x, *begun], outputs).verdict in GOOD
    turned = [*begun[count:], *begun[:count]]
    assert judge_layer(both, [x, *turned], outputs).verdict == "different"
    assert judge_layer(both, [x, begun[0]], outputs).verdict == "abstained"


def test_a_backward_layer_of_its_own() -> None:
    ahead, _, x = _pair("LSTM")
    back = sample(np.random.default_rng(2), "GRU", 4, 2, biases=0, config={"reset_after": True})
    spec = _spec(back.layer(go_backwards=True), name="other")
    weights = {f"forward_lstm/lstm_cell/{key}": each for key, each in ahead.layer().weights.items()}
    weights |= {f"other/gru_cell/{key}": each for key, each in back.layer().weights.items()}
    both = layer(
        "Bidirectional", {"layer": _spec(ahead.layer()), "backward_layer": spec}, **weights
    )
    z, _ = back.run(np.ascontiguousarray(x[:, ::-1]), forwards)
    y = np.concatenate((ahead.run(x, forwards)[0], z[:, ::-1]), axis=-1)
    assert judge_layer(both, [x], [y]).verdict in GOOD


def test_directions_that_cannot_be_told_apart_are_refused() -> None:
    ahead, back, x = _pair("SimpleRNN")
    both = _both(ahead, back)
    once = ahead.layer().weights
    unnamed = {f"{part}/{key}": each for part in "ab" for key, each in once.items()}
    forward = {key: each for key, each in both.weights.items() if key.startswith("forward")}
    for weights in (once, unnamed, forward, {}):
        with pytest.raises(UnsupportedError, match="which of its weights"):
            evaluate(replace(both, weights=weights), [x])


@pytest.mark.parametrize(("config", "why"), [
    ({"merge_mode": "max"}, "merge_mode"),
    ({"merge_mode": ["sum"]}, "merge_mode"),
    ({"layer": None}, "was not recorded"),
    ({"layer": {"class_name": "LSTM"}}, "was not recorded"),
    ({"layer": {"class_name": "Dense", "config": {}}}, "in two directions"),
    ({"layer": {"class_name": "LSTM", "module": "mine", "config": {}}}, "in two directions"),
    ({"layer": {"class_name": "LSTM", "registered_name": "mine>LSTM", "config": {}}}, "in two"),
    ({"layer": {"class_name": "LSTM", "config": {"dtype": "float16"}}}, "float16"),
])  # fmt: skip
def test_refusals_say_why(config: dict[str, Any], why: str) -> None:
    ahead, back, x = _pair("LSTM")
    both = _both(ahead, back)
    with pytest.raises(UnsupportedError, match=why):
        evaluate(replace(both, config={**both.config, **config}), [x])


def test_every_step_alike() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 2, 4)).astype("f4")
    kernel, bias = rng.standard_normal((4, 6)).astype("f4"), rng.standard_normal(6).astype("f4")
    dense = layer("Dense", {"activation": "relu"})
    this = layer("TimeDistributed", {"layer": _spec(dense)}, kernel=kernel, bias=bias)
    y = np.maximum(x @ kernel + bias, np.float32(0))
    assert judge_layer(this, [x], [y]).verdict in GOOD
    wrong = y.copy()
    wrong[:, 4] = y[:, 3]
    assert judge_layer(this, [x], [wrong]).verdict == "different"
    flat = layer("TimeDistributed", {"layer": _spec(layer("Flatten"))})
    assert judge_layer(flat, [x], [x.reshape(3, 5, 8)]).verdict == "same-bits"


@kinds
def test_a_recurrent_layer_at_every_step(kind: str) -> None:
    ahead, _, _ = _pair(kind)
    x = np.random.default_rng(1).standard_normal((2, 3, 5, 4)).astype("f4")
    y = np.stack([ahead.run(part, forwards)[0] for part in x])
    this = layer("TimeDistributed", {"layer": _spec(ahead.layer())}, **ahead.layer().weights)
    (found,) = evaluate(this, [x], outputs=[y])
    assert found.bound.max() < 1e-5
    assert judge_layer(this, [x], [y]).verdict in GOOD


def test_steps_need_a_time_axis_and_a_layer_with_a_rule() -> None:
    this = layer("TimeDistributed", {"layer": _spec(layer("Flatten"))})
    with pytest.raises(UnsupportedError, match="no time axis"):
        evaluate(this, [np.zeros((3, 4))])
    other = layer("TimeDistributed", {"layer": _spec(layer("Wobble"))})
    with pytest.raises(UnsupportedError, match="no rule for Wobble"):
        evaluate(other, [np.zeros((3, 4, 2))])


@kinds
def test_a_cell_in_a_layer_of_its_own(kind: str) -> None:
    ahead, _, x = _pair(kind)
    inner = ahead.layer()
    time = {"return_sequences": True, "go_backwards": True}
    cell = {key: each for key, each in inner.config.items() if key not in time}
    spec = {"class_name": f"{kind}Cell", "config": cell}
    this = layer("RNN", {"cell": spec, **time}, **inner.weights)
    y, _ = ahead.run(np.ascontiguousarray(x[:, ::-1]), forwards)
    assert judge_layer(this, [x], [y]).verdict in GOOD
    stacked = layer("RNN", {"cell": {"class_name": "StackedRNNCells", "config": {}}})
    with pytest.raises(UnsupportedError, match="StackedRNNCells"):
        evaluate(stacked, [x])


def test_weights_of_the_same_name_are_kept_apart() -> None:
    def weights(*paths: str) -> list[Any]:
        return [SimpleNamespace(name=path.rpartition("/")[2], path=path) for path in paths]

    plain = SimpleNamespace(name="lstm", weights=weights("m/lstm/cell/kernel", "m/lstm/cell/bias"))
    assert [name for name, _ in named_weights(plain)] == ["kernel", "bias"]
    paths = ("m/both/a/kernel", "m/both/a/bias", "m/both/b/kernel")
    both = SimpleNamespace(name="both", weights=weights(*paths))
    assert [name for name, _ in named_weights(both)] == ["a/kernel", "a/bias", "b/kernel"]
    keras_2 = SimpleNamespace(
        name="both",
        weights=[SimpleNamespace(name=f"both/{part}/kernel:0") for part in ("a", "b")],
    )
    assert [name for name, _ in named_weights(keras_2)] == ["a/kernel", "b/kernel"]
    same = SimpleNamespace(name="odd", weights=weights("x/kernel", "x/kernel"))
    assert [name for name, _ in named_weights(same)] == ["0/x/kernel", "1/x/kernel"]
