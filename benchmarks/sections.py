"""Pages that more than one measurement writes: each has a section of its own."""

from __future__ import annotations

import re
from pathlib import Path


def put_section(page: Path, heading: str, text: str) -> None:
    """Put ``text`` under ``## heading``, in place of what stands there, or behind all else."""
    known = page.read_text("utf-8") if page.is_file() else ""
    mine = f"## {heading}\n\n{text.strip()}\n"
    first, *sections = re.split(r"^(?=## )", known, flags=re.MULTILINE)
    kept = {section.partition("\n")[0]: section.strip() + "\n" for section in sections}
    kept[f"## {heading}"] = mine
    page.write_text("\n".join([*([first.strip() + "\n"] if first.strip() else []), *kept.values()]))
