"""Keras models as data, for both generations: configuration, layers, weights, wiring."""

from __future__ import annotations

import json
from typing import Any, Final

from bridge.runners.encode import Data, Encoder, public_path, to_numpy

_MAX_CONFIG_DEPTH: Final = 40


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
        "layers": [_layer(layer, inbound, encoder) for layer, inbound in wiring(model)],
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
    """Return the layers in order, each with the names of the layers that feed it."""
    layers = list(getattr(model, "layers", ()))
    feeds: dict[int, list[str]] = {}
    for nodes in (getattr(_functional(model), "_nodes_by_depth", None) or {}).values():
        for node in nodes:
            layer = getattr(node, "layer", None) or getattr(node, "operation", None)
            parents = [
                getattr(each, "layer", None) or getattr(each, "operation", None)
                for each in node.parent_nodes
            ]
            feeds.setdefault(id(layer), []).extend(each.name for each in parents if each)
    return [(layer, tuple(dict.fromkeys(feeds.get(id(layer), ())))) for layer in layers]


def _functional(model: Any) -> Any:
    # In Keras 3 a Sequential keeps its graph in a Functional of its own.
    return getattr(model, "_functional", None) or model


def _layer(layer: Any, inbound: tuple[str, ...], encoder: Encoder) -> Data:
    config, _ = _config(layer)
    weights = [
        {
            "name": _weight_name(weight),
            "array": encoder.array(f"{layer.name}/{_weight_name(weight)}", weight),
            "trainable": bool(getattr(weight, "trainable", True)),
        }
        for weight in getattr(layer, "weights", ())
    ]
    return {
        "name": layer.name,
        "cls": public_path(type(layer)),
        "config": config if isinstance(config, dict) else {},
        "weights": weights,
        "inbound": list(inbound),
    }


def _weight_name(weight: Any) -> str:
    # Keras 2 says "dense/kernel:0", Keras 3 "kernel".
    return str(weight.name).rpartition("/")[2].partition(":")[0]


def _config(item: Any) -> tuple[Any, str]:
    try:
        return plain(item.get_config()), ""
    except Exception as error:
        return None, f"get_config() raised {type(error).__name__}: {error}"[:500]


def _compiled(model: Any) -> Any:
    if not getattr(model, "optimizer", None):
        return None
    try:
        return plain(model.get_compile_config())
    except Exception as error:
        return {"unreadable": f"{type(error).__name__}: {error}"[:500]}


def plain(item: Any, depth: int = 0) -> Any:
    """Return ``item`` as JSON: numbers, text, lists and dicts, the rest described in words."""
    if item is None or isinstance(item, (bool, int, str)):
        return item
    if isinstance(item, float):
        return item if json.dumps(item)[-1].isdigit() else repr(item)
    if depth > _MAX_CONFIG_DEPTH:
        return "..."
    if isinstance(item, dict):
        return {str(key): plain(value, depth + 1) for key, value in item.items()}
    if isinstance(item, (list, tuple, set)):
        return [plain(value, depth + 1) for value in item]
    if hasattr(item, "shape") and hasattr(item, "dtype"):
        try:
            return plain(to_numpy(item).tolist(), depth + 1)
        except Exception:
            return f"<{type(item).__name__}>"
    if hasattr(item, "get_config"):
        config, _ = _config(item)
        return {"class_name": type(item).__name__, "config": config}
    name = getattr(item, "__name__", None)
    return str(name) if name else f"<{type(item).__name__}>"
