"""Which measured kernels the bounds of a model may rest on, read from its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from pydantic import JsonValue

from bridge.capsule import ModelState
from bridge.rounding.measurements import read
from bridge.rounding.rules.models import COMPARING
from bridge.rounding.rules.rounding import FLOAT32, FORMATS

#: Names of a configuration that stand for kernels of other names.
_STANDS_FOR: Final = {
    "swish": ("silu",),
    "hard_swish": ("hard_silu",),
    "gelu": ("gelu", "gelu_tanh"),
    "hard_sigmoid": ("hard_sigmoid_2", "hard_sigmoid_3"),
    "softmax": ("softmax_pair",),
    "log_softmax": ("softmax_pair", "log"),
}
#: Functions whose errors are derived from the operations that they do (:mod:`.families`).
_DERIVED: Final = frozenset(
    {"leaky_relu", "prelu", "hard_shrink", "soft_shrink", "squareplus", "threshold",
     "thresholded_relu"}
)  # fmt: skip


def measured_kernels(states: Iterable[ModelState]) -> tuple[tuple[str, str], ...]:
    """Return the kernels that the layers of models may run, as (activation, type), in order."""
    found: set[tuple[str, str]] = set()
    for state in states:
        layers = (value for each in state.layers for value in (each.cls, each.config))
        found |= set(kernels_of([state.config, *layers]))
    return tuple(sorted(found))


def kernels_of(configs: Iterable[JsonValue]) -> tuple[tuple[str, str], ...]:
    """Return the kernels that classes and configurations speak of, as (activation, type), in order.

    Whatever in a configuration is spelled like an activation counts as one: the name of a function,
    of a layer or of an operation. What is named too much costs a measurement, and nothing else.
    """
    words = {word for config in configs for word in _words(config)}
    types = {word.removeprefix("mixed_") for word in words} & set(FORMATS)
    names = {name for word in words for name in _kernels(word.rpartition(".")[2])}
    # A short type's fused kernels compute in float32.
    return tuple(sorted((name, dtype) for name in names for dtype in types | {FLOAT32.name}))


def _words(config: JsonValue) -> Iterator[str]:
    """Yield every text of a configuration, at any depth."""
    if isinstance(config, str):
        yield config
    elif isinstance(config, list):
        for item in config:
            yield from _words(item)
    elif isinstance(config, dict):
        for item in config.values():
            yield from _words(item)


def _kernels(word: str) -> tuple[str, ...]:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()
    if snake in _STANDS_FOR:
        return _STANDS_FOR[snake]
    return (snake,) if snake in _measured() else ()


@lru_cache(maxsize=1)
def _measured() -> frozenset[str]:
    known = {each["activation"] for each in read()["measurements"]}
    return frozenset(known - COMPARING - _DERIVED - {"log"})
