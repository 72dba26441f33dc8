"""How far rounding carries from a model's input to its output, as a matter of probability.

Bounds that are carried through many layers grow without saying anything. Roundings, though, hardly
ever conspire: taken as independent, with mean zero and each within its layer's bound, their effect
on the output is far smaller (N. J. Higham and T. Mary, A new approach to probabilistic rounding
error analysis, SIAM J. Sci. Comput. 41, 2019). Here every layer's output is moved by its bound, up
or down at random, and handed on, many times; the spread of the outputs estimates the deviation of a
sum of independent errors that are as large as the bounds allow. By Hoeffding's inequality such a
sum exceeds q deviations with a probability of at most 2 exp(-q^2 / 2).

This can show that a difference is no larger than rounding makes it. That one is larger proves
nothing: the roundings of equal numbers are equal, and not independent at all.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.capsule import Capsule, CapsuleError, ModelState, Probe
from bridge.rounding.layer_graph import Network, WiringError, fed_inputs
from bridge.rounding.rules import Evaluation, UnsupportedError
from bridge.rounding.rules.rounding import FORMATS

#: The probability, over all elements together, with which rounding may be found innocent wrongly.
CHANCE: Final = 1e-9
#: Outputs of that many models are drawn.
DRAWS: Final = 32
#: Outputs of all draws together that are not worth the time.
_MOST: Final = 2**27


def explains(capsule: Capsule, state: ModelState, probe: Probe) -> str:
    """Say why rounding does not account for a prediction, or "" where it does.

    The prediction is the recorded one of ``probe``; nothing of its layers need be known.
    """
    try:
        arrays = {ref.name: capsule.array(ref) for ref in probe.inputs}
        inputs = fed_inputs(state, probe, arrays)
        made = [capsule.array(ref) for ref in probe.outputs]
        points = sum(y.size for y in made)
        if points * DRAWS > _MOST:
            return f"{points:,} outputs are too many to draw {DRAWS} times"
        network = Network(capsule, state)
        exact = network.run(inputs)
        draws = [network.run(inputs, _Mover(seed)) for seed in range(DRAWS)]
    except (UnsupportedError, WiringError, CapsuleError) as error:
        return str(error)
    for number, (y, value) in enumerate(zip(made, exact, strict=True)):
        fmt = FORMATS.get(y.dtype.name)
        if fmt is None or y.shape != value.shape:
            return f"its output is {y.dtype.name} of shape {y.shape}"
        off = np.stack([draw[number] - value for draw in draws])
        with np.errstate(all="ignore"):
            deviation = _quantile(points) * np.sqrt((off**2).mean(axis=0)) + 0.5 * fmt.ulp(value)
            gap = np.abs(y.astype(np.float64) - value)
        outside = int((~(gap <= deviation)).sum())
        if outside:
            return f"{outside} of {value.size} outputs are further off than independent roundings"
    return ""


class _Mover:
    """Hands on a layer's value moved by its bound, up or down at random."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, evaluation: Evaluation) -> AnyArray:
        if evaluation.derive is None:
            return evaluation.value
        bound: F64 = evaluation.bound
        if not np.isfinite(bound).all():
            raise UnsupportedError("a sum may overflow in some order")
        sign = self._random.integers(0, 2, bound.shape) * 2 - 1
        return np.asarray(evaluation.value + sign * bound)


def _quantile(points: int) -> float:
    """Return q such that no element exceeds q estimated deviations but by :data:`CHANCE`.

    Half of the chance is Hoeffding's. The other half is that a deviation estimated from so few
    draws is too small: the sum of squares of K draws is, to a good approximation, distributed as
    chi-squared, whose lower quantile Wilson and Hilferty's formula gives.
    """
    each = 0.5 * CHANCE / max(points, 1)
    hoeffding = math.sqrt(2.0 * math.log(2.0 / each))
    normal = math.sqrt(2.0 * math.log(1.0 / each))
    spread = 2.0 / (9.0 * DRAWS)
    low = (1.0 - spread - normal * math.sqrt(spread)) ** 3
    return hoeffding / math.sqrt(low)
