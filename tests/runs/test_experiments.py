"""Experiments made in a process without R: trainings and predictions with one thing changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bridge.capsule import Capsule
from bridge.explain.experiment import Change, Experiment, ExperimentOutcome, changed_and_not, trials
from bridge.process.pool import Limits, Pool
from bridge.runs.experiments import make_experiments
from bridge.runs.twin import run_twin

pytestmark = pytest.mark.tf

TRAINS = """\
import numpy as np
import KERAS as keras
keras.utils.set_random_seed(4)
chance = np.random.default_rng(4)
x = chance.normal(size=(120, 3)) * 3
y = (x[:, :1] + x[:, 1:2] > 0).astype(float)
m = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(16, "relu"),
                      keras.layers.Dropout(0.5), keras.layers.Dense(1, "sigmoid")])
m.compile(loss="mse", optimizer=keras.optimizers.SGD(1e-3))
h = m.fit(x, y, epochs=6, batch_size=20, validation_split=0.25, verbose=0)
m.predict(x, verbose=0)
"""
ASKS = """\
import numpy as np
import KERAS as keras
keras.utils.set_random_seed(4)
i = keras.layers.Input((3,))
m = keras.Model(i, keras.layers.Dense(2)(keras.layers.Softmax(axis=0)(keras.layers.Dense(4)(i))))
x = np.arange(15.0).reshape(5, 3) / 7
m.predict(x, verbose=0)
j = keras.layers.Input((4,))
e = keras.layers.Embedding(6, 3, mask_zero=True)(j)
flat = keras.Model(j, keras.layers.Dense(1)(keras.layers.Flatten()(e)))
deep = keras.Model(j, keras.layers.Dense(1)(keras.layers.LSTM(2)(e)))
steps = np.array([[1, 2, 0, 0], [3, 4, 5, 0]])
flat.predict(steps, verbose=0)
deep.predict(steps, verbose=0)
"""


@dataclass
class Recorded:
    """A run that was recorded, and what makes experiments on it."""

    pool: Pool
    generation: int
    run: Capsule

    def make(self, *wanted: Experiment, seconds: float = 60.0) -> list[ExperimentOutcome]:
        return make_experiments(
            self.pool, self.run, self.generation, wanted, Limits(seconds=200), seconds
        )

    def made(self, *wanted: Experiment) -> list[Capsule]:
        found = [(each.capsule, each.why) for each in self.make(*wanted)]
        return [each if each is not None else pytest.fail(why) for each, why in found]


def record(pool: Pool, generation: int, text: str, folder: Path) -> Recorded:
    path = folder / "script.py"
    path.write_text(text.replace("KERAS", {2: "tf_keras", 3: "keras"}[generation]))
    made = run_twin(pool, "script", path, generation, Limits(seconds=200))
    assert made.manifest.status == "ok", made.manifest.error
    return Recorded(pool, generation, made)


@pytest.fixture(scope="module", params=[2, 3])
def trained(
    request: pytest.FixtureRequest, pool: Pool, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    return record(pool, request.param, TRAINS, tmp_path_factory.mktemp("t"))


@pytest.fixture(scope="module", params=[2, 3])
def asks(
    request: pytest.FixtureRequest, pool: Pool, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    return record(pool, request.param, ASKS, tmp_path_factory.mktemp("a"))


def test_a_training_is_made_again_with_one_thing_changed(trained: Recorded) -> None:
    faster, scaled, other, longer, slower = trained.made(
        Experiment("fit again", 0, "learning rate", 10),
        Experiment("fit again", 0, "scale", "x"),
        Experiment("fit again", 0, "loss", "binary_crossentropy"),
        Experiment("fit again", 0, "epochs", 2),
        Experiment("fit again", 0, "learning rate", 1.0),
    )
    for each in (faster, scaled, other, longer, slower):
        found = trials(each)
        assert found is not None
        assert 1 <= len(found.changed) == len(found.as_recorded) <= 3
        # What is not changed is the same training for all of them.
        assert found.as_recorded[0] == trials(faster).as_recorded[0]  # type: ignore[union-attr]
    # With nothing changed no start is above or below by more than starts differ.
    assert not trials(slower).better  # type: ignore[union-attr]
    assert trials(faster).changed[0] != trials(slower).changed[0]  # type: ignore[union-attr]


@pytest.mark.parametrize("generation", [2, 3])
def test_a_training_is_made_again_without_its_penalties(
    pool: Pool, generation: int, tmp_path: Path
) -> None:
    held = 'kernel_regularizer="l1", kernel_constraint=keras.constraints.MaxNorm(0.01)'
    text = TRAINS.replace('Dense(16, "relu")', f'Dense(16, "relu", {held})')
    text = text.replace("SGD(1e-3)", "Adam(0.02)")
    (outcome,) = record(pool, generation, text, tmp_path).made(
        Experiment("fit again", 0, "penalty")
    )
    found = trials(outcome)
    assert found is not None
    assert found.better
    # Neither loss has the penalty in it: squares of probabilities are no more than 1.
    assert max(found.as_recorded) < 1


def test_losses_are_those_of_the_rows_that_were_trained(trained: Recorded) -> None:
    start, end, modes = trained.made(
        Experiment("evaluate again", 0, "start"),
        Experiment("evaluate again", 0, "end"),
        Experiment("evaluate again", 0, "training"),
    )
    fit = trained.run.manifest.probes[0]
    y = trained.run.array(fit.targets[0])[:90]
    p = trained.run.array(trained.run.manifest.probes[1].outputs[0])[:90]
    (after,) = end.manifest.probes[0].curves["after"]
    assert after == pytest.approx(float(np.mean((y - p) ** 2)), rel=1e-5)
    assert start.manifest.probes[0].curves["after"][0] != after
    changed, bare = changed_and_not(modes)
    assert changed is not None
    assert bare is not None
    assert bare.curves["after"] == (after,)
    # Units are dropped in one of them.
    assert changed.curves["after"] != bare.curves["after"]


def test_what_is_over_the_budget_is_not_made(trained: Recorded) -> None:
    cheap = Experiment("evaluate again", 0, "start")
    dear = Experiment("fit again", 0, "epochs", 100_000)
    made = trained.make(dear, cheap, seconds=4.0)
    assert [each.experiment for each in made] == [dear, cheap]
    assert made[0].capsule is None
    assert "time" in made[0].why
    assert made[1].capsule is not None
    assert 0 < made[1].seconds < made[0].seconds < 30


def same_bits(made: Capsule, rows: slice) -> bool:
    probes = changed_and_not(made)
    values = [made.array(probe.outputs[0])[rows] for probe in probes if probe is not None]
    return values[0].tobytes() == values[1].tobytes()


@pytest.mark.parametrize(
    ("change", "probe", "rows", "same"),
    [
        ("twice", 0, slice(None), True),
        ("other rows", 0, slice(-1, None), False),
        ("cloned", 0, slice(None), True),
        ("saved", 0, slice(None), True),
        ("mask", 1, slice(None), True),
        ("mask", 2, slice(None), False),
        ("other rows", 1, slice(-1, None), True),
    ],
)
def test_a_prediction_is_made_again_another_way(
    asks: Recorded, change: Change, probe: int, rows: slice, same: bool
) -> None:
    (made,) = asks.made(Experiment("predict again", probe, change))
    assert same_bits(made, rows) is same


def test_asking_leaves_the_weights_alone(asks: Recorded) -> None:
    deep, mixes = asks.made(
        Experiment("evaluate again", 2, "left alone"), Experiment("evaluate again", 0, "left alone")
    )
    assert same_bits(deep, slice(None))
    assert len(mixes.manifest.probes) == 2


def test_what_cannot_be_made_says_why(asks: Recorded) -> None:
    # A prediction is no training.
    (made,) = asks.make(Experiment("fit again", 0, "epochs", 4))
    assert made.capsule is None
    assert made.why
