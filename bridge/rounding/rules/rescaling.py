"""Rescaling: y = x s + t, one product and one sum for each element."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, as_number, single
from bridge.rounding.rules.rounding import Format


def rescaling(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate the layer; scale and offset are numbers, or one for each channel."""
    return (rescaled(layer, single(inputs)),)


def rescaled(layer: Layer, x: AnyArray, off: Callable[[], F64] | None = None) -> Evaluation:
    """Evaluate the layer on an input that is known up to what ``off`` returns.

    Raises:
        UnsupportedError: its scale or offset cannot be read, or does not fit.
    """
    fmt = layer.arithmetic()
    scale, offset = constants(layer, "scale", 1.0, fmt), constants(layer, "offset", 0.0, fmt)
    try:
        with np.errstate(all="ignore"):
            value = x * scale + offset
    except ValueError:
        raise UnsupportedError("its scale or offset does not fit its input") from None
    if value.shape != x.shape:
        raise UnsupportedError("its scale or offset has more axes than its input")

    def derive() -> F64:
        with np.errstate(all="ignore"):
            error = np.zeros(()) if off is None else off()
            carried = error * np.abs(scale)
            total = np.abs(x) * np.abs(scale) + carried + np.abs(offset)
            small = fmt.subnormal(x)
            lost = 2.0 * fmt.tiny + (0.0 if small is None else small * np.abs(scale))
            growth = fmt.gamma(3)
            bound = carried + growth * total + (1.0 + growth) * lost
            # One product and one sum: nothing else is there that might overflow.
            reach = np.maximum(np.abs(x) * np.abs(scale) + carried, np.abs(value)) + bound
            return np.where(reach < fmt.overflow, bound, np.inf)

    return Evaluation(value, derive)


def constants(layer: Layer, key: str, default: float, fmt: Format) -> F64:
    """Return one number of the configuration, or one for each channel, as ``fmt`` holds them.

    Raises:
        UnsupportedError: they are not numbers.
    """
    found = layer.config.get(key, default)
    items = found if isinstance(found, list) else [found]
    numbers = [as_number(item) for item in items]
    if any(number is None for number in numbers):
        raise UnsupportedError(f"its {key} is not made of numbers")
    values = fmt.cast(np.array(numbers, np.float64))
    return values if isinstance(found, list) else values[0]


RULES: Final[Mapping[str, Rule]] = {"Rescaling": rescaling}
