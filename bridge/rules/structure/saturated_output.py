"""The last activation is at the end of its range for every row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from bridge.rules.language.seed_of_the_other_generator import drawn_layer
from bridge.rules.models import seen_enough
from bridge.rules.outcomes import one_for_all
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of, output_layer

RULE = Rule("M11", "saturated-output", cause="maths", explains=("D08", "M07"))
#: The ends that an activation reaches in float32, where what it is given is large.
_ENDS: Final = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0)}


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find predictions that are one number for all rows, and the end of a range."""
    for probe in run.probes:
        if probe.kind not in ("predict", "call") or not one_for_all(run, probe):
            continue
        state = run.state(probe)
        last = output_layer(state) if state is not None else None
        x, y = (run.array(refs[0]) for refs in (probe.inputs, probe.outputs))
        if last is None or x is None or y is None or last.config.get("units") is None:
            continue
        name = activation_of(last.config)
        if name not in _ENDS or (name == "softmax" and last.config.get("units") == 1):
            continue
        if not np.all(np.isin(y, _ENDS[name])):
            continue
        enough = state is None or seen_enough(run, probe, state)
        trained = any(
            earlier.kind in ("fit", "train") and earlier.index < probe.index
            for earlier in run.probes
        )
        yield RULE.finding(
            f"The last {name} is at an end of its range everywhere",
            "What it is given is so large that float32 knows nothing closer to "
            f"{float(y.flat[0]):g} than {float(y.flat[0]):g} itself. "
            f"The inputs reach from {float(x.min()):g} to {float(x.max()):g}.",
            at=run.layer_place(last, "activation") or probe.line,
            also=(probe.line,),
            help="Scale the inputs, with scale() for example.",
            decides=(trained or not drawn_layer(run.capsule)) and enough,
        )
        return
