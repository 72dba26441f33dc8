"""Whether runs agree, so that nothing more need be run, and what of them is one draw of many."""

from __future__ import annotations

from typing import Final

from bridge.capsule import Capsule
from bridge.compare.stages import compare_runs
from bridge.facts.keras import RANDOM_INITIALIZER, RANDOM_LAYER
from bridge.facts.r import SEEDING_KERAS
from bridge.r.script import Inspection

_UNSEEDED: Final = (
    "The script does not seed Keras. Every run here starts from the same seeds, so that they can "
    "be compared; where weights start at random, plain R gives other numbers each time."
)


def chance(inspection: Inspection, runs: dict[str, Capsule]) -> tuple[str, ...]:
    """Say where the numbers are one draw of many: no seed in the script, and chance in a model."""
    if SEEDING_KERAS & set(inspection.functions):
        return ()
    text = "".join(
        layer.model_dump_json() for state in runs["r"].manifest.states for layer in state.layers
    )
    drawn = RANDOM_INITIALIZER.search(text) or RANDOM_LAYER.search(text)
    return (_UNSEEDED,) if drawn else ()


def agree(r: Capsule, twin: Capsule) -> bool:
    """Say whether the twin has all bits and errors of R's run: a replay can tell nothing new."""
    return compare_runs(r, twin).verdict in ("same-bits", "same-error")


def other_bits(a: Capsule, b: Capsule) -> bool:
    """Say whether two runs made predictions of the same shape that differ in a bit."""
    for one, other in zip(a.manifest.probes, b.manifest.probes, strict=False):
        for x, y in zip(one.outputs, other.outputs, strict=False):
            if x.key is None or y.key is None or (x.shape, x.dtype) != (y.shape, y.dtype):
                continue
            if a.array(x).tobytes() != b.array(y).tobytes():
                return True
    return False
