"""A leaky relu leaks more as a layer than by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from bridge.capsule import LayerState
from bridge.facts.layers import class_name
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of

RULE = Rule("M12", "two-slopes", cause="maths", whose="Keras")
#: The default of keras.activations.leaky_relu, in Keras 2 and 3.
_BY_NAME: Final = 0.2


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a leaky relu of both kinds, where no slope is written."""
    layers: list[tuple[LayerState, float]] = []
    named: list[LayerState] = []
    for probe in run.probes:
        state = run.state(probe)
        for layer in state.layers if state is not None else ():
            config = layer.config
            if class_name(layer.cls) == "LeakyReLU":
                slope = config.get("negative_slope", config.get("alpha"))
                value = slope.get("value") if isinstance(slope, dict) else slope
                if isinstance(value, (int, float)):
                    layers.append((layer, float(value)))
            elif activation_of(config) == "leaky_relu":
                named.append(layer)
    if not layers or not named or _slope_written(run):
        return
    layer, slope = layers[-1]
    # A slope is kept in float32.
    if np.float32(slope) != np.float32(_BY_NAME):
        yield RULE.finding(
            "A leaky relu has two slopes: as a layer, and by name",
            f"The layer's default is {slope:g}, and that of the activation 'leaky_relu' is "
            f"{_BY_NAME:g}: Keras has two.",
            at=run.layer_place(layer, label=f"slope {slope:g}"),
            also=(run.layer_place(named[0], "activation", f"slope {_BY_NAME:g}"),),
            help="Give the slope, and both are the same.",
        )


def _slope_written(run: Run) -> bool:
    """Say whether the script itself gives a slope: then nothing about it is a surprise."""
    return any(
        "leaky" in call.r_call and ("alpha" in call.r_call or "negative_slope" in call.r_call)
        for call in run.capsule.manifest.calls
    )
