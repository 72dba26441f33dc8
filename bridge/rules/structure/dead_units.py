"""Units that give 0 for every row have no gradient, and stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import Probe
from bridge.explain.responses import describe
from bridge.explain.result import UnitCensus
from bridge.rules.language.seed_of_the_other_generator import drawn_layer
from bridge.rules.models import seen_enough
from bridge.rules.outcomes import one_for_all
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M02", "dead-units", cause="maths", explains=("D08", "M07", "T01", "T02"))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find predictions that are one number for all rows, because a layer of relus is dead."""
    for probe in run.probes:
        if probe.kind not in ("predict", "call") or not one_for_all(run, probe):
            continue
        dead = _dead(run, probe)
        if dead is None:
            continue
        state = run.state(probe)
        layers = state.layers if state is not None else ()
        layer = next((layer for layer in layers if layer.name == dead.layer), None)
        enough = state is None or seen_enough(run, probe, state)
        # Start weights that were drawn and never trained are others the next time.
        trained = any(
            earlier.kind in ("fit", "train") and earlier.index < probe.index
            for earlier in run.probes
        )
        yield RULE.finding(
            "A whole relu layer is dead: 0 for every row",
            f"Each of its {dead.units} sums is negative for all {dead.rows:,} rows. "
            "A relu gives 0 there and has no gradient, so that training cannot change it.",
            at=run.layer_place(layer, "activation", "0 for every row") or probe.line,
            help="Other start weights, a leaky relu or a smaller learning rate help.",
            decides=(trained or not drawn_layer(run.capsule)) and enough,
        )
        return


def _dead(run: Run, probe: Probe) -> UnitCensus | None:
    """Return the census of a layer of relus whose sums are negative on every row."""
    _, census, _ = describe(run.capsule, probe)
    for entry in census:
        silent = entry.units and entry.dead_units == entry.units and entry.below
        if silent and entry.negative == 1.0 and entry.activation == "relu":
            return entry
    return None
