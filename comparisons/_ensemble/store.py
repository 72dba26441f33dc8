"""Keeping finished blocks: an ``.npz`` each, in the user's cache, under a name that says it all."""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path

import numpy as np
import platformdirs

from bridge.compare.numbers import AnyArray


def default_folder() -> Path:
    """Return where blocks are kept if nothing else is said."""
    return Path(platformdirs.user_cache_dir("keras-bridge")) / "ensembles"


class Store:
    """Blocks in a folder; a folder that cannot be written to keeps nothing, and says nothing.

    Args:
        folder: where; made when the first block is put there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = default_folder() if folder is None else folder

    def get(self, key: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, AnyArray] | None:
        """Return the arrays of a block, None if there are none of these names and shapes.

        Nothing is unpickled, and a damaged file counts as none.
        """
        try:
            # numpy leaves a file open that it opened itself and could not read.
            with self._path(key).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                found = {name: kept[name] for name in shapes}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        if any(found[name].shape != shape for name, shape in shapes.items()):
            return None
        return found

    def put(self, key: str, arrays: dict[str, AnyArray]) -> None:
        """Keep the arrays of a block; a reader sees all of them or none."""
        path = self._path(key)
        aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                np.savez(file, **arrays)
            aside.replace(path)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npz"
