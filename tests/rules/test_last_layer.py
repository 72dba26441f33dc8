"""Rules of the last layer: what raises them, and what nearly does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.rules.losses import least
from tests.rules.samples import Run, symbol

ONE_HOT = np.eye(3)[[0, 1, 2, 0, 1, 2]]
WHOLE = [[0], [1], [2], [0], [1], [2]]
BINARY = [[0], [1], [0], [1], [0], [1]]


def dense(units: int, activation: str = "linear", *axes: int) -> tuple[str, dict[str, Any]]:
    shape = [None, *axes, units]
    return "Dense", {"units": units, "activation": activation, "shape": shape}


def rules(
    last: tuple[str, dict[str, Any]], loss: str, y: Any, predicted: Any = None, **about: Any
) -> list[str]:
    """Return what decides for a model with this last layer, trained with this loss."""
    run = Run()
    run.trained(last, loss=loss, y=y, **about)
    if predicted is not None:
        state = run.about["states"][0]
        run.about["states"].append(state)
        x, made = run.array("x", np.arange(len(predicted))[:, None]), run.array("p", predicted)
        run.probe("predict", inputs=[x], outputs=[made])
    return run.rules()


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "found"),
    [
        (3, "sigmoid", "categorical_crossentropy", ONE_HOT, ["L02"]),
        (3, "sigmoid", "sparse_categorical_crossentropy", WHOLE, ["L02"]),
        (3, "softmax", "categorical_crossentropy", ONE_HOT, []),
        (3, "sigmoid", "binary_crossentropy", ONE_HOT, []),
        (3, "sigmoid", "categorical_crossentropy", ONE_HOT + ONE_HOT[::-1], []),
    ],
)
def test_classes_that_exclude_each_other_want_a_softmax(
    units: int, activation: str, loss: str, y: Any, found: list[str]
) -> None:
    assert rules(dense(units, activation), loss, y) == found


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "predicted", "found"),
    [
        (1, "relu", "binary_crossentropy", BINARY, None, ["L03"]),
        (1, "tanh", "binary_crossentropy", BINARY, [[-0.5], [0.5]], ["L03"]),
        (3, "relu", "categorical_crossentropy", ONE_HOT, [[np.nan] * 3] * 2, ["L03"]),
        (1, "tanh", "binary_crossentropy", BINARY, [[0.25], [0.5]], []),
        (3, "exponential", "categorical_crossentropy", ONE_HOT, None, []),
        (1, "relu", "mean_squared_error", BINARY, None, []),
        (1, "my_own", "binary_crossentropy", BINARY, None, []),
        (1, "hard_sigmoid", "binary_crossentropy", BINARY, None, []),
    ],
)
def test_a_cross_entropy_wants_probabilities(
    units: int, activation: str, loss: str, y: Any, predicted: Any, found: list[str]
) -> None:
    assert rules(dense(units, activation), loss, y, predicted) == found


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "end", "found"),
    [
        (1, "sigmoid", "mean_squared_error", [[4.0], [9.0]], 36.5, ["L06"]),
        (1, "tanh", "mae", [[-5.0], [3.0]], 3.5, ["L06"]),
        (1, "softplus", "mean_absolute_error", [[-5.0], [3.0]], 3.0, ["L06"]),
        (3, "softmax", "poisson", [[2, 5, 9], [1, 4, 8]], 6.0, ["L06"]),
        (4, "softmax", "mean_squared_error", [[3.0], [5.0]], 15.0, ["L06"]),
        (1, "sigmoid", "hinge", [[-1], [1]], 0.6, ["L06"]),
        (1, "sigmoid", "mean_squared_error", [[0.25], [0.5]], 0.01, []),
        (1, "relu", "mean_squared_error", [[-0.001], [30.0]], 0.5, []),
        (3, "softmax", "mean_squared_error", ONE_HOT, 0.2, []),
        (1, "tanh", "hinge", [[-1], [1]], 0.2, []),
        (1, "linear", "mean_squared_error", [[4.0], [9.0]], 36.0, []),
        (1, "exponential", "poisson", [[0], [7]], 1.0, []),
    ],
)
def test_targets_beyond_the_last_activation_are_never_met(
    units: int, activation: str, loss: str, y: Any, end: float, found: list[str]
) -> None:
    assert rules(dense(units, activation), loss, y, curve=(90.0, end)) == found


@pytest.mark.parametrize("loss", ["meansquarederror", "meanabsoluteerror", "poisson", "huber"])
def test_no_prediction_within_the_range_has_a_smaller_loss_than_the_least(loss: str) -> None:
    draw = np.random.default_rng(3)
    y = draw.integers(0, 9, (6, 3)).astype(float)
    bound, free = least(loss, y, 0.0, 1.0, together=3) or (0.0, 0.0)
    from bridge.rules.losses import _DISTANCE

    for raw in draw.normal(size=(300, 6, 3)):
        p = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        assert float(np.mean(_DISTANCE[loss](y, p))) >= bound - 1e-12
    assert bound > free


@pytest.mark.parametrize(
    ("activation", "loss", "y", "found"),
    [
        ("sigmoid", "binary_crossentropy", WHOLE, ["L07"]),
        ("sigmoid", "binary_crossentropy", [[-1], [1], [-1], [1]], ["L07"]),
        ("exponential", "poisson", [[-1.5], [3.0]], ["L07"]),
        ("sigmoid", "binary_crossentropy", BINARY, []),
        ("sigmoid", "binary_crossentropy", [[0.25], [0.75]], []),
        ("exponential", "poisson", [[0.0], [3.0]], []),
    ],
)
def test_a_loss_has_room_for_its_labels(
    activation: str, loss: str, y: Any, found: list[str]
) -> None:
    assert rules(dense(1, activation), loss, y) == found


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "metrics", "found"),
    [
        (1, "sigmoid", "categorical_crossentropy", WHOLE, (), ["L08"]),
        (1, "linear", "mse", WHOLE, ("accuracy",), ["L08"]),
        (1, "linear", "mse", WHOLE, ("mae",), []),
        (1, "linear", "mse", BINARY, ("accuracy",), []),
        (1, "linear", "mse", [[0], [3], [4], [0], [3], [4]], ("accuracy",), []),
        (3, "softmax", "categorical_crossentropy", ONE_HOT, (), []),
    ],
)
def test_classes_want_an_output_each(
    units: int, activation: str, loss: str, y: Any, metrics: tuple[str, ...], found: list[str]
) -> None:
    assert rules(dense(units, activation), loss, y, metrics=metrics) == found


@pytest.mark.parametrize(
    ("last", "loss", "y", "found"),
    [
        (dense(2), "mse", [[1.5], [2.5]], ["L09"]),
        (dense(4, "sigmoid"), "binary_crossentropy", [0, 1, 1], ["L09"]),
        (dense(1), "mse", [[1.5], [2.5]], []),
        (dense(2), "mse", [[1.5, 0.5], [2.5, 1.5]], []),
        (dense(1, "linear", 2), "mse", [[1.5, 0.5], [2.5, 1.5]], []),
        (dense(1), "mse", [[1.5, 0.5], [2.5, 1.5]], ["L09"]),
        (dense(1), "cosine_similarity", [[1.5, 0.5], [2.5, 1.5]], []),
    ],
)
def test_one_target_is_not_stretched_over_several_outputs(
    last: Any, loss: str, y: Any, found: list[str]
) -> None:
    assert rules(last, loss, y) == found


def tensor(number: int, *shape: int) -> dict[str, Any]:
    return {"t": "tensor", "dtype": "float32", "shape": shape, "order": "C", "id": number}


@pytest.mark.parametrize(
    ("right", "made", "last", "found"),
    [
        ((4,), (4, 4), "tf.reduce_mean", ["L09"]),
        ((4, 1), (4, 1), "tf.reduce_mean", []),
        ((1, 4), (4, 4), "tf.reduce_mean", []),
        # A table of all distances may be what is wanted.
        ((4,), (4, 4), "tf.argmin", []),
        ((1,), (4, 1), "tf.reduce_mean", []),
    ],
)
def test_a_column_is_not_set_against_a_vector(
    right: tuple[int, ...], made: tuple[int, ...], last: str, found: list[str]
) -> None:
    run = Run()
    run.call(
        symbol("tf.subtract"), args=[tensor(1, 4, 1), tensor(2, *right)], result=tensor(3, *made)
    )
    run.call(symbol("tf.square"), args=[tensor(3, *made)], result=tensor(4, *made))
    run.call(symbol(last), args=[tensor(4, *made)], result=tensor(5))
    assert run.rules() == found


@pytest.mark.parametrize(("arrays", "found"), [(2, ["L09"]), (3, ["L09"]), (1, [])])
def test_targets_that_are_dropped_are_told(arrays: int, found: list[str]) -> None:
    run = Run()
    run.trained(dense(2), loss="mse", y=[[1.5, 0.5], [2.5, 1.5]])
    given = [run.array(f"y[{n}]", [[1.5], [2.5]]) for n in range(arrays)]
    run.about["probes"][0]["targets"] = (
        given if arrays > 1 else [run.array("y", [[1.5, 2.5], [0.5, 2.0]])]
    )
    assert run.rules() == found


@pytest.mark.parametrize(
    ("units", "y", "metrics", "found"),
    [
        (3, [[1, 1, 0], [0, 0, 0]], ("accuracy",), ["L10"]),
        (2, [[1, 1], [0, 1]], ("acc",), ["L10"]),
        (3, ONE_HOT, ("accuracy",), []),
        (3, [[1, 1, 0], [0, 0, 0]], ("binary_accuracy",), []),
        (1, BINARY, ("accuracy",), []),
    ],
)
def test_the_accuracy_of_several_labels_compares_the_largest_alone(
    units: int, y: Any, metrics: tuple[str, ...], found: list[str]
) -> None:
    made = rules(dense(units, "sigmoid"), "binary_crossentropy", y, metrics=metrics)
    assert made == found


HALF = {"class_name": "BinaryAccuracy", "config": {"name": "binary_accuracy", "threshold": 0.5}}
ZERO = {"class_name": "BinaryAccuracy", "config": {"name": "binary_accuracy", "threshold": 0}}


@pytest.mark.parametrize(
    ("metric", "found"),
    [("binary_accuracy", ["L10"]), (HALF, ["L10"]), ("accuracy", []), ("categorical_accuracy", [])],
)
def test_the_accuracy_of_each_column_is_not_that_of_exclusive_classes(
    metric: Any, found: list[str]
) -> None:
    made = rules(dense(3, "softmax"), "categorical_crossentropy", ONE_HOT, metrics=(metric,))
    assert made == found


LOGITS = {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}


@pytest.mark.parametrize(
    ("activation", "loss", "metric", "found"),
    [
        ("linear", LOGITS, "accuracy", ["L10"]),
        ("linear", LOGITS, HALF, ["L10"]),
        ("linear", LOGITS, ZERO, []),
        ("linear", LOGITS, "auc", []),
        ("sigmoid", "binary_crossentropy", "accuracy", []),
        ("sigmoid", "binary_crossentropy", "categorical_accuracy", ["L10"]),
        ("sigmoid", "binary_crossentropy", "binary_accuracy", []),
    ],
)
def test_an_accuracy_of_two_classes_needs_their_middle(
    activation: str, loss: Any, metric: Any, found: list[str]
) -> None:
    assert rules(dense(1, activation), loss, BINARY, metrics=(metric,)) == found


@pytest.mark.parametrize(
    ("y", "found"), [([[-1], [1], [-1]], ["L10"]), ([[0], [1], [0]], []), ([[-1], [0], [1]], [])]
)
def test_an_accuracy_knows_the_labels_0_and_1_alone(y: Any, found: list[str]) -> None:
    assert rules(dense(1, "tanh"), "hinge", y, metrics=("accuracy",), curve=(1.0, 0.1)) == found


@pytest.mark.parametrize(
    ("loss", "y", "found"),
    [
        ("mape", [[0.0], [3.0]], ["L14"]),
        ("mean_squared_logarithmic_error", [[-0.5], [3.0]], ["L14"]),
        ("mape", [[0.5], [3.0]], []),
        ("mean_squared_logarithmic_error", [[0.0], [3.0]], []),
        ("mae", [[0.0], [3.0]], []),
    ],
)
def test_a_percentage_of_0_says_nothing(loss: str, y: Any, found: list[str]) -> None:
    assert rules(dense(1), loss, y) == found
