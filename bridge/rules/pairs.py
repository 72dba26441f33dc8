"""Predictions that one model made twice: of the same input, with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import numpy.typing as npt

from bridge.capsule import ModelState, Probe
from bridge.rules.run import Run, call_of, is_true, same

#: Beyond so many predictions of one model pairs are not looked for.
_MOST: Final = 40


def pairs(run: Run) -> Iterator[tuple[Probe, Probe]]:
    """Yield pairs of predictions by one model, with one set of weights, of the same input."""
    by_model: dict[int, list[tuple[Probe, ModelState]]] = {}
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind in ("predict", "call") and state is not None and probe.inputs:
            by_model.setdefault(state.id, []).append((probe, state))
    for predicted in by_model.values():
        for (earlier, before), (later, after) in combinations(predicted[:_MOST], 2):
            if (
                _weights(before) == _weights(after)
                and len(earlier.inputs) == len(later.inputs)
                and all(
                    same(run.array(a), run.array(b))
                    for a, b in zip(earlier.inputs, later.inputs, strict=True)
                )
            ):
                yield earlier, later


def _weights(state: ModelState) -> tuple[str | None, ...]:
    """Name the elements of everything that is trained."""
    return tuple(
        weight.array.key for layer in state.layers for weight in layer.weights if weight.trainable
    )


def in_training(run: Run, probe: Probe) -> bool:
    """Say whether a model was called with ``training = TRUE``."""
    call = call_of(run.capsule, probe)
    return call is not None and is_true(call.kwargs.get("training"))


def output(run: Run, probe: Probe) -> npt.NDArray[Any] | None:
    """Return what a model with one output predicted."""
    return run.array(probe.outputs[0]) if len(probe.outputs) == 1 else None


def same_outputs(run: Run, earlier: Probe, later: Probe) -> bool:
    """Say whether two predictions have the same bits."""
    return same(output(run, earlier), output(run, later))
