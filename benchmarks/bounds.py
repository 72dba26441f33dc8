"""Measures how tight the bound of a sum of products is, against the errors that orders make.

    python benchmarks/bounds.py

For random dense layers, x W + b is evaluated in float32 in the ways that libraries use (BLAS, one
product after another, in blocks, fused) and in the order that is worst for it: all products that
raise the sum first, so that every later rounding is of a large number. The bound holds for all of
them. What is printed is the distribution, over layers, of the largest bound divided by the largest
error. Nothing is asserted here: a bound that is too wide is not wrong, it only lets more pass.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bridge.rounding.rules import evaluate
from tests.rounding.test_bounds import ORDERS, dense

LENGTHS: Final = (1, 4, 16, 64, 256, 1024, 4096)
LAYERS: Final = 40
ROWS, UNITS = 8, 4


@dataclass(frozen=True)
class Ratio:
    """Bound over error of one layer of ``terms`` products: usual orders, and all orders."""

    terms: int
    usual: float
    worst: float


def rising_first(x: Any, kernel: Any, bias: Any) -> Iterator[Any]:
    """Yield x W + b with its products sorted by value: those of one sign, then the others."""
    terms = np.sort(x[:, :, None] * kernel[None, :, :], axis=1)
    for ordered in (terms, terms[:, ::-1]):
        yield np.cumsum(ordered, axis=1, dtype=np.float32)[:, -1] + bias


def ratio(rng: np.random.Generator, n: int) -> Ratio:
    """Return bound over error of one random layer of ``n`` products."""
    x: Any = rng.standard_normal((ROWS, n)).astype(np.float32)
    kernel: Any = (rng.standard_normal((n, UNITS)) / np.sqrt(n)).astype(np.float32)
    bias: Any = rng.standard_normal(UNITS).astype(np.float32)
    (found,) = evaluate(dense(kernel, bias), [x])
    bound = float(found.bound.max())
    usual = max(float(np.abs(order(x, kernel, bias) - found.value).max()) for order in ORDERS)
    worst = max(float(np.abs(y - found.value).max()) for y in rising_first(x, kernel, bias))
    return Ratio(n, bound / usual, bound / max(usual, worst))


def sweep(lengths: Sequence[int] = LENGTHS, layers: int = LAYERS) -> Iterator[Ratio]:
    """Yield the ratios of ``layers`` random layers of each length."""
    rng = np.random.default_rng(0)
    for n in lengths:
        for _ in range(layers):
            yield ratio(rng, n)


def rows(ratios: Sequence[Ratio]) -> Iterator[str]:
    """Yield the rows of a table in Markdown, a length each, and one for all."""
    lengths = sorted({each.terms for each in ratios})
    yield "| products | usual orders: median | 95 % | all orders: median | 95 % |"
    yield "| --- | --- | --- | --- | --- |"
    groups = [(f"{n:,}", [each for each in ratios if each.terms == n]) for n in lengths]
    for name, group in (*groups, ("**all**", list(ratios))):
        usual = np.percentile([each.usual for each in group], [50, 95])
        worst = np.percentile([each.worst for each in group], [50, 95])
        cells = " | ".join(f"{value:.1f}" for value in (*usual, *worst))
        yield f"| {name} | {cells} |"


def main() -> None:
    """Print the table."""
    print("\n".join(rows(list(sweep()))))


if __name__ == "__main__":
    main()
