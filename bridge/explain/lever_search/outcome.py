"""What a run under a lever says of one place: a pure function of two capsules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError, LayerOutput, LayerState, ModelState, Probe
from bridge.capsule.numbers import same_bits
from bridge.compare.result import LayerVerdict, Verdict
from bridge.explain.executed_ops import labels, names_of, ops_of
from bridge.explain.result import LeverOutcome
from bridge.rounding.layer_records import PREDICTION, Judge


def narrowed(capsule: Capsule) -> Capsule:
    """Return a run in float64 with its models said to be of float32, and what they made rounded.

    What layers received stays as it was. Other runs are returned as they are.
    """
    if not any("float64" in repr(layer.config) for state in capsule.manifest.states
               for layer in state.layers):  # fmt: skip
        return capsule
    made: dict[str, AnyArray] = {}
    probes = tuple(_probe(capsule, probe, made) for probe in capsule.manifest.probes)
    states = tuple(_state(state) for state in capsule.manifest.states)
    manifest = capsule.manifest.model_copy(update={"probes": probes, "states": states})
    return Capsule(manifest, {**capsule.arrays, **made})


def _probe(capsule: Capsule, probe: Probe, made: dict[str, AnyArray]) -> Probe:
    layers = tuple(
        layer.model_copy(update={"outputs": _rounded(capsule, layer, made), "perturbed": None})
        for layer in probe.layers
    )
    return probe.model_copy(update={"layers": layers, "outputs": _rounded(capsule, probe, made)})


def _rounded(
    capsule: Capsule, holder: Probe | LayerOutput, made: dict[str, AnyArray]
) -> tuple[Array, ...]:
    found = []
    for ref in holder.outputs:
        if ref.key is None or ref.dtype != "float64" or ref.key not in capsule.arrays:
            found.append(ref)
            continue
        key = f"f.{ref.key}"[:80]
        with np.errstate(over="ignore"):
            made[key] = np.asarray(capsule.array(ref)).astype(np.float32)
        found.append(ref.model_copy(update={"key": key, "dtype": "float32"}))
    return tuple(found)


def _state(state: ModelState) -> ModelState:
    layers = tuple(_layer(layer) for layer in state.layers)
    return state.model_copy(update={"layers": layers, "config": _told(state.config)})


def _layer(layer: LayerState) -> LayerState:
    inner = tuple(_layer(each) for each in layer.layers)
    return layer.model_copy(update={"config": _told(layer.config), "layers": inner})


def _told(item: JsonValue) -> Any:
    if isinstance(item, dict):
        return {key: _told(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_told(each) for each in item]
    return "float32" if item == "float64" else item


# What a run under a lever says of one place: a pure function of two capsules.

#: Worst first, as far as one place is concerned: one element beyond its bound decides.
_WORST: Final[tuple[Verdict, ...]] = ("different", "abstained", "within-rounding", "same-bits")


@dataclass(frozen=True)
class Target:
    """A place that is doubted: a layer of a probe, or the probe's result.

    ``names`` are the layers that were seen as one; the model's own output belongs to them where
    ``output`` says so. ``wrong`` has the bits that are doubted, ``right`` those that another run
    made: only where no layer can be judged do they decide.
    """

    probe: int
    names: frozenset[str] = frozenset()
    output: bool = True
    wrong: tuple[AnyArray, ...] = ()
    right: tuple[AnyArray, ...] | None = None

    @property
    def relative(self) -> bool:
        """Say whether runs are judged by another run, for lack of a definition."""
        return self.right is not None


def target_of(capsule: Capsule, probe: Probe, verdict: LayerVerdict, place: int) -> Target:
    """Return the place of a verdict, the ``place``-th on a probe of a run."""
    record = probe.layers[place] if place < len(probe.layers) else None
    names = frozenset((record.layer, *record.through)) if record else frozenset({verdict.layer})
    last = probe.layers[-1] if probe.layers else None
    output = record is None or record is last
    if record is None and last is not None:
        names = frozenset((last.layer, *last.through))
    return Target(probe.index, names, output, outputs(capsule, probe))


def outputs(capsule: Capsule, probe: Probe) -> tuple[AnyArray, ...]:
    """Return what a probe returned, nothing if that was not recorded."""
    try:
        return tuple(np.asarray(capsule.array(ref)) for ref in probe.outputs)
    except CapsuleError:
        return ()


def outcome(
    capsule: Capsule, target: Target, lever: str, seconds: float = 0.0, judge: Judge | None = None
) -> LeverOutcome:
    """Say whether the place is right in a run under a lever."""
    probe = next((each for each in capsule.manifest.probes if each.index == target.probe), None)
    if probe is None:
        why = capsule.manifest.error.message if capsule.manifest.error else capsule.manifest.status
        return nothing(lever, f"it did not come to the prediction ({why})", seconds)
    if any(ref.dtype == "float64" for ref in probe.outputs) and _were_narrower(target):
        capsule = narrowed(capsule)
        probe = next(each for each in capsule.manifest.probes if each.index == target.probe)
    verdicts = (judge or Judge())(capsule, probe)
    found, detail = _verdict(capsule, probe, target, verdicts)
    first = next((each for each in verdicts if each.verdict == "different"), None)
    state = capsule.state_of(probe)
    own = ops_of(probe.executed, target.names, names_of(state.layers if state else ()))
    return LeverOutcome(
        lever=lever,
        verdict=found,
        executed_ops=labels(probe.executed),
        layer_ops=tuple(op.label for op in own),
        layer=first.layer if first is not None else "",
        detail=detail,
        seconds=round(seconds, 3),
    )


def _were_narrower(target: Target) -> bool:
    return any(y.dtype.kind == "f" and y.dtype.itemsize < 8 for y in target.wrong)


def nothing(lever: str, why: str, seconds: float = 0.0) -> LeverOutcome:
    """Return the outcome of a run that says nothing."""
    return LeverOutcome(
        lever=lever, verdict="abstained", detail=why[:500], seconds=round(seconds, 3)
    )


def whole(capsule: Capsule, lever: str, seconds: float, judge: Judge) -> LeverOutcome:
    """Say whether all that a run predicted is right: the worst verdict on any layer."""
    probes = [each for each in capsule.manifest.probes if each.kind in ("predict", "call")]
    verdicts = [each for probe in probes for each in judge(capsule, probe)]
    blind = [probe for probe in probes if not judge(capsule, probe)]
    wrong = next((each for each in verdicts if each.verdict == "different"), None)
    left = next((each for each in verdicts if each.verdict == "abstained"), None)
    verdict = worst([each.verdict for each in verdicts]) if verdicts and not blind else "abstained"
    if wrong is not None:
        verdict = "different"
    detail = ""
    if wrong is not None:
        detail = f"{wrong.layer}: {wrong.why}"
    elif blind:
        detail = next(iter(blind[0].notes), "no layer was seen")
    elif left is not None:
        detail = f"{left.layer}: {left.why}"
    return LeverOutcome(
        lever=lever,
        verdict=verdict,
        executed_ops=tuple(dict.fromkeys(op for probe in probes for op in labels(probe.executed))),
        layer=wrong.layer if wrong is not None else "",
        detail=detail[:500],
        seconds=round(seconds, 3),
    )


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict that speaks for several on one place; nothing is no verdict."""
    known = [each for each in verdicts if each in _WORST]
    return min(known, key=_WORST.index, default="abstained")


def _verdict(
    capsule: Capsule, probe: Probe, target: Target, verdicts: Sequence[LayerVerdict]
) -> tuple[Verdict, str]:
    concerned = list(_concerned(probe, target, verdicts))
    if concerned:
        verdict = worst([each.verdict for each in concerned])
        if verdict != "abstained" or not target.relative:
            why = next((each.why for each in concerned if each.verdict == verdict and each.why), "")
            return verdict, why
    made = outputs(capsule, probe)
    if not made:
        return "abstained", "; ".join(probe.notes) or "it made nothing"
    if target.right is not None and bits_same(made, target.right):
        return "same-bits", "the same bits as the run that it is compared with"
    if target.wrong and bits_same(made, target.wrong):
        return "different", "the same bits as the run that is doubted"
    if target.right is not None and (how := apart(made, target.right)):
        return "different", how
    why = next((each.why for each in concerned if each.why), "")
    return "abstained", why or next(iter(probe.notes), "no layer of it was seen")


def _concerned(
    probe: Probe, target: Target, verdicts: Sequence[LayerVerdict]
) -> Sequence[LayerVerdict]:
    records: list[LayerOutput | None] = [*probe.layers]
    records += [None] * (len(verdicts) - len(records))
    return [
        verdict
        for record, verdict in zip(records, verdicts, strict=False)
        if (
            target.names & {record.layer, *record.through}
            if record is not None
            else target.output and verdict.layer == PREDICTION
        )
    ]


def bits_same(one: Sequence[AnyArray], other: Sequence[AnyArray]) -> bool:
    """Say whether arrays have the same types, shapes and bits."""
    return len(one) == len(other) and all(
        x.shape == y.shape and x.dtype == y.dtype and same_bits(x, y)
        for x, y in zip(one, other, strict=True)
    )


def apart(one: Sequence[AnyArray], other: Sequence[AnyArray]) -> str:
    """Say in what arrays differ that no rounding can bring about; nothing where it may be rounding.

    Whole numbers and truth values are not rounded, and rounding makes no NaN of a number.
    """
    for x, y in zip(one, other, strict=False):
        if x.shape != y.shape:
            return f"shape {x.shape} against {y.shape}"
        if x.dtype.kind in "biu" and y.dtype.kind in "biu":
            count = int(np.count_nonzero(x != y))
            if count:
                return f"{count} of {x.size} whole numbers are others"
        elif x.dtype.kind == "f" and y.dtype.kind == "f":
            count = int(np.count_nonzero(np.isnan(x) != np.isnan(y)))
            if count:
                return f"{count} of {x.size} are NaN on one side only"
    return "" if len(one) == len(other) else f"{len(one)} against {len(other)} outputs"
