"""Results that say nothing any more: a loss that is no number, an output that never changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import Capsule, Probe
from bridge.explain.responses.description import describe, surprise
from bridge.explain.result import CauseEvidence
from bridge.facts.layers import class_name
from bridge.rules.recorded_run import activation_of, answer, array, at, output_layer
from bridge.rules.seeds import drawn_layer
from bridge.translate.syntax import Node

#: The ends that an activation reaches in float32, where what it is given is large.
_ENDS: Final = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0)}


def no_number(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find trainings whose loss stops being a number, and what they were given."""
    for probe in capsule.manifest.probes:
        losses = probe.curves.get("loss", ())
        lost = next((n for n, each in enumerate(losses, start=1) if not math.isfinite(each)), None)
        if probe.kind != "fit" or lost is None:
            continue
        given = [array(capsule, ref) for ref in (*probe.inputs, *probe.targets)]
        known = [each for each in given if each is not None and each.size]
        if len(known) != len(given) or not known:
            continue
        word = "NaN" if math.isnan(losses[lost - 1]) else "infinite"
        since = f"{at(probe.line)}the loss is {word} from epoch {lost} on"
        missing = sum(int(np.count_nonzero(~np.isfinite(each))) for each in known)
        if missing:
            yield answer(
                "user-script",
                f"{since}, because {missing:,} of the numbers that it is trained with are missing "
                "or infinite (NA, NaN, Inf), and one is enough: every weight becomes NaN. "
                "Leave such rows out (complete.cases()), or fill them.",
                line=probe.line,
            )
        else:
            most = max(float(np.max(np.abs(each))) for each in known)
            yield answer(
                "maths",
                f"{since}, although all numbers that it is trained with are finite (up to "
                f"{most:g}): each step overshoots by more than the one before it. Scale the "
                "inputs and targets (scale()), or take a smaller learning rate.",
                line=probe.line,
            )
        return


def never_changes(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find predictions that are one number for all rows, and the layer that makes them so."""
    for probe in capsule.manifest.probes:
        if probe.kind not in ("predict", "call") or not _one_for_all(capsule, probe):
            continue
        told = _at_an_end(capsule, probe) or _silenced(capsule, probe)
        if told:
            # Start weights that were drawn and never trained are others the next time.
            trained = any(
                each.kind in ("fit", "train") and each.index < probe.index
                for each in capsule.manifest.probes
            )
            sure = trained or not drawn_layer(capsule)
            yield answer("maths", f"{at(probe.line)}{told}", decides=sure, line=probe.line)
            return


def _one_for_all(capsule: Capsule, probe: Probe) -> bool:
    """Say whether rows that differ have outputs that do not."""
    if len(probe.inputs) != 1 or len(probe.outputs) != 1:
        return False
    x, y = array(capsule, probe.inputs[0]), array(capsule, probe.outputs[0])
    if x is None or y is None or not x.ndim or not y.ndim or len(x) != len(y) or len(x) < 2:
        return False
    return _constant(y) and not _constant(x) and bool(np.all(np.isfinite(x)))


def _constant(values: npt.NDArray[Any]) -> bool:
    return bool(np.all(values == values[:1]))


def _at_an_end(capsule: Capsule, probe: Probe) -> str:
    state = capsule.state_of(probe)
    last = output_layer(state) if state is not None else None
    x, y = (array(capsule, refs[0]) for refs in (probe.inputs, probe.outputs))
    if last is None or x is None or y is None or last.config.get("units") is None:
        return ""
    name = activation_of(last.config)
    if name not in _ENDS or (name == "softmax" and last.config.get("units") == 1):
        return ""
    if not np.all(np.isin(y, _ENDS[name])):
        return ""
    return (
        f"{name}, the activation of the last layer ({last.name}), is at the end of its range for "
        f"all {len(y):,} rows: what it is given is so large that float32 knows nothing closer to "
        f"{float(y.flat[0]):g} than {float(y.flat[0]):g} itself. The inputs reach from "
        f"{float(x.min()):g} to {float(x.max()):g}; scale them (scale())."
    )


def _silenced(capsule: Capsule, probe: Probe) -> str:
    _, census, _ = describe(capsule, probe)
    for each in census:
        silent = each.units and each.dead_units == each.units and each.below
        if silent and each.negative == 1.0 and each.activation == "relu":
            count = "The one unit" if each.units == 1 else f"Each of the {each.units} units"
            return (
                f"the output is the same for all {each.rows:,} rows. {count} of layer "
                f"{each.layer} (relu) has a negative sum for every row, gives 0, and has no "
                "gradient, so that training cannot change it: other start weights, leaky_relu or "
                "a smaller learning rate help."
            )
    return ""


def one_for_many(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Tell of dense layers one after the other without an activation between them.

    It is told and decides nothing: who wants a linear model of two steps has it.
    """
    for state in capsule.manifest.states:
        if not state.cls.endswith("Sequential"):
            continue
        for one, other in pairwise(state.layers):
            both = all(class_name(each.cls) == "Dense" for each in (one, other))
            if both and activation_of(one.config) == "linear":
                yield answer(
                    "maths",
                    f"Layer {one.name} has no activation, so that it and layer {other.name} are "
                    "together no more than one linear layer before the activation of "
                    f"{other.name}: more such layers bend nothing.",
                    decides=False,
                )
                return


# Responses that a script draws and that are straight although an activation stands in between.


def straight(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find drawn responses in which no activation shows, because of the numbers that it is given.

    Where another response of the script bends, its author has seen the activation at work.
    """
    if not capsule.manifest.plots:
        return
    found = [
        describe(capsule, probe)
        for probe in capsule.manifest.probes
        if probe.kind in ("predict", "call") and probe.layers
    ]
    shapes = [shape for each in found for shape in each[0]]
    if not shapes or any(shape.kind not in ("affine", "constant") for shape in shapes):
        return
    for shown, census, collapses in found:
        unseen = any(each.here_only for each in collapses) or any(
            each.units and each.dead_units == each.units for each in census
        )
        for sentence in surprise(shown, census, collapses) if shown and unseen else ():
            yield answer("maths", sentence)
