"""How a recorded model's layers hang together, and which calls of them it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Capsule, LayerState, ModelState, Probe
from bridge.errors import BridgeError
from bridge.facts.layers import class_name
from bridge.rounding.rules import Evaluation, Layer, UnsupportedError, evaluate, layer_of
from bridge.rounding.rules.rounding import FLOAT32

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
                for number, part in enumerate(item):
                    yield from self.references(part, f"{place}[{number}]")

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
        for part in item:
            self._second_input(part, feeds, arguments, given)

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
            return [self._argument(part, feeds) for part in item]
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
        return set(item) != {"input"} and any(_has_constant(part) for part in item.values())
    if isinstance(item, list):
        return any(_has_constant(part) for part in item)
    return item is not None


def _meant(arguments: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {
        name: value
        for name, value in arguments.items()
        if value is not None and not (name == "training" and value is False)
    }


# How the layers of a recorded model hang together, and what shape its inputs take inside.

Shape = tuple[int | None, ...]


class WiringError(BridgeError, ValueError):
    """The record does not say how the layers are connected; the message says what is missing."""


def is_sequential(state: ModelState) -> bool:
    """Say whether every layer is fed by the one before it."""
    return class_name(state.cls) == "Sequential"


def input_shapes(state: ModelState) -> tuple[Shape, ...]:
    """Return the shapes that the model's inputs declare, in the order in which they are fed.

    The first entry of each is the batch axis. Nothing is returned where they are not recorded.
    """
    declared = {layer.name: _declared(layer.config) for layer in state.layers if _is_input(layer)}
    named = [shape for name in input_names(state) if (shape := declared.get(name)) is not None]
    # A Sequential keeps its input layer out of its list of layers, but in its configuration.
    inner = (shape for shape in _in_config(state.config) if shape is not None)
    return tuple(named) or tuple(islice(inner, 1))


def input_names(state: ModelState) -> tuple[str, ...]:
    """Return the names of the model's input layers, in the order in which they are fed."""
    ordered = tuple(feed.layer for _, feed in references(state.config, "input_layers"))
    return ordered or tuple(layer.name for layer in state.layers if _is_input(layer))


def output_names(state: ModelState) -> tuple[str, ...]:
    """Return the names of the layers whose outputs are the model's."""
    return tuple(feed.layer for feed in output_feeds(state))


def output_feeds(state: ModelState) -> tuple[Feed, ...]:
    """Return the model's outputs, in the order in which Keras flattens them."""
    if not state.layers:
        return ()
    if is_sequential(state):
        return (Feed(state.layers[-1].name),)
    ordered = tuple(feed for _, feed in references(state.config, "output_layers"))
    if ordered:
        return ordered
    used = {name for layer in state.layers for name in layer.inbound}
    return tuple(Feed(layer.name) for layer in state.layers if layer.name not in used)


def outputs_of(state: ModelState, names: Sequence[str]) -> tuple[Feed, ...] | None:
    """Return what makes each of a probe's outputs, given by its name: ``y``, ``y[0]``, ``y['a']``.

    What a model that is used as a layer makes, a layer within it makes, named by its path. None is
    returned where it was not recorded.
    """
    named = {f"y{place}": feed for place, feed in references(state.config, "output_layers")}
    if all(name in named for name in names):
        found = tuple(named[name] for name in names)
    else:
        found = output_feeds(state)
        # A dict of outputs is not in the order of its keys; a lone one may stand in a list or not.
        by_key = any("'" in name or '"' in name for name in (*names, *named))
        if len(found) != len(names) or (len(names) > 1 and by_key):
            return None
    return tuple(_innermost(state.layers, feed) for feed in found)


def _innermost(layers: Sequence[LayerState], feed: Feed) -> Feed:
    """Return what makes a tensor, within models that are used as layers."""
    outer = next((layer for layer in layers if layer.name == feed.layer), None)
    if outer is None or not outer.layers:
        return feed
    ends = [inner for _, inner in references(outer.config, "output_layers")]
    if class_name(outer.cls) == "Sequential":
        ends = [Feed(outer.layers[-1].name)]
    if feed.tensor >= len(ends):
        return feed
    inner = ends[feed.tensor]
    inner_calls = recorded_calls(outer.config) or ()
    times = sum(call.layer == inner.layer for call in inner_calls) or 1
    within = _innermost(
        outer.layers, Feed(inner.layer, feed.node * times + inner.node, inner.tensor)
    )
    return Feed(f"{outer.name}/{within.layer}", within.node, within.tensor)


def find_layer(layers: Sequence[LayerState], path: str) -> LayerState | None:
    """Return the layer of that name, or of a path into models that are used as layers.

    None is returned where there is none, or more than one.
    """
    found = [layer for layer in layers if layer.name == path]
    for layer in layers:
        if layer.layers and path.startswith(f"{layer.name}/"):
            inner = find_layer(layer.layers, path[len(layer.name) + 1 :])
            found += [inner] if inner is not None else []
    return found[0] if len(found) == 1 else None


def find_operation(config: JsonValue, name: str) -> LayerState | None:
    """Return an operation of Keras 3 by its name.

    It is called like a layer, but is none: the model's configuration alone tells of it.
    """
    layers = config.get("layers") if isinstance(config, dict) else None
    for entry in layers if isinstance(layers, list) else ():
        if not isinstance(entry, dict) or entry.get("name") != name:
            continue
        module, cls, inner = entry.get("module"), entry.get("class_name"), entry.get("config")
        known = isinstance(module, str) and module.startswith(("keras.src.ops.", "keras.ops"))
        if known and isinstance(cls, str):
            settings = dict(inner) if isinstance(inner, dict) else {}
            return LayerState(name=name, cls=f"keras.ops.{cls}", config=settings)
    return None


def calls(state: ModelState) -> tuple[LayerCall, ...]:
    """Return the calls of the model's layers, those of one layer in order.

    Where the configuration does not tell of them, each layer is taken to be called once, by those
    that feed it; what feeds the first layer of a Sequential has the name "".

    Raises:
        WiringError: what feeds a layer was not recorded.
    """
    names = {layer.name for layer in state.layers}
    if len(names) < len(state.layers):
        raise WiringError("two layers of the model have the same name")
    if is_sequential(state):
        if any(_is_input(layer) for layer in state.layers[1:]):
            raise WiringError("an input stands between the layers of a Sequential")
        before = ["", *(layer.name for layer in state.layers)]
        return tuple(
            LayerCall(layer.name, 0, (Feed(fed),))
            for layer, fed in zip(state.layers, before, strict=False)
        )
    found = recorded_calls(state.config) or tuple(
        LayerCall(layer.name, 0, tuple(Feed(name) for name in layer.inbound))
        for layer in state.layers
        if not _is_input(layer)
    )
    called = {call.layer for call in found}
    for call in found:
        if call.layer in names and not names.issuperset(feed.layer for feed in call.feeds):
            raise WiringError(f"what feeds layer {call.layer!r} was not recorded")
    for layer in state.layers:
        if not _is_input(layer) and not (layer.name in called and _is_fed(layer.name, found)):
            raise WiringError(f"what feeds layer {layer.name!r} was not recorded")
    return found


def conform(x: AnyArray, shape: Shape | None) -> AnyArray:
    """Give ``x`` the rank that an input declares, as Keras does: by axes of length one at the end.

    What does not fit that way is returned as it is.
    """
    if shape is None:
        return x
    if x.ndim < len(shape) and all(part == 1 for part in shape[x.ndim :]):
        return x.reshape(x.shape + (1,) * (len(shape) - x.ndim))
    if x.ndim > len(shape) and all(part == 1 for part in x.shape[len(shape) :]):
        return x.reshape(x.shape[: len(shape)])
    return x


def feeds(state: ModelState) -> dict[str, tuple[str, ...]]:
    """Return, for each layer, the layers that feed it; nothing for those fed by the model's input.

    Raises:
        WiringError: it was not recorded, or it is more than names can say.
    """
    found: dict[str, tuple[str, ...]] = {
        layer.name: () for layer in state.layers if _is_input(layer) and not is_sequential(state)
    }
    for call in calls(state):
        if call.layer in found:
            raise WiringError(f"layer {call.layer!r} is called more than once")
        if call.arguments:
            named = ", ".join(call.arguments)
            raise WiringError(f"layer {call.layer!r} is called with arguments: {named}")
        part = next((feed for feed in call.feeds if feed.node or feed.tensor), None)
        if part is not None:
            raise WiringError(f"layer {call.layer!r} is fed one of the outputs of {part.layer!r}")
        found[call.layer] = tuple(feed.layer for feed in call.feeds if feed.layer)
    return {layer.name: found[layer.name] for layer in state.layers}


def fed_inputs(state: ModelState, probe: Probe, arrays: Mapping[str, AnyArray]) -> list[AnyArray]:
    """Return the probe's inputs in the order of the model's, each with the rank it has inside.

    ``arrays`` holds the elements by the name of the input.
    """
    names = [ref.name for ref in probe.inputs]
    places = references(state.config, "input_layers")
    # Keras takes a dict by the keys that the model was made with, or by the names of its inputs.
    by_place = {f"x{place}": number for number, (place, _) in enumerate(places)}
    by_name = {f"x[{name!r}]": number for number, name in enumerate(input_names(state))}
    for known in (by_place, by_name):
        if names and all(name in known for name in names):
            names.sort(key=lambda name: known[name])
            break
    shapes = input_shapes(state)
    padded = (*shapes, *(None,) * max(0, len(names) - len(shapes)))
    return [conform(arrays[name], shape) for name, shape in zip(names, padded, strict=False)]


def in_order(fed_by: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the layers so that each comes after those that feed it.

    Raises:
        WiringError: they feed one another in a circle.
    """
    waiting, done = list(fed_by), set[str]()
    while waiting:
        ready = [name for name in waiting if done.issuperset(fed_by[name])]
        if not ready:
            raise WiringError(f"layer {waiting[0]!r} feeds itself")
        yield from ready
        done.update(ready)
        waiting = [name for name in waiting if name not in done]


def _is_fed(name: str, found: Sequence[LayerCall]) -> bool:
    return all(call.feeds for call in found if call.layer == name)


def _is_input(layer: LayerState) -> bool:
    return class_name(layer.cls) == "InputLayer"


def _declared(config: Mapping[str, JsonValue]) -> Shape | None:
    for key in ("batch_shape", "batch_input_shape"):
        found = config.get(key)
        if isinstance(found, list) and all(
            part is None or (isinstance(part, int) and part >= 0) for part in found
        ):
            return tuple(part if isinstance(part, int) else None for part in found)
    return None


def _in_config(config: JsonValue) -> Iterator[Shape | None]:
    layers = config.get("layers") if isinstance(config, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        inner = layer.get("config") if isinstance(layer, dict) else None
        if isinstance(inner, dict):
            yield _declared(inner)
    if isinstance(config, dict):
        build = config.get("build_input_shape")
        yield _declared({"batch_shape": build})


# Layers as they are called, as far as a probe can call them again.

#: The name of a Sequential's only input, which has no layer in its list of layers.
INPUT = ""


@dataclass(frozen=True)
class LayerNode:
    """One layer as it is called: what it is given, in order, or why it cannot be called alone."""

    name: str
    feeds: tuple[str, ...]
    why: str = ""


def nodes_of(state: ModelState) -> dict[str, LayerNode]:
    """Return the nodes of a model but its inputs, each after those that feed it.

    Raises:
        WiringError: the record does not say how the layers are called.
    """
    inputs = {layer.name for layer in state.layers if class_name(layer.cls) == "InputLayer"}
    found: dict[str, LayerNode] = {}
    for call in calls(state):
        if call.layer in inputs:
            continue
        feeds = [INPUT if is_sequential(state) and feed.layer in inputs else feed.layer
                 for feed in call.feeds]  # fmt: skip
        if call.layer in found:
            found[call.layer] = LayerNode(call.layer, (), "it is called more than once")
        else:
            found[call.layer] = LayerNode(call.layer, tuple(feeds), _why_not(call))
    fed_by = {name: tuple(feed for feed in node.feeds if feed in found)
              for name, node in found.items()}  # fmt: skip
    return {name: found[name] for name in in_order(fed_by)}


def inputs_of(state: ModelState) -> tuple[str, ...]:
    """Return the names of the model's inputs, in the order in which they are fed."""
    return (INPUT,) if is_sequential(state) else input_names(state)


def _why_not(call: LayerCall) -> str:
    if not call.feeds:
        return "how it is called cannot be read"
    if any(feed.node or feed.tensor for feed in call.feeds):
        return "it is given one of several outputs of a layer"
    if call.arguments:
        return f"it is called with the argument {next(iter(call.arguments))!r}"
    return ""


#: What is handed on of a layer's evaluation: its value, or something near it.
HandOn = Callable[[Evaluation], AnyArray]


def exactly(evaluation: Evaluation) -> AnyArray:
    """Hand on the value as it is."""
    return evaluation.value


class Network:
    """A recorded model with its weights read once, to be evaluated as often as one likes.

    Raises:
        WiringError: how the layers are connected was not recorded.
        CapsuleError: a weight was not recorded.
    """

    def __init__(self, capsule: Capsule, state: ModelState) -> None:
        self._state = state
        self._feeds = feeds(state)
        self._order = tuple(in_order(self._feeds))
        self._layers = {
            layer.name: layer_of(capsule, state, layer)
            for layer in state.layers
            if not _is_input(layer)
        }

    def run(self, inputs: Sequence[AnyArray], hand_on: HandOn = exactly) -> list[AnyArray]:
        """Evaluate the model on its inputs, given as the model received them.

        Doubles are cast to float32 first, as Keras casts them.

        Raises:
            UnsupportedError: a layer has no rule, or the inputs do not fit the model.
        """
        values = self._fed([FLOAT32.cast(x) if x.dtype.kind == "f" else x for x in inputs])
        for name in self._order:
            if name not in values:
                fed = self._feeds[name]
                given = [values[feed] for feed in fed] if fed else [values[""]]
                values[name] = hand_on(_evaluate(self._layers[name], given))
        names = output_names(self._state)
        lost = next((name for name in names if name not in values), None)
        if lost is not None:
            # An operation of Keras 3 is called like a layer, and recorded as its call alone.
            raise UnsupportedError(f"the model returns what {lost!r} makes, which is not a layer")
        return [values[name] for name in names]

    def _fed(self, inputs: Sequence[AnyArray]) -> dict[str, AnyArray]:
        """Return the inputs by the name of the input layer; "" is a Sequential's only one."""
        names = ("",) if is_sequential(self._state) else input_names(self._state)
        if len(names) != len(inputs):
            raise UnsupportedError(f"the model has {len(names)} inputs and was given {len(inputs)}")
        values: Mapping[str, AnyArray] = dict(zip(names, inputs, strict=True))
        first = [layer.name for layer in self._state.layers[:1] if _is_input(layer)]
        return {**values, **({first[0]: values[""]} if first and "" in values else {})}


def _evaluate(layer: Layer, given: Sequence[AnyArray]) -> Evaluation:
    try:
        evaluations = evaluate(layer, given, received=False)
    except UnsupportedError as error:
        raise UnsupportedError(f"layer {layer.name!r} cannot be evaluated: {error}") from None
    if len(evaluations) != 1:
        raise UnsupportedError(f"layer {layer.name!r} has {len(evaluations)} outputs")
    return evaluations[0]
