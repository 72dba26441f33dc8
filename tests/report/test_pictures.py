"""Pictures show every run and every difference, whatever the shape of what was recorded."""

from __future__ import annotations

import functools
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree as ET

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.lines import Line2D

from bridge.capsule import Array, Capsule, Manifest
from bridge.report import plots
from bridge.report.pictures import MAX_PANELS, Drawing, draw
from tests.report_samples import HOSTILE, capsule, founding_capsules, matching

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def curve(*values: float, dtype: Any = np.float32, run: str = "r") -> plots.Curve:
    return plots.Curve(run, np.array(values, dtype=dtype))


def words(svg: bytes) -> list[str]:
    """Return the texts of a picture; fails if it is not well-formed XML."""
    root = ET.fromstring(svg)
    return [text for item in root.iter("{http://www.w3.org/2000/svg}text") if (text := item.text)]


def looped(run: str, results: list[Any], kind: str = "predict") -> Capsule:
    """Return a run that made one call without a label for each of ``results``, all at line 7."""
    recorded = capsule(run, {str(number): result for number, result in enumerate(results)})
    known = {"label": "", "line": 7, "kind": kind}
    probes = [probe.model_copy(update=known) for probe in recorded.manifest.probes]
    manifest = recorded.manifest.model_copy(update={"probes": tuple(probes)})
    return Capsule(manifest, recorded.arrays)


@functools.cache
def founding(fault: bool = False) -> Drawing:
    """Return the founding case's pictures, drawn once: they take a second."""
    return draw(founding_capsules(fault=fault))


def test_neighbours_are_one_ulp_apart_at_every_magnitude() -> None:
    values = np.array([1.0, 1.9999999, 2.0, 1e-30, 3e38, 0.0, -7.0], dtype=np.float32)
    above = np.nextafter(values, np.float32(np.inf))
    gap = plots.gap_in_ulps(curve(*values), curve(*above))
    assert gap.tolist() == [1.0] * len(values)


def test_the_unit_is_that_of_the_coarser_type() -> None:
    a, b = curve(1.0), curve(1.0 + 2.0**-24, dtype=np.float64)
    assert plots.gap_in_ulps(a, b).tolist() == [0.5]
    assert plots.gap_in_ulps(b, a).tolist() == [0.5]


def test_bfloat16_has_its_own_unit() -> None:
    assert plots.gap_in_ulps(curve(1.0, dtype=ml_dtypes.bfloat16), curve(1.0078125)) == [1.0]


def test_the_farthest_numbers_are_finitely_far_apart() -> None:
    gap = plots.gap_in_ulps(curve(1.7e308, dtype=np.float64), curve(-1.7e308, dtype=np.float64))
    assert np.isfinite(gap).all()


def test_integers_differ_by_whole_numbers() -> None:
    assert plots.gap_in_ulps(curve(3, dtype=np.int32), curve(5, dtype=np.int32)) == [2.0]


def test_nan_and_inf_on_one_side_are_infinitely_far_and_on_both_sides_not_at_all() -> None:
    nan, inf = float("nan"), float("inf")
    gap = plots.gap_in_ulps(
        curve(nan, nan, inf, inf, inf, 1.0), curve(nan, 1.0, inf, -inf, 1.0, 1.0)
    )
    assert gap.tolist() == [0.0, inf, 0.0, inf, inf, 0.0]


@given(
    hnp.arrays(np.float64, st.integers(1, 400), elements=st.floats(-1e6, 1e6)),
    st.integers(1, 40),
)
def test_thinning_keeps_the_extremes(y: Any, columns: int) -> None:
    x = np.arange(len(y), dtype=np.float64)
    few_x, few_y = plots.thinned(x, y, columns)
    assert len(few_x) <= max(2 * columns, len(y) if len(y) <= 2 * columns else 0)
    assert (few_y.min(), few_y.max()) == (y.min(), y.max())
    assert (np.diff(few_x) > 0).all()
    assert set(few_y) <= set(y)


@given(
    hnp.arrays(np.float64, st.integers(1, 400), elements=st.floats(0, 1e6)),
    st.integers(1, 40),
)
def test_the_largest_gap_of_a_column_is_drawn_and_nothing_is_averaged(y: Any, columns: int) -> None:
    few = plots.column_maxima(np.arange(len(y), dtype=np.float64), y, columns)[1]
    assert few.max() == y.max()
    assert set(few) <= set(y)


def test_probes_with_a_model_and_a_variant_share_a_panel() -> None:
    values = {"A/relu": [1.0], "B/relu": [2.0], "A/tanh": [3.0], "loss": [4.0]}
    found = plots.panels({"twin": capsule("twin", values)})
    assert [(panel.title, [group.model for group in panel.groups]) for panel in found] == [
        ("relu", ["A", "B"]),
        ("tanh", ["A"]),
        ("loss", [""]),
    ]


def test_labels_come_from_whichever_run_has_them() -> None:
    runs = {"r": capsule("r", {"": [1.0]}), "twin": capsule("twin", {"A/relu": [1.0]})}
    (panel,) = plots.panels(runs)
    assert (panel.title, panel.groups[0].probes) == ("relu", ("A/relu",))
    assert [item.run for item in panel.groups[0].curves] == ["r", "twin"]


def test_a_probe_without_a_label_is_named_after_what_was_called() -> None:
    (panel,) = plots.panels({"r": capsule("r", {"": [1.0]})})
    assert panel.title == "predict 1"


def test_the_numbers_of_a_loop_are_one_curve_over_its_calls() -> None:
    runs = {run: looped(run, [0.5, 0.25, 0.125]) for run in ("r", "replay")}
    (panel,) = plots.panels(runs)
    assert panel.xlabel == "call"
    assert panel.groups[0].probes == tuple(f"predict {n} (line 7)" for n in (1, 2, 3))
    assert [item.values.tolist() for item in panel.groups[0].curves] == [[0.5, 0.25, 0.125]] * 2


def test_a_loop_stands_out_where_any_of_its_calls_differs() -> None:
    pair = matching().pairs[0]
    pairs = [pair.model_copy(update={"probe": "predict 2 (line 7)", "verdict": "different"})]
    runs = {"r": looped("r", [1.0, 2.0]), "replay": looped("replay", [1.0, 3.0])}
    assert "2 x predict (line 7): different" in words(draw(runs, pairs).files["overlay.svg"])


def test_calls_that_have_more_numbers_or_other_runs_are_not_of_the_loop() -> None:
    assert len(plots.panels({"r": looped("r", [1.0, [1.0, 2.0]])})) == 2
    runs = {"r": looped("r", [1.0, 2.0, 4.0]), "replay": looped("replay", [1.0, 2.0])}
    assert [len(panel.groups[0].probes) for panel in plots.panels(runs)] == [2, 1]


def test_a_loss_and_its_metric_are_two_numbers_however_they_came() -> None:
    """R gives them in one array, a translated script in several."""
    together = looped("r", [[0.7, 0.9]], "evaluate")
    (probe,) = looped("intent", [0.7], "evaluate").manifest.probes
    outputs = tuple(
        Array(name=f"y['{name}']", key=name, dtype="float64", shape=())
        for name in ("loss", "accuracy")
    )
    probes = (probe.model_copy(update={"outputs": outputs}),)
    manifest = Manifest(runner="intent", case="sample", status="ok", probes=probes)
    apart = Capsule(manifest, {"loss": np.array(0.7), "accuracy": np.array(0.9)})
    (panel,) = plots.panels({"r": together, "intent": apart})
    assert [
        (group.model, [item.values.tolist() for item in group.curves]) for group in panel.groups
    ] == [("loss", [[0.7], [0.7]]), ("accuracy", [[0.9], [0.9]])]


def test_each_of_a_few_units_is_a_curve() -> None:
    few, many = np.arange(6.0).reshape(2, 3), np.zeros((2, plots.MAX_GROUPS + 1))
    three, all_ = plots.panels({"r": looped("r", [few, many])})
    assert [group.model for group in three.groups] == ["unit 1", "unit 2", "unit 3"]
    assert three.groups[1].curves[0].values.tolist() == [1.0, 4.0]
    assert len(all_.groups) == 1


def test_the_whole_legend_is_in_sight() -> None:
    names = [f"a long name of number {number}" for number in range(6)]
    run = capsule("r", {"": [1.0]}, curves=dict.fromkeys(names, (0.5, 0.25)))
    runs = ["r", "replay", "intent", "reference"]
    lines = [(name, Line2D([], [])) for name in runs]
    with plots.settings():
        canvas = plots.Canvas(plots.panels({"r": run}), columns=2, size=(3.3, 1.5), runs=lines)
        (legend,) = canvas.figure.legends
        seen, paper = legend.get_window_extent(), canvas.figure.bbox
        panels_top = max(ax.get_window_extent().y1 for ax in canvas.axes)
    assert [text.get_text() for text in legend.get_texts()] == [*(n[:24] for n in names), *runs]
    assert (seen.x0 >= paper.x0, seen.x1 <= paper.x1, seen.y0 >= panels_top) == (True, True, True)


def test_a_model_without_a_name_has_no_entry_in_the_legend() -> None:
    run = capsule("r", {"": [1.0, 2.0]}, curves={"loss": (0.5, 0.25)})
    shown = ET.fromstring(plots.overlay(plots.panels({"r": run}), ["r"]))
    legend = next(item for item in shown.iter() if item.get("id", "").startswith("legend"))
    assert len(list(legend)) == 4, "two names and two lines"


def test_cases_can_be_drawn_at_the_same_time() -> None:
    runs = founding_capsules(activations=("relu", "gelu"))
    alone = dict(draw(runs).files)
    with ThreadPoolExecutor(max_workers=3) as threads:
        together = list(threads.map(lambda _: dict(draw(runs).files), range(3)))
    assert together == [alone] * 3


def test_x_is_the_input_if_that_is_one_number_for_each_output() -> None:
    x, y = [3.0, 1.0, 2.0], [[30.0], [10.0], [20.0]]
    (panel,) = plots.panels({"r": capsule("r", {"y": y}, x=x)})
    assert panel.xlabel == "input"
    assert panel.groups[0].x.tolist() == [1.0, 2.0, 3.0]
    assert panel.groups[0].curves[0].values.tolist() == [10.0, 20.0, 30.0]


def test_x_is_the_index_where_the_input_has_many_features() -> None:
    (panel,) = plots.panels({"r": capsule("r", {"y": [1.0, 2.0]}, x=np.ones((2, 5)))})
    assert panel.xlabel == "index"


def test_training_curves_have_panels_of_their_own() -> None:
    run = capsule("r", {"fit": np.zeros(0)}, curves={"loss": (0.5, 0.25, 0.125)})
    (panel,) = plots.panels({"r": run})
    assert panel.xlabel == "epoch"
    assert panel.groups[0].curves[0].values.tolist() == [0.5, 0.25, 0.125]


def test_the_founding_case_shows_all_runs_models_and_activations() -> None:
    drawing = founding()
    assert [picture.kind for picture in drawing.pictures] == ["overlay", "difference"]
    shown = words(drawing.files["overlay.svg"])
    for word in ("r", "replay", "twin", "reference", "A", "B", "C", "gelu", "leaky_relu"):
        assert word in shown
    assert "0 ULP at every finite point" in words(drawing.files["difference.svg"])


def test_the_difference_says_how_far_it_goes_and_who_departs() -> None:
    shown = words(founding(fault=True).files["difference.svg"])
    assert "A twin: dashed" in shown
    assert any(re.fullmatch(r"max 1\d,\d{3},\d{3} ULP", word) for word in shown)


def test_pictures_are_the_same_bytes_every_time() -> None:
    runs = founding_capsules(activations=("relu", "gelu"))
    assert dict(draw(runs).files) == dict(draw(runs).files)


def test_pictures_fetch_nothing_and_carry_no_date() -> None:
    for content in founding().files.values():
        assert not re.search(rb"https?:(?!//www\.w3\.org/)|<!DOCTYPE|@import|<script", content)
        assert b"dc:date" not in content


def test_pictures_are_small() -> None:
    drawing = founding(fault=True)
    assert sum(map(len, drawing.files.values())) < 500_000


def test_panels_that_differ_stand_first_and_say_so() -> None:
    pair = matching().pairs[0]
    pairs = [pair.model_copy(update={"probe": "B/tanh", "verdict": "different"})]
    shown = words(draw(founding_capsules(), pairs).files["overlay.svg"])
    titles = [word for word in shown if word.partition(":")[0] in ("relu", "gelu", "tanh", "elu")]
    assert titles == ["tanh: different", "relu", "gelu", "elu"]


def test_of_too_many_panels_the_worst_are_drawn_and_the_rest_is_counted() -> None:
    labels = [f"p{i}" for i in range(MAX_PANELS + 5)]
    same = {label: np.array([1.0, 2.0], dtype=np.float32) for label in labels}
    off = {**same, "p16": np.array([1.0, 2.5], dtype=np.float32)}
    drawing = draw({"r": capsule("r", off), "reference": capsule("reference", same)})
    shown = words(drawing.files["overlay.svg"])
    assert sum(word in labels for word in shown) == MAX_PANELS
    assert "p16" in shown
    assert "Not drawn: 5 panels, none worse than these." in shown


@pytest.mark.parametrize(
    "value",
    [
        3.5,
        np.float32(2),
        np.ones((2, 3, 4)),
        np.arange(5),
        np.array([True, False]),
        np.array([1.5, 2], dtype=ml_dtypes.bfloat16),
        np.array([np.nan, np.nan]),
        np.array([np.inf, -np.inf, 1.0]),
        np.array([1e308, -1e308]),
        np.array([5e-324, 0.0]),
        np.full(7, 2.0),
    ],
    ids=repr,
)
def test_numbers_of_any_shape_and_type_are_drawn(value: Any) -> None:
    runs = {"r": capsule("r", {"y": value}), "reference": capsule("reference", {"y": value})}
    drawing = draw(runs)
    assert set(drawing.files) == {"overlay.svg", "difference.svg"}
    for content in drawing.files.values():
        assert words(content)


@pytest.mark.parametrize("value", [np.zeros((0, 3)), np.array(["a"]), np.array([1 + 2j])], ids=repr)
def test_what_has_no_numbers_is_not_drawn(value: Any) -> None:
    assert draw({"r": capsule("r", {"y": value})}).files == {}


def test_runs_of_different_length_are_drawn_and_said_to_differ() -> None:
    runs = {"r": capsule("r", {"y": [1.0, 2.0]}), "reference": capsule("reference", {"y": [1.0]})}
    assert "r: another length" in words(draw(runs).files["difference.svg"])


def test_a_run_that_stopped_early_leaves_the_others_to_be_drawn() -> None:
    both = {"a": [1.0], "b": [2.0]}
    runs = {"r": capsule("r", {"a": [1.0]}), "reference": capsule("reference", both)}
    assert {"a", "b"} <= set(words(draw(runs).files["overlay.svg"]))


def test_nan_on_one_side_is_counted_in_the_picture() -> None:
    runs = {
        "r": capsule("r", {"y": [1.0, float("nan")]}),
        "reference": capsule("reference", {"y": [1.0, 2.0]}),
    }
    assert "r: 1 NaN/Inf" in words(draw(runs).files["difference.svg"])


def test_one_run_alone_has_an_overlay_and_no_difference() -> None:
    assert set(draw({"r": capsule("r", {"y": [1.0, 2.0]})}).files) == {"overlay.svg"}


def test_no_run_has_no_picture() -> None:
    assert draw({}).pictures == ()


def test_what_r_drew_is_passed_on_unchanged() -> None:
    drawing = draw({"r": capsule("r", {}, plots={"image/svg+xml": SVG})})
    assert drawing.files == {"r-plot-1.svg": SVG}
    assert [picture.kind for picture in drawing.pictures] == ["r-plot"]


@pytest.mark.parametrize("label", [words for words in HOSTILE if words])
def test_a_hostile_label_is_only_ever_text(label: str) -> None:
    names = (label, f"{label.replace('/', '')}/relu")
    r = capsule("r", {name: [1.0, 2.0] for name in names})
    drawing = draw({"r": r, "twin": capsule("twin", {name: [1] for name in names})})
    assert len(drawing.files) == 2
    for content in drawing.files.values():
        root = ET.fromstring(content)
        assert not [item.tag for item in root.iter() if item.tag.endswith(("script", "image"))]
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", content.decode())


def test_a_panel_stands_beside_each_page_that_r_drew_where_there_are_as_many() -> None:
    runs = founding_capsules(activations=("relu", "gelu"))
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    drawn = capsule("r", {}, plots={"image/svg+xml": svg})
    (plot,) = drawn.manifest.plots
    for pages, files in ((1, 1), (2, 2), (3, 1)):
        manifest = runs["r"].manifest.model_copy(update={"plots": (plot,) * pages})
        r = Capsule(manifest, {**runs["r"].arrays, plot.key: drawn.arrays[plot.key]})
        found = draw({**runs, "r": r})
        assert sum(picture.kind == "overlay" for picture in found.pictures) == files
