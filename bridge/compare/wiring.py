"""How the layers of a recorded model hang together, and what shape its inputs take inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from pydantic import JsonValue

from bridge.capsule import LayerState, ModelState, Probe
from bridge.compare.numbers import AnyArray
from bridge.compare.rules import class_name

Shape = tuple[int | None, ...]


class WiringError(ValueError):
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
    ordered = _references(state.config, "input_layers")
    return ordered or tuple(layer.name for layer in state.layers if _is_input(layer))


def output_names(state: ModelState) -> tuple[str, ...]:
    """Return the names of the layers whose outputs are the model's."""
    if not state.layers:
        return ()
    if is_sequential(state):
        return (state.layers[-1].name,)
    ordered = _references(state.config, "output_layers")
    if ordered:
        return ordered
    used = {name for layer in state.layers for name in layer.inbound}
    return tuple(layer.name for layer in state.layers if layer.name not in used)


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
        WiringError: it was not recorded.
    """
    names = {layer.name for layer in state.layers}
    if len(names) < len(state.layers):
        raise WiringError("two layers of the model have the same name")
    if is_sequential(state):
        before = [(), *((layer.name,) for layer in state.layers)]
        return {layer.name: fed for layer, fed in zip(state.layers, before, strict=False)}
    found: dict[str, tuple[str, ...]] = {}
    for layer in state.layers:
        unknown = [name for name in layer.inbound if name not in names]
        if unknown or not (layer.inbound or _is_input(layer)):
            raise WiringError(f"what feeds layer {layer.name!r} was not recorded")
        found[layer.name] = layer.inbound
    return found


def fed_inputs(state: ModelState, probe: Probe, arrays: Mapping[str, AnyArray]) -> list[AnyArray]:
    """Return the probe's inputs in the order of the model's, each with the rank it has inside.

    ``arrays`` holds the elements by the name of the input.
    """
    names = [ref.name for ref in probe.inputs]
    keyed = {f"x[{name!r}]": name for name in input_names(state)}
    if names and all(name in keyed for name in names):
        position = {name: number for number, name in enumerate(input_names(state))}
        names.sort(key=lambda name: position[keyed[name]])
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


def _references(config: JsonValue, key: str) -> tuple[str, ...]:
    """Read ``input_layers`` or ``output_layers``: [name, 0, 0], or a list or dict of such."""
    found = config.get(key) if isinstance(config, dict) else None
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, list):
        return ()
    if found and isinstance(found[0], str):
        return (found[0],)
    names = [each[0] for each in found if isinstance(each, list) and each]
    return tuple(name for name in names if isinstance(name, str))
