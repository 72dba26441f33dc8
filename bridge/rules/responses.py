"""Responses that a script draws and that are straight although an activation stands in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.capsule import Capsule
from bridge.explain.responses.description import describe, surprise
from bridge.rules.said import Said
from bridge.translate.syntax import Node


def straight(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[Said]:
    """Find drawn responses in which no activation shows, because of the numbers that it is given.

    Where another response of the script bends, its author has seen the activation at work.
    """
    if not capsule.manifest.plots:
        return
    found = [
        describe(capsule, probe)
        for probe in capsule.manifest.probes
        if probe.kind in ("predict", "call") and probe.layers
    ]
    shapes = [shape for each in found for shape in each[0]]
    if not shapes or any(shape.kind not in ("affine", "constant") for shape in shapes):
        return
    for shown, census, collapses in found:
        unseen = any(each.here_only for each in collapses) or any(
            each.units and each.dead_units == each.units for each in census
        )
        for sentence in surprise(shown, census, collapses) if shown and unseen else ():
            yield Said("maths", sentence)
