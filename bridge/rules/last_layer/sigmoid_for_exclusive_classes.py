"""Classes that exclude each other are given a sigmoid each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.losses import CATEGORICAL
from bridge.rules.models import is_one_hot, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("L02", "sigmoid-for-exclusive-classes", cause="maths", explains=("D08",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a categorical loss over sigmoids, whose predictions do not add up to 1."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or end.activation not in ("sigmoid", "hard_sigmoid"):
            continue
        if training.used.loss not in CATEGORICAL or training.used.logits or y is None:
            continue
        sparse = training.used.loss.startswith("sparse")
        if (end.width or 0) < 2 or not (sparse or is_one_hot(y)):
            continue
        sums = _sums(run, training.state.id)
        if sums is not None and sums[0] == sums[1] == 1:
            continue
        yield RULE.finding(
            "Each of the exclusive classes has a sigmoid of its own",
            f"The loss is for classes of which one is true. {end.width} sigmoids know nothing of "
            "each other, so that their answers do not add up to 1.",
            at=run.layer_place(end.by, "activation", "one for each class") or training.probe.line,
            also=(run.place(training.used.call, "loss", "one class is true"),),
            evidence=()
            if sums is None
            else (("sums of the predicted rows", f"{sums[0]:.4g} to {sums[1]:.4g}"),),
            help=run.help(
                "A softmax shares 1 out among the classes.", run.set_activation(end.by, "softmax")
            ),
        )
        return


def _sums(run: Run, model: int) -> tuple[float, float] | None:
    """Return the least and the largest sum of a predicted row, None where nothing was predicted."""
    found: list[float] = []
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind not in ("predict", "call") or state is None or state.id != model:
            continue
        y = run.array(probe.outputs[0]) if len(probe.outputs) == 1 else None
        if y is not None and y.ndim > 1 and y.size and np.all(np.isfinite(y)):
            sums = y.astype(np.float64).sum(axis=-1)
            found += [float(sums.min()), float(sums.max())]
    return (min(found), max(found)) if found else None
