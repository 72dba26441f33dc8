"""A layer as the rules see it, and what a rule says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.capsule import Capsule, LayerState, ModelState
from bridge.errors import BridgeError
from bridge.facts.keras import Generation, generation_of
from bridge.rounding.measurements import Kernels, installation_of
from bridge.rounding.rules.rounding import FORMATS, Format


class UnsupportedError(BridgeError):
    """No rule covers this layer; the message is a sentence that says why."""


@dataclass(frozen=True)
class Layer:
    """A layer with its configuration and the elements of its weights.

    ``training`` says whether it ran in training mode. ``devices`` are the kinds of device on which
    it may have run; ``masked`` says that it was given a mask. ``offset`` is a constant that a layer
    executed in one with it adds to its output before anything else. ``kernels`` are those of the
    installation that ran it; None asks for any that were measured.
    """

    name: str
    cls: str
    config: Mapping[str, JsonValue] = field(default_factory=dict)
    weights: Mapping[str, AnyArray] = field(default_factory=dict)
    generation: Generation = 0
    training: bool = False
    devices: tuple[str, ...] = ("CPU",)
    masked: bool = False
    offset: float = 0.0
    kernels: Kernels | None = None

    def number(self, key: str, default: float) -> float:
        """Return a number of the configuration.

        Raises:
            UnsupportedError: it is not a number.
        """
        found = as_number(self.config.get(key, default))
        if found is None:
            raise UnsupportedError(f"its {key} is not a number")
        return found

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a sequence of integers of the configuration.

        Raises:
            UnsupportedError: it is not one.
        """
        found = self.config.get(key)
        if not isinstance(found, list) or not all(type(item) is int for item in found):
            raise UnsupportedError(f"its {key} is not a sequence of integers")
        return tuple(item for item in found if isinstance(item, int))

    @property
    def compute_dtype(self) -> str:
        """The type in which the layer computes, by its dtype policy."""
        policy = policy_name(self.config.get("dtype"))
        return policy.removeprefix("mixed_") if policy else "float32"

    def arithmetic(self) -> Format:
        """Return the type in which the layer computes.

        Raises:
            UnsupportedError: no rule covers that type.
        """
        found = FORMATS.get(self.compute_dtype)
        if found is None:
            known = ", ".join(FORMATS)
            raise UnsupportedError(f"it computes in {self.compute_dtype}; rules are for {known}")
        return found if self.kernels is None else replace(found, kernels=self.kernels)

    def numbers(self, *names: str, optional: tuple[str, ...] = ()) -> dict[str, F64]:
        """Return the weights as the layer computes with them: cast to its type, then float64.

        Raises:
            UnsupportedError: a weight is missing, or there is one that no name speaks of, or one
                that does not hold floating-point numbers.
        """
        found = set(self.weights)
        if not set(names) <= found <= {*names, *optional}:
            raise UnsupportedError(
                f"its weights are {sorted(found)}; its rule knows {[*names, *optional]}"
            )
        fmt = self.arithmetic()
        for name, weight in self.weights.items():
            if weight.dtype.name not in (*FORMATS, "float64"):
                raise UnsupportedError(f"its weight {name} is of type {weight.dtype.name}")
        return {name: fmt.cast(weight) for name, weight in self.weights.items()}


@dataclass(frozen=True)
class Evaluation:
    """What an output of a layer should be: float64 values, and how far float32 may be from them.

    ``value`` has the output's shape; it is of another type than float64 where the layer only moves
    elements about. ``derive`` computes the bound when somebody asks: |y - value| <= bound for
    every correct float32 implementation in any order of summation; infinite where rounding can
    decide between a number and none, so that nothing is claimed. A bound that rests on a sample of
    a kernel's inputs may be too small by the factor ``missed``, which is infinite where the kernel
    was never measured on the installation that ran it; ``sampled`` names the kernel.
    ``doubt`` says why else a bound may be too small by that factor.
    """

    value: AnyArray
    derive: Callable[[], F64] | None = None
    missed: float = 1.0
    sampled: str = ""
    doubt: str = ""

    @cached_property
    def bound(self) -> F64:
        """The componentwise bound."""
        return np.zeros(self.value.shape) if self.derive is None else self.derive()


def single(inputs: Sequence[AnyArray]) -> AnyArray:
    """Return the one input of a layer that takes one.

    Raises:
        UnsupportedError: it was given more (it was called more than once, or with a mask).
    """
    if len(inputs) != 1:
        raise UnsupportedError(f"it has {len(inputs)} inputs; its rule takes one")
    return inputs[0]


def as_number(item: object) -> float | None:
    """Read a number as Keras writes it: plain, or as text or an array of one element."""
    if isinstance(item, dict):
        inner = item.get("config", item)
        item = inner.get("value") if isinstance(inner, dict) else None
    if isinstance(item, list) and len(item) == 1:
        item = item[0]
    if isinstance(item, bool) or not isinstance(item, (int, float, str)):
        return None
    try:
        return float(item)
    except (ValueError, OverflowError):
        return None


def policy_name(dtype: JsonValue) -> str:
    """Return the name of a dtype policy in either notation, "" if there is none."""
    while isinstance(dtype, dict):
        config = dtype.get("config")
        dtype = config.get("name") if isinstance(config, dict) else dtype.get("name")
    return dtype if isinstance(dtype, str) else ""


def layer_of(
    capsule: Capsule,
    state: ModelState,
    layer: LayerState,
    training: bool = False,
    devices: tuple[str, ...] = ("CPU",),
    masked: bool = False,
) -> Layer:
    """Return a recorded layer with the elements of its weights.

    Raises:
        CapsuleError: a weight was not recorded.
    """
    return Layer(
        name=layer.name,
        cls=layer.cls,
        config=layer.config,
        weights={weight.name: capsule.array(weight.array) for weight in layer.weights},
        generation=generation_of(state.keras, layer.config),
        training=training,
        devices=devices,
        masked=masked,
        kernels=Kernels(
            installation_of(capsule.manifest.environment), capsule.manifest.kernels, devices
        ),
    )


#: Evaluates a layer on its inputs, one evaluation for each output. It raises UnsupportedError, with
#: a sentence, for what it does not cover. Rules that compute are given float64, those that move
#: elements about are given them as they are.
Rule = Callable[[Layer, Sequence[AnyArray]], tuple[Evaluation, ...]]

#: The same for a layer whose outputs tell how it went: they are the third argument.
ObservedRule = Callable[[Layer, Sequence[AnyArray], Sequence[AnyArray]], tuple[Evaluation, ...]]
