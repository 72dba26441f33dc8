"""Files of certificates, schema version 1.

One lies beside a run's capsule and refers to it: inputs, outputs and weights are there and are not
copied. Like a capsule it is a safetensors file with a manifest in JSON; nothing in it is code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from bridge._typing import AnyArray
from bridge.capsule import Array, CapsuleError
from bridge.capsule.store import read_arrays, write_arrays
from bridge.capsule.values import Frozen

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
