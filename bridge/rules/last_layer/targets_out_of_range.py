"""The last activation cannot give the targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.rules.losses import least
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, is_one_dimensional

RULE = Rule(
    "L06",
    "targets-out-of-range",
    cause="maths",
    explains=("T02", "T03", "M02", "M07", "M11", "D01", "D08", "L08", "L09", "L11", "T05"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find targets beyond the last activation, where they are most of what is left of the loss."""
    for training in trainings(run):
        end, y, loss = training.end, training.y, training.used.loss
        if (
            end is None
            or end.ends is None
            or y is None
            or not y.size
            or not training.curve
            or not training.plain
        ):
            continue
        last = training.curve[-1]
        together = end.width if end.activation == "softmax" else None
        if together == 1:
            continue
        found = least(loss, y, *end.ends, together=together)
        # Most of what could be gained of the loss must be out of reach.
        if found is None or not np.isfinite(last) or found[0] <= found[1]:
            continue
        bound, free = found
        if bound - free <= (last - free) / 2:
            continue
        what, why = _said(end.ends, together, y)
        yield RULE.finding(
            f"The last {end.activation} cannot reach the targets",
            f"{what} {why} The loss cannot fall below {bound:.4g}, however long it is trained.",
            at=run.layer_place(end.by, "activation", f"{end.ends[0]:g} to {end.ends[1]:g}")
            or training.probe.line,
            also=(training.probe.line,),
            evidence=(
                ("least possible loss", f"{bound:.4g}"),
                ("loss at the end", f"{last:.4g}"),
                ("targets", f"{float(y.min()):g} to {float(y.max()):g}"),
            ),
            help=run.help(
                "Leave the last layer linear, or scale the targets into its range.",
                run.set_activation(end.by, "exponential" if loss == "poisson" else "linear"),
                # One target is set against all outputs where there are several.
                *(
                    (run.set_number(run.maker(end.layer), "units", 1),)
                    if is_one_dimensional(y) and (end.width or 1) > 1
                    else ()
                ),
            ),
        )
        return


def _said(ends: tuple[float, float], together: int | None, y: npt.NDArray[Any]) -> tuple[str, str]:
    beyond = int(np.sum((y < ends[0]) | (y > ends[1])))
    if together is None or beyond:
        return (
            f"It gives {ends[0]:g} to {ends[1]:g}.",
            f"{beyond:,} of {y.size:,} targets lie beyond.",
        )
    return f"Its {together} numbers add up to 1.", "The targets of a row do not."
