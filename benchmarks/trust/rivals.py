"""The rules of other tools, each in a few lines, with the constants that they ship.

Every rule says whether two runs differ. It is given the outputs of all layers in order, the last
of which is the prediction; most rules look at nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

Layers = Sequence[np.ndarray[Any, Any]]
Rule = Callable[[Layers, Layers], bool]


def _close(rtol: float, atol: float) -> Rule:
    def differs(a: Layers, b: Layers) -> bool:
        return not np.allclose(a[-1], b[-1], rtol=rtol, atol=atol, equal_nan=True)

    return differs


def polygraphy(a: Layers, b: Layers) -> bool:
    """Polygraphy's ``CompareFunc.simple``: an element passes by either of two tolerances."""
    with np.errstate(all="ignore"):
        gap = np.abs(a[-1].astype(np.float64) - b[-1])
        relative = np.where(gap == 0, 0.0, gap / np.abs(b[-1]))
    return not bool(((gap <= 1e-5) | (relative <= 1e-5)).all())


def muffin(a: Layers, b: Layers) -> bool:
    """Muffin's: some layer is off by over 0.15 while those before it were off by under 1e-5.

    ICSE 2022; the constants stand in scripts/incons/layer_output_incons.py of its repository.
    """
    before = 0.0
    for x, y in zip(a, b, strict=True):
        gap = float(np.nan_to_num(np.abs(x.astype(np.float64) - y), nan=np.inf).max(initial=0.0))
        if gap > 0.15 and before < 1e-5:
            return True
        before = max(before, gap)
    return False


def cradle(a: Layers, b: Layers) -> bool:
    """CRADLE's rate of change of the mean distance, layer by layer (ICSE 2019).

    It names the layers whose rate is above the third quartile of the model's rates, and so always
    names one where anything differs.
    """
    before, rates = 0.0, []
    for x, y in zip(a, b, strict=True):
        gap = float(np.nan_to_num(np.abs(x.astype(np.float64) - y), nan=1e30).mean())
        rates.append((gap - before) / (before + 1e-7))
        before = max(before, gap)
    return bool(rates and max(rates) > 0.0 and max(rates) >= np.quantile(rates, 0.75))


def waldo(a: Layers, b: Layers) -> bool:
    """Waldo's mean difference relative to the mean, with testthat's tolerance (R)."""
    x, y = a[-1].astype(np.float64), b[-1].astype(np.float64)
    tolerance = float(np.sqrt(np.finfo(np.float64).eps))
    gap, size = float(np.abs(x - y).mean()), float(np.abs(y).mean())
    if np.isfinite(size) and size > tolerance:
        gap /= size
    return not gap < tolerance


RIVALS: Final[dict[str, Rule]] = {
    "np.allclose (1e-5, 1e-8)": _close(1e-5, 1e-8),
    "Keras assertAllClose (1e-6, 1e-6)": _close(1e-6, 1e-6),
    "torch assert_close (1.3e-6, 1e-5)": _close(1.3e-6, 1e-5),
    "Polygraphy (either 1e-5)": polygraphy,
    "NNSmith (1e-2, 1e-3)": _close(1e-2, 1e-3),
    "Muffin (0.15 after 1e-5)": muffin,
    "CRADLE (rate of change)": cradle,
    "waldo (mean, 1.5e-8)": waldo,
}
