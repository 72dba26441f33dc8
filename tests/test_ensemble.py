"""Ensembles: the same training as Keras', net by net, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from _ensemble import kernel
from _ensemble.outcome import (
    Share,
    one_bend_floor,
    predict,
    share,
    sides_learned,
    units_of,
)
from _ensemble.plan import Optimizer, Plan, PlanError, as_keras, from_keras, glorot
from _ensemble.single import Exact, batches, exact_training
from _ensemble.train import Bar, Store, Trained, complete, train

ROOT = Path(__file__).parents[1]
X = np.linspace(-1000, 1000, 100)
Y = np.abs(X)
OPTIMIZERS = [
    Optimizer("adam"),
    Optimizer("rmsprop"),
    Optimizer("sgd", learning_rate=1e-7),
    Optimizer("sgd", learning_rate=1e-7, momentum=0.5),
]


def quiet(_text: str) -> None:
    """Tell nobody."""


def small(**changes: Any) -> Plan:
    return Plan(X, Y, 2, 4).with_(**changes)


def alone(plan: Plan, weights: list[float], seed: int = 0) -> Trained:
    initial = np.array([weights])
    return train(plan, np.array([seed]), initial=initial, tell=quiet)


def steps_of(plan: Plan, before: Any, seed: int, count: int) -> np.ndarray[Any, Any]:
    """Return the weights that the ensemble has after every step.

    An ensemble tells only epochs; here every batch is an epoch of another plan, started again from
    the beginning with so many of them.
    """
    found = [np.asarray(before, np.float32)]
    given = list(batches(plan, seed))[:count]
    slots = np.zeros((2, plan.numbers, 1), np.float32)
    w = np.asarray(before, np.float32)[:, None].copy()
    alphas = plan.optimizer.alphas(count, "float32")
    for number, (x, y) in enumerate(given):
        kernel.train_group(
            w, slots[0], slots[1], x, y, np.array([seed]), 1, len(x), False,
            np.float32(plan.leak), plan.optimizer.kind, plan.optimizer.constants("float32"),
            alphas[number:], np.array([1]), np.empty((1, 1)),
        )  # fmt: skip
        found.append(w[:, 0].copy())
    return np.array(found)


def test_a_step_of_gradient_descent_is_the_one_done_by_hand() -> None:
    # One unit, one point: 2 * 1 + 0 = 2, relu 2, times 1: 2, against 1; d = 2 * (2 - 1) = 2.
    plan = Plan(np.array([2.0]), np.array([1.0]), 1, 1, Optimizer("sgd", learning_rate=0.25))
    done = alone(plan, [1, 0, 1, 0])
    assert done.after.tolist() == [[1 - 0.25 * 4, -0.25 * 2, 1 - 0.25 * 4, -0.25 * 2]]


def test_the_first_step_of_adam_has_the_size_of_the_rate() -> None:
    plan = Plan(np.array([2.0]), np.array([1.0]), 1, 1, Optimizer("adam"), dtype="float64")
    done = alone(plan, [1, 0, 1, 0])
    gradient = np.array([4.0, 2.0, 4.0, 2.0])
    first, second = (float(np.float32(1 - beta)) for beta in (0.9, 0.999))
    rate, power, other = (float(np.float32(each)) for each in (0.001, 0.999, 0.9))
    alpha = rate * np.sqrt(1 - power) / (1 - other)
    epsilon = float(np.float32(1e-7))
    step = first * gradient * alpha / (np.sqrt(second * gradient**2) + epsilon)
    np.testing.assert_array_max_ulp(done.after[0], np.array([1.0, 0.0, 1.0, 0.0]) - step, 4)
    assert np.abs(step - 0.001).max() < 0.001 / 100


def test_the_first_step_of_rmsprop_is_the_one_done_by_hand() -> None:
    plan = Plan(np.array([2.0]), np.array([1.0]), 1, 1, Optimizer("rmsprop"), dtype="float64")
    done = alone(plan, [1, 0, 1, 0])
    gradient = np.array([4.0, 2.0, 4.0, 2.0])
    rate, rest, epsilon = (float(np.float32(each)) for each in (0.001, 1 - 0.9, 1e-7))
    step = rate * gradient / np.sqrt(rest * gradient**2 + epsilon)
    np.testing.assert_array_max_ulp(done.after[0], np.array([1.0, 0.0, 1.0, 0.0]) - step, 4)


def test_a_unit_at_exactly_zero_never_moves_with_relu_and_does_with_a_leak() -> None:
    stuck = alone(small(units=1), [0, 0, 1, 0])
    assert stuck.after[0, :2].tolist() == [0, 0]
    assert stuck.after[0, 3] != 0
    leaky = alone(small(units=1, leak=0.5), [0, 0, 1, 0])
    assert (leaky.after[0, :2] != 0).all()


def test_the_last_batch_of_an_epoch_is_averaged_over_its_own_points() -> None:
    plan = small(batch_size=64, shuffle=False)
    assert [len(x) for x, _ in batches(plan, 0)] == [64, 36] * 4
    assert plan.steps == 8


def test_orders_are_permutations_of_their_own_for_every_net_and_epoch() -> None:
    plan = small()
    orders = [plan.order(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 9
    assert small(shuffle=False).order(1, 1).tolist() == list(range(100))


def test_every_place_is_taken_by_every_point_about_as_often() -> None:
    orders = np.array([kernel.shuffled(5, seed, 0) for seed in range(5000)])
    counts = np.array([np.bincount(orders[:, place], minlength=5) for place in range(5)])
    # Chi square with 16 degrees of freedom passes 52 once in 100,000 times.
    assert np.sum((counts - 1000) ** 2 / 1000) < 52


def test_the_bits_of_a_net_do_not_depend_on_who_trains_beside() -> None:
    plan = small()
    together = train(plan, 70, tell=quiet, workers=2)
    single = train(plan, np.array([67]), tell=quiet, workers=1)
    assert together.after[67].tobytes() == single.after[0].tobytes()
    assert together.loss[67] == single.loss[0]


def test_losses_are_told_after_the_epochs_that_were_asked_for() -> None:
    both = train(small(told=(2,)), 3, tell=quiet)
    assert both.plan.telling == (2, 4)
    assert both.losses[:, 0].tolist() == train(small(epochs=2), 3, tell=quiet).loss.tolist()


def test_the_loss_is_that_of_the_weights() -> None:
    done = train(small(), 5, tell=quiet)
    error = predict(done.after, done.plan.x) - done.plan.y
    assert done.loss == pytest.approx((error**2).mean(axis=1))


class Unhurried(Store):
    """Keeps each block a while before it is told of: a busy machine cannot train all by then."""

    def put(self, key: str, arrays: dict[str, Any]) -> None:
        super().put(key, arrays)
        time.sleep(1.0)


def test_an_interrupted_training_goes_on_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    plan, store = small(), Store(tmp_path)
    told: list[str] = []

    def interrupt(text: str) -> None:
        told.append(text)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan, 300, store=Unhurried(tmp_path), tell=interrupt, workers=1)
    assert told
    assert 1 <= len(list(tmp_path.glob("*.npz"))) < 5
    resumed = train(plan, 300, store=store, tell=quiet)
    assert 64 <= resumed.kept < 300
    assert resumed.after.tobytes() == train(plan, 300, tell=quiet).after.tobytes()
    assert train(plan, 300, store=store, tell=quiet).kept == 300
    assert complete(plan, 300, store)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    "change",
    [
        {"leak": 0.1},
        {"batch_size": 16},
        {"shuffle": False},
        {"dtype": "float64"},
        {"told": (1,)},
        {"optimizer": Optimizer(beta_2=0.99)},
        {"y": Y + 1},
    ],
)
def test_another_setting_reads_nothing_of_this_one(tmp_path: Path, change: dict[str, Any]) -> None:
    store = Store(tmp_path)
    train(small(), 2, store=store, tell=quiet)
    assert not complete(small(**change), 2, store)
    assert train(small(**change), 2, store=store, tell=quiet).kept == 0


def test_other_first_weights_read_nothing_either(tmp_path: Path) -> None:
    store = Store(tmp_path)
    train(small(), 2, store=store, tell=quiet)
    other = train(small(), 2, initial=glorot(2, np.arange(2)) * 2, store=store, tell=quiet)
    assert other.kept == 0


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_block_is_trained_again(tmp_path: Path, damage: bytes | None) -> None:
    store = Store(tmp_path)
    before = train(small(), 2, store=store, tell=quiet)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:100] if damage is None else damage)
    again = train(small(), 2, store=store, tell=quiet)
    assert again.kept == 0
    assert again.after.tobytes() == before.after.tobytes()
    assert complete(small(), 2, store)


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "below")
    assert train(small(), 2, store=store, tell=quiet).kept == 0


def test_training_that_diverges_is_counted() -> None:
    plan = small(optimizer=Optimizer("sgd", learning_rate=1.0))
    assert train(plan, 20, tell=quiet).diverged == 20
    assert train(small(), 20, tell=quiet).diverged == 0


def test_one_point_can_be_learned() -> None:
    plan = Plan(np.array([3.0]), np.array([6.0]), 1, 200, Optimizer("sgd", learning_rate=0.01))
    assert alone(plan, [1, 0, 1, 0]).loss[0] < 1e-9


def test_no_bar_is_shown_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    train(small(), 3)
    assert capsys.readouterr() == ("", "")


def test_a_person_at_a_terminal_sees_a_bar_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("_ensemble.train.PATIENCE", -1.0)
    with Bar("2 units", 10) as bar:
        bar.advance(4)
        bar.advance(6)
    shown = capsys.readouterr()
    assert "10/10" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": Y[:3]}, "as many numbers"),
        ({"x": np.array([]), "y": np.array([])}, "as many numbers"),
        ({"units": 0}, "units is 0"),
        ({"told": (5,)}, "1 to 4"),
    ],
)
def test_a_plan_that_cannot_be_trained_says_why(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        small(**change)


def test_first_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(PlanError, match=r"\(3, 7\)"):
        train(small(), 3, initial=np.zeros((3, 8)))


def test_first_weights_are_drawn_as_glorot_uniform_draws_them() -> None:
    drawn = units_of(glorot(3, np.arange(2000)))
    limit = np.sqrt(6 / 4)
    for values in (drawn.kernel, drawn.out):
        assert np.abs(values).max() <= limit
        # Six standard errors of the mean and the variance of a uniform distribution.
        assert abs(values.mean()) < 6 * limit / np.sqrt(3 * values.size)
        variance = limit**2 / 3
        assert abs(values.var() - variance) < 6 * variance * np.sqrt(0.8 / values.size)
    assert not drawn.bias.any()
    assert glorot(3, np.array([7])).tolist() == glorot(3, np.arange(8))[7:].tolist()


def test_weights_go_to_keras_and_back() -> None:
    weights = np.arange(10, dtype=np.float32)
    assert from_keras(as_keras(weights)).tolist() == weights.tolist()
    assert [each.shape for each in as_keras(weights)] == [(1, 3), (3,), (3, 1), (1,)]


# The bound.


def cases() -> Iterator[Any]:
    for leak in (0.0, 0.3):
        for each in OPTIMIZERS:
            yield pytest.param(each, leak, id=f"{each.name}-{each.momentum}-{leak}")


@pytest.mark.parametrize(("optimizer", "leak"), list(cases()))
def test_float32_stays_within_the_bound_of_float64(optimizer: Optimizer, leak: float) -> None:
    plan = small(optimizer=optimizer, leak=leak)
    for seed, before in enumerate(glorot(2, np.arange(4))):
        exact = exact_training(plan, before, seed, plan.steps)
        reach = exact.reach(steps_of(plan, before, seed, plan.steps))
        assert reach[0] == 0
        assert reach.max() <= 1


def test_the_bound_follows_the_ensemble_itself() -> None:
    plan = small()
    done = train(plan, 6, tell=quiet)
    for seed in range(6):
        exact = exact_training(plan, done.before[seed], seed, plan.steps)
        assert (np.abs(done.after[seed] - exact.weights[-1]) <= exact.bound[-1]).all()


def test_float64_follows_the_exact_training_much_closer_than_the_bound() -> None:
    plan = small(dtype="float64")
    before = glorot(2, np.arange(6)).astype(np.float32)
    done = train(plan, 6, initial=before, tell=quiet)
    for seed in range(6):
        exact = exact_training(plan, before[seed], seed, plan.steps)
        distance = np.abs(done.after[seed] - exact.weights[-1])
        assert (distance <= exact.bound[-1] * 2.0**-20).all()


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": Optimizer(beta_1=0.91)},
        {"optimizer": Optimizer(beta_2=0.998)},
        {"optimizer": Optimizer(learning_rate=0.00101)},
        {"optimizer": Optimizer(epsilon=1.0)},
        {"optimizer": Optimizer("rmsprop")},
        {"batch_size": 31},
        {"leak": 0.001},
        {"shuffle": False},
    ],
    ids=str,
)
def test_another_training_is_found_beyond_the_bound(change: dict[str, Any]) -> None:
    before = glorot(2, np.array([1]))[0]
    exact = exact_training(small(), before, 1, 12)
    assert exact.reach(steps_of(small(**change), before, 1, 12)).max() > 1
    assert exact.reach(steps_of(small(), before, 1, 12)).max() <= 1


def test_the_bound_says_where_it_says_nothing_any_more() -> None:
    weights = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert Exact(weights, np.array([[0.0], [0.1], [0.5], [3.5]])).says_nothing_after == 2
    assert Exact(weights, np.array([[0.0], [0.1], [0.5], [0.6]])).says_nothing_after == 3


def test_weights_that_are_nan_are_beyond_every_bound() -> None:
    exact = Exact(np.zeros((2, 1)), np.full((2, 1), np.inf))
    assert exact.reach(np.array([[0.0], [np.nan]])).tolist() == [0, np.inf]


# What became of them.


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Brown, Cai and DasGupta 2001; checked against R's prop.test(correct = FALSE).
    [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 20, 0.0089, 0.2361)],
)
def test_wilsons_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert Share(successes, trials).interval == pytest.approx((low, high), abs=5e-5)


def test_a_share_of_nothing_is_unknown() -> None:
    none = share(np.zeros(0, bool))
    assert none.interval == (0, 1)
    assert np.isnan(none.value)


def test_a_share_among_some_counts_only_those() -> None:
    learned, among = np.array([True, True, False]), np.array([False, True, True])
    assert share(learned, among) == Share(1, 2)


def test_no_hinge_comes_below_the_floor() -> None:
    floor = one_bend_floor(X, Y)
    random = np.random.default_rng(0)
    for _ in range(500):
        slope, bend, level = random.uniform((-2, -1000, 0), (2, 1000, 500))
        for side in (1, -1):
            hinge = level + slope * np.maximum(side * (X - bend), 0)
            assert np.mean((hinge - Y) ** 2) >= floor


def test_a_hinge_has_the_floor_zero_and_two_bends_have_not() -> None:
    assert one_bend_floor(X, np.maximum(X - 30, 0) + 5) == pytest.approx(0, abs=1e-9)
    assert one_bend_floor(X, np.maximum(-X, 0)) == pytest.approx(0, abs=1e-9)
    assert one_bend_floor(X, np.abs(X)) > 1000


def test_the_side_that_is_dead_is_named() -> None:
    right = np.array([[1.0, 1.0, 0, 0, 0.5, 0.5, 0]])
    both = np.array([[1.0, -1.0, 0, 0, 1, 1, 0]])
    left, of_right = sides_learned(np.vstack([right, both]), X, Y)
    assert left.tolist() == [False, True]
    assert of_right.tolist() == [True, True]


# Keras itself.


@pytest.mark.tf
@pytest.mark.parametrize(("optimizer", "leak"), list(cases()))
def test_single_fits_of_keras_are_the_same_training(optimizer: Optimizer, leak: float) -> None:
    from _ensemble.single import fit

    plan = small(optimizer=optimizer, leak=leak)
    before = glorot(2, np.array([3]))[0]
    exact = exact_training(plan, before, 3, plan.steps)
    fitted = fit(plan, before, 3, plan.steps)
    assert fitted.weights.shape == exact.weights.shape
    assert exact.reach(fitted.weights).max() <= 1


@pytest.mark.tf
def test_a_whole_fit_of_keras_ends_where_the_ensemble_ends() -> None:
    from _ensemble.single import fit

    plan = small(shuffle=False)
    before = glorot(2, np.array([3]))[0]
    fitted = fit(plan, before, 3)
    exact = exact_training(plan, before, 3, plan.steps)
    done = train(plan, np.array([3]), tell=quiet)
    for seen in (fitted.weights[-1], done.after[0]):
        assert (np.abs(seen - exact.weights[-1]) <= exact.bound[-1]).all()
    assert fitted.loss == pytest.approx(done.loss[0], rel=1e-4)


def test_without_numba_a_plan_is_made_and_a_training_says_what_is_missing() -> None:
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from _ensemble.plan import Plan, as_keras
from _ensemble.train import train
plan = Plan(np.arange(4.0), np.arange(4.0), 2, 1)
print(plan.numbers, len(as_keras(np.zeros(7))))
try:
    train(plan, 1)
except ModuleNotFoundError as error:
    print(error.name)
"""
    folders = os.pathsep.join(str(ROOT / folder) for folder in ("", "comparisons"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["7", "4", "numba"]
