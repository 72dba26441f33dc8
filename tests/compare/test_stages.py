from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule, ExecutedGraph, ExecutedOp, LayerState, ModelState, Probe
from bridge.compare.config_normal_form import Unlike, compare_configs
from bridge.compare.result import ProbePair, RunPair
from bridge.compare.stages import compare_runs
from bridge.rounding.ladder import LadderStep
from bridge.rounding.layer_records import Judge, judge_probe
from bridge.runs.reference import reference
from tests.compare_samples import Dense, Sample, error, flip_bit, grid, two_layers


def run(layers: list[Dense] | None = None, x: Any = None, **rest: Any) -> Capsule:
    runner = rest.pop("runner", "r")
    fed = grid() if x is None else x
    return Sample(runner).predict(layers or two_layers(), fed, **rest).capsule()


def stage(pair: RunPair | ProbePair, name: str) -> Any:
    probe = pair.probes[0] if isinstance(pair, RunPair) else pair
    return next(each for each in probe.stages if each.stage == name)


def changed(number: int, **fields: Any) -> list[Dense]:
    layers = two_layers()
    layers[number] = replace(layers[number], **fields)
    return layers


def nudged(capsule: Capsule, factor: float) -> Capsule:
    """Return the run with every output of its last layer, and its prediction, a factor off."""
    (probe,) = capsule.manifest.probes
    arrays = dict(capsule.arrays)
    for ref in (*probe.outputs, *(probe.layers[-1].outputs if probe.layers else ())):
        assert ref.key is not None
        arrays[ref.key] = capsule.array(ref) * np.float32(factor)
    return Capsule(capsule.manifest, arrays)


# --- agreement ----------------------------------------------------------------------------------


def test_equal_runs_have_the_same_bits_at_every_stage() -> None:
    found = compare_runs(run(), run(runner="twin"))
    assert (found.a, found.b, found.verdict, found.first_divergence) == (
        "r",
        "twin",
        "same-bits",
        None,
    )
    (probe,) = found.probes
    assert (probe.verdict, probe.rung, probe.points, probe.beyond_bound) == (
        "same-bits", "bit-equal", 40, 0,
    )  # fmt: skip
    assert [each.stage for each in probe.stages] == [
        "config", "weights", "input", "layer", "prediction",
    ]  # fmt: skip
    assert all(each.same for each in probe.stages)


def test_rounding_is_certified_only_if_both_runs_are() -> None:
    a, b = run(), nudged(run(runner="twin"), 1 + 1e-7)
    found = compare_runs(a, b)
    assert (found.verdict, found.probes[0].rung) == ("within-rounding", "certified")
    assert found.first_divergence is None
    assert stage(found, "prediction").same is True
    assert "within the rounding bound" in stage(found, "prediction").detail


def test_without_a_look_into_both_runs_rounding_from_end_to_end_decides() -> None:
    a, b = run(), nudged(run(runner="twin", looked=False), 1 + 1e-7)
    found = compare_runs(a, b)
    assert (found.verdict, found.probes[0].rung) == ("within-rounding", "probabilistic")
    assert "what its layers received was not recorded" in found.probes[0].detail


def test_without_a_look_more_than_rounding_is_left_open_and_not_called_different() -> None:
    a, b = run(), nudged(run(runner="twin", looked=False), 1.001)
    found = compare_runs(a, b)
    assert (found.verdict, found.probes[0].rung) == ("abstained", "abstained")
    assert "twin: what its layers received was not recorded" in found.detail
    assert "further off than independent roundings" in found.detail
    assert stage(found, "prediction").same is None


def test_a_difference_beyond_rounding_names_the_layer_and_the_element() -> None:
    a = run()
    b = nudged(run(runner="twin"), 1.001)
    found = compare_runs(a, b)
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "layer"
    assert found.first_divergence.where.startswith(
        "keras.Model(model.inputs, model.get_layer('dense_1').output)(x)["
    )
    assert "twin, dense_1: " in found.first_divergence.detail
    assert found.probes[0].beyond_bound


def test_two_runs_with_the_same_fault_have_the_same_bits_and_the_reference_tells() -> None:
    broken = nudged(run(), 1.01)
    found = compare_runs(broken, nudged(run(runner="replay"), 1.01))
    assert found.verdict == "same-bits"
    assert found.probes[0].beyond_bound
    found = compare_runs(broken, reference(broken))
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "layer"


# --- where runs part ----------------------------------------------------------------------------


@pytest.mark.parametrize("bit", [0, 13, 31])
def test_one_bit_of_one_weight_is_another_model(bit: int) -> None:
    kernel = flip_bit(two_layers()[1].kernel, (3, 1), bit)
    found = compare_runs(run(), run(changed(1, kernel=kernel), runner="twin"))
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "weights"
    assert found.first_divergence.where == "model.get_layer('dense_1').kernel[3, 1]"
    old, new = two_layers()[1].kernel[3, 1].item(), kernel[3, 1].item()
    assert f"{old!r} and {new!r}" in found.first_divergence.detail


def test_a_weight_that_does_not_show_in_the_prediction_is_still_another_model() -> None:
    layers = two_layers()
    layers[0].kernel[:, 2] = 0
    layers[0].bias[2] = -5
    other = [replace(layers[0]), replace(layers[1], kernel=flip_bit(layers[1].kernel, (2, 0)))]
    found = compare_runs(run(layers), run(other, runner="twin"))
    assert (found.verdict, found.probes[0].rung) == ("different", "bit-equal")
    assert "the predictions have the same bits" in found.detail
    assert stage(found, "prediction").same is True


def test_one_bit_of_one_input_is_named() -> None:
    found = compare_runs(run(), run(x=flip_bit(grid(), (7, 2)), runner="twin"))
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert (found.first_divergence.stage, found.first_divergence.where) == ("input", "x[7, 2]")


def test_another_activation_is_a_difference_of_configuration() -> None:
    found = compare_runs(run(), run(changed(0, activation="linear"), runner="twin"))
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "config"
    where = "model.get_layer('dense').get_config()['activation']"
    assert found.first_divergence.where == where
    assert "'relu' against 'linear'" in found.first_divergence.detail


def test_the_earliest_stage_of_the_earliest_probe_speaks() -> None:
    layers, x = two_layers(), grid()
    a = Sample().predict(layers, x).predict(layers, x).capsule()
    bent = changed(0, kernel=flip_bit(layers[0].kernel, (0, 0)))
    b = Sample("twin").predict(layers, flip_bit(x, (1, 1))).predict(bent, x).capsule()
    found = compare_runs(a, b)
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "input"
    assert found.first_divergence.detail.startswith("predict 1: ")


def test_another_number_of_layers_is_told_by_their_classes() -> None:
    layers = two_layers()
    found = compare_runs(run(layers), run(layers[:1], runner="twin"))
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "config"
    assert "['Dense', 'Dense'] against ['Dense']" in found.first_divergence.detail


def test_the_same_bits_of_another_shape_are_not_the_same_prediction() -> None:
    a, b = run(), run(runner="twin")
    (probe,) = b.manifest.probes
    ref = probe.outputs[0]
    assert ref.key is not None
    turned = ref.model_copy(update={"shape": (2, 20)})
    manifest = b.manifest.model_copy(
        update={"probes": (probe.model_copy(update={"outputs": (turned,)}),)}
    )
    b = Capsule(manifest, {**b.arrays, ref.key: b.array(ref).reshape(2, 20)})
    found = compare_runs(a, b)
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "prediction"
    assert "(20, 2) against (2, 20)" in found.first_divergence.detail


def test_doubles_that_become_the_same_float32_are_the_same_input() -> None:
    x = grid().astype(np.float64) * (1 + 1e-12)
    found = compare_runs(run(x=x), run(x=x.astype(np.float32), runner="twin"))
    assert found.verdict == "same-bits"
    assert "the model received the same" in stage(found, "input").detail
    unseen = compare_runs(run(x=x), run(x=x.astype(np.float32), runner="twin", looked=False))
    assert unseen.verdict == "same-bits"


def test_doubles_that_become_another_float32_are_another_input() -> None:
    x = grid().astype(np.float64) * (1 + 1e-7)
    found = compare_runs(run(x=x), run(runner="twin", looked=False))
    assert found.verdict == "different"
    assert stage(found, "input").where == "x.dtype"


def test_what_another_type_than_float32_would_receive_is_not_guessed() -> None:
    layers = [replace(each, extra={"dtype": "mixed_float16"}) for each in two_layers()]
    x = grid().astype(np.float64)
    found = compare_runs(run(layers, x), run(layers, grid(), runner="twin", looked=False))
    assert stage(found, "input").same is False


def test_elements_that_were_not_recorded_decide_nothing() -> None:
    a, b = run(), run(runner="twin")
    (state,) = b.manifest.states
    first = state.layers[0]
    gone = first.weights[0].array.model_copy(update={"key": None})
    layer = first.model_copy(
        update={"weights": (first.weights[0].model_copy(update={"array": gone}), first.weights[1])}
    )
    states = (state.model_copy(update={"layers": (layer, state.layers[1])}),)
    found = compare_runs(a, Capsule(b.manifest.model_copy(update={"states": states}), b.arrays))
    assert stage(found, "weights").same is None
    assert found.verdict == "same-bits"


def test_executed_graphs_that_differ_are_told_and_decide_nothing() -> None:
    def graph(*fused: str) -> ExecutedGraph:
        op = "_FusedMatMul" if fused else "MatMul"
        return ExecutedGraph(ops=(ExecutedOp(op=op, name="sequential/dense/Relu", fused=fused),))

    a = run(executed=graph("BiasAdd", "Relu"))
    b = run(runner="twin", executed=graph())
    found = compare_runs(a, b)
    assert found.verdict == "same-bits"
    assert found.probes[0].executed == ("_FusedMatMul[BiasAdd,Relu]", "MatMul")
    assert "MatMul 0 against 1" in found.probes[0].detail


# --- training -----------------------------------------------------------------------------------


def fit(runner: Any, **curves: tuple[float, ...]) -> Capsule:
    sample = Sample(runner)
    weights = sample.array("dense/0", np.ones(3, np.float32))
    return sample.probe(kind="fit", curves=curves, outputs=(weights,)).capsule()


def test_training_curves_are_compared_bit_for_bit() -> None:
    a = fit("r", loss=(1.0, float("nan"), 0.25))
    assert compare_runs(a, fit("twin", loss=(1.0, float("nan"), 0.25))).verdict == "same-bits"
    found = compare_runs(a, fit("twin", loss=(1.0, float("nan"), 0.25 + 2**-54)))
    assert found.verdict == "abstained"
    assert "no rule says how far rounding carries" in found.detail
    parted = stage(found, "training curve")
    assert (parted.where, parted.same) == ("history['loss'][2]", False)
    assert parted.detail.startswith("epoch 3: 0.25 and 0.25")


def test_a_curve_that_only_one_run_has_is_told() -> None:
    found = compare_runs(fit("r", loss=(1.0,)), fit("twin", loss=(1.0,), mae=(2.0,)))
    assert stage(found, "training curve").detail == "only twin has it"
    found = compare_runs(fit("r", loss=(1.0,)), fit("twin", loss=(1.0, 2.0)))
    assert stage(found, "training curve").detail == "1 against 2 epochs"


# --- how runs end -------------------------------------------------------------------------------


def ended(runner: Any, status: str = "error", *errors: Any, caught: Any = ()) -> Capsule:
    last = errors[0] if errors else None
    return Sample(runner, status=status, error=last, caught=tuple(caught)).capsule()


def test_the_same_error_in_both_runs_is_the_same_error() -> None:
    r = ended("r", "error", error(
        "ValueError: Layer dense_12 got 3.\nRun `reticulate::py_last_error()` for details.",
        "simpleError", language="r",
    ))  # fmt: skip
    found = compare_runs(r, ended("twin", "error", error("Layer dense got 3.")))
    assert (found.verdict, found.first_divergence) == ("same-error", None)


def test_a_survived_error_counts_like_the_one_that_ended_the_other_run() -> None:
    r = ended("r", "error", error("ValueError: no", "simpleError", language="r"))
    replay = ended("replay", "ok", caught=[error("no")])
    assert compare_runs(r, replay).verdict == "same-error"


def test_an_error_of_only_one_run_is_a_difference() -> None:
    found = compare_runs(
        ended("r", "error", error("no", line=7, call="layer_dense(3.7)")), ended("twin", "ok")
    )
    assert found.verdict == "different"
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "arguments"
    assert found.first_divergence.where == "line 7: layer_dense(3.7)"
    assert "only r meets ValueError: no" in found.detail


def test_other_errors_are_a_difference() -> None:
    found = compare_runs(ended("r", "error", error("no")), ended("twin", "error", error("yes")))
    assert found.verdict == "different"
    assert "r meets ValueError: no; twin meets ValueError: yes" in found.detail


@pytest.mark.parametrize("status", ["time-limit", "memory-limit", "killed", "syntax-error"])
def test_a_run_that_was_stopped_has_failed(status: str) -> None:
    found = compare_runs(ended("r", status), ended("twin", "ok"))
    assert found.verdict == "failed"
    assert status in found.detail


def test_a_run_that_ends_itself_is_compared_as_far_as_it_went() -> None:
    a = Sample("r", status="quit").predict(two_layers(), grid()).capsule()
    assert compare_runs(a, run(runner="twin")).verdict == "same-bits"


def test_a_prediction_that_raised_in_both_runs_is_the_same_error() -> None:
    def raising(runner: Any, cls: str) -> Capsule:
        about = {"kind": "predict", "status": "raised", "why": cls}
        return Sample(runner, caught=(error("no"),)).probe(**about).capsule()

    found = compare_runs(raising("r", "ValueError"), raising("twin", "ValueError"))
    assert (found.verdict, found.probes[0].verdict) == ("same-error", "same-error")
    assert not found.alone
    found = compare_runs(raising("r", "ValueError"), raising("twin", "TypeError"))
    assert found.probes[0].verdict == "different"
    found = compare_runs(raising("r", "ValueError"), run(runner="twin"))
    assert found.probes[0].verdict == "different"


def test_a_prediction_that_one_run_made_and_the_other_raised_was_refused_to_it() -> None:
    made = run(runner="twin")
    gone = {"status": "raised", "why": "ValueError", "outputs": (), "layers": ()}
    probes = tuple(probe.model_copy(update=gone) for probe in made.manifest.probes)
    manifest = made.manifest.model_copy(update={"runner": "r", "probes": probes})
    found = compare_runs(Capsule(manifest, made.arrays), made)
    assert (found.verdict, found.alone) == ("different", True)
    assert found.detail.endswith("only r raised ValueError")


def test_a_prediction_that_one_run_alone_made_was_refused_to_the_other() -> None:
    one = Sample("r").predict(two_layers(), grid()).capsule()
    both = Sample("twin").predict(two_layers(), grid()).predict(two_layers(), grid()).capsule()
    assert compare_runs(one, both).alone
    assert not compare_runs(one, one).alone


def test_runs_without_anything_to_compare_are_abstained_from() -> None:
    found = compare_runs(ended("r", "ok"), ended("twin", "ok"))
    assert (found.verdict, found.detail) == ("abstained", "there is no probe to compare")


# --- alignment ----------------------------------------------------------------------------------


def test_a_missing_probe_is_reported_and_the_others_still_meet() -> None:
    layers, x = two_layers(), grid()
    one, two = changed(0, activation="linear"), layers
    a = Sample().predict(one, x, label="A").predict(two, x, line=9).predict(layers[:1], x).capsule()
    b = Sample("twin").predict(one, x).predict(layers[:1], x).capsule()
    for left, right, lacks in ((a, b, "r"), (b, a, "r")):
        found = compare_runs(left, right)
        assert found.verdict == "different"
        assert [each.verdict for each in found.probes] == ["same-bits", "different", "same-bits"]
        assert found.probes[1].detail == f"only {lacks} has it"
        assert found.probes[0].probe == "A"
        assert found.probes[1].probe == "predict 2 (line 9)"


def test_probes_of_other_kinds_never_meet() -> None:
    a = Sample().probe(kind="fit").probe(kind="evaluate").capsule()
    b = Sample("twin").probe(kind="evaluate").probe(kind="predict").capsule()
    kinds = [each.probe.split()[0] for each in compare_runs(a, b).probes]
    assert kinds == ["fit", "evaluate", "predict"]


def test_probes_that_a_stopped_run_did_not_reach_have_failed() -> None:
    a = run()
    b = Sample("twin", status="time-limit").capsule()
    found = compare_runs(a, b)
    assert found.verdict == "failed"
    assert found.probes[0].detail == "only r has it: twin was stopped (time-limit)"


def test_names_can_be_given_to_probes() -> None:
    assert compare_runs(run(), run(), labels={0: "A/relu"}).probes[0].probe == "A/relu"


def test_a_judge_looks_at_each_probe_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(capsule: Capsule, probe: Probe, ladder: Sequence[LadderStep]) -> Any:
        asked.append(probe.index)
        return judge_probe(capsule, probe, ladder)

    monkeypatch.setattr("bridge.rounding.layer_records.judge_probe", counted)
    judge, r = Judge(), run()
    for _ in range(3):
        compare_runs(r, run(runner="twin", looked=False), judge=judge)
    assert len(asked) == 4


def test_a_result_survives_json() -> None:
    a = nudged(run(), float("nan"))
    found = compare_runs(a, run(runner="twin"))
    assert found.verdict == "different"
    text = found.model_dump_json()
    assert RunPair.model_validate_json(text).model_dump_json() == text


# --- configurations -----------------------------------------------------------------------------


def model(
    *layers: LayerState, keras: str = "tf_keras", cls: str = "keras.Sequential"
) -> ModelState:
    return ModelState(id=1, cls=cls, keras=keras, name="m", layers=layers)


def layer(cls: str, name: str = "it", inbound: tuple[str, ...] = (), **config: Any) -> LayerState:
    return LayerState(name=name, cls=f"keras.layers.{cls}", config=config, inbound=inbound)


POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}
GLOROT = {"class_name": "GlorotUniform", "config": {"seed": 1}}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"name": "dense_12"}, {"name": "dense"}),
        ({"dtype": "float32"}, {"dtype": POLICY}),
        ({"activation": "swish"}, {"activation": "silu"}),
        ({"bias_constraint": None}, {}),
        ({"scale": 0.0}, {"scale": "0.0"}),
        ({"activation": {"class_name": "LeakyReLU", "config": {"name": "a", "dtype": POLICY}}},
         {"activation": {"class_name": "LeakyReLU", "config": {"name": "b", "dtype": "float32"},
                         "registered_name": None}}),
    ],
)  # fmt: skip
def test_what_does_not_matter_is_not_a_difference(a: Any, b: Any) -> None:
    assert compare_configs(model(layer("Dense", **a)), model(layer("Dense", **b))) == ([], [])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"kernel_initializer": GLOROT}, {"kernel_initializer": "ones"}),
        ({"seed": 3}, {"seed": None}),
        ({"batch_input_shape": [None, 3]}, {}),
    ],
)
def test_where_weights_came_from_is_told_and_does_not_decide(a: Any, b: Any) -> None:
    deciding, telling = compare_configs(model(layer("Dense", **a)), model(layer("Dense", **b)))
    assert (deciding, len(telling)) == ([], 1)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"units": 3}, {"units": 4}),
        ({"use_bias": True}, {"use_bias": False}),
        ({"use_bias": True}, {"use_bias": 1}),
        ({"dtype": "float32"}, {"dtype": "mixed_float16"}),
        ({"alpha": 0.3}, {"alpha": 0.30000001192092896}),
        ({"target_shape": [2, 3]}, {"target_shape": [3, 2]}),
    ],
)
def test_every_other_setting_decides(a: Any, b: Any) -> None:
    deciding, _ = compare_configs(model(layer("Dense", **a)), model(layer("Dense", **b)))
    assert len(deciding) == 1


def test_the_generations_write_the_same_layer_in_two_ways() -> None:
    second = model(layer("LeakyReLU", alpha=0.30000001192092896, dtype="float32"))
    third = model(layer("LeakyReLU", negative_slope=0.3, dtype=POLICY, renorm=True), keras="keras")
    deciding, telling = compare_configs(second, third)
    assert deciding == []
    assert [each.path for each in telling] == [("renorm",)]


def test_wiring_is_compared_by_position_and_an_input_layer_may_be_left_out() -> None:
    chain = model(layer("Dense", "a"), layer("ReLU", "b"))
    functional = model(
        layer("InputLayer", "in"), layer("Dense", "x", ("in",)), layer("ReLU", "y", ("x",)),
        cls="keras.Model",
    )  # fmt: skip
    crossed = model(
        layer("InputLayer", "in"), layer("Dense", "x", ("in",)), layer("ReLU", "y", ("in",)),
        cls="keras.Model",
    )  # fmt: skip
    assert compare_configs(chain, functional) == ([], [])
    ((unlike,), _) = compare_configs(functional, crossed)
    assert unlike.spell(functional) == "model.get_layer('y').input"


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (["4wAAAAA=\n", None, None], ["4wEAAAA=\n", None, None],
         "the code of a function against the code of a function"),
        ({"class_name": "__lambda__", "config": {"code": "4wE="}}, "relu",
         "the code of a function against 'relu'"),
        (["4wide", 1], [2], "['4wide', 1] against [2]"),
    ],
)  # fmt: skip
def test_the_code_of_a_function_is_not_spelled_out(a: Any, b: Any, told: str) -> None:
    assert Unlike(0, ("function",), a, b).tell() == told


@pytest.mark.parametrize(("last", "verdict"), [(0.5, "same-bits"), (0.25, "abstained")])
def test_trainings_of_a_model_without_weights_are_compared_by_their_curves(
    last: float, verdict: str
) -> None:
    def fit_of_nothing(runner: Any, *losses: float) -> Capsule:
        made = Sample(runner=runner)
        return made.probe(kind="fit", curves={"loss": losses}, outputs=()).capsule()

    found = compare_runs(fit_of_nothing("r", 1.0, 0.5), fit_of_nothing("twin", 1.0, last))
    assert found.verdict == verdict
