"""The page that says how much the stand-in carries is what the tables and recordings say now."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bridge.r.standin.build import PAGE, page, rows


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text("utf-8") == page(list(rows())), "type: python -m bridge.r.standin.build"


def test_the_three_hundred_most_used_functions_are_listed_once() -> None:
    found = list(rows())
    names = [(row.package, row.function) for row in found]
    assert len(names) == len(set(names)) == 300
    assert Counter(package for package, _ in names) == {"keras": 150, "keras3": 150}


def test_a_function_written_by_hand_is_recorded_only_where_a_script_calls_it(
    tmp_path: Path,
) -> None:
    with_scripts, without = (
        {(row.package, row.function): row.status for row in rows(folder)}
        for folder in (PAGE.parents[3] / "tests" / "data" / "golden", tmp_path)
    )
    assert with_scripts["keras3", "fit"] == "recorded"
    assert without["keras3", "fit"] == "by hand"
