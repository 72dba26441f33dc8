"""The score of the last self-test of this installation, kept for the reports."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Final

import platformdirs
from pydantic import ValidationError

from bridge.explain.result import SelftestScore

#: With another version of one of these, a score says nothing any more.
_PACKAGES: Final = (
    "keras-bridge", "tensorflow", "tensorflow-cpu", "tf-nightly", "keras", "tf-keras", "numpy"
)  # fmt: skip


def keep(score: SelftestScore, folder: Path | None = None) -> None:
    """Keep a score with today's date; a folder that cannot be written costs nothing but that."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    path = _file(folder)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = score.model_copy(update={"date": today}).model_dump_json(indent=1)
        path.write_text(text, "utf-8")


def last_score(folder: Path | None = None) -> SelftestScore | None:
    """Return the last score with the versions that are installed now, None if there is none."""
    try:
        return SelftestScore.model_validate_json(_file(folder).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def _file(folder: Path | None) -> Path:
    versions = [platform.python_version(), platform.machine()]
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    key = hashlib.sha256("\n".join(versions).encode()).hexdigest()[:12]
    return (folder or platformdirs.user_cache_path("keras-bridge")) / f"selftest-{key}.json"
