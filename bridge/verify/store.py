"""Reading and writing files of certificates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from bridge.capsule import CapsuleError
from bridge.capsule.store import read_arrays, write_arrays
from bridge.verify.schema import SCHEMA_VERSION, CertificateManifest, Certificates

_METADATA_KEY: Final = "keras-bridge-certificates"
_WHAT: Final = "a file of certificates"


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
