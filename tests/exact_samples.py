"""Small models as records, and exact capsules made of them by NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge._typing import AnyArray
from bridge.capsule import (
    Array,
    Capsule,
    ExactProbe,
    LayerOutput,
    LayerState,
    Manifest,
    ModelState,
    Probe,
    WeightRecord,
)
from bridge.exact.plan import Plan, Stretch, TensorType, plan
from bridge.exact.records import LEVER, Numbers, Setting, StretchPart
from bridge.rounding.rules import Layer

Shape = tuple[int, ...]


class Model:
    """A Sequential under construction, each layer with the shape that it makes."""

    def __init__(self, shape: Shape, name: str = "model") -> None:
        self.tensors = {"": TensorType((None, *shape), "float32")}
        self.layers: list[LayerState] = []
        self._shape = shape
        self._name = name

    def add(
        self, cls: str, shape: Shape, weights: Mapping[str, Shape] | None = None, **config: Any
    ) -> Model:
        """Add a layer of Keras that makes ``shape`` and has weights of these shapes."""
        name = f"{cls.lower()}_{len(self.layers)}"
        records = tuple(
            WeightRecord(name=key, array=Array(name=key, key=None, dtype="float32", shape=value))
            for key, value in (weights or {}).items()
        )
        config.setdefault("dtype", "float32")
        self.layers.append(
            LayerState(name=name, cls=f"keras.layers.{cls}", config=config, weights=records)
        )
        self.tensors[name] = TensorType((None, *shape), "float32")
        self._shape = shape
        return self

    def dense(self, units: int, activation: str = "relu", **config: Any) -> Model:
        """Add a Dense layer."""
        weights = {"kernel": (self._shape[-1], units), "bias": (units,)}
        shape = (*self._shape[:-1], units)
        return self.add("Dense", shape, weights, activation=activation, **config)

    def conv(self, filters: int, size: int, activation: str = "relu") -> Model:
        """Add a Conv2D layer with padding "same"."""
        weights = {"kernel": (size, size, self._shape[-1], filters), "bias": (filters,)}
        return self.add(
            "Conv2D", (*self._shape[:-1], filters), weights, activation=activation,
            filters=filters, kernel_size=[size, size], strides=[1, 1], padding="same",
            data_format="channels_last", dilation_rate=[1, 1], groups=1, use_bias=True,
        )  # fmt: skip

    @property
    def state(self) -> ModelState:
        """The model as a capsule records it."""
        return ModelState(
            id=1, cls="keras.Sequential", keras="keras", name=self._name, layers=tuple(self.layers)
        )

    def plan(self, seed: int = 0) -> Plan:
        """Plan its probes."""
        return plan(self.state, self.tensors, seed)


def numbers(stretch: Stretch, style: int = 0) -> Numbers:
    """Return a stretch with the whole numbers of one of its styles."""
    draw = stretch.draws[style]
    layers = {
        layer.name: Layer(layer.name, layer.cls, layer.config, draw.weights[layer.name], 3)
        for layer in stretch.layers
    }
    inputs = dict(zip(map(stretch.start, stretch.inputs), draw.inputs, strict=True))
    return Numbers(layers, stretch.nodes(), inputs, stretch.outputs)


#: Changes what a setting makes, layer by layer.
Change = Callable[[str, AnyArray], AnyArray]


def capsule(
    model: Model,
    settings: Sequence[Setting] = (Setting("eager"), Setting("graph")),
    change: Mapping[str, Change] | None = None,
    lever: str = "",
    weights: Mapping[str, AnyArray] | None = None,
    label: str = "model",
) -> Capsule:
    """Return the exact capsule of a Sequential of which all is one stretch.

    ``change`` says by way what becomes of a layer's output; ``weights`` replaces weights of the
    first layer in the record; ``lever`` and ``label`` are what the probes say of themselves.
    """
    (stretch,) = model.plan().stretches
    arrays: dict[str, AnyArray] = {}

    def keep(name: str, values: AnyArray) -> Array:
        key = f"a{len(arrays)}"
        arrays[key] = values
        return Array(name=name, key=key, dtype=values.dtype.name, shape=values.shape)

    def weighed(layer: LayerState, own: Mapping[str, AnyArray]) -> LayerState:
        given = {**own, **(weights or {})} if layer.name.endswith("_0") else own
        records = tuple(
            each.model_copy(update={"array": keep(each.name, given[each.name])})
            for each in layer.weights
        )
        return layer.model_copy(update={"weights": records})

    states: list[ModelState] = []
    probes: list[Probe] = []
    for style, draw in enumerate(stretch.draws):
        part = StretchPart(label, 1, draw.style)
        exact = numbers(stretch, style).exact
        layers = tuple(weighed(layer, draw.weights[layer.name]) for layer in stretch.layers)
        states.append(model.state.model_copy(update={"name": part.name, "layers": layers}))
        x = keep("x", draw.inputs[0])
        for setting in settings:
            made = {
                name: (change or {}).get(setting.way, _same)(name, each.value.copy())
                for name, each in exact.items()
            }
            seen = tuple(
                LayerOutput(layer=name, inputs=(), outputs=(keep(name, y),))
                for name, y in made.items()
                if setting.every_layer
            )
            last = stretch.outputs[0]
            probes.append(
                Probe(
                    index=len(probes), label=f"{part.name}/{setting.label}", kind="call",
                    state=len(states) - 1, inputs=(x,), layers=seen,
                    outputs=() if seen else (keep(last, made[last]),),
                    exact=ExactProbe(
                        model=label, outcome="made", stretch=1, style=draw.style,
                        way=setting.way, rows=setting.rows, every_layer=setting.every_layer,
                        lever=lever, whole=stretch.whole,
                    ),
                )
            )  # fmt: skip
    manifest = Manifest(
        runner="replay", lever=LEVER, case="sample", status="ok",
        states=tuple(states), probes=tuple(probes),
    )  # fmt: skip
    return Capsule(manifest, arrays)


def _same(_name: str, y: AnyArray) -> AnyArray:
    return y
