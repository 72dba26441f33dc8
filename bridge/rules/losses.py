"""Losses as rules know them: by name, whether they take logits, and how small they can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import Call, ModelState
from bridge.capsule.values import ObjectValue, Scalar, Symbol
from bridge.rules.run import Run, is_true, maker_of, name_of, owner_of

F64 = npt.NDArray[np.float64]

#: Short names of losses, by what their names are without underscores.
_SHORT: Final[Mapping[str, str]] = {
    "mse": "meansquarederror", "mae": "meanabsoluteerror",
    "mape": "meanabsolutepercentageerror", "msle": "meansquaredlogarithmicerror",
    "kld": "kldivergence", "kullbackleiblerdivergence": "kldivergence",
}  # fmt: skip
#: Losses whose predictions are probabilities.
PROBABILITIES: Final = frozenset(
    {"binarycrossentropy", "categoricalcrossentropy", "sparsecategoricalcrossentropy"}
    | {"binaryfocalcrossentropy", "categoricalfocalcrossentropy"}
)
#: Losses of classes that exclude each other.
CATEGORICAL: Final = frozenset(
    {"categoricalcrossentropy", "sparsecategoricalcrossentropy", "categoricalfocalcrossentropy"}
)
#: Losses that are distances between numbers.
DISTANCES: Final = frozenset(
    {"meansquarederror", "meanabsoluteerror", "meanabsolutepercentageerror", "logcosh", "huber"}
    | {"meansquaredlogarithmicerror"}
)
#: Epsilon, as both generations of Keras have it unless a script sets another.
EPSILON: Final = 1e-7


def plain(name: str) -> str:
    """Return the name of a loss without underscores and short forms."""
    bare = name.rpartition(".")[2].replace("_", "").lower()
    return _SHORT.get(bare, bare)


@dataclass(frozen=True)
class Compiled:
    """A compilation that was used: the call, the model as it was then, its loss.

    ``logits`` says that the loss is told so. ``loss`` is "" where it is none of Keras' own.
    """

    call: Call | None
    state: ModelState
    loss: str
    logits: bool = False


def compiled(run: Run) -> Iterator[Compiled]:
    """Yield the compilations of models that were trained or evaluated."""
    used = {
        state.id: state
        for probe in run.probes
        if probe.kind in ("fit", "evaluate", "train") and (state := run.state(probe)) is not None
    }
    for call in run.asked:
        owner = owner_of(call)
        if name_of(call) != "compile" or owner not in used:
            continue
        loss = call.kwargs.get("loss")
        if isinstance(loss, Scalar) and loss.t == "str":
            yield Compiled(call, used[owner], plain(loss.v))
        elif isinstance(loss, Symbol):
            yield Compiled(call, used[owner], plain(loss.path.rpartition(":")[2]))
        elif isinstance(loss, ObjectValue) and (made := maker_of(run.capsule, loss.id)) is not None:
            logits = is_true(made.kwargs.get("from_logits"))
            yield Compiled(call, used[owner], plain(name_of(made)), logits)


def loss_of(run: Run, state: ModelState) -> Compiled:
    """Return the last compilation of a model, one without a loss where none is known."""
    found = [each for each in compiled(run) if each.state.id == state.id]
    return found[-1] if found else Compiled(None, state, "")


def is_bare(config: Mapping[str, Any]) -> bool:
    """Say whether a loss was made with its own settings alone: no sum, no smoothing."""
    return not config.get("label_smoothing")


# The least that a loss can be, over all predictions within a range.


def _squares(y: F64, p: F64) -> F64:
    return np.asarray((p - y) ** 2)


def _absolute(y: F64, p: F64) -> F64:
    return np.asarray(np.abs(p - y))


def _percent(y: F64, p: F64) -> F64:
    return np.asarray(100.0 * np.abs(y - p) / np.maximum(np.abs(y), EPSILON))


def _logarithms(y: F64, p: F64) -> F64:
    a, b = (np.log1p(np.maximum(each, EPSILON)) for each in (y, p))
    return np.asarray((a - b) ** 2)


def _huber(y: F64, p: F64) -> F64:
    d = np.abs(p - y)
    return np.asarray(np.where(d <= 1.0, 0.5 * d * d, d - 0.5))


def _log_cosh(y: F64, p: F64) -> F64:
    d = np.abs(p - y)
    return np.asarray(d + np.log1p(np.exp(-2.0 * d)) - np.log(2.0))


#: Each grows with the distance of a prediction from its target.
_DISTANCE: Final[Mapping[str, Callable[[F64, F64], F64]]] = {
    "meansquarederror": _squares,
    "meanabsoluteerror": _absolute,
    "meanabsolutepercentageerror": _percent,
    "meansquaredlogarithmicerror": _logarithms,
    "huber": _huber,
    "logcosh": _log_cosh,
}


def least(loss: str, y: npt.NDArray[Any], low: float, high: float) -> float | None:
    """Return the least possible mean loss of predictions from ``low`` to ``high``.

    A distance is least at the end of the range that is next to the target. None where the loss is
    none of those that grow with the distance.
    """
    distance = _DISTANCE.get(loss)
    if distance is None or not y.size:
        return None
    target = np.asarray(y, np.float64)
    return float(np.mean(distance(target, np.clip(target, low, high))))
