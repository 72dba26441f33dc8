"""Handing values to Keras, and putting layers together."""

# Parameters are R's own, also where they make no difference here.

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from bridge.translate.rbase import values as known
from bridge.translate.rbase.values import (
    Named,
    array,
    is_foreign,
    is_number,
    whole,
)


def shape(*sizes: Any) -> Any:
    """``shape(...)``: a shape; NA, NULL and -1 are not known."""
    if len(sizes) == 1 and is_foreign(sizes[0]):
        return tuple(sizes[0].shape)
    flat: list[Any] = []
    for each in sizes:
        found = whole(each)
        flat += found if isinstance(found, (list, tuple)) else [found]
    return tuple(None if each in (-1, None) else each for each in flat)


def summary(x: Any, *_: Any, **__: Any) -> Any:
    """``summary(x)`` of a model; of R's own data there is none here."""
    if is_foreign(x) and hasattr(x, "summary"):
        return x.summary(print_fn=lambda *_, **__: None)
    raise known.Gap("summary() of what is no model is not translated")


def set_random_seed(seed: Any) -> None:
    """``set_random_seed(seed)`` of R's package tensorflow."""
    import random

    random.seed(int(seed))
    np.random.seed(int(seed))
    sys.modules["tensorflow"].random.set_seed(int(seed))


def from_one(x: Any, name: str) -> Any:
    """A place that Python counts from 0, where ``name`` of the R package counts from 1."""
    what = f"{name}() counts from 1 in R, and the same function from 0 in Python"
    if known.is_otherwise("counted", "r-index-base", what):
        return x
    return x + 1


def tensor(x: Any, dtype: Any = None, shape: Any = None) -> Any:
    """``as_tensor(x, dtype)``."""
    tf = sys.modules["tensorflow"]
    if is_foreign(x):
        made = x if dtype is None else tf.cast(x, dtype)
    else:
        found = x if is_number(x) or isinstance(x, (str, list)) else array(x)
        made = tf.convert_to_tensor(found)
        made = made if dtype is None else tf.cast(made, dtype)
    if shape is not None:
        made = tf.fill(shape, made) if made.shape.rank == 0 else tf.reshape(made, shape)
    return made


def compose(target: Any, layer: Any) -> Any:
    """Add a layer to a sequential model, or call it on a tensor."""
    if hasattr(target, "add") and hasattr(target, "pop"):
        target.add(layer)
        return target
    return layer(target)


def then(target: Any, action: Any) -> Any:
    """Do something with a model, and hand the model on."""
    action(target)
    return target


def evaluated(found: Any) -> Any:
    """What ``evaluate()`` made, by name."""
    return Named((key, float(value)) for key, value in found.items()) if isinstance(
        found, dict) else found  # fmt: skip


def listed(x: Any) -> Any:
    """A list, also of one thing."""
    return list(x) if isinstance(x, (list, tuple)) else [x]


def nested(x: Any) -> Any:
    """The elements of a list of lists, to be taken apart."""
    if isinstance(x, dict):
        x = list(x.values())
    return [nested(each) if isinstance(each, (dict, list, tuple)) else each for each in x]


def called(function: Any, name: str) -> Any:
    """A function under another name."""

    @functools.wraps(function)
    def made(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    made.__name__ = name
    return made


def frozen(target: Any, trainable: bool = False) -> Any:
    """A model or layer whose weights stay, or move again."""
    target.trainable = trainable
    return target


def added(layer: Any, target: Any) -> Any:
    """As :func:`compose`, where the layer is made before what it is added to."""
    return compose(target, layer)
