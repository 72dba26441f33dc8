"""What a file of certificates holds, schema version 1.

It lies beside a run's capsule and refers to it: inputs, outputs and weights are there and are not
copied. Like a capsule it is a safetensors file with a manifest in JSON; nothing in it is code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from bridge.capsule import Array
from bridge.capsule.values import Frozen

SCHEMA_VERSION: Final = 1

#: The suffix of a file of certificates; its stem is the name of the run.
SUFFIX: Final = ".certificates"

AnyArray = np.ndarray[Any, np.dtype[Any]]


class Bounds(Frozen):
    """The bound and the error |y - value| of every element of one output, as float64.

    ``value`` is the float64 evaluation that the bound is about; it is not kept.
    """

    bound: Array
    error: Array


class Judged(Frozen):
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
    judged: tuple[Judged, ...] = ()
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
