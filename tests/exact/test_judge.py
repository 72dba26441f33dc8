from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge._typing import AnyArray
from bridge.capsule import read_capsule, write_capsule
from bridge.exact.judge import judge_exact
from bridge.exact.records import ExactResult, Setting
from tests.exact_samples import Change, Model, capsule

EVERY = Setting("graph", every_layer=True)
ALL = (Setting("eager"), Setting("graph"), Setting("graph", 7), EVERY)


def two() -> Model:
    return Model((3,)).dense(4).dense(4).dense(2, "linear")


def off_by(amount: float, layer: str = "dense_2") -> Change:
    def change(name: str, y: AnyArray) -> AnyArray:
        if name == layer:
            y[5, 1] += np.float32(amount)
        return y

    return change


def test_runs_that_give_the_exact_bits_agree_and_are_counted() -> None:
    result = judge_exact([capsule(two(), ALL)])
    assert (result.verdict, result.rung) == ("same-bits", "exact-probe")
    (stretch,) = result.stretches
    assert (result.pairs, result.agreed) == (12, 12)
    assert stretch.settings == tuple(setting.label for setting in ALL)
    # Three styles, 64 rows: three settings of one output, and one of all three layers.
    assert result.points == 3 * 64 * (3 * 2 + 10)
    assert "12 of 12 runs" in result.sentence


def test_a_name_with_slashes_and_numbers_is_one_name() -> None:
    (stretch,) = judge_exact([capsule(two(), ALL, label="odd/2/name")]).stretches
    assert (stretch.model, stretch.stretch, stretch.verdict) == ("odd/2/name", 1, "same-bits")
    assert stretch.settings == tuple(setting.label for setting in ALL)


def test_one_element_that_is_off_by_one_bit_is_found_with_both_values() -> None:
    def change(name: str, y: AnyArray) -> AnyArray:
        if name == "dense_2":
            y[9, 1] = np.nextafter(y[9, 1], np.float32(np.inf))
        return y

    result = judge_exact([capsule(two(), ALL[:2], {"graph": change})])
    assert (result.verdict, result.rung) == ("different", "exact-probe")
    assert result.deviating == ("graph, all rows at once",)
    worst = result.stretches[0].deviations[0].worst[0]
    assert worst.index == (9, 1)
    assert worst.a == np.nextafter(np.float32(worst.b), np.float32(np.inf))
    assert worst.ulp == 1.0


def test_the_sign_of_a_zero_is_no_difference() -> None:
    model = Model((3,)).dense(4)
    result = judge_exact([capsule(model, change={"graph": lambda _, y: np.where(y == 0, -0.0, y)})])
    assert result.verdict == "same-bits"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_a_difference(value: float) -> None:
    def change(_: str, y: AnyArray) -> AnyArray:
        y[3, 0] = value
        return y

    result = judge_exact([capsule(two(), change={"eager": change})])
    assert result.verdict == "different"
    assert result.stretches[0].deviations[0].worst[0].index == (3, 0)


def test_a_result_of_another_shape_is_a_difference() -> None:
    result = judge_exact([capsule(two(), change={"eager": lambda _, y: y[:, :1]})])
    assert result.verdict == "different"


def test_the_first_layer_whose_own_output_is_wrong_is_named() -> None:
    def change(name: str, y: AnyArray) -> AnyArray:
        return y if name == "dense_0" else y + np.float32(1)

    result = judge_exact([capsule(two(), ALL, {"graph": change})])
    assert result.stretches[0].layer == "dense_1"
    assert "first whose own output" in result.stretches[0].evidence
    assert "in layer 'dense_1' (graph)" in result.sentence


def test_what_a_layer_lost_is_named_where_that_alone_gives_the_bits() -> None:
    model = two()
    (stretch,) = model.plan().stretches

    def without_relu(style: int) -> dict[str, AnyArray]:
        draw = stretch.draws[style]
        x, made = draw.inputs[0], {}
        for name in ("dense_0", "dense_1", "dense_2"):
            x = x @ draw.weights[name]["kernel"] + draw.weights[name]["bias"]
            x = np.maximum(x, 0) if name == "dense_0" else x
            made[name] = x
        return made

    by_style = iter([without_relu(style) for style in range(3) for _ in range(3)])
    current: dict[str, AnyArray] = {}

    def change(name: str, y: AnyArray) -> AnyArray:
        if name == "dense_0":
            current.update(next(by_style))
        return current[name].astype(y.dtype)

    found = judge_exact([capsule(model, ALL, {"graph": change})]).stretches[0]
    assert found.layer == "dense_1"
    assert "lost its activation" in found.evidence


def test_a_lever_is_named_with_its_settings() -> None:
    honest = capsule(two())
    wrong = capsule(two(), change={"graph": off_by(1)}, lever="one-thread")
    result = judge_exact([honest, wrong])
    assert result.deviating == ("one-thread: graph, all rows at once",)
    assert result.stretches[0].deviations[0].lever == "one-thread"


def test_numbers_that_are_not_exact_decide_nothing() -> None:
    odd = np.full((3, 4), 0.1, np.float32)
    result = judge_exact([capsule(two(), weights={"kernel": odd}, change={"graph": off_by(1)})])
    assert (result.verdict, result.rung) == ("abstained", "abstained")
    assert "'dense_0'" in result.stretches[0].why


def normalised() -> Model:
    weights = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (4,))
    return Model((4,)).add("BatchNormalization", (4,), weights, axis=-1, epsilon=1e-3,
                           center=True, scale=True)  # fmt: skip


def test_a_root_that_is_rounded_decides_nothing_and_a_fault_beside_it_does() -> None:
    def rounded(_: str, y: AnyArray) -> AnyArray:
        return y * np.float32(1 + 2**-23)

    result = judge_exact([capsule(normalised(), ALL, {"graph": rounded})])
    assert result.verdict == "abstained"
    assert "1 / sqrt" in result.stretches[0].why
    result = judge_exact([capsule(normalised(), ALL, {"graph": lambda _, y: y + np.float32(1)})])
    assert result.verdict == "different"


def test_no_probes_decide_nothing() -> None:
    result = judge_exact([])
    assert (result.verdict, result.rung) == ("abstained", "abstained")
    assert "No part of a model" in result.sentence


def test_a_result_survives_json_and_a_capsule_the_disk(tmp_path: Path) -> None:
    made = capsule(two(), ALL, {"graph": off_by(np.nan)})
    write_capsule(made, tmp_path / "exact.capsule")
    result = judge_exact([read_capsule(tmp_path / "exact.capsule")])
    again = ExactResult.model_validate_json(result.model_dump_json(), strict=False)
    assert again.sentence == judge_exact([made]).sentence
    assert repr(again) == repr(result)
