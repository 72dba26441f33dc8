"""Gelu has an exact formula and an approximation, and both are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import Call
from bridge.capsule.values import ArrayValue, Value
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, is_true, name_of, same

RULE = Rule("M13", "two-gelus", cause="maths", whose="mathematics")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find gelu in both of its forms."""
    exact: list[Call] = []
    near: list[Call] = []
    for call in run.capsule.manifest.calls:
        if name_of(call) == "gelu" and call.error is None:
            given = call.kwargs.get("approximate", call.args[1] if len(call.args) > 1 else None)
            (near if is_true(given) else exact).append(call)
    if not exact or not near:
        return
    gaps = [gap for a in exact for b in near if (gap := _apart(run, a, b)) is not None]
    yield RULE.finding(
        "Gelu has two formulas, and both are asked for",
        "The exact one is x times pnorm(x); approximate = TRUE puts a tanh in its place. "
        "Both are right.",
        at=run.place(near[0], label="the approximation"),
        also=(run.place(exact[0], label="the exact one"),),
        evidence=[("largest difference on the same numbers", f"{max(gaps):.3g}")] if gaps else (),
    )


def _apart(run: Run, left: Call, right: Call) -> float | None:
    """Return how far the results of two calls are apart, None unless they got the same array."""
    given = [_elements(run, call.kwargs.get("x", *call.args[:1])) for call in (left, right)]
    a, b = (_elements(run, call.result) for call in (left, right))
    if not same(*given) or a is None or b is None or a.shape != b.shape:
        return None
    return float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))


def _elements(run: Run, value: Value | None) -> npt.NDArray[Any] | None:
    if not isinstance(value, ArrayValue) or value.key is None:
        return None
    return run.capsule.arrays.get(value.key)
