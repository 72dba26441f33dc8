"""Issuing certificates: what the ladder found, element by element, beside what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, Probe
from bridge.compare.result import LayerVerdict
from bridge.facts.layers import class_name, doing
from bridge.rounding.ladder import Case
from bridge.rounding.layer_records import Subject, judge_probe, subjects
from bridge.rounding.rules import OBSERVED, RULES, Layer, UnsupportedError, activations
from bridge.rounding.rules.activation_forms import FORMS
from bridge.rounding.rules.activation_models import model_of
from bridge.rounding.rules.activations import LAYERS, activation_of
from bridge.rounding.rules.rounding import FORMATS
from bridge.verify.certificate import (
    Bounds,
    Certificate,
    CertificateManifest,
    Certificates,
    Judged,
    write_certificates,
)

__all__ = ["certificates", "digest_of", "write_certificates"]

#: Where configurations name activations.
_ACTIVATIONS: Final = ("activation", "recurrent_activation")


def certificates(
    capsule: Capsule, verdicts: Mapping[int, Sequence[LayerVerdict]] | None = None
) -> Certificates:
    """Return a certificate for every layer that the ladder calls rounding by its bound.

    ``verdicts`` are those that the comparison made of the layers of each probe, by its index; a
    probe without any is judged here. Only layers that are certified are evaluated again, for their
    bounds.
    """
    issuer = _Issuer()
    for probe in capsule.manifest.probes:
        judged = (verdicts or {}).get(probe.index)
        judged = judge_probe(capsule, probe) if judged is None else judged
        for subject, verdict in zip(subjects(capsule, probe), judged, strict=True):
            if subject.seen is not None and subject.position is not None:
                issuer.add(probe, subject, subject.position, verdict)
    return issuer.done(capsule)


class _Issuer:
    """Certificates under construction."""

    def __init__(self) -> None:
        self._judged: list[Judged] = []
        self._certificates: list[Certificate] = []
        self._arrays: dict[str, AnyArray] = {}

    def add(self, probe: Probe, subject: Subject, position: int, verdict: LayerVerdict) -> None:
        """Add what was judged, and a certificate if it was called rounding by its bound."""
        name, case = subject.layer, subject.case
        self._judged.append(
            Judged(
                probe=probe.index,
                position=position,
                layer=name,
                prediction=subject.prediction,
                verdict=verdict.verdict,
                rung=verdict.rung,
            )
        )
        if (verdict.verdict, verdict.rung) != ("within-rounding", "certified"):
            return
        if isinstance(case, str) or isinstance(case.marks, str):
            return
        layer = case.layer
        self._certificates.append(
            Certificate(
                probe=probe.index,
                position=position,
                layer=name,
                cls=layer.cls,
                prediction=subject.prediction,
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
                tables={name: digest_of(name, layer.compute_dtype) for name in _kernels_of(case)},
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


def digest_of(kernel: str, dtype: str) -> str:
    """Return some digits that change with the measured errors of an activation; "" for none."""
    model = model_of(kernel, dtype)
    return "" if model is None else model.digest


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
    if name in doing("hands-on", "reshapes"):
        yield "elements are handed on as they are"
    else:
        fmt = FORMATS.get(layer.compute_dtype)
        if fmt is not None:
            how = "cut off" if fmt.chopped else "rounded to nearest"
            yield (
                f"{fmt.name} arithmetic, {how}, with unit roundoff {fmt.unit:g}; magnitudes below "
                f"2^{fmt.lowest} may be taken for zero"
            )
        if name not in activations.RULES:
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
