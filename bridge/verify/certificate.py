"""Files of certificates, schema version 1.

One lies beside a run's capsule and refers to it: inputs, outputs and weights are there and are not
copied. Like a capsule it is a safetensors file with a manifest in JSON; nothing in it is code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import Field, JsonValue, ValidationError

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError, Probe
from bridge.capsule.store import read_arrays, write_arrays
from bridge.capsule.values import Frozen
from bridge.compare.result import LayerVerdict
from bridge.facts.layers import class_name, doing
from bridge.rounding.ladder import LayerCase
from bridge.rounding.layer_records import Subject, judge_probe, subjects
from bridge.rounding.rules import OBSERVED, RULES, Layer, UnsupportedError, activations
from bridge.rounding.rules.activation_forms import FORMS
from bridge.rounding.rules.activation_models import model_of
from bridge.rounding.rules.activations import LAYERS, activation_of
from bridge.rounding.rules.rounding import FORMATS

SCHEMA_VERSION: Final = 1

#: The suffix of a file of certificates; its stem is the name of the run.
SUFFIX: Final = ".certificates"

_METADATA_KEY: Final = "keras-bridge-certificates"
_WHAT: Final = "a file of certificates"


class Bounds(Frozen):
    """The bound and the error |y - value| of every element of one output, as float64.

    ``value`` is the float64 evaluation that the bound is about; it is not kept.
    """

    bound: Array
    error: Array


class LayerJudgement(Frozen):
    """The verdict on one layer of a probe; every layer that was looked at has one.

    ``position`` is that of the layer among the probe's; ``prediction`` is the number of the model's
    output where that was judged, as what the layer made.
    """

    probe: int
    position: int
    layer: str
    prediction: int | None = None
    verdict: str
    rung: str


class Certificate(Frozen):
    """Why the outputs of one layer of a probe are rounding.

    ``rule`` names what derived the bounds, ``format`` the type in which the layer computes, and
    ``rests_on`` says in words what has to hold besides; ``tables`` has a digest of the measured
    errors of every activation kernel that the bounds rest on.
    """

    probe: int
    position: int
    layer: str
    cls: str
    prediction: int | None = None
    rule: str
    format: str
    outputs: tuple[Bounds, ...]
    rests_on: tuple[str, ...] = ()
    tables: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> tuple[int, int, int | None]:
        """What it is about: the probe, the layer's position, and the output if it is one."""
        return self.probe, self.position, self.prediction


class CertificateManifest(Frozen):
    """Everything in a file of certificates but the elements of its arrays."""

    schema_version: Literal[1] = SCHEMA_VERSION
    runner: str
    case: str
    judged: tuple[LayerJudgement, ...] = ()
    certificates: tuple[Certificate, ...] = Field(default=())

    def arrays(self) -> Iterator[Array]:
        """Yield every array that the manifest speaks of; outputs may share them."""
        for certificate in self.certificates:
            for output in certificate.outputs:
                yield output.bound
                yield output.error


@dataclass(frozen=True)
class Certificates:
    """The certificates of one run, and the elements of their arrays by key."""

    manifest: CertificateManifest
    arrays: Mapping[str, AnyArray]


def write_certificates(path: Path, certificates: Certificates) -> None:
    """Write certificates to ``path`` in one step: a reader sees the whole file or none.

    Raises:
        CapsuleError: an array that the manifest speaks of is missing.
        OSError: the file cannot be written.
    """
    wanted = sorted({ref.key for ref in certificates.manifest.arrays() if ref.key is not None})
    missing = [key for key in wanted if key not in certificates.arrays]
    if missing:
        raise CapsuleError(f"an array named in the manifest is missing: {missing[0]}")
    arrays = {key: certificates.arrays[key] for key in wanted}
    write_arrays(path, arrays, _METADATA_KEY, certificates.manifest.model_dump_json())


def read_certificates(path: Path) -> Certificates:
    """Read certificates, trusting nothing in them; arrays are read when they are asked for.

    Raises:
        CapsuleError: the file is missing, too large, damaged, of another schema version, or not a
            file of certificates at all.
    """
    text, shapes, arrays = read_arrays(path, _METADATA_KEY, _WHAT)
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, RecursionError, AttributeError):
        raise CapsuleError(f"the manifest of {path.name} is not JSON") from None
    if version != SCHEMA_VERSION:
        raise CapsuleError(
            f"{path.name} has schema version {version!r}; this program reads {SCHEMA_VERSION}. "
            "Run the case again."
        )
    try:
        manifest = CertificateManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CapsuleError(
            f"the manifest of {path.name} does not fit the schema at {where}: {first['msg']}"
        ) from None
    for ref in manifest.arrays():
        if ref.key is None or ref.key not in shapes:
            raise CapsuleError(f"{path.name} speaks of an array {ref.name!r} that it does not hold")
        if shapes[ref.key] != ref.shape:
            raise CapsuleError(
                f"{path.name}: array {ref.name!r} should have shape {ref.shape}, has "
                f"{shapes[ref.key]}"
            )
    return Certificates(manifest, arrays)


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
        self._judged: list[LayerJudgement] = []
        self._certificates: list[Certificate] = []
        self._arrays: dict[str, AnyArray] = {}

    def add(self, probe: Probe, subject: Subject, position: int, verdict: LayerVerdict) -> None:
        """Add what was judged, and a certificate if it was called rounding by its bound."""
        name, case = subject.layer, subject.case
        self._judged.append(
            LayerJudgement(
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
                        bound=self._keep("bound", mark.evaluation.bound),
                        error=self._keep("error", mark.error),
                    )
                    for mark in case.marks
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


def _rests_on(case: LayerCase) -> Iterator[str]:
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
        named = ", ".join(layer.name for layer in case.then)
        yield f"executed in one with {named}; errors are carried through"
    if isinstance(case.marks, tuple):
        missed = {(mark.evaluation.sampled, mark.evaluation.missed) for mark in case.marks}
        for kernel, factor in sorted(missed):
            if math.isinf(factor):
                yield f"{kernel}: its kernels were measured, but on another installation"
            elif factor != 1.0:
                yield f"{kernel}: a sample of its inputs, up to {factor:.3g} times too low"


def _kernels_of(case: LayerCase) -> list[str]:
    """Return the names of the measured kernels that a case rests on, each once."""
    return list(
        dict.fromkeys(name for layer in (case.layer, *case.then) for name in _models(layer))
    )


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
