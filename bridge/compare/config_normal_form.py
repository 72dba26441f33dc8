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
from bridge.facts.keras import NAMES_IN_KERAS_2, generation_of
from bridge.facts.layers import class_name
from bridge.rounding.layer_graph import (
    Feed,
    LayerCall,
    WiringError,
    calls,
    input_names,
    is_sequential,
    output_feeds,
    references,
)
from bridge.rounding.rules.layer import as_number, policy_name

#: Names and what only says how Keras found or restores a layer.
_NAMES: Final = frozenset({"name", "registered_name", "build_config", "compile_config", "module"})
#: How weights were drawn and what only training uses; the weights themselves are compared.
_ORIGINS: Final = re.compile(r"(initializer|^seed$|^batch_input_shape$|^batch_shape$|^batch_size$)")
_SAME_WORD: Final = {"swish": "silu", "hard_swish": "hard_silu"}

#: Classes of the script's own have other names in R than in Python, and say of their settings what
#: they like; what they compute is compared.
_OWN: Final = "a class of the script's own"

#: A call of a layer that is called several times is known by what it is fed, so many calls back.
_MOST_CALLS: Final = 4

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
            if self.path == ("outputs",):
                return "model.outputs"
            return "[layer.name for layer in model.layers]"
        layer = f"model.get_layer({layers_of(state)[self.position].name!r})"
        if self.path in (("inbound",), ("arguments",)):
            return f"{layer}.input"
        keys = "".join(f"[{key!r}]" for key in self.path)
        return f"{layer}.get_config(){keys}"

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
    classes_a = [class_name(layer.cls) or _OWN for layer in layers_a]
    classes_b = [class_name(layer.cls) or _OWN for layer in layers_b]
    if classes_a != classes_b:
        return [Unlike(None, (), list(classes_a), list(classes_b))], []
    one_generation = _generation(a) == _generation(b)
    by_name = _has_keys(a) and _has_keys(b)
    # One that has no configuration tells what feeds a layer, but not in which call.
    whole = _tells_calls(a) and _tells_calls(b)
    wired_a, wired_b = _Wiring(a, by_name, whole), _Wiring(b, by_name, whole)
    for position, (left, right) in enumerate(zip(layers_a, layers_b, strict=True)):
        deciding += wired_a.unlike(wired_b, position, one_generation)
        for unlike in _compare(position, _renamed(left), _renamed(right), one_generation):
            key = str(unlike.path[0])
            absent = not one_generation and (unlike.a is None or unlike.b is None)
            aside = absent or classes_a[position] == _OWN or _ORIGINS.search(key)
            (telling if aside else deciding).append(unlike)
    if None not in (wired_a.outputs, wired_b.outputs) and wired_a.outputs != wired_b.outputs:
        deciding.append(Unlike(None, ("outputs",), wired_a.outputs, wired_b.outputs))
    return deciding, telling


def _compare(
    position: int, a: Mapping[str, JsonValue], b: Mapping[str, JsonValue], exact: bool
) -> list[Unlike]:
    found: list[Unlike] = []
    for key in dict.fromkeys((*a, *b)):
        if key in _NAMES:
            continue
        left, right = a.get(key), b.get(key)
        if key == "dtype":
            left, right = policy_name(left) or left, policy_name(right) or right
        else:
            left, right = _plain(left), _plain(right)
        if not _equal(left, right, exact):
            found.append(Unlike(position, (key,), left, right))
    return found


def _renamed(layer: LayerState) -> Mapping[str, JsonValue]:
    in_keras_2 = NAMES_IN_KERAS_2.get(class_name(layer.cls) or "", {})
    names = {old: new for new, old in in_keras_2.items()}
    return {names.get(key, key): value for key, value in _numbered(layer.config).items()}


def _plain(item: JsonValue) -> JsonValue:
    """Drop names, nothings and notation: an object of Keras' own is its class and its settings."""
    if isinstance(item, str):
        return _SAME_WORD.get(item, item)
    if isinstance(item, list):
        return [_plain(part) for part in item]
    if not isinstance(item, dict):
        return item
    if "class_name" not in item and isinstance(item.get("value"), list):
        return "a function of the script's own"
    if item.get("class_name") == "function":
        return _plain(item.get("config"))
    item = _numbered(item)
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
            _equal(left, right, exact) for left, right in zip(a, b, strict=True)
        )
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    first, second = as_number(a), as_number(b)
    if first is not None and second is not None:
        if exact:
            return first == second or (first != first and second != second)
        # One generation writes the float32 that it holds, the other the double it was given.
        with np.errstate(over="ignore"):
            return bool(np.float32(first) == np.float32(second))
    return a == b


def _numbered(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Name the layers of a model that is used as a layer by their numbers."""
    layers = config.get("layers")
    if not isinstance(layers, list) or "output_layers" not in config:
        return config
    names = [layer.get("name") if isinstance(layer, dict) else None for layer in layers]
    numbers = {name: number for number, name in enumerate(names) if isinstance(name, str)}

    def renamed(item: JsonValue) -> JsonValue:
        if isinstance(item, dict):
            return {key: renamed(value) for key, value in item.items()}
        if not isinstance(item, list):
            return item
        if len(item) >= 3 and isinstance(item[0], str) and type(item[1]) is type(item[2]) is int:
            return [numbers.get(item[0], item[0]), *(renamed(part) for part in item[1:])]
        return [renamed(part) for part in item]

    wires = ("input_layers", "output_layers", "inbound_nodes")
    numbered = {key: renamed(value) if key in wires else value for key, value in config.items()}
    for key in ("input_layers", "output_layers"):
        ends = numbered.get(key)
        if isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list):
            # One tensor, and a list of one, are the same model.
            numbered[key] = ends[0]
    numbered["layers"] = [
        {key: renamed(value) if key in wires else value for key, value in layer.items()}
        if isinstance(layer, dict)
        else layer
        for layer in layers
    ]
    return numbered


def _has_keys(state: ModelState) -> bool:
    """Say whether a model takes its inputs as a dict."""
    found = references(state.config, "input_layers")
    return bool(found) and all(place.startswith("['") for place, _ in found)


class _Wiring:
    """How a model's layers are called, with positions in the place of names.

    Inputs are told by their number, or by their key where both models take a dict. The calls of a
    layer that is called several times are known by what they are fed, not by their order, in which
    a model may be written down in several ways. Unless ``whole``, they are not told apart.
    """

    def __init__(self, state: ModelState, by_name: bool, whole: bool) -> None:
        self._positions = {layer.name: number for number, layer in enumerate(layers_of(state))}
        fed = references(state.config, "input_layers") if by_name else ()
        self._inputs = {name: f"input {number}" for number, name in enumerate(input_names(state))}
        self._inputs |= {feed.layer: f"input {place}" for place, feed in fed}
        if is_sequential(state) or not self._inputs:
            self._inputs[""] = "input 0"
        self._calls: dict[str, list[LayerCall]] = {}
        for call in calls(state) if whole else _fed(state):
            self._calls.setdefault(call.layer, []).append(call)
        self._names = [layer.name for layer in layers_of(state)]
        known = is_sequential(state) or bool(references(state.config, "output_layers"))
        outputs: list[JsonValue] = [self._origin_of(feed) for feed in output_feeds(state)]
        self.outputs: JsonValue = outputs if known else None

    def unlike(self, other: _Wiring, position: int, arguments: bool) -> list[Unlike]:
        """Return what differs in how the layer at a position is called."""
        own, two = self._layer(position), other._layer(position)
        if own[0] != two[0]:
            return [Unlike(position, ("inbound",), own[0], two[0])]
        if arguments and own[1] != two[1]:
            return [Unlike(position, ("arguments",), own[1], two[1])]
        return []

    def _layer(self, position: int) -> tuple[JsonValue, JsonValue]:
        """Return what a layer is fed, and its arguments; a list of them for several calls."""
        found = self._calls.get(self._names[position], [])
        wired: list[tuple[list[JsonValue], JsonValue]] = [
            ([self._origin_of(feed) for feed in call.feeds], dict(call.arguments)) for call in found
        ]
        if len(wired) == 1:
            return wired[0][0], wired[0][1]
        wired.sort(key=repr)
        return [fed for fed, _ in wired], [given for _, given in wired]

    def _origin_of(self, feed: Feed, depth: int = 0) -> JsonValue:
        """Say where a tensor comes from: a layer's position, with the output and call if needed."""
        if feed.layer in self._inputs:
            return self._inputs[feed.layer]
        position: JsonValue = self._positions.get(feed.layer)
        found = self._calls.get(feed.layer, [])
        parts: list[JsonValue] = [position]
        if feed.tensor:
            parts.append(f"output {feed.tensor}")
        if len(found) > 1 and depth < _MOST_CALLS:
            call = next((call for call in found if call.node == feed.node), None)
            parts += [] if call is None else [self._origin_of(fed, depth + 1) for fed in call.feeds]
        return parts if len(parts) > 1 else position


def _tells_calls(state: ModelState) -> bool:
    """Say whether the calls of a model's layers were recorded one by one."""
    if not is_sequential(state) and state.config is None:
        return False
    try:
        calls(state)
    except WiringError:
        return False
    return True


def _fed(state: ModelState) -> tuple[LayerCall, ...]:
    """Return what feeds each layer, as if it were called once."""
    try:
        return calls(state.model_copy(update={"config": None}))
    except WiringError:
        return tuple(
            LayerCall(layer.name, 0, tuple(Feed(name) for name in layer.inbound))
            for layer in layers_of(state)
        )


def _generation(state: ModelState) -> int:
    first = state.layers[0].config if state.layers else {}
    return generation_of(state.keras, first)


def _short(item: JsonValue) -> str:
    if _is_code(item):
        return "the code of a function"
    text = repr(item)
    return text if len(text) <= 120 else text[:117] + "..."


def _is_code(item: JsonValue) -> bool:
    """Say whether Keras stored a function here: its code, marshalled and in base64."""
    if isinstance(item, dict):
        return item.get("class_name") == "__lambda__"
    first = item[0] if isinstance(item, list) and item else None
    # A code object's mark is 0xe3, its reference flag included.
    return isinstance(first, str) and first.startswith("4w") and first.endswith("\n")
