"""What is said of layers without a rule, and of models that were not looked into."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.capsule import Array, Capsule, Perturbed
from bridge.compare.pairs import explains
from bridge.rounding.ladder import CHANCE, Spread, tail
from bridge.rounding.layer_records import judge_probe
from tests.compare_samples import Dense, Sample, grid, two_layers


def _spread(statistics: tuple[float, ...] | None = None) -> Spread:
    rng = np.random.default_rng(0)
    exact = rng.standard_normal((5, 3)).astype(np.float32).astype(np.float64)
    found = statistics or tuple(np.exp(rng.normal(0.6, 0.2, 32)).tolist())
    return Spread(exact, np.full(exact.shape, 1e-6), found)


def test_a_result_no_further_off_than_the_perturbed_runs_is_rounding() -> None:
    spread = _spread()
    y = (spread.exact + 1e-6).astype(np.float32)
    found = spread.judge(y)
    assert (found.verdict, found.beyond) == ("within-rounding", 0)
    assert 0.0 < found.ratio <= 1.0


def test_a_result_far_beyond_all_runs_is_different_and_its_worst_element_named() -> None:
    spread = _spread()
    y = spread.exact.astype(np.float32)
    y[3, 1] += np.float32(0.5)
    found = spread.judge(y)
    assert (found.verdict, found.beyond, found.worst[0].index) == ("different", 1, (3, 1))


def test_a_result_just_beyond_all_runs_is_left_open() -> None:
    spread = _spread()
    y = (spread.exact + 1.2e-6 * max(spread.statistics)).astype(np.float32)
    found = spread.judge(y)
    assert found.verdict == "abstained"
    assert "cannot be rounding" in found.why


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_number_where_there_should_be_one_is_different(value: float) -> None:
    spread = _spread()
    y = spread.exact.astype(np.float32)
    y[0, 0] = value
    assert spread.judge(y).verdict == "different"


def test_runs_that_all_came_out_alike_prove_nothing_about_what_is_beyond() -> None:
    spread = _spread((1.0,) * 32)
    y = (spread.exact + 1e-3).astype(np.float32)
    assert spread.judge(y).verdict == "abstained"


def test_the_tail_is_a_bound_of_students_t() -> None:
    rng = np.random.default_rng(1)
    beyond = total = 0
    for _ in range(2000):
        logs = rng.standard_normal(12)
        new = rng.standard_normal(50)
        limit = next(q for q in np.linspace(0, 9, 91) if tail(np.exp(q), tuple(np.exp(logs))) < 0.1)
        beyond += int((new >= limit).sum())
        total += new.size
    assert beyond / total <= 0.1
    assert tail(np.exp(100.0), tuple(np.exp(rng.standard_normal(32)))) < CHANCE
    assert tail(2.0, (1.0, 1.1)) == 1.0


def test_a_layer_without_a_rule_is_judged_by_its_spread() -> None:
    capsule = _without_a_rule()
    verdict = judge_probe(capsule, capsule.manifest.probes[0])[0]
    assert (verdict.verdict, verdict.rung) == ("within-rounding", "stochastic")
    assert "there is no rule for Capsules" in verdict.why


def _without_a_rule() -> Capsule:
    sample = Sample().predict(
        [Dense(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))], grid(5)
    )
    capsule = sample.capsule()
    (probe,), (state,) = capsule.manifest.probes, capsule.manifest.states
    y = capsule.array(probe.outputs[0])
    arrays: dict[str, Any] = {**capsule.arrays, "exact": y.astype(np.float64)}
    arrays["scale"] = np.full(y.shape, 1e-7)
    refs = {
        name: Array(name=name, key=name, dtype="float64", shape=y.shape)
        for name in ("exact", "scale")
    }
    seen = Perturbed(**refs, statistics=tuple(np.linspace(1, 2, 32)), rows=len(y))
    looked = probe.layers[0].model_copy(update={"perturbed": seen})
    odd = state.layers[0].model_copy(update={"cls": "keras.layers.Capsules"})
    manifest = capsule.manifest.model_copy(
        update={
            "states": (state.model_copy(update={"layers": (odd,)}),),
            "probes": (probe.model_copy(update={"layers": (looked,)}),),
        }
    )
    return Capsule(manifest, arrays)


@pytest.mark.parametrize("depth", [1, 4, 12])
def test_roundings_from_end_to_end_account_for_float32_and_not_for_a_fault(depth: int) -> None:
    rng = np.random.default_rng(depth)
    layers = [
        Dense(
            (rng.standard_normal((16, 16)) / 4).astype(np.float32),
            rng.standard_normal(16).astype(np.float32),
            "relu",
            f"dense_{number}",
        )
        for number in range(depth)
    ]
    x = rng.standard_normal((40, 16)).astype(np.float32)
    capsule = Sample().predict(layers, x, looked=False).capsule()
    (probe,), (state,) = capsule.manifest.probes, capsule.manifest.states
    assert explains(capsule, state, probe) == ""
    ref = probe.outputs[0]
    assert ref.key is not None
    wrong = capsule.array(ref) + np.float32(1e-2)
    assert "further off" in explains(
        Capsule(capsule.manifest, {**capsule.arrays, ref.key: wrong}), state, probe
    )


def test_what_cannot_be_evaluated_from_end_to_end_is_said() -> None:
    capsule = Sample().predict(two_layers(), grid(), looked=False).capsule()
    (probe,), (state,) = capsule.manifest.probes, capsule.manifest.states
    odd = state.layers[0].model_copy(update={"cls": "keras.layers.Capsules"})
    state = state.model_copy(update={"layers": (odd, state.layers[1])})
    assert "no rule for Capsules" in explains(capsule, state, probe)
