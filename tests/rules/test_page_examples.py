"""The examples of the rules' pages, run in R: each raises its rule where the page says, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from bridge.capsule import Capsule
from bridge.cases.case import read_case
from bridge.explain.experiment import Experiment
from bridge.pipeline.examine_case import Settings, Suite
from bridge.pipeline.tried_fixes import asked
from bridge.process.pool import Limits, Pool
from bridge.r.script import inspect, serve
from bridge.rules import registry
from bridge.rules.rule import Finding, Rule
from bridge.runs.experiments import make_experiments
from bridge.runs.layer_capture import look
from bridge.runs.r import run_r
from tests.rules.samples import needs_r, well_worded
from tests.rules.test_pages import blocks, of_all

pytestmark = [pytest.mark.r, pytest.mark.tf, pytest.mark.slow, pytest.mark.pages, needs_r]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool() as made:
        yield made


def found_in(script: Path, rule: Rule, pool: Pool) -> tuple[Finding, ...]:
    """Run a script in R and ask every rule, with its experiments.

    What needs a repair is examined as a whole case.
    """
    if "repair" in rule.needs:
        with Suite(Settings(frontend="standin", jobs=1), pool=pool) as suite:
            (examined,) = suite.examine([read_case(script)])
        return examined.report.findings
    installed, (inspection,) = inspect([script])
    served = serve(inspection.package, "standin", installed)
    limits = Limits(seconds=100)
    run = run_r(pool, script.stem, script, inspection, served, limits)
    seen = look(pool, run, inspection.generation, limits)

    def ask(outcomes: Mapping[Experiment, Capsule]) -> registry.Answered:
        return registry.answers(seen, inspection.tree, outcomes)

    make = partial(make_experiments, pool, seen, inspection.generation)
    return asked(ask, lambda wanted, left: make(wanted, limits, left)).findings


@pytest.mark.parametrize("rule", of_all(), ids=lambda rule: rule.code)
def test_a_page_says_what_is_found_in_its_examples(rule: Rule, pool: Pool, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(rule)):
        script = tmp_path / f"{rule.code}_{number}.R"
        script.write_text(block.text, "utf-8")
        found = found_in(script, rule, pool)
        for each in found:
            well_worded(each)
        if block.line is None:
            assert [each.rule for each in found if each.decides] == []
        else:
            first = found[0]
            assert (first.rule, first.lines[:1]) == (rule.code, (block.line,))
