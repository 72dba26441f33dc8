"""A loss of probabilities is given the numbers of a relu, a tanh and the like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.facts.keras import ACTIVATIONS
from bridge.rules.losses import CATEGORICAL, PROBABILITIES
from bridge.rules.models import Ending, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule(
    "L03",
    "no-probabilities",
    cause="maths",
    explains=("T01", "T02", "T03", "T05", "M02", "M07", "D08", "L02", "L10"),
)
#: Activations whose numbers are probabilities, or are logits.
_FITTING: Final = frozenset({"sigmoid", "hard_sigmoid", "softmax", "linear", "log_softmax", ""})
#: Activations of Keras that have no row of facts.
_OTHERS: Final = frozenset({"gelu", "silu", "hard_silu", "leaky_relu", "mish", "celu", "glu"})
#: What is above 0 for every row is divided by its sum in a categorical loss: that is a softmax.
_POSITIVE: Final = frozenset({"exponential", "softplus"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a last activation that leaves 0..1 under a cross entropy, where it was seen to."""
    for training in trainings(run, evaluations=True):
        end, loss = training.end, training.used.loss
        if end is None or loss not in PROBABILITIES or training.used.logits:
            continue
        known = end.activation in ACTIVATIONS or end.activation in _OTHERS
        if (
            end.activation in _FITTING
            or not known
            or (loss in CATEGORICAL and end.activation in _POSITIVE)
        ):
            continue
        seen = list(_predicted(run, training.state.id))
        beyond = [float(np.mean(~((p > 0) & (p < 1)))) for p in seen if p.size]
        if seen and not any(beyond):
            continue
        what = "categorical" if loss in CATEGORICAL else "binary"
        yield RULE.finding(
            f"The loss takes the numbers of a {end.activation} for probabilities",
            f"A {what} cross entropy wants numbers between 0 and 1, and a {end.activation} leaves "
            "them. What is at or beyond the ends is clipped, and has no gradient.",
            at=run.layer_place(end.by, "activation", _reach(end)) or training.probe.line,
            also=(run.place(training.used.call, "loss", "wants probabilities"),),
            evidence=(("share of predictions at or beyond 0 and 1", f"{max(beyond):.0%}"),)
            if beyond
            else (),
            help=run.help(
                "Take a sigmoid for one question, a softmax for classes that exclude others.",
                run.set_activation(end.by, "softmax" if what == "categorical" else "sigmoid"),
            ),
        )
        return


def _reach(end: Ending) -> str:
    return f"{end.ends[0]:g} to {end.ends[1]:g}" if end.ends is not None else "not within 0..1"


def _predicted(run: Run, model: int) -> Iterator[npt.NDArray[Any]]:
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind in ("predict", "call") and state is not None and state.id == model:
            for ref in probe.outputs:
                values = run.array(ref)
                if values is not None:
                    yield values
