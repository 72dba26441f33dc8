"""A recording from elsewhere: what its own graph says where this machine shows no fault."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.capsule import Environment
from bridge.explain.result import CauseEvidence, LeverOutcome
from bridge.pipeline.explain_capsule import in_its_graph

CPU, GPU = Environment(devices=("CPU:0",)), Environment(devices=("CPU:0", "GPU:0"))


def search(cause: str = "not-known", again: Any = "within-rounding") -> CauseEvidence:
    levers = (LeverOutcome(lever="as-recorded", verdict=again),)
    return CauseEvidence(cause=cause, confidence="", sentence="Nothing.", levers=levers)


def test_a_graph_that_lacks_what_the_layer_does_possibly_lost_it_in_fusing() -> None:
    found = in_its_graph(search(), CPU, ("Relu",))
    assert (found.cause, found.confidence) == ("grappler:remapping", "possible")
    assert "lacks Relu" in found.sentence
    assert found.evidence_against


@pytest.mark.parametrize(
    ("found", "there", "lost"),
    [
        (search(), GPU, ("Relu",)),
        (search(), CPU, ()),
        (search(), CPU, None),
        (search("xla"), CPU, ("Relu",)),
        (search(again="different"), CPU, ("Relu",)),
        (search(again="abstained"), CPU, ("Relu",)),
    ],
)
def test_nothing_is_said_where_the_graph_does_not_tell(
    found: CauseEvidence, there: Environment, lost: tuple[str, ...] | None
) -> None:
    assert in_its_graph(found, there, lost) is found
