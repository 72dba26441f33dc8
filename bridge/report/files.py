"""Files written in one step, and pictures put into a page."""

from __future__ import annotations

import base64
import os
import urllib.parse
import uuid
from pathlib import Path
from typing import Final

#: A picture larger than this is linked from the page, not put into it.
MAX_EMBEDDED_BYTES: Final = 1_000_000

_PNG: Final = b"\x89PNG\r\n\x1a\n"
# What may stay as it is within a quoted data URI; above all no quote, ampersand, # or bracket.
_PLAIN: Final = " !$()*+,-./:;=?@[]_{}~^|"


def write_in_one_step(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        # Opened by hand: tempfile would make the report readable by its writer alone.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def media_type(content: bytes) -> str | None:
    """Return the type of a picture, judged by its bytes, or None if it is neither SVG nor PNG."""
    if content.startswith(_PNG):
        return "image/png"
    start = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"<?xml", b"<!DOCTYPE svg", b"<svg")) and b"<svg" in content[:4000]:
        return "image/svg+xml"
    return None


def data_uri(content: bytes) -> str | None:
    """Return a picture as a ``data:`` address, or None if it is neither SVG nor PNG.

    In an ``<img>`` neither scripts nor links of an SVG work, so a stranger's picture is harmless.
    An SVG is quoted, not put in base 64: that is a quarter smaller.
    """
    kind = media_type(content)
    if kind is None:
        return None
    if kind == "image/png":
        return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return f"data:{kind},{urllib.parse.quote(b' '.join(content.splitlines()), safe=_PLAIN)}"
