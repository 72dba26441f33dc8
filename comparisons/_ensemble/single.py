"""One net by itself: trained by Keras 2, and in float64 with a bound on what rounding may do.

A fit of Keras is what an ensemble is held against, and the running bound is what decides whether
the two are the same training. That training is done once in float64, step by step, with the
Jacobian of every step. Each rounding of the float32 training is then followed to the end: what a
step may do wrong (the standard bounds of its sums and products, whatever order they are added in,
fused or not) is multiplied by the Jacobians of the steps that follow, and the sizes are added up.
To first order in 2^-24 a float32 training of the same formulas cannot be further from the float64
one than that; so a training that is further is another training. Signs are kept until the end: the
gradient's error enters both of Adam's averages, and there it cancels for the most part.

Where a point is so near to a unit's bend that rounding may put it on either side, the whole of what
it adds to the gradient counts as error. Where training is chaotic the bound grows until it says
nothing; :attr:`Exact.says_nothing_after` tells when.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from _ensemble import kernel
from _ensemble.plan import Plan, as_keras, from_keras
from bridge._typing import F64, AnyArray

#: Half the distance of 1 to the next float32: the most that one rounding does, relatively.
ROUNDING = 2.0**-24


@dataclass(frozen=True, eq=False)
class Exact:
    """One net's training in float64, and the bound.

    Attributes:
        weights: after every step, shape (steps + 1, numbers); the first are those at the start.
        bound: how far float32 may be from them, of the same shape; may be infinite.
    """

    weights: F64
    bound: F64

    @property
    def says_nothing_after(self) -> int:
        """The last step at which the bound is smaller than the way the net has come."""
        way = np.abs(self.weights - self.weights[0]).max(axis=1)
        vain = np.flatnonzero(self.bound.max(axis=1)[1:] >= way[1:])
        return int(vain[0]) if len(vain) else len(self.weights) - 1

    def reach(self, seen: AnyArray) -> F64:
        """Return how much of the bound other weights take up at each step: 1 is all of it.

        Args:
            seen: weights after every step, shape (steps + 1, numbers).
        """
        distance = np.abs(seen.astype(np.float64) - self.weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            taken = np.where(distance == 0, 0.0, distance / self.bound)
        shares: F64 = taken.max(axis=1)
        return np.where(np.isnan(seen).any(axis=1), np.inf, shares)


def batches(plan: Plan, seed: int) -> Iterator[tuple[AnyArray, AnyArray]]:
    """Yield the points and targets of every step of a net, in order."""
    for epoch in range(plan.epochs):
        order = plan.order(seed, epoch)
        for lo in range(0, len(order), plan.batch_size):
            chosen = order[lo : lo + plan.batch_size]
            yield plan.x[chosen], plan.y[chosen]


def exact_training(plan: Plan, before: AnyArray, seed: int, steps: int) -> Exact:
    """Follow one net for ``steps`` steps.

    Args:
        plan: what is trained.
        before: the weights that it starts with, shape (plan.numbers,).
        seed: the net's number, which decides its order of points.
        steps: at most ``plan.steps``.
    """
    state = np.zeros((3, plan.numbers))
    state[0] = before.astype(np.float32)
    # Columns are single roundings; rows say how far each has moved weights and slots by now.
    errors = np.zeros((3 * plan.numbers, 0))
    weights, bounds = [state[0].copy()], [np.zeros(plan.numbers)]
    alphas = plan.optimizer.alphas(steps, "float64")
    for number, (x, y) in zip(range(steps), batches(plan, seed), strict=False):
        with np.errstate(all="ignore"):
            gradient = _Gradient(plan, state[0], x.astype(np.float64), y.astype(np.float64))
            uncertain = gradient.uncertain(bounds[-1])
            step = _Step(plan, state, gradient.value, float(alphas[number]), number + 1)
            errors = np.hstack(
                [step.carry(errors, gradient.slope), step.entering(uncertain), step.own()]
            )
            state = step.after
            bound = np.abs(errors[: plan.numbers]).sum(axis=1)
        weights.append(state[0].copy())
        bounds.append(np.where(np.isnan(bound), np.inf, bound))
    return Exact(np.array(weights), np.array(bounds))


class _Gradient:
    """The gradient of a batch, its Jacobian, and how wrong float32 may have it."""

    def __init__(self, plan: Plan, weights: F64, x: F64, y: F64) -> None:
        n = plan.units
        self._x, self._n, self._leak = x, n, float(np.float32(plan.leak))
        self._w, self._b, self._v, self._c = (
            weights[:n], weights[n : 2 * n], weights[2 * n : 3 * n], weights[3 * n],
        )  # fmt: skip
        self._product = x[:, None] * self._w
        self._a = self._product + self._b
        self._slope = np.where(self._a > 0, 1.0, self._leak)
        self._h = self._slope * self._a
        self._made = self._h @ self._v + self._c
        self._error = self._made - y
        self._d = 2 * self._error / len(x)
        t = self._d[:, None] * self._v * self._slope
        self._terms = np.hstack([t * x[:, None], t, self._d[:, None] * self._h, self._d[:, None]])
        self.value: F64 = self._terms.sum(axis=0)
        self.slope = self._jacobian()

    def _jacobian(self) -> F64:
        n, x, s = self._n, self._x[:, None], self._slope
        each = np.hstack([self._v * s * x, self._v * s, self._h, np.ones_like(x)])
        found: F64 = 2 / len(x) * each.T @ each
        for j in range(n):
            by_kernel, by_bias = self._d @ (s[:, j] * self._x), self._d @ s[:, j]
            for row, value in ((j, by_kernel), (n + j, by_bias)):
                found[row, 2 * n + j] += value
                found[2 * n + j, row] += value
        return found

    def uncertain(self, moved: F64) -> F64:
        """Bound the error of each number of the gradient; ``moved`` bounds that of the weights."""
        u, n, points = ROUNDING, self._n, len(self._x)
        size = np.abs
        x = size(self._x)[:, None]
        da = u * size(self._product) + u * size(self._a)
        dh = self._slope * da + (u * size(self._h) if self._leak else 0.0)
        dmade = dh @ size(self._v) + 2 * n * u * (size(self._h) @ size(self._v))
        derror = dmade + u * size(self._made) + u * size(self._error)
        dd = (2 / points * derror + 3 * u * size(self._d))[:, None]
        dt = self._slope * size(self._v) * dd
        single = np.hstack([dt * x, dt, dd * size(self._h) + size(self._d)[:, None] * dh, dd])
        # Three products at most make a term, and the terms are added in any order.
        rounded = (points + 3) * u * size(self._terms)
        # A point whose activation may have the other sign: its whole step from slope to slope.
        near = size(self._a) <= da + moved[:n] * x + moved[n : 2 * n]
        jump = near * size(self._d)[:, None] * size(self._v) * (1 - self._leak)
        flipped = np.hstack([jump * x, jump, np.zeros_like(jump), np.zeros_like(x)])
        bound: F64 = (single + rounded + flipped).sum(axis=0)
        return bound


class _Step:
    """One step of an optimiser, and what it does to errors that are there and to new ones."""

    def __init__(self, plan: Plan, state: F64, g: F64, alpha: float, number: int) -> None:
        self._kind = plan.optimizer.kind
        c = plan.optimizer.constants("float64")
        w, m, v = state
        zeros = np.zeros_like(g)
        u = ROUNDING
        # Diagonals of the Jacobians: by the slots and by the gradient.
        if self._kind == kernel.ADAM:
            first, second, epsilon = c[kernel.FIRST], c[kernel.SECOND], c[kernel.EPSILON]
            m1 = m + (g - m) * first
            v1 = v + (g * g - v) * second
            root = np.sqrt(v1) + epsilon
            moved = m1 * alpha / root
            by_m1 = alpha / root
            by_v1 = np.where(v1 > 0, -moved / root / (2 * np.sqrt(v1)), 0.0)
            self._m_m, self._v_v = 1 - first, 1 - second
            self._m_g, self._v_g = np.full_like(g, first), 2 * g * second
            self._w_m1, self._w_v1, self._w_g = -by_m1, -by_v1, zeros
            dm = u * np.abs(m1) + 2 * u * np.abs((g - m) * first)
            dv = u * np.abs(v1) + second * (u * g * g + 2 * u * np.abs(g * g - v))
            dw = np.abs(moved) * (_alpha_error(plan, number) + 6 * u)
        elif self._kind == kernel.RMSPROP:
            rate, rho, rest = c[kernel.RATE], c[kernel.FIRST], c[kernel.SECOND]
            m1 = m
            v1 = rho * v + rest * g * g
            under = v1 + c[kernel.EPSILON]
            moved = rate * g / np.sqrt(under)
            self._m_m, self._v_v = 1.0, rho
            self._m_g, self._v_g = zeros, 2 * g * rest
            self._w_m1, self._w_v1 = zeros, moved / (2 * under)
            self._w_g = -rate / np.sqrt(under)
            dm, dv = zeros, 4 * u * v1
            # The reciprocal root may be a fast one with two roundings more.
            dw = np.abs(moved) * 7 * u
        else:
            rate, momentum = c[kernel.RATE], c[kernel.MOMENTUM]
            m1, v1 = m * momentum - g * rate, v
            moved = -m1
            self._m_m, self._v_v = momentum, 1.0
            self._m_g, self._v_g = np.full_like(g, -rate), zeros
            self._w_m1, self._w_v1, self._w_g = np.ones_like(g), zeros, zeros
            dm = u * np.abs(g * rate) + u * np.abs(m * momentum) + u * np.abs(m1)
            dv, dw = zeros, zeros
        after = w - moved
        self.after: F64 = np.array([after, m1, v1])
        self._own = (dm, dv, dw + u * np.abs(after))

    def carry(self, errors: F64, slope: F64) -> F64:
        """Return what becomes of errors of weights and slots, the gradient's change included."""
        w, m, v = np.split(errors, 3)
        return self._through(w, self._m_m * m, self._v_v * v, slope @ w)

    def entering(self, uncertain: F64) -> F64:
        """Return what becomes of errors of the gradient, each number's in a column."""
        nothing = np.zeros((len(uncertain), len(uncertain)))
        return self._through(nothing, nothing, nothing, np.diag(uncertain))

    def own(self) -> F64:
        """Return the step's own roundings, each in a column."""
        dm, dv, dw = (np.diag(each) for each in self._own)
        nothing = np.zeros_like(dm)
        slots = self._through(
            np.hstack([nothing, nothing]),
            np.hstack([dm, nothing]),
            np.hstack([nothing, dv]),
            np.hstack([nothing, nothing]),
        )
        return np.hstack([slots, np.vstack([dw, nothing, nothing])])

    def _through(self, w: F64, m: F64, v: F64, g: F64) -> F64:
        m1 = m + self._m_g[:, None] * g
        v1 = v + self._v_g[:, None] * g
        w1 = w + self._w_m1[:, None] * m1 + self._w_v1[:, None] * v1 + self._w_g[:, None] * g
        return np.vstack([w1, m1, v1])


def _alpha_error(plan: Plan, number: int) -> float:
    """Bound the relative error of Adam's rate in float32, its powers right to one place.

    1 - beta^t loses places while it is small: at the second step beta_2's is near 0.002.
    """
    one_place = 2 * ROUNDING
    found = 4 * ROUNDING
    for beta, weight in ((plan.optimizer.beta_2, 0.5), (plan.optimizer.beta_1, 1.0)):
        power = float(np.float32(beta)) ** number
        found += weight * (one_place * power / (1 - power) + ROUNDING)
    return found


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
