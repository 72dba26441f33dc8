"""The activation at the end of a layer, by whatever name its configuration gives it."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from bridge._typing import F64
from bridge.rounding.rules.activations import activation_of
from bridge.rounding.rules.layer import Evaluation, Generation
from bridge.rounding.rules.rounding import FLOAT32, Format
from bridge.rounding.rules.softmax import log_softmax, softmax


def apply_activation(
    spec: JsonValue,
    generation: Generation,
    z: F64,
    error: Callable[[], F64] | None = None,
    fmt: Format = FLOAT32,
) -> Evaluation:
    """Evaluate the activation ``spec`` of a layer at ``z``, its sum before the activation.

    ``error()`` bounds how far the argument that was computed in ``fmt`` may be from ``z`` (None:
    it is known exactly). Softmax and its
    logarithm run over the last axis; everything else is unary.

    Raises:
        UnsupportedError: the activation has no float64 form or no error model in ``fmt``; the
            message is a sentence that says so.
    """
    if spec == "softmax":
        return softmax(z, -1, error, fmt)
    if spec == "log_softmax":
        return log_softmax(z, -1, error, fmt)
    return activation_of(spec, generation, fmt).evaluate(z, error)


def added_by(spec: JsonValue, generation: Generation, fmt: Format = FLOAT32) -> float:
    """Return the constant that an activation adds to its argument first, 0 if there is none.

    Raises:
        UnsupportedError: the activation is not known.
    """
    if spec in ("softmax", "log_softmax"):
        return 0.0
    return activation_of(spec, generation, fmt).form.added
