"""A loss of the script's own is greatest where every prediction is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from bridge.capsule import Capsule, Probe
from bridge.explain.experiment import Experiment
from bridge.rules.models import Training, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.trace.call_semantics import own_functions

RULE = Rule(
    "L20",
    "loss-of-the-wrong-sign",
    cause="user-script",
    needs=("evaluate again",),
    explains=("T01", "T02", "T03", "M02", "M07", "M11", "D01", "D08", "L06", "P08"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find an own loss that rises on the way from the answers of a model to its targets.

    Where answers have no bounds it must fall again beyond the targets. A loss that falls on both
    sides is not convex there, so that no usual loss of logits, rates or distances does.
    """
    for training in trainings(run):
        probe, y = training.probe, training.y
        functions = own_functions(run.capsule, training.state.id, "loss", probe.call)
        if len(functions) != 1 or y is None or not y.size:
            continue
        outcome = run.outcome(Experiment("evaluate again", probe.index, "own loss"))
        shown = [p for p in outcome.manifest.probes if p.settings.get("changed")] if outcome else []
        bounded = _is_bounded(training)
        if outcome is None or not shown or not all(_is_turned(way, bounded) for way in shown):
            continue
        first, answered = shown[0].curves, _answered(outcome)
        name = functions[0].name or "the function"
        yield RULE.finding(
            "The loss is greatest where every prediction is right",
            f"fit() makes {name} small, and it is larger the nearer the predictions are to the "
            "targets. So the model is trained away from them.",
            at=run.compile_place(training.state, "loss", "is made small"),
            also=(probe.line,),
            evidence=(
                ("a batch answered as the trained model does", f"loss {answered:.4g}"),
                ("half of the way to the targets", f"loss {first['towards'][2]:.4g}"),
                ("next to the targets", f"loss {first['towards'][-1]:.4g}"),
            ),
            confidence="likely" if bounded else "proven",
            help="Give the loss the other sign: put a minus before what it returns, or 1 less it.",
        )
        return


def _is_bounded(training: Training) -> bool:
    """Say whether the last activation has two ends, between which the targets are."""
    ends, y = training.end.ends if training.end is not None else None, training.y
    if ends is None or y is None or not np.all(np.isfinite(ends)):
        return False
    return bool(np.all((y >= ends[0]) & (y <= ends[1])))


def _is_turned(shown: Probe, bounded: bool) -> bool:
    """Say whether a loss rises all the way to the targets, and falls again beyond them."""
    towards, beyond = shown.curves["towards"], shown.curves["beyond"]
    return _rises(towards) and (bounded or _rises(beyond))


def _rises(way: Sequence[float]) -> bool:
    return bool(np.all(np.isfinite(way))) and all(a < b for a, b in pairwise(way))


def _answered(outcome: Capsule) -> float:
    """Return the loss of what the trained model answers."""
    return next(
        probe.curves["after"][0]
        for probe in outcome.manifest.probes
        if not probe.settings.get("changed")
    )
