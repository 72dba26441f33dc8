"""What was reported, set against what faults would make; which runs would tell them apart."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bridge.explain.discriminating_runs import AS_FUNCTION, separating
from bridge.explain.observations import Bound, Reports, bind, of_yaml
from bridge.explain.result import Candidate, SymptomTable
from bridge.explain.symptoms import (
    HEALTHY,
    FaultHypothesis,
    FaultOutputs,
    Output,
    RecordedOutputs,
    match,
    suspects,
)
from bridge.explain.visual_similarity import (
    MARGIN,
    WIDTH,
    as_drawn,
    as_not_expected,
    response,
    word_fits,
)
from tests.explain.test_observed import NINE
from tests.observed_samples import X, curve, labels, recorded, with_output

LINE = X.reshape(-1, 1)
FEEDS = "relu lost in a fused MatMul whose output feeds another MatMul"
EVERY = "relu lost in every fused MatMul"
DROPS = "R drops the activation argument"


def outputs() -> RecordedOutputs:
    capsule = recorded()
    probes = capsule.manifest.probes
    return RecordedOutputs(
        {probe.index: X for probe in probes},
        {probe.index: capsule.array(probe.outputs[0]) for probe in probes},
        {},
    )


def made(name: str, changed: Mapping[int, Output], setting: str = "") -> FaultOutputs:
    """Return what a suspect makes: what was recorded but for ``changed``."""
    known = {each.name: each for each in suspects(recorded(), range(9))}
    return FaultOutputs(known[name], setting, {**outputs().outputs, **changed})


def reported(text: str = NINE) -> Bound:
    return bind(Reports("seen.yml", of_yaml(text)), recorded(), labels())


def nine() -> tuple[FaultOutputs, ...]:
    """Return what faults make of the nine predictions (A, B, C with relu; gelu; sigmoid)."""
    every = {0: LINE, 1: LINE, 3: LINE, 4: LINE, 6: LINE, 7: LINE}
    return (
        FaultOutputs(HEALTHY, "", outputs().outputs),
        made(FEEDS, {0: LINE}),
        made(FEEDS, {0: LINE}, AS_FUNCTION),
        made(EVERY, {0: LINE}),
        made(EVERY, {0: LINE, 1: LINE}, AS_FUNCTION),
        made(DROPS, every),
    )


def said(table: SymptomTable) -> dict[str, str]:
    marks = {"explains": "+", "contradicts": "-", "silent": "?"}
    return {each.name: "".join(marks[c.says] for c in each.cells) for each in table.candidates}


def explains_all(candidate: Candidate) -> bool:
    return bool(candidate.cells) and all(cell.says == "explains" for cell in candidate.cells)


def test_one_family_alone_reproduces_all_nine_cells() -> None:
    table = match(reported(), nine(), outputs()).table
    found = said(table)
    assert found["nothing is wrong here"] == "-++++++++"
    assert found[f"{EVERY} (as a plain function)"] == "+-+++++++"
    assert found[DROPS] == "+-+" + "--" + "--" + "++"
    standing = [each for each in table.candidates if explains_all(each)]
    assert [each.name for each in standing] == list(table.standing)
    assert {each.family for each in standing} == {FEEDS}
    assert {each.cause for each in standing} == {
        "grappler:remapping", "device-plugin", "kernel:_FusedMatMul",
    }  # fmt: skip
    assert table.sentence.startswith(
        f"Exactly one family of candidates reproduces all 9 observations: {FEEDS}."
    )
    assert f"'{EVERY} (as a plain function)' is refuted by B/relu" in table.sentence
    assert f"'{EVERY} (run as recorded)'" in table.sentence


def test_each_refuted_candidate_says_by_what() -> None:
    table = match(reported(), nine(), outputs()).table
    sentences = {each.name: each.sentence for each in table.candidates}
    assert sentences[DROPS].endswith("Refuted by B/relu, A/gelu, A/sigmoid, B/gelu and 1 more.")
    assert sentences["nothing is wrong here"].endswith("Refuted by A/relu.")


def test_curves_are_small_and_on_one_grid() -> None:
    table = match(reported(), nine(), outputs()).table
    assert len(table.grid) == 64
    assert (table.grid[0], table.grid[-1]) == (-5, 5)
    cells = [cell for each in table.candidates for cell in each.cells]
    assert {len(cell.curve) for cell in cells} == {64}
    by_name = {each.name: each for each in table.candidates}
    first = by_name[f"{FEEDS}, by Grappler's remapping"].cells[0]
    assert first.curve == table.grid
    assert first.shape == "affine"


def test_where_no_candidate_reproduces_everything_the_cause_is_not_known() -> None:
    text = "observed: [{probe: A/relu, shape: linear}, {probe: C/relu, shape: linear}]"
    table = match(reported(text), nine(), outputs()).table
    assert table.standing == ()
    assert table.sentence.startswith("No candidate reproduces both observations: not known.")
    assert "(1 of 2, contradicted by" in table.sentence


def test_what_is_made_without_a_fault_needs_none() -> None:
    text = "observed: [{model: A, activation: [relu, gelu], shape: as expected}]"
    found = match(reported(text), nine(), outputs())
    assert found.table.standing[0] == "nothing is wrong here"
    assert "without any fault" in found.table.sentence
    assert separating(recorded(), found.standing, nine(), outputs()) == ()


def test_reports_that_exclude_each_other_are_explained_by_nothing() -> None:
    text = "observed: [{probe: A/relu, shape: linear}, {probe: A/relu, shape: relu}]"
    table = match(reported(text), nine(), outputs()).table
    assert table.standing == ()
    assert len(table.conflicts) == 1
    assert "no fault can explain both" in table.sentence


def test_part_of_the_cells_leaves_more_families_standing() -> None:
    text = "observed: [{probe: A/relu, shape: wrong}]"
    zero = made("activation before bias in every fused MatMul", {0: 0 * LINE})
    found = match(reported(text), (made(FEEDS, {0: LINE}), zero), outputs())
    assert found.table.sentence.startswith(
        "2 families of candidates reproduce the one observation: relu lost in"
    )


def test_a_family_are_candidates_alike_in_what_was_observed_not_in_all_they_make() -> None:
    text = "observed: [{probe: A/relu, shape: linear}]"
    found = match(reported(text), nine(), outputs())
    assert {each.family for each in found.standing} == {FEEDS}
    assert f"The same outputs are made by '{EVERY}' or '{DROPS}'." in found.table.sentence


def test_a_candidate_that_could_not_be_run_is_silent_and_does_not_stand() -> None:
    found = match(reported(), (made(FEEDS, {0: "it could not be run: no"}),), outputs())
    assert said(found.table) == {FEEDS: "?++++++++"}
    assert "Not refuted, but silent on A/relu." in found.table.candidates[0].sentence
    assert "not known" in found.table.sentence


def test_a_fault_that_changes_nothing_says_so() -> None:
    table = match(reported(), (made(EVERY, {}),), outputs()).table
    assert "Here it changes nothing. Refuted by A/relu." in table.candidates[0].sentence


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        ("[[-5, -5], [0, 0], [5, 5]]", "explains"),
        ("[[-5, -5.0], [-2.5, -2.5]]", "explains"),
        ("[[-5, 0]]", "contradicts"),
        ("[[-5, -4.8]]", "explains"),
        ("[[-5.0, -4.8]]", "contradicts"),
        ("[[-5, -4.8], [0.0, 3]]", "contradicts"),
        ("[[-50, -50]]", "silent"),
    ],
)
def test_points_are_compared_as_far_as_they_were_read_off(points: str, verdict: str) -> None:
    text = f"observed: [{{probe: A/relu, points: {points}}}]"
    table = match(reported(text), (made(FEEDS, {0: LINE}),), outputs()).table
    assert {cell.says for each in table.candidates for cell in each.cells} == {verdict}


def test_a_capsule_is_compared_within_the_rounding_of_both_machines() -> None:
    theirs = with_output(recorded(), 0, X * np.float32(1 + 2e-7))
    seen = bind(Reports("t.capsule", capsule=theirs), recorded(), labels())
    bound = {0: np.full((len(X), 1), 5e-6)}
    known = RecordedOutputs(outputs().inputs, outputs().outputs, bound)
    row = "explains"
    table = match(seen, (made(FEEDS, {0: LINE}),), known).table
    assert {cell.says for cell in table.candidates[0].cells} == {row}
    tight = RecordedOutputs(known.inputs, known.outputs, {0: np.full((len(X), 1), 1e-9)})
    assert match(seen, (made(FEEDS, {0: LINE}),), tight).table.candidates[0].cells[0].says == (
        "contradicts"
    )
    without = match(seen, (made(FEEDS, {0: LINE}),), outputs()).table
    assert without.candidates[0].cells[0].says == "silent"


@pytest.mark.parametrize(
    ("word", "y", "verdict"),
    [
        ("linear", LINE, "explains"),
        ("linear", curve("relu"), "contradicts"),
        ("linear", LINE + 0.4 * WIDTH * np.sin(7 * LINE), "explains"),
        ("linear", LINE + 0.1 * np.abs(LINE), "silent"),
        ("relu", curve("relu"), "explains"),
        ("relu", LINE, "contradicts"),
        ("relu", np.maximum(LINE, 0.2 * LINE), "contradicts"),
        ("hinge", np.maximum(LINE, 0.2 * LINE), "explains"),
        ("constant", np.zeros_like(LINE), "explains"),
        ("linear", np.zeros_like(LINE), "contradicts"),
        ("saturating", curve("sigmoid"), "explains"),
        ("saturating", curve("relu"), "contradicts"),
        ("smooth", curve("gelu"), "explains"),
        ("smooth", LINE, "contradicts"),
    ],
)
def test_a_word_fits_what_a_drawing_shows(word: str, y: Any, verdict: str) -> None:
    at = response(X, np.asarray(y, np.float32))
    assert at is not None
    assert word_fits(word, at)[0] == verdict


def test_what_is_seen_ends_at_the_width_of_a_line_and_at_the_margin_of_the_plot() -> None:
    y = curve("sigmoid").astype(np.float64)
    span = float(np.ptp(y))
    assert as_drawn(y, y)[0] == as_drawn(y + 0.9 * WIDTH * span, y)[0] == "explains"
    assert as_drawn(y + 2 * WIDTH * span, y)[0] == "silent"
    assert as_drawn(y + 1.1 * MARGIN * span, y)[0] == "contradicts"
    assert as_not_expected(y + 1.1 * MARGIN * span, y)[0] == "explains"
    assert as_not_expected(y, y)[0] == "contradicts"
    assert as_drawn(y[1:], y)[0] == "contradicts"
    assert as_drawn(np.full_like(y, np.nan), y)[0] == "contradicts"


@pytest.mark.parametrize(
    ("x", "y"), [(np.ones((4, 2)), np.ones(4)), (np.ones(4), np.array([1, np.nan, 2, 3]))]
)
def test_what_is_no_curve_over_one_number_has_no_shape(x: Any, y: Any) -> None:
    assert response(x, y) is None


def standing_runs() -> tuple[Any, ...]:
    found = match(reported(), nine(), outputs())
    return separating(recorded(), found.standing, nine(), outputs())


def test_the_shortest_list_of_runs_tells_every_candidate_from_every_other() -> None:
    runs = standing_runs()
    assert [run.question for run in runs] == [
        "Does the fault stay when Grappler fuses nothing?",
        "Is the last layer right, too, where nothing keeps it from being fused?",
        "Which ops are executed, and what is fused into them?",
    ]
    names = list(runs[0].expect)
    assert len(names) == 6
    for place, one in enumerate(names):
        for other in names[:place]:
            told = [(run.expect[one], run.expect[other]) for run in runs]
            assert any(a != b and "not known" not in a + b for a, b in told), (one, other)


def test_what_a_run_would_print_is_told_for_each_candidate() -> None:
    off, function, executed = standing_runs()
    assert off.expect[f"{FEEDS}, by Grappler's remapping"] == (
        "prints 0, 0, 5: the fault goes (reasoned)"
    )
    assert off.expect[f"{FEEDS}, by a device plug-in's own fusion"] == (
        "prints -5, 0, 5: the fault stays (reasoned)"
    )
    assert function.expect[f"{EVERY} (run as recorded), by Grappler's remapping"] == (
        "prints -5, 0, 5 (computed here, with the fault)"
    )
    assert "not known" in executed.expect[f"{FEEDS}, by a device plug-in's own fusion"]


def test_the_code_has_the_model_and_both_languages_pull_the_same_switch() -> None:
    for run in standing_runs():
        ast.parse(run.python)
        assert "Dense(units=1, activation='relu')" in run.python
        assert 'keras$layers$Dense(units = 1L, activation = "relu")' in run.r
        assert "TF_USE_LEGACY_KERAS" in run.python
        assert "TF_USE_LEGACY_KERAS" in run.r
    off = standing_runs()[0]
    assert 'set_experimental_options({"remapping": False})' in off.python
    assert "set_experimental_options(list(remapping = FALSE))" in off.r


def test_a_model_that_is_too_large_to_write_down_is_the_users_own() -> None:
    capsule = recorded()
    states = [
        state.model_copy(update={"cls": "keras.Functional"}) for state in capsule.manifest.states
    ]
    manifest = capsule.manifest.model_copy(update={"states": tuple(states)})
    found = match(reported(), nine(), outputs())
    runs = separating(type(capsule)(manifest, capsule.arrays), found.standing, nine(), outputs())
    assert runs
    assert all("# After your own script" in run.r for run in runs)


def test_suspects_come_from_what_was_executed_and_from_the_layers() -> None:
    every = {each.name for each in suspects(recorded(), range(9))}
    assert {
        FEEDS,
        EVERY,
        DROPS,
        "gelu approximated by tanh",
        "MatMul computed in bfloat16",
    } <= every
    # C has neither a fused op nor a layer with an activation among its arguments.
    only_c = {each.name for each in suspects(recorded(), [2])}
    assert only_c == {"nothing is wrong here", "MatMul computed in bfloat16"}


def test_where_nothing_is_fused_here_another_machine_may_fuse_in_its_layers() -> None:
    names = [each.name for each in suspects(recorded(), [1, 2])]
    assert "relu lost in every layer" in names
    assert not any("fused" in name for name in names)
    graphs = [recorded().manifest.probes[0].executed]
    fused = [each.name for each in suspects(recorded(), [1, 2], [g for g in graphs if g])]
    assert EVERY in fused
    assert "relu lost in every layer" not in fused


def test_an_edit_changes_the_configuration_and_nothing_else() -> None:
    capsule = recorded()
    state = capsule.manifest.states[0]
    drops = next(each for each in suspects(capsule, range(9)) if each.name == DROPS)
    assert drops.edit is not None
    changed = drops.edit(capsule, state)
    assert changed is not None
    new, arrays = changed
    assert arrays == {}
    assert [layer.config.get("activation") for layer in new.layers] == [None, "linear", "linear"]
    assert "relu" not in new.model_dump_json()
    assert state.layers[1].config["activation"] == "relu"
    in_c = drops.edit(capsule, capsule.manifest.states[2])
    assert in_c is None


def test_a_square_kernel_may_have_been_transposed() -> None:
    capsule = recorded()
    kernel = np.array([[1, 2], [3, 4]], np.float32)
    layer = capsule.manifest.states[1].layers[1]
    array = layer.weights[0].array.model_copy(update={"key": "square", "shape": (2, 2)})
    weights = (layer.weights[0].model_copy(update={"array": array}),)
    state = capsule.manifest.states[1].model_copy(
        update={"layers": (layer.model_copy(update={"weights": weights}),)}
    )
    manifest = capsule.manifest.model_copy(update={"states": (state,) * 9})
    square = type(capsule)(manifest, {**capsule.arrays, "square": kernel})
    found: list[FaultHypothesis] = [
        each for each in suspects(square, [1]) if each.name == "R transposes kernels"
    ]
    assert len(found) == 1
    assert found[0].edit is not None
    changed = found[0].edit(square, state)
    assert changed is not None
    assert np.array_equal(next(iter(changed[1].values())), kernel.T)
