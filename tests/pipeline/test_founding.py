"""The founding case, end to end: real R, real Keras, one report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.capsule import Capsule
from bridge.cases.case import choose, find_cases, suite_folders
from bridge.compare.stages import compare_runs
from bridge.pipeline.examine_case import Examined, Settings, Suite, write
from bridge.process.pool import Limits, Pool
from bridge.runs.twin import run_twin

pytestmark = [pytest.mark.r, pytest.mark.tf]

NAMES = ["relu_middle_dense", "relu_middle_dense_keras3", "relu_middle_dense_keras3_works"]
ACTIVATIONS = ["relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu"]
TWIN = Path(__file__).parents[2] / "comparisons" / "relu_middle_dense.py"


@pytest.fixture(scope="module")
def examined(pool: Pool) -> dict[str, Examined]:
    with Suite(Settings(frontend="standin"), pool=pool) as suite:
        cases = choose(find_cases(suite_folders()), NAMES)
        return {each.report.case: each for each in suite.examine(cases)}


@pytest.fixture(scope="module")
def report(
    examined: dict[str, Examined], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("reports")
    index = write(list(examined.values()), out)
    assert index == out / "index.html"
    found: dict[str, Any] = json.loads((out / "relu_middle_dense" / "report.json").read_text())
    return found


def test_the_report_has_the_agreed_keys(report: dict[str, Any]) -> None:
    agreed = {
        "schema", "case", "script", "frontend", "environment", "verdict", "cause", "sentence",
        "first_divergence", "pairs", "claims", "hypotheses", "levers",
    }  # fmt: skip
    assert agreed <= set(report)
    assert report["schema"] == 1
    pair = {"a", "b", "probe", "points", "max_abs", "max_ulp", "beyond_bound", "rung"}
    assert all(pair <= set(each) for each in report["pairs"])


def test_r_replay_twin_and_reference_agree_on_every_point(report: dict[str, Any]) -> None:
    wanted = {f"{model}/{name}" for model in "ABC" for name in ACTIVATIONS}
    for other in ("replay", "twin", "reference"):
        rows = [each for each in report["pairs"] if (each["a"], each["b"]) == ("r", other)]
        assert {each["probe"] for each in rows} == wanted
        assert {each["points"] for each in rows} == {1000}
        assert {each["verdict"] for each in rows} <= {"same-bits", "within-rounding"}
    assert report["verdict"] in ("same-bits", "within-rounding")
    assert report["cause"] == "none"
    assert report["first_divergence"] is None


def test_nothing_that_is_called_rounding_lies_beyond_its_bound(report: dict[str, Any]) -> None:
    judged = [each for each in report["pairs"] if each["b"] == "reference"]
    assert {each["beyond_bound"] for each in judged} == {0}
    assert {each["rung"] for each in judged} <= {"bit-equal", "certified"}


def test_the_report_says_that_the_stand_in_answered(report: dict[str, Any]) -> None:
    assert report["frontend"]["kind"] == "standin"
    assert report["frontend"]["package"] == "keras"


def test_the_keras_that_ran_is_the_one_that_the_script_means(
    examined: dict[str, Examined],
) -> None:
    legacy = examined["relu_middle_dense"].runs
    assert {run.manifest.environment.keras.split()[0] for name, run in legacy.items()
            if name != "reference"} == {"tf_keras"}  # fmt: skip
    current = examined["relu_middle_dense_keras3_works"].runs
    assert {run.manifest.environment.keras.split()[0] for name, run in current.items()
            if name != "reference"} == {"keras"}  # fmt: skip


def test_a_relu_in_the_middle_is_fused_and_looking_leaves_it_so(
    examined: dict[str, Examined],
) -> None:
    probes = {
        each.label: probe
        for each, probe in zip(
            examined["relu_middle_dense"].runs["twin"].manifest.probes,
            examined["relu_middle_dense"].runs["r"].manifest.probes,
            strict=True,
        )
    }
    executed = probes["A/relu"].executed
    assert executed is not None
    assert executed.fingerprint().get("_FusedMatMul[BiasAdd,Relu]") == 1
    looked = [layer.graph_unchanged for probe in probes.values() for layer in probe.layers]
    assert looked
    assert all(looked)


def test_rs_own_plots_are_in_the_report(examined: dict[str, Examined]) -> None:
    drawn = examined["relu_middle_dense"].runs["r"].manifest.plots
    assert len(drawn) == len(ACTIVATIONS)
    assert {plot.media_type for plot in drawn} == {"image/svg+xml"}


def test_every_layer_is_traced_to_its_line(examined: dict[str, Examined]) -> None:
    manifest = examined["relu_middle_dense"].runs["r"].manifest
    assert manifest.script is not None
    lines = manifest.script.text.splitlines()
    made = [call for call in manifest.calls if getattr(call.target, "public", "").endswith("Dense")]
    assert len(made) == 4 * len(ACTIVATIONS)
    assert all("layer_dense" in lines[(call.line or 0) - 1] for call in made)
    with_activation = [call for call in made if "activation = mm" in call.r_call]
    assert all("activation = mm" in lines[(call.line or 0) - 1] for call in with_activation)
    assert len(with_activation) == 2 * len(ACTIVATIONS)


def test_nothing_in_a_capsule_names_a_user_or_a_folder(examined: dict[str, Examined]) -> None:
    for each in examined.values():
        for run in each.runs.values():
            text = run.manifest.model_dump_json()
            assert str(Path.home()) not in text
            assert "/tmp/" not in text


def test_keras_3_refuses_both_ways_in_r_and_in_python(examined: dict[str, Examined]) -> None:
    report = examined["relu_middle_dense_keras3"].report
    assert (report.verdict, report.cause) == ("same-error", "keras-version")
    told = " ".join(report.explanation)
    assert "weights" in told
    assert "Expected shape (None, 1, 1)" in told
    for run in ("r", "replay", "twin"):
        caught = examined["relu_middle_dense_keras3"].runs[run].manifest.caught
        assert [error.cls for error in caught] == ["ValueError", "ValueError"]


def test_the_form_that_works_on_keras_3_works(examined: dict[str, Examined]) -> None:
    report = examined["relu_middle_dense_keras3_works"].report
    assert report.verdict in ("same-bits", "within-rounding")
    assert report.cause == "none"


def changed_twin(pool: Pool, tmp_path: Path, old: str, new: str) -> Capsule:
    text = TWIN.read_text()
    assert text.count(old) == 1
    twin = tmp_path / "twin.py"
    twin.write_text(text.replace(old, new))
    capsule = run_twin(pool, "changed", twin, 2, Limits())
    assert capsule.manifest.status == "ok", capsule.manifest.error
    return capsule


@pytest.mark.parametrize(
    ("old", "new", "stage"),
    [
        (
            "np.ones((1, 1), np.float32), np.zeros",
            "np.nextafter(np.ones((1, 1), np.float32), np.float32(2)), np.zeros",
            "weights",
        ),
        (
            "    grid = on_the_grid()\n    for",
            "    bits = on_the_grid().numpy()\n"
            "    bits[17] = np.nextafter(bits[17], np.float32(9))\n"
            "    grid = tf.constant(bits)\n    for",
            "input",
        ),
        ("layers.Activation(activation)", 'layers.Activation("linear")', "config"),
    ],
    ids=["one bit of a weight", "one bit of an input", "one activation"],
)
def test_the_smallest_change_of_the_twin_is_seen_and_its_stage_named(
    pool: Pool, examined: dict[str, Examined], tmp_path: Path, old: str, new: str, stage: str
) -> None:
    twin = changed_twin(pool, tmp_path, old, new)
    pair = compare_runs(examined["relu_middle_dense"].runs["r"], twin)
    assert pair.verdict == "different"
    assert pair.first_divergence is not None
    assert pair.first_divergence.stage == stage
