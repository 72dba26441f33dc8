"""An embedding is given fractions, or one index alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import LayerState, Probe
from bridge.facts.layers import class_name
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M06", "index-of-a-table", cause="user-script", explains=("M07", "D08", "T02"))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find indices of an embedding that are no whole numbers, or all one after they are cut."""
    for probe in run.probes:
        state = run.state(probe)
        for layer in state.layers if state is not None else ():
            if class_name(layer.cls) != "Embedding":
                continue
            x = _embedding_input(run, probe, layer, state.layers if state is not None else ())
            if x is None or not x.size or not np.all(np.isfinite(x)):
                continue
            rows = np.unique(np.trunc(x))
            place = run.layer_place(layer, label="looks rows up by a whole number") or probe.line
            if np.any(x != np.trunc(x)):
                yield RULE.finding(
                    "An embedding is given fractions, and cuts them off",
                    "It looks up a row of its table by a whole number. "
                    f"{x.size:,} numbers from {float(x.min()):g} to {float(x.max()):g} become "
                    f"{len(rows)} rows.",
                    at=place,
                    also=(probe.line,),
                    help="Give it whole numbers, as they are before scaling.",
                )
                return
            if len(rows) == 1 and len(x) > 1:
                yield RULE.finding(
                    "An embedding is given one index alone",
                    f"All {x.size:,} are {rows[0]:g}, so that it hands on the same row for all.",
                    at=place,
                    also=(probe.line,),
                    help="Look at what the indices are before they reach the model.",
                )
                return


def _embedding_input(
    run: Run, probe: Probe, layer: LayerState, layers: tuple[LayerState, ...]
) -> npt.NDArray[Any] | None:
    """Return what reached an embedding: as it was seen, or the only input of a model before it."""
    for seen in probe.layers:
        if seen.layer == layer.name and len(seen.inputs) == 1:
            return run.array(seen.inputs[0])
    first = [candidate for candidate in layers if class_name(candidate.cls) != "InputLayer"]
    if len(probe.inputs) == 1 and first and first[0] is layer:
        return run.array(probe.inputs[0])
    return None
