"""The last layer of a model, and what is asked of it: its loss, its targets, its one unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from bridge.capsule import Call, Capsule, LayerState, ModelState
from bridge.capsule.values import ObjectValue, Scalar, Symbol
from bridge.explain.result import CauseEvidence
from bridge.facts.activations import ACTIVATIONS
from bridge.facts.layers import class_name
from bridge.rules.recorded_run import (
    activation_of,
    answer,
    array,
    asked,
    at,
    is_true,
    maker_of,
    name_of,
    output_layer,
    owner_of,
)
from bridge.translate.syntax import Node

#: Losses of probabilities, as their names are without underscores.
_PROBABILITIES: Final = frozenset(
    {"binarycrossentropy", "categoricalcrossentropy", "sparsecategoricalcrossentropy"}
    | {"binaryfocalcrossentropy", "categoricalfocalcrossentropy"}
)
_DISTANCES: Final = {
    "mse": 2, "meansquarederror": 2, "mae": 1, "meanabsoluteerror": 1,
}  # fmt: skip
_ALWAYS_ONE: Final = "exp(x) / exp(x) is 1 whatever x is"


def over_one(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find layers that share something out among one: softmax over one unit, a norm over one."""
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        if state is None:
            continue
        widths = {each.layer: each.outputs[0].shape for each in probe.layers if each.outputs}
        for layer in state.layers:
            name, config = class_name(layer.cls), layer.config
            soft = activation_of(config) == "softmax" or name == "Softmax"
            shape = widths.get(layer.name)
            one = shape[-1] == 1 if shape else config.get("units") == 1
            if not one:
                continue
            if soft and config.get("axis", -1) == -1:
                yield answer(
                    "maths",
                    f"Layer {layer.name} takes the softmax of a single number, and {_ALWAYS_ONE}: "
                    "its output is 1 for every input, before and after training. One unit wants "
                    "a sigmoid; softmax wants a unit for each class.",
                    line=probe.line,
                )
            elif name == "LayerNormalization" and config.get("axis") in (-1, [-1]):
                yield answer(
                    "maths",
                    f"Layer {layer.name} normalises a single number, which is its own mean: its "
                    "output is its offset (beta) for every input.",
                    line=probe.line,
                )


def unfit_loss(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find losses of probabilities that are given logits, and losses of logits given the others."""
    for call, state, loss, logits in _compiled(capsule):
        if loss not in _PROBABILITIES:
            continue
        last = output_layer(state)
        if last is None or "activation" not in last.config:
            continue
        activation = activation_of(last.config)
        if activation == "linear" and not logits:
            yield answer(
                "user-script",
                f"{at(call.line)}the loss takes the numbers of layer {last.name} for "
                "probabilities (from_logits is FALSE), but its activation is linear: what is below "
                "0 or above 1 is cut off, and the loss says little. Give the last layer a sigmoid "
                "or softmax, or the loss from_logits = TRUE.",
                line=call.line,
            )
        elif activation in ("sigmoid", "softmax") and logits:
            yield answer(
                "user-script",
                f"{at(call.line)}the loss is told that it gets logits (from_logits = TRUE), but "
                f"layer {last.name} ends in a {activation}, which is then applied twice.",
                line=call.line,
            )


def unfit_targets(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find targets that binary crossentropy does not take as they are meant."""
    losses = {owner_of(call): (call, loss) for call, _, loss, _ in _compiled(capsule)}
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        if state is None or len(probe.targets) != 1 or state.id not in losses:
            continue
        call, loss = losses[state.id]
        last, y = output_layer(state), array(capsule, probe.targets[0])
        if loss != "binarycrossentropy" or last is None or y is None or not y.size:
            continue
        values = {float(each) for each in np.unique(y)[:3]}
        if values == {1.0, 2.0}:
            yield answer(
                "r-index-base",
                f"{at(probe.line)}the two classes are numbered 1 and 2, as R numbers the levels "
                "of a factor, and binary_crossentropy takes them for probabilities, of 0 and 1: "
                "the loss may fall below 0 without end. Subtract 1.",
                line=probe.line,
            )
            return
        one_hot = y.ndim == 2 and y.shape[1] > 2 and values <= {0.0, 1.0}
        if one_hot and activation_of(last.config) == "softmax" and np.all(y.sum(axis=1) == 1):
            yield answer(
                "user-script",
                f"{at(call.line)}binary_crossentropy asks {y.shape[1]} questions, each with a yes "
                f"or no of its own, but the softmax of layer {last.name} shares one certainty out "
                "among the classes: loss and accuracy are those of other questions. One class of "
                "several wants categorical_crossentropy.",
                line=call.line,
            )
            return


def twice(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find a softmax or sigmoid that is given what one has already made."""
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        if state is None or not state.cls.endswith("Sequential"):
            continue
        for one, other in pairwise(state.layers):
            first, second = (_squashes(each) for each in (one, other))
            bare = class_name(other.cls) in ("Activation", "Softmax")
            if first and first == second and bare:
                yield answer(
                    "user-script",
                    f"{at(probe.line)}layer {one.name} ends in a {first}, and layer {other.name} "
                    f"takes the {first} of it once more: numbers between 0 and 1 come out, but "
                    "squeezed together. One of the two is enough.",
                    line=probe.line,
                )
                return


def _squashes(layer: LayerState) -> str:
    name = "softmax" if class_name(layer.cls) == "Softmax" else activation_of(layer.config)
    return name if name in ("softmax", "sigmoid") else ""


def never_equal(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find accuracies of numbers that are measured, which are hardly ever equal to a prediction."""
    losses = {owner_of(call): (call, loss) for call, _, loss, _ in _compiled(capsule)}
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        curve = probe.curves.get("accuracy") or probe.curves.get("acc")
        if state is None or not curve or len(probe.targets) != 1 or state.id not in losses:
            continue
        call, loss = losses[state.id]
        last, y = output_layer(state), array(capsule, probe.targets[0])
        if loss not in _DISTANCES or last is None or y is None or y.dtype.kind != "f":
            continue
        if activation_of(last.config) == "linear" and np.any(y != np.round(y)):
            yield answer(
                "user-script",
                f"{at(call.line)}accuracy is the share of predictions that are equal to their "
                "target, and the targets are measured numbers, which a prediction hardly ever "
                "meets: it stays near 0 however well the model fits. Take 'mae'.",
                line=call.line,
            )
            return


def out_of_reach(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find targets that the last activation cannot give, where they are most of the loss."""
    losses = {owner_of(call): loss for call, _, loss, _ in _compiled(capsule)}
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        if state is None or len(probe.targets) != 1 or probe.kind not in ("fit", "evaluate"):
            continue
        last, power = output_layer(state), _DISTANCES.get(losses.get(state.id, ""))
        facts = ACTIVATIONS.get(activation_of(last.config)) if last is not None else None
        ends = facts.range if facts is not None else None
        y = array(capsule, probe.targets[0])
        curve = probe.curves.get("loss")
        if ends is None or power is None or y is None or not y.size or not curve or last is None:
            continue
        target = np.asarray(y, np.float64)
        beyond = np.maximum(np.maximum(ends[0] - target, target - ends[1]), 0.0)
        least = float(np.mean(beyond**power))
        # Most of what is left of the loss must come from there.
        if least > 0 and np.isfinite(curve[-1]) and least > curve[-1] / 2:
            name = activation_of(last.config)
            count = int(np.sum(beyond > 0))
            yield answer(
                "maths",
                f"{at(probe.line)}{name}, the activation of the last layer ({last.name}), gives "
                f"numbers from {ends[0]:g} to {ends[1]:g}, and {count:,} of {target.size:,} "
                f"targets lie beyond: the loss cannot fall below {least:.4g} (it ends at "
                f"{curve[-1]:.4g}), however long it is trained.",
                line=probe.line,
            )


def _compiled(capsule: Capsule) -> Iterator[tuple[Call, ModelState, str, bool]]:
    """Yield compilations that were used: the call, the model, its loss and if it takes logits."""
    used = {
        state.id: state
        for probe in capsule.manifest.probes
        if probe.kind in ("fit", "evaluate", "train")
        and (state := capsule.state_of(probe)) is not None
    }
    for call in asked(capsule):
        owner = owner_of(call)
        if name_of(call) != "compile" or owner not in used:
            continue
        loss = call.kwargs.get("loss")
        if isinstance(loss, Scalar) and loss.t == "str":
            yield call, used[owner], _plain(loss.v), False
        elif isinstance(loss, Symbol):
            yield call, used[owner], _plain(loss.path.rpartition(":")[2].rpartition(".")[2]), False
        elif isinstance(loss, ObjectValue) and (made := maker_of(capsule, loss.id)) is not None:
            yield call, used[owner], _plain(name_of(made)), is_true(made.kwargs.get("from_logits"))


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
