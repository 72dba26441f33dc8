"""How the layers of a model are called, as far as a probe can call them again."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.capsule import ModelState
from bridge.facts.layers import class_name
from bridge.rounding.layer_graph import LayerCall, calls, in_order, input_names, is_sequential

#: The name of a Sequential's only input, which has no layer in its list of layers.
INPUT = ""


@dataclass(frozen=True)
class Node:
    """One layer as it is called: what it is given, in order, or why it cannot be called alone."""

    name: str
    feeds: tuple[str, ...]
    why: str = ""


def nodes_of(state: ModelState) -> dict[str, Node]:
    """Return the nodes of a model but its inputs, each after those that feed it.

    Raises:
        WiringError: the record does not say how the layers are called.
    """
    inputs = {layer.name for layer in state.layers if class_name(layer.cls) == "InputLayer"}
    found: dict[str, Node] = {}
    for call in calls(state):
        if call.layer in inputs:
            continue
        feeds = [INPUT if is_sequential(state) and feed.layer in inputs else feed.layer
                 for feed in call.feeds]  # fmt: skip
        if call.layer in found:
            found[call.layer] = Node(call.layer, (), "it is called more than once")
        else:
            found[call.layer] = Node(call.layer, tuple(feeds), _why_not(call))
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
