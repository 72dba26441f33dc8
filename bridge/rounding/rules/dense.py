"""Dense: y = f(x W + b), where each result adds as many products as W has rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.activations import added_by, apply_activation
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.reductions import Product, dot_error
from bridge.rounding.rules.rounding import FLOAT32, MOST_TERMS

#: TensorFloat-32 keeps 10 digits of each factor, so a product is off by 2^-10 of itself and a
#: little; the bound is never less than about 2^-25 of the sum of the products' magnitudes.
#: TensorFlow lets GPUs use it (``tf.config.experimental.enable_tensor_float_32_execution``).
_TENSOR_FLOAT: Final = 2.0**16
_DOUBT: Final = "a device that is not a CPU may multiply in TensorFloat-32"


def dense(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Dense layer on its input, whose last axis has as many elements as W rows."""
    fmt = layer.arithmetic()
    weights = layer.numbers("kernel", optional=("bias",))
    kernel, bias = weights["kernel"], weights.get("bias")
    if kernel.ndim != 2 or (bias is not None and bias.shape != kernel.shape[1:]):
        shapes = " and ".join(str(weight.shape) for weight in weights.values())
        raise UnsupportedError(f"its weights have shapes {shapes}")
    x = single(inputs)
    if x.ndim == 0 or x.shape[-1] != kernel.shape[0]:
        raise UnsupportedError(f"its input of shape {x.shape} does not fit {kernel.shape[0]} rows")
    if kernel.shape[0] + 2 > MOST_TERMS:
        raise UnsupportedError(f"{kernel.shape[0]} products are too many for a bound")
    product = Product(x, kernel, np.matmul, kernel.shape[0])
    with np.errstate(all="ignore"):
        z = product.value() if bias is None else product.value() + bias

    spec = layer.config.get("activation")
    moved = layer.moved + added_by(spec, layer.generation, fmt)

    def error() -> F64:
        return dot_error([product], bias, z, fmt, moved)

    found = apply_activation(spec, layer.generation, z, error, fmt)
    if fmt.name == FLOAT32.name and set(layer.devices) != {"CPU"}:
        found = replace(found, missed=found.missed * _TENSOR_FLOAT, doubt=_DOUBT)
    return (found,)


RULES: Final[Mapping[str, Rule]] = {"Dense": dense}
