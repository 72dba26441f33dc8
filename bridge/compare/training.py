"""Two trainings: the first step at which they part, and what was asked of them.

Of a fit its losses and metrics are known epoch by epoch, and the weights after the last. Where
these are the same bits the trainings are the same, however the script spelled what it asked for.
Where they are not, the first epoch that differs is named, and what was asked is compared: the
arguments of ``fit``, the optimiser, the targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError, Probe
from bridge.capsule.numbers import same_bits
from bridge.compare.alignment import parting
from bridge.compare.result import StageResult

#: The kinds of probes that train or evaluate: what they return rests on targets too.
WITH_TARGETS: Final = ("fit", "train", "evaluate")

#: What Keras takes where nothing is said, for arrays (``Model.fit`` of Keras 2 and of Keras 3).
_DEFAULTS: Final[Mapping[str, JsonValue]] = {"batch_size": 32}
#: Of an optimiser's settings, those that change no number.
_NAMES: Final = frozenset({"name", "registered_name", "module", "is_legacy_optimizer"})


def trained(a: Capsule, left: Probe, b: Capsule, right: Probe) -> StageResult | None:
    """Return where two fits part: an epoch of a curve, or a weight afterwards; None if neither is.

    ``where`` is code: ``history['loss'][3]`` is the fourth epoch.
    """
    curve = _curves(a, left, b, right)
    if curve is not None and curve.same is False:
        return curve
    if left.kind != "fit":
        return curve
    judged = _judged(left, right)
    if judged is not None:
        return _stage(True, "", f"the first {_epochs(judged)}") if curve is not None else None
    epochs = max((len(values) for values in left.curves.values()), default=0)
    if len(left.outputs) != len(right.outputs):
        detail = f"{len(left.outputs)} against {len(right.outputs)} weights after training"
        return _stage(False, "model.get_weights()", detail)
    for number, (p, q) in enumerate(zip(left.outputs, right.outputs, strict=True)):
        unlike = parting(a, p, b, q)
        if unlike is None:
            continue
        before = f"the curves of all {_epochs(epochs)} are the same, " if epochs else ""
        detail = f"{before}the weights after training are not: {unlike.detail}"
        same = False if unlike.known else None
        return _stage(same, f"{_weight(p, number)}{unlike.suffix}", detail)
    if not left.curves and not left.outputs:
        return None
    after = f"and {len(left.outputs)} weights after them" if left.outputs else ""
    gone = _not_finite(left)
    detail = " ".join(part for part in (_epochs(epochs), after) if part)
    return _stage(True, "", f"{detail}; {gone}" if gone else detail)


def asked(a: Capsule, left: Probe, b: Capsule, right: Probe) -> StageResult | None:
    """Return the first thing in which what was asked of two trainings differs."""
    if left.settings and right.settings:
        for name in dict.fromkeys((*left.settings, *right.settings)):
            p, q = (_setting(probe.settings, name) for probe in (left, right))
            if p != q:
                return StageResult(
                    stage="arguments",
                    same=False,
                    where=f"model.{_METHODS[left.kind]}({name}=...)",
                    detail=f"{name}: {p!r} against {q!r}",
                )
    found = _optimizers(_compiled(a, left), _compiled(b, right))
    if found is not None:
        return found
    return _targets(a, left, b, right)


_METHODS: Final = {"fit": "fit", "train": "train_on_batch", "evaluate": "evaluate"}


def _stage(same: bool | None, where: str, detail: str) -> StageResult:
    return StageResult(stage="training curve", same=same, where=where, detail=detail)


def _curves(a: Capsule, left: Probe, b: Capsule, right: Probe) -> StageResult | None:
    """Return the first epoch in which any of the curves differs."""
    names = list(dict.fromkeys((*left.curves, *right.curves)))
    if not names:
        return None
    parted = [
        (epoch, name)
        for name in names
        if name in left.curves and name in right.curves
        for epoch in _first(left.curves[name], right.curves[name])
    ]
    if parted:
        # The names are in the order in which Keras has them: the loss before the metrics.
        epoch, name = min(parted, key=lambda entry: entry[0])
        p, q = left.curves[name], right.curves[name]
        before = f"; the {_epochs(epoch)} before it are the same" if epoch > 1 else ""
        before = "; the epoch before it is the same" if epoch == 1 else before
        detail = f"epoch {epoch + 1}: {p[epoch]!r} and {q[epoch]!r}{before}"
        return _stage(False, f"history[{name!r}][{epoch}]", detail)
    for name in names:
        code = f"history[{name!r}]"
        if name not in left.curves or name not in right.curves:
            who = b if name not in left.curves else a
            return _stage(False, code, f"only {who.manifest.runner} has it")
        p, q = left.curves[name], right.curves[name]
        if len(p) != len(q) and _judged(left, right) is None:
            return _stage(False, f"len({code})", f"{len(p)} against {len(q)} epochs")
    return _stage(True, "", _epochs(len(left.curves[names[0]])))


def first_curves(left: Probe, right: Probe) -> tuple[AnyArray, AnyArray] | None:
    """Return the curves of two trainings that both have, each of shape (curves, epochs).

    None where both trainings were made in full, and left weights that can be compared.
    """
    epochs = _judged(left, right)
    names = [name for name in left.curves if name in right.curves]
    whole = epochs is None and bool(left.outputs or right.outputs)
    if whole or not names:
        return None
    first, second = (
        np.array([probe.curves[name][:epochs] for name in names], np.float64)
        for probe in (left, right)
    )
    return (first, second) if first.shape == second.shape else None


def _judged(left: Probe, right: Probe) -> int | None:
    """Return of how many epochs a training was made again, None if of all."""
    epochs = [probe.first_epochs for probe in (left, right) if probe.first_epochs is not None]
    return min(epochs, default=None)


def _first(p: tuple[float, ...], q: tuple[float, ...]) -> Iterator[int]:
    """Yield the first epoch, counted from 0, in which two curves differ in a bit."""
    for epoch, (x, y) in enumerate(zip(p, q, strict=False)):
        if not same_bits(np.float64(x).reshape(1), np.float64(y).reshape(1)):
            yield epoch
            return


def _not_finite(probe: Probe) -> str:
    """Say from which epoch on a training has no finite loss."""
    for name, values in probe.curves.items():
        for epoch, value in enumerate(values, start=1):
            if not math.isfinite(value):
                return f"the {name} is {value!r} from epoch {epoch} on"
    return ""


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count:,} epochs"


def _weight(ref: Array, number: int) -> str:
    """Return code for a weight after training, which is recorded as ``layer/number``."""
    layer, _, index = ref.name.rpartition("/")
    if layer and index.isdigit():
        return f"model.get_layer({layer!r}).weights[{index}]"
    return f"model.get_weights()[{number}]"


def _setting(settings: Mapping[str, JsonValue], name: str) -> JsonValue:
    value = settings.get(name)
    return _DEFAULTS.get(name) if value is None else value


def _compiled(capsule: Capsule, probe: Probe) -> Mapping[str, JsonValue]:
    state = capsule.state_of(probe)
    compiled = None if state is None else state.compiled
    return compiled if isinstance(compiled, dict) else {}


def _optimizers(p: Mapping[str, JsonValue], q: Mapping[str, JsonValue]) -> StageResult | None:
    """Compare two optimisers setting by setting, where both are known that well."""
    left, right = p.get("optimizer"), q.get("optimizer")
    if not isinstance(left, dict) or not isinstance(right, dict):
        return None
    kinds = left.get("class_name"), right.get("class_name")
    if kinds[0] != kinds[1]:
        return _config("type(model.optimizer).__name__", *kinds)
    ones, others = left.get("config"), right.get("config")
    if not isinstance(ones, dict) or not isinstance(others, dict):
        return None
    for name in ones:
        if name not in _NAMES and name in others and ones[name] != others[name]:
            where = f"model.optimizer.get_config()[{name!r}]"
            return _config(where, ones[name], others[name])
    return None


def _config(where: str, p: JsonValue, q: JsonValue) -> StageResult:
    return StageResult(stage="config", same=False, where=where, detail=f"{p!r} against {q!r}")


def _targets(a: Capsule, left: Probe, b: Capsule, right: Probe) -> StageResult | None:
    if not left.targets or not right.targets:
        return None
    if len(left.targets) != len(right.targets):
        detail = f"{len(left.targets)} against {len(right.targets)} arrays"
        return StageResult(stage="input", same=False, where="y", detail=detail)
    for p, q in zip(left.targets, right.targets, strict=True):
        unlike = parting(a, p, b, q)
        if unlike is None or _cast_alike(a, p, b, q):
            continue
        same = False if unlike.known else None
        where = f"{p.name}{unlike.suffix}"
        return StageResult(stage="input", same=same, where=where, detail=unlike.detail)
    return None


def _cast_alike(a: Capsule, p: Array, b: Capsule, q: Array) -> bool:
    """Say whether targets of unlike types are the same numbers as the float32 that Keras makes."""
    try:
        x, y = a.array(p), b.array(q)
    except CapsuleError:
        return False
    if x.shape != y.shape or not {x.dtype.kind, y.dtype.kind} <= set("biuf"):
        return False
    with np.errstate(over="ignore"):
        return same_bits(x.astype(np.float32), y.astype(np.float32))
