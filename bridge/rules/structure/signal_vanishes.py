"""Layer after layer hands on less of the difference between rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bridge.capsule import LayerState, Probe
from bridge.facts.layers import facts_of
from bridge.rules.models import best_constant, learned_nothing, trained_before
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of, output_layer

RULE = Rule(
    "M03", "signal-vanishes", cause="maths", explains=("D08", "M07", "T02", "T03", "T04", "M01")
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find squashing layers in a row behind which rows are alike, in a model that learned nothing.

    That it learned nothing is measured against the best answer that is the same for every row.
    """
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "predict" or state is None or not probe.layers:
            continue
        training = trained_before(run, probe, state)
        if training is None or training.y is None or not training.curve or not training.plain:
            continue
        chance = best_constant(training.used.loss, training.y)
        if chance is None or not learned_nothing(
            training.used.loss, training.y, training.curve[-1]
        ):
            continue
        last = output_layer(state)
        squashing = [layer for layer in state.layers if layer is not last and _squashes(layer)]
        spreads = [_spread(run, probe, layer) for layer in squashing]
        known = [spread for spread in spreads if spread is not None]
        falling = all(a > b for a, b in pairwise(known))
        if len(known) < 3 or len(known) < len(squashing) or not falling:
            continue
        kind = activation_of(squashing[0].config)
        yield RULE.finding(
            f"{len(squashing)} {kind} layers in a row hand on no signal",
            "Each makes the rows more alike than the one before, and shrinks the gradient as "
            "much. The model answers every row alike.",
            at=run.layer_place(squashing[0], "activation", "squashes") or probe.line,
            evidence=(
                ("spread between rows after the first", f"{known[0]:.3g}"),
                ("after the last of them", f"{known[-1]:.3g}"),
                ("loss of the best constant answer", f"{chance:.4g}"),
                ("loss at the end", f"{training.curve[-1]:.4g}"),
            ),
            help=run.help(
                "Hidden layers want an activation that does not squash.",
                *dict.fromkeys(run.set_activation(layer, "relu") for layer in squashing),
            ),
            confidence="likely",
        )
        return


def _squashes(layer: LayerState) -> bool:
    facts = facts_of(layer.cls)
    hidden = facts is not None and facts.does == "products"
    return hidden and activation_of(layer.config) in ("sigmoid", "tanh", "hard_sigmoid")


def _spread(run: Run, probe: Probe, layer: LayerState) -> float | None:
    """Return how far the rows of a layer's output are apart, of what a layer's range is."""
    for seen in probe.layers:
        if seen.layer == layer.name and len(seen.outputs) == 1:
            y = run.array(seen.outputs[0])
            if y is not None and y.ndim > 1 and len(y) > 1 and np.all(np.isfinite(y)):
                return float(np.mean(np.std(y.astype(np.float64), axis=0)))
    return None
