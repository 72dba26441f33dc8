"""Text of others made safe to print.

A script, an error message or a layer's name may come from a stranger. Whatever is in it must be
seen, must not be run, and must not change how the text around it reads. Escaping for HTML is
Jinja's work; what is here comes before it, and stands in its place for Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from bridge import _text

_STYLE: Final = re.compile(r"\x1b\[[0-9;:]*m")
_JOINERS: Final = frozenset("\u200c\u200d")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_MARKDOWN: Final = re.compile(r"[\\`*_\[\]|~$]")
_REFERENCE: Final = re.compile(r"@(?=\w)|(?<!&)#(?=\d)|\bGH-(?=\d)")
# What opens a list, a heading or a rule at the start of a line; the first group stays as it is.
_BLOCK_START: Final = re.compile(r"^(\d{1,9}(?=[.)](?: |$))|(?=[-+#=]+(?: |$)))")


class Markdown(str):
    """Text that is Markdown already; everything else is escaped where it is printed."""

    __slots__ = ()


def visible(text: str) -> str:
    r"""Return ``text`` with every character that has no look of its own written as an escape.

    Terminal colours are dropped; other control characters, direction overrides, tags and lone
    surrogates become ``\x00``, ``\u202e`` and so on. Newlines and tabs stay, and so do the
    joiners that scripts and emoji need.
    """
    if text.isprintable():
        return text
    text = _STYLE.sub("", text).replace("\r\n", "\n")
    return "".join(_shown(character) for character in text)


def one_line(text: str) -> str:
    """Return ``text`` made visible on one line."""
    return " ".join(visible(text).split())


def clip(text: str, *, characters: int, lines: int) -> str:
    """Return the start of ``text`` and, if that is not all, a last line that says so."""
    kept = "\n".join(text[:characters].split("\n")[:lines])
    left = len(text) - len(kept)
    return kept if not left else f"{kept}\n[... {left:,} more characters in report.json]"


def markdown(text: str) -> Markdown:
    """Return ``text`` as one line of Markdown that reads as the text, and as nothing else.

    Neither HTML, links, code, tables or formulas start in it, and on GitHub neither do mentions
    of people or of issues.
    """
    safe = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _MARKDOWN.sub(r"\\\g<0>", safe)
    safe = _REFERENCE.sub(r"\g<0><!-- -->", safe)
    return Markdown(_BLOCK_START.sub(r"\1\\", safe))


def code(text: str, *, cell: bool = False) -> Markdown:
    """Return ``text`` as a code span; ``cell`` where it stands in a table."""
    line = one_line(text)
    if not line:
        return Markdown("")
    if cell and "|" in line:
        # A table is cut at its pipes before code spans are found, and a backslash before a pipe
        # cannot be written in a span; as an entity the pipe is safe.
        return Markdown(f"<code>{markdown(line)}</code>".replace("\\|", "&#124;"))
    ticks = "`" * (_longest_run(line, "`") + 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    return Markdown(f"{ticks}{pad}{line}{pad}{ticks}")


def fenced(text: str, language: str = "") -> Markdown:
    """Return ``text`` as a fenced block whose fence is longer than any fence within."""
    return Markdown(_text.fenced(visible(text), language))


def slug(text: str, taken: set[str] | None = None) -> str:
    """Return ``text`` as a name that is safe as a folder, a file and an anchor.

    ``taken`` holds the names given out so far; the new one differs from all of them, and is added.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip(".-_")[:80] or "unnamed"
    if taken is None:
        return name
    unique, number = name, 1
    while unique.lower() in taken:
        number += 1
        unique = f"{name}-{number}"
    taken.add(unique.lower())
    return unique


def _shown(character: str) -> str:
    if character in "\n\t" or character in _JOINERS:
        return character
    if unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _longest_run(text: str, character: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(character)}+", text)), default=0)
