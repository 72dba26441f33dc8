"""How two settings of a layer differ that should be equal, and who made them differ.

Three things are set against each other: what the layer has, what was meant, and what the call that
made the layer was given. Only where a call was recorded can an argument that got lost be told from
one that the script never gave.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from bridge.capsule import Call, Capsule, LayerState
from bridge.capsule.values import Items, Scalar, Symbol, Value
from bridge.explain.result import Confidence
from bridge.facts.keras import Generation
from bridge.facts.layers import class_name, default_of

#: Settings that count axes or places, from 0 in Python and from 1 in R.
_COUNTED: Final = re.compile(r"(axis|axes|dim|index|position)")
_UNKNOWN: Final = object()


@dataclass(frozen=True)
class SettingCause:
    """What a setting says: the cause, "" where it says none, how sure, and in words."""

    cause: str
    confidence: Confidence
    sentence: str


@dataclass(frozen=True)
class Making:
    """The call that made a layer: the arguments that it was given, and R's words for it."""

    given: Mapping[str, object]
    written: str

    def names(self, key: str) -> bool | None:
        """Say whether the script itself wrote the argument; None where that cannot be told.

        R matches arguments by the beginnings of their names, and by their places.
        """
        arguments = _arguments(self.written)
        if arguments is None:
            return None
        named = [name for name in arguments if name]
        if any(key.startswith(name) for name in named):
            return True
        # The first unnamed one is what the layer is added to.
        return None if arguments.count("") > 1 or "..." in self.written else False


def _arguments(written: str) -> list[str] | None:
    """Return the names of a call's arguments, "" for those without one; None if it is no call."""
    match = re.fullmatch(r"\s*[\w.:]+\((.*)\)\s*", written, re.DOTALL)
    if match is None or match[0].lstrip().startswith("do.call"):
        return None
    parts, depth, quote = [""], 0, ""
    for sign in match[1]:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'`":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += sign
    if depth or quote:
        return None
    names = (re.match(r"\s*([\w.]+)\s*=(?!=)", part) for part in parts if part.strip())
    return [found[1] if found else "" for found in names]


def read_setting(
    cls: str,
    key: str,
    has: JsonValue,
    meant: JsonValue,
    making: Making | None,
    generation: Generation = 0,
) -> SettingCause:
    """Say how a setting of a layer came to be ``has`` where ``meant`` was meant."""
    (default,) = default_of(generation, class_name(cls) or "", key) or (_UNKNOWN,)
    is_default = default is not _UNKNOWN and _same(has, default)
    given = making.given.get(key, _UNKNOWN) if making is not None else _UNKNOWN
    how = _how(key, has, meant)
    if making is not None and given is not _UNKNOWN and _same(given, meant):
        # What was meant was given, and something else is there.
        if how is not None:
            return SettingCause(how[0], "likely", f"{key} was given as {meant!r}: {how[1]}")
        if is_default:
            sentence = (
                f"{key} was given as {meant!r} and never arrived: Keras' default {has!r} holds"
            )
            return SettingCause("r-conversion", "likely", sentence)
        return SettingCause("", "", f"{key} was given as {meant!r}, and it is {has!r}")
    if making is not None and given is not _UNKNOWN and _same(given, has):
        if making.names(key) is False:
            sentence = f"the script gives no {key}; the R package sends {has!r}"
            return SettingCause("r-default", "likely", sentence)
        if how is not None:
            return SettingCause(how[0], "possible", f"{key} reached Python as {has!r}: {how[1]}")
        if making.names(key):
            sentence = f"the script itself asks for {key} = {has!r}, where {meant!r} was meant"
            return SettingCause("user-script", "likely", sentence)
        return SettingCause("", "", f"{key} reached Python as {has!r}")
    if making is not None and given is _UNKNOWN and making.names(key):
        sentence = f"the script gives {key}, and it never reached Python"
        return SettingCause("r-conversion", "likely", sentence)
    return _unseen(key, has, meant, default, making, how)


def _unseen(
    key: str,
    has: JsonValue,
    meant: JsonValue,
    default: object,
    making: Making | None,
    how: tuple[str, str] | None,
) -> SettingCause:
    """Read a setting that no recorded call was given."""
    known = default is not _UNKNOWN
    if known and _same(meant, default):
        if making is not None and making.names(key) is None:
            return SettingCause("", "", f"{key} is {has!r} for {meant!r}")
        sentence = f"{key} is {has!r}, which nobody asked for: Keras' default is {meant!r}"
        if how is not None and how[0] != "r-default":
            return SettingCause("", "", f"{sentence}; or {how[1]}")
        return SettingCause("r-default", "likely" if making is not None else "possible", sentence)
    if how is not None:
        return SettingCause(how[0], "possible", f"{key} is {has!r} for {meant!r}: {how[1]}")
    if known and _same(has, default):
        if making is not None and making.names(key) is False:
            sentence = f"the script does not give {key}, so that Keras' default {has!r} holds"
            return SettingCause("user-script", "likely", sentence)
        if making is not None:
            return SettingCause("", "", f"{key} is Keras' default {has!r} for {meant!r}")
        sentence = f"{key} {meant!r} did not arrive: Keras' default {has!r} holds"
        return SettingCause("r-conversion", "possible", sentence)
    return SettingCause("", "", f"{key} is {has!r} for {meant!r}")


def _how(key: str, has: JsonValue, meant: JsonValue) -> tuple[str, str] | None:
    """Return the cause that the two values speak for, and in words; None if they speak for none."""
    one, other = _number(has), _number(meant)
    if isinstance(meant, list) and isinstance(has, list):
        if has == [each for each in meant if each is not None] != meant:
            return "r-conversion", "NULL was dropped from the list"
        if len(has) == len(meant) and _COUNTED.search(key):
            steps = {_step(x, y) for x, y in zip(has, meant, strict=True)}
            if steps == {1.0}:
                return "r-index-base", "it is counted from 1, where Python counts from 0"
        return None
    if isinstance(meant, list) and len(meant) == 1 and _same(meant[0], has):
        return "r-conversion", "a list of one became a single value"
    if isinstance(has, list) and len(has) == 1 and _same(has[0], meant):
        return "r-conversion", "a single value became a list of one"
    if one is None or other is None:
        return None
    if one == other:
        return "r-conversion", "a whole number is a float" if type(has) is not type(meant) else ""
    if _COUNTED.search(key) and one - other == 1.0 and other >= 0:
        return "r-index-base", "it is counted from 1, where Python counts from 0"
    if other != math.trunc(other) and one == math.trunc(other):
        return "r-conversion", "the fraction was cut off"
    return None


def _step(x: JsonValue, y: JsonValue) -> float | None:
    one, other = _number(x), _number(y)
    return None if one is None or other is None else one - other


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _same(a: object, b: object) -> bool:
    if isinstance(a, (list, tuple)) and not isinstance(b, (list, tuple)):
        return bool(a) and all(_same(each, b) for each in a)
    if isinstance(b, (list, tuple)) and not isinstance(a, (list, tuple)):
        return _same(b, a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    one, other = _number(a), _number(b)
    if one is not None and other is not None:
        return one == other
    return type(a) is type(b) and a == b


def making_of(capsule: Capsule, layer: LayerState) -> Making | None:
    """Return the call that made a layer, None if none can be told to be it."""
    name = class_name(layer.cls) or layer.cls
    calls = [
        call for call in capsule.manifest.calls
        if call.kind == "call" and not call.internal and call.error is None
        and isinstance(call.target, Symbol) and _leaf(call.target) == name
    ]  # fmt: skip
    named = [call for call in calls if _plain(call.kwargs.get("name")) == layer.name]
    if len(named) == 1:
        return _making(named[0])
    auto = [call for call in calls if _plain(call.kwargs.get("name")) in (None, _UNKNOWN)]
    made = sorted({
        each.name for state in capsule.manifest.states for each in state.layers
        if (class_name(each.cls) or each.cls) == name
    } - {str(_plain(call.kwargs.get("name"))) for call in calls}, key=_serial)  # fmt: skip
    if layer.name in made and len(made) == len(auto):
        return _making(auto[made.index(layer.name)])
    return None


def _serial(name: str) -> tuple[int, str]:
    """Return the number that Keras gave a layer, in the order in which layers were made."""
    stem, _, number = name.rpartition("_")
    return (int(number), stem) if stem and number.isdigit() else (0, name)


def _leaf(symbol: Symbol) -> str:
    return (symbol.public or symbol.path).rpartition(".")[2].rpartition(":")[2]


def _making(call: Call) -> Making:
    return Making({key: _plain(value) for key, value in call.kwargs.items()}, call.r_call)


def _plain(value: Value | None) -> object:
    """Return what a recorded argument says, as Python has it."""
    if isinstance(value, Items):
        return [_plain(each) for each in value.items]
    if not isinstance(value, Scalar):
        return _UNKNOWN
    if value.t == "none":
        return None
    if value.t == "bool":
        return value.v == "True"
    try:
        return (
            int(value.v) if value.t == "int" else float(value.v) if value.t == "float" else value.v
        )
    except ValueError:
        return _UNKNOWN
