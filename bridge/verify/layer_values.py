"""What layers return in exact arithmetic, by the name of their class.

Configurations, weights and number formats are read as the rules read them; nothing that a rule
computed is used. Only where a layer hands elements on without computing is what the rule picked
taken for exact: there is nothing to round. A layer that has no exact evaluation here is reported
as not re-checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.facts.layers import LAYERS, class_name, doing
from bridge.rounding.ladder import Case
from bridge.rounding.rules import Layer, cast_inputs, evaluate
from bridge.rounding.rules.activations import activation_of
from bridge.rounding.rules.layer import single
from bridge.rounding.rules.softmax import axis_of
from bridge.verify.activation_functions import leaky, real_of
from bridge.verify.convolution import CONVOLUTIONS, weights_of
from bridge.verify.elementwise_ops import ELEMENTWISE, rescale
from bridge.verify.exact_arithmetic import Ints
from bridge.verify.exact_values import (
    Activated,
    ExactLayer,
    Make,
    Recorded,
    Softmax,
    UncheckedError,
)
from bridge.verify.normalisation import normalised
from bridge.verify.products import Elements, Product

#: The names of layers that are an activation of each element.
_UNARY: Final = frozenset(doing("activates")) - {"PReLU"}


def exact_values(case: Case, number: int) -> ExactLayer:
    """Return the exact values of an output of a layer, or of several that were executed in one.

    The rules must cover them.

    Raises:
        UncheckedError: there is no exact evaluation; the message says why.
    """
    layer, shape = case.layer, case.outputs[number].shape
    name = class_name(layer.cls) or ""
    facts = LAYERS[name]
    if facts.given != "numbers" and _hands_on(name, layer):
        values: ExactLayer = Recorded(evaluate(layer, case.inputs)[number].value)
    elif name in EXACT:
        values = EXACT[name](layer, cast_inputs(layer, case.inputs))
    else:
        raise UncheckedError(f"there is no exact evaluation of {name or layer.cls} here")
    if facts.does == "products":
        values = _activated(values, layer.config.get("activation"), layer, shape)
    for after in case.then:
        values = _follow(values, after, shape)
    return values


def _hands_on(name: str, layer: Layer) -> bool:
    """Say whether a layer that is given elements as they are computes nothing of them."""
    return not name.startswith("UpSampling") or layer.config.get("interpolation", "nearest") == (
        "nearest"
    )


def _follow(values: ExactLayer, layer: Layer, shape: tuple[int, ...]) -> ExactLayer:
    """Return the values of a layer that was executed in one with what makes these."""
    name = class_name(layer.cls) or ""
    if name in LAYERS and LAYERS[name].silent:
        return values
    if name == "Rescaling":
        return rescale(layer, values, shape)
    if name in _UNARY:
        whole: JsonValue = {"class_name": name, "config": dict(layer.config)}
        spec = layer.config.get("activation") if name == "Activation" else whole
        return _activated(values, spec, layer, shape)
    raise UncheckedError(f"it was executed in one with a {name or layer.cls}")


def _activated(
    values: ExactLayer, spec: JsonValue, layer: Layer, shape: tuple[int, ...]
) -> ExactLayer:
    """Return what the activation of a configuration makes of values of some shape."""
    if spec in (None, "linear"):
        return values
    if spec in ("softmax", "log_softmax"):
        return Softmax(values, shape, -1, logarithm=spec == "log_softmax")
    form = activation_of(spec, layer.generation, layer.arithmetic()).form
    function = real_of(form)
    if function is None:
        raise UncheckedError(f"there is no exact evaluation of the activation {form.name!r} here")
    return Activated(values, lambda _place: function)


def _dense(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x, weights = single(inputs), weights_of(layer)
    length = len(weights["kernel"])

    def rows(row: Ints, _group: Ints) -> Ints:
        return np.asarray(row[:, None] * length + np.arange(length)[None, :])

    return Product(Elements(x), rows, weights["kernel"], bias=weights.get("bias"))


def _unary(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x = single(inputs)
    return _follow(Recorded(x), layer, x.shape)


def _prelu(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x, alpha = single(inputs), weights_of(layer)["alpha"]
    slopes = np.broadcast_to(alpha, x.shape[1:]).ravel()
    return Activated(Recorded(x), lambda place: leaky(float(slopes[place % slopes.size])))


def _softmax(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x = single(inputs)
    return Softmax(Recorded(x), x.shape, axis_of(layer))


_NORMALISING: Final = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
)  # fmt: skip

#: Layers that compute.
EXACT: Final[Mapping[str, Make]] = {
    "Dense": _dense,
    **CONVOLUTIONS,
    **ELEMENTWISE,
    **dict.fromkeys(_NORMALISING, normalised),
    **dict.fromkeys(_UNARY, _unary),
    "PReLU": _prelu,
    "Softmax": _softmax,
}
