"""Rules of the language that are told from the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from bridge.r.script import inspect
from tests.rules.samples import Run, needs_r

X = np.arange(24.0).reshape(12, 2)


def rows(*ranges: tuple[int, int]) -> list[Any]:
    return [X[start:end] for start, end in ranges]


@pytest.mark.parametrize(
    ("batches", "found"),
    [
        (rows((0, 4), (3, 8), (7, 12)), ["R11"]),
        (rows((0, 4), (3, 8), (0, 4), (3, 8)), ["R11"]),
        (rows((0, 5), (4, 9)), ["R11"]),
        (rows((0, 4), (4, 8), (8, 12)), []),
        (rows((0, 4), (2, 6), (4, 8)), []),
        (rows((0, 4), (3, 8), (8, 12)), []),
        (rows((0, 4), (0, 4)), []),
        ([np.ones((4, 2))] * 3, []),
        (rows((0, 4)), []),
    ],
)
def test_batches_share_a_row_where_a_range_includes_its_end(
    batches: list[Any], found: list[str]
) -> None:
    run = Run()
    run.model(("Dense", {"units": 1}), compiled={"loss": "mse"})
    for batch in batches:
        run.probe("train", inputs=[run.array("x", batch)], targets=[run.array("y", batch[:, :1])])
    assert run.rules() == found


_COLUMNS: Final = {
    "x <- x - colMeans(x)": True,
    "x <- (x - colMeans(x)) / apply(x, 2, sd)": True,
    "mu <- colMeans(x)\nz <- x[1:3, ] - mu": True,
    "s <- apply(x, 2, max)\nx <- x / s": True,
    "x <- t(t(x) - colMeans(x))": False,
    "x <- sweep(x, 2, colMeans(x))": False,
    "x <- x / rowSums(x)": False,
    "x <- x - apply(x, 1, mean)": False,
    "d <- colMeans(x) - colMeans(y)": False,
    "mu <- colMeans(x)\nmu <- 3\nz <- x - mu": False,
    "z <- x[1, 2] - colMeans(x)": False,
}


@needs_r
def test_numbers_of_columns_are_not_laid_down_the_columns(tmp_path: Path) -> None:
    paths = [tmp_path / f"script{number}.R" for number in range(len(_COLUMNS))]
    for path, text in zip(paths, _COLUMNS, strict=True):
        path.write_text(text, "utf-8")
    found = {}
    for text, inspection in zip(_COLUMNS, inspect(paths)[1], strict=True):
        run = Run()
        run.probe()
        found[text] = "R13" in run.rules(inspection.tree)
    assert found == _COLUMNS
