"""The calls of a model's layers, read from its configuration.

A layer may be called several times, with its inputs in any order, one of them twice, and with
arguments. Both generations of Keras write that down, each in its own way: Keras 2 as lists
``[layer, call, output, arguments]``, Keras 3 as the arguments of each call with ``keras_history``
in the place of tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

#: How Keras 2 writes an element of the first argument that is not a tensor of the model.
_CONSTANT: Final = "_CONSTANT_VALUE"


@dataclass(frozen=True)
class Feed:
    """A tensor of a model: the layer that makes it, in which call of the layer, as which output."""

    layer: str
    node: int = 0
    tensor: int = 0


@dataclass(frozen=True)
class LayerCall:
    """A call of a layer: what it is fed, in order, and its arguments that are not its input.

    In ``arguments`` the value ``{"input": 1}`` stands for an entry of ``feeds``. Arguments that say
    what holds anyhow (nothing, or that the model is not trained) are left out.
    """

    layer: str
    node: int
    feeds: tuple[Feed, ...]
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)


def recorded_calls(config: JsonValue) -> tuple[LayerCall, ...] | None:
    """Return the calls that a functional model's configuration tells of, layer by layer.

    None is returned where it tells of none, or in a way that is not known.
    """
    entries = _entries(config)
    if entries is None:
        return None
    reader = _Reader(entries)
    try:
        found = tuple(reader.calls())
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return found or None


def references(config: JsonValue, key: str) -> tuple[tuple[str, Feed], ...]:
    """Read ``input_layers`` or ``output_layers``: a feed, or a list or dict of feeds.

    Each feed comes with where it stands (``[0]``, ``['a']``, or nothing where it is the only one),
    in the order in which Keras flattens them: dicts by their sorted keys.
    """
    found = config.get(key) if isinstance(config, dict) else None
    reader = _Reader(_entries(config) or {})
    try:
        return tuple(reader.references(found, ""))
    except RecursionError:
        return ()


def _entries(config: JsonValue) -> dict[str, Mapping[str, JsonValue]] | None:
    """Return the layers of a configuration by name."""
    layers = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or not layers:
        return None
    found: dict[str, Mapping[str, JsonValue]] = {}
    for layer in layers:
        name = layer.get("name") if isinstance(layer, dict) else None
        if not isinstance(layer, dict) or not isinstance(name, str) or name in found:
            return None
        found[name] = layer
    return found


class _Reader:
    """Reads the calls of one configuration."""

    def __init__(self, entries: Mapping[str, Mapping[str, JsonValue]]) -> None:
        self._entries = entries
        nodes = [node for entry in entries.values() for node in _nodes(entry)]
        self._third = any(isinstance(node, dict) and "args" in node for node in nodes)
        nested = {name for name, entry in entries.items() if _is_model(entry)}
        # A model has a first call of its own, before it is used as a layer. Keras 2 counts it;
        # Keras 3 counts it in a model's outputs only, and not for a Sequential.
        self._counted_in_calls = set() if self._third else nested
        self._counted_in_outputs = {
            name
            for name in nested
            if not self._third or entries[name].get("class_name") != "Sequential"
        }

    def calls(self) -> Iterator[LayerCall]:
        for name, entry in self._entries.items():
            for number, node in enumerate(_nodes(entry)):
                feeds: list[Feed] = []
                arguments: dict[str, JsonValue] = {}
                if isinstance(node, dict) and "args" in node:
                    self._third_node(node, feeds, arguments)
                else:
                    self._second_node(node, feeds, arguments)
                yield LayerCall(name, number, tuple(feeds), _meant(arguments))

    def references(self, item: JsonValue, place: str) -> Iterator[tuple[str, Feed]]:
        if isinstance(item, dict):
            for key in sorted(item):
                yield from self.references(item[key], f"{place}[{key!r}]")
        elif isinstance(item, list):
            feed = self._feed(item, self._counted_in_outputs)
            if feed is not None:
                yield place, feed
            else:
                for number, each in enumerate(item):
                    yield from self.references(each, f"{place}[{number}]")

    def _second_node(
        self, node: JsonValue, feeds: list[Feed], arguments: dict[str, JsonValue]
    ) -> None:
        given: dict[str, JsonValue] = {}
        self._second_input(node, feeds, arguments, given)
        for name, value in given.items():
            arguments[name] = self._argument(value, feeds)

    def _second_input(
        self,
        item: JsonValue,
        feeds: list[Feed],
        arguments: dict[str, JsonValue],
        given: dict[str, JsonValue],
    ) -> None:
        if isinstance(item, dict):
            item = [item[key] for key in sorted(item)]
        if not isinstance(item, list):
            raise ValueError("not a call of a layer")
        feed = self._feed(item[:3], self._counted_in_calls)
        if feed is not None or (item and item[0] == _CONSTANT):
            if feed is not None:
                feeds.append(feed)
            else:
                arguments[f"constant {len(arguments)}"] = item[2] if len(item) > 2 else None
            if len(item) > 3 and isinstance(item[3], dict):
                given.update(item[3])
            return
        for each in item:
            self._second_input(each, feeds, arguments, given)

    def _third_node(
        self,
        node: Mapping[str, JsonValue],
        feeds: list[Feed],
        arguments: dict[str, JsonValue],
    ) -> None:
        args, kwargs = node["args"], node.get("kwargs") or {}
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ValueError("not a call of a layer")
        for place, value in enumerate(args):
            found = self._argument(value, feeds)
            if place or _has_constant(found):
                arguments[f"argument {place}"] = found
        for name in sorted(kwargs):
            arguments[name] = self._argument(kwargs[name], feeds)

    def _argument(self, item: JsonValue, feeds: list[Feed]) -> JsonValue:
        """Add the tensors of an argument to ``feeds``; return it with their numbers instead."""
        feed = self._feed(item, self._counted_in_calls)
        if isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            config = item.get("config")
            history = config.get("keras_history") if isinstance(config, dict) else None
            feed = self._feed(history, self._counted_in_calls)
            if feed is None:
                raise ValueError("a tensor without a history")
        if feed is not None:
            feeds.append(feed)
            return {"input": len(feeds) - 1}
        if isinstance(item, dict):
            return {key: self._argument(item[key], feeds) for key in sorted(item)}
        if isinstance(item, list):
            return [self._argument(each, feeds) for each in item]
        return item

    def _feed(self, item: JsonValue, counted: set[str]) -> Feed | None:
        if not isinstance(item, list) or len(item) != 3:
            return None
        name, node, tensor = item
        if not isinstance(name, str) or type(node) is not int or type(tensor) is not int:
            return None
        if self._entries and name not in self._entries:
            return None
        return Feed(name, max(0, node - (name in counted)), tensor)


def _nodes(entry: Mapping[str, JsonValue]) -> Sequence[JsonValue]:
    nodes = entry.get("inbound_nodes")
    return nodes if isinstance(nodes, list) else ()


def _is_model(entry: Mapping[str, JsonValue]) -> bool:
    config = entry.get("config")
    return isinstance(config, dict) and isinstance(config.get("layers"), list)


def _has_constant(item: JsonValue) -> bool:
    """Say whether the input of a layer has parts that are not tensors of the model."""
    if isinstance(item, dict):
        return set(item) != {"input"} and any(_has_constant(each) for each in item.values())
    if isinstance(item, list):
        return any(_has_constant(each) for each in item)
    return item is not None


def _meant(arguments: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        name: value
        for name, value in arguments.items()
        if value is not None and not (name == "training" and value is False)
    }
