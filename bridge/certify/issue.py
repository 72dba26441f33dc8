"""Issuing certificates: what the ladder found, element by element, beside what it rests on.

This is the only module here that knows the rules; those that check do not import it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge.capsule import Array, Capsule, Probe
from bridge.certify.schema import (
    AnyArray,
    Bounds,
    Certificate,
    CertificateManifest,
    Certificates,
    Judged,
)
from bridge.certify.store import write_certificates
from bridge.certify.table import digest
from bridge.compare.ladder import LADDER, Case, Step, judge_case
from bridge.compare.result import LayerVerdict
from bridge.compare.rules import OBSERVED, RULES, Layer, UnsupportedError, class_name, moving, unary
from bridge.compare.rules.activations import LAYERS, activation_of
from bridge.compare.rules.forms import FORMS
from bridge.compare.rules.models import model_of
from bridge.compare.rules.rounding import FORMATS
from bridge.compare.seen import Seen, predicted, seen_layers

__all__ = ["certificates", "write_certificates"]

#: Where configurations name activations.
_ACTIVATIONS: Final = ("activation", "recurrent_activation")


@dataclass(frozen=True)
class _Found:
    """A layer of a probe, or the model's own output as what a layer made, with its verdict."""

    position: int
    seen: Seen
    case: Case | str
    verdict: LayerVerdict
    prediction: int | None = None


def certificates(capsule: Capsule, ladder: Sequence[Step] = LADDER) -> Certificates:
    """Return a certificate for every layer that the ladder calls rounding by its bound.

    The layers are judged again, as :func:`bridge.compare.seen.judge_probe` judges them.
    """
    issuer = _Issuer()
    for probe in capsule.manifest.probes:
        for found in _judged(capsule, probe, ladder):
            issuer.add(probe, found)
    return issuer.done(capsule)


class _Issuer:
    """Certificates under construction."""

    def __init__(self) -> None:
        self._judged: list[Judged] = []
        self._certificates: list[Certificate] = []
        self._arrays: dict[str, AnyArray] = {}

    def add(self, probe: Probe, found: _Found) -> None:
        """Add what was judged, and a certificate if it was called rounding by its bound."""
        record, verdict = found.seen.record, found.verdict
        self._judged.append(
            Judged(
                probe=probe.index,
                position=found.position,
                layer=record.layer,
                prediction=found.prediction,
                verdict=verdict.verdict,
                rung=verdict.rung,
            )
        )
        if (verdict.verdict, verdict.rung) != ("within-rounding", "certified"):
            return
        case = found.case
        if isinstance(case, str) or isinstance(case.marks, str):
            return
        layer = case.layer
        self._certificates.append(
            Certificate(
                probe=probe.index,
                position=found.position,
                layer=record.layer,
                cls=layer.cls,
                prediction=found.prediction,
                rule=_rule(layer),
                format=layer.compute_dtype,
                outputs=tuple(
                    Bounds(
                        bound=self._keep("bound", each.evaluation.bound),
                        error=self._keep("error", each.error),
                    )
                    for each in case.marks
                ),
                rests_on=tuple(_rests_on(case)),
                tables={name: digest(name, layer.compute_dtype) for name in _kernels_of(case)},
            )
        )

    def done(self, capsule: Capsule) -> Certificates:
        """Return the certificates of a capsule."""
        manifest = CertificateManifest(
            runner=capsule.manifest.runner,
            case=capsule.manifest.case,
            judged=tuple(self._judged),
            certificates=tuple(self._certificates),
        )
        return Certificates(manifest, self._arrays)

    def _keep(self, name: str, values: AnyArray) -> Array:
        wide = np.asarray(values, np.float64)
        # A prediction that is its last layer's output shares the arrays of that layer's marks.
        key = next((key for key, kept in self._arrays.items() if kept is wide), None)
        if key is None:
            key = f"c{len(self._arrays)}"
            self._arrays[key] = wide
        return Array(name=name, key=key, dtype="float64", shape=wide.shape)


def _judged(capsule: Capsule, probe: Probe, ladder: Sequence[Step]) -> Iterator[_Found]:
    """Yield the layers of a probe and the model's outputs, in the order of the verdicts."""
    seen = seen_layers(capsule, probe)
    verdicts = [each.judge(ladder) for each in seen]
    for position, (each, verdict) in enumerate(zip(seen, verdicts, strict=True)):
        yield _Found(position, each, each.case, verdict)
    for number, made in enumerate(predicted(capsule, probe, seen) or ()):
        place = made.place
        if made.case is None:
            yield _Found(place, seen[place], seen[place].case, verdicts[place], number)
        elif not isinstance(made.case, str):
            verdict = judge_case(made.case, ladder)
            yield _Found(place, seen[place], made.case, verdict, number)


def _rule(layer: Layer) -> str:
    """Name what derived the bounds: the module of the rule, and its function."""
    name = class_name(layer.cls) or ""
    rule = OBSERVED.get(name) or RULES.get(name)
    rule = getattr(rule, "func", rule)
    module = getattr(rule, "__module__", "").rpartition(".")[2]
    return f"{module}.{getattr(rule, '__name__', '')}".strip(".")


def _rests_on(case: Case) -> Iterator[str]:
    """Say in words what has to hold for the bounds to hold."""
    layer = case.layer
    name = class_name(layer.cls) or ""
    if name in moving.RULES:
        yield "elements are handed on as they are"
    else:
        fmt = FORMATS.get(layer.compute_dtype)
        if fmt is not None:
            how = "cut off" if fmt.chopped else "rounded to nearest"
            yield (
                f"{fmt.name} arithmetic, {how}, with unit roundoff {fmt.unit:g}; magnitudes below "
                f"2^{fmt.lowest} may be taken for zero"
            )
        if name not in unary.RULES:
            yield "any order of summation, with or without fused multiply-add"
            yield "no transform of the operands: not Winograd's, Strassen's or Fourier's"
    for kernel in _kernels_of(case):
        model = model_of(kernel, layer.compute_dtype, layer.kernels)
        if model is not None:
            versions = ", ".join(model.versions)
            yield f"the measured errors of {kernel} in {layer.compute_dtype}, TensorFlow {versions}"
    if case.then:
        named = ", ".join(each.name for each in case.then)
        yield f"executed in one with {named}; errors are carried through"
    if isinstance(case.marks, tuple):
        missed = {(each.evaluation.sampled, each.evaluation.missed) for each in case.marks}
        for kernel, factor in sorted(missed):
            if math.isinf(factor):
                yield f"{kernel}: its kernels were measured, but on another installation"
            elif factor != 1.0:
                yield f"{kernel}: a sample of its inputs, up to {factor:.3g} times too low"


def _kernels_of(case: Case) -> list[str]:
    """Return the names of the measured kernels that a case rests on, each once."""
    return list(dict.fromkeys(name for each in (case.layer, *case.then) for name in _models(each)))


def _models(layer: Layer) -> Iterator[str]:
    """Name the measured activation kernels that a layer's bounds rest on."""
    name = class_name(layer.cls) or ""
    specs: list[JsonValue] = [layer.config.get(key) for key in _ACTIVATIONS]
    if name in LAYERS and name != "Activation":
        specs = [{"class_name": name, "config": dict(layer.config)}]
    elif name == "Softmax":
        specs = ["softmax"]
    for spec in specs:
        if spec in ("softmax", "log_softmax"):
            yield "softmax_pair"
            yield from ("log",) * (spec == "log_softmax")
        elif spec not in (None, "linear"):
            yield from _kernels(spec, layer)


def _kernels(spec: JsonValue, layer: Layer) -> Iterator[str]:
    try:
        form = activation_of(spec, layer.generation, layer.arithmetic()).form
    except UnsupportedError:
        return
    # Of those with constants of their own, only these rest on a kernel that was measured.
    if FORMS.get(form.name) is form or form.name in ("celu", "elu"):
        yield form.name
