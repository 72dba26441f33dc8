"""The cause of a fault is found by running under levers; what goes wrong there costs nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule, ExecutedGraph, ExecutedOp
from bridge.compare.stages import compare_runs
from bridge.explain.lever_search import ALL_OFF, AS_RECORDED, Pull, weigh
from bridge.explain.result import CauseEvidence
from bridge.explain.stage_diff import attribute
from bridge.faults.layers import Fault
from bridge.pipeline import lever_runs as module
from bridge.pipeline.lever_runs import BASIC, investigate, lever_of
from bridge.process.pool import Limits, Pool
from bridge.runs.levers import LEVERS, Lever
from bridge.runs.reference import reference
from bridge.runs.rerun import rerun
from bridge.runs.twin import run_twin
from tests.compare_samples import Dense, Sample, grid, two_layers

FUSED = ExecutedGraph(
    ops=(
        ExecutedOp(op="_FusedMatMul", name="sequential/dense/Relu", fused=("BiasAdd",)),
        ExecutedOp(op="MatMul", name="sequential/last/MatMul"),
        ExecutedOp(op="BiasAdd", name="sequential/last/BiasAdd"),
    )
)


def layers() -> list[Dense]:
    first, last = two_layers()
    first.name, last.name = "dense", "last"
    return [first, last]


def recorded(wrong: bool, **about: Any) -> Capsule:
    """Return a run whose first layer loses its relu, or one that is right."""
    made = layers()
    x = grid(50)
    z = x @ made[0].kernel + made[0].bias
    hidden = z if wrong else np.maximum(z, np.float32(0))
    outputs = [hidden, made[1].run(hidden)]
    return Sample(**about).predict(made, x, outputs=outputs, executed=FUSED).capsule()


class Stack:
    """Stands in for running: a run is wrong where ``shows`` says so of the lever."""

    def __init__(self, shows: Callable[[Lever | None], bool]) -> None:
        self.shows = shows
        self.pulled: list[str] = []

    def __call__(self, *_args: Any, lever: Lever | None, **_more: Any) -> Capsule:
        """Run again, as :func:`bridge.runs.rerun.rerun` is asked to."""
        self.pulled.append(lever.name if lever is not None else AS_RECORDED)
        return recorded(self.shows(lever), runner="replay")


def fused(lever: Lever | None) -> bool:
    """Say whether a run fuses, and so loses what is fused."""
    if lever is None:
        return True
    off = lever.passes or (("remapping",) if lever.name == ALL_OFF else ())
    return not lever.way and "remapping" not in off


def looked_for(
    monkeypatch: pytest.MonkeyPatch, stack: Any, runs: dict[str, Capsule], **more: Any
) -> CauseEvidence | None:
    monkeypatch.setattr(module, "rerun", stack)
    pairs = [compare_runs(runs["r"], each) for name, each in runs.items() if name != "r"]
    pool: Any = SimpleNamespace(warm=lambda *_kinds: None)
    return investigate(pool, runs, pairs, generation=2, limits=Limits(), **more)


def test_a_relu_that_is_lost_where_it_is_fused_is_grapplers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = Stack(fused)
    runs = {"r": recorded(True), "replay": recorded(True, runner="replay")}
    found = looked_for(monkeypatch, stack, runs)
    assert found is not None
    assert (found.cause, found.confidence) == ("grappler:remapping", "proven")
    assert stack.pulled == ["eager", "remapping-off", "only remapping on"]
    assert "Relu" in found.evidence_for[0]
    assert "get_layer('dense')" in found.where
    assert found.verdict == "different"
    weighed = weigh(found)
    assert weighed[0].cause == "grappler:remapping"
    assert not weighed[0].contradicts
    assert next(each for each in weighed if each.cause == "keras-layer").contradicts


def test_nothing_is_run_where_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(fused)
    right = recorded(False)
    runs = {"r": right, "replay": recorded(False, runner="replay"), "reference": reference(right)}
    assert looked_for(monkeypatch, stack, runs) is None
    assert stack.pulled == []


def test_the_basic_set_is_pulled_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(lambda _: False)
    found = looked_for(monkeypatch, stack, {"r": recorded(False)}, basic=True)
    assert found is not None
    assert found.cause == "none"
    assert [each.lever for each in found.levers] == list(BASIC)
    assert {each.verdict for each in found.levers} <= {"same-bits", "within-rounding"}
    assert found.levers[1].executed_ops == ("_FusedMatMul[BiasAdd]", "MatMul", "BiasAdd")
    assert weigh(found) == ()


def test_a_fault_that_does_not_come_again_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked_for(monkeypatch, Stack(lambda _: False), {"r": recorded(True)})
    assert found is not None
    assert found.cause == "not-known"
    assert "Not reproducible" in found.sentence


@pytest.mark.internal_errors
def test_an_exception_of_a_run_is_an_outcome_that_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_args: Any, **_more: Any) -> Capsule:
        raise OSError("no space left")

    found = looked_for(monkeypatch, broken, {"r": recorded(True)})
    assert found is not None
    assert found.cause == "not-known"
    assert found.levers[0].verdict == "abstained"
    assert "no space left" in found.levers[0].detail


def test_a_defect_of_the_search_itself_ends_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> Any:
        raise KeyError("add")

    monkeypatch.setattr(module, "search", broken)
    with pytest.raises(KeyError, match="add"):
        looked_for(monkeypatch, Stack(fused), {"r": recorded(True)})


def test_the_script_is_run_where_no_model_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def nothing(*_args: Any, **_more: Any) -> Capsule:
        return Sample("replay").capsule()

    def script(lever: Lever | None) -> Capsule:
        asked.append(lever.name if lever is not None else AS_RECORDED)
        return recorded(fused(lever))

    found = looked_for(monkeypatch, nothing, {"r": recorded(True)}, script=script)
    assert found is not None
    assert found.cause == "grappler:remapping"
    assert "remapping-off" in asked


def test_weights_that_arrive_transposed_are_rs_conversion() -> None:
    meant, made = two_layers(width=5), two_layers(width=5)
    square = np.random.default_rng(1).normal(size=(5, 5)).astype(np.float32)
    meant[1].kernel, made[1].kernel = square, square.T.copy()
    meant[1].bias = made[1].bias = np.zeros(5, np.float32)
    x = grid(20)
    r, twin = Sample().predict(made, x).capsule(), Sample("twin").predict(meant, x).capsule()
    replay = Sample("replay").predict(made, x).capsule()
    pairs = [compare_runs(r, replay), compare_runs(r, twin)]
    found = attribute({"r": r, "replay": replay, "twin": twin}, pairs)
    assert found is not None
    assert (found.cause, found.confidence) == ("r-conversion", "likely")
    assert "kernel" in found.where
    assert any("replay" in line for line in found.evidence_for)


def test_a_replay_that_does_not_agree_takes_the_cause_back() -> None:
    meant, made, other = two_layers(), two_layers(), two_layers(seed=5)
    made[0].kernel = made[0].kernel * np.float32(1) + np.float32(0)
    made[0].bias = np.roll(made[0].bias, 1)
    x = grid(20)
    r, twin = Sample().predict(made, x).capsule(), Sample("twin").predict(meant, x).capsule()
    replay = Sample("replay").predict(other, x).capsule()
    pairs = [compare_runs(r, replay), compare_runs(r, twin)]
    found = attribute({"r": r, "replay": replay, "twin": twin}, pairs)
    assert found is not None
    assert found.cause == "not-known"


def test_every_pull_is_a_lever() -> None:
    assert lever_of(Pull(AS_RECORDED)) is None
    several = lever_of(Pull("two off", ("remapping", "layout")))
    assert several is not None
    assert several.passes == ("remapping", "layout")
    held = lever_of(Pull("onednn-off", way="graph"))
    assert held is not None
    assert (held.way, held.env) == ("graph", LEVERS["onednn-off"].env)
    assert all(name in LEVERS for name in BASIC)


@pytest.fixture(scope="module")
def sound(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Capsule:
    """A recorded prediction of three dense layers, with nothing wrong."""
    twin = tmp_path_factory.mktemp("twin") / "twin.py"
    twin.write_text(
        textwrap.dedent("""
            import numpy as np
            from tensorflow import keras
            random = np.random.default_rng(0)
            layers = [keras.layers.Dense(n, activation=a, name=name)
                      for n, a, name in ((8, "relu", "a"), (7, "relu", "b"), (3, None, "c"))]
            model = keras.Sequential([keras.layers.InputLayer((6,)), *layers])
            model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
            model.predict(random.normal(size=(20, 6)).astype(np.float32), verbose=0)
        """)
    )
    capsule = run_twin(pool, "case", Path(twin), 2, Limits())
    assert capsule.manifest.status == "ok", capsule.manifest.error
    return capsule


@pytest.mark.tf
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("relu-lost-in-fused", "b"), "grappler:remapping"),
        (Fault("activation-lost", "b"), "keras-layer"),
    ],
    ids=["fused", "layer"],
)
def test_a_fault_that_was_put_in_is_found(
    pool: Pool, sound: Capsule, fault: Fault, cause: str
) -> None:
    wrong = rerun(pool, sound, 2, Limits(), fault=fault)
    found = investigate(pool, {"r": wrong}, [], generation=2, limits=Limits(), fault=fault)
    assert found is not None
    assert found.cause == cause, found.sentence
    assert "get_layer('b')" in found.where
    assert len(found.levers) <= 10
