"""Batches that are cut as in Python share a row, because a range of R includes its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import Probe
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, same

RULE = Rule("R11", "ranges-include-their-end", cause="r-index-base", whose="R's rules")

Batch = npt.NDArray[Any]


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find batches of a training loop of which each begins with the last row of the one before."""
    for given in _by_model(run).values():
        batches = [x for _, x in given]
        if not _overlap(batches):
            continue
        sizes = [len(x) for x in batches[:6]]
        yield RULE.finding(
            "Each batch begins with the last row of the one before",
            "A range of R includes its end, and brackets leave element 0 out. "
            "In Python the end is the first that is not taken.",
            at=given[0][0].line,
            evidence=(("rows of the first batches", ", ".join(map(str, sizes))),),
            help=Help(
                text="Begin at 1, and end one before the next begins.",
                before="x[start:end, ]",
                after="x[(start + 1):end, ]",
            ),
        )
        return


@RULE.detector
def from_zero(run: Run) -> Iterator[Finding]:
    """Find passes of which the first batch lacks a row, because its range begins at 0."""
    for given in _by_model(run).values():
        passes: list[list[int]] = []
        first = given[0][1][:1]
        for _, x in given:
            if same(x[:1], first):
                passes.append([])
            passes[-1].append(len(x))
        size = passes[0][0] + 1
        if any(indices[0] != size - 1 or set(indices[1:]) != {size} for indices in passes):
            continue
        rows = [row.tobytes() for _, x in given[: len(passes[0])] for row in x]
        # A row that comes twice was drawn, or shared; short batches of those are something else.
        if len(set(rows)) < len(rows) or len(passes[0]) < 3:
            continue
        yield RULE.finding(
            "The first batch lacks a row: the range begins at 0",
            "R's brackets leave element 0 out, and say nothing. In Python it is the first.",
            at=given[0][0].line,
            evidence=(("rows of the first batches", ", ".join(map(str, passes[0][:6]))),),
            help=Help(text="Begin at 1.", before="x[start:end, ]", after="x[(start:end) + 1, ]"),
        )
        return


def _by_model(run: Run) -> dict[int, list[tuple[Probe, Batch]]]:
    """Return the batches that each model was trained with."""
    found: dict[int, list[tuple[Probe, Batch]]] = {}
    for probe in run.probes:
        state = run.state(probe)
        x = run.array(probe.inputs[0]) if len(probe.inputs) == 1 else None
        if probe.kind == "train" and state is not None and x is not None and x.ndim > 1 and len(x):
            found.setdefault(state.id, []).append((probe, x))
    return found


def _overlap(batches: Sequence[Batch]) -> bool:
    """Say whether all neighbours share one row, but where a pass over the rows begins anew."""
    first = batches[0][:1]
    follow = [(a, b) for a, b in pairwise(batches) if not same(b[:1], first)]
    if not follow or any(a.shape[1:] != b.shape[1:] for a, b in follow):
        return False
    shared = all(same(a[-1:], b[:1]) for a, b in follow)
    # Rows that repeat by nature share more than that one.
    apart = all(len(a) > 1 and len(b) > 1 and not same(a[-2:-1], b[1:2]) for a, b in follow)
    rows = [row.tobytes() for row in np.ascontiguousarray(batches[0])]
    return shared and apart and len(set(rows)) == len(rows)
