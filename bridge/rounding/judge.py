"""Judging a run's probes, each only once however many comparisons ask."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.capsule import Capsule, Probe
from bridge.compare.result import LayerVerdict
from bridge.rounding.ladder import LADDER, Step
from bridge.rounding.layer_records import PREDICTION, judge_probe


class Judge:
    """Remembers the verdicts on the layers of each probe."""

    def __init__(self, ladder: Sequence[Step] = LADDER) -> None:
        self._ladder = ladder
        #: The capsules are kept, so that no other can get the identity of one.
        self._capsules: dict[int, Capsule] = {}
        self._verdicts: dict[tuple[int, int], tuple[LayerVerdict, ...]] = {}

    def __call__(self, capsule: Capsule, probe: Probe) -> tuple[LayerVerdict, ...]:
        """Return the verdicts on the probe's layers, then that on its prediction."""
        self._capsules[id(capsule)] = capsule
        key = (id(capsule), probe.index)
        if key not in self._verdicts:
            self._verdicts[key] = judge_probe(capsule, probe, self._ladder)
        return self._verdicts[key]

    def verdicts(self, capsule: Capsule) -> dict[int, tuple[LayerVerdict, ...]]:
        """Return the verdicts on the probes of a run that were judged, by the probe's index."""
        keys = ((probe.index, (id(capsule), probe.index)) for probe in capsule.manifest.probes)
        return {index: self._verdicts[key] for index, key in keys if key in self._verdicts}


def beyond_bound(verdicts: Sequence[LayerVerdict]) -> int | None:
    """Return how many points of the prediction are beyond its last layer's bound, if judged."""
    last = [each for each in verdicts if each.layer == PREDICTION]
    if not last or any(each.verdict == "abstained" for each in last):
        return None
    return sum(each.beyond_bound for each in last)
