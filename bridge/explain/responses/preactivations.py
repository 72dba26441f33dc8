"""What stands before a layer's activation: its sums, in float64, from its recorded inputs.

Nothing is looked at in the run: a probe for the sums would break the fusion of the activation that
may be under suspicion. The rules compute them from what the layer was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.rounding.layer_records import Seen
from bridge.rounding.rules import Layer, UnsupportedError, class_name, conv, dense, evaluate_chain
from bridge.rounding.rules import evaluate as evaluate_layer
from bridge.rounding.rules.activations import LAYERS, Activation, activation_of

#: Layers that add products up and then apply an activation to the sums.
SUMMING: Final = frozenset({*dense.RULES, *conv.RULES})
_LINEAR: Final[tuple[JsonValue, ...]] = (None, "linear")


@dataclass(frozen=True)
class Before:
    """The sums of one layer and what its activation made of them.

    ``sums`` has units on its last axis, and everything else is a row: (rows, units). ``made`` is
    what was recorded, laid out alike; None where it was not seen by itself.
    """

    layer: str
    activation: str
    function: Activation
    sums: F64
    made: F64 | None

    def at(self, values: F64) -> F64:
        """Return the activation of ``values`` in float64."""
        with np.errstate(all="ignore"):
            return np.asarray(self.function.form(values), np.float64)


def sums_before(seen: Seen) -> Before | None:
    """Return the sums before the activation of a layer, or None where there is nothing to say.

    That is so for layers without an activation or with one over several elements (softmax), those
    whose activation stands inside a recurrence, and those without a rule.
    """
    case = seen.case
    if isinstance(case, str) or len(case.inputs) != 1:
        return None
    chain = (case.layer, *case.then)
    place = next((n for n, layer in enumerate(chain) if name_of(layer) not in ("", None)), None)
    if place is None:
        return None
    acting = chain[place]
    try:
        function = _function(acting)
        sums = _evaluated(chain[:place], acting, case.inputs)
    except UnsupportedError:
        return None
    alone = place == len(chain) - 1 and len(case.outputs) == 1
    made = case.outputs[0] if alone else None
    if made is not None and made.shape != sums.shape:
        return None
    first = acting.config.get("data_format") == "channels_first"
    return Before(
        layer=acting.name,
        activation=name_of(acting) or "",
        function=function,
        sums=_by_unit(sums, first),
        made=None if made is None else _by_unit(made, first),
    )


def name_of(layer: Layer) -> str | None:
    """Return the name of a layer's activation, "" for none, None where it cannot be told."""
    cls = class_name(layer.cls) or ""
    spec: JsonValue = layer.config.get("activation")
    if cls in LAYERS and cls != "Activation":
        return cls
    if cls not in SUMMING and cls != "Activation":
        return None if spec not in _LINEAR else ""
    if spec in _LINEAR:
        return ""
    if isinstance(spec, dict):
        found = spec.get("class_name")
        return found if isinstance(found, str) else None
    return spec if isinstance(spec, str) else None


def bare(layer: Layer) -> Layer:
    """Return a layer without its activation."""
    cls = class_name(layer.cls) or ""
    if cls in LAYERS:
        return replace(layer, cls="keras.layers.Activation", config={"activation": "linear"})
    return replace(layer, config={**layer.config, "activation": "linear"})


def _function(layer: Layer) -> Activation:
    cls = class_name(layer.cls) or ""
    if cls in LAYERS:
        return LAYERS[cls](layer.config, layer.generation, layer.arithmetic())
    return activation_of(layer.config.get("activation"), layer.generation, layer.arithmetic())


def _evaluated(before: Sequence[Layer], acting: Layer, inputs: Sequence[AnyArray]) -> F64:
    cls = class_name(acting.cls) or ""
    if cls in SUMMING:
        found = evaluate_chain((*before, bare(acting)), inputs)
    elif before:
        found = evaluate_chain(before, inputs)
    else:
        found = evaluate_layer(bare(acting), inputs)
    if len(found) != 1:
        raise UnsupportedError("it has several outputs")
    return np.asarray(found[0].value, np.float64)


def _by_unit(values: AnyArray, channels_first: bool) -> F64:
    """Return values as (rows, units)."""
    found = np.asarray(values, np.float64)
    if channels_first and found.ndim > 2:
        found = np.moveaxis(found, 1, -1)
    return found.reshape(-1, found.shape[-1] if found.ndim > 1 else 1)
