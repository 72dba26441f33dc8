"""Rows that differ have one answer, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.models import seen_enough, trained_before
from bridge.rules.outcomes import one_for_all
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M07", "input-does-not-matter", cause="maths", explains=("D08",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a trained model whose prediction has the same bits for rows that differ."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "predict" or state is None or not one_for_all(run, probe):
            continue
        if trained_before(run, probe, state) is None or not seen_enough(run, probe, state):
            continue
        y = run.array(probe.outputs[0])
        count = len(y) if y is not None else 0
        yield RULE.finding(
            "The prediction does not depend on the input",
            f"{count:,} rows that differ have one answer, bit for bit.",
            at=probe.line,
            help="Look at the layers in between: one of them hands on the same for every row.",
            open=("which layer makes the rows alike",),
        )
        return
