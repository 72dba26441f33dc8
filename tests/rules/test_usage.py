"""What a script's own use of Keras answers: from evidence in the run, and silent without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule
from bridge.compare.result import ProbePair, RunPair
from bridge.explain.repairs import repairs, works
from bridge.explain.verdict import conclude
from bridge.rules.language.seed_of_the_other_generator import drawn_layer
from bridge.rules.rule import Finding
from tests.compare_samples import Dense, Sample
from tests.rules.samples import Run, answers, method, needs_r, said, scalar, symbol, thing, tree_of


def test_a_softmax_over_one_unit_is_mathematics() -> None:
    run = Run()
    run.model(("Dense", {"units": 1, "activation": "softmax"}))
    run.probe()
    assert run.causes() == ["maths"]


def test_a_softmax_over_two_units_is_nothing() -> None:
    run = Run()
    run.model(("Dense", {"units": 2, "activation": "softmax"}))
    run.probe()
    assert run.causes() == []


@pytest.mark.parametrize(
    ("activation", "logits", "causes"),
    [
        ("linear", False, ["user-script"]),
        ("linear", True, []),
        ("sigmoid", False, []),
        ("sigmoid", True, ["user-script"]),
    ],
)
def test_a_loss_must_fit_what_the_last_layer_gives(
    activation: str, logits: bool, causes: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1, "activation": activation}))
    loss = symbol("keras.losses.BinaryCrossentropy")
    run.call(loss, kwargs={"from_logits": scalar(logits)}, result=thing(5))
    run.call(method("compile"), kwargs={"loss": thing(5)})
    run.probe("evaluate")
    assert run.causes() == causes


@pytest.mark.parametrize(("final", "causes"), [(4.0, ["maths"]), (40.0, [])])
def test_targets_out_of_reach_count_where_they_are_most_of_the_loss(
    final: float, causes: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1, "activation": "relu"}))
    run.call(method("compile"), kwargs={"loss": scalar("mse")})
    y = run.array("y", [[-2], [-2], [1]])
    run.probe("fit", targets=[y], curves={"loss": [50.0, final]})
    assert run.causes() == causes


@pytest.mark.parametrize(
    ("name", "config", "causes"),
    [("lr", {"learning_rate": 0.001}, ["keras-version"]), ("lr", {"rate": 0.5}, [])],
)
def test_an_argument_that_no_configuration_has_is_forgotten(
    name: str, config: dict[str, Any], causes: list[str]
) -> None:
    run = Run()
    run.model(compiled={"optimizer": {"config": config}})
    adam = symbol("keras.optimizers.Adam")
    run.call(adam, kwargs={name: scalar(0.5)}, result=thing(5))
    run.call(method("compile"), kwargs={"optimizer": thing(5)})
    assert run.causes() == causes


@pytest.mark.parametrize(("values", "causes"), [([1, -(2**31)], ["r-conversion"]), ([1, -5], [])])
def test_a_missing_integer_of_r_is_recognised_by_its_number(
    values: list[int], causes: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1}))
    run.probe(inputs=[run.array("x", values)])
    assert run.causes() == causes


@pytest.mark.parametrize(
    ("y", "causes"), [([1, 2, 3, 4], ["maths"]), ([1, 4, 2, 3], []), ([4, 3, 2, 1], ["maths"])]
)
def test_sorted_rows_leave_others_for_validation(y: list[int], causes: list[str]) -> None:
    run = Run()
    run.model(("Dense", {"units": 1}))
    run.probe("fit", targets=[run.array("y", y)], settings={"validation_split": 0.25})
    assert run.causes() == causes


@pytest.mark.parametrize(
    ("y", "units", "causes"),
    [([1, 2, 3], 4, ["r-index-base"]), ([0, 1, 2], 3, []), ([1, 2, 3], 9, [])],
)
def test_classes_counted_from_one_leave_a_class_empty(
    y: list[int], units: int, causes: list[str]
) -> None:
    run = Run()
    loss = {"loss": "sparse_categorical_crossentropy"}
    run.model(("Dense", {"units": units, "activation": "softmax"}), compiled=loss)
    run.probe("fit", targets=[run.array("y", y)])
    assert run.causes() == causes


@pytest.mark.parametrize("order", [1, -1])
def test_rows_without_class_0_are_a_part_of_the_rows(order: int) -> None:
    """A test set may lack a class that the model is trained with."""
    run = Run()
    loss = {"loss": "sparse_categorical_crossentropy"}
    run.model(("Dense", {"units": 3, "activation": "softmax"}), compiled=loss)
    for kind, y in [("fit", [0, 1, 2]), ("evaluate", [1, 2, 2])][::order]:
        run.probe(kind, targets=[run.array("y", y)])
    assert run.causes() == []


@pytest.mark.parametrize(
    ("given", "causes"), [([[1, 2, 2]], ["r-index-base"]), ([[1, 2], [0, 1]], []), ([[0, 2]], [])]
)
def test_a_column_for_class_0_is_too_many_where_no_row_has_it(
    given: list[list[int]], causes: list[str]
) -> None:
    run = Run()
    for y in given:
        made = run.array("", np.eye(3)[y])
        run.call(
            symbol("keras.utils.to_categorical"),
            args=[{"t": "list", "items": [scalar(each) for each in y]}],
            result={"t": "array"} | {key: made[key] for key in ("dtype", "shape", "key")},
        )
    assert run.causes() == causes


def twice(gap: float, **second: Any) -> Run:
    run = Run()
    run.model(("Dropout", {"rate": 0.5}))
    x, y = run.array("x", [[1.0]]), [[[1.0]], [[1.0 + gap]]]
    for number, more in enumerate(({}, second)):
        run.call(thing(1), kwargs=more)
        out = run.array("y", y[number])
        run.probe("call", inputs=[x], outputs=[out], call=number + 1, line=number + 1)
    return run


def test_a_model_run_as_in_training_and_as_in_use_has_two_modes() -> None:
    assert twice(0.5, training=scalar(True)).causes() == ["maths"]


def predicted_twice(steps: int, *, looked: bool = True) -> Capsule:
    """Record two predictions of a model; the second is ``steps`` of float32 off."""
    kernel = np.sin(np.arange(12, dtype=np.float32)).reshape(12, 1)
    layer = Dense(kernel, np.zeros(1, np.float32))
    x = np.cos(np.arange(24, dtype=np.float32)).reshape(2, 12)
    y = layer.run(x)
    sample = Sample()
    sample.predict([layer], x, looked=looked, line=4)
    off = (y + steps * np.spacing(y)).astype(np.float32)
    sample.predict([layer], x, looked=looked, outputs=[off], line=5)
    capsule = sample.capsule()
    # One model: a recording keeps the same weights once.
    states = (capsule.manifest.states[0],) * 2
    return Capsule(capsule.manifest.model_copy(update={"states": states}), capsule.arrays)


@pytest.mark.parametrize(
    ("steps", "looked", "decides"),
    [(1, True, [("rounding", True)]), (1, False, [("not-known", False)]),
     (4000, True, [("not-known", False)]), (0, True, [])],
)  # fmt: skip
def test_other_last_digits_are_rounding_where_every_layer_is_within_its_bound(
    steps: int, looked: bool, decides: list[tuple[str, bool]]
) -> None:
    found = answers(predicted_twice(steps, looked=looked))
    assert [(each.cause, each.decides) for each in found] == decides


def test_a_real_difference_between_two_predictions_is_not_explained_away() -> None:
    assert twice(0.5).causes() == []


@pytest.mark.parametrize("gap", [2.5e-4, 0.125])
def test_two_formulas_of_gelu_are_told_with_the_difference_of_this_run(gap: float) -> None:
    run = Run()
    given = {"t": "array"} | {k: v for k, v in run.array("x", [1.0]).items() if k != "name"}
    for value in (1.0, 1.0 + gap):
        made = {"t": "tensor"} | {
            k: v for k, v in run.array("y", [value], "float64").items() if k != "name"
        }
        more = {"approximate": scalar(True)} if value != 1.0 else {}
        run.call(symbol("keras.ops.gelu"), args=[given], kwargs=more, result=made)
    (found,) = answers(run.capsule())
    assert found.evidence[0].outcome == f"{gap:.3g}"


def sequential(*calls: tuple[int, Mapping[str, Any]]) -> Run:
    run = Run()
    run.call(symbol("keras.Sequential"), result=thing(1), line=1)
    for line, target in calls:
        run.call(target, line=line, args=[thing(7)] if target["name"] == "add" else [])
    return run


@pytest.mark.r
@needs_r
@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("a <- keras_model()\nb <- a\nb %>% layer_dense(1)\npredict(a, 1)", ["r-semantics"]),
        ("a <- keras_model()\nb <- a\nb %>% layer_dense(1)\npredict(b, 1)", []),
        ("a <- keras_model()\nb <- clone(a)\nb %>% layer_dense(1)\npredict(a, 1)", []),
        ("a <- keras_model()\n\na %>% layer_dense(1)\npredict(a, 1)", []),
        ("a <- keras_model()\n\nb <- a %>% layer_dense(1)\npredict(a, 1)", ["r-semantics"]),
    ],
)
def test_a_model_changed_under_one_name_and_used_under_another_is_shared(
    text: str, causes: list[str], tmp_path: Path
) -> None:
    run = sequential((3, method("add")), (4, method("predict")))
    assert run.causes(tree_of(text, tmp_path)) == causes


@pytest.mark.r
@needs_r
@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("x <- function() {\nm %>% layer_dense(1)\n}\nx()\nx()", ["r-semantics"]),
        ("for (n in sizes) {\nm %>% layer_dense(n)\n}", []),
    ],
)
def test_a_line_that_adds_the_last_layer_again_was_run_again(
    text: str, causes: list[str], tmp_path: Path
) -> None:
    run = sequential((2, method("add")), (2, method("add")))
    assert run.causes(tree_of(text, tmp_path)) == causes


@pytest.mark.r
@needs_r
@pytest.mark.parametrize(
    ("text", "decides"),
    [("set.seed(1)", [True]), ("set.seed(1)\nx <- rnorm(3)", [False]), ("set_random_seed(1)", [])],
)
def test_a_seed_of_r_decides_only_where_it_has_no_other_purpose(
    text: str, decides: list[bool], tmp_path: Path
) -> None:
    run = seeded(kernel={"class_name": "GlorotUniform", "config": {"seed": None}})
    found = answers(run.capsule(), tree_of(text, tmp_path))
    assert [each.decides for each in found if each.cause == "r-semantics"] == decides


@pytest.mark.parametrize(
    ("kernel", "bias", "drawn"),
    [
        ("glorot_uniform", "zeros", False),
        ("GlorotUniform", "zeros", True),
        ({"class_name": "GlorotUniform", "config": {"seed": 3}}, "zeros", False),
        ({"class_name": "GlorotUniform", "config": {"seed": 3}}, "RandomNormal", True),
        ({"class_name": "Constant", "config": {"value": "'seed': None"}}, "zeros", False),
    ],
)
def test_a_layer_is_drawn_where_one_of_its_initializers_draws_without_a_seed(
    kernel: Any, bias: Any, drawn: bool
) -> None:
    assert drawn_layer(seeded(kernel=kernel, bias=bias).capsule()) == ("l0" if drawn else "")


def seeded(**initializers: Any) -> Run:
    run = Run()
    run.model(("Dense", {f"{key}_initializer": value for key, value in initializers.items()}))
    weights = [{"name": "kernel", "array": run.array("kernel", [[1.0]])}]
    run.about["states"][0]["layers"][0]["weights"] = weights
    run.probe()
    return run


def failing(value: dict[str, Any], **arrays: Any) -> Capsule:
    run = Run()
    run.arrays |= arrays
    error = {"language": "python", "cls": "TypeError", "message": "no"}
    run.call(symbol("tf.reshape"), kwargs={"weights": value}, error=error)
    return run.capsule()


#: What the text of a call says that :func:`failing` recorded.
RESHAPED = "tf$reshape(x, weights = 3)"


@needs_r
def test_whole_numbers_are_tried_where_floats_were_refused(tmp_path: Path) -> None:
    capsule = failing({"t": "list", "items": [scalar(3.0)]})
    found = next(repairs(capsule, capsule, tree_of(RESHAPED, tmp_path)))
    repaired = found.capsule.manifest.calls[0].kwargs["weights"]
    assert repaired.model_dump()["items"][0] == {"t": "int", "v": "3"}
    assert "3L" in found.said.help


@needs_r
def test_a_single_number_among_weights_is_tried_as_an_array(tmp_path: Path) -> None:
    kernel = {"t": "array", "dtype": "float64", "shape": (1, 1), "key": "k"}
    capsule = failing({"t": "list", "items": [kernel, scalar(0.5)]}, k=np.ones((1, 1)))
    found = next(
        each
        for each in repairs(capsule, capsule, tree_of(RESHAPED, tmp_path))
        if "as.array" in each.said.help
    )
    item = found.capsule.manifest.calls[0].kwargs["weights"].model_dump()["items"][1]
    assert item["shape"] == (1,)
    assert found.capsule.arrays[item["key"]].tolist() == [0.5]


@needs_r
def test_nothing_is_tried_where_nothing_raised(tmp_path: Path) -> None:
    nothing = Run().capsule()
    assert list(repairs(nothing, nothing, tree_of(RESHAPED, tmp_path))) == []


@needs_r
def test_what_the_script_does_not_write_is_not_put_right(tmp_path: Path) -> None:
    capsule = failing({"t": "list", "items": [scalar(3.0)]})
    assert list(repairs(capsule, capsule, tree_of("tf$reshape(x, shape = 3)", tmp_path))) == []


@needs_r
def test_nothing_is_tried_where_the_replay_does_not_raise(tmp_path: Path) -> None:
    capsule = failing({"t": "list", "items": [scalar(3.0)]})
    assert list(repairs(capsule, Run().capsule(), tree_of(RESHAPED, tmp_path))) == []


@needs_r
@pytest.mark.parametrize(("later", "good"), [([], True), ([7], False)])
def test_a_repair_must_not_break_the_calls_that_follow(
    later: list[int], good: bool, tmp_path: Path
) -> None:
    run = Run()
    error = {"language": "python", "cls": "TypeError", "message": "no"}
    run.call(symbol("tf.reshape"), kwargs={"weights": scalar(3.0)}, error=error)
    run.call(symbol("tf.shape"))
    capsule = run.capsule()
    _, second = (call.id for call in capsule.manifest.calls)
    repair = next(repairs(capsule, capsule, tree_of(RESHAPED, tmp_path)))
    after = Run()
    after.call(symbol("tf.reshape"))
    if later:
        after.call(symbol("tf.shape"), error=error)
    assert repair.followers == {second}
    assert works(repair, after.capsule()) is good


def agreeing() -> tuple[dict[str, Capsule], list[RunPair]]:
    run = Run()
    run.model(("Dense", {"units": 1}))
    run.probe()
    probe = ProbePair(
        a="r",
        b="replay",
        probe="p",
        verdict="same-bits",
        rung="bit-equal",
        points=1,
        difference=None,
    )
    pair: dict[str, Any] = {"a": "r", "b": "replay", "verdict": "same-bits", "probes": (probe,)}
    pair["first_divergence"] = None
    return {"r": run.capsule()}, [RunPair.model_validate(pair)]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (said("maths", "It is one."), "maths"),
        (said("maths", "It may be.", decides=False), "none"),
        (said("r-conversion", "It is refused.", refused=True), "none"),
    ],
)
def test_only_an_answer_that_decides_names_the_cause_of_agreement(
    answer: Finding, cause: str
) -> None:
    found = conclude(*agreeing(), usage=(answer,))
    assert (found.verdict, found.cause) == ("same-bits", cause)


@pytest.mark.r
@needs_r
@pytest.mark.parametrize(
    ("text", "sent", "causes"),
    [
        ("layer_dense(units = 4.6)", 4, ["r-conversion"]),
        ("n <- 9.2 / 2\nlayer_dense(units = n)", 4, ["r-conversion"]),
        ("layer_dense(4.6)", 4, ["r-conversion"]),
        ("layer_dense(units = 4)", 4, []),
        ("layer_dense(units = 4.6)", 4.6, []),
        ("n <- 4.6\nn <- 4\nlayer_dense(units = n)", 4, []),
    ],
)
def test_a_fraction_that_the_text_gives_and_python_did_not_get_is_found(
    text: str, sent: float, causes: list[str], tmp_path: Path
) -> None:
    run = Run()
    line = len(text.splitlines())
    call = "layer_dense(units = n)"
    run.call(symbol("keras.layers.Dense"), kwargs={"units": scalar(sent)}, line=line, r_call=call)
    assert run.causes(tree_of(text, tmp_path)) == causes


@pytest.mark.r
@needs_r
@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("op_argmax(x, axis = -1)", ["r-index-base"]),
        ("op_argmax(x, axis = -1, zero_indexed = TRUE)", []),
    ],
)
def test_results_that_count_from_one_are_named(
    text: str, causes: list[str], tmp_path: Path
) -> None:
    run = Run()
    run.call(symbol("keras.ops.argmax"))
    assert run.causes(tree_of(text, tmp_path)) == causes


@pytest.mark.parametrize(("names", "causes"), [(("b", "a"), ["r-conversion"]), (("a", "b"), [])])
def test_inputs_named_in_another_order_than_the_alphabets_are_sorted(
    names: tuple[str, ...], causes: list[str]
) -> None:
    run = Run()
    pairs = {"t": "dict", "items": [[scalar(name), thing(n)] for n, name in enumerate(names)]}
    run.call(symbol("keras.Model"), kwargs={"inputs": pairs}, result=thing(9))
    fed = {"t": "list", "items": [thing(3), thing(4)]}
    run.call(method("predict", 9), kwargs={"x": fed})
    assert run.causes() == causes
