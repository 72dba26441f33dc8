"""How far rounding may have taken what a layer made, from the model's input on.

A layer's own bound holds on the input that it received, which was rounded already. Here the
distance of that input from the exact one is carried on through the layer: through sums by the
magnitudes of the weights, through activations by how far they can move over the interval. That is
much longer than what rounding does, and grows with every layer, so it never decides whether
anything is wrong. It says how closely the shape of a response can be told.

An activation may be lost, and the shape of the response is then what shows it; so a layer's bound
here is that with its activation or without it, whichever is longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.explain.responses.units import bare, name_of
from bridge.facts.layers import facts_of
from bridge.rounding.layer_records import Seen
from bridge.rounding.rules import (
    Evaluation,
    Layer,
    UnsupportedError,
    evaluate,
    evaluate_chain,
    follow,
)


def reach(seen: Sequence[Seen]) -> dict[str, F64 | str]:
    """Return, by the name of each layer's output, how far from exact each element may be.

    ``seen`` are the layers of one probe, in order. A layer of which it is not known has the
    sentence that says why, and so have those after it.
    """
    found: dict[str, F64 | str] = {}
    for each in seen:
        names = [each.last, each.record.layer] if each.record.through else [each.last]
        bound = _reached(each, found)
        for name in names:
            found[name] = bound if name not in found else f"layer {name} was called more than once"
    return found


def _reached(seen: Seen, found: Mapping[str, F64 | str]) -> F64 | str:
    case = seen.case
    if isinstance(case, str):
        return f"layer {seen.record.layer}: {case}"
    errors: list[F64] = []
    for ref, x in zip(seen.record.inputs, case.inputs, strict=True):
        error = found.get(ref.name, np.zeros(x.shape))
        if isinstance(error, str):
            return error
        if error.shape != x.shape:
            return f"layer {seen.record.layer}: its input is not what {ref.name} made"
        errors.append(error)
    if len(case.outputs) != 1:
        return f"layer {seen.record.layer} has {len(case.outputs)} outputs"
    chain = (case.layer, *case.then)
    plain = tuple(bare(layer) if name_of(layer) else layer for layer in chain)
    try:
        whole = _through(chain, case.inputs, errors)
        lost = whole if plain == chain else _through(plain, case.inputs, errors)
    except (UnsupportedError, ValueError) as error:
        return f"layer {seen.record.layer}: {error}"
    return np.asarray(np.maximum(whole, lost), np.float64)


def _through(chain: Sequence[Layer], inputs: Sequence[AnyArray], errors: Sequence[F64]) -> F64:
    """Return the bound of what a chain of layers makes, given how far its inputs are from exact."""
    local = evaluate_chain(chain, inputs)[0].bound
    if not any(error.any() for error in errors):
        return local
    first, *then = chain
    carried = _carried(first, inputs, errors)
    values: AnyArray = evaluate(first, inputs)[0].value
    for layer in then:
        carried = _carried(layer, [values], [carried])
        values = evaluate(layer, [values], received=False)[0].value
    return local + carried


def _carried(layer: Layer, inputs: Sequence[AnyArray], errors: Sequence[F64]) -> F64:
    """Bound how far an exact layer moves if its inputs move by ``errors``.

    Raises:
        UnsupportedError: that is not known of this kind of layer.
    """
    facts = facts_of(layer.cls)
    if facts is None:
        raise UnsupportedError(f"how far a {layer.cls} carries errors is not known")
    if facts.does == "activates":
        at = Evaluation(np.asarray(inputs[0], np.float64), lambda: errors[0])
        return follow((layer,), at).bound
    if facts.errors_add:
        return _value(layer, errors)
    if facts.does == "scales" and len(errors) == 1:
        still = _value(layer, [np.zeros_like(errors[0])])
        return np.asarray(np.abs(_value(layer, errors) - still))
    if facts.does != "products":
        raise UnsupportedError(f"how far a {facts.name} carries errors is not known")
    plain = bare(layer)
    moved = _value(replace(plain, weights=_magnitudes(plain.weights)), errors)
    if plain is layer or not name_of(layer):
        return moved
    sums = evaluate(plain, inputs)[0].value
    acting = replace(
        layer,
        cls="keras.layers.Activation",
        config={k: layer.config[k] for k in ("activation", "dtype") if k in layer.config},
    )
    return follow((acting,), Evaluation(np.asarray(sums, np.float64), lambda: moved)).bound


def _value(layer: Layer, inputs: Sequence[AnyArray]) -> F64:
    found = evaluate(layer, inputs, received=False)
    return np.asarray(found[0].value, np.float64)


def _magnitudes(weights: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the weights' magnitudes, and nothing added to their sums."""
    return {
        name: np.zeros_like(weight) if name == "bias" else np.abs(weight)
        for name, weight in weights.items()
    }
