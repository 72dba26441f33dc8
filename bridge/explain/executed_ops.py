"""The executed ops of a layer, and what its configuration asks for that none of them does."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from bridge.capsule import ExecutedGraph, ExecutedOp, LayerState
from bridge.facts.activations import op_of
from bridge.facts.layers import LAYERS, class_name
from bridge.facts.ops import BIASES, CARRIERS

_ACTIVATIONS: Final = {"ReLU": "relu", "Activation": "", "Softmax": "softmax"}


def labels(executed: ExecutedGraph | None) -> tuple[str, ...]:
    """Return the executed ops that do the layers' arithmetic, in order."""
    if executed is None:
        return ()
    return tuple(op.label for op in executed.ops if "/" in op.name and op.op not in CARRIERS)


def ops_of(
    executed: ExecutedGraph | None, layers: Collection[str], known: Collection[str] = ()
) -> tuple[ExecutedOp, ...]:
    """Return the ops that were executed for layers, by the names that TensorFlow gave them.

    A fused op has the name of the last op in it, and so belongs to the layer of that. ``known`` are
    the names of all layers: Keras 3 numbers the scopes of its layers once more (``dense_1`` is then
    the layer ``dense``), Keras 2 does not, and only all names together tell which it was.
    """
    if executed is None:
        return ()
    wanted = {name.rpartition("/")[2] for name in layers}
    names = {name.rpartition("/")[2] for name in known} | wanted
    scopes = [op.name.split("/")[:-1] for op in executed.ops if op.op not in CARRIERS]
    told = {part for scope in scopes for part in scope if part in names or _stem(part) in names}
    plain = told <= names
    ours = {part for part in told if (part if plain else _stem(part)) in wanted}
    if not plain:
        # What is not numbered once more has a name that was free.
        ours |= {part for part in told & wanted if _stem(part) not in names}
    return tuple(
        op
        for op in executed.ops
        if op.op not in CARRIERS and ours.intersection(op.name.split("/")[:-1])
    )


def names_of(layers: Iterable[LayerState]) -> set[str]:
    """Return the names of layers, and of those within them."""
    found = set()
    for layer in layers:
        found |= {layer.name, *names_of(layer.layers)}
    return found


def _stem(part: str) -> str:
    return re.sub(r"_\d+$", "", part)


def lost_in(ops: Iterable[ExecutedOp], layers: Iterable[LayerState]) -> tuple[str, ...] | None:
    """Return what layers are configured to do that no executed op lists.

    Returns:
        Nothing where one fused op lists all of it; None where that cannot be told.
    """
    found = list(ops)
    wanted = [_wanted(layer) for layer in layers]
    if not found or not wanted or any(each is None for each in wanted):
        return None
    told = {part for op in found for part in (op.op, *op.fused)}
    lost = tuple(
        dict.fromkeys(
            part for each in wanted for part in each or ()
            if part not in told and not (part == "BiasAdd" and told & BIASES)
        )
    )  # fmt: skip
    if lost:
        return lost
    return () if len(found) == 1 and found[0].fused else None


def _wanted(layer: LayerState) -> tuple[str, ...] | None:
    """Return the ops, beside its product, that a layer is configured to do."""
    name = class_name(layer.cls) or ""
    if name in _ACTIVATIONS:
        said = _ACTIVATIONS[name] or layer.config.get("activation")
        plain = all(not layer.config.get(key) for key in ("negative_slope", "threshold"))
        ok = plain and layer.config.get("max_value") is None
        return (op_of(said),) if ok and op_of(said) else None
    facts = LAYERS.get(name)
    if facts is None or facts.does != "products" or not facts.op:
        return None
    bias = ("BiasAdd",) if layer.config.get("use_bias", True) else ()
    activation = layer.config.get("activation", "linear")
    if activation in ("linear", None):
        return bias
    return (*bias, op_of(activation)) if op_of(activation) else None
