"""The rows to validate with are among those to train with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("D07", "rows-on-both-sides", cause="user-script")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find most rows of the validation bit for bit in a training whose own rows all differ."""
    for training in trainings(run):
        given = training.probe.validation
        own = run.array(given[0]) if given else None
        x = training.x
        if own is None or x is None or own.shape[1:] != x.shape[1:] or len(own) < 2:
            continue
        trained, validated = _rows(x), _rows(own)
        if len(set(trained)) < len(trained):
            continue  # Rows repeat by nature, as those of a small table of factors.
        both = sum(row in set(trained) for row in set(validated))
        if 2 * both <= len(set(validated)):
            continue
        yield RULE.finding(
            f"{both:,} of {len(own):,} rows to validate with are trained with too",
            "They are the same bit for bit, so that validation tells nothing of new rows.",
            at=training.probe.line,
            help="Draw the rows to validate with first, and leave them out of training.",
        )
        return


def _rows(x: npt.NDArray[Any]) -> list[bytes]:
    """Return the bits of each row, as the types of both sides can be told from them."""
    flat = np.ascontiguousarray(x.reshape(len(x), -1), np.float32)
    return [row.tobytes() for row in flat]
