"""A layer as the checker reads it from a capsule: what it was given, and the type it computes in.

This is a second reading of the same record, on purpose: a mistake in the rules' reading would
otherwise be made again here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import JsonValue

from bridge.capsule import Capsule, KernelErrors, LayerOutput, LayerState, ModelState, Probe
from bridge.certify.exact import F64, AnyArray
from bridge.certify.kinds import KINDS, MOST_TERMS, Kind, MisfitError, UncheckedError

_KERAS: Final = ("keras", "tf_keras", "tensorflow", "keras_core")


@dataclass(frozen=True)
class Given:
    """A layer with its weights and the inputs that it received.

    ``name`` is the bare name of its class, "" if the class is not one of Keras. ``shape`` is that
    of the output that is checked, ``number`` its number among the layer's outputs. ``on_cpu`` says
    that it ran on nothing else; ``kernels`` were measured where it ran.
    """

    name: str
    config: Mapping[str, JsonValue]
    weights: Mapping[str, AnyArray]
    inputs: tuple[AnyArray, ...]
    shape: tuple[int, ...]
    generation: int = 0
    training: bool = False
    masked: bool = False
    on_cpu: bool = True
    number: int = 0
    kernels: tuple[KernelErrors, ...] = ()

    @property
    def kind(self) -> Kind:
        """The type in which it computes.

        Raises:
            UncheckedError: there are no formulas for that type.
        """
        name = computes_in(self.config)
        if name not in KINDS:
            raise UncheckedError(f"it computes in {name}")
        return replace(KINDS[name], kernels=self.kernels)

    def the_input(self) -> F64:
        """Return its only input, as it computes with it.

        Raises:
            UncheckedError: it has more inputs than one.
        """
        if len(self.inputs) != 1:
            raise UncheckedError(f"it has {len(self.inputs)} inputs")
        return self.kind.near(self.inputs[0])

    def all_inputs(self) -> list[F64]:
        """Return its inputs, as it computes with them."""
        return [self.kind.near(each) for each in self.inputs]

    def weight(self, name: str) -> F64:
        """Return a weight, as it computes with it.

        Raises:
            MisfitError: there is none of that name.
        """
        if name not in self.weights:
            raise MisfitError(f"its weight {name} was not recorded")
        return self.kind.near(self.weights[name])

    def only(self, *names: str) -> None:
        """Make sure that it has no weights but these.

        Raises:
            UncheckedError: it has others.
        """
        others = sorted(set(self.weights) - set(names))
        if others:
            raise UncheckedError(f"it has a weight {others[0]}, which its formula does not know")

    def number_of(self, key: str, default: float) -> float:
        """Return a number of the configuration.

        Raises:
            UncheckedError: it is not a number.
        """
        found = number(self.config.get(key, default))
        if found is None:
            raise UncheckedError(f"its {key} is not a number")
        return found

    def integers(self, key: str, count: int, default: int | tuple[int, ...] = 1) -> tuple[int, ...]:
        """Return ``count`` positive integers of the configuration, or one that stands for all.

        Raises:
            UncheckedError: they are not there.
        """
        found: object = self.config.get(key)
        found = default if found is None else found
        items = list(found) if isinstance(found, (list, tuple)) else [found] * count
        numbers = tuple(each for each in items if type(each) is int and 0 < each < MOST_TERMS)
        if len(numbers) != count or len(items) != count:
            raise UncheckedError(f"its {key} is not {count} positive integers")
        return numbers

    def channels_first(self) -> bool:
        """Say whether the axis of the channels comes before those of space."""
        return self.config.get("data_format") == "channels_first"


@dataclass(frozen=True)
class Recorded:
    """A layer of a probe: the model's state, the probe, and what was seen of the layer."""

    capsule: Capsule
    state: ModelState
    probe: Probe
    seen: LayerOutput

    def through(self) -> tuple[str, ...]:
        """Name the layer and those that were executed in one with it."""
        return (self.seen.layer, *self.seen.through)

    def layer(self, name: str) -> LayerState:
        """Return a layer of the model.

        Raises:
            MisfitError: there is none of that name, or more than one.
        """
        found = list(_named(self.state.layers, name))
        if len(found) != 1:
            raise MisfitError(f"the capsule has {len(found)} layers of the name {name!r}")
        return found[0]

    def given(self, name: str, shape: tuple[int, ...], number: int = 0) -> Given:
        """Return a layer with what it received, for its output of this shape and number.

        Raises:
            CapsuleError: elements were not recorded.
            MisfitError: the layer is not in the capsule.
        """
        layer = self.layer(name)
        first = name == self.seen.layer
        inputs = [self.capsule.array(ref) for ref in self.seen.inputs] if first else []
        return Given(
            name=bare_name(layer.cls),
            config=layer.config,
            weights={each.name: self.capsule.array(each.array) for each in layer.weights},
            inputs=tuple(self._conformed(x) for x in inputs),
            shape=shape,
            generation=generation(self.state.keras, layer.config),
            training=self.probe.kind in ("fit", "train"),
            masked=first and self.seen.masked,
            on_cpu=self._devices() <= {"CPU"},
            number=number,
            kernels=self.capsule.manifest.kernels,
        )

    def _devices(self) -> set[str]:
        """Return the kinds of device that it ran on, or may have run on where that is not known."""
        ops = self.probe.executed.ops if self.probe.executed is not None else ()
        named = [op.device for op in ops if op.device]
        named = named or list(self.capsule.manifest.environment.devices)
        return {each.partition(":")[0] for each in named}

    def _conformed(self, x: AnyArray) -> AnyArray:
        """Give what was fed to a model of one input the rank that this declares, as Keras does."""
        made = {each.layer for each in self.probe.layers}
        declared = _declared_ranks(self.state)
        if any(ref.name in made for ref in self.seen.inputs) or len(declared) != 1:
            return x
        rank, ones = declared[0]
        if x.ndim < rank and rank - x.ndim <= ones:
            return x.reshape(x.shape + (1,) * (rank - x.ndim))
        if x.ndim > rank and all(size == 1 for size in x.shape[rank:]):
            return x.reshape(x.shape[:rank])
        return x


def _named(layers: Sequence[LayerState], name: str) -> Iterator[LayerState]:
    """Yield the layers of a name; one of a model that is a layer is named with it: inner/dense."""
    for layer in layers:
        if layer.name == name:
            yield layer
        elif name.startswith(f"{layer.name}/"):
            yield from _named(layer.layers, name.removeprefix(f"{layer.name}/"))


def computes_in(config: Mapping[str, JsonValue]) -> str:
    """Return the name of the type in which a layer computes, by its dtype policy."""
    policy: JsonValue = config.get("dtype")
    for _ in range(8):
        if not isinstance(policy, dict):
            break
        inner = policy.get("config")
        policy = inner.get("name") if isinstance(inner, dict) else policy.get("name")
    return policy.removeprefix("mixed_") if isinstance(policy, str) and policy else "float32"


def bare_name(cls: str) -> str:
    """Return the last part of the name of a class of Keras, "" if it is not one of Keras."""
    parts = cls.replace(":", ".").replace(">", ".").split(".")
    if len(parts) > 1 and parts[0] not in _KERAS:
        return ""
    # Keras exports pooling under two names: MaxPool2D, GlobalAvgPool1D.
    pool = re.fullmatch(r"(Global)?(Max|Avg)Pool([123]D)", parts[-1])
    if pool is None:
        return parts[-1]
    whole = "Max" if pool[2] == "Max" else "Average"
    return f"{pool[1] or ''}{whole}Pooling{pool[3]}"


def generation(keras: str, config: Mapping[str, JsonValue]) -> int:
    """Return 2 or 3, the generation of Keras that made a model; 0 where that is not recorded."""
    known = {"tf_keras": 2, "keras": 3}
    if keras in known:
        return known[keras]
    for word in keras.split():
        major, dot, _ = word.partition(".")
        if dot and major in ("2", "3"):
            return int(major)
    policy = config.get("dtype")
    if isinstance(policy, str):
        return 2
    return 3 if isinstance(policy, dict) and policy.get("class_name") == "DTypePolicy" else 0


def number(item: JsonValue) -> float | None:
    """Read a number as configurations write it: plain, in words, or wrapped with its type."""
    for _ in range(8):
        if isinstance(item, dict):
            inner = item.get("config", item)
            item = inner.get("value") if isinstance(inner, dict) else None
        elif isinstance(item, list) and len(item) == 1:
            item = item[0]
        else:
            break
    if isinstance(item, bool) or not isinstance(item, (int, float, str)):
        return None
    try:
        return float(item)
    except (ValueError, OverflowError):
        return None


def _declared_ranks(state: ModelState) -> list[tuple[int, int]]:
    """Return the rank of every input that the model declares, and how many ones stand last."""
    inputs: list[Mapping[str, JsonValue]] = [
        layer.config for layer in state.layers if bare_name(layer.cls) == "InputLayer"
    ]
    if not inputs and isinstance(state.config, dict):
        listed = state.config.get("layers")
        configs = [each.get("config") for each in listed if isinstance(each, dict)] if isinstance(
            listed, list) else []  # fmt: skip
        inputs = [each for each in configs if isinstance(each, dict)]
        inputs.append({"batch_shape": state.config.get("build_input_shape")})
        inputs = [each for each in inputs if _shape(each) is not None][:1]
    shapes = [shape for each in inputs if (shape := _shape(each)) is not None]
    return [(len(shape), _ones(shape)) for shape in shapes]


def _shape(config: Mapping[str, JsonValue]) -> list[Any] | None:
    for key in ("batch_shape", "batch_input_shape"):
        found = config.get(key)
        if isinstance(found, list) and all(each is None or type(each) is int for each in found):
            return found
    return None


def _ones(shape: list[Any]) -> int:
    count = 0
    while count < len(shape) and shape[len(shape) - 1 - count] == 1:
        count += 1
    return count
