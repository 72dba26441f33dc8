"""What an ensemble is asked to do: the data, the net, the optimiser, how long."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np

from _ensemble import kernel
from bridge._typing import F64, AnyArray
from bridge.errors import BridgeError

OptimizerName = Literal["adam", "rmsprop", "sgd"]

_KINDS: Final[dict[str, int]] = {
    "adam": kernel.ADAM,
    "rmsprop": kernel.RMSPROP,
    "sgd": kernel.SGD,
}


class PlanError(BridgeError, ValueError):
    """A plan asks for what cannot be trained; the message says what to change."""


@dataclass(frozen=True)
class Optimizer:
    """An optimiser of Keras 2 with its own defaults.

    The formulas are those of ``tf_keras/src/optimizers/{adam,rmsprop,sgd}.py``: Adam's epsilon
    stands outside the bias correction, which is folded into the rate of the step; RMSprop's stands
    under the root; RMSprop has no momentum here and is not centred.
    """

    name: OptimizerName = "adam"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7

    @property
    def kind(self) -> int:
        """The optimiser's number in :mod:`_ensemble.kernel`."""
        return _KINDS[self.name]

    def constants(self, dtype: str) -> AnyArray:
        """Return the kernel's constants; Keras takes 1 - beta as a double and casts it then."""
        pairs = {
            "adam": (1 - self.beta_1, 1 - self.beta_2),
            "rmsprop": (self.rho, 1 - self.rho),
            "sgd": (0.0, 0.0),
        }
        momentum = self.momentum if self.name == "sgd" else 0.0
        numbers = (self.learning_rate, *pairs[self.name], self.epsilon, momentum)
        return np.array(numbers, np.float32).astype(dtype)

    def alphas(self, steps: int, dtype: str) -> AnyArray:
        """Return Adam's rate of every step, shape (steps,): the bias corrections folded in.

        The constants are rounded to float32 whatever ``dtype`` is, as Keras rounds them.
        """
        number = np.dtype(dtype).type
        rate, first, second = (
            number(np.float32(each)) for each in (self.learning_rate, self.beta_1, self.beta_2)
        )
        step = np.arange(1, steps + 1).astype(dtype)
        one = number(1)
        with np.errstate(under="ignore"):
            alphas: AnyArray = rate * np.sqrt(one - second**step) / (one - first**step)
        return alphas


@dataclass(frozen=True, eq=False)
class Plan:
    """A net, its data and its training; the weights it starts from come apart.

    Args:
        x: points, shape (points,); rounded to float32, as Keras does.
        y: targets of the same shape.
        units: units of the hidden layer.
        epochs: how often all points are passed.
        optimizer: with its options.
        batch_size: points of a step, Keras' default 32; the last step of an epoch takes the rest.
        shuffle: take the points in a new order every epoch, each net in its own.
        leak: slope of the activation below zero: 0 is relu.
        dtype: what is computed in, ``float32`` as in Keras, or ``float64``.
        told: epochs after which the loss is kept, beside the last.

    Raises:
        PlanError: the plan cannot be trained.
    """

    x: AnyArray
    y: AnyArray
    units: int
    epochs: int
    optimizer: Optimizer = field(default_factory=Optimizer)
    batch_size: int = 32
    shuffle: bool = True
    leak: float = 0.0
    dtype: Literal["float32", "float64"] = "float32"
    told: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            values = np.ascontiguousarray(getattr(self, name), np.float32).astype(self.dtype)
            object.__setattr__(self, name, values)
        if self.x.ndim != 1 or self.x.shape != self.y.shape or not self.x.size:
            raise PlanError(
                f"x and y should be two rows of as many numbers, are {self.x.shape} and "
                f"{self.y.shape}."
            )
        for name in ("units", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise PlanError(f"{name} is {getattr(self, name)}; it should be 1 or more.")
        if any(not 1 <= epoch <= self.epochs for epoch in self.told):
            raise PlanError(f"told asks for an epoch that is none of 1 to {self.epochs}.")

    @property
    def numbers(self) -> int:
        """How many numbers a net has: a kernel, a bias and an output weight a unit, and a bias."""
        return 3 * self.units + 1

    @property
    def telling(self) -> tuple[int, ...]:
        """The epochs after which the loss is kept, rising; the last epoch is among them."""
        return tuple(sorted({*self.told, self.epochs}))

    @property
    def steps(self) -> int:
        """Steps of the optimiser in the whole training."""
        return self.epochs * -(-self.x.size // self.batch_size)

    def with_(self, **changes: Any) -> Self:
        """Return the plan with other settings."""
        return replace(self, **changes)

    def order(self, seed: int, epoch: int) -> AnyArray:
        """Return the order in which a net takes the points in an epoch, both counted from 0."""
        if not self.shuffle:
            return np.arange(self.x.size, dtype=np.int32)
        order: AnyArray = kernel.shuffled(self.x.size, seed, epoch)
        return order

    def key(self) -> str:
        """Return a name of everything that the result depends on, but for the nets themselves."""
        told = {
            name: value for name, value in vars(self).items() if name not in ("x", "y", "optimizer")
        }
        told |= {"optimizer": vars(self.optimizer), "kernel": _kernel()}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        digest.update(self.x.tobytes() + self.y.tobytes())
        return digest.hexdigest()


@cache
def _kernel() -> str:
    """Return a name of the code that trains: other code is another result."""
    return hashlib.sha256(Path(kernel.__file__).read_bytes()).hexdigest()


def glorot(units: int, seeds: AnyArray) -> F64:
    """Return weights as Keras starts them, each net's from its own seed.

    Kernels are uniform within sqrt(6 / (inputs + outputs)) of zero (GlorotUniform), biases 0.

    Returns:
        Shape (nets, 3 * units + 1): the units' kernels, their biases, the output's kernel, its
        bias.
    """
    limit = np.sqrt(6 / (1 + units))
    weights = np.zeros((len(seeds), 3 * units + 1))
    for row, seed in zip(weights, seeds, strict=True):
        drawn = np.random.default_rng([units, int(seed)]).uniform(-limit, limit, 2 * units)
        row[:units], row[2 * units : 3 * units] = drawn[:units], drawn[units:]
    return weights


def as_keras(weights: AnyArray) -> list[AnyArray]:
    """Return one net's numbers as ``set_weights`` of the two dense layers takes them, float32."""
    units = (len(weights) - 1) // 3
    kernel_, bias, out, last = np.split(weights.astype(np.float32), [units, 2 * units, 3 * units])
    return [kernel_.reshape(1, units), bias, out.reshape(units, 1), last]


def from_keras(weights: list[AnyArray]) -> AnyArray:
    """Return what ``get_weights`` of the two dense layers gives as one net's numbers."""
    return np.concatenate([np.ravel(each) for each in weights])
