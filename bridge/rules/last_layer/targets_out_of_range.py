"""The last activation cannot give the targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.facts.activations import ACTIVATIONS
from bridge.rules.losses import least, loss_of
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, activation_of, output_layer

RULE = Rule("L06", "targets-out-of-range", cause="maths")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find targets beyond the last activation, where they are most of what is left of the loss."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None or len(probe.targets) != 1 or probe.kind not in ("fit", "evaluate"):
            continue
        last, loss = output_layer(state), loss_of(run, state).loss
        facts = ACTIVATIONS.get(activation_of(last.config)) if last is not None else None
        ends = facts.range if facts is not None else None
        y, curve = run.array(probe.targets[0]), probe.curves.get("loss")
        if ends is None or y is None or not y.size or not curve or last is None:
            continue
        low = least(loss, y, *ends)
        # Most of what is left of the loss must come from there.
        if low is None or not low > 0 or not curve[-1] / 2 < low or not np.isfinite(curve[-1]):
            continue
        name = activation_of(last.config)
        beyond = int(np.sum((y < ends[0]) | (y > ends[1])))
        yield RULE.finding(
            f"The last {name} cannot reach the targets",
            f"It gives {ends[0]:g} to {ends[1]:g}, and {beyond:,} of {y.size:,} targets lie "
            f"beyond. The loss cannot fall below {low:.4g}, however long it is trained.",
            at=run.layer_place(last, "activation", f"{ends[0]:g} to {ends[1]:g}") or probe.line,
            also=(probe.line,),
            evidence=(
                ("least possible loss", f"{low:.4g}"),
                ("loss at the end", f"{curve[-1]:.4g}"),
                ("targets", f"{float(y.min()):g} to {float(y.max()):g}"),
            ),
            help=Help(text="Leave the last layer linear, or scale the targets into its range."),
        )
        return
