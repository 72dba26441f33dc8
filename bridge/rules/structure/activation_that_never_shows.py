"""A drawn response is straight, because its activation is never given what bends it."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.explain.responses import describe, surprise
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M14", "activation-that-never-shows", cause="maths", whose="mathematics")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find drawn responses in which no activation shows.

    Where another response of the script bends, its author has seen the activation at work.
    """
    if not run.capsule.manifest.plots:
        return
    probes = [probe for probe in run.probes if probe.kind in ("predict", "call") and probe.layers]
    found = [(probe, *describe(run.capsule, probe)) for probe in probes]
    shapes = [shape for _, shown, _, _ in found for shape in shown]
    if not shapes or any(shape.kind not in ("affine", "constant") for shape in shapes):
        return
    for probe, shown, census, collapses in found:
        unseen = any(collapse.here_only for collapse in collapses) or any(
            entry.units and entry.dead_units == entry.units for entry in census
        )
        if shown and unseen and any(surprise(shown, census, collapses)):
            yield RULE.finding(
                "The activation never shows in what is drawn",
                "The sums before it have one sign for all inputs, or are all cut off: nothing "
                "bends there.",
                at=probe.line,
                help="Draw it over inputs for which the sums have both signs.",
            )
            return
