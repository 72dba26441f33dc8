"""Generated layers, one by one: is what TensorFlow returns ever beyond a certified bound?

    python -m benchmarks.trust.layers [--layers 10000] [--first 0]

Every layer has a random class, configuration, type, weights and input, and is run eagerly; every
tenth as a graph and by XLA as well. What is printed is one line of JSON: layers, element checks,
violations (each with its seed), what was abstained from and why.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from benchmarks.trust.corpus import _UNARY_2, _UNARY_3  # noqa: E402
from bridge.rounding.ladder import LayerCase, judge_case  # noqa: E402
from bridge.rounding.rules import Layer  # noqa: E402

_POLICIES: Final = ("float32",) * 8 + ("mixed_bfloat16", "mixed_float16", "bfloat16", "float16")
_MERGES: Final = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")


class Draw:
    """A random layer with its inputs."""

    def __init__(self, keras: Any, generation: int, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 77])
        self.layers, self.generation = keras.layers, generation
        self.policy = self.pick(*_POLICIES)
        kinds = tuple(_KINDS)
        self.layer, self.inputs = _KINDS[kinds[seed % len(kinds)]](self)

    def pick(self, *choices: Any) -> Any:
        """Choose one."""
        return choices[int(self.rng.integers(len(choices)))]

    def size(self, most: int) -> int:
        """Choose a size, log-uniformly."""
        return round(float(np.exp(self.rng.uniform(0.0, np.log(most)))))

    def x(self, *shape: int) -> Any:
        """Draw an input of numbers, now and then of very unlike magnitudes."""
        x = self.rng.standard_normal((int(self.rng.integers(1, 9)), *shape))
        x = x * float(10.0 ** self.rng.uniform(-2, 2))
        if self.rng.random() < 0.15:
            x = x * 10.0 ** self.rng.uniform(-6, 3, x.shape)
        return x.astype(np.float32)

    def activation(self) -> str:
        """Choose a unary activation."""
        return str(self.pick(*(_UNARY_2 if self.generation == 2 else _UNARY_3)))

    def make(self, cls: str, **config: Any) -> Any:
        """Make a layer in the drawn type."""
        return getattr(self.layers, cls)(dtype=self.policy, **config)


def _dense(d: Draw) -> tuple[Any, list[Any]]:
    made = d.make(
        "Dense", units=d.size(64), activation=d.activation(), use_bias=d.pick(True, False)
    )
    return made, [d.x(d.size(1024))]


def _conv(rank: int, cls: str) -> Callable[[Draw], tuple[Any, list[Any]]]:
    def draw(d: Draw) -> tuple[Any, list[Any]]:
        side = int(d.rng.integers(3, (0, 20, 10, 6)[rank]))
        window = int(d.rng.integers(1, min(side, 4) + 1))
        config: dict[str, Any] = {
            "kernel_size": window,
            "strides": d.pick(1, 1, 2),
            "padding": d.pick("same", "valid"),
            "activation": d.activation(),
        }
        if "Depthwise" not in cls:
            config["filters"] = d.size(12)
        return d.make(cls.format(rank), **config), [d.x(*([side] * rank), d.size(12))]

    return draw


def _pool(rank: int) -> Callable[[Draw], tuple[Any, list[Any]]]:
    def draw(d: Draw) -> tuple[Any, list[Any]]:
        side = int(d.rng.integers(2, (0, 20, 10, 6)[rank]))
        x = [d.x(*([side] * rank), d.size(6))]
        if d.rng.random() < 0.3:
            return d.make(f"Global{d.pick('Max', 'Average')}Pooling{rank}D"), x
        window = int(d.rng.integers(1, min(side, 4) + 1))
        return d.make(f"{d.pick('Max', 'Average')}Pooling{rank}D", pool_size=window,
                      padding=d.pick("same", "valid")), x  # fmt: skip

    return draw


def _merge(d: Draw) -> tuple[Any, list[Any]]:
    shape = [d.size(12) for _ in range(int(d.rng.integers(1, 4)))]
    first = d.x(*shape)
    others = [(first * d.rng.standard_normal(first.shape)).astype(np.float32) for _ in range(3)]
    cls = d.pick(*_MERGES)
    return d.make(cls), [first, *others[: 1 if cls == "Subtract" else d.pick(1, 2, 3)]]


def _dot(d: Draw) -> tuple[Any, list[Any]]:
    first = d.x(d.size(300))
    return d.make("Dot", axes=1), [first, d.rng.standard_normal(first.shape).astype(np.float32)]


def _norm(d: Draw) -> tuple[Any, list[Any]]:
    x = d.x(*(d.size(16) for _ in range(int(d.rng.integers(1, 4)))))
    return d.make(d.pick("BatchNormalization", "LayerNormalization")), [x]


def _unary(d: Draw) -> tuple[Any, list[Any]]:
    cls = d.pick("Activation", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "PReLU")
    config = {"activation": d.activation()} if cls == "Activation" else {}
    return d.make(cls, **config), [d.x(d.size(100))]


def _recurrent(d: Draw) -> tuple[Any, list[Any]]:
    config: dict[str, Any] = {"units": d.size(16), "return_sequences": d.pick(True, True, False)}
    cls = d.pick("SimpleRNN", "LSTM", "GRU")
    if cls == "GRU":
        config["reset_after"] = d.pick(True, False)
    if d.rng.random() < 0.2:
        config["go_backwards"] = True
    return d.make(cls, **config), [d.x(int(d.rng.integers(1, 9)), d.size(12))]


def _moving(d: Draw) -> tuple[Any, list[Any]]:
    x = d.x(4, 6, 3)
    cls, config = d.pick(
        ("Flatten", {}), ("Permute", {"dims": (2, 3, 1)}), ("Reshape", {"target_shape": (6, -1)}),
        ("ZeroPadding2D", {"padding": 1}), ("Cropping2D", {"cropping": 1}),
        ("UpSampling2D", {"size": 2}), ("Rescaling", {"scale": 1 / 255.0, "offset": 0.1}),
    )  # fmt: skip
    return d.make(cls, **config), [x]


def _embedding(d: Draw) -> tuple[Any, list[Any]]:
    rows = d.size(200)
    indices = d.rng.integers(0, rows, (4, 7)).astype(np.int32)
    return d.make("Embedding", input_dim=rows, output_dim=d.size(32)), [indices]


_KINDS: Final[dict[str, Callable[[Draw], tuple[Any, list[Any]]]]] = {
    "dense": _dense,
    "conv 1": _conv(1, "Conv{}D"),
    "conv 2": _conv(2, "Conv{}D"),
    "conv 3": _conv(3, "Conv{}D"),
    "depthwise": _conv(2, "DepthwiseConv{}D"),
    "separable": _conv(2, "SeparableConv{}D"),
    "transposed": _conv(2, "Conv{}DTranspose"),
    "pool 1": _pool(1),
    "pool 2": _pool(2),
    "pool 3": _pool(3),
    "merge": _merge,
    "dot": _dot,
    "norm": _norm,
    "unary": _unary,
    "recurrent": _recurrent,
    "moving": _moving,
    "embedding": _embedding,
    "dense again": _dense,
}


def _weigh(layer: Any, rng: np.random.Generator) -> None:
    values = []
    for weight in layer.weights:
        name, shape = str(weight.name), tuple(int(part) for part in weight.shape)
        if "variance" in name:
            values.append(rng.uniform(1e-3, 3.0, shape))
        else:
            fan_in = max(1, int(np.prod(shape[:-1]))) if len(shape) > 1 else 4
            values.append(rng.standard_normal(shape) * rng.choice([0.3, 1.0, 3.0]) / fan_in**0.5)
    if values:
        layer.set_weights([value.astype(np.float32) for value in values])


def _described(layer: Any, generation: Any) -> Layer:
    from tests.tensorflow_ways import described

    return described(layer, generation)


def _ways(layer: Any, seed: int) -> Iterator[tuple[str, Callable[..., Any]]]:
    import tensorflow as tf

    yield "eager", layer
    if seed % 10 == 0:
        yield "graph", tf.function(layer)
        yield "xla", tf.function(layer, jit_compile=True)


def check(keras: Any, generation: int, seed: int, found: dict[str, Any]) -> None:
    """Draw a layer, run it and judge what it returned."""
    import tensorflow as tf

    try:
        drawn = Draw(keras, generation, seed)
        given = drawn.inputs[0] if len(drawn.inputs) == 1 else drawn.inputs
        drawn.layer(given)
        _weigh(drawn.layer, drawn.rng)
    except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
        # Keras itself refuses some combinations.
        found["refused"].append(f"{type(error).__name__}: {error}"[:80])
        return
    for way, run in _ways(drawn.layer, seed):
        try:
            made = run(given)
        except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
            found["refused"].append(f"{way}: {type(error).__name__}: {error}"[:80])
            continue
        outputs = [np.asarray(y) for y in (made if isinstance(made, (list, tuple)) else [made])]
        layer = _described(drawn.layer, generation)
        verdict = judge_case(LayerCase(layer, tuple(drawn.inputs), tuple(outputs)))
        name = f"{layer.cls.rpartition('.')[2]} in {drawn.policy}"
        if verdict.verdict == "abstained":
            why = f"{name}: {verdict.why}"
            found["abstained"][why] = found["abstained"].get(why, 0) + 1
            continue
        found["layers"] += 1
        found["elements"] += verdict.points
        if verdict.verdict == "different":
            said = f"{verdict.why} (ratio {verdict.max_ratio:.3g}) {layer.config}"
            found["violated"].append(f"seed {seed}, {way}, {name}: {said}"[:400])


def main() -> None:
    """Check the layers and print what was found."""
    import keras
    import tf_keras

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    found: dict[str, Any] = {
        "layers": 0, "elements": 0, "violated": [], "abstained": {}, "refused": [],
    }  # fmt: skip
    seed = options.first
    while found["layers"] < options.layers:
        generation = 2 + (seed // len(_KINDS)) % 2
        package = tf_keras if generation == 2 else keras
        if seed % 200 == 0:
            package.backend.clear_session()
        check(package, generation, seed, found)
        seed += 1
        if seed % 100 == 0 and sys.stderr.isatty():
            print(f"{found['layers']:,} layers, {len(found['violated'])} violated", file=sys.stderr)
    refused = found.pop("refused")
    print(json.dumps(found | {"refused": len(refused), "seeds": seed - options.first}))


if __name__ == "__main__":
    main()
