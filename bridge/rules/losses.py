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
#: Losses that are of Keras itself, and finite where their inputs are.
KNOWN: Final = PROBABILITIES | DISTANCES | {"poisson", "hinge", "squaredhinge", "kldivergence"}
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
    ``usual`` says that it is the mean over rows, without smoothing: what its bounds are of.
    """

    call: Call | None
    state: ModelState
    loss: str
    logits: bool = False
    usual: bool = True


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
        elif (
            isinstance(loss, ObjectValue) and (maker := maker_of(run.capsule, loss.id)) is not None
        ):
            logits = is_true(maker.kwargs.get("from_logits"))
            yield Compiled(call, used[owner], plain(name_of(maker)), logits)


def loss_of(run: Run, state: ModelState) -> Compiled:
    """Return how a model was compiled at a moment, without a loss where none of Keras' is known.

    The model's own configuration says so; where that cannot be read, the last call does.
    """
    found = [compilation for compilation in compiled(run) if compilation.state.id == state.id]
    call = found[-1].call if found else None
    config = state.compiled if isinstance(state.compiled, dict) else {}
    loss = config.get("loss")
    if isinstance(loss, str):
        return Compiled(call, state, plain(loss))
    if isinstance(loss, dict) and isinstance(loss.get("class_name"), str):
        inner = loss.get("config")
        settings = inner if isinstance(inner, dict) else {}
        name = inner if isinstance(inner, str) else str(loss["class_name"])
        return Compiled(
            call, state, plain(name), settings.get("from_logits") is True, _is_usual(settings)
        )
    return found[-1] if found else Compiled(None, state, "")


def _is_usual(settings: Mapping[str, Any]) -> bool:
    reduction = settings.get("reduction")
    mean = reduction in (None, "auto", "sum_over_batch_size", "mean")
    return mean and not settings.get("label_smoothing") and settings.get("delta") in (None, 1.0)


# The least that a loss can be, over all predictions within a range.


def _squares(y: F64, p: F64) -> F64:
    return np.asarray((p - y) ** 2)


def _absolute(y: F64, p: F64) -> F64:
    return np.asarray(np.abs(p - y))


def _percent(y: F64, p: F64) -> F64:
    return np.asarray(100.0 * np.abs(y - p) / np.maximum(np.abs(y), EPSILON))


def _logarithms(y: F64, p: F64) -> F64:
    a, b = (np.log1p(np.maximum(values, EPSILON)) for values in (y, p))
    return np.asarray((a - b) ** 2)


def _huber(y: F64, p: F64) -> F64:
    d = np.abs(p - y)
    return np.asarray(np.where(d <= 1.0, 0.5 * d * d, d - 0.5))


def _log_cosh(y: F64, p: F64) -> F64:
    d = np.abs(p - y)
    return np.asarray(d + np.log1p(np.exp(-2.0 * d)) - np.log(2.0))


def _hinge(y: F64, p: F64) -> F64:
    return np.asarray(np.maximum(1.0 - _signs(y) * p, 0.0))


def _squared_hinge(y: F64, p: F64) -> F64:
    return np.asarray(_hinge(y, p) ** 2)


def _signs(y: F64) -> F64:
    """Return labels as a hinge loss takes them: 0 and 1 are taken for -1 and 1."""
    return np.asarray(2.0 * y - 1.0) if np.all((y == 0) | (y == 1)) else y


def _poisson(y: F64, p: F64) -> F64:
    return np.asarray(p - y * np.log(np.maximum(p, EPSILON)))


#: Each grows with the distance of a prediction from what is best for the target.
_DISTANCE: Final[Mapping[str, Callable[[F64, F64], F64]]] = {
    "meansquarederror": _squares,
    "meanabsoluteerror": _absolute,
    "meanabsolutepercentageerror": _percent,
    "meansquaredlogarithmicerror": _logarithms,
    "huber": _huber,
    "logcosh": _log_cosh,
    "hinge": _hinge,
    "squaredhinge": _squared_hinge,
    "poisson": _poisson,
}


def least(
    loss: str, y: npt.NDArray[Any], low: float, high: float, together: int | None = None
) -> tuple[float, float] | None:
    """Return the least mean loss of predictions from ``low`` to ``high``, and of any predictions.

    A loss that grows with the distance is least at the end of the range that is next to the
    target. Where the predictions of a row are ``together`` so many numbers that add up to 1, that
    is a bound too, for squares and for counts. None where the loss is of another kind.
    """
    distance = _DISTANCE.get(loss)
    if distance is None or not y.size or not np.all(np.isfinite(y)):
        return None
    target = np.asarray(y, np.float64)
    best = np.sign(_signs(target)) * 1.0 if distance in (_hinge, _squared_hinge) else target
    bound = float(np.mean(distance(target, np.clip(best, low, high))))
    free = float(np.mean(distance(target, best)))
    if together is not None:
        bound = max(bound, _sharing(loss, target, together))
    return bound, free


def _sharing(loss: str, y: F64, count: int) -> float:
    """Return a bound for predictions of which ``count`` add up to 1; 0 where none is known."""
    rows = y.reshape(len(y), -1)
    if rows.shape[1] == 1:
        # One target of a row is set against every number of the prediction.
        rows = np.repeat(rows, count, axis=1)
    if rows.shape[1] != count:
        return 0.0
    sums = rows.sum(axis=1)
    if loss == "meansquarederror":
        return float(np.mean(((sums - 1.0) / count) ** 2))
    if loss == "meanabsoluteerror":
        return float(np.mean(np.abs(sums - 1.0) / count))
    if loss == "poisson" and np.all(rows >= 0):
        shares = rows / np.maximum(sums, EPSILON)[:, None]
        return float(np.mean(_poisson(rows, shares)))
    return 0.0


def of_predictions(used: Compiled, y: npt.NDArray[Any], p: npt.NDArray[Any]) -> float | None:
    """Return the mean loss of predictions in float64, None where it is not one of a few.

    Nor where a probability is so near its ends that Keras cuts it off, or takes hidden logits.
    """
    target, given = np.asarray(y, np.float64), np.asarray(p, np.float64)
    if target.ndim == 1 and given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if used.loss in ("meansquarederror", "meanabsoluteerror"):
        return float(np.mean(_DISTANCE[used.loss](target, given))) if _fits(target, given) else None
    inside = given.size and given.min() > 1e-5 and given.max() < 1 - 1e-5
    if used.logits or not inside:
        return None
    if used.loss == "binarycrossentropy" and _fits(target, given):
        terms = target * np.log(given) + (1 - target) * np.log1p(-given)
        return float(-np.mean(terms))
    if used.loss == "categoricalcrossentropy" and _fits(target, given):
        shares = given / given.sum(axis=-1, keepdims=True)
        return float(-np.mean(np.sum(target * np.log(shares), axis=-1)))
    return None


def _fits(y: F64, p: F64) -> bool:
    return y.shape == p.shape
