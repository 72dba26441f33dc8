"""Models as rules read them: what they end in, and what training made of their weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import LayerState, ModelState, Probe, WeightRecord
from bridge.facts.keras import ACTIVATIONS, ALIASES
from bridge.facts.layers import class_name, facts_of
from bridge.rules.losses import EPSILON, Compiled, loss_of
from bridge.rules.run import Run, activation_of, output_layer, same

F64 = npt.NDArray[np.float64]

#: Layers that are an activation and nothing else, by what they are called as one.
_ACTIVATING: Final = {"Softmax": "softmax", "LeakyReLU": "leaky_relu", "ELU": "elu"}


@dataclass(frozen=True)
class Ending:
    """What a model ends in: the last activation, the layer that has it, and its range.

    ``ends`` is None where it is not bounded or not known. ``layer`` is the one whose output is
    the model's; ``shape`` that output's, with None for what varies.
    """

    activation: str
    by: LayerState
    layer: LayerState
    ends: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape of the output, rows first; None where it is not known."""
        return self.layer.shape

    @property
    def width(self) -> int | None:
        """The length of the output's last axis."""
        if self.shape:
            return self.shape[-1]
        units = self.layer.config.get("units", self.by.config.get("units"))
        return units if isinstance(units, int) else None


def ending(state: ModelState) -> Ending | None:
    """Return what a model ends in, None where it has several outputs or it is not known."""
    last = output_layer(state)
    layer = last
    while layer is not None and last is not None:
        name = _activation(layer)
        if name and name != "linear":
            return Ending(name, layer, last, _range(name, layer))
        facts = facts_of(layer.cls)
        if facts is None or facts.does not in ("hands-on", "reshapes", "activates"):
            # A layer with weights, or one that is not known, is what the model ends in.
            return Ending(name, layer, last) if name == "linear" else None
        if layer.config.get("max_value") is not None:
            return None
        before = _before(state, layer)
        if before is None:
            return None
        layer = before
    return None


def _activation(layer: LayerState) -> str:
    """Return the activation that a layer ends in, "" if it has no say in it."""
    name = class_name(layer.cls) or ""
    if name == "ReLU":
        slope = layer.config.get("negative_slope")
        plain = not slope or (isinstance(slope, dict) and not slope.get("value"))
        return "relu" if plain else "leaky_relu"
    named = _ACTIVATING.get(name) or activation_of(layer.config)
    return ALIASES.get(named, named)


def _range(name: str, layer: LayerState) -> tuple[float, float] | None:
    most = layer.config.get("max_value")
    facts = ACTIVATIONS.get(name)
    ends = facts.range if facts is not None else None
    if ends is None or most is None:
        return ends
    return (ends[0], float(most)) if isinstance(most, (int, float)) else (ends[0], inf)


def _before(state: ModelState, layer: LayerState) -> LayerState | None:
    """Return the one layer that feeds another, None where several do or none is known."""
    if len(set(layer.inbound)) == 1:
        return next((before for before in state.layers if before.name == layer.inbound[0]), None)
    place = state.layers.index(layer)
    sequential = state.cls.endswith("Sequential") and not layer.inbound
    return state.layers[place - 1] if sequential and place else None


@dataclass(frozen=True)
class Training:
    """One training: the model before it, what it ends in, its loss, what it was given.

    ``y`` is the one array of targets, ``x`` the one of inputs; None where there are others.
    """

    probe: Probe
    state: ModelState
    end: Ending | None
    used: Compiled
    x: npt.NDArray[Any] | None
    y: npt.NDArray[Any] | None
    curve: tuple[float, ...]

    @property
    def plain(self) -> bool:
        """Whether its curve is the mean of the loss over rows, which bounds are of."""
        weighted = any(not target.name.startswith("y") for target in self.probe.targets)
        return self.used.usual and not weighted and not self.probe.settings.get("class_weight")

    @property
    def rows(self) -> int:
        """How many rows were trained with, without those that were set aside."""
        count = len(self.y) if self.y is not None and self.y.ndim else 0
        share = self.probe.settings.get("validation_split")
        return int(count * (1 - share)) if isinstance(share, float) and 0 < share < 1 else count

    def weights(self, run: Run) -> Iterator[Weight]:
        """Yield the weights of the model's layers before and after, where both were kept."""
        after = {ref.name: ref for ref in self.probe.outputs}
        for layer in self.state.layers:
            for index, record in enumerate(layer.weights):
                ref = after.get(f"{layer.name}/{index}")
                a = run.array(record.array)
                b = run.array(ref) if ref is not None else None
                if a is not None and b is not None and a.shape == b.shape:
                    yield Weight(layer, record, a, b)


@dataclass(frozen=True)
class Weight:
    """A weight of a layer before and after a training."""

    layer: LayerState
    record: WeightRecord
    before: npt.NDArray[Any]
    after: npt.NDArray[Any]

    @property
    def moved(self) -> bool:
        """Whether a bit of it changed."""
        return self.before.tobytes() != self.after.tobytes()

    @property
    def trainable(self) -> bool:
        """Whether it was to be trained."""
        return self.record.trainable and bool(self.layer.config.get("trainable", True))


def trainings(run: Run, *, evaluations: bool = False) -> Iterator[Training]:
    """Yield the trainings of a run that came to an end, and its evaluations where asked for."""
    for probe in run.probes:
        state = run.state(probe)
        wanted = probe.kind == "fit" or (evaluations and probe.kind in ("evaluate", "train"))
        if state is None or not wanted or probe.status != "made":
            continue
        targets = [target for target in probe.targets if target.name.startswith("y")]
        yield Training(
            probe,
            state,
            ending(state),
            loss_of(run, state),
            run.array(probe.inputs[0]) if len(probe.inputs) == 1 else None,
            run.array(targets[0]) if len(targets) == 1 else None,
            probe.curves.get("loss", ()),
        )


def weighs_columns(state: ModelState) -> bool:
    """Say whether each column of a matrix of inputs has weights of its own.

    A table of embeddings and a kernel that moves along the columns have the same for all.
    """
    for layer in state.layers:
        facts = facts_of(layer.cls)
        if facts is None or facts.does not in ("hands-on", "scales", "activates"):
            return class_name(layer.cls) == "Dense"
    return False


def seen_enough(run: Run, probe: Probe, state: ModelState) -> bool:
    """Say whether a prediction is of as many rows as its model was trained with, if it was.

    A few rows may have one answer by themselves.
    """
    training = trained_before(run, probe, state)
    rows = probe.inputs[0].shape[0] if probe.inputs and probe.inputs[0].shape else 0
    return training is None or rows >= training.rows


def trained_before(run: Run, probe: Probe, state: ModelState) -> Training | None:
    """Return the last training of a model before a prediction."""
    found = [
        training
        for training in trainings(run)
        if training.state.id == state.id and training.probe.index < probe.index
    ]
    return found[-1] if found else None


def is_one_hot(y: npt.NDArray[Any]) -> bool:
    """Say whether each row has a 1 in one of at least two columns, and else 0."""
    if y.ndim < 2 or y.shape[-1] < 2 or not y.size:
        return False
    return bool(np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=-1) == 1))


def whole(y: npt.NDArray[Any]) -> bool:
    """Say whether an array has whole numbers alone."""
    return bool(y.size) and y.dtype.kind in "biuf" and bool(np.all(y == np.round(y)))


def has_metric(state: ModelState, *names: str) -> bool:
    """Say whether a model was compiled with a metric of one of these names."""
    compiled = state.compiled if isinstance(state.compiled, dict) else {}
    return any(name in names for name in _strings(compiled.get("metrics")))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _strings(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def best_constant(loss: str, y: npt.NDArray[Any]) -> float | None:
    """Return the least loss of a model that answers the same for every row, None if not known.

    That is the entropy of the classes for a cross entropy, and the variance for squares: what is
    not below it has learned nothing of its inputs.
    """
    values = np.asarray(y, np.float64)
    if not values.size or not np.all(np.isfinite(values)):
        return None
    rows = values.reshape(len(values), -1)
    if loss == "meansquarederror":
        return float(np.mean(np.var(rows, axis=0)))
    if loss == "meanabsoluteerror":
        return float(np.mean(np.abs(rows - np.median(rows, axis=0))))
    if loss == "binarycrossentropy" and np.all((rows == 0) | (rows == 1)):
        p = rows.mean(axis=0)
        return float(np.mean(_entropy(p) + _entropy(1 - p)))
    if loss == "categoricalcrossentropy" and is_one_hot(values):
        return float(np.sum(_entropy(values.reshape(-1, values.shape[-1]).mean(axis=0))))
    if loss == "sparsecategoricalcrossentropy" and rows.shape[1] == 1 and whole(values):
        _, counts = np.unique(values, return_counts=True)
        return float(np.sum(_entropy(counts / counts.sum())))
    return None


def learned_nothing(loss: str, y: npt.NDArray[Any], value: float) -> bool:
    """Say whether a loss is no better than that of the best answer that is the same for all rows.

    By Akaike's criterion: a model that looks at its input has one more parameter for each number
    that it answers, at the least, and must gain as much in likelihood.
    """
    constant, rows = best_constant(loss, y), len(y)
    if constant is None or not np.isfinite(value):
        return False
    flat = np.asarray(y).reshape(rows, -1)
    if loss == "meansquarederror":
        gain = 0.5 * np.log(constant / value) if constant > 0 and value > 0 else 0.0
        return bool(value >= constant or rows * gain <= 1)
    if loss == "meanabsoluteerror":
        gain = np.log(constant / value) if constant > 0 and value > 0 else 0.0
        return bool(value >= constant or rows * gain <= 1)
    sparse = loss == "sparsecategoricalcrossentropy"
    classes = len(np.unique(flat)) if sparse else flat.shape[1]
    free = classes - 1 if loss != "binarycrossentropy" else 1
    return rows * (constant - value) <= free


def data_loss(run: Run, training: Training) -> float | None:
    """Return the loss of a trained model on its own rows, from a prediction of them.

    It has no penalty in it and is of the last weights, where the curve is a mean over an epoch.
    None where the rows were not predicted before the next training.
    """
    for probe in run.probes[training.probe.index + 1 :]:
        state = run.state(probe)
        if state is None or state.id != training.state.id or len(probe.inputs) != 1:
            continue
        if probe.kind == "fit":
            return None
        predicted = run.array(probe.outputs[0]) if len(probe.outputs) == 1 else None
        own = same(run.array(probe.inputs[0]), training.x)
        if probe.kind == "predict" and own and predicted is not None and training.y is not None:
            return mean_loss(training.used.loss, training.y, predicted)
    return None


def mean_loss(loss: str, y: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> float | None:
    """Return the mean loss of predictions, None for a loss or shapes that are not known."""
    p = np.clip(np.asarray(predicted, np.float64), EPSILON, 1.0 - EPSILON)
    rows = np.asarray(y, np.float64)
    if loss == "sparsecategoricalcrossentropy" and p.ndim == 2 and whole(y):
        labels = rows.reshape(-1).astype(int)
        if len(labels) == len(p) and labels.min() >= 0 and labels.max() < p.shape[1]:
            shares = p / p.sum(axis=1, keepdims=True)
            return float(-np.mean(np.log(shares[np.arange(len(p)), labels])))
        return None
    rows = rows.reshape(predicted.shape) if rows.size == predicted.size else rows
    if rows.shape != predicted.shape:
        return None
    if loss == "binarycrossentropy":
        return float(-np.mean(rows * np.log(p) + (1 - rows) * np.log(1 - p)))
    if loss == "categoricalcrossentropy":
        shares = p / p.sum(axis=-1, keepdims=True)
        return float(-np.mean(np.sum(rows * np.log(shares), axis=-1)))
    exact = np.asarray(predicted, np.float64)
    if loss == "meansquarederror":
        return float(np.mean((exact - rows) ** 2))
    return float(np.mean(np.abs(exact - rows))) if loss == "meanabsoluteerror" else None


def _entropy(p: F64) -> F64:
    return np.asarray(-p * np.log(np.where(p > 0, p, 1.0)))
