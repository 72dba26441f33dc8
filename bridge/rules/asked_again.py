"""Predictions that rules want made again, with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import LayerState, ModelState, Probe
from bridge.explain.experiment import Change, Experiment, changed_and_not
from bridge.facts.layers import class_name, is_two_modes
from bridge.rules.pairs import in_training
from bridge.rules.run import Run, array, same

#: Beyond so many rows, and so many predictions, no row with two answers is looked for.
_MOST: Final = 5_000
_MANY: Final = 20
#: Outputs with the change, and without it.
Both = tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]


def asked_again(run: Run, probe: Probe, change: Change) -> Both | None:
    """Return what a prediction gives with one thing changed, and without; None if not known."""
    capsule = run.outcome(Experiment("predict again", probe.index, change))
    if capsule is None:
        return None
    found = []
    for shown in changed_and_not(capsule):
        arrays = [array(capsule, ref) for ref in shown.outputs] if shown is not None else []
        known = [values for values in arrays if values is not None]
        if not known or len(known) < len(arrays):
            return None
        found.append(known)
    return found[0], found[1]


def losses_in_modes(run: Run, probe: Probe) -> tuple[float, float] | None:
    """Return the loss after a training with training = TRUE, and without; None if not known."""
    capsule = run.outcome(Experiment("evaluate again", probe.index, "training"))
    changed, bare = changed_and_not(capsule) if capsule is not None else (None, None)
    if changed is None or bare is None:
        return None
    return changed.curves["after"][0], bare.curves["after"][0]


def same_bits(both: Both) -> bool:
    """Say whether the change made no bit another."""
    return len(both[0]) == len(both[1]) and all(map(same, *both))


def is_drawing(layer: LayerState) -> bool:
    """Say whether a layer does something else in training."""
    name = class_name(layer.cls)
    return name is not None and is_two_modes(name)


def is_stateful(layer: LayerState) -> bool:
    """Say whether a layer remembers what it was given in the batch before."""
    return layer.config.get("stateful") is True


def predictions(run: Run) -> Iterator[tuple[Probe, ModelState]]:
    """Yield the predictions of models that were recorded."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind in ("predict", "call") and state is not None and probe.outputs:
            yield probe, state


def rows_in(x: npt.NDArray[Any]) -> list[bytes]:
    """Return the bits of each row."""
    return [np.ascontiguousarray(row).tobytes() for row in x]


def two_answers(run: Run) -> Iterator[tuple[Probe, Probe, ModelState]]:
    """Yield predictions by one model that answer a row in two ways; the larger comes first."""
    known = [prediction for prediction in predictions(run) if len(prediction[0].inputs) == 1][
        :_MANY
    ]
    for n, (first, state) in enumerate(known):
        for second, later in known[n + 1 :]:
            alike = later.id == state.id and _weights(later) == _weights(state)
            if not alike or in_training(run, first) != in_training(run, second):
                continue
            x, z = run.array(first.inputs[0]), run.array(second.inputs[0])
            p, q = run.array(first.outputs[0]), run.array(second.outputs[0])
            if x is None or z is None or p is None or q is None or not x.ndim or not z.ndim:
                continue
            if max(len(x), len(z)) > _MOST or min(len(x), len(z)) < 1:
                continue
            if len(p) != len(x) or len(q) != len(z) or x.shape[1:] != z.shape[1:]:
                continue
            where = {bits: n for n, bits in enumerate(rows_in(x))}
            shared = [(where[bits], m) for m, bits in enumerate(rows_in(z)) if bits in where]
            if len(x) > 1 and any(not np.array_equal(p[a], q[b]) for a, b in shared):
                yield (first, second, state) if len(x) >= len(z) else (second, first, state)


def _weights(state: ModelState) -> list[str | None]:
    return [
        weight.array.key for layer in state.layers for weight in layer.weights if weight.trainable
    ]
