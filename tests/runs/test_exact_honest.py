"""Exact probes in TensorFlow: honest models agree bit for bit in every setting."""

from __future__ import annotations

import pytest

from bridge.exact.records import subjects
from bridge.process.pool import Pool
from bridge.runs.exact_probes import run_exact
from bridge.runs.levers import EXACT_LEVERS
from tests.exact_models import KINDS, script
from tests.exact_recorded import IMAGE, LIMITS, SMALL, Record, judged, record, text_of
from tests.examples import thorough

__all__ = ["record"]

pytestmark = pytest.mark.tf


@pytest.mark.slow
@pytest.mark.parametrize(
    ("generation", "template", "layers"),
    [(2, SMALL, ("first", "middle", "last")),
     (3, IMAGE, ("conv", "pool", "norm", "strided", "flat", "classes"))],
    ids=["2-small", "3-image"],
)  # fmt: skip
def test_honest_models_agree_bit_for_bit_in_every_setting_and_under_every_lever(
    pool: Pool, record: Record, generation: int, template: str, layers: tuple[str, ...]
) -> None:
    recorded = record(text_of(template, generation), generation)
    result = judged(pool, recorded, generation, *EXACT_LEVERS.values())
    assert (result.verdict, result.rung) == ("same-bits", "exact-probe")
    assert result.pairs == result.agreed >= 100
    (whole,) = result.stretches
    assert whole.layers == layers
    assert whole.whole is (template == SMALL)
    assert whole.bare == (("classes",) if template == IMAGE else ())
    assert result.refused == ()
    for setting in ("eager, all rows at once", "predict, 7 rows at a time",
                    "xla, one row at a time",
                    "graph, 32 rows at a time", "onednn-off: graph, all rows at once",
                    "remapping-off: predict, all rows at once", "one-thread: xla, 7 rows at a time",
                    "graph, all rows at once, every layer seen"):  # fmt: skip
        assert setting in whole.settings
    assert whole.raised == ()


@pytest.mark.slow
@pytest.mark.parametrize("generation", [2, 3])
def test_the_levers_are_in_force_in_their_processes(
    pool: Pool, record: Record, generation: int
) -> None:
    recorded = record(text_of(SMALL, generation), generation)
    base, onednn, remapping, threads = run_exact(
        pool, recorded, generation, LIMITS, tuple(EXACT_LEVERS.values()), ways=("graph",)
    )
    assert [each.manifest.lever for each in (base, onednn)] == [
        "exact-probe", "exact-probe: onednn-off",
    ]  # fmt: skip
    assert onednn.manifest.environment.onednn is False
    assert remapping.manifest.environment.optimizer["remapping"] is False
    assert threads.manifest.environment.threads == (1, 1)
    assert "remapping" not in base.manifest.environment.optimizer
    fused = [
        any(op.fused for graph in graphs for op in graph.ops)
        for each in (base, remapping)
        for graphs in [[probe.executed for probe in each.manifest.probes if probe.executed]]
    ]
    assert fused == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("generation", [2, 3])
def test_random_honest_models_agree_bit_for_bit(
    pool: Pool, record: Record, generation: int
) -> None:
    """Every kind in one generation; in both where a thorough profile asks for more."""
    kinds = KINDS if thorough() else KINDS[(generation + 1) % 2 :: 2]
    recorded = record(script(generation, 100, kinds), generation)
    assert len(subjects(recorded)) == len(kinds)
    result = judged(pool, recorded, generation)
    assert result.verdict == "same-bits", result.sentence
    assert result.pairs == result.agreed >= 50
