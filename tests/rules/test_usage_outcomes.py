"""Results that say nothing any more, and refusals: what is said, and where nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.rules.samples import (
    Run,
    answers,
    crossing,
    method,
    needs_r,
    scalar,
    symbol,
    tree_of,
)


def error(message: str, line: int = 9, **about: Any) -> dict[str, Any]:
    return {"language": "r", "cls": "Rcpp::exception", "message": message, "line": line} | about


def refused(run: Run, message: str, tree: Any = (), **about: Any) -> list[str]:
    ended = run.capsule(status="error", error=error(message, **about))
    return [each.cause for each in answers(ended, tree) if each.refused]


@pytest.mark.parametrize(
    ("x", "losses", "causes"),
    [
        ([[1.0], [2.0]], [3.0, float("nan")], ["maths"]),
        ([[1.0], [float("nan")]], [float("nan"), float("nan")], ["user-script"]),
        ([[1.0], [2.0]], [3.0, 2.0], []),
    ],
)
def test_a_loss_that_is_no_number_has_overshot_or_was_given_none(
    x: list[list[float]], losses: list[float], causes: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1, "activation": "linear"}), compiled={"loss": "mse"})
    y = run.array("y", [[1.0], [2.0]])
    run.probe("fit", inputs=[run.array("x", x)], targets=[y], curves={"loss": losses})
    assert run.causes() == causes


@pytest.mark.parametrize(
    ("x", "outputs", "causes"),
    [
        ([[40.0], [300.0]], [[1.0], [1.0]], ["maths"]),
        ([[40.0], [40.0]], [[1.0], [1.0]], []),
        ([[-300.0], [300.0]], [[0.0], [1.0]], []),
        ([[0.5], [1.0]], [[0.6], [0.6]], []),
    ],
)
def test_a_sigmoid_at_the_end_of_its_range_says_nothing(
    x: list[list[float]], outputs: list[list[float]], causes: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1, "activation": "sigmoid"}))
    run.probe(inputs=[run.array("x", x)], outputs=[run.array("y", outputs)])
    assert run.causes() == causes


@pytest.mark.parametrize(
    ("units", "labels", "causes"),
    [
        (3, [[1, 0, 0], [0, 0, 1]], ["user-script"]),
        (3, [[1, 1, 0], [0, 0, 1]], []),
        (2, [[1, 0], [0, 1]], []),
        (1, [[1], [2]], ["r-index-base"]),
        (1, [[0], [1]], []),
    ],
)
def test_binary_crossentropy_wants_classes_0_and_1(
    units: int, labels: list[list[int]], causes: list[str]
) -> None:
    run = Run()
    activation = "softmax" if units > 1 else "sigmoid"
    run.model(("Dense", {"units": units, "activation": activation}))
    run.call(method("compile"), kwargs={"loss": scalar("binary_crossentropy")})
    run.probe("fit", targets=[run.array("y", labels)], curves={"loss": [1.0]})
    assert run.causes() == causes


@pytest.mark.parametrize(
    ("y", "causes"), [([[1.5], [2.25]], ["user-script"]), ([[0.0], [1.0]], [])]
)
def test_an_accuracy_of_measured_numbers_is_no_accuracy(
    y: list[list[float]], causes: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1, "activation": "linear"}))
    run.call(method("compile"), kwargs={"loss": scalar("mse")})
    curves = {"loss": [50.0], "accuracy": [0.0]}
    run.probe("fit", targets=[run.array("y", y)], curves=curves)
    assert run.causes() == causes


def test_layers_without_an_activation_are_told_and_decide_nothing() -> None:
    run = Run()
    run.model(*(("Dense", {"units": 4, "activation": "linear"}) for _ in range(2)))
    (answer,) = answers(run.capsule())
    assert not answer.decides
    assert answer.rule == "M01"


@pytest.mark.parametrize(
    ("message", "causes"),
    [
        ("indices[3,0] = 4 is not in [0, 4)", ["r-index-base"]),
        ("indices[3,0] = 9 is not in [0, 4)", []),
        (
            "Received a label value of 3 which is outside the valid range of [0, 3).",
            ["r-index-base"],
        ),
        ("Cast string to int64 is not supported", ["user-script"]),
        (
            "This optimizer can only be called for the variables it was originally built with.",
            ["user-script"],
        ),
        ("object 'x' not found", []),
    ],
)
def test_a_message_may_say_whose_slip_it_is(message: str, causes: list[str]) -> None:
    assert refused(Run(), message) == causes


def test_a_data_frame_reaches_a_model_of_one_input_as_a_dict() -> None:
    run = Run()
    run.model(("Dense", {"units": 1}))
    run.about["states"][0]["cls"] = "keras.Sequential"
    columns = [
        ({"t": "str", "v": name}, {"t": "list", "items": [scalar(1.0), scalar(2.0)]})
        for name in ("a", "b")
    ]
    raised = {"language": "python", "cls": "ValueError", "message": "structure"}
    given = {"t": "dict", "items": columns}
    run.about["calls"].append(crossing(9, method("fit"), args=[given], error=raised, line=9))
    run.probe("fit")
    assert refused(run, "structure") == ["r-conversion"]


@needs_r
@pytest.mark.parametrize(
    ("text", "message", "origin", "causes"),
    [
        ("p <- predict(m, x[1, ])", "expected min_ndim=2, found ndim=1", "", ["r-semantics"]),
        ("p <- predict(m, x[1, , drop = FALSE])", "expected min_ndim=2, found ndim=1", "", []),
        ("p <- predict(m, x[1:2, ])", "expected min_ndim=2, found ndim=1", "", []),
        ("y <- op_sum(x, axis = 0)", "there is no axis 0", "keras3", ["r-index-base"]),
        ("y <- op_sum(x, axis = 3)", "there is no axis 3", "keras3", []),
    ],
)
def test_what_the_text_did_says_why_it_was_refused(
    text: str, message: str, origin: str, causes: list[str], tmp_path: Path
) -> None:
    run = Run()
    run.call(symbol("keras.ops.add"))
    tree = tree_of(text, tmp_path)
    assert refused(run, message, tree, line=1, origin=origin) == causes


@pytest.mark.parametrize(
    ("first", "second", "causes"),
    [
        ("softmax", "softmax", ["user-script"]),
        ("sigmoid", "sigmoid", ["user-script"]),
        ("relu", "softmax", []),
        ("relu", "relu", []),
    ],
)
def test_a_softmax_of_a_softmax_is_one_too_many(first: str, second: str, causes: list[str]) -> None:
    run = Run()
    run.model(("Dense", {"units": 3, "activation": first}), ("Activation", {"activation": second}))
    run.probe()
    assert run.causes() == causes


@needs_r
@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ('unused argument (activaton = "relu")', "activation"),
        ("Unrecognized keyword arguments passed to Dense: {'activaton': 'relu'}", "activation"),
        ("Layer.__init__() got an unexpected keyword argument 'activaton'", "activation"),
        ('unused argument (colour = "red")', None),
    ],
)
def test_a_misspelled_argument_is_told_with_the_one_that_is_near(
    tmp_path: Path, message: str, meant: str | None
) -> None:
    text = 'm <- f() |>\n  layer_dense(3, activaton = "relu")\n'
    run = Run()
    front = {"kind": "standin", "package": "keras3", "version": "1.5.1"}
    ended = run.capsule(status="error", error=error(message, line=2), frontend=front)
    said = [
        (each.rule, each.help.after)
        for each in answers(ended, tree_of(text, tmp_path))
        if each.help
    ]
    assert said == ([] if meant is None else [("E04", meant)])


@needs_r
def test_what_the_other_generation_knows_is_not_misspelled(tmp_path: Path) -> None:
    message = "Unrecognized keyword arguments passed to Dense: {'weights': [1]}"
    run = Run()
    front = {"kind": "standin", "package": "keras3", "version": "1.5.1"}
    ended = run.capsule(status="error", error=error(message, line=1), frontend=front)
    assert not answers(ended, tree_of("m <- layer_dense(units = 3, weights = list(1))\n", tmp_path))
