"""Seeded models of every layer family, with weights and inputs: the same from the same seed.

A model is built twice over, in fact: as layers of Keras, and as a list of steps that says which
layer is called on whose outputs, so that it can be run layer by layer without asking Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

ROWS: Final = 128
FAMILIES: Final = ("plain", "dense", "image", "sequence", "indices", "volume")

_UNARY_2: Final = (
    "linear", "relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "silu",
    "mish", "leaky_relu", "relu6", "hard_sigmoid",
)  # fmt: skip
_UNARY_3: Final = (*_UNARY_2, "log_sigmoid", "hard_silu", "celu", "hard_tanh", "squareplus")


@dataclass
class Step:
    """A layer and the names of what it is called on: other steps, or inputs."""

    layer: Any
    inbound: tuple[str, ...]


@dataclass
class Model:
    """A model as steps, the last of which makes the output."""

    seed: int
    family: str
    generation: int
    inputs: dict[str, np.ndarray[Any, Any]]
    steps: list[Step] = field(default_factory=list)
    keras: Any = None

    @property
    def output(self) -> str:
        """The name of the last step."""
        return str(self.steps[-1].layer.name)


class _Builder:
    """Grows a model step by step."""

    def __init__(self, keras: Any, generation: int, seed: int) -> None:
        self.keras, self.generation = keras, generation
        self.layers = keras.layers
        self.rng = np.random.default_rng([seed, generation])
        self.steps: list[Step] = []
        self.tensors: dict[str, Any] = {}
        self.last = ""

    def add(self, cls: str, *inbound: str, **config: Any) -> str:
        """Call a new layer on the given steps, by default on the last."""
        inbound = inbound or (self.last,)
        name = f"{cls.lower()}_{len(self.steps)}"
        layer = getattr(self.layers, cls)(name=name, **config)
        given = [self.tensors[each] for each in inbound]
        self.tensors[name] = layer(given[0] if len(given) == 1 else given)
        self.steps.append(Step(layer, inbound))
        self.last = name
        return name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the last output without its batch axis."""
        return tuple(int(part) for part in self.tensors[self.last].shape[1:])

    def pick(self, *choices: Any) -> Any:
        """Choose one."""
        return choices[int(self.rng.integers(len(choices)))]

    def activation(self) -> str:
        """Choose a unary activation."""
        return str(self.pick(*(_UNARY_2 if self.generation == 2 else _UNARY_3)))

    def width(self, most: int) -> int:
        """Choose a width, log-uniformly."""
        return round(float(np.exp(self.rng.uniform(0.0, np.log(most)))))

    def chance(self, share: float) -> bool:
        """Decide at random."""
        return bool(self.rng.random() < share)


def make(keras: Any, generation: int, seed: int) -> Model:
    """Build the model of a seed; its family goes round."""
    family = FAMILIES[seed % len(FAMILIES)]
    keras.backend.clear_session()
    builder = _Builder(keras, generation, seed)
    x = _GROW[family](builder)
    model = Model(seed, family, generation, x, builder.steps)
    tensors = builder.tensors
    model.keras = keras.Model([tensors[name] for name in x], tensors[model.output])
    _set_weights(model, builder.rng)
    return model


def _input(builder: _Builder, shape: tuple[int, ...], most: int | None = None) -> dict[str, Any]:
    name = f"input_{len(builder.tensors)}"
    scale = float(10.0 ** builder.rng.uniform(-1, 1))
    if most is None:
        values: Any = (builder.rng.standard_normal((ROWS, *shape)) * scale).astype(np.float32)
    else:
        values = builder.rng.integers(0, most, (ROWS, *shape)).astype(np.int32)
    builder.tensors[name] = builder.keras.Input(shape, dtype=values.dtype.name, name=name)
    builder.last = name
    return {name: values}


def _plain(b: _Builder) -> dict[str, Any]:
    """Dense layers whose activations do not round, which NumPy can do in any order."""
    x = _input(b, (b.width(1024),))
    for _ in range(int(b.rng.integers(2, 31))):
        b.add("Dense", units=b.width(256), activation=b.pick("relu", "linear"))
    return x


def _dense(b: _Builder) -> dict[str, Any]:
    x = _input(b, (b.width(1024),))
    # One wide layer costs as much as thirty narrow ones.
    most = b.pick(32, 64, 128, 1024)
    depth = int(b.rng.integers(2, 31)) if most < 1024 else int(b.rng.integers(2, 5))
    for number in range(depth):
        before = b.last
        b.add("Dense", units=b.width(most), activation=b.activation(), use_bias=b.chance(0.9))
        _between(b, before)
        if number % 7 == 6:
            b.add("Dropout", rate=0.3)
    if b.chance(0.5):
        b.add("Dense", units=b.width(20), activation=b.pick("softmax", "linear", "sigmoid"))
    return x


def _between(b: _Builder, before: str) -> None:
    """Perhaps add what often stands between two layers with weights."""
    kind = int(b.rng.integers(12))
    if kind == 0:
        b.add("BatchNormalization", epsilon=float(b.pick(1e-3, 1e-5)))
    elif kind == 1:
        b.add("LayerNormalization")
    elif kind == 2:
        b.add("Activation", activation=b.activation())
    elif kind == 3:
        b.add("LeakyReLU")
    elif kind == 4:
        b.add(b.pick("ReLU", "ELU", "Softmax", "PReLU"))
    elif kind == 5 and b.tensors[before].shape[1:] == b.tensors[b.last].shape[1:]:
        merge = b.pick("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
        b.add(merge, before, b.last)
    elif kind == 6 and len(b.shape) == 1 and b.shape[0] < 300:
        b.add("Concatenate", before, b.last)
    elif kind == 7 and len(b.shape) == 1 and b.tensors[before].shape[1:] == (b.shape[0],):
        b.add("Dot", before, b.last, axes=1)
        b.add("Dense", units=b.width(16))


def _image(b: _Builder) -> dict[str, Any]:
    side = int(b.rng.integers(6, 15))
    x = _input(b, (side, side, int(b.pick(1, 2, 3, 4))))
    for _ in range(int(b.rng.integers(2, 8))):
        before = b.last
        _spatial(b, 2)
        if b.chance(0.4):
            _between(b, before)
        if b.chance(0.15):
            b.add("ZeroPadding2D", padding=((1, 0), (0, 2)))
        if b.chance(0.1) and min(b.shape[:2]) > 3:
            b.add("Cropping2D", cropping=1)
        if b.chance(0.1) and max(b.shape[:2]) < 10:
            b.add("UpSampling2D", size=2)
        if b.chance(0.1):
            b.add("Permute", dims=(2, 1, 3))
    return _head(b, x, 2)


def _spatial(b: _Builder, rank: int) -> None:
    """Add a convolution or a pooling over ``rank`` axes."""
    smallest = min(b.shape[:rank])
    window = int(b.rng.integers(1, min(4, smallest) + 1))
    stride = int(b.pick(1, 1, 2))
    padding = b.pick("same", "valid")
    filters = b.width(16 if rank == 3 else 32)
    kind = int(b.rng.integers(6))
    common = {"strides": stride, "padding": padding}
    if kind == 0 and smallest > 2:
        b.add(f"{b.pick('Max', 'Average')}Pooling{rank}D", pool_size=window, **common)
    elif kind == 1 and rank < 3:
        b.add(f"DepthwiseConv{rank}D", kernel_size=window, depth_multiplier=int(b.pick(1, 2)),
              activation=b.activation(), **common)  # fmt: skip
    elif kind == 2 and rank < 3:
        b.add(f"SeparableConv{rank}D", filters=filters, kernel_size=window,
              activation=b.activation(), **common)  # fmt: skip
    elif kind == 3 and max(b.shape[:rank]) < 12:
        b.add(f"Conv{rank}DTranspose", filters=filters, kernel_size=window,
              activation=b.activation(), **common)  # fmt: skip
    else:
        dilation = int(b.pick(1, 1, 2)) if stride == 1 and smallest > 2 * window else 1
        b.add(f"Conv{rank}D", filters=filters, kernel_size=window, dilation_rate=dilation,
              activation=b.activation(), **common)  # fmt: skip


def _head(b: _Builder, x: dict[str, Any], rank: int) -> dict[str, Any]:
    if b.chance(0.5):
        b.add(f"Global{b.pick('Average', 'Max')}Pooling{rank}D")
    else:
        b.add("Flatten")
    b.add("Dense", units=b.width(32), activation=b.activation())
    b.add("Dense", units=b.width(10), activation=b.pick("softmax", "linear", "sigmoid"))
    return x


def _recurrent(b: _Builder) -> None:
    cls = b.pick("SimpleRNN", "LSTM", "GRU")
    config = {"units": b.width(24), "return_sequences": True}
    if cls == "GRU":
        config["reset_after"] = b.chance(0.5)
    b.add(cls, **config)


def _sequence(b: _Builder) -> dict[str, Any]:
    x = _input(b, (int(b.rng.integers(3, 17)), b.width(16)))
    return _along(b, x)


def _along(b: _Builder, x: dict[str, Any]) -> dict[str, Any]:
    for _ in range(int(b.rng.integers(1, 6))):
        before = b.last
        if b.chance(0.4):
            _recurrent(b)
        elif b.chance(0.2):
            b.add("Dense", units=b.width(64), activation=b.activation())
        else:
            _spatial(b, 1)
        if b.chance(0.4):
            _between(b, before)
        if b.chance(0.1):
            b.add("ZeroPadding1D", padding=(1, 2))
        if b.chance(0.1) and b.shape[0] < 12:
            b.add("UpSampling1D", size=2)
    if b.chance(0.3):
        b.add(b.pick("SimpleRNN", "LSTM", "GRU"), units=b.width(24))
        b.add("Dense", units=b.width(10))
        return x
    return _head(b, x, 1)


def _indices(b: _Builder) -> dict[str, Any]:
    most = b.width(500) + 2
    x = _input(b, (int(b.rng.integers(3, 17)),), most)
    b.add("Embedding", input_dim=most, output_dim=b.width(32))
    return _along(b, x)


def _volume(b: _Builder) -> dict[str, Any]:
    side = int(b.rng.integers(4, 8))
    x = _input(b, (side, side, side, int(b.pick(1, 2))))
    for _ in range(int(b.rng.integers(2, 5))):
        before = b.last
        _spatial(b, 3)
        if b.chance(0.3):
            _between(b, before)
    return _head(b, x, 3)


_GROW: Final[dict[str, Callable[[_Builder], dict[str, Any]]]] = {
    "plain": _plain,
    "dense": _dense,
    "image": _image,
    "sequence": _sequence,
    "indices": _indices,
    "volume": _volume,
}


def _set_weights(model: Model, rng: np.random.Generator) -> None:
    for step in model.steps:
        layer = step.layer
        values = []
        for weight in layer.weights:
            name = str(weight.name).rpartition("/")[2].partition(":")[0]
            shape = tuple(int(part) for part in weight.shape)
            if "variance" in name or "gamma" in name:
                value = rng.uniform(0.4, 1.8, shape)
            elif "kernel" in name or "embedding" in name:
                fan_in = max(1, int(np.prod(shape[:-1])))
                value = rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)
            else:
                value = rng.standard_normal(shape) * 0.4
            values.append(value.astype(np.float32))
        if values:
            layer.set_weights(values)
