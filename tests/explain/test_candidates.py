"""The runs behind a symptom table: few, only where a fault changes something, and real ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bridge.capsule import Capsule, ExecutedGraph, ExecutedOp
from bridge.explain.observations import Reports, of_yaml, read_observed
from bridge.explain.result import SymptomTable
from bridge.faults.layers import Fault
from bridge.pipeline.hypothesis_runs import symptom_table, table_from
from bridge.process.pool import Limits, Pool
from bridge.runs.levers import Lever
from bridge.runs.twin import run_twin
from tests.explain.test_observed import NINE
from tests.observed_samples import X, labels, recorded, with_output

FAMILY = "relu lost in a fused MatMul whose output feeds another MatMul"
FOUNDING = Path(__file__).parents[2] / "comparisons"


class Runner:
    """Answers for the runs: a relu that is lost where it is asked for, and what was recorded."""

    def __init__(self, broken: str = "") -> None:
        self.asked: list[tuple[str, str, str, tuple[int, ...]]] = []
        self._broken = broken

    def __call__(
        self,
        recorded: Capsule,
        probes: Collection[int],
        lever: Lever | None = None,
        fault: Fault | None = None,
    ) -> Capsule:
        kind, scope = (fault.kind, fault.scope) if fault is not None else ("", "")
        self.asked.append((kind, scope, lever.name if lever else "", tuple(sorted(probes))))
        if kind == self._broken != "":
            raise OSError("no room left")
        made = recorded
        if kind == "relu-lost-in-fused":
            lost = {0} if lever is None or scope else {0, 1}
            for index in lost & set(probes):
                made = with_output(made, index, X)
        found = [each for each in made.manifest.probes if each.index in probes]
        if lever is not None:
            # Nothing is tied to B's output here, and its relu is fused as well.
            fused = ExecutedOp(op="_FusedMatMul", name="m/d/Relu", fused=("BiasAdd", "Relu"))
            found = [
                each.model_copy(update={"executed": ExecutedGraph(ops=(fused,))})
                if each.index in (0, 1)
                else each
                for each in found
            ]
        return Capsule(made.manifest.model_copy(update={"probes": tuple(found)}), made.arrays)


def table(runner: Runner, text: str = NINE, bias: float = 0.0) -> SymptomTable:
    return table_from(runner, recorded(bias=bias), Reports("seen.yml", of_yaml(text)), labels())


def test_a_fault_is_run_only_where_an_op_can_have_it() -> None:
    runner = Runner()
    found = table(runner)
    assert found.sentence.startswith(
        f"Exactly one family of candidates reproduces all 9 observations: {FAMILY}."
    )
    asked = {each[:3]: each[3] for each in runner.asked}
    assert asked["relu-lost-in-fused", "feeds-matmul", ""] == (0,)
    assert asked["relu-lost-in-fused", "", "graph"] == (0, 1)
    assert asked["", "", "graph"] == tuple(range(9))
    assert asked["gelu-approximate", "", ""] == (3, 4, 5)
    # Every bias is zero: neither its loss nor another order can be seen, and nothing is run.
    assert not {kind for kind, *_ in runner.asked} & {"fused-bias-lost", "fused-order-wrong"}
    assert len(runner.asked) == len(asked) == 8


def test_a_bias_that_is_not_zero_may_be_lost() -> None:
    runner = Runner()
    table(runner, bias=1.0)
    assert {"fused-bias-lost", "fused-order-wrong"} <= {kind for kind, *_ in runner.asked}


def test_models_that_were_asked_for_otherwise_are_run_together_and_each_once() -> None:
    runner = Runner()
    table(runner)
    (edited,) = [each for each in runner.asked if each[:3] == ("", "", "")]
    # A and B with each of three activations: the suspects ask for the same models.
    assert len(edited[3]) == 6


def test_nothing_is_run_as_a_plain_function_where_the_same_is_fused() -> None:
    runner = Runner()
    text = "observed: [{probe: A/relu, shape: linear}]"
    found = table(runner, text)
    levers = [lever for *_, lever, _ in runner.asked]
    assert levers.count("graph") == 1
    assert all("plain function" not in each.name for each in found.candidates)


@pytest.mark.internal_errors
def test_a_run_that_fails_costs_one_row_and_not_the_table() -> None:
    found = table(Runner(broken="kernel-bf16"))
    row = next(each for each in found.candidates if "bfloat16" in each.name)
    assert {cell.says for cell in row.cells} == {"silent"}
    assert "no room left" in row.cells[0].why
    assert found.standing


def test_where_nothing_that_was_observed_is_there_nothing_is_run() -> None:
    runner = Runner()
    found = table(runner, "observed: [{model: D, shape: linear}]")
    assert runner.asked == []
    assert found.sentence.startswith("Nothing that was observed is of a prediction of this script")
    assert "there is no model 'D'" in found.unmatched[0]


@pytest.fixture(scope="module")
def founding(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> SymptomTable:
    """Return the founding case's table, made from its twin with the observed activations."""
    text = (FOUNDING / "relu_middle_dense.py").read_text()
    head, _, rest = text.partition("ACTIVATIONS = (")
    twin = tmp_path_factory.mktemp("twin") / "twin.py"
    twin.write_text(f'{head}ACTIVATIONS = ("relu", "gelu", "sigmoid"){rest.partition(")")[2]}')
    run = run_twin(pool, "founding", twin, 2, Limits())
    assert len(run.manifest.probes) == 9, run.manifest.error
    reports = read_observed(FOUNDING / "relu_middle_dense.observed.yml")
    return symptom_table(pool, run, reports, 2, Limits())


@pytest.mark.tf
def test_the_founding_symptoms_leave_one_family_of_faults(founding: SymptomTable) -> None:
    assert founding.unmatched == founding.conflicts == ()
    assert founding.sentence.startswith(
        f"Exactly one family of candidates reproduces all 9 observations: {FAMILY}."
    )
    rows = {each.name: each for each in founding.candidates}
    against = {
        name: {cell.observation for cell in row.cells if cell.says == "contradicts"}
        for name, row in rows.items()
    }
    assert against["nothing is wrong here"] == {"A/relu"}
    # What keeps B right in predict() of Keras 2 is not there in a plain function.
    assert against["relu lost in every fused MatMul (as a plain function)"] == {"B/relu"}
    assert against["R drops the activation argument but in the last layer"] == {
        "A/gelu", "A/sigmoid",
    }  # fmt: skip
    assert {"A/gelu", "A/sigmoid"} <= against["R drops the activation argument"]
    standing = {each.cause for each in founding.candidates if each.name in founding.standing}
    assert standing == {"grappler:remapping", "device-plugin", "kernel:_FusedMatMul"}
    cells = [cell for each in founding.candidates for cell in each.cells]
    assert not any("could not be run" in cell.why for cell in cells)


@pytest.mark.tf
@pytest.mark.slow
def test_the_python_that_is_to_be_pasted_runs_and_prints_what_a_sound_machine_prints(
    founding: SymptomTable, tmp_path: Path
) -> None:
    assert len(founding.separating) == 3

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    with ThreadPoolExecutor(max_workers=2) as runs:
        done = list(runs.map(run, [each.python for each in founding.separating]))
    for each in done:
        assert each.returncode == 0, each.stderr[-2000:]
        numbers = [float(part) for part in re.findall(r"\[\s*(-?\d[-+.e\d]*)\s*\]", each.stdout)]
        assert np.allclose(numbers[:3], [0, 0.01, 5], atol=0.011)
    assert "_FusedMatMul [b'BiasAdd', b'Relu']" in done[2].stdout


@pytest.mark.tf
@pytest.mark.r
def test_the_r_that_is_to_be_pasted_parses(founding: SymptomTable, tmp_path: Path) -> None:
    rscript = shutil.which("Rscript")
    assert rscript is not None
    for number, each in enumerate(founding.separating):
        path = tmp_path / f"{number}.R"
        path.write_text(each.r)
        done = subprocess.run(
            [rscript, "--vanilla", "-e", f'invisible(parse("{path}"))'],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
