"""Rules of training, data and asking: what raises them, and what nearly does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.rules.samples import Run, answers, method, needs_r, scalar, symbol, thing, tree_of

DRAW = np.random.default_rng(5)
X = DRAW.normal(size=(40, 3))
CLASSES = (X[:, :1] > 0).astype(float)


def head(run: Run, **config: Any) -> tuple[str, dict[str, Any]]:
    given = {"units": 1, "activation": "sigmoid"} | config
    return "Dense", {"weights": [run.weight("kernel", [[1.0], [2.0], [3.0]])]} | given


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ([[1.0], [2.0], [3.0]], ["T01"]),
        ([[1.0], [2.0], [3.0000002]], []),
        ([[2.0], [1.0], [3.0]], []),
    ],
)
def test_a_training_moves_weights(after: Any, found: list[str]) -> None:
    run = Run()
    run.trained(head(run), loss="binary_crossentropy", y=CLASSES, x=X, after={"l0/0": after})
    assert run.rules() == found


@pytest.mark.parametrize(
    ("frozen", "found"), [((True, True), ["T01"]), ((True, False), []), ((False, False), [])]
)
def test_a_model_of_frozen_layers_trains_nothing(
    frozen: tuple[bool, bool], found: list[str]
) -> None:
    run = Run()
    layers = [head(run, **({"trainable": False} if each else {})) for each in frozen]
    kept, moved = [[1.0], [2.0], [3.0]], [[0.0], [0.0], [9.0]]
    after = {f"l{n}/0": kept if each else moved for n, each in enumerate(frozen)}
    run.trained(*layers, loss="mse", y=CLASSES, x=X, after=after)
    assert run.rules() == found


def test_a_layer_without_weights_that_are_trained_is_no_training() -> None:
    run = Run()
    run.trained(("Dense", {"units": 1, "activation": "sigmoid"}), loss="mse", y=CLASSES)
    assert run.rules() == []


def test_a_rate_of_0_is_what_somebody_wrote() -> None:
    run = Run()
    after = {"l0/0": [[1.0], [2.0], [3.0]]}
    run.trained(head(run), loss="binary_crossentropy", y=CLASSES, x=X, after=after)
    optimizer = {"class_name": "SGD", "config": {"learning_rate": 0.0}}
    run.about["states"][0]["compiled"]["optimizer"] = optimizer
    assert run.rules() == []


@pytest.mark.parametrize(
    ("asked", "given", "layers", "found"),
    [
        (2, None, 1, ["T01"]),
        (2, "set_weights", 1, []),
        (1, None, 1, []),
        (2, None, 2, []),
    ],
)
def test_who_trains_one_model_does_not_ask_another(
    asked: int, given: str | None, layers: int, found: list[str]
) -> None:
    run = Run()
    run.trained(head(run), loss="mse", y=CLASSES, x=X, after={"l0/0": [[0.0], [0.0], [9.0]]})
    for number in (1, 2):
        run.call(method("compile", number), kwargs={"loss": scalar("mse")})
    if given:
        run.call(method(given, 2))
    run.model(*(head(run) for _ in range(layers)), id=asked, compiled={"loss": "mse"})
    x, p = run.array("x", X), run.array("p", X[:, :1])
    run.probe("predict", inputs=[x], outputs=[p], state=1)
    assert run.rules() == found


@pytest.mark.parametrize(
    ("strength", "after", "end", "found"),
    [
        (0.5, 0.001, 0.6933, ["T05"]),
        (0.1, 0.0, 0.70, ["T05"]),
        (0.5, 0.001, 0.30, []),
        (0.5, 2.0, 0.6933, []),
        (0.0, 0.001, 0.6933, []),
    ],
)
def test_a_penalty_that_rules_shrinks_every_kernel_and_nothing_is_learned(
    strength: float, after: float, end: float, found: list[str]
) -> None:
    run = Run()
    penalty = {"class_name": "L2", "config": {"l2": strength}}
    y = np.array([0, 1] * 20)[:, None]
    penalised = head(run, kernel_regularizer=penalty)
    shrunk = {"l0/0": np.array([[1.0], [2.0], [3.0]]) * after}
    run.trained(penalised, loss="binary_crossentropy", y=y, x=X, curve=(7.0, end), after=shrunk)
    assert run.rules() == found


@pytest.mark.parametrize(
    ("cls", "kwargs", "curves", "found"),
    [
        ("EarlyStopping", {"monitor": "val_loss"}, {"loss": [2, 1]}, ["T06"]),
        ("ReduceLROnPlateau", {}, {"loss": [2, 1]}, ["T06"]),
        ("EarlyStopping", {"monitor": "loss", "patience": 5}, {"loss": [2, 1, 3]}, ["T06"]),
        ("EarlyStopping", {"monitor": "loss", "patience": 5}, {"loss": [3, 2, 1]}, []),
        ("EarlyStopping", {"monitor": "loss", "patience": 1}, {"loss": [2, 1, 3]}, []),
        ("EarlyStopping", {"monitor": "auc", "patience": 5}, {"auc": [0.5, 0.6]}, []),
        ("EarlyStopping", {"monitor": "auc", "patience": 5}, {"auc": [0.6, 0.5]}, ["T06"]),
        ("EarlyStopping", {"monitor": "gain", "patience": 5}, {"gain": [1, 2]}, []),
        ("EarlyStopping", {"monitor": "gain", "patience": 5, "mode": "max"}, {"gain": [1, 2]}, []),
        (
            "EarlyStopping",
            {"monitor": "gain", "patience": 5, "mode": "max"},
            {"gain": [2, 1]},
            ["T06"],
        ),
        ("EarlyStopping", {"monitor": "acc", "mode": "min"}, {"acc": [0.5, 0.6]}, ["T06"]),
        ("ReduceLROnPlateau", {"monitor": "loss", "mode": "max"}, {"loss": [2, 1]}, ["T06"]),
        ("EarlyStopping", {"monitor": "acc", "mode": "max"}, {"acc": [0.5, 0.6]}, []),
        ("EarlyStopping", {"monitor": "acc", "mode": "auto"}, {"acc": [0.5, 0.6]}, []),
        ("EarlyStopping", {"monitor": "gain", "mode": "min"}, {"gain": [1, 2]}, []),
        ("ModelCheckpoint", {"monitor": "val_loss"}, {"loss": [2, 1]}, []),
        ("CSVLogger", {}, {"loss": [2, 1]}, []),
    ],
)
def test_a_callback_watches_a_curve_that_there_is(
    cls: str, kwargs: dict[str, Any], curves: dict[str, Any], found: list[str]
) -> None:
    run = Run()
    given = {name: scalar(value) for name, value in kwargs.items()}
    run.call(symbol(f"keras.callbacks.{cls}"), kwargs=given, result=thing(7))
    callbacks = {"t": "list", "items": [thing(7)]}
    run.call(method("fit"), kwargs={"callbacks": callbacks})
    run.trained(("Dense", {"units": 1}), loss="mse", y=X[:, :1], x=X, call=2)
    run.about["probes"][0]["curves"] = curves
    assert run.rules() == found


@pytest.mark.parametrize(
    ("cls", "activation", "curve", "found"),
    [
        ("SimpleRNN", "relu", (3.0, float("nan")), ["T08"]),
        ("LSTM", "linear", (3.0, 4e9), ["T08"]),
        ("SimpleRNN", "relu", (3.0, 0.1), []),
        ("SimpleRNN", "tanh", (3.0, 4e9), []),
        ("Dense", "relu", (3.0, 4e9), []),
    ],
)
def test_a_recurrence_without_an_end_grows(
    cls: str, activation: str, curve: tuple[float, ...], found: list[str]
) -> None:
    run = Run()
    last = ("Dense", {"units": 1, "activation": "linear"})
    run.trained((cls, {"activation": activation}), last, loss="mse", y=X[:, :1], x=X, curve=curve)
    assert [code for code in run.rules() if code != "T03"] == found


@pytest.mark.parametrize(
    ("factor", "curve", "found"),
    [
        (1.5, (9e9, 4e5), ["T08"]),
        (1.0, (9e9, 4e5), []),
        (0.5, (9e9, 4e5), []),
        (1.5, (9e9, 0.1), []),
    ],
)
def test_a_state_that_grows_is_enough_where_the_loss_is_beyond_chance(
    factor: float, curve: tuple[float, ...], found: list[str]
) -> None:
    run = Run()
    kernel = run.weight("recurrent_kernel", factor * np.eye(3)[[1, 2, 0]])
    cell = ("SimpleRNN", {"activation": "linear", "weights": [kernel]})
    last = ("Dense", {"units": 1, "activation": "linear"})
    run.trained(cell, last, loss="mse", y=X[:, :1], x=X, curve=curve)
    assert [code for code in run.rules() if code == "T08"] == found


def test_missing_values_come_before_what_they_do() -> None:
    run = Run()
    spoiled = X.copy()
    spoiled[3, 1] = np.nan
    run.trained(head(run), loss="mse", y=CLASSES, x=spoiled, curve=(float("nan"),))
    assert run.rules() == ["D02"]


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        (X, np.full((40, 1), 3.0), ["D03"]),
        (X, np.full((40, 2), 0.5), ["D03"]),
        (X, X[:, :1], []),
        (X, X[:, :1] + 1e-6, []),
        (np.ones((40, 3)), np.full((40, 1), 3.0), []),
    ],
)
def test_targets_that_are_all_one_teach_nothing(x: Any, y: Any, found: list[str]) -> None:
    run = Run()
    run.trained(("Dense", {"units": 1, "activation": "linear"}), loss="mse", y=y, x=x)
    assert run.rules() == found


def test_a_loss_of_ones_own_may_not_look_at_its_targets() -> None:
    run = Run()
    last = ("Dense", {"units": 1, "activation": "linear"})
    run.trained(last, loss="triplet", y=np.zeros((40, 1)), x=X)
    assert run.rules() == []


@pytest.mark.parametrize(
    ("asked", "found"), [([[1, 4, 5], [2, 5, 6]], ["D03"]), ([[1, 4, 5], [2, 5, 0]], [])]
)
def test_a_column_that_never_varied_decides_where_every_row_has_another(
    asked: list[list[float]], found: list[str]
) -> None:
    """A pixel at the edge is black in all pictures that were trained, and not in some other."""
    run = Run()
    seen = np.column_stack([X[:, :2], np.zeros(40)])
    run.trained(("Dense", {"units": 1, "activation": "linear"}), loss="mse", y=X[:, 2:], x=seen)
    given, p = run.array("x", asked), run.array("p", [[1.0], [2.0]])
    run.probe("predict", inputs=[given], outputs=[p])
    assert run.rules() == found


@pytest.mark.parametrize(
    ("column", "found"), [(X[:, 1], ["D03"]), (X[:, 1] + 1e-6, []), (X[::-1, 1], [])]
)
def test_a_target_among_the_inputs_is_worth_knowing(column: Any, found: list[str]) -> None:
    run = Run()
    run.trained(("Dense", {"units": 1, "activation": "linear"}), loss="mse", y=column, x=X)
    told = answers(run.capsule())
    assert [each.rule for each in told] == found
    assert not any(each.decides for each in told)


RAW = np.column_stack([DRAW.uniform(20, 80, 30), DRAW.uniform(1000, 9000, 30)])
SCALED = (RAW - RAW.mean(axis=0)) / RAW.std(axis=0, ddof=1)
STUDENTS = np.column_stack([DRAW.uniform(20, 80, 30), np.arange(30) % 2])
STUDENTS = (STUDENTS - STUDENTS.mean(axis=0)) / STUDENTS.std(axis=0, ddof=1)
#: A time and a temperature, both scaled by what was known before the last ten days.
DAYS = np.column_stack([np.arange(40.0), DRAW.normal(15, 5, 40)])
PAST = (DAYS[:30] - DAYS[:30].mean(axis=0)) / DAYS[:30].std(axis=0, ddof=1)
FUTURE = (DAYS[30:] - DAYS[:30].mean(axis=0)) / DAYS[:30].std(axis=0, ddof=1)
BYTES = DRAW.integers(0, 256, (20, 12)).astype(float)
OTHERS = DRAW.uniform(50, 90, (12, 2))
OTHERS = (OTHERS - OTHERS.mean(axis=0)) / OTHERS.std(axis=0, ddof=1)


@pytest.mark.parametrize(
    ("fit", "asked", "found"),
    [
        (SCALED, RAW[:5], ["D06"]),
        (RAW, SCALED, ["D06"]),
        (BYTES / 255, BYTES[:4], ["D06"]),
        ((RAW - RAW.min(axis=0)) / np.ptp(RAW, axis=0), RAW[:3], ["D06"]),
        (np.linspace(0, 1, 11)[:, None], np.array([[5.0], [10.0]]), []),
        (SCALED[:, :1], np.array([[30.5], [60.0]]), ["D06"]),
        (STUDENTS, np.array([[21.0, 0.0], [48.0, 1.0]]), ["D06"]),
        (PAST, FUTURE, []),
        (PAST[:, :1], FUTURE[:, :1], []),
        (SCALED, SCALED[:5], []),
        (SCALED, SCALED[:5] + 0.5, []),
        (RAW, RAW[:5] * 2, []),
        (BYTES / 255, BYTES[:4] / 255, []),
        (SCALED, OTHERS, ["D06"]),
        (SCALED, SCALED[::-1], []),
        (SCALED[:20], OTHERS, []),
        (SCALED, OTHERS * 1.01, []),
    ],
)
def test_what_is_asked_is_scaled_as_what_was_trained(
    fit: Any, asked: Any, found: list[str]
) -> None:
    run = Run()
    last = ("Dense", {"units": 1, "activation": "linear"})
    run.trained(last, loss="mse", y=np.arange(float(len(fit)))[:, None], x=fit)
    given, p = run.array("x", asked), run.array("p", asked[:, :1])
    run.probe("predict", inputs=[given], outputs=[p])
    assert run.rules() == found


WIDE = np.column_stack([DRAW.normal(200, 20, 30), DRAW.normal(1, 2, 30)])


@needs_r
@pytest.mark.r
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("raw[1:5, ]", ["D06"]),
        ("raw", ["D06"]),
        ("scaled[1:5, ]", []),
        ("scale(raw, c(0, 0), c(1, 1))", []),
        ("later", []),
        ("normalise(raw)", []),
    ],
)
def test_the_text_tells_what_was_scaled(asked: str, found: list[str], tmp_path: Path) -> None:
    text = (
        "raw <- cbind(a = rnorm(30, 200, 20), b = rnorm(30, 1, 2))\n"
        "scaled <- scale(raw)\nlater <- (raw - 3) / 2\nnormalise <- function(x) x * 2\n"
        f"fit(m, scaled, y)\npredict(m, {asked})\n"
    )
    run = Run()
    for line, name in ((5, "fit"), (6, "predict")):
        run.call(method(name), line=line, r_call=f"{name}(m)")
    last = ("Dense", {"units": 1, "activation": "linear"})
    fit = (WIDE - WIDE.mean(axis=0)) / WIDE.std(axis=0, ddof=1)
    run.trained(last, loss="mse", y=np.arange(30.0)[:, None], x=fit, call=1, line=5)
    given, p = run.array("x", WIDE[:5]), run.array("p", WIDE[:5, :1])
    run.probe("predict", inputs=[given], outputs=[p], call=2, line=6)
    assert run.rules(tree_of(text, tmp_path)) == found


@pytest.mark.parametrize(
    ("x", "own", "found"),
    [
        (X, X[10:20], ["D07"]),
        (X, np.concatenate([X[:6], DRAW.normal(size=(4, 3))]), ["D07"]),
        (X, DRAW.normal(size=(10, 3)), []),
        (X, np.concatenate([X[:2], DRAW.normal(size=(8, 3))]), []),
        (np.repeat(X[:5], 8, axis=0), X[:5], []),
    ],
)
def test_rows_to_validate_with_are_new_to_the_model(x: Any, own: Any, found: list[str]) -> None:
    run = Run()
    kept = [run.array("validation[0]", own), run.array("validation[1]", own[:, :1])]
    run.trained(("Dense", {"units": 1}), loss="mse", y=np.arange(40.0), x=x, validation=kept)
    assert run.rules() == found


@pytest.mark.parametrize(
    ("y", "found"),
    [
        ([0] * 5 + [1] * 5 + [2] * 6, ["D05"]),
        ([2] * 6 + [1] * 2 + [0] * 8, ["D05"]),
        ([0, 1, 2, 0, 1, 2] * 2 + [2] * 4, []),
        ([0] * 6 + [1] * 6 + [0, 1, 0, 1], []),
        ([*list(range(12)), 3, 5, 7, 9], []),
    ],
)
def test_rows_class_by_class_leave_a_class_out_of_the_validation(
    y: list[int], found: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1}))
    run.probe("fit", targets=[run.array("y", y)], settings={"validation_split": 0.25})
    assert run.rules() == found


@pytest.mark.parametrize(
    ("loss", "trained", "asked", "found"),
    [
        ("sparse_categorical_crossentropy", [0, 1, 1, 0], [2, 2, 2], ["D05"]),
        ("sparse_categorical_crossentropy", [0, 1, 1, 0], [0, 2, 1, 2], ["D05"]),
        ("categorical_crossentropy", np.eye(3)[[0, 2]], np.eye(3)[[1, 1]], ["D05"]),
        ("sparse_categorical_crossentropy", [0, 1, 1, 0], [2, 1, 0], []),
        ("sparse_categorical_crossentropy", [0, 1, 2, 0], [2, 2, 1], []),
        ("mse", [0, 1, 1, 0], [2, 2, 2], []),
    ],
)
@pytest.mark.parametrize("validated", [False, True])
def test_training_has_seen_the_classes_that_are_asked_for(
    loss: str, trained: Any, asked: Any, found: list[str], validated: bool
) -> None:
    run = Run()
    run.model(("Dense", {"units": 3, "activation": "softmax"}), compiled={"loss": loss})
    own = [run.array("validation[0]", X[:2]), run.array("validation[1]", asked)]
    about = {"validation": own} if validated else {}
    run.probe("fit", targets=[run.array("y", trained)], **about)
    if not validated:
        run.probe("evaluate", targets=[run.array("y", asked)])
    assert [code for code in run.rules() if code == "D05"] == found


@pytest.mark.parametrize(
    ("y", "keys", "found"),
    [
        ([[0], [1], [0]], [1, 2], ["D04"]),
        (np.eye(3)[[0, 2, 1]], [1, 2, 3], ["D04"]),
        ([[0], [1], [0]], [0, 1], []),
        ([[1], [2], [1]], [1, 2], []),
        ([[0], [1], [2]], [1, 2], []),
    ],
)
def test_weights_of_classes_are_counted_from_zero(
    y: Any, keys: list[int], found: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 3, "activation": "softmax"}), compiled={"loss": "mse"})
    weights = {"t": "dict", "items": [(scalar(key), scalar(1.0 + key)) for key in keys]}
    run.call(method("fit"), kwargs={"class_weight": weights})
    run.probe("fit", call=1, targets=[run.array("y", y)])
    assert [code for code in run.rules() if code == "D04"] == found


@pytest.mark.parametrize(
    ("share", "guess", "found"),
    [(0.1, 0.2, ["D08"]), (0.9, 0.7, ["D08"]), (0.5, 0.2, []), (0.1, 0.7, []), (0.0, 0.2, [])],
)
def test_an_accuracy_that_is_the_share_of_a_class_is_worth_knowing(
    share: float, guess: float, found: list[str]
) -> None:
    run = Run()
    y = (np.arange(40) < 40 * share).astype(float)[:, None]
    last = ("Dense", {"units": 1, "activation": "sigmoid"})
    run.trained(last, loss="binary_crossentropy", y=y, x=X)
    p = guess + 1e-3 * np.arange(40)[:, None]
    run.probe("predict", inputs=[run.array("x", X)], outputs=[run.array("p", p)])
    told = answers(run.capsule())
    assert [each.rule for each in told if each.rule == "D08"] == found
    assert not any(each.decides for each in told if each.rule == "D08")


@pytest.mark.parametrize(
    ("second", "between", "found"),
    [
        ([[1.0]], None, []),
        ([[1.5]], None, ["P05"]),
        ([[1.5]], "set_weights", []),
        ([[1.5]], "apply_gradients", []),
    ],
)
def test_asking_changes_no_weight(second: Any, between: str | None, found: list[str]) -> None:
    run = Run()
    for number, kernel in enumerate(([[1.0]], second)):
        if number and between:
            run.call(method(between))
        run.call(method("predict"))
        run.model(("Dense", {"units": 1, "weights": [run.weight("kernel", kernel)]}))
        x, p = run.array("x", [[1.0], [2.0]]), run.array("p", [[1.0 + number], [2.0]])
        run.probe(inputs=[x], outputs=[p], state=number, call=len(run.about["calls"]))
    assert run.rules() == found


@pytest.mark.parametrize(
    ("sequences", "maxlen", "end", "labels", "found"),
    [
        # What is left is the same for both classes.
        ([[1, 3, 3], [2, 3, 3], [1, 3, 3, 3], [2, 3, 3, 3]], 2, None, [0, 1, 0, 1], ["D20"]),
        ([[3, 3, 1], [3, 3, 2], [3, 3, 3, 1], [3, 3, 3, 2]], 2, "post", [0, 1, 0, 1], ["D20"]),
        ([[1, 3, 3], [2, 3, 3], [1, 3, 3, 3], [2, 3, 3, 3]], 2, "post", [0, 1, 0, 1], []),
        # The targets are the same too.
        ([[1, 3, 3], [2, 3, 3], [1, 3, 3, 3], [2, 3, 3, 3]], 2, None, [1, 1, 1, 1], []),
        # Nothing is longer than it may be.
        ([[3, 3], [3, 3], [3], [3]], 2, None, [0, 1, 0, 1], []),
        # Sequences that are the same anyhow lose nothing.
        ([[3, 3, 3]] * 4, 2, None, [0, 1, 0, 1], []),
        # A few are the same by chance.
        ([[1, 3, 3], [2, 3, 3], [1, 5, 4], [2, 4, 5]], 2, None, [0, 1, 1, 1], []),
        # One place told the classes, and none that is left does.
        ([[1, 5, 6], [2, 6, 5], [1, 7, 8], [2, 8, 7]], 2, None, [0, 1, 0, 1], ["D20"]),
        ([[1, 5, 1], [2, 6, 2], [1, 7, 1], [2, 8, 2]], 2, None, [0, 1, 0, 1], []),
        ([[1, 5, 6], [2, 6, 5], [3, 7, 8], [4, 8, 7]], 2, None, [0, 1, 0, 1], []),
    ],
)
def test_what_tells_the_classes_apart_is_not_cut_off(
    sequences: list[list[int]], maxlen: int, end: str | None, labels: list[int], found: list[str]
) -> None:
    run = Run()
    cut = [each[-maxlen:] if end != "post" else each[:maxlen] for each in sequences]
    rows = [[0] * (maxlen - len(each)) + each for each in cut]
    made = run.array("x", rows, "int32")
    items = [{"t": "list", "items": [scalar(n) for n in each]} for each in sequences]
    given = {"sequences": {"t": "list", "items": items}, "maxlen": scalar(maxlen)}
    result = {"t": "array", "dtype": "int32", "shape": made["shape"], "key": made["key"]}
    run.call(
        symbol("keras.utils.pad_sequences"),
        kwargs=given | ({"truncating": scalar(end)} if end else {}),
        result=result,
    )
    run.trained(("Embedding", {}), ("Dense", {}), loss="own", y=[[n] for n in labels], x=rows)
    answered = answers(run.capsule())
    assert [each.rule for each in answered if each.rule == "D20" and each.decides] == found
