"""Recorded layers of every kind, with outputs inside their bounds, and their certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.capsule import (
    Array,
    Capsule,
    LayerOutput,
    LayerState,
    Manifest,
    ModelState,
    Probe,
    WeightRecord,
)
from bridge.rounding.rules import Layer, evaluate
from bridge.verify.certificate import Certificates, certificates
from bridge.verify.check import CertificateOutcome, check_certificate
from tests.compare_samples import Sample


@dataclass(frozen=True, eq=False)
class Made:
    """A layer of Keras with weights and inputs; ``gen`` is the generation of Keras.

    Each is like no other, so that what was made of it can be kept.
    """

    cls: str
    inputs: Sequence[AnyArray]
    weights: Mapping[str, AnyArray]
    config: Mapping[str, Any]
    gen: Any = 3

    def layer(self) -> Layer:
        """Return it as the rules see it."""
        name = f"keras.layers.{self.cls}"
        return Layer("it", name, dict(self.config), dict(self.weights), self.gen)


#: Ends of activations that no kernel leaves.
_RANGES: Final[dict[str, tuple[float, float]]] = {
    **dict.fromkeys(("sigmoid", "hard_sigmoid", "sparse_sigmoid", "softmax"), (0.0, 1.0)),
    **dict.fromkeys(("tanh", "hard_tanh", "softsign"), (-1.0, 1.0)),
    "relu6": (0.0, 6.0),
}


def off_by(made: Made, rng: np.random.Generator, part: float = 0.9) -> list[AnyArray]:
    """Return outputs that are off by up to ``part`` of the bound, by a step if it allows one."""
    found: list[AnyArray] = []
    least, most = _RANGES.get(str(made.config.get("activation")), (-np.inf, np.inf))
    for each in evaluate(made.layer(), made.inputs):
        value = np.asarray(each.value, np.float64)
        with np.errstate(all="ignore"):
            room = np.where(np.isfinite(each.bound), each.bound, 0.0)
            moved = value + room * part * rng.uniform(-1.0, 1.0, value.shape)
            moved = np.clip(moved, least, most)
            nearest = value.astype(_type_of(made))
            y = moved.astype(nearest.dtype)
            y = np.where(np.abs(y.astype(np.float64) - value) <= room, y, nearest)
            ends = np.where(rng.random(y.shape) < 0.5, np.inf, -np.inf).astype(y.dtype)
            beside = np.nextafter(y, ends)
            fits = np.abs(beside.astype(np.float64) - value) <= part * room
        found.append(np.where((y == nearest) & fits, beside, y))
    return found


def _type_of(made: Made) -> np.dtype[Any]:
    policy = str(made.config.get("dtype", "float32")).removeprefix("mixed_")
    return np.dtype(np.float16 if policy == "float16" else np.float32)


def recorded(made: Made, outputs: Sequence[AnyArray]) -> Capsule:
    """Return a run in which the layer received its inputs and made these outputs."""
    sample = Sample()
    weights = tuple(
        WeightRecord(name=name, array=sample.array(name, each))
        for name, each in made.weights.items()
    )
    state = ModelState(
        id=1,
        cls="keras.Functional",
        keras="tf_keras" if made.gen == 2 else "keras",
        name="model",
        layers=(
            LayerState(
                name="it",
                cls=f"keras.layers.{made.cls}",
                config=dict(made.config),
                weights=weights,
            ),
        ),
    )
    seen = LayerOutput(
        layer="it",
        inputs=tuple(sample.array(f"x{n}", x) for n, x in enumerate(made.inputs)),
        outputs=tuple(sample.array(f"y{n}", y) for n, y in enumerate(outputs)),
    )
    probe = Probe(index=0, kind="predict", state=0, layers=(seen,))
    capsule = sample.capsule()
    manifest = Manifest(
        runner="r", case="sample", status="ok", states=(state,), probes=(probe,)
    )  # fmt: skip
    return Capsule(manifest, capsule.arrays)


def check_all(
    capsule: Capsule, found: Certificates | None = None, sample: int | None = None
) -> list[CertificateOutcome]:
    """Check every certificate of a run; without any given, those that are issued for it."""
    found = found or certificates(capsule)
    return [check_certificate(capsule, found, each, sample) for each in found.manifest.certificates]


def with_array(
    held: Certificates, change: Callable[[F64], F64], name: str, certificate: int = 0
) -> Certificates:
    """Return certificates in which one array, ``bound`` or ``error``, is another."""
    ref: Array = getattr(held.manifest.certificates[certificate].outputs[0], name)
    assert ref.key is not None
    arrays = dict(held.arrays)
    arrays[ref.key] = change(arrays[ref.key].copy())
    return replace(held, arrays=arrays)


def with_capsule_array(capsule: Capsule, ref: Array, values: AnyArray) -> Capsule:
    """Return a run in which the elements of one array are others."""
    assert ref.key is not None
    return Capsule(capsule.manifest, {**capsule.arrays, ref.key: values})
