"""Rules of a model's structure: what raises them, and what nearly does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.rules.samples import Run, method

Y = [[0.5], [1.5], [2.0], [4.0], [3.0], [7.0], [5.5], [6.0]]


def layer(cls: str, run: Run, before: Any, **config: Any) -> tuple[str, dict[str, Any]]:
    """Describe a layer with one kernel, as it was before a training."""
    return cls, {"weights": [run.weight("kernel", before)], **config}


@pytest.mark.parametrize(
    ("activations", "x", "end", "found"),
    [
        (("linear", "linear"), np.arange(8.0)[:, None] ** 2, 1.2, ["M01"]),
        (("linear", "linear", "linear"), np.arange(8.0)[:, None] ** 2, 0.9, ["M01"]),
        (("relu", "linear"), np.arange(8.0)[:, None] ** 2, 1.2, []),
        (("linear",), np.arange(8.0)[:, None] ** 2, 1.2, []),
        (("linear", "linear"), np.array(Y), 0.5, []),
        (("linear", "linear"), np.eye(8), 0.5, []),
    ],
)
def test_what_is_one_affine_map_cannot_beat_least_squares(
    activations: tuple[str, ...], x: Any, end: float, found: list[str]
) -> None:
    run = Run()
    layers = [layer("Dense", run, [[1.0]], activation=each, units=1) for each in activations]
    run.trained(*layers, loss="mse", y=Y, x=x, curve=(9.0, end))
    run.about["states"][0]["cls"] = "keras.Sequential"
    assert [code for code in run.rules() if code != "M08"] == found


@pytest.mark.parametrize(
    ("inbound", "found"), [(["i", "a"], ["M01"]), (["i", "i"], []), (["i", "a", "i"], [])]
)
def test_a_chain_of_layers_is_one_affine_map_in_a_functional_model_too(
    inbound: list[str], found: list[str]
) -> None:
    run = Run()
    layers = [layer("Dense", run, [[1.0]], activation="linear", units=1) for _ in range(2)]
    x = np.arange(8.0)[:, None] ** 2
    run.trained(("InputLayer", {}), *layers, loss="mse", y=Y, x=x, curve=(9.0, 1.2))
    state = run.about["states"][0]
    state |= {"cls": "keras.Functional", "config": {"output_layers": [["b", 0, 0]]}}
    given: list[list[str]] = [[], inbound[:1], inbound[1:]]
    for described, name, names in zip(state["layers"], "iab", given, strict=True):
        described |= {"name": name, "inbound": names}
    assert [code for code in run.rules() if code != "M08"] == found


@pytest.mark.parametrize(
    ("x", "y", "end", "found"),
    [
        ([[0, 0], [0, 1], [1, 0], [1, 1]] * 4, [[0], [1], [1], [0]] * 4, 0.7, ["M01"]),
        ([[0], [1], [2], [3]] * 4, [[1], [0], [0], [1]] * 4, 0.7, ["M01"]),
        ([[0, 0], [0, 1], [1, 0], [1, 1]] * 4, [[0], [1], [1], [1]] * 4, 0.7, []),
        ([[0], [1], [2], [3]] * 4, [[1], [0], [0], [0]] * 4, 0.3, []),
        ([[0], [1], [2], [3]] * 4, [[0], [0], [1], [1]] * 4, 0.1, []),
    ],
)
def test_no_plane_parts_what_a_linear_classifier_cannot(
    x: Any, y: Any, end: float, found: list[str]
) -> None:
    run = Run()
    names = ("linear", "sigmoid")
    layers = [layer("Dense", run, [[1.0]], activation=each, units=1) for each in names]
    run.trained(*layers, loss="binary_crossentropy", y=y, x=x, curve=(0.8, end))
    run.about["states"][0]["cls"] = "keras.Sequential"
    assert run.rules() == found


@pytest.mark.parametrize(
    ("before", "after", "trainable", "found"),
    [
        ([[1.0, 2.0]], [[1.0, 3.0]], False, ["M04"]),
        ([[1.0, 2.0]], [[1.0000001, 2.0]], False, ["M04"]),
        ([[1.0, 2.0]], [[1.0, 2.0]], False, []),
        ([[1.0, 2.0]], [[1.0, 3.0]], True, []),
        ([[1.0, 2.0]], [[0.0, 3.0]], True, []),
    ],
)
def test_a_frozen_layer_must_not_move(
    before: Any, after: Any, trainable: bool, found: list[str]
) -> None:
    run = Run()
    layers = (
        layer("Dense", run, before, units=2, activation="relu", trainable=trainable),
        layer("Dense", run, [[1.0], [2.0]], units=1, activation="linear"),
    )
    after = {"l0/0": after, "l1/0": [[1.5], [2.5]]}
    run.trained(*layers, loss="mse", y=Y, after=after)
    assert run.rules() == found


@pytest.mark.parametrize(
    ("frozen_first", "second", "found"),
    [(True, [[1.0, 2.0]], ["M04"]), (True, [[1.0, 3.0]], []), (False, [[1.0, 2.0]], [])],
)
def test_a_layer_that_was_set_free_must_move(
    frozen_first: bool, second: Any, found: list[str]
) -> None:
    run = Run()
    for number, trainable in enumerate((not frozen_first, True)):
        first = layer("Dense", run, [[1.0, 2.0]], activation="relu", trainable=trainable)
        head = layer("Dense", run, [[1.0], [2.0]], units=1, activation="linear")
        after = {"l0/0": second if number else [[1.0, 2.0]], "l1/0": [[1.5], [2.5]]}
        run.trained(first, head, loss="mse", y=Y, after=after)
        run.about["probes"][-1]["state"] = number
    assert run.rules() == found


@pytest.mark.parametrize(("compiled", "found"), [(False, ["M04"]), (True, ["T01"])])
def test_a_model_that_was_set_free_and_not_compiled_stays(compiled: bool, found: list[str]) -> None:
    run = Run()
    for number, name in enumerate(("fit", *(("compile",) if compiled else ()), "fit")):
        run.call(method(name))
        if name == "fit":
            only = layer("Dense", run, [[1.0]], units=1, trainable=number > 0)
            run.trained(only, loss="mse", y=Y, after={"l0/0": [[1.0]]}, call=number + 1)
            run.about["probes"][-1]["state"] = len(run.about["states"]) - 1
    assert [code for code in run.rules() if code in ("M04", "T01")] == found


@pytest.mark.parametrize(
    ("cls", "config", "found"),
    [
        ("BatchNormalization", {"axis": [1], "shape": [None, 6, 6, 4]}, ["M05"]),
        ("BatchNormalization", {"axis": 1, "shape": [None, 9, 4]}, ["M05"]),
        ("LayerNormalization", {"axis": -1, "shape": [None, 1]}, ["M05"]),
        ("BatchNormalization", {"axis": -1, "shape": [None, 6, 6, 4]}, []),
        ("BatchNormalization", {"axis": 3, "shape": [None, 6, 6, 4]}, []),
        ("BatchNormalization", {"axis": 1, "shape": [None, 4]}, []),
        ("LayerNormalization", {"axis": -1, "shape": [None, 2]}, []),
    ],
)
def test_a_layer_normalises_over_channels(
    cls: str, config: dict[str, Any], found: list[str]
) -> None:
    run = Run()
    run.model((cls, config))
    run.probe()
    assert run.rules() == found


def test_channels_that_come_first_are_the_axis() -> None:
    run = Run()
    conv = ("Conv2D", {"data_format": "channels_first", "shape": [None, 4, 6, 6]})
    run.model(conv, ("BatchNormalization", {"axis": 1, "shape": [None, 4, 6, 6]}))
    run.probe()
    assert run.rules() == []


@pytest.mark.parametrize(
    ("x", "found"),
    [
        ([[0.25, 0.5], [0.75, 0.1]], ["M06"]),
        ([[3.0, 3.0], [3.0, 3.0]], ["M06"]),
        ([[3.0, 4.0], [3.0, 3.0]], []),
        ([[0.0, 1.0], [2.0, 0.0]], []),
        ([[5.0, 5.0]], []),
    ],
)
def test_an_embedding_looks_up_whole_numbers(x: Any, found: list[str]) -> None:
    run = Run()
    run.model(("InputLayer", {}), ("Embedding", {"input_dim": 9, "output_dim": 2}))
    run.probe(inputs=[run.array("x", x)])
    assert run.rules() == found


@pytest.mark.parametrize(
    ("before", "found"), [([[2.0], [2.0], [2.0]], ["M07"]), ([[2.0], [2.0], [2.5]], [])]
)
def test_one_answer_may_differ_in_its_last_bit_where_the_last_layer_was_given_one(
    before: Any, found: list[str]
) -> None:
    run = Run()
    kernel = layer("Dense", run, [[1.0], [2.0]], units=1, activation="linear")
    run.trained(kernel, loss="mse", y=Y[:3], after={"l0/0": [[0.0], [0.0]]})
    x = run.array("x", np.arange(6.0).reshape(3, 2))
    y = run.array("y", np.array([[0.5], [0.5], [np.nextafter(np.float32(0.5), np.float32(1))]]))
    seen = {"layer": "l0", "inputs": [run.array("h", before)], "outputs": [y]}
    run.probe(inputs=[x], outputs=[y], layers=[seen])
    assert run.rules() == found


@pytest.mark.parametrize(
    ("outputs", "trained", "found"),
    [
        ([[0.5], [0.5], [0.5]], True, ["M07"]),
        ([[0.5, 0.25]] * 3, True, ["M07"]),
        ([[0.5], [0.5], [0.50000006]], True, []),
        ([[0.5], [0.5], [0.5]], False, []),
        ([[0.5]], True, []),
        ([[0.5], [0.5]], True, []),
    ],
)
def test_a_trained_model_answers_other_rows_otherwise(
    outputs: Any, trained: bool, found: list[str]
) -> None:
    run = Run()
    kernel = layer("Dense", run, [[1.0], [2.0]], units=1, activation="linear")
    if trained:
        run.trained(kernel, loss="mse", y=Y[:3], after={"l0/0": [[0.0], [0.0]]})
    else:
        run.model(kernel)
    x = run.array("x", np.arange(2.0 * len(outputs)).reshape(-1, 2))
    run.probe("predict", inputs=[x], outputs=[run.array("p", outputs)])
    assert run.rules() == found


@pytest.mark.parametrize(
    ("kind", "config", "inbound", "found"),
    [
        ("Conv1D", {"kernel_size": [1], "strides": [2]}, ["in"], ["M07"]),
        ("AveragePooling2D", {"pool_size": [2, 1], "strides": [2, 3]}, ["in"], ["M07"]),
        ("Conv1D", {"kernel_size": [1], "strides": [2]}, ["before"], []),
        ("Conv1D", {"kernel_size": [2], "strides": [2]}, ["in"], []),
        ("Conv1D", {"kernel_size": [2], "strides": [3], "dilation_rate": [2]}, ["in"], []),
        ("Conv1DTranspose", {"kernel_size": [1], "strides": [2]}, ["in"], []),
        ("Cropping1D", {"cropping": [4, 0]}, ["in"], []),
    ],
)
def test_windows_that_are_moved_too_far_leave_out_input(
    kind: str, config: dict[str, Any], inbound: list[str], found: list[str]
) -> None:
    run = Run()
    run.trained(("InputLayer", {}), ("Dense", {}), (kind, config), loss="own", y=[[0.5], [1.5]])
    state = run.about["states"][0]
    for described, name, given in zip(
        state["layers"], ("in", "before", "window"), ([], [], inbound), strict=True
    ):
        described |= {"name": name, "inbound": given}
    assert run.rules() == found
    state["layers"][1]["inbound"] = ["in"]
    assert run.rules() == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([[0.5, 0.5], [0.5, 0.5]], [[0.7, 0.7], [0.1, 0.1]], ["M08"]),
        (np.ones((3, 2, 4)), np.full((3, 2, 4), 2.0), ["M08"]),
        ([[0.5, 0.5], [0.5, 0.5]], [[0.7, 0.6], [0.1, 0.1]], []),
        ([[0.5, 0.4], [0.5, 0.5]], [[0.7, 0.7], [0.1, 0.1]], []),
        ([[0.5], [0.5]], [[0.7], [0.1]], []),
    ],
)
def test_units_with_the_same_weights_stay_one(before: Any, after: Any, found: list[str]) -> None:
    run = Run()
    hidden = layer("Dense", run, before, activation="relu")
    head = layer("Dense", run, [[1.0, 1.0], [1.0, 1.0]], activation="linear")
    heads = {"l0/0": after, "l1/0": [[2.0, 2.0], [2.0, 2.0]]}
    run.trained(hidden, head, loss="mse", y=[[1.0, 2.0], [3.0, 5.0]], after=heads)
    assert run.rules() == found


@pytest.mark.parametrize(
    ("shape", "loss", "y", "found"),
    [
        ([None, 6, 1], "mse", np.ones((4, 1)) * [[1], [2], [3], [4]], ["M10"]),
        ([None, 3, 1], "categorical_crossentropy", np.eye(3), ["M10"]),
        ([None, 6, 2], "mse", np.arange(8.0).reshape(4, 2), ["M10"]),
        ([None, 3, 1], "binary_crossentropy", np.eye(3), []),
        ([None, 3, 5], "sparse_categorical_crossentropy", np.arange(12).reshape(4, 3) % 5, []),
        ([None, 3, 2], "mse", np.arange(24.0).reshape(4, 3, 2), []),
        ([None, 1], "mse", np.ones((4, 1)) * [[1], [2], [3], [4]], []),
    ],
)
def test_an_output_with_an_axis_more_than_the_targets_misses_a_flatten(
    shape: list[int | None], loss: str, y: Any, found: list[str]
) -> None:
    run = Run()
    last = ("Dense", {"units": shape[-1], "activation": "sigmoid", "shape": shape})
    run.trained(last, loss=loss, y=y, curve=(2.0, 1e9))
    assert [code for code in run.rules() if code in ("M10", "L08", "L09")] == found


@pytest.mark.parametrize(
    ("factors", "end", "found"),
    [
        ((1.0, 0.1, 0.01), 0.70, ["M03"]),
        ((1.0, 0.5, 0.25, 0.125), 0.6931, ["M03"]),
        ((1.0, 0.1, 0.01), 0.30, []),
        ((1.0, 0.1, 0.2), 0.70, []),
        ((1.0, 0.1), 0.70, []),
    ],
)
def test_squashing_layers_in_a_row_hand_on_no_signal(
    factors: tuple[float, ...], end: float, found: list[str]
) -> None:
    run = Run()
    hidden = [("Dense", {"units": 2, "activation": "sigmoid"}) for _ in factors]
    y = np.array([0, 1] * 20)[:, None]
    last = ("Dense", {"units": 1, "activation": "sigmoid"})
    run.trained(*hidden, last, loss="binary_crossentropy", y=y, curve=(0.8, end))
    rows = np.linspace(0, 1, 40)[:, None] * [[1.0, 2.0]]
    seen = [
        {
            "layer": f"l{n}",
            "inputs": [],
            "outputs": [run.array("y", rows * factor)],
        }
        for n, factor in enumerate(factors)
    ]
    x, p = run.array("x", rows), run.array("p", rows[:, :1])
    run.probe("predict", inputs=[x], outputs=[p], layers=seen)
    assert run.rules() == found
