"""R source text of names, strings, values and vectors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from bridge._text import r_number

_PLAIN_NAME = re.compile(r"(?:[A-Za-z]|\.(?![0-9]))[A-Za-z0-9._]*\Z")
_RESERVED = frozenset(
    (
        *("if", "else", "repeat", "while", "function", "for", "in", "next", "break"),
        *("TRUE", "FALSE", "NULL", "Inf", "NaN"),
        *("NA", "NA_integer_", "NA_real_", "NA_complex_", "NA_character_"),
    )
)


def is_plain(name: str) -> bool:
    """Whether R reads ``name`` as a name without backticks."""
    return bool(_PLAIN_NAME.match(name)) and name not in _RESERVED


def r_name(name: str) -> str:
    """Write ``name`` as R reads it back, in backticks where it is no plain name.

    >>> r_name("layer_dense"), r_name("%>%")
    ('layer_dense', '`%>%`')
    """
    return name if is_plain(name) or name == "..." else f"`{name}`"


def r_string(text: str) -> str:
    """Write ``text`` as an R string literal."""
    return json.dumps(text, ensure_ascii=True).replace("\\/", "/")


def r_literal(value: JsonValue) -> str:
    """Write a JSON value as R: whole numbers are integers, lists are lists.

    >>> r_literal({"axis": -1, "name": None, "rates": [0.5]})
    'list(axis = -1L, name = NULL, rates = list(0.5))'
    """
    match value:
        case None:
            return "NULL"
        case bool() | int() | float():
            return r_number(value)
        case str():
            return r_string(value)
        case list():
            return f"list({', '.join(map(r_literal, value))})"
        case dict():
            return f"list({', '.join(f'{r_name(k)} = {r_literal(v)}' for k, v in value.items())})"


def r_vector(names: Iterable[str]) -> str:
    """Write strings as an R character vector."""
    return f"c({', '.join(map(r_string, names))})" if (names := list(names)) else "character()"


def r_vector_named(pairs: Mapping[str, str]) -> str:
    """Write a named R character vector."""
    return f"c({', '.join(f'{r_name(k)} = {r_string(v)}' for k, v in pairs.items())})"
