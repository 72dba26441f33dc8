"""Rules that ask for experiments: when they ask, what raises them, and what nearly does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule, Manifest
from bridge.explain.experiment import Experiment
from bridge.rules import registry
from tests.rules.samples import Run, method, symbol, thing, well_worded

DRAW = np.random.default_rng(7)
X = DRAW.normal(size=(64, 3))
Y = X[:, :1] * 2 + 1
CLASSES = (X[:, :1] > 0).astype(float)
VARIANCE = float(np.var(Y.astype(np.float32)))
ONE_HOT = np.eye(2)[(X[:, 0] > 1.2).astype(int)]
KERNEL = [[1.0], [2.0], [3.0]]


def trials(recorded: Iterable[float], changed: Iterable[float]) -> Capsule:
    """Return what trainings made again ended with, without the change and with it."""
    probes = [
        {"index": 0, "kind": "fit", "settings": {"changed": with_it}, "curves": {"after": [loss]}}
        for with_it, losses in ((False, recorded), (True, changed))
        for loss in losses
    ]
    return made(*probes)


def made(*probes: dict[str, Any], **arrays: Any) -> Capsule:
    manifest = {"runner": "replay", "case": "c", "status": "ok", "probes": probes}
    return Capsule(Manifest.model_validate(manifest), arrays)


def trained(activation: str = "linear", **about: Any) -> Run:
    run = Run()
    units = len(about["y"][0])
    weight = run.weight("kernel", np.ones((3, units)))
    layer = {"units": units, "activation": activation, "weights": [weight], "shape": (None, units)}
    moved = about.pop("moved", 1.0)
    after = {"l0/0": np.ones((3, units)) + moved}
    run.trained(("Dense", layer), after=after, **about)
    return run


def asked(run: Run) -> list[str]:
    return [each.changed for each in registry.answers(run.capsule()).wanted]


def found(run: Run, outcome: Capsule) -> list[str]:
    """Return the rules that decide, where every experiment that is wanted comes out like this."""
    outcomes: dict[Experiment, Capsule] = {}
    answered = registry.answers(run.capsule())
    while new := [each for each in answered.wanted if each not in outcomes]:
        outcomes |= dict.fromkeys(new, outcome)
        answered = registry.answers(run.capsule(), outcomes=outcomes)
    for each in answered.findings:
        well_worded(each)
    return [each.rule for each in answered.findings if each.decides]


def few_steps(**about: Any) -> Run:
    settings = {"epochs": 3, "batch_size": 32}
    curve = (0.95 * VARIANCE, 0.9 * VARIANCE, 0.8 * VARIANCE)
    return trained(loss="mse", y=Y, x=X, curve=curve, **({"settings": settings} | about))


@pytest.mark.parametrize(
    ("recorded", "changed", "codes"),
    [
        ((0.8, 0.85, 0.82), (0.4, 0.45, 0.35), ["T02"]),
        # More than half of the loss is left all the same.
        ((0.8, 0.85, 0.82), (0.5, 0.55, 0.45), []),
        ((0.8, 0.85, 0.82), (0.1, 0.1, 0.1), ["T02"]),
        # No start may reach into the others.
        ((0.8, 0.85, 0.82), (0.5, 0.55, 0.81), []),
        # Most of the way is behind it.
        ((0.3, 0.35, 0.32), (0.25, 0.26, 0.24), []),
        # It does not get below one answer for all rows.
        ((1.8, 1.85, 1.82), (1.1, 1.2, 1.3), []),
    ],
)
def test_a_training_that_has_hardly_begun(
    recorded: tuple[float, ...], changed: tuple[float, ...], codes: list[str]
) -> None:
    outcome = trials(*(np.array(each) * VARIANCE for each in (recorded, changed)))
    assert found(few_steps(), outcome) == codes


@pytest.mark.parametrize(
    "about",
    [
        {"settings": {"epochs": 3, "batch_size": 2}},
        {"curve": (0.9, 0.6, 0.95)},
        {"loss": "own_loss"},
    ],
)
def test_a_training_that_is_not_short_is_not_made_longer(about: dict[str, Any]) -> None:
    run = trained(
        **(
            {"loss": "mse", "y": Y, "x": X, "curve": (0.5, 0.4, 0.3)}
            | {"settings": {"epochs": 3, "batch_size": 32}}
            | about
        )
    )
    assert "4 times the epochs" not in asked(run)


@pytest.mark.parametrize(("rows", "codes"), [(None, []), (64, []), (65, ["T02"]), (2000, ["T02"])])
def test_a_batch_is_too_large_where_the_script_asks_for_it(
    rows: int | None, codes: list[str]
) -> None:
    # At an even pace: the script may have wanted no more.
    settings = {"epochs": 3} | ({"batch_size": rows} if rows else {})
    start, end, longer = 0.95 * VARIANCE, 0.8 * VARIANCE, 0.4 * VARIANCE
    run = few_steps(settings=settings)
    wanted = registry.answers(run.capsule()).wanted
    curves = {"after": [start]}
    before = {"index": 0, "kind": "evaluate", "settings": {"changed": True}, "curves": curves}
    came_out = {"start": made(before), "epochs": trials((end,) * 3, (longer,) * 3)}
    outcomes = {each: came_out.get(each.change, made()) for each in wanted}
    more = registry.answers(run.capsule(), outcomes=outcomes)
    outcomes |= {each: came_out.get(each.change, made()) for each in more.wanted}
    found = registry.answers(run.capsule(), outcomes=outcomes).findings
    assert [each.rule for each in found if each.decides] == codes
    assert [each.rule for each in found] == ["T02"]


def test_a_batch_of_all_rows_is_one_step_an_epoch() -> None:
    curve = tuple(np.linspace(0.95, 0.8, 60) * VARIANCE)
    run = trained(loss="mse", y=Y, x=X, curve=curve, settings={"epochs": 60, "batch_size": 500})
    assert asked(run) == ["4 times the epochs"]


def stuck(loss: str = "binary_crossentropy", **about: Any) -> Run:
    given = {"y": CLASSES, "x": X, "curve": (0.7,) * 40, "settings": {"batch_size": 16}}
    return trained("sigmoid", loss=loss, **(given | about))


@pytest.mark.parametrize(
    ("recorded", "changed", "codes"),
    [
        ((0.7, 0.69, 0.71), (0.1, 0.2, 0.05), ["T03"]),
        ((float("nan"), 0.69, float("inf")), (0.1, 0.2, 0.05), ["T03"]),
        ((0.7, 0.69, 0.71), (0.7, 0.69, 0.71), []),
        ((0.7, 0.1, 0.71), (0.1, 0.2, 0.05), []),
        ((0.66, 0.67, 0.71), (0.65, 0.64, 0.63), []),
        ((0.9, 0.95, 0.92), (0.8, 0.82, 0.85), []),
    ],
)
def test_a_rate_is_too_large_where_a_tenth_of_it_learns(
    recorded: tuple[float, ...], changed: tuple[float, ...], codes: list[str]
) -> None:
    assert found(stuck(), trials(recorded, changed)) == codes


def test_a_training_that_learned_something_is_not_made_slower() -> None:
    assert asked(stuck(curve=(0.7, 0.3, 0.2) * 20)) == []


@pytest.mark.parametrize(
    ("moved", "codes"), [(0.001, ["T04"]), (0.002, ["T04"]), (0.5, []), (0.0, ["T01"])]
)
def test_a_rate_is_too_small_where_weights_hardly_move(moved: float, codes: list[str]) -> None:
    run = stuck(moved=moved, curve=(0.68,) * 40)
    outcome = trials((0.7, 0.69, 0.71), (0.1, 0.2, 0.05))
    assert [each for each in found(run, outcome) if each != "T03"] == codes


def test_a_rate_that_moves_more_and_learns_no_more_is_not_too_small() -> None:
    assert found(stuck(moved=0.001), trials((0.7, 0.69, 0.71), (0.65, 0.72, 0.6))) == []


@pytest.mark.parametrize(
    ("size", "changed", "codes"),
    [
        (1000.0, (0.1, 0.15, 0.05), ["D01"]),
        (0.001, (0.1, 0.15, 0.05), ["D01"]),
        (1.0, (0.1, 0.2, 0.05), []),
        (1000.0, (0.3, 0.3, 0.3), []),
        (1000.0, (0.1, 0.2, 0.5), []),
    ],
)
def test_scaling_takes_most_of_what_is_left(
    size: float, changed: tuple[float, ...], codes: list[str]
) -> None:
    run = stuck(x=X * size, curve=(0.4,) * 40)
    assert found(run, trials((0.4, 0.42, 0.45), changed)) == codes


def test_what_a_layer_scales_or_looks_up_is_not_scaled() -> None:
    run = Run()
    layers = [("Normalization", {}), ("Dense", {"units": 1, "activation": "sigmoid"})]
    run.trained(*layers, loss="binary_crossentropy", y=CLASSES, x=X * 1000, curve=(0.6,) * 40)
    assert "x scaled" not in asked(run)


@pytest.mark.parametrize(
    ("activation", "y", "loss", "changed", "codes"),
    [
        ("softmax", ONE_HOT, "mse", (0.01, 0.02, 0.01), ["L13"]),
        ("sigmoid", ONE_HOT[:, :1], "mse", (0.01, 0.02, 0.01), ["L13"]),
        ("softmax", ONE_HOT, "mse", (0.08, 0.07, 0.09), []),
        ("softmax", ONE_HOT, "categorical_crossentropy", (0.01, 0.02, 0.01), []),
        ("sigmoid", X[:, :1] / 10 + 0.5, "mse", (0.0, 0.0, 0.0), []),
    ],
)
def test_a_classifier_is_trained_with_a_distance(
    activation: str, y: Any, loss: str, changed: tuple[float, ...], codes: list[str]
) -> None:
    share = float(np.mean(np.var(np.asarray(y), axis=0)))
    settings = {"batch_size": 1}
    run = trained(
        activation, loss=loss, y=y, x=X, curve=(0.8 * share,) * 40, settings=settings, moved=5.0
    )
    assert found(run, trials((0.1, 0.11, 0.1), changed)) == codes


@pytest.mark.parametrize(
    ("config", "left", "changed", "codes"),
    [
        ({"kernel_regularizer": {"config": {"l1": 99.0}}}, 0.8, (0.1, 0.2, 0.1), ["T05"]),
        ({"kernel_regularizer": {"config": {"l1": 99.0}}}, 0.8, (0.5, 0.2, 0.1), []),
        ({"kernel_regularizer": {"config": {"l1": 99.0}}}, 0.4, (0.1, 0.2, 0.1), []),
        ({"kernel_regularizer": {"config": {"l1": 0.01}}}, 0.8, (0.1, 0.2, 0.1), []),
        ({"kernel_constraint": {"config": {"max_value": 1.0}}}, 0.8, (0.1, 0.2, 0.1), ["T05"]),
        ({"kernel_constraint": {"config": {"max_value": 9.0}}}, 0.8, (0.1, 0.2, 0.1), []),
        ({}, 0.8, (0.1, 0.2, 0.1), []),
    ],
)
def test_a_penalty_or_a_constraint_keeps_a_model_from_learning(
    config: dict[str, Any], left: float, changed: tuple[float, ...], codes: list[str]
) -> None:
    run = Run()
    kernel = np.full((3, 1), 3**-0.5)
    weight = run.weight("kernel", kernel / 2)
    layer = {"units": 1, "activation": "linear", "weights": [weight], "shape": (None, 1)}
    penalty = 3**0.5 * config.get("kernel_regularizer", {}).get("config", {}).get("l1", 0.0)
    curve = (2 * VARIANCE + penalty, left * VARIANCE + penalty)
    run.trained(
        ("Dense", layer | config), loss="mse", y=Y, x=X, curve=curve, after={"l0/0": kernel},
        settings={"epochs": 2, "batch_size": 1},
    )  # fmt: skip
    recorded = tuple(left * VARIANCE * each for each in (1.0, 1.1, 1.0))
    told = found(run, trials(recorded, [each * VARIANCE for each in changed]))
    assert [each for each in told if each == "T05"] == codes


def asked_twice(bits: float, **about: Any) -> tuple[Run, Capsule]:
    """Return a run that predicts the same rows twice, and what asking again comes to."""
    run = Run()
    run.model(("LSTM", {"units": 1} | about))
    x = run.array("x", X)
    for line, values in ((1, X[:, :1]), (2, X[:, :1] + bits)):
        run.call(method("predict"), line=line)
        run.probe(inputs=[x], outputs=[run.array("y", values)], line=line, call=line)
    ref = {"name": "y", "key": "a", "dtype": "float32", "shape": [64, 1]}
    probes = [
        {"index": 1, "kind": "predict", "settings": {"changed": False}, "outputs": [ref]},
        {"index": 1, "kind": "predict", "settings": {"changed": True},
         "outputs": [ref | {"key": "b"}]},
    ]  # fmt: skip
    values = X[:, :1].astype(np.float32)
    return run, made(*probes, a=values, b=values + np.float32(bits))


def test_the_same_rows_have_two_answers() -> None:
    assert "P01" in found(*asked_twice(0.5, stateful=True)) + found(*asked_twice(0.25))
    run, outcome = asked_twice(0.0)
    assert asked(run) == []
    assert found(run, outcome) == []


def test_a_model_that_answers_alike_when_built_again_is_not_told() -> None:
    run, _ = asked_twice(0.5)
    _, alike = asked_twice(0.0)
    assert "P01" not in found(run, alike)


@pytest.mark.parametrize(
    ("layers", "modes", "codes"),
    [
        (["Dense", "Dropout", "Softmax"], (0.9, 0.4), ["L12"]),
        (["Dense", "Dropout"], (0.9, 0.4), ["L12"]),
        (["Dense", "Dropout", "Softmax"], (0.4, 0.4), []),
        (["Dropout", "Dense"], (0.9, 0.4), []),
        (["Dense", "Softmax"], (0.9, 0.4), []),
    ],
)
def test_dropout_stands_behind_the_last_weights(
    layers: list[str], modes: tuple[float, float], codes: list[str]
) -> None:
    run = Run()
    configs: dict[str, dict[str, Any]] = {
        "Dense": {"units": 2, "weights": [run.weight("kernel", KERNEL)]},
        "Dropout": {"rate": 0.5},
        "Softmax": {},
    }
    run.trained(
        *((each, dict(configs[each])) for each in layers),
        loss="categorical_crossentropy", y=ONE_HOT, x=X, curve=(0.5, 0.4) * 20,
        settings={"batch_size": 1},
    )  # fmt: skip
    probes = [
        {"index": 0, "kind": "evaluate", "settings": {"changed": changed},
         "curves": {"after": [loss]}}
        for changed, loss in zip((True, False), modes, strict=True)
    ]  # fmt: skip
    assert [each for each in found(run, made(*probes)) if each == "L12"] == codes


@pytest.mark.parametrize(
    ("steps", "bits", "codes"),
    [
        ([[3, 1, 0], [2, 0, 0]], 0.0, ["M09"]),
        ([[3, 1, 0], [2, 2, 2]], 0.0, ["M09"]),
        ([[3, 1, 0], [2, 0, 0]], 0.1, []),
        ([[3, 1, 4], [2, 2, 2]], 0.0, []),
    ],
)
def test_a_mask_reaches_nobody(steps: list[list[int]], bits: float, codes: list[str]) -> None:
    run = Run()
    run.model(("Embedding", {"mask_zero": True}), ("Flatten", {}), ("Dense", {"units": 1}))
    y = np.array([[0.5], [0.7]], np.float32)
    run.probe(inputs=[run.array("x", steps)], outputs=[run.array("y", y)])
    ref = {"name": "y", "key": "a", "dtype": "float32", "shape": [2, 1]}
    probes = [
        {"index": 0, "kind": "predict", "settings": {"changed": False}, "outputs": [ref]},
        {"index": 0, "kind": "predict", "settings": {"changed": True},
         "outputs": [ref | {"key": "b"}]},
    ]  # fmt: skip
    assert found(run, made(*probes, a=y, b=y + np.float32(bits))) == codes


@pytest.mark.parametrize(("trained_too", "codes"), [(False, ["P06"]), (True, [])])
def test_a_clone_has_weights_of_its_own(trained_too: bool, codes: list[str]) -> None:
    run = Run()
    for number, kernel in ((1, KERNEL), (2, [[0.5], [0.1], [0.2]])):
        layer = {"units": 1, "weights": [run.weight("kernel", kernel)]}
        run.model(("Dense", layer), id=number)
    run.call(symbol("keras.models.clone_model"), args=[thing(1)], result=thing(2))
    x, y = run.array("x", X), run.array("y", X[:, :1])
    if trained_too:
        run.probe("fit", inputs=[x], targets=[y], curves={"loss": [0.1]}, state=1)
    run.probe(inputs=[x], outputs=[y], state=0)
    run.probe(inputs=[x], outputs=[run.array("y", X[:, 1:2])], state=1)
    ref = {"name": "y", "key": "a", "dtype": "float32", "shape": [64, 1]}
    probes = [
        {"index": 0, "kind": "predict", "settings": {"changed": changed}, "outputs": [ref]}
        for changed in (False, True)
    ]
    outcome = made(*probes, a=X[:, :1].astype(np.float32))
    assert [each for each in found(run, outcome) if each == "P06"] == codes


@pytest.mark.parametrize(
    ("after", "own", "later", "codes"),
    [
        ([[5.0], [6.0], [7.0]], [[0.5], [0.1], [0.2]], "", ["P06"]),
        ([[5.0], [6.0], [7.0]], [[0.5], [0.1], [0.2]], "set_weights", []),
        ([[5.0], [6.0], [7.0]], [[5.0], [6.0], [7.0]], "", []),
        (KERNEL, [[0.5], [0.1], [0.2]], "", []),
    ],
)
def test_a_clone_of_a_trained_model_that_was_given_nothing_knows_nothing(
    after: Any, own: Any, later: str, codes: list[str]
) -> None:
    run = Run()
    layer = {"units": 1, "weights": [run.weight("kernel", KERNEL)]}
    run.call(method("fit", 1))
    run.trained(("Dense", layer), loss="own", y=Y, x=X, after={"l0/0": after}, call=1)
    run.call(symbol("keras.models.clone_model"), kwargs={"model": thing(1)}, result=thing(2))
    run.model(("Dense", {"units": 1, "weights": [run.weight("kernel", own)]}), id=2)
    if later:
        run.call(method(later, 2))
    run.probe(inputs=[run.array("x", X)], outputs=[run.array("y", X[:, 1:2])], state=1)
    answered = registry.answers(run.capsule()).findings
    assert [each.rule for each in answered if each.rule == "P06"] == codes


@pytest.mark.parametrize(("config", "codes"), [({"a": 1}, ["P06"]), ({"a": 2}, []), (None, [])])
def test_a_model_of_the_configuration_of_a_trained_one_knows_nothing(
    config: Any, codes: list[str]
) -> None:
    run = Run()
    layer = {"units": 1, "weights": [run.weight("kernel", KERNEL)]}
    run.call(method("fit", 1))
    run.trained(("Dense", layer), loss="own", y=Y, x=X, after={"l0/0": [[5.0]] * 3}, call=1)
    run.about["states"][0]["config"] = {"a": 1} if config else None
    run.call(symbol("keras.Sequential.from_config"), result=thing(2))
    own = {"units": 1, "weights": [run.weight("kernel", [[0.5]] * 3)]}
    run.model(("Dense", own), id=2, config=config)
    run.probe(inputs=[run.array("x", X)], outputs=[run.array("y", X[:, 1:2])], state=1)
    answered = registry.answers(run.capsule()).findings
    assert [each.rule for each in answered if each.rule == "P06"] == codes


@pytest.mark.parametrize(
    ("times", "trains", "bits", "codes"),
    [(1, True, 0.5, ["P04"]), (2, True, 0.5, []), (1, False, 0.5, []), (1, True, 0.0, [])],
)
def test_a_trained_model_is_not_asked_as_in_training(
    times: int, trains: bool, bits: float, codes: list[str]
) -> None:
    run = Run()
    run.trained(("Dropout", {"rate": 0.5}), ("Dense", {"units": 1}), loss="own", y=Y, x=X)
    run.call(thing(1), kwargs={"training": {"t": "bool", "v": "True"}})
    if not trains:
        run.about["probes"].clear()
    for number in range(times):
        x = run.array("x", X + number)
        run.probe("call", inputs=[x], outputs=[run.array("y", Y)], call=1)
    ref = {"name": "y", "key": "a", "dtype": "float32", "shape": [64, 1]}
    probes = [
        {"index": 1, "kind": "predict", "settings": {"changed": changed}}
        | {"outputs": [ref | {"key": key}]}
        for changed, key in ((False, "a"), (True, "b"))
    ]
    outcome = made(*probes, a=np.float32(Y), b=np.float32(Y + bits))
    outcomes = {Experiment("predict again", 1, "training"): outcome}
    answered = registry.answers(run.capsule(), outcomes=outcomes).findings
    assert [each.rule for each in answered if each.decides] == codes


@pytest.mark.parametrize(
    ("factor", "added", "told"),
    [(0.1, 1.0, True), (0.1, 0.0, False), (0.1, 0.5, False), (0, 1.0, False)],
)
def test_a_loss_that_holds_a_penalty(factor: float, added: float, told: bool) -> None:
    run = Run()
    config = {"kernel_regularizer": {"class_name": "L2", "config": {"l2": factor}}}
    layer = {"units": 1, "weights": [run.weight("kernel", KERNEL)]} | config
    run.model(("Dense", layer), compiled={"loss": "mse"})
    x, p = run.array("x", X), (Y + 0.5).astype(np.float32)
    own = float(np.mean((p.astype(np.float64) - Y.astype(np.float32)) ** 2))
    loss = run.array("y", [own + added * factor * 14.0])
    run.probe("evaluate", inputs=[x], targets=[run.array("y", Y)], outputs=[loss])
    run.probe(inputs=[x], outputs=[run.array("y", p)])
    codes = [each.rule for each in registry.answers(run.capsule()).findings]
    assert ("P03" in codes) is told


def own_function(argument: str, **about: Any) -> Run:
    """Return a training, or an evaluation of it, with a function of the script's own."""
    run = trained(loss="my_own", **({"y": Y, "x": X} | about))
    function = {"t": "closure", "id": 7, "name": "my_own"}
    run.call(method("compile"), kwargs={argument: function})
    return run


def on_the_way(*ways: tuple[Iterable[float], Iterable[float]]) -> Capsule:
    bare = {"index": 0, "kind": "evaluate", "settings": {"changed": False}}
    shown = [
        {"index": 0, "kind": "evaluate", "settings": {"changed": True}}
        | {"curves": {"after": [0.0], "towards": list(towards), "beyond": list(beyond)}}
        for towards, beyond in ways
    ]
    return made(bare | {"curves": {"after": [-9.0]}}, *shown)


RISES, FALLS = (-9.0, -4.0, -1.0, -0.1, -0.01), (9.0, 4.0, 1.0, 0.1, 0.01)


@pytest.mark.parametrize(
    ("ways", "codes"),
    [
        ([(RISES, RISES)], ["L20"]),
        ([(RISES, RISES)] * 3, ["L20"]),
        ([(FALLS, FALLS)], []),
        # The targets are no predictions: the loss goes on rising beyond them.
        ([(RISES, FALLS)], []),
        ([(RISES, RISES), (FALLS, FALLS)], []),
        ([((float("nan"),) * 5, RISES)], []),
    ],
)
def test_a_loss_is_not_greatest_at_the_targets(ways: Any, codes: list[str]) -> None:
    assert found(own_function("loss"), on_the_way(*ways)) == codes


def test_between_two_ends_nothing_lies_beyond_the_targets() -> None:
    run = own_function("loss", y=CLASSES, activation="sigmoid")
    assert found(run, on_the_way((RISES, FALLS))) == ["L20"]
    run = own_function("loss", y=CLASSES + 1, activation="sigmoid")
    assert found(run, on_the_way((RISES, FALLS))) == []


@pytest.mark.parametrize(
    ("said", "at_once", "printed", "codes"),
    [
        (0.5, 0.75, "0.75", ["P03"]),
        (0.5, 0.75, "0.5", []),
        (0.5, 0.75, "epoch 1: 0.76", []),
        (0.5, 0.5, "0.5", []),
        # It is no mean over batches that evaluate() gave: what else it is is not known.
        (0.6, 0.75, "0.75", []),
    ],
)
def test_a_metric_of_all_rows_is_printed_beside_the_mean_over_batches(
    said: float, at_once: float, printed: str, codes: list[str]
) -> None:
    run = own_function("metrics")
    outputs = [run.array("y['my_own']", said)]
    x, y = run.array("x", X), run.array("y", Y)
    run.probe("evaluate", inputs=[x], targets=[y], outputs=outputs, call=9)
    run.about["output"] = [{"stream": "stdout", "text": printed}]
    curves = {"my_own": [0.25, 0.75], "my_own mean": [0.5]}
    shown = [
        {"index": 1, "kind": "evaluate", "settings": {"changed": changed}, "curves": curve}
        for changed, curve in ((False, curves), (True, {"my_own": [at_once]}))
    ]
    outcomes = {Experiment("evaluate again", 1, "own metric"): made(*shown)}
    answered = registry.answers(run.capsule(), outcomes=outcomes)
    assert [each.rule for each in answered.findings if each.decides] == codes
