"""Keras models as data, for both generations: configuration, layers, weights, wiring."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.errors import BridgeError
from bridge.trace.encoder import (
    Data,
    Encoder,
    attribute,
    class_name,
    error_text,
    has_attribute,
    is_instance,
    public_path,
    to_numpy,
)

_MAX_CONFIG_DEPTH: Final = 40


class LookError(BridgeError, RuntimeError):
    """A recorded model cannot be built again or looked into; the message says why."""


def describe_model(model: Any, encoder: Encoder) -> Data:
    """Return :class:`bridge.capsule.ModelState` data; the weights go to the spool."""
    config, why = _config(model)
    return {
        "id": encoder.number(model),
        "cls": public_path(type(model)),
        "keras": type(model).__module__.partition(".")[0]
        if type(model).__module__.startswith(("keras", "tf_keras"))
        else generation_of(model),
        "name": str(getattr(model, "name", "")),
        "layers": _Layers(encoder).describe(model),
        "config": config,
        "why_no_config": why,
        "compiled": _compiled(model),
    }


def generation_of(model: Any) -> str:
    """Return the Keras package that a model's classes come from: ``tf_keras`` or ``keras``."""
    for base in type(model).__mro__:
        root: str = base.__module__.partition(".")[0]
        if root in ("tf_keras", "keras"):
            return root
    return ""


def wiring(model: Any) -> list[tuple[Any, tuple[str, ...]]]:
    """Return the layers in order, each with the names of the layers that feed it.

    A layer that feeds another twice is named twice; the calls of a layer come one after another.
    """
    feeds: dict[int, list[str]] = {}
    for layer, nodes in _calls_by_layer(model).values():
        found = (parent for node in nodes for parent in parents(node))
        feeds[id(layer)] = [feed.name for feed in found]
    return [(layer, tuple(feeds.get(id(layer), ()))) for layer in getattr(model, "layers", ())]


def nodes_in_order(model: Any) -> list[Any]:
    """Return the calls of a model's layers in the order in which the model makes them.

    Empty for a model that has no graph of its own: one of a class that a script wrote.
    """
    by_depth = getattr(functional(model), "_nodes_by_depth", None) or {}
    nodes = (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth])
    return [node for node in nodes if called(node) is not None and not node.is_input]


def called(node: Any) -> Any:
    """Return the layer, or in Keras 3 the operation, that a node calls."""
    return getattr(node, "layer", None) or getattr(node, "operation", None)


def parents(node: Any) -> list[Any]:
    """Return the layer that made each tensor that a node is fed, in order."""
    tensors = node.keras_inputs if hasattr(node, "keras_inputs") else node.input_tensors
    found = (tensor._keras_history[0] for tensor in tensors)
    return [layer for layer in found if layer is not None]


def call_numbers(model: Any) -> dict[int, int]:
    """Return, by the identity of each node, which call of its layer it is within the model."""
    return {
        id(node): number
        for _, nodes in _calls_by_layer(model).values()
        for number, node in enumerate(nodes)
    }


def is_graph(layer: Any) -> bool:
    """Say whether a layer is a model whose layers hang together as Keras knows."""
    return bool(nodes_in_order(layer)) if hasattr(layer, "layers") else False


def functional(model: Any) -> Any:
    """Return what holds a model's graph: in Keras 3 a Sequential keeps it in a Functional."""
    return getattr(model, "_functional", None) or model


def _calls_by_layer(model: Any) -> dict[int, tuple[Any, list[Any]]]:
    """Return, for each layer, its calls within the model in the order in which they were made."""
    found: dict[int, tuple[Any, list[Any]]] = {}
    for node in nodes_in_order(model):
        found.setdefault(id(called(node)), (called(node), []))[1].append(node)
    for layer, nodes in found.values():
        if len(nodes) > 1:
            order = {id(node): number for number, node in enumerate(layer._inbound_nodes)}
            nodes.sort(key=lambda node: order[id(node)])
    return found


class _Layers:
    """Describes the layers of a model; a weight is written once, wherever it occurs."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._weights: dict[int, Data] = {}

    def describe(self, model: Any) -> list[Data]:
        return [self._layer(layer, inbound) for layer, inbound in wiring(model)]

    def _layer(self, layer: Any, inbound: tuple[str, ...]) -> Data:
        config, _ = _config(layer)
        return {
            "name": layer.name,
            "cls": public_path(type(layer)),
            "id": self._encoder.number(layer),
            "shape": _output_shape(layer),
            "config": config if isinstance(config, dict) else {},
            "weights": [self._weight(layer, *weight) for weight in named_weights(layer)],
            "inbound": list(inbound),
        } | ({"layers": self.describe(layer)} if is_graph(layer) else {})

    def _weight(self, layer: Any, name: str, weight: Any) -> Data:
        if id(weight) not in self._weights:
            self._weights[id(weight)] = self._encoder.array(f"{layer.name}/{name}", weight)
        trainable = bool(getattr(weight, "trainable", True))
        return {"name": name, "array": self._weights[id(weight)], "trainable": trainable}


def named_weights(layer: Any) -> list[tuple[str, Any]]:
    """Return a layer's weights, each with a name that no other weight of the layer has.

    That is the last part of its path ("kernel"). Where a layer is made of others and two of them
    have a weight of the same name, it is the path from the layer on, for all of its weights
    ("forward_lstm/lstm_cell/kernel").
    """
    weights = list(getattr(layer, "weights", ()))
    paths = [_path_within(layer, weight) for weight in weights]
    names = [path[-1] for path in paths]
    if len(set(names)) < len(names):
        names = ["/".join(path) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{number}/{name}" for number, name in enumerate(names)]
    return list(zip(names, weights, strict=True))


def _path_within(layer: Any, weight: Any) -> list[str]:
    # Keras 2 names a weight "dense/kernel:0"; in Keras 3 that is its path, "dense/kernel".
    path = str(getattr(weight, "path", None) or weight.name).partition(":")[0].split("/")
    start = path.index(layer.name) + 1 if layer.name in path[:-1] else 0
    return path[start:]


def _output_shape(layer: Any) -> list[int | None] | None:
    """Return the shape of a layer's only output, None where it has none yet, or several."""
    try:
        return [None if size is None else int(size) for size in layer.output.shape]
    except Exception:  # a stranger's layer, one that was not called yet, or one with many outputs
        return None


def _config(item: Any) -> tuple[Any, str]:
    try:
        return plain(item.get_config()), ""
    except Exception as error:  # a stranger's get_config()
        return None, f"get_config() raised {class_name(error)}: {error_text(error)}"[:500]


def _compiled(model: Any) -> Any:
    try:
        if not getattr(model, "optimizer", None):
            return None
        return plain(model.get_compile_config())
    except Exception as error:  # a loss or metric of a stranger's describes itself
        return {"unreadable": f"{class_name(error)}: {error_text(error)}"[:500]}


def plain(item: Any, depth: int = 0) -> Any:
    """Return ``item`` as JSON: numbers, text, lists and dicts, the rest described in words."""
    try:
        return _plain(item, depth)
    except Exception:
        # A stranger's code may have run: what cannot be read does not cost what stands beside it.
        return f"<{class_name(item)}>"


def _plain(item: Any, depth: int) -> Any:
    if item is None or issubclass(type(item), (bool, int, str)):
        return item
    if issubclass(type(item), float):
        return item if json.dumps(item)[-1].isdigit() else repr(item)
    if depth > _MAX_CONFIG_DEPTH:
        return "..."
    if is_instance(item, dict):
        return {str(key): plain(value, depth + 1) for key, value in item.items()}
    if is_instance(item, (list, tuple, set)):
        return [plain(value, depth + 1) for value in item]
    if has_attribute(item, "shape") and has_attribute(item, "dtype"):
        return plain(to_numpy(item).tolist(), depth + 1)
    if has_attribute(item, "get_config"):
        config, _ = _config(item)
        return {"class_name": class_name(item), "config": config}
    name = attribute(item, "__name__")
    return str(name) if name else f"<{class_name(item)}>"


# What a model was fed, put together again.

_PART: Final = re.compile(r"\[((?:\d+)|(?:'(?:[^'\\]|\\.)*')|(?:\"(?:[^\"\\]|\\.)*\"))\]")

Path = tuple[int | str, ...]


def leaves(name: str, item: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays in lists and dicts, each with the name that says where it stands."""
    if isinstance(item, dict):
        for key, value in item.items():
            yield from leaves(f"{name}[{key!r}]", value)
    elif isinstance(item, (list, tuple)) and not all(isinstance(v, (int, float)) for v in item):
        for index, value in enumerate(item):
            yield from leaves(f"{name}[{index}]", value)
    elif item is not None:
        yield name, item


def path_of(name: str) -> Path | None:
    """Return where an array stood: ``x['a'][0]`` is ``("a", 0)``; None if it cannot be read."""
    rest = name[1:]
    found: list[int | str] = []
    while rest:
        match = _PART.match(rest)
        if match is None:
            return None
        found.append(ast.literal_eval(match[1]))
        rest = rest[match.end() :]
    return tuple(found)


def assemble(named: Sequence[tuple[str, Any]]) -> Any:
    """Return the lists and dicts whose leaves have these names.

    Raises:
        LookError: the names do not say how the leaves belong together.
    """
    placed: list[tuple[Path, Any]] = []
    for name, leaf in named:
        path = path_of(name)
        if path is None:
            raise LookError(f"how {name} was given to the model was not recorded")
        placed.append((path, leaf))
    return _nested(placed)


def _nested(placed: Sequence[tuple[Path, Any]]) -> Any:
    if len(placed) == 1 and not placed[0][0]:
        return placed[0][1]
    groups: dict[int | str, list[tuple[Path, Any]]] = {}
    for path, leaf in placed:
        if not path:
            raise LookError("an array and a list have the same name")
        groups.setdefault(path[0], []).append((path[1:], leaf))
    parts = {key: _nested(inner) for key, inner in groups.items()}
    if all(isinstance(key, str) for key in parts):
        return parts
    if sorted(parts, key=str) != sorted(range(len(parts)), key=str):
        raise LookError("not everything that the model was given was recorded")
    return [parts[number] for number in range(len(parts))]


def as_fed(x: AnyArray, wanted: str) -> AnyArray:
    """Return an input as ``predict`` hands it on: R's doubles become Keras' own float type.

    That type is not recorded; the type of the model's input is the same where it is a float.
    """
    if x.dtype.kind != "f":
        return x
    dtype = np.dtype(wanted) if wanted in ("float32", "float64") else np.dtype(np.float32)
    # A double beyond float32's range becomes infinite, in Keras as here.
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def batches(named: Sequence[tuple[str, AnyArray]], rows: int) -> Iterator[list[tuple[str, Any]]]:
    """Cut the arrays into batches of so many rows; one batch if there are no more rows than that.

    Raises:
        LookError: the arrays have no rows, or not all the same number of them.
    """
    counts = {x.shape[0] if x.ndim else -1 for _, x in named}
    if len(counts) != 1 or -1 in counts:
        raise LookError("the arrays that the model was given have unlike numbers of rows")
    (count,) = counts
    for start in range(0, max(1, count), rows):
        yield [(name, x[start : start + rows]) for name, x in named]
