"""One net, trained by Keras 2 itself: what an ensemble is held against."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.compare.numbers import AnyArray
from bridge.ensemble.bound import batches
from bridge.ensemble.plan import Plan, as_keras, from_keras


@dataclass(frozen=True, eq=False)
class Fitted:
    """What Keras made of a net.

    Attributes:
        weights: after every step if they were asked for, else at the start and at the end; shape
            (steps + 1 or 2, plan.numbers), float32.
        loss: mean squared error over all points at the end, as ``evaluate`` has it.
        seconds: how long the fit itself took.
    """

    weights: AnyArray
    loss: float
    seconds: float


def fit(plan: Plan, before: AnyArray, seed: int, steps: int | None = None) -> Fitted:
    """Train one net with ``tf_keras``, on the batches that the ensemble gives this net.

    Args:
        plan: what is trained.
        before: the weights that it starts with, shape (plan.numbers,).
        seed: the net's number.
        steps: stop after so many steps and keep the weights of each; None trains all epochs.
    """
    model = build(plan)
    model.set_weights(as_keras(before))
    seen = [from_keras(model.get_weights())]
    callbacks = [] if steps is None else [_watcher(seen)]

    def feed() -> Iterator[tuple[AnyArray, AnyArray]]:
        for x, y in batches(plan, seed):
            yield x.astype(np.float32)[:, None], y.astype(np.float32)[:, None]

    started = time.perf_counter()
    if steps is None:
        _fit_epochs(model, plan)
    else:
        model.fit(feed(), steps_per_epoch=steps, epochs=1, verbose=0, callbacks=callbacks)
    seconds = time.perf_counter() - started
    if steps is None:
        seen.append(from_keras(model.get_weights()))
    x, y = plan.x.astype(np.float32), plan.y.astype(np.float32)
    loss = model.evaluate(x[:, None], y[:, None], batch_size=len(x), verbose=0)
    return Fitted(np.array(seen), float(loss), seconds)


def build(plan: Plan) -> Any:
    """Return the plan's net as a compiled model of ``tf_keras``."""
    import tf_keras as keras

    layers = keras.layers
    hidden = [layers.Dense(plan.units, activation=None if plan.leak else "relu")]
    if plan.leak:
        hidden.append(layers.LeakyReLU(alpha=plan.leak))
    model = keras.Sequential([layers.InputLayer(input_shape=(1,)), *hidden, layers.Dense(1)])
    model.compile(optimizer=optimizer(plan), loss="mse")
    return model


def optimizer(plan: Plan) -> Any:
    """Return the plan's optimiser as ``tf_keras`` has it."""
    import tf_keras as keras

    ours = plan.optimizer
    if ours.name == "adam":
        return keras.optimizers.Adam(
            ours.learning_rate, beta_1=ours.beta_1, beta_2=ours.beta_2, epsilon=ours.epsilon
        )
    if ours.name == "rmsprop":
        return keras.optimizers.RMSprop(ours.learning_rate, rho=ours.rho, epsilon=ours.epsilon)
    return keras.optimizers.SGD(ours.learning_rate, momentum=ours.momentum)


def _fit_epochs(model: Any, plan: Plan) -> None:
    """Fit as a user would: Keras passes the data itself.

    Its orders of points are its own then, where ``plan`` shuffles: the time is the same.
    """
    x, y = plan.x.astype(np.float32)[:, None], plan.y.astype(np.float32)[:, None]
    model.fit(x, y, batch_size=plan.batch_size, epochs=plan.epochs, shuffle=plan.shuffle, verbose=0)


def _watcher(seen: list[AnyArray]) -> Any:
    import tf_keras as keras

    class Watcher(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, _batch: int, _logs: Any = None) -> None:
            seen.append(from_keras(self.model.get_weights()))

    return Watcher()
