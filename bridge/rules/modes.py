"""One model asked twice: in training and in use, in other batches; one activation, two slopes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import Call, Capsule, ModelState, Probe
from bridge.capsule.values import ArrayValue, Scalar, Value
from bridge.compare.result import Rung
from bridge.explain.result import CauseEvidence
from bridge.facts.layers import class_name, is_two_modes
from bridge.rounding.layer_records import judge_probe
from bridge.rules.recorded_run import (
    activation_of,
    answer,
    array,
    call_of,
    is_true,
    name_of,
    same,
)
from bridge.translate.syntax import Node

_PREDICTED: Final = ("predict", "call")
#: Rungs of the ladder that prove what they say of a layer.
_PROVEN: Final[tuple[Rung, ...]] = ("bit-equal", "exact-probe", "certified")
#: Beyond so many predictions of one model pairs are not looked for.
_MOST: Final = 40


def training_mode(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find a model that was called on the same input as in training and as in use."""
    for one, other in _pairs(capsule):
        trained = [_in_training(capsule, each) for each in (one, other)]
        if trained[0] == trained[1]:
            continue
        state = capsule.state_of(one)
        names = [layer.name for layer in (state.layers if state else ()) if _two_modes(layer.cls)]
        if not names or _same_outputs(capsule, one, other):
            continue
        first, second = (one, other) if trained[0] else (other, one)
        layers = f"layer {names[0]}" if len(names) == 1 else f"layers {', '.join(names)}"
        yield answer(
            "maths",
            f"Line {first.line} runs the model as in training (training = TRUE), line "
            f"{second.line} as in use: {layers} compute something else in each of these "
            "modes (statistics of the batch or moving ones, units dropped or kept).",
            line=first.line,
        )
        return


def other_order(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find the same prediction made twice with other last digits.

    That it is rounding is only said where every layer of both is within its own bound on what it
    received: then nothing else can have made the difference.
    """
    for one, other in _pairs(capsule):
        if _in_training(capsule, one) or _in_training(capsule, other):
            continue
        a, b = (_output(capsule, each) for each in (one, other))
        if a is None or b is None or a.shape != b.shape or same(a, b):
            continue
        gap = _gap(a, b)
        if not np.isfinite(gap) or not gap:
            continue
        batches = [_batch(capsule, each) for each in (one, other)]
        how = (
            f"in batches of {batches[0]} and of {batches[1]} rows"
            if batches[0] != batches[1]
            else "in two ways"
        )
        lines = f"Lines {one.line} and {other.line}"
        apart = f"{lines} predict the same {how}, and differ by up to {gap:.3g}"
        if _certified(capsule, one) and _certified(capsule, other):
            sentence = f"{apart}: float32 sums were added in another order. Neither is more right."
            yield answer("rounding", sentence, line=other.line)
        else:
            sentence = f"{apart}; that this is rounding could not be proven layer by layer."
            yield answer("not-known", sentence, decides=False, line=other.line)
        return


def _certified(capsule: Capsule, probe: Probe) -> bool:
    """Say whether each layer of a prediction was seen, and is within its proven bound."""
    verdicts = judge_probe(capsule, probe)
    return bool(verdicts) and all(
        each.verdict in ("same-bits", "within-rounding") and each.rung in _PROVEN
        for each in verdicts
    )


def _gap(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return how far two arrays are apart where they are farthest."""
    return float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))


def two_slopes(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find a leaky relu that leaks more as a layer than by its name."""
    layers: dict[str, float] = {}
    named: set[str] = set()
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        for layer in state.layers if state is not None else ():
            config = layer.config
            if class_name(layer.cls) == "LeakyReLU":
                slope = config.get("negative_slope", config.get("alpha"))
                value = slope.get("value") if isinstance(slope, dict) else slope
                if isinstance(value, (int, float)):
                    layers[layer.name] = float(value)
            elif activation_of(config) == "leaky_relu":
                named.add(layer.name)
    if not layers or not named or _slope_written(capsule):
        return
    (layer_name, slope), by_name = next(iter(layers.items())), sorted(named)[0]
    # keras.activations.leaky_relu has another default than keras.layers.LeakyReLU.
    # A slope is kept in float32.
    if np.float32(slope) != np.float32(_BY_NAME):
        yield answer(
            "maths",
            f"Layer {layer_name} is a leaky relu with the slope {slope:g}, and the activation "
            f"'leaky_relu' of layer {by_name} has the slope {_BY_NAME:g}: Keras has two defaults. "
            "Give the slope, and both are the same.",
        )


def two_formulas(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find a gelu that is asked for in both of its forms, the exact one and the approximation."""
    exact: list[Call] = []
    near: list[Call] = []
    for call in capsule.manifest.calls:
        if name_of(call) == "gelu" and call.error is None:
            given = call.kwargs.get("approximate", call.args[1] if len(call.args) > 1 else None)
            (near if is_true(given) else exact).append(call)
    if not exact or not near:
        return
    gaps = [gap for a in exact for b in near if (gap := _apart(capsule, a, b)) is not None]
    apart = f"On the same numbers they part by up to {max(gaps):.3g} here" if gaps else "They part"
    yield answer(
        "maths",
        "Gelu has two formulas: the exact one is x times the normal distribution's pnorm(x), "
        f"{_places(exact)}, and with approximate = TRUE a tanh takes its place, {_places(near)}. "
        f"{apart}; both are right.",
    )


def _apart(capsule: Capsule, one: Call, other: Call) -> float | None:
    """Return how far the results of two calls are apart, None unless they got the same array."""
    given = [_elements(capsule, call.kwargs.get("x", *call.args[:1])) for call in (one, other)]
    made = [_elements(capsule, call.result) for call in (one, other)]
    if not same(*given) or made[0] is None or made[1] is None or made[0].shape != made[1].shape:
        return None
    return _gap(made[0], made[1])


def _elements(capsule: Capsule, value: Value | None) -> npt.NDArray[Any] | None:
    if not isinstance(value, ArrayValue) or value.key is None:
        return None
    return capsule.arrays.get(value.key)


def _places(calls: Sequence[Call]) -> str:
    known = sorted(call.line for call in calls if call.line)
    return f"in line {known[0]}" if known else "in one call"


#: The default of keras.activations.leaky_relu, in Keras 2 and 3.
_BY_NAME: Final = 0.2


def _slope_written(capsule: Capsule) -> bool:
    """Say whether the script itself gives a slope: then nothing about it is a surprise."""
    return any(
        "leaky" in call.r_call and ("alpha" in call.r_call or "negative_slope" in call.r_call)
        for call in capsule.manifest.calls
    )


def _pairs(capsule: Capsule) -> Iterator[tuple[Probe, Probe]]:
    """Yield pairs of predictions by one model, with one set of weights, of the same input."""
    by_model: dict[int, list[tuple[Probe, ModelState]]] = {}
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        if probe.kind in _PREDICTED and state is not None and probe.inputs:
            by_model.setdefault(state.id, []).append((probe, state))
    for made in by_model.values():
        for (one, before), (other, after) in combinations(made[:_MOST], 2):
            if (
                _weights(before) == _weights(after)
                and len(one.inputs) == len(other.inputs)
                and all(
                    same(array(capsule, a), array(capsule, b))
                    for a, b in zip(one.inputs, other.inputs, strict=True)
                )
            ):
                yield one, other


def _weights(state: ModelState) -> tuple[str | None, ...]:
    """Name the elements of everything that is trained."""
    return tuple(
        each.array.key for layer in state.layers for each in layer.weights if each.trainable
    )


def _in_training(capsule: Capsule, probe: Probe) -> bool:
    call = call_of(capsule, probe)
    return call is not None and is_true(call.kwargs.get("training"))


def _two_modes(cls: str) -> bool:
    name = class_name(cls)
    return name is not None and is_two_modes(name)


def _batch(capsule: Capsule, probe: Probe) -> str:
    call = call_of(capsule, probe)
    given = call.kwargs.get("batch_size") if call is not None else None
    return given.v if isinstance(given, Scalar) and given.t == "int" else "32"


def _output(capsule: Capsule, probe: Probe) -> npt.NDArray[Any] | None:
    return array(capsule, probe.outputs[0]) if len(probe.outputs) == 1 else None


def _same_outputs(capsule: Capsule, one: Probe, other: Probe) -> bool:
    return same(_output(capsule, one), _output(capsule, other))
