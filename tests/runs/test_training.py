"""Trainings: the same bits epoch by epoch, or the first step at which they part."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule
from bridge.cases.case import read_case
from bridge.compare.result import ProbePair, RunPair
from bridge.compare.stages import compare_runs
from bridge.process.pool import Limits, Pool
from bridge.r.script import inspect, serve
from bridge.runs.r import run_r
from bridge.runs.replay import run_replay
from bridge.runs.twin import run_twin
from tests.compare_samples import Sample

# --- what is compared ---------------------------------------------------------------------------


def fit(
    runner: Any = "r",
    *,
    weights: tuple[float, ...] = (1.0, 2.0),
    y: tuple[float, ...] = (),
    y_type: type = np.float32,
    settings: dict[str, Any] | None = None,
    **curves: tuple[float, ...],
) -> Capsule:
    sample = Sample(runner)
    after = tuple(
        sample.array(f"dense/{k}", np.full(3, value, np.float32)) for k, value in enumerate(weights)
    )
    targets = (sample.array("y", np.array(y, y_type)),) if y else ()
    return sample.probe(
        kind="fit", curves=curves, outputs=after, targets=targets, settings=settings or {}
    ).capsule()


def only(pair: RunPair) -> ProbePair:
    (probe,) = pair.probes
    return probe


def places(pair: RunPair) -> dict[str, tuple[str, str]]:
    return places_of(only(pair))


def places_of(probe: ProbePair) -> dict[str, tuple[str, str]]:
    return {each.stage: (each.where, each.detail) for each in probe.stages}


def test_two_trainings_with_the_same_curves_and_weights_are_the_same() -> None:
    pair = compare_runs(fit(loss=(3.0, 2.0)), fit("twin", loss=(3.0, 2.0)))
    assert pair.verdict == "same-bits"
    assert places(pair)["training curve"][1] == "2 epochs and 2 weights after them"


def test_the_first_epoch_that_differs_is_named_whichever_curve_it_is_in() -> None:
    a = fit(loss=(3.0, 2.0, 1.0), accuracy=(0.5, 0.5, 0.5))
    b = fit("twin", loss=(3.0, 2.0, 1.5), accuracy=(0.5, 0.25, 0.5))
    pair = compare_runs(a, b)
    assert pair.verdict == "abstained"
    where, detail = places(pair)["training curve"]
    assert where == "history['accuracy'][1]"
    assert detail == "epoch 2: 0.5 and 0.25; the epoch before it is the same"
    assert "history['accuracy'][1]" in pair.detail
    assert "no rule says how far rounding carries" in pair.detail


def test_weights_that_part_after_equal_curves_are_named_as_code() -> None:
    pair = compare_runs(fit(loss=(3.0,)), fit("twin", loss=(3.0,), weights=(1.0, 2.5)))
    where, detail = places(pair)["training curve"]
    assert where == "model.get_layer('dense').weights[1][0]"
    assert "all 1 epoch are the same" in detail
    assert "2.0 and 2.5" in detail
    assert pair.verdict == "abstained"


def test_a_training_that_diverges_is_said_to_even_where_runs_agree() -> None:
    nan = float("nan")
    pair = compare_runs(fit(loss=(3.0, nan, nan)), fit("twin", loss=(3.0, nan, nan)))
    assert pair.verdict == "same-bits"
    assert "the loss is nan from epoch 2 on" in places(pair)["training curve"][1]


def test_another_batch_size_is_found_where_the_curves_part() -> None:
    a = fit(loss=(3.0,), settings={"batch_size": None, "shuffle": True})
    b = fit("twin", loss=(2.0,), settings={"batch_size": 16, "shuffle": True})
    pair = compare_runs(a, b)
    assert pair.verdict == "different"
    assert places(pair)["arguments"] == ("model.fit(batch_size=...)", "batch_size: 32 against 16")


def test_settings_that_say_the_same_or_change_nothing_are_no_difference() -> None:
    a = fit(loss=(3.0,), settings={"batch_size": None})
    assert compare_runs(a, fit("twin", loss=(3.0,), settings={"batch_size": 16})).verdict == (
        "same-bits"
    )
    same = fit("twin", loss=(2.0,), settings={"batch_size": 32})
    assert "arguments" not in places(compare_runs(a, same))


def test_another_target_is_found_where_the_curves_part() -> None:
    a = fit(loss=(3.0,), y=(1.0, 2.0), y_type=np.float64)
    pair = compare_runs(a, fit("twin", loss=(2.0,), y=(1.0, 2.5)))
    assert pair.verdict == "different"
    assert places(pair)["input"][0].startswith("y")
    # The same numbers of another type are not why.
    pair = compare_runs(a, fit("twin", loss=(2.0,), y=(1.0, 2.0)))
    assert pair.verdict == "abstained"


# --- R and Python -------------------------------------------------------------------------------

R = """
library(tensorflow)
library(keras)
x <- matrix((seq_len(128) * 7) %% 11 - 5, 32, 4) / 4
y <- matrix(rowSums(x) / 2 + 1)

train <- function(optimizer, x, y, shuffle, epochs = 3) {
  set_random_seed(7)
  model <- keras_model_sequential(input_shape = 4)
  model$add(layer_dense(units = 5, activation = "tanh",
                        kernel_initializer = initializer_glorot_uniform(seed = 1)))
  model$add(layer_dense(units = 1, kernel_initializer = initializer_glorot_uniform(seed = 2)))
  model %>% compile(optimizer = optimizer, loss = "mse", metrics = "mae")
  model %>% fit(x, y, epochs = epochs, batch_size = 8, shuffle = shuffle, verbose = 0)
}
for (shuffle in c(TRUE, FALSE)) {
  train(optimizer_adam(learning_rate = 0.01), x, y, shuffle)
  train(optimizer_sgd(learning_rate = 0.01, momentum = 0.9), x, y, shuffle)
  train(optimizer_rmsprop(learning_rate = 0.01), x, y, shuffle)
}
# A training that diverges, and one on a single row.
train(optimizer_sgd(learning_rate = 1e30), x, y, FALSE)
train(optimizer_adam(), x[1, , drop = FALSE], y[1, , drop = FALSE], TRUE)
"""

PYTHON = """
import numpy as np
import tf_keras as keras

x = ((np.arange(1, 129) * 7) % 11 - 5).reshape((32, 4), order="F") / 4
y = (x.sum(1) / 2 + 1)[:, None]

def train(optimizer, x, y, shuffle, seed=SEED, batch=BATCH):
    keras.utils.set_random_seed(seed)
    first = [keras.initializers.GlorotUniform(seed=k) for k in (1, 2)]
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(5, "tanh", kernel_initializer=first[0]),
        keras.layers.Dense(1, kernel_initializer=first[1]),
    ])
    model.compile(optimizer, "mse", metrics=["mae"])
    model.fit(x, y, epochs=3, batch_size=batch, shuffle=shuffle, verbose=0)

def trainings():
    optimizers = keras.optimizers
    for shuffle in (True, False):
        yield optimizers.Adam(RATE), x, y, shuffle
        yield optimizers.SGD(0.01, momentum=0.9), x, y, shuffle
        yield optimizers.RMSprop(0.01), x, y, shuffle
    yield optimizers.SGD(1e30), x, y, False
    yield optimizers.Adam(), x[:1], y[:1], True

def twin():
    for each, _ in zip(trainings(), range(FITS)):
        train(*each)
"""

KINDS = ["Adam", "SGD", "RMSprop"]


@pytest.fixture(scope="module")
def recorded(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    return recorded_from(pool, tmp_path_factory.mktemp("r"), R)


def recorded_from(pool: Pool, folder: Path, text: str) -> Capsule:
    script = folder / "training.R"
    script.write_text(textwrap.dedent(text))
    case = read_case(script)
    installed, (inspection,) = inspect([case.script])
    served = serve(inspection.package, "standin", installed)
    made = run_r(pool, case.name, script, inspection, served, Limits())
    assert made.manifest.status == "ok", made.manifest.error
    return made


def twin_of(
    pool: Pool, folder: Path, *, fits: int = 8, seed: int = 7, batch: int = 8, rate: float = 0.01
) -> Capsule:
    path = folder / "training.py"
    text = PYTHON.replace("SEED", str(seed)).replace("BATCH", str(batch))
    path.write_text(text.replace("RATE", str(rate)).replace("FITS", str(fits)))
    made = run_twin(pool, "training", path, 2, Limits())
    assert made.manifest.status == "ok", made.manifest.error
    return made


@pytest.fixture(scope="module")
def twin(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    return twin_of(pool, tmp_path_factory.mktemp("twin"))


@pytest.mark.r
@pytest.mark.tf
def test_adam_sgd_and_rmsprop_train_alike_from_r_and_from_python(
    pool: Pool, recorded: Capsule, twin: Capsule
) -> None:
    for other in (run_replay(pool, recorded, 2, Limits()), twin):
        pair = compare_runs(recorded, other)
        assert [each.verdict for each in pair.probes] == ["same-bits"] * 8, pair.detail
        trained = [
            next(stage for stage in each.stages if stage.stage == "training curve")
            for each in pair.probes
        ]
        assert all(stage.detail.startswith("3 epochs and 4 weights") for stage in trained)
        assert [each.points for each in pair.probes] == [31] * 8
    compiled: list[Any] = [recorded.manifest.states[p.state or 0].compiled for p in fits(recorded)]
    assert [each["optimizer"]["class_name"] for each in compiled[:6]] == KINDS * 2
    # The order of the batches matters here, so that agreeing in it says something.
    curves = [each.curves["loss"] for each in fits(recorded)]
    assert all(curves[k] != curves[k + 3] for k in range(3))


@pytest.mark.r
@pytest.mark.tf
def test_a_training_that_diverges_and_one_on_one_row_are_told(
    recorded: Capsule, twin: Capsule
) -> None:
    pair = compare_runs(recorded, twin)
    diverged, single = (each.stages[-1] for each in pair.probes[6:])
    assert diverged.same is True
    assert "the loss is" in diverged.detail
    assert "from epoch 1 on" in diverged.detail
    assert single.same is True


@pytest.mark.r
@pytest.mark.tf
def test_what_makes_a_training_another_one_is_named(
    pool: Pool, recorded: Capsule, tmp_path: Path
) -> None:
    for lever, place, detail in (
        ({"batch": 16}, "model.fit(batch_size=...)", "batch_size: 8 against 16"),
        ({"rate": 0.02}, "model.optimizer.get_config()['learning_rate']", "against 0.0199999"),
    ):
        made = twin_of(pool, tmp_path, fits=1, **lever)
        found = compare_runs(recorded, made).probes[0]
        assert found.verdict == "different"
        assert any(each.where == place and detail in each.detail for each in found.stages)


@pytest.mark.r
@pytest.mark.tf
def test_another_order_of_batches_parts_in_the_first_epoch_only_where_rows_are_shuffled(
    pool: Pool, recorded: Capsule, tmp_path: Path
) -> None:
    pair = compare_runs(recorded, twin_of(pool, tmp_path, fits=4, seed=8))
    assert [each.verdict for each in pair.probes[:4]] == ["abstained"] * 3 + ["same-bits"]
    where = [stage.where for stage in pair.probes[0].stages if stage.same is False]
    assert where == ["history['loss'][0]"]


def fits(capsule: Capsule) -> list[Any]:
    return [each for each in capsule.manifest.probes if each.kind == "fit"]


# --- the first epochs of a training -------------------------------------------------------------

START = """
    library(keras)
    tensorflow::set_random_seed(5)
    x <- matrix(rnorm(60), 20, 3)
    y <- x %*% c(1, -1, 2)
    made <- function() {
      model <- keras_model_sequential() %>% layer_dense(4, "tanh", input_shape = 3) %>%
        layer_dense(1)
      model %>% compile(optimizer = "adam", loss = "mse")
      model
    }
    alone <- made()
    history <- alone %>% fit(x, y, epochs = 7, batch_size = 5, verbose = 0)
    print(length(history$metrics$loss))
    print(alone %>% predict(x, verbose = 0))
    again <- made()
    again %>% fit(x, y, epochs = 4, batch_size = 5, verbose = 0)
    again %>% fit(x, y, epochs = 5, batch_size = 5, verbose = 0)
    watched <- made()
    watched %>% fit(x, y, epochs = 6, batch_size = 5, verbose = 0,
                    callbacks = list(callback_early_stopping("loss", patience = 50)))
    nightly <- made()
    for (night in 1:3) nightly %>% fit(x, y, epochs = 3, batch_size = 5, verbose = 0)
    print(as.numeric(nightly$optimizer$iterations))
"""


@pytest.mark.r
@pytest.mark.tf
def test_a_training_is_judged_on_its_first_epochs_and_what_follows_starts_from_r(
    pool: Pool, tmp_path: Path
) -> None:
    made = recorded_from(pool, tmp_path, START)
    started = run_replay(pool, made, 2, Limits(), full=False)
    # Only where nothing but weights and a history is left behind.
    assert [probe.first_epochs for probe in fits(started)] == [2, None, 2, None, None, None, 2]
    pair = compare_runs(made, started)
    assert [each.verdict for each in pair.probes] == ["same-bits"] * len(pair.probes), pair.detail
    assert pair.probes[0].points == 2
    assert places_of(pair.probes[0])["training curve"][1] == "the first 2 epochs"
    whole = run_replay(pool, made, 2, Limits())
    assert [probe.first_epochs for probe in fits(whole)] == [None] * 7
    assert compare_runs(made, whole).verdict == "same-bits"


def test_first_epochs_that_differ_are_named() -> None:
    started = fit("replay", loss=(3.0, 2.5))
    (probe,) = started.manifest.probes
    short = probe.model_copy(update={"first_epochs": 2, "outputs": ()})
    manifest = started.manifest.model_copy(update={"probes": (short,)})
    pair = compare_runs(fit(loss=(3.0, 2.0, 1.0)), Capsule(manifest, started.arrays))
    assert pair.verdict == "abstained"
    assert only(pair).points == 2
    assert places(pair)["training curve"][0] == "history['loss'][1]"
