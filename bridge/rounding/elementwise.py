"""One output of a layer beside its float64 evaluation, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray, Mask
from bridge.capsule.numbers import words
from bridge.compare.result import Worst
from bridge.rounding.rules import Evaluation
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format

#: How many elements a verdict lists.
WORST: Final = 3


@dataclass(frozen=True)
class Marks:
    """One output beside its evaluation, element by element."""

    y: AnyArray
    evaluation: Evaluation

    @property
    def format(self) -> Format:
        """The type of the output; of integers and others, float32."""
        return FORMATS.get(self.y.dtype.name, FLOAT32)

    @cached_property
    def same(self) -> Mask:
        """Where the evaluation, rounded to the output's type, has the output's bits."""
        value = self.evaluation.value
        if self.y.dtype.kind in "biu":
            return np.asarray(value == self.y)
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.ascontiguousarray(value.astype(self.y.dtype))
        equal = words(np.ascontiguousarray(self.y)) == words(rounded)
        return np.asarray(equal | (np.isnan(self.y) & np.isnan(rounded)))

    @cached_property
    def error(self) -> F64:
        """|y - value|; NaN where either is."""
        with np.errstate(all="ignore"):
            gap: F64 = np.abs(self.y.astype(np.float64) - self.evaluation.value.astype(np.float64))
        return gap

    @cached_property
    def inside(self) -> Mask:
        """Where rounding explains the output: the same bits, or an error within the bound."""
        bound = self.evaluation.bound
        with np.errstate(all="ignore"):
            value = self.evaluation.value.astype(np.float64)
            y = self.y.astype(np.float64)
            overflow = np.isinf(y) & (np.sign(y) * value + bound >= self.format.overflow)
            return np.asarray(self.same | (np.isfinite(bound) & ((self.error <= bound) | overflow)))

    @cached_property
    def undecided(self) -> Mask:
        """Where the bits differ and no bound holds, or one that may be a little too small."""
        return ~self.inside & (~np.isfinite(self.evaluation.bound) | self._missed)

    @cached_property
    def _missed(self) -> Mask:
        """Where the bound would hold if it were as much larger as a sample may have missed."""
        if self.evaluation.missed == 1.0:
            return np.zeros(self.y.shape, np.bool_)
        if np.isinf(self.evaluation.missed):
            return np.ones(self.y.shape, np.bool_)
        wide = Evaluation(
            self.evaluation.value, lambda: self.evaluation.bound * self.evaluation.missed
        )
        return Marks(self.y, wide).inside

    def unfit(self) -> str:
        """Say why the output cannot be set beside its evaluation, or nothing."""
        if self.y.shape != self.evaluation.value.shape:
            return (
                f"its output has shape {self.y.shape}; its rule gives {self.evaluation.value.shape}"
            )
        if self.evaluation.derive is not None and self.y.dtype.name not in FORMATS:
            return f"its output is {self.y.dtype.name}; rules are for {', '.join(FORMATS)}"
        return ""

    def why_undecided(self) -> str:
        """Say why the elements that are undecided are."""
        if bool((self.undecided & ~np.isfinite(self.evaluation.bound)).any()):
            return "are not finite, or may overflow in some order of summation"
        if self.evaluation.doubt:
            return f"are beyond what rounding in float32 can do, but {self.evaluation.doubt}"
        if np.isinf(self.evaluation.missed):
            return (
                f"are beyond a bound that rests on the kernels of {self.evaluation.sampled}, which "
                "were not measured on the installation that ran it"
            )
        return (
            f"are just beyond a bound that rests on a sample of {self.evaluation.sampled}; where "
            f"all inputs were tried, a sample was up to {self.evaluation.missed:.3g} times too low"
        )

    @cached_property
    def ratio(self) -> F64:
        """Error over bound; 0 for the same bits, infinite where only one side is a number."""
        with np.errstate(all="ignore"):
            ratio = np.where(self.error > 0.0, self.error / self.evaluation.bound, 0.0)
        ratio = np.where(np.isnan(self.error) | np.isnan(ratio), np.inf, ratio)
        return np.where(self.same | self.undecided, 0.0, ratio)

    def worst(self) -> list[Worst]:
        """List the elements of the largest ratios."""
        flat = np.where(self.same | self.undecided, -1.0, self.ratio).ravel()
        order = np.argsort(-flat, kind="stable")[:WORST]
        unit = self.format.ulp(np.asarray(self.evaluation.value, np.float64).ravel()[order])
        return [
            Worst(
                index=tuple(int(part) for part in np.unravel_index(place, self.y.shape)),
                a=float(self.y.ravel()[place]),
                b=float(self.evaluation.value.ravel()[place]),
                ulp=float(np.nan_to_num(self.error.ravel()[place] / step, nan=np.inf)),
            )
            for place, step in zip(order.tolist(), unit.tolist(), strict=True)
            if flat[place] >= 0.0
        ]
