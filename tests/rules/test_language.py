"""Rules of the language that are told from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.rules.samples import Run

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
