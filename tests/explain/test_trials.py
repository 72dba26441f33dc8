"""Experiments as records: their cost, their words, and when a change made something better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule, Manifest
from bridge.explain.experiment import (
    Experiment,
    ExperimentOutcome,
    Trials,
    outcome_of,
    outcomes,
    spelled,
    trials,
)


def shown(kind: str, changed: bool, **about: Any) -> dict[str, Any]:
    return {"index": 0, "kind": kind, "settings": {"changed": changed}} | about


def capsule(*probes: dict[str, Any], **arrays: Any) -> Capsule:
    manifest = {"runner": "replay", "case": "c", "status": "ok", "probes": probes}
    return Capsule(Manifest.model_validate(manifest), arrays)


def after(loss: float, changed: bool) -> dict[str, Any]:
    return shown("fit", changed, curves={"after": [loss]})


@pytest.mark.parametrize(
    ("recorded", "changed", "better", "most"),
    [
        ((1.0, 1.1, 0.9), (0.8, 0.7, 0.85), True, False),
        ((1.0, 1.1, 0.9), (0.4, 0.3, 0.44), True, True),
        ((1.0, 1.1, 0.9), (0.4, 0.3, 0.9), False, False),
        ((1.0, 1.1), (0.4, 0.3), False, False),
        ((math.nan, math.inf, math.nan), (0.8, 0.7, 0.85), True, True),
        ((1.0, 1.1, 0.9), (0.4, math.nan, 0.1), False, False),
        ((math.nan, math.nan, math.nan), (math.nan, math.nan, math.nan), False, False),
    ],
)
def test_better_is_below_every_start_without_the_change(
    recorded: tuple[float, ...], changed: tuple[float, ...], better: bool, most: bool
) -> None:
    found = Trials(recorded, changed)
    assert (found.better, found.most) == (better, most)


def test_trials_are_read_from_what_was_made() -> None:
    made = capsule(after(0.5, True), after(1.0, False), after(0.6, True), after(1.5, False))
    assert trials(made) == Trials((1.0, 1.5), (0.5, 0.6))
    assert trials(None) is None
    assert trials(capsule(shown("predict", True))) is None


def test_an_experiment_says_what_came_out() -> None:
    slower = Experiment("fit again", 2, "learning rate", 0.1)
    assert slower.changed == "the learning rate times 0.1"
    made = capsule(after(0.5, True), after(math.nan, False))
    assert (
        outcome_of(ExperimentOutcome(slower, made)) == "loss 0.5; as recorded no number (1 starts)"
    )
    why = "the time was over"
    assert outcome_of(ExperimentOutcome(slower, None, why)) == f"not made: {why}"
    assert outcomes([ExperimentOutcome(slower, None, why)]) == {}
    assert outcomes([ExperimentOutcome(slower, made)]) == {slower: made}


@pytest.mark.parametrize(
    ("y", "words"), [([1.0, 2.0], "the same bits"), ([1.0, 2.5], "up to 0.5 apart")]
)
def test_predictions_are_compared_bit_by_bit(y: list[float], words: str) -> None:
    def output(key: str) -> dict[str, Any]:
        return {"name": "y", "key": key, "dtype": "float64", "shape": [2]}

    twice = Experiment("predict again", 0, "twice")
    made = capsule(
        shown("predict", False, outputs=[output("a")]),
        shown("predict", True, outputs=[output("b")]),
        a=np.array([1.0, 2.0]),
        b=np.array(y),
    )
    assert outcome_of(ExperimentOutcome(twice, made)) == words


def test_the_cheapest_comes_first() -> None:
    longer = Experiment("fit again", 0, "epochs", 4)
    slower = Experiment("fit again", 0, "learning rate", 0.1)
    twice = Experiment("predict again", 0, "twice")
    assert sorted([longer, slower, twice], key=lambda each: each.cost) == [twice, slower, longer]


def test_an_interval_of_one_number_is_that_number() -> None:
    assert spelled((0.25, 0.25)) == "0.25"
    assert spelled((0.25, 0.5)) == "0.25 to 0.5"
