"""What explaining found stands in the report: complete, in order, and said by more than colour."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bridge.capsule import write_capsule
from bridge.cases.case import Case
from bridge.cli.check import report_case
from bridge.explain.conclusion import Conclusion
from bridge.explain.responses import describe_run
from bridge.explain.result import Observation, SymptomCell, SymptomTable, Upstream
from bridge.pipeline.examine_case import Examined
from bridge.report import CaseReport, report_json, write_report
from bridge.report.build import ReportParts, build_report
from bridge.report.suspects import (
    MAX_CANDIDATES,
    MAX_OBSERVATIONS,
    MOST_POINTS,
    scale_of,
    spark,
    suspects,
)
from tests.compare_samples import Sample, grid, two_layers
from tests.explained_samples import symptoms
from tests.report.test_write import Page, index, markdown
from tests.report_samples import HOSTILE, different, hostile, matching

ORDER = (
    *("Why grappler:remapping", "What the cause does not explain", "Levers that were pulled"),
    *("What was reported, and what would make it", "What to run on the reporter's machine"),
    *("What the model makes of its input", "fixed upstream", "Where the runs part"),
)


def with_parts(**parts: Any) -> CaseReport:
    return different().model_copy(update=parts)


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_the_sections_stand_in_the_order_of_the_argument(tmp_path: Path) -> None:
    for shown in (Page(index(tmp_path, different())).text, markdown(tmp_path, different())):
        places = [shown.lower().find(title.lower()) for title in ORDER]
        found = [place for place in places if place >= 0]
        assert found == sorted(found)
        assert len(found) >= len(ORDER) - 1


def test_a_case_that_was_not_explained_has_none_of_them(tmp_path: Path) -> None:
    for shown in (index(tmp_path, matching()), markdown(tmp_path, matching())):
        assert not [title for title in ORDER[:-1] if title.lower() in shown.lower()]


def test_the_cause_has_its_confidence_and_both_sides(tmp_path: Path) -> None:
    for shown in (Page(index(tmp_path, different())).text, markdown(tmp_path, different())):
        assert "Why grappler:remapping: likely" in shown
        for line in (*different().evidence_against, *different().unexplained):
            assert line in shown
        assert "With the pass remapping off, layer dense is right" in shown


def test_a_cause_against_which_nothing_was_found_says_so(tmp_path: Path) -> None:
    page = Page(index(tmp_path, with_parts(evidence_against=()))).text
    assert "Against it Nothing was found." in page


def test_levers_have_their_sign_layer_and_ops_and_what_was_spent_is_said(tmp_path: Path) -> None:
    spent = (
        "4 executions spent, each in a process of its own: 1 wrong, 2 right (eager, "
        "remapping-off), 1 undecided."
    )
    page = Page(index(tmp_path, different())).text
    assert spent in page
    assert spent in markdown(tmp_path, different())
    row = "as recorded ≠ different dense _FusedMatMul[BiasAdd], _FusedMatMul[BiasAdd]"
    assert squeezed(row) in squeezed(page)
    assert squeezed("xla ? abstained it could not be compiled") in squeezed(page)


def test_candidates_that_cannot_be_told_apart_are_one_row_and_those_that_stand_come_first() -> None:
    view = suspects(symptoms())
    assert view is not None
    assert [row.standing for row in view.groups] == [True, False, False, False]
    assert [row.contradicted for row in view.groups] == [0, 0, 1, 5]
    assert [each.name for each in view.groups[0].members] == [
        "Relu lost in a fused MatMul that feeds a MatMul",
        "A device plug-in loses Relu there",
    ]


def test_what_was_reported_has_a_row_for_each_activation_and_a_column_for_each_model() -> None:
    view = suspects(symptoms())
    assert view is not None
    assert view.models == ("A", "B", "C")
    assert [name for name, _ in view.reported] == ["relu", "gelu", "sigmoid"]
    shapes = [[cell.said for cell in cells if cell] for _, cells in view.reported]
    assert shapes == [["affine", "hinge", "hinge"], ["smooth"] * 3, ["saturating"] * 3]
    assert all("<polyline" in cell.drawn for _, cells in view.reported for cell in cells if cell)


def test_observations_without_a_model_have_a_row_each() -> None:
    table = symptoms()
    alone = tuple(one.model_copy(update={"model": ""}) for one in table.observations)
    view = suspects(table.model_copy(update={"observations": alone}))
    assert view is not None
    assert view.models == ()
    assert [name for name, _ in view.reported] == [one.name for one in alone]


def test_what_contradicts_is_shown_with_its_shape_and_its_curve(tmp_path: Path) -> None:
    page = index(tmp_path, different())
    rows = re.findall(r"(?s)<li[^>]*>\n<details>.*?</details>", page)
    (refuted,) = [row for row in rows if "Relu lost in every fused MatMul" in row]
    assert "explains 8 of 9" in refuted
    assert refuted.count("<polyline") == 1
    assert "<strong>B/relu</strong> affine: affine where hinge was reported" in refuted
    (silent,) = [row for row in rows if "Threads" in row]
    assert "silent on 9" in silent
    assert "<svg" not in silent


def test_what_to_run_stands_in_both_languages_with_what_each_candidate_predicts(
    tmp_path: Path,
) -> None:
    page = index(tmp_path, different())
    assert "<h3>In R</h3><pre" in page
    assert "<h3>In Python</h3><pre" in page
    assert "a straight line, as before" in page
    tokens = MarkdownIt("commonmark").parse(markdown(tmp_path, different()))
    (code,) = symptoms().separating
    fences = [token.content for token in tokens if token.type == "fence"]
    assert {f"{code.r}\n", f"{code.python}\n"} <= set(fences)


def test_shapes_units_and_maps_are_told(tmp_path: Path) -> None:
    page = Page(index(tmp_path, different())).text
    assert "A hinge: slope 0 up to x = 0, then slope 1; every point is on it." in page
    assert squeezed("dense relu 4 1,000 1,996 0.499 2 (units 1, 3) none") in squeezed(page)
    assert "W = [[0.5, -1.25]] b = [0, 0.1]" in page


@pytest.mark.parametrize(("shows", "word"), [(True, "Still shows here"), (False, "Fixed upstream")])
def test_what_is_known_upstream_is_said(tmp_path: Path, shows: bool, word: str) -> None:
    upstream = Upstream(reference="keras#1", shows=shows, sentence="Seen with 3.0.")
    page = Page(index(tmp_path, with_parts(upstream=upstream))).text
    assert f"{word} : keras#1 . Seen with 3.0." in page or f"{word}: keras#1. Seen" in page


def test_the_self_test_has_one_line(tmp_path: Path) -> None:
    said = (
        "60 faults put into this installation: 60 found, 58 at the right layer, 55 with the right "
        "cause, 5 left open, 0 confidently wrong; 0 false alarms in 40 harmless runs (47.8 s)."
    )
    assert said in Page(index(tmp_path, different())).text
    assert said in markdown(tmp_path, different())


def test_the_page_of_mathematics_opens_what_the_model_makes(tmp_path: Path) -> None:
    fold = r"<details class=\"fold\"( open)?>\n<summary>What the model makes"
    assert re.findall(fold, index(tmp_path, different())) == [""]
    assert re.findall(fold, index(tmp_path, with_parts(cause="maths"))) == [" open"]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_cannot_leave_a_picture(words: str) -> None:
    drawn = str(spark([(0, 0), (1, 1)], scale_of([[(0, 0), (1, 1)]]), words))
    page = Page(drawn)
    assert [tag for tag, _ in page.tags] == ["svg", "line", "line", "polyline"]
    assert not set(drawn) & set("\x00\x07\x1b\u202e\u2066")


def test_a_curve_is_drawn_upwards_within_its_picture() -> None:
    curve = [(0.0, 0.0), (1.0, 1.0)]
    drawn = str(spark(curve, scale_of([curve]), "a line"))
    assert '<polyline points="3,37 69,3"/>' in drawn


def test_numbers_that_are_not_finite_leave_gaps() -> None:
    curve = [(0.0, 0.0), (1.0, math.nan), (2.0, 1.0), (3.0, math.inf), (4.0, 2.0), (5.0, 3.0)]
    drawn = str(spark(curve, scale_of([curve]), "gaps"))
    assert drawn.count("<polyline") == 3
    assert "nan" not in drawn
    assert "inf" not in drawn


@pytest.mark.parametrize(
    "curve",
    [[], [(0.0, math.nan)], [(math.inf, 1.0)]],
)
def test_nothing_is_drawn_where_nothing_can_be_seen(curve: Any) -> None:
    assert spark(curve, scale_of([curve]), "nothing") == ""


@pytest.mark.parametrize("y", [0.0, 7.0, -1e308, 1e-300])
def test_a_constant_is_drawn_in_the_middle(y: float) -> None:
    curve = [(0.0, y), (1.0, y)]
    if abs(y) > 1e299:
        assert spark(curve, scale_of([curve]), "far") == ""
        return
    assert '<polyline points="3,20 69,20"/>' in str(spark(curve, scale_of([curve]), "flat"))


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    curve = [(float(x), float(x)) for x in range(10_000)]
    drawn = str(spark(curve, scale_of([curve]), "long"))
    (points,) = re.findall('points="([^"]*)"', drawn)
    assert len(points.split()) == MOST_POINTS
    assert points.startswith("3,37 ")
    assert points.endswith(" 69,3")


def test_very_many_candidates_and_observations_are_cut_and_counted(tmp_path: Path) -> None:
    table = symptoms()
    candidate = table.candidates[0]
    many = SymptomTable(
        observations=tuple(Observation(name=f"o{n}") for n in range(MAX_OBSERVATIONS + 2)),
        candidates=tuple(
            candidate.model_copy(
                update={"name": f"c{n}", "cells": (SymptomCell(observation="o1", says="explains"),)}
            )
            for n in range(MAX_CANDIDATES + 3)
        ),
        standing=("c62",),
    )
    page = Page(index(tmp_path, with_parts(symptoms=many))).text
    assert "3 candidates and 2 observations more in report.json" in page
    assert "stands c62" in " ".join(page.split())


def test_a_report_with_everything_reads_back_as_the_same() -> None:
    for report in (different(), hostile("x")):
        again = CaseReport.model_validate_json(report_json(report))
        assert report_json(again) == report_json(report)


def test_a_report_describes_what_its_models_make_of_their_input(tmp_path: Path) -> None:
    capsule = Sample().predict(two_layers(), grid(columns=3)).capsule()
    write_capsule(capsule, tmp_path / "r.capsule")
    case = Case("sample", tmp_path / "sample.R")
    finding = Conclusion("same-bits", "none", "Alike.")
    parts = ReportParts(described=describe_run(capsule, {}))
    report = build_report(case, {"r": capsule}, [], finding, parts)
    (census,) = report.census
    assert (census.layer, census.units, census.rows) == ("dense", 5, 20)
    write_report([report], tmp_path, pictures={})


def test_what_is_printed_as_json_is_the_report_that_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "different" / "report.json"

    assert report_case(Examined(different(), {}, {}), tmp_path, True) in (0, 1)

    assert json.loads(capsys.readouterr().out) == json.loads(written.read_text("utf-8"))
    assert '"Infinity"' in written.read_text("utf-8")
