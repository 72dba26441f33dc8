"""Reading and writing capsules.

The file is a safetensors file: arrays as plain bytes, and the manifest as JSON in its metadata.
Nothing in it is code, and reading one executes nothing. A reader refuses, with one sentence,
whatever it does not understand.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ml_dtypes  # noqa: F401  (registers bfloat16 and the float8 types with NumPy)
import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bridge._typing import AnyArray
from bridge.capsule.old_notes import with_fields
from bridge.capsule.schema import SCHEMA_VERSION, Array, Manifest, ModelState, Probe
from bridge.errors import BridgeError

MAX_FILE_BYTES: Final = 16 * 2**30
MAX_HEADER_BYTES: Final = 256 * 2**20
_METADATA_KEY: Final = "keras-bridge"


class CapsuleError(BridgeError, ValueError):
    """The file is not a capsule that this version can read; the message says why."""


@dataclass(frozen=True)
class Capsule:
    """A run: the manifest, and the elements of its arrays by key."""

    manifest: Manifest
    arrays: Mapping[str, AnyArray]

    def state_of(self, probe: Probe) -> ModelState | None:
        """Return the model of a probe as it was then, None if it was not recorded."""
        states = self.manifest.states
        known = probe.state is not None and 0 <= probe.state < len(states)
        return states[probe.state or 0] if known else None

    def array(self, ref: Array) -> AnyArray:
        """Return the elements of ``ref``.

        Raises:
            CapsuleError: the elements were not recorded.
        """
        if ref.key is None:
            raise CapsuleError(f"the elements of {ref.name!r} were not recorded")
        try:
            return self.arrays[ref.key]
        except KeyError:
            raise CapsuleError(f"the elements of {ref.name!r} are missing") from None


def write_capsule(capsule: Capsule, path: Path | str) -> None:
    """Write ``capsule`` to ``path`` in one step: a reader sees the whole file or none.

    Raises:
        CapsuleError: an array is missing, or has a type that the format cannot hold.
        OSError: the file cannot be written.
    """
    wanted = capsule.manifest.array_keys()
    missing = sorted(wanted - set(capsule.arrays))
    if missing:
        raise CapsuleError(f"arrays named in the manifest are missing: {', '.join(missing[:5])}")
    arrays = {key: capsule.arrays[key] for key in sorted(wanted)}
    write_arrays(Path(path), arrays, _METADATA_KEY, capsule.manifest.model_dump_json())


def write_arrays(path: Path, arrays: Mapping[str, AnyArray], key: str, manifest: str) -> None:
    """Write arrays, and a manifest under ``key``, to ``path`` in one step.

    Raises:
        CapsuleError: an array has a type that the format cannot hold.
        OSError: the file cannot be written.
    """
    # ascontiguousarray turns a scalar into a vector; the shape is part of what was recorded.
    contiguous = {
        name: np.ascontiguousarray(value).reshape(value.shape) for name, value in arrays.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that it can be renamed; not by tempfile, whose files only we may read.
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        save_file(contiguous, temporary, metadata={key: manifest})
        temporary.replace(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CapsuleError(f"cannot write {path.name}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_capsule(path: Path | str, *, max_bytes: int = MAX_FILE_BYTES) -> Capsule:
    """Read a capsule, trusting nothing in it.

    Arrays are read from disk when they are asked for.

    Raises:
        CapsuleError: the file is missing, too large, damaged, of another schema version, or not
            a capsule at all.
    """
    path = Path(path)
    text, shapes, arrays = read_arrays(path, _METADATA_KEY, "a capsule", max_bytes=max_bytes)
    manifest = _parse(text, path.name)
    missing = sorted(manifest.array_keys() - set(shapes))
    if missing:
        raise CapsuleError(f"{path.name} speaks of arrays it does not hold: {missing[0]!r}")
    _check_shapes(manifest, shapes, path.name)
    return Capsule(manifest, arrays)


def read_arrays(
    path: Path, key: str, what: str, *, max_bytes: int = MAX_FILE_BYTES
) -> tuple[str, dict[str, tuple[int, ...]], Mapping[str, AnyArray]]:
    """Return the manifest under ``key``, the arrays' shapes, and the arrays, read when asked for.

    Raises:
        CapsuleError: the file is missing, too large, damaged, or not ``what`` it should be; an
            array that is asked for cannot be read.
    """
    _check_header(path, what, max_bytes)
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(key)
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, UnicodeDecodeError) as error:
        raise CapsuleError(f"{path.name} is damaged or not {what}: {error}") from None
    if text is None:
        raise CapsuleError(f"{path.name} is a safetensors file, but not {what}")
    return text, shapes, _LazyArrays(path, frozenset(shapes))


def _check_header(path: Path, what: str, max_bytes: int) -> None:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise CapsuleError(f"{path.name} is not a file")
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise CapsuleError(f"cannot read {path.name}: {error.strerror}") from None
    if size > max_bytes:
        raise CapsuleError(f"{path.name} has {size:,} bytes; at most {max_bytes:,} are read")
    header = int.from_bytes(start, "little")
    if len(start) < 8 or header > size - 8:
        raise CapsuleError(f"{path.name} is cut short or not {what}")
    if header > MAX_HEADER_BYTES:
        raise CapsuleError(f"{path.name} has a manifest of {header:,} bytes; too large to read")


def _parse(text: str, name: str) -> Manifest:
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, RecursionError, AttributeError):
        raise CapsuleError(f"the manifest of {name} is not JSON") from None
    if version != SCHEMA_VERSION:
        raise CapsuleError(
            f"{name} has schema version {version!r}; this program reads {SCHEMA_VERSION}. "
            "Update keras-bridge, or record the run again."
        )
    try:
        return with_fields(Manifest.model_validate_json(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CapsuleError(
            f"the manifest of {name} does not fit the schema at {where}: {first['msg']}"
        ) from None


def _check_shapes(manifest: Manifest, shapes: Mapping[str, tuple[int, ...]], name: str) -> None:
    for ref in _arrays(manifest):
        if ref.key is not None and shapes[ref.key] != ref.shape:
            raise CapsuleError(
                f"{name}: array {ref.name!r} should have shape {ref.shape}, has {shapes[ref.key]}"
            )


def _arrays(manifest: Manifest) -> Iterator[Array]:
    for state in manifest.states:
        for layer in state.layers:
            yield from (weight.array for weight in layer.weights)
    for probe in manifest.probes:
        yield from probe.inputs
        yield from probe.outputs
        for output in probe.layers:
            yield from output.inputs
            yield from output.outputs


class _LazyArrays(Mapping[str, AnyArray]):
    """Arrays read one at a time from a safetensors file."""

    def __init__(self, path: Path, keys: frozenset[str]) -> None:
        self._path = path
        self._keys = keys
        self._file: Any = None

    def __getitem__(self, key: str) -> AnyArray:
        if key not in self._keys:
            raise KeyError(key)
        try:
            # Kept open: opening reads the whole manifest, which the file has in its header.
            if self._file is None:
                self._file = safe_open(str(self._path), framework="numpy")
            array: AnyArray = self._file.get_tensor(key)
        except (SafetensorError, OSError, ValueError, TypeError) as error:
            raise CapsuleError(f"{self._path.name}: array {key!r}: {error}") from None
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._keys))

    def __len__(self) -> int:
        return len(self._keys)
