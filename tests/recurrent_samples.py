"""Recurrent layers written out in float32, unit by unit, with the order of every sum open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from bridge.rounding.rules import Layer
from tests.compare_samples import F32
from tests.orders import Order, flush, flushing, layer

KINDS: Final = ("SimpleRNN", "LSTM", "GRU")
GATES: Final = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def _share(parts: Any) -> Any:
    return parts / parts.sum(axis=-1, keepdims=True)


FUNCTIONS: Final[dict[str, Any]] = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0.0),
    "linear": lambda z: z,
    "hard_sigmoid": lambda z: np.clip(z + 3.0, 0.0, 6.0) / 6.0,
    "softmax": lambda z: _share(np.exp(z - z.max(axis=-1, keepdims=True))),
}


@dataclass
class Rnn:
    """A recurrent layer of a sample."""

    kind: str
    kernel: F32
    recurrent: F32
    bias: F32 | None
    activation: str = "tanh"
    gate: str = "sigmoid"
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> int:
        return int(self.recurrent.shape[0])

    def layer(self, **config: Any) -> Layer:
        """Describe it as a capsule does."""
        weights = {"kernel": self.kernel, "recurrent_kernel": self.recurrent}
        if self.bias is not None:
            weights["bias"] = self.bias
        known = {
            "units": self.units,
            "use_bias": self.bias is not None,
            "activation": self.activation,
            "return_sequences": True,
        }
        if self.kind != "SimpleRNN":
            known["recurrent_activation"] = self.gate
        if self.kind == "GRU":
            known["reset_after"] = self.after
        return layer(self.kind, known | self.config | config, **weights)

    @property
    def after(self) -> bool:
        return bool(self.config.get("reset_after", self.bias is None or self.bias.ndim == 2))

    def run(
        self, x: F32, order: Order, states: tuple[F32, ...] = (), forgetful: bool = False
    ) -> tuple[F32, tuple[F32, ...]]:
        """Return the sequence (rows, time, units) and the last states.

        A ``forgetful`` one begins every step with the states of the first.
        """
        zero = np.zeros((len(x), self.units), np.float32)
        first = states or (zero,) * (2 if self.kind == "LSTM" else 1)
        made: list[F32] = []
        last = first
        for time in range(x.shape[1]):
            last = self._step(x[:, time], first if forgetful else last, order)
            made.append(last[0])
        return np.stack(made, axis=1), last

    def _step(self, x: F32, states: tuple[F32, ...], order: Order) -> tuple[F32, ...]:
        done = flush if order is flushing else np.asarray
        h = states[0]
        if self.kind == "SimpleRNN":
            return (self._act(self.activation, self._sum(x, h, 0, order)),)
        if self.kind == "LSTM":
            i, f, g, o = (self._sum(x, h, gate, order) for gate in range(4))
            i, f, o = (self._act(self.gate, z) for z in (i, f, o))
            c = done(done(f * states[1]) + done(i * self._act(self.activation, g)))
            return done(o * self._act(self.activation, c)), c
        z, r = (self._act(self.gate, self._sum(x, h, gate, order)) for gate in range(2))
        if self.after:
            own = [*self._terms(x, self.kernel, 2), *self._biases(0, 2)]
            inner = self._add([*self._terms(h, self.recurrent, 2), *self._biases(1, 2)], order)
            candidate = self._add([*own, done(r * inner)], order)
        else:
            candidate = self._sum(x, done(r * h), 2, order)
        rest = done(np.float32(1) - z)
        return (done(done(z * h) + done(rest * self._act(self.activation, candidate))),)

    def _sum(self, x: F32, h: F32, gate: int, order: Order) -> F32:
        terms = [*self._terms(x, self.kernel, gate), *self._terms(h, self.recurrent, gate)]
        return self._add([*terms, *self._biases(0, gate), *self._biases(1, gate)], order)

    def _terms(self, x: F32, w: F32, gate: int) -> list[F32]:
        columns = w[:, gate * self.units : (gate + 1) * self.units]
        return [x[:, [row]] * columns[row] for row in range(len(w))]

    def _biases(self, row: int, gate: int) -> list[F32]:
        if self.bias is None or (row and self.bias.ndim == 1):
            return []
        rows = self.bias.reshape(-1, self.bias.shape[-1])
        return [rows[row, gate * self.units : (gate + 1) * self.units]]

    @staticmethod
    def _add(terms: list[F32], order: Order) -> F32:
        done = flush if order is flushing else np.asarray
        parts: list[Any] = [done(term) for term in terms]
        return order(np.stack(np.broadcast_arrays(*parts), axis=-1))

    @staticmethod
    def _act(name: str, z: F32) -> F32:
        found: F32 = FUNCTIONS[name](z.astype(np.float64)).astype(np.float32)
        return found


def sample(
    rng: np.random.Generator,
    kind: str,
    features: int,
    units: int,
    scale: float = 1.0,
    biases: int = 1,
    **chosen: Any,
) -> Rnn:
    """Return a layer with weights about as large as Keras initialises them, times ``scale``."""
    columns = GATES[kind] * units
    kernel = rng.standard_normal((features, columns)) * scale / np.sqrt(features)
    recurrent = rng.standard_normal((units, columns)) * scale / np.sqrt(units)
    shape = {0: None, 1: (columns,), 2: (2, columns)}[biases]
    bias = None if shape is None else (rng.standard_normal(shape) * 0.3 * scale).astype("f4")
    return Rnn(kind, kernel.astype("f4"), recurrent.astype("f4"), bias, **chosen)


@st.composite
def rnns(draw: st.DrawFn) -> tuple[Rnn, F32]:
    """Draw a layer and its input: scales, activations, sums that cancel."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(KINDS))
    biases = draw(st.integers(0, 2 if kind == "GRU" else 1))
    config = {"reset_after": draw(st.booleans())} if kind == "GRU" and not biases else {}
    features, units, rows, time = (draw(st.integers(1, 5)) for _ in range(4))
    made = sample(
        rng, kind, features, units, draw(st.sampled_from([0.1, 1.0, 4.0])), biases,
        activation=draw(st.sampled_from(sorted(FUNCTIONS))),
        gate=draw(st.sampled_from(["sigmoid", "hard_sigmoid", "tanh", "softmax"])),
        config=config,
    )  # fmt: skip
    x = rng.standard_normal((rows, time, features)) * 10.0 ** draw(st.sampled_from([-38, -3, 0, 1]))
    if draw(st.booleans()):
        # What is added first is taken away again.
        made.kernel = np.abs(made.kernel) * (-1.0) ** np.arange(features)[:, np.newaxis].astype(
            "f4"
        )
        made.kernel = made.kernel.astype("f4")
        x = np.full_like(x, x.flat[0]) * (1.0 + 1e-7 * rng.standard_normal(x.shape))
    if draw(st.booleans()):
        x = x * 10.0 ** rng.uniform(-8, 2, x.shape)
    return made, x.astype("f4")
