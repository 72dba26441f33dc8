"""Layers that hand on the elements of their input as they are, in the same or another shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single


def identity(_layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return every input as it is."""
    return tuple(Evaluation(x) for x in inputs)


def noise(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the input of a layer that changes it at random, but only in training.

    Where nobody knows whether the model ran in training mode, nothing is claimed.
    """
    if layer.training:
        raise UnsupportedError("it is random in training")
    x = single(inputs)
    if layer.training is None:
        return (Evaluation(x, lambda: np.full(x.shape, np.inf)),)
    return (Evaluation(x),)


def flatten(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the input with all axes but the first made one; channels are put last before."""
    x = single(inputs)
    if x.ndim == 0:
        raise UnsupportedError("its input has no batch axis")
    if layer.config.get("data_format") == "channels_first" and x.ndim > 2:
        x = np.moveaxis(x, 1, -1)
    return (Evaluation(x.reshape(x.shape[0], math.prod(x.shape[1:]))),)


def reshape(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the input with all axes but the first replaced by ``target_shape``."""
    x = single(inputs)
    target = layer.integers("target_shape")
    size = math.prod(x.shape[1:])
    known = math.prod(part for part in target if part != -1)
    if x.ndim == 0 or target.count(-1) > 1 or any(part < -1 for part in target):
        raise UnsupportedError(f"its target_shape {target} cannot be read")
    if -1 in target and known > 0:
        target = tuple(size // known if part == -1 else part for part in target)
    if math.prod(target) != size:
        raise UnsupportedError(f"its input of shape {x.shape} does not fit target_shape {target}")
    return (Evaluation(x.reshape((x.shape[0], *target))),)


RULES: Final[Mapping[str, Rule]] = {
    "InputLayer": identity,
    "Identity": identity,
    "ActivityRegularization": identity,
    "Dropout": noise,
    "SpatialDropout1D": noise,
    "SpatialDropout2D": noise,
    "SpatialDropout3D": noise,
    "AlphaDropout": noise,
    "GaussianDropout": noise,
    "GaussianNoise": noise,
    "Flatten": flatten,
    "Reshape": reshape,
}
