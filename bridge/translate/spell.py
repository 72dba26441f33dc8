"""Spelling recorded calls as Python, for people to read beside the R line that made them."""

from __future__ import annotations

from typing import Final

from bridge.capsule import Call
from bridge.capsule.values import (
    ArrayValue,
    Class,
    Closure,
    Descriptor,
    Generator,
    Items,
    Method,
    ObjectValue,
    Opaque,
    Pairs,
    Scalar,
    Slice,
    Symbol,
    Value,
)

_BRACKETS: Final = {"list": ("[", "]"), "tuple": ("(", ")"), "set": ("{", "}")}
_MAX_ITEMS: Final = 8


def spell_call(call: Call) -> str:
    """Return one recorded crossing as a line of Python."""
    target = spell(call.target)
    if call.kind == "getattr":
        return f"{target}.{call.name}"
    if call.kind == "setattr":
        return f"{target}.{call.name} = {spell(call.result)}"
    if call.kind in ("getitem", "setitem"):
        return f"{target}[{call.name}]"
    parts = [spell(value) for value in call.args]
    parts += [f"{key}={spell(value)}" for key, value in call.kwargs.items()]
    raised = f"  # raises {call.error.cls}" if call.error else ""
    return f"{target}({', '.join(parts)}){raised}"


def spell(value: Value | None) -> str:
    """Return a recorded value as Python, large ones in short."""
    match value:
        case None:
            return "None"
        case Scalar():
            return _scalar(value)
        case Items():
            inner = [spell(item) for item in value.items[:_MAX_ITEMS]]
            inner += ["..."] if len(value.items) > _MAX_ITEMS else []
            comma = "," if value.t == "tuple" and len(value.items) == 1 else ""
            left, right = _BRACKETS[value.t]
            return f"{left}{', '.join(inner)}{comma}{right}"
        case Pairs():
            inner = [f"{spell(key)}: {spell(item)}" for key, item in value.items[:_MAX_ITEMS]]
            inner += ["..."] if len(value.items) > _MAX_ITEMS else []
            return "{" + ", ".join(inner) + "}"
        case ArrayValue():
            kind = {"array": "array", "tensor": "tensor", "variable": "Variable"}[value.t]
            order = ", order='F'" if value.order == "F" else ""
            return f"<{kind} {value.dtype} {_shape(value.shape)}{order}>"
        case ObjectValue():
            return f"{value.cls.rpartition(':')[2].rpartition('.')[2].lower()}_{value.id}"
        case Symbol():
            return value.public or value.path.replace(":", ".")
        case Method():
            return f"{spell(value.owner)}.{value.name}"
        case Closure():
            return f"<R function {value.name}>".replace(" >", ">")
        case Class():
            return value.name
        case Descriptor():
            return f"<{value.kind}>"
        case Generator():
            return f"<generator of {spell(value.source)}>"
        case Slice():
            return f"slice({spell(value.start)}, {spell(value.stop)}, {spell(value.step)})"
        case Opaque():
            return f"<{value.text}>"


def _scalar(value: Scalar) -> str:
    if value.t == "none":
        return "None"
    if value.t == "str":
        return repr(value.v if len(value.v) <= 80 else f"{value.v[:77]}...")
    if value.t == "bytes":
        return f"bytes of length {len(value.v) // 2}"
    return "..." if value.t == "ellipsis" else value.v


def _shape(shape: tuple[int, ...]) -> str:
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"
