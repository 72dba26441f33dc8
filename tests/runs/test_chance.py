"""Chance: what R draws is recorded and put in, and every reader knows the same functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge.capsule import Capsule, LayerState, Manifest, ModelState, Probe
from bridge.cases.case import read_case
from bridge.facts.r import DRAWING
from bridge.pipeline.examine_case import chance
from bridge.process.pool import Limits, Pool
from bridge.r.script import Inspection, inspect, serve
from bridge.runs.intent import run_intent
from bridge.runs.r import run_r
from bridge.translate.text import translate

#: What each function is called with, so that it draws a few numbers.
ARGUMENTS = {
    "rbeta": "3, 2, 3", "rbinom": "3, 9, 0.5", "rcauchy": "3", "rchisq": "3, 2", "rexp": "3",
    "rf": "3, 2, 3", "rgamma": "3, 2", "rgeom": "3, 0.2", "rhyper": "3, 5, 5, 4", "rlnorm": "3",
    "rlogis": "3", "rmultinom": "2, 5, c(0.2, 0.8)", "rnbinom": "3, 4, 0.5", "rnorm": "3",
    "rpois": "3, 4", "rsignrank": "3, 9", "rt": "3, 4", "runif": "3", "rweibull": "3, 2",
    "rwilcox": "3, 5, 4", "rWishart": "1, 4, diag(2)", "sample": "5", "sample.int": "9, 3",
}  # fmt: skip


@pytest.mark.r
@pytest.mark.tf
def test_whatever_r_draws_is_recorded_and_is_what_the_intent_has(
    pool: Pool, tmp_path: Path
) -> None:
    assert set(ARGUMENTS) == DRAWING
    script = tmp_path / "draws.R"
    lines = [f"print({name}({given}))" for name, given in ARGUMENTS.items()]
    script.write_text("\n".join(["library(keras3)", *lines]) + "\n", "utf-8")
    case = read_case(script)
    installed, (inspection,) = inspect([script])
    served = serve(inspection.package, "standin", installed)
    made = run_r(pool, case.name, script, inspection, served, Limits())
    assert [draw.name for draw in made.manifest.draws] == list(ARGUMENTS)
    meant = run_intent(pool, case.name, script, inspection, made, Limits())
    assert (meant.manifest.status, meant.manifest.gaps) == ("ok", ())


@pytest.mark.r
@pytest.mark.parametrize(
    "seed",
    ["tensorflow::set_random_seed(3)", "tf$random$set_seed(3L)", "use_session_with_seed(3)"],
)
def test_each_way_to_seed_keras_counts_for_every_reader(tmp_path: Path, seed: str) -> None:
    script = tmp_path / "seeded.R"
    body = 'm <- keras_model_sequential() %>% layer_dense(1, name = "a") %>% layer_dense(1)\n'
    script.write_text(f"library(keras)\n{seed}\n{body}", "utf-8")
    _, (inspection,) = inspect([script])
    made = translate(inspection.tree, script="seeded.R", package="keras", generation=2)
    assert not made.as_made
    assert chance(inspection, {"r": drawn("RandomNormal")}) == ()


@pytest.mark.parametrize(
    ("initializer", "draws"),
    [("VarianceScaling", True), ("TruncatedNormal", True), ("GlorotUniform", True),
     ("Zeros", False)],
)  # fmt: skip
def test_weights_that_are_drawn_without_a_seed_are_told(initializer: str, draws: bool) -> None:
    assert bool(chance(Inspection("text"), {"r": drawn(initializer)})) == draws


@pytest.mark.parametrize("state", [-1, 1, None])
def test_a_probe_of_no_recorded_state_has_no_model(state: int | None) -> None:
    capsule = drawn("Zeros")
    assert capsule.state_of(Probe(index=0, kind="predict", state=state)) is None
    assert capsule.state_of(Probe(index=0, kind="predict", state=0)) is not None


def drawn(initializer: str) -> Capsule:
    config = {"kernel_initializer": {"class_name": initializer, "config": {}}}
    layer = LayerState(name="dense", cls="keras.layers.Dense", config=dict(config))
    state = ModelState(id=1, cls="keras.Sequential", keras="keras", name="m", layers=(layer,))
    manifest = Manifest(runner="r", case="sample", status="ok", states=(state,))
    return Capsule(manifest, {"none": np.zeros(0)})
