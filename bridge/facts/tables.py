"""Where the tables lie that were measured of front ends, and which of a package's counts."""

from __future__ import annotations

import re
from pathlib import Path

#: One file a package and version: ``keras3-1.5.1.json``.
TABLES = Path(__file__).parents[1] / "r" / "standin" / "tables"


def newest_tables(folder: Path = TABLES) -> dict[str, Path]:
    """Return the table of the newest version of each package: package -> file."""
    found: dict[str, tuple[tuple[int, ...], Path]] = {}
    for path in folder.glob("*.json"):
        package, _, version = path.stem.partition("-")
        numbers = tuple(map(int, re.findall(r"\d+", version)))
        found[package] = max(found.get(package, ((), path)), (numbers, path))
    return {package: path for package, (_, path) in found.items()}
