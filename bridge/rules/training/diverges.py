"""The loss grows without end, because each step overshoots."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bridge.rules.losses import KNOWN, loss_of
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("T03", "diverges", cause="maths", explains=("M02", "D08"))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find trainings whose loss is no number any more although all that they were given is."""
    for probe in run.probes:
        losses = probe.curves.get("loss", ())
        lost = next((n for n, each in enumerate(losses, start=1) if not math.isfinite(each)), None)
        if probe.kind != "fit" or lost is None:
            continue
        given = [run.array(ref) for ref in (*probe.inputs, *probe.targets)]
        known = [each for each in given if each is not None and each.size]
        if len(known) != len(given) or not known or not all(np.isfinite(a).all() for a in known):
            continue
        state = run.state(probe)
        known_loss = state is not None and loss_of(run, state).loss in KNOWN
        most = max(float(np.max(np.abs(each))) for each in known)
        yield RULE.finding(
            "Training diverges: the loss is no number any more",
            f"It is {'NaN' if math.isnan(losses[lost - 1]) else 'infinite'} from epoch {lost} on, "
            f"although all that it is given is finite (up to {most:g}). "
            "Each step overshoots by more than the one before it.",
            at=probe.line,
            confidence="likely" if known_loss else "possible",
            # A loss that the script wrote itself may be no number for a reason of its own.
            decides=known_loss,
            help="Scale the inputs and targets, or take a smaller learning rate.",
        )
        return
