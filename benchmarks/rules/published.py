"""The rules of published tools, from their papers and public code, asked about the same runs.

Each check is a few lines here, with the tool's own thresholds, and with the kinds that it would be
right about: what helps the tool where its paper leaves a choice. What a capsule does not have is
taken from what it has: a gradient is the change of a weight over the training, divided by steps and
rate; what a callback sees after every epoch, by the curves and by the trained model.

- UMLAUT: Schoop, Huang, Hartmann, CHI 2021; BerkeleyHCI/umlaut.
- NeuraLint: Nikanjam et al., TOSEM 2021; neuralint/neuralint. The rules for layers that occur here.
- DeepLocalize: Wardat, Le, Rajan, ICSE 2021. A mean that is NaN, Inf or 0, or a curve that stands.
- DeepDiagnosis: Wardat et al., ICSE 2022. Its eight symptoms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.capsule import Array, Capsule, LayerState, Probe, read_capsule

_SQUASHING: Final = ("sigmoid", "softmax")
_CATEGORICAL: Final = ("categorical_crossentropy", "sparse_categorical_crossentropy")
_ENTROPIES: Final = (*_CATEGORICAL, "binary_crossentropy")
_LEARNING: Final = ("Dense", "Conv1D", "Conv2D")


@dataclass(frozen=True)
class Layer:
    """A layer: its class and activation; an activation of its own has no other class."""

    cls: str
    activation: str
    config: Mapping[str, Any]
    output: np.ndarray[Any, Any] | None


@dataclass(frozen=True)
class Run:
    """What a tool sees of a run: the model, the data of its last training, weights and curves."""

    layers: tuple[Layer, ...]
    loss: str
    logits: bool
    rate: float
    x: tuple[np.ndarray[Any, Any], ...]
    y: tuple[np.ndarray[Any, Any], ...]
    curves: Mapping[str, Sequence[float]]
    weights: tuple[np.ndarray[Any, Any], ...]
    gradients: tuple[np.ndarray[Any, Any], ...]

    def linear(self, number: int) -> bool:
        """Say whether a learning layer has no activation, and none follows it."""
        here, following = self.layers[number], self.layers[number + 1 :]
        named = here.cls in _LEARNING and here.activation == "linear"
        return named and not (following and following[0].cls in ("Activation", "ReLU", "Softmax"))


def seen(path: Path) -> Run | None:
    """Return what is seen in a capsule; None where no model was compiled or trained."""
    capsule = read_capsule(path)
    probes = [each for each in capsule.manifest.probes if each.state is not None]
    fits = [each for each in probes if each.kind == "fit"]
    if not probes:
        return None
    probe = fits[-1] if fits else probes[-1]
    state = capsule.manifest.states[probe.state or 0]
    compiled = state.compiled if isinstance(state.compiled, dict) else {}
    loss, logits = _loss(compiled.get("loss"))
    optimizer: Any = compiled.get("optimizer")
    settings = optimizer.get("config", {}) if isinstance(optimizer, dict) else {}
    rate = settings.get("learning_rate", 0.001)
    rate = float(rate) if isinstance(rate, int | float) else 0.001
    before = [capsule.array(each.array) for layer in state.layers for each in layer.weights]
    after = [capsule.array(each) for each in probe.outputs] if probe.kind == "fit" else []
    steps = max(1, len(probe.curves.get("loss", ())) * 10)
    moved = [
        (new.astype(float) - old) / (steps * rate)
        for old, new in zip(before, after, strict=False)
        if old.shape == new.shape
    ]
    outputs = _outputs(capsule, probes)
    return Run(
        tuple(
            _layer(each, outputs) for each in state.layers if not each.cls.endswith("InputLayer")
        ),
        loss,
        logits,
        rate,
        _arrays(capsule, probe.inputs),
        _arrays(capsule, probe.targets),
        probe.curves,
        tuple(after or before),
        tuple(moved),
    )


def _arrays(capsule: Capsule, arrays: Sequence[Array]) -> tuple[np.ndarray[Any, Any], ...]:
    found = [capsule.array(each) for each in arrays if each.key is not None]
    return tuple(each for each in found if each.size and np.issubdtype(each.dtype, np.number))


def _loss(told: Any) -> tuple[str, bool]:
    if isinstance(told, dict):
        config = told.get("config", {})
        name = config.get("name", "") if isinstance(config, dict) else ""
        return str(name), bool(isinstance(config, dict) and config.get("from_logits"))
    return str(told or ""), False


def _outputs(capsule: Capsule, probes: Sequence[Probe]) -> dict[str, np.ndarray[Any, Any]]:
    return {
        layer.layer: capsule.array(layer.outputs[0])
        for probe in probes
        for layer in probe.layers
        if layer.outputs and layer.outputs[0].key is not None
    }


def _layer(state: LayerState, outputs: Mapping[str, np.ndarray[Any, Any]]) -> Layer:
    cls = state.cls.rpartition(".")[2]
    activation = state.config.get("activation", cls.lower() if cls in ("ReLU", "Softmax") else "")
    named = activation if isinstance(activation, str) else "own"
    return Layer(cls, named, state.config, outputs.get(state.name))


# --- UMLAUT --------------------------------------------------------------------------------------


def _umlaut(run: Run) -> Iterator[str]:
    if any(each.min() < -1 or each.max() > 1 for each in run.x):
        yield "data exceed limits"
    if any(np.isnan(each).any() for each in (*run.x, *run.y) if each.dtype.kind == "f"):
        yield "NaN in the input"
    if any(each.dtype.kind != "f" for each in run.x):
        yield "input is not floating"
    if np.isnan(run.curves.get("loss", (0.0,))).any():
        yield "NaN in the loss"
    last = run.layers[-1]
    if run.loss in _ENTROPIES and last.activation not in _SQUASHING and not run.logits:
        yield "missing softmax"
    if any(run.linear(number) for number in range(len(run.layers) - 1)):
        yield "missing activations"
    if (
        len(run.layers) > 1
        and last.cls in ("Activation", "Softmax")
        and run.layers[-2].activation not in ("", "linear")
    ):
        yield "multiple activations at the end"
    if run.rate > 0.01 * (1 + 1e-6):
        yield "rate is high"
    if run.rate < 1e-7:
        yield "rate is low"
    if any(each.cls == "Dropout" and each.config.get("rate", 0) > 0.5 for each in run.layers):
        yield "high dropout"
    loss, held = run.curves.get("loss", ()), run.curves.get("val_loss", ())
    if any(held[i] > held[i - 1] and loss[i] <= loss[i - 1] for i in range(1, len(held))):
        yield "overfitting"
    known, right = run.curves.get("val_accuracy", ()), run.curves.get("accuracy", ())
    if any(new > 0.95 or new > old for new, old in zip(known, right, strict=False)):
        yield "validation accuracy is high"


# --- NeuraLint -----------------------------------------------------------------------------------


def _neuralint(run: Run) -> Iterator[str]:
    last = run.layers[-1]
    wanted = "softmax" if run.loss in _CATEGORICAL else "sigmoid"
    if run.loss in _ENTROPIES and not run.logits and last.activation != wanted:
        yield "last activation and loss do not fit"
    if run.loss in _ENTROPIES and run.logits and last.activation in _SQUASHING:
        yield "loss wants logits"
    units = next(
        (each.config["units"] for each in run.layers[::-1] if "units" in each.config), None
    )
    if run.loss in _CATEGORICAL and units == 1:
        yield "shape of the loss's input"
    pairs = list(pairwise(run.layers))
    if any(
        one.activation not in ("", "linear") and two.cls in ("Activation", "Softmax", "ReLU")
        for one, two in pairs
    ):
        yield "redundant activations"
    if any(run.linear(number) for number in range(len(run.layers) - 1)):
        yield "missing non-linearity"
    if any(_initializer(each, "kernel") in ("Zeros", "Ones", "Constant") for each in run.layers):
        yield "constant initial weights"
    if any(
        _initializer(each, "bias") not in ("", "Zeros")
        for each in run.layers
        if each.cls in _LEARNING
    ):
        yield "initial biases are not zero"
    if any(
        one.cls in _LEARNING and one.config.get("use_bias") and two.cls == "BatchNormalization"
        for one, two in pairs
    ):
        yield "useless bias before normalisation"
    if any(one.cls == "Dropout" and two.cls == "BatchNormalization" for one, two in pairs):
        yield "dropout before normalisation"
    widths = [each.config["units"] for each in run.layers[:-1] if each.cls == "Dense"]
    if any(new > old for old, new in pairwise(widths)):
        yield "widths of dense layers grow"
    deep = [
        each.output.ndim for each in run.layers if each.cls == "Dense" and each.output is not None
    ]
    if any(axes > 2 for axes in deep):
        yield "missing flatten"


def _initializer(layer: Layer, weight: str) -> str:
    told = layer.config.get(f"{weight}_initializer")
    return str(told.get("class_name", "")) if isinstance(told, dict) else ""


# --- DeepLocalize and DeepDiagnosis --------------------------------------------------------------


def _numerical(array: np.ndarray[Any, Any]) -> bool:
    mean = float(np.mean(array)) if array.size else 1.0
    return not np.isfinite(mean) or mean == 0


def _stands(curve: Sequence[float], window: int) -> bool:
    parts = [curve[i : i + window] for i in range(0, len(curve) - window + 1, window)]
    return any(np.mean(part) == np.max(part) for part in parts)


def _deeplocalize(run: Run) -> Iterator[str]:
    outputs = [each.output for each in run.layers if each.output is not None]
    if any(map(_numerical, outputs)):
        yield "numerical error forward"
    if any(map(_numerical, run.gradients)):
        yield "numerical error backward"
    if not np.isfinite(run.curves.get("loss", (0.0,))).all():
        yield "invalid loss"
    if _stands(run.curves.get("loss", ()), 5) or _stands(run.curves.get("accuracy", ()), 20):
        yield "the model does not learn"


def _deepdiagnosis(run: Run) -> Iterator[str]:
    last = run.layers[-1]
    if run.y and last.activation != "softmax":
        low, high = {
            "sigmoid": (0, 1),
            "tanh": (-1, 1),
            "relu": (0, np.inf),
            "elu": (-1, np.inf),
        }.get(last.activation, (-np.inf, np.inf))
        y = run.y[0]
        entropy = last.activation in ("relu", "linear") and run.loss in _CATEGORICAL
        out = last.output
        wide = last.activation == "linear" and out is not None and np.ptp(out) > 10 * np.ptp(y)
        if entropy or wide or y.min() < low or y.max() > high:
            yield "out of range"
    outputs = [each.output for each in run.layers if each.output is not None]
    if any(map(_numerical, outputs)) or any(map(_numerical, run.gradients)):
        yield "numerical error"
    if not np.isfinite(run.curves.get("loss", (0.0,))).all():
        yield "invalid loss"
    if any(
        each.activation == "relu" and each.output is not None and np.mean(each.output <= 0) >= 0.7
        for each in run.layers
    ):
        yield "dead node"
    if any(_saturated(each) for each in run.layers):
        yield "saturated activation"
    if _stands(run.curves.get("loss", ()), 5):
        yield "loss does not fall"
    accuracy = run.curves.get("accuracy", ())
    if _stands(accuracy, 20) or 0 in accuracy:
        yield "accuracy does not rise"
    if any(each.ndim > 1 and np.abs(each).mean() < 1e-7 for each in run.gradients):
        yield "vanishing gradient"
    if any(each.ndim > 1 and np.isfinite(each).all() and _variance(each) for each in run.weights):
        yield "poor weights"


def _saturated(layer: Layer) -> bool:
    if layer.output is None or layer.activation not in ("sigmoid", "tanh"):
        return False
    edge = np.tanh(5) if layer.activation == "tanh" else 1 / (1 + np.exp(-5))
    low = -edge if layer.activation == "tanh" else 1 - edge
    return bool(np.mean((layer.output <= low) | (layer.output >= edge)) > 0.5)


def _variance(weight: np.ndarray[Any, Any]) -> bool:
    variance = float(np.var(weight.ravel(), ddof=1)) if weight.size > 1 else 1.0
    return variance < 0.00001 or variance > 10


#: For each tool: what it says of a run, and the kinds that each of its checks is right about.
TOOLS: Final[Mapping[str, tuple[Callable[[Run], Iterator[str]], Mapping[str, str]]]] = {
    "UMLAUT": (
        _umlaut,
        {
            "data exceed limits": "D01 D06",
            "NaN in the input": "D02",
            "NaN in the loss": "D01 D02 L07 T03 T08",
            "missing softmax": "L03 L04",
            "missing activations": "M01",
            "multiple activations at the end": "L05",
            "rate is high": "T03",
            "rate is low": "T04",
            "high dropout": "L12 P04",
            "validation accuracy is high": "D03 D07",
            "overfitting": "T06",
        },
    ),
    "NeuraLint": (
        _neuralint,
        {
            "last activation and loss do not fit": "L01 L02 L03 L04 L08",
            "loss wants logits": "L05",
            "shape of the loss's input": "L08 L09",
            "redundant activations": "L05",
            "missing non-linearity": "M01",
            "constant initial weights": "M08",
            "initial biases are not zero": "M02",
            "missing flatten": "M10",
        },
    ),
    "DeepLocalize": (
        _deeplocalize,
        {
            "numerical error forward": "D01 D02 L07 M02 M06 M08 T03 T08",
            "invalid loss": "D01 D02 L07 T03 T08",
            "numerical error backward": "D01 D02 L01 L08 M02 M03 M08 T03 T04 T08",
            "the model does not learn": "L01 L08 L11 M02 M03 M08 T04",
        },
    ),
    "DeepDiagnosis": (
        _deepdiagnosis,
        {
            "out of range": "L03 L04 L06 L07 L08",
            "numerical error": "D01 D02 L07 M02 M06 M08 T03 T08",
            "invalid loss": "D01 D02 L07 T03 T08",
            "dead node": "M02",
            "saturated activation": "D01 M03 P08",
            "loss does not fall": "L01 L08 M02 M03 M08 T04",
            "accuracy does not rise": "D08 L01 L11 M02 T04",
            "vanishing gradient": "M03 T04",
            "poor weights": "M08 P08 T05",
        },
    ),
}


def said(path: Path) -> dict[str, frozenset[str]]:
    """Return, for each tool, the checks that are raised about the run in a capsule."""
    run = seen(path) if path.is_file() else None
    with np.errstate(all="ignore"):
        return {
            name: frozenset(ask(run)) if run and run.layers else frozenset()
            for name, (ask, _) in TOOLS.items()
        }


def right(tool: str, checks: Iterable[str], accepted: Sequence[str]) -> bool:
    """Say whether one of the checks of a tool is right about a fault."""
    known = TOOLS[tool][1]
    return any(code in accepted for check in checks for code in known.get(check, "").split())
