"""Printed numbers and words of two runs, set side by side."""

from __future__ import annotations

import pytest

from bridge.capsule import Capsule, Manifest, Output
from bridge.compare.printed_numbers import parted_lines, printed_alike


def printed(runner: str, text: str) -> Capsule:
    output = (Output(stream="stdout", text=text, line=3),)
    return Capsule(Manifest(runner=runner, case="a", status="ok", output=output), {})


@pytest.mark.parametrize(
    ("by_r", "by_python", "parted"),
    [
        # Texts that R prints in quotes have their numbers.
        ('[1] "1 x 2 x 4"\n', "1 x 2 x 4\n", False),
        ('[1] "1 x 2 x 4"\n', "1 x 2 x 3\n", True),
        # Numbers in names that Keras makes up count what was made before.
        ("dense_2 6 dense_1 1", "dense 6 dense_1 1", False),
        ("dense_2 6 dense_1 1", "dense 6 flatten 1", True),
        # R prints as many digits as are asked for.
        ("[1] 0.3333333", "0.33333334", False),
        ("[1] 0.3333333", "0.33333374", True),
    ],
)
def test_lines_part_where_numbers_or_words_do(by_r: str, by_python: str, parted: bool) -> None:
    r, intent = printed("r", by_r), printed("intent", by_python)
    assert parted_lines(r, intent) == ({3} if parted else set())
    assert (printed_alike(r, intent) == 0) is parted
