"""The same prediction, made in another way, has other last digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from bridge.capsule import Probe
from bridge.capsule.values import Scalar
from bridge.compare.result import Rung
from bridge.rounding.layer_records import judge_probe
from bridge.rules.pairs import in_training, output, pairs
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of, same

RULE = Rule("P09", "other-last-digits", cause="rounding", whose="mathematics")
#: Rungs of the ladder that prove what they say of a layer.
_PROVEN: Final[tuple[Rung, ...]] = ("bit-equal", "exact-probe", "certified")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find the same prediction made twice with other last digits.

    That it is rounding is only said where every layer of both is within its own bound on what it
    received: then nothing else can have made the difference.
    """
    for earlier, later in pairs(run):
        if in_training(run, earlier) or in_training(run, later):
            continue
        a, b = (output(run, probe) for probe in (earlier, later))
        if a is None or b is None or a.shape != b.shape or same(a, b):
            continue
        gap = float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))
        if not np.isfinite(gap) or not gap:
            continue
        rows = [_batch(run, probe) for probe in (earlier, later)]
        ways = (
            f"in batches of {rows[0]} and of {rows[1]} rows"
            if rows[0] != rows[1]
            else "in two ways"
        )
        sure = _certified(run, earlier) and _certified(run, later)
        yield RULE.finding(
            "The same rows, predicted again, have other last digits",
            f"They are predicted {ways}, and differ by up to {gap:.3g}. "
            + (
                "Sums in float32 were added in another order; neither is more right."
                if sure
                else "That this is rounding could not be proven layer by layer."
            ),
            at=later.line,
            also=(earlier.line,),
            cause="rounding" if sure else "not-known",
            confidence="proven" if sure else "open",
            decides=sure,
        )
        return


def _certified(run: Run, probe: Probe) -> bool:
    """Say whether each layer of a prediction was seen, and is within its proven bound."""
    verdicts = judge_probe(run.capsule, probe)
    return bool(verdicts) and all(
        verdict.verdict in ("same-bits", "within-rounding") and verdict.rung in _PROVEN
        for verdict in verdicts
    )


def _batch(run: Run, probe: Probe) -> str:
    call = call_of(run.capsule, probe)
    given = call.kwargs.get("batch_size") if call is not None else None
    return given.v if isinstance(given, Scalar) and given.t == "int" else "32"
