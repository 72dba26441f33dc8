"""Measures how tight the bounds are: bound over the largest error that orders of summation make.

    python benchmarks/bounds.py

For random dense layers of several lengths, seven float32 evaluations of x W + b are compared with
float64; what is printed is the distribution, over layers, of the largest bound divided by the
largest error of any of them. Nothing is asserted here: a bound that is too wide is not wrong, it
only lets more pass.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.compare.rules import evaluate
from tests.test_bounds import ORDERS, dense

LENGTHS: Final = (1, 4, 16, 64, 256, 1024, 4096)
LAYERS: Final = 40


def ratio(rng: np.random.Generator, n: int) -> float:
    """Return bound over error of one random layer of ``n`` products."""
    x: Any = rng.standard_normal((8, n)).astype(np.float32)
    kernel: Any = (rng.standard_normal((n, 4)) / np.sqrt(n)).astype(np.float32)
    bias: Any = rng.standard_normal(4).astype(np.float32)
    (found,) = evaluate(dense(kernel, bias), [x])
    errors = [np.abs(order(x, kernel, bias) - found.value).max() for order in ORDERS]
    return float(found.bound.max() / max(errors))


def main() -> None:
    """Print one line for each length."""
    rng = np.random.default_rng(0)
    print("products   median     95%     max   (bound / largest error)")
    for n in LENGTHS:
        ratios = [ratio(rng, n) for _ in range(LAYERS)]
        median, high = np.percentile(ratios, [50, 95])
        print(f"{n:8d} {median:8.1f} {high:7.1f} {max(ratios):7.1f}")


if __name__ == "__main__":
    main()
