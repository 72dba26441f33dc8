"""Rules of the language that are told from the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from bridge.r.script import inspect
from tests.rules.samples import Run, method, needs_r, tree_of

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
        (rows((0, 3), (3, 7), (7, 11)), ["R11"]),
        (rows((0, 3), (3, 7), (7, 11)) * 2, ["R11"]),
        (rows((0, 4), (4, 8), (8, 11)), []),
        (rows((0, 3), (3, 7)), []),
        (rows((0, 2), (2, 6), (6, 10)), []),
        (rows((0, 3), (3, 7), (5, 9)), []),
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


@needs_r
@pytest.mark.parametrize(
    ("lines", "first", "found"),
    [
        ("mean(max.col(predict(m, x)) == y)", 0, ["R06"]),
        ("p <- predict(m, x)\nk <- apply(p, 1, which.max)\nsum(y[1:2] == k)", 0, ["R06"]),
        ("test <- truth[3:4]\nk <- max.col(p)\nprint(sum(as.vector(k) == test))", 0, ["R06"]),
        ("k <- max.col(p) - 1\nmean(k == y)", 0, []),
        ("mean(max.col(p) == y + 1)", 0, []),
        ("mean(max.col(p) == y)", 1, []),
        ("mean(max.col(p) == max.col(y))", 0, []),
        ("mean(levels(f)[max.col(p)] == y)", 0, []),
    ],
)
def test_the_largest_column_is_counted_from_one(
    lines: str, first: int, found: list[str], tmp_path: Path
) -> None:
    run = Run()
    text = f"y <- truth[1:2]\nfit(m, x, y)\n{lines}\n"
    run.model(("Dense", {"units": 3, "activation": "softmax"}), compiled={"loss": "mse"})
    run.call(method("fit"), line=2, r_call="fit(m, x, y)")
    run.about["script"] = {"name": "x.R", "language": "r", "text": text, "sha256": ""}
    run.probe("fit", call=1, targets=[run.array("y", first + np.arange(3))])
    assert [code for code in run.rules(tree_of(text, tmp_path)) if code == "R06"] == found


@needs_r
@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("n <- length(w)\nx <- array(unlist(w), dim = c(n, 4, 1))", ["R13"]),
        ("w <- lapply(seq_len(n), f)\nx <- matrix(unlist(w), nrow = n)", ["R13"]),
        ("n <- 6\nw <- sapply(1:n, function(i) s[i:(i + 3)])\nx <- array(w, c(n, 4, 1))", ["R13"]),
        ("w <- lapply(seq_len(n), f)\nx <- matrix(unlist(w), nrow = n, byrow = TRUE)", []),
        ("w <- sapply(1:n, f)\nx <- array(t(w), c(n, 4, 1))", []),
        ("x <- matrix(unlist(w), ncol = length(w))", []),
        ("x <- matrix(unlist(columns), nrow = n)", []),
        ("x <- array(sapply(1:4, f), c(n, 4))", []),
        ("z <- array(unlist(w), dim = c(length(w), 4, 1))", []),
    ],
)
def test_an_array_of_parts_is_filled_by_columns(
    lines: str, found: list[str], tmp_path: Path
) -> None:
    run = Run()
    text = f"{lines}\nfit(m, x, y)\n"
    line = text.count("\n")
    run.model(("Dense", {"units": 1}), compiled={"loss": "mse"})
    run.call(method("fit"), line=line, r_call="fit(m, x, y)")
    run.about["script"] = {"name": "x.R", "language": "r", "text": text, "sha256": ""}
    given = [run.array("x", np.random.default_rng(1).normal(size=(6, 4)))]
    run.probe("fit", call=1, inputs=given, targets=[run.array("y", np.arange(6.0))])
    assert [code for code in run.rules(tree_of(text, tmp_path)) if code == "R13"] == found


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
        found[text] = "R14" in run.rules(inspection.tree)
    assert found == _COLUMNS
