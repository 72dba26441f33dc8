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

#: The kinds of probes that change weights, and those whose results rest on targets too.
TRAINS: Final = ("fit", "train")
WITH_TARGETS: Final = (*TRAINS, "evaluate")

#: What Keras takes where nothing is said, for arrays (``Model.fit`` of Keras 2 and of Keras 3).
_DEFAULTS: Final[Mapping[str, JsonValue]] = {"batch_size": 32}
#: Of an optimiser's settings, those that change no number.
_NAMES: Final = frozenset({"name", "registered_name", "module", "is_legacy_optimizer"})


def trained(a: Capsule, one: Probe, b: Capsule, other: Probe) -> StageResult | None:
    """Return where two fits part: an epoch of a curve, or a weight afterwards; None if neither is.

    ``where`` is code: ``history['loss'][3]`` is the fourth epoch.
    """
    curve = _curves(a, one, b, other)
    if curve is not None and curve.same is False:
        return curve
    if one.kind != "fit":
        return curve
    judged = _judged(one, other)
    if judged is not None:
        return _stage(True, "", f"the first {_epochs(judged)}") if curve is not None else None
    epochs = max((len(values) for values in one.curves.values()), default=0)
    if len(one.outputs) != len(other.outputs):
        detail = f"{len(one.outputs)} against {len(other.outputs)} weights after training"
        return _stage(False, "model.get_weights()", detail)
    for number, (p, q) in enumerate(zip(one.outputs, other.outputs, strict=True)):
        unlike = parting(a, p, b, q)
        if unlike is None:
            continue
        before = f"the curves of all {_epochs(epochs)} are the same, " if epochs else ""
        detail = f"{before}the weights after training are not: {unlike.detail}"
        same = False if unlike.known else None
        return _stage(same, f"{_weight(p, number)}{unlike.suffix}", detail)
    if not one.curves and not one.outputs:
        return None
    after = f"and {len(one.outputs)} weights after them" if one.outputs else ""
    gone = _not_finite(one)
    detail = " ".join(part for part in (_epochs(epochs), after) if part)
    return _stage(True, "", f"{detail}; {gone}" if gone else detail)


def asked(a: Capsule, one: Probe, b: Capsule, other: Probe) -> StageResult | None:
    """Return the first thing in which what was asked of two trainings differs."""
    if one.settings and other.settings:
        for name in dict.fromkeys((*one.settings, *other.settings)):
            p, q = (_setting(each.settings, name) for each in (one, other))
            if p != q:
                return StageResult(
                    stage="arguments",
                    same=False,
                    where=f"model.{_METHODS[one.kind]}({name}=...)",
                    detail=f"{name}: {p!r} against {q!r}",
                )
    found = _optimizers(_compiled(a, one), _compiled(b, other))
    if found is not None:
        return found
    return _targets(a, one, b, other)


_METHODS: Final = {"fit": "fit", "train": "train_on_batch", "evaluate": "evaluate"}


def _stage(same: bool | None, where: str, detail: str) -> StageResult:
    return StageResult(stage="training curve", same=same, where=where, detail=detail)


def _curves(a: Capsule, one: Probe, b: Capsule, other: Probe) -> StageResult | None:
    """Return the first epoch in which any of the curves differs."""
    names = list(dict.fromkeys((*one.curves, *other.curves)))
    if not names:
        return None
    parted = [
        (epoch, name)
        for name in names
        if name in one.curves and name in other.curves
        for epoch in _first(one.curves[name], other.curves[name])
    ]
    if parted:
        # The names are in the order in which Keras has them: the loss before the metrics.
        epoch, name = min(parted, key=lambda each: each[0])
        p, q = one.curves[name], other.curves[name]
        before = f"; the {_epochs(epoch)} before it are the same" if epoch > 1 else ""
        before = "; the epoch before it is the same" if epoch == 1 else before
        detail = f"epoch {epoch + 1}: {p[epoch]!r} and {q[epoch]!r}{before}"
        return _stage(False, f"history[{name!r}][{epoch}]", detail)
    for name in names:
        code = f"history[{name!r}]"
        if name not in one.curves or name not in other.curves:
            who = b if name not in one.curves else a
            return _stage(False, code, f"only {who.manifest.runner} has it")
        p, q = one.curves[name], other.curves[name]
        if len(p) != len(q) and _judged(one, other) is None:
            return _stage(False, f"len({code})", f"{len(p)} against {len(q)} epochs")
    return _stage(True, "", _epochs(len(one.curves[names[0]])))


def first_curves(one: Probe, other: Probe) -> tuple[AnyArray, AnyArray] | None:
    """Return the curves of two trainings that both have, each of shape (curves, epochs).

    None where both trainings were made in full, and left weights that can be compared.
    """
    epochs = _judged(one, other)
    names = [name for name in one.curves if name in other.curves]
    whole = epochs is None and bool(one.outputs or other.outputs)
    if whole or not names:
        return None
    left, right = (
        np.array([probe.curves[name][:epochs] for name in names], np.float64)
        for probe in (one, other)
    )
    return (left, right) if left.shape == right.shape else None


def _judged(one: Probe, other: Probe) -> int | None:
    """Return of how many epochs a training was made again, None if of all."""
    made = [probe.first_epochs for probe in (one, other) if probe.first_epochs is not None]
    return min(made, default=None)


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
    one, other = p.get("optimizer"), q.get("optimizer")
    if not isinstance(one, dict) or not isinstance(other, dict):
        return None
    kinds = one.get("class_name"), other.get("class_name")
    if kinds[0] != kinds[1]:
        return _config("type(model.optimizer).__name__", *kinds)
    ones, others = one.get("config"), other.get("config")
    if not isinstance(ones, dict) or not isinstance(others, dict):
        return None
    for name in ones:
        if name not in _NAMES and name in others and ones[name] != others[name]:
            where = f"model.optimizer.get_config()[{name!r}]"
            return _config(where, ones[name], others[name])
    return None


def _config(where: str, p: JsonValue, q: JsonValue) -> StageResult:
    return StageResult(stage="config", same=False, where=where, detail=f"{p!r} against {q!r}")


def _targets(a: Capsule, one: Probe, b: Capsule, other: Probe) -> StageResult | None:
    if not one.targets or not other.targets:
        return None
    if len(one.targets) != len(other.targets):
        detail = f"{len(one.targets)} against {len(other.targets)} arrays"
        return StageResult(stage="input", same=False, where="y", detail=detail)
    for p, q in zip(one.targets, other.targets, strict=True):
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
