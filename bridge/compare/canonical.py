"""Models in a form in which they can be compared: what matters for the numbers, and nothing else.

Names that Keras makes up (``dense_12``), how a dtype policy or an activation is written, and how
the starting weights were drawn do not matter once the weights themselves are compared. What is
left out is still told apart where it differs, but decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge.capsule import LayerState, ModelState
from bridge.compare.rules import class_name, generation_of
from bridge.compare.rules.layer import as_number, policy_name
from bridge.compare.wiring import is_sequential

#: Names and what only says how Keras found or restores a layer.
_NAMES: Final = frozenset({"name", "registered_name", "build_config", "compile_config", "module"})
#: How weights were drawn and what only training uses; the weights themselves are compared.
_ORIGINS: Final = re.compile(r"(initializer|^seed$|^batch_input_shape$|^batch_shape$|^batch_size$)")
_SAME_WORD: Final = {"swish": "silu", "hard_swish": "hard_silu"}
#: Keras 2 and 3 name the same thing differently.
_RENAMED: Final = {"LeakyReLU": {"alpha": "negative_slope"}}

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Unlike:
    """A setting that differs: the layer's position, where in its configuration, both values."""

    position: int | None
    path: Path
    a: JsonValue
    b: JsonValue

    def spell(self, state: ModelState) -> str:
        """Return runnable code that leads to the setting in the first model."""
        if self.position is None:
            return "[layer.name for layer in model.layers]"
        if self.path == ("inbound",):
            return f"model.get_layer({layers_of(state)[self.position].name!r}).input"
        keys = "".join(f"[{key!r}]" for key in self.path)
        return f"model.get_layer({layers_of(state)[self.position].name!r}).get_config(){keys}"

    def tell(self) -> str:
        """Return both values in words."""
        return f"{_short(self.a)} against {_short(self.b)}"


def layers_of(state: ModelState) -> tuple[LayerState, ...]:
    """Return the layers but for input layers, which a model may have or not have written out."""
    return tuple(layer for layer in state.layers if class_name(layer.cls) != "InputLayer")


def compare_configs(a: ModelState, b: ModelState) -> tuple[list[Unlike], list[Unlike]]:
    """Return the settings that differ: those that decide, and those that do not."""
    deciding: list[Unlike] = []
    telling: list[Unlike] = []
    layers_a, layers_b = layers_of(a), layers_of(b)
    classes_a = [class_name(layer.cls) or layer.cls for layer in layers_a]
    classes_b = [class_name(layer.cls) or layer.cls for layer in layers_b]
    if classes_a != classes_b:
        return [Unlike(None, (), list(classes_a), list(classes_b))], []
    wired_a, wired_b = _wiring(a), _wiring(b)
    one_generation = _generation(a) == _generation(b)
    for position, (one, other) in enumerate(zip(layers_a, layers_b, strict=True)):
        if wired_a[position] != wired_b[position]:
            deciding.append(
                Unlike(position, ("inbound",), list(wired_a[position]), list(wired_b[position]))
            )
        for unlike in _compare(position, _renamed(one), _renamed(other), one_generation):
            key = str(unlike.path[0])
            absent = not one_generation and (unlike.a is None or unlike.b is None)
            (telling if _ORIGINS.search(key) or absent else deciding).append(unlike)
    return deciding, telling


def _compare(
    position: int, a: Mapping[str, JsonValue], b: Mapping[str, JsonValue], exact: bool
) -> list[Unlike]:
    found: list[Unlike] = []
    for key in dict.fromkeys((*a, *b)):
        if key in _NAMES:
            continue
        one, other = a.get(key), b.get(key)
        if key == "dtype":
            one, other = policy_name(one) or one, policy_name(other) or other
        else:
            one, other = _plain(one), _plain(other)
        if not _equal(one, other, exact):
            found.append(Unlike(position, (key,), one, other))
    return found


def _renamed(layer: LayerState) -> Mapping[str, JsonValue]:
    names = _RENAMED.get(class_name(layer.cls) or "", {})
    return {names.get(key, key): value for key, value in layer.config.items()}


def _plain(item: JsonValue) -> JsonValue:
    """Drop names, nothings and notation: an object of Keras' own is its class and its settings."""
    if isinstance(item, str):
        return _SAME_WORD.get(item, item)
    if isinstance(item, list):
        return [_plain(each) for each in item]
    if not isinstance(item, dict):
        return item
    if "class_name" not in item and isinstance(item.get("value"), list):
        return "a function of the script's own"
    if item.get("class_name") == "function":
        return _plain(item.get("config"))
    return {
        key: (policy_name(value) or _plain(value)) if key == "dtype" else _plain(value)
        for key, value in item.items()
        if key not in _NAMES and value is not None and not _ORIGINS.search(key)
    }


def _equal(a: JsonValue, b: JsonValue, exact: bool) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return all(_equal(a.get(key), b.get(key), exact) for key in {*a, *b})
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(
            _equal(one, other, exact) for one, other in zip(a, b, strict=True)
        )
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    one, other = as_number(a), as_number(b)
    if one is not None and other is not None:
        if exact:
            return one == other or (one != one and other != other)
        # One generation writes the float32 that it holds, the other the double it was given.
        with np.errstate(over="ignore"):
            return bool(np.float32(one) == np.float32(other))
    return a == b


def _wiring(state: ModelState) -> list[tuple[JsonValue, ...]]:
    """Return, for each layer, the positions of those that feed it; None for the model's input."""
    layers = layers_of(state)
    if is_sequential(state):
        return [(number - 1,) if number else (None,) for number in range(len(layers))]
    positions: dict[str, int] = {layer.name: number for number, layer in enumerate(layers)}
    return [tuple(positions.get(name) for name in layer.inbound) for layer in layers]


def _generation(state: ModelState) -> int:
    first = state.layers[0].config if state.layers else {}
    return generation_of(state.keras, first)


def _short(item: JsonValue) -> str:
    text = repr(item)
    return text if len(text) <= 120 else text[:117] + "..."
