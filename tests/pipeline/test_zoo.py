"""The zoo: faults of TensorFlow and Keras that show here, and recordings of faults that do not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from bridge.capsule import Capsule, Environment, FrontEnd, Manifest, read_capsule
from bridge.cases.case import Case, choose, find_cases, read_case, suite_folders
from bridge.compare.result import LayerVerdict, ProbePair, RunPair, Verdict
from bridge.explain.conclusion import Conclusion, standing
from bridge.explain.executed_ops import elsewhere
from bridge.explain.lever_search import AS_RECORDED
from bridge.explain.result import CauseEvidence, LeverOutcome
from bridge.facts.causes import is_cause
from bridge.pipeline.examine_case import Settings, Suite
from bridge.pipeline.explain_capsule import generation_of
from bridge.pipeline.lever_runs import investigate
from bridge.process.pool import Limits, Pool
from bridge.report.build import build_report
from bridge.rounding.layer_records import Judge

ROOT: Final = Path(__file__).parents[2]
RECORDINGS: Final = ROOT / "recordings"
TOLD: Final[list[dict[str, Any]]] = tomllib.loads(
    (RECORDINGS / "recordings.toml").read_text("utf-8")
)["recording"]
#: The cases of the zoo; those named "rounding" are reports of faults that are none.
ZOO: Final = [each for each in find_cases(suite_folders()) if each.name.startswith("zoo_")]


def environment(**fields: Any) -> Environment:
    here: dict[str, Any] = {
        "system": "Linux",
        "machine": "x86_64",
        "devices": ("CPU",),
        "packages": {"tensorflow": "2.21.0", "keras": "3.15.1"},
    }
    return Environment(**{**here, **fields})


#: Where the faults show that not every processor has: TensorFlow without oneDNN.
SHOWING: Final = FrontEnd(kind="standin", package="keras3", version="1.5.1"), environment()
LIVE: Final = [case for case in ZOO if "different" in case.verdicts(*SHOWING)]


# What a header says of a fault upstream.


def test_at_least_eight_faults_upstream_show_here_and_each_can_be_mended() -> None:
    assert len(LIVE) >= 8
    for case in LIVE:
        assert case.problems == ()
        assert case.upstream
        assert case.seen_with
        assert case.verdicts(*SHOWING) == ("different",)
        assert len(case.causes(*SHOWING)) == 1
    assert len({case.causes(*SHOWING) for case in LIVE}) >= 5


def test_a_version_that_cannot_be_read_is_a_slip_in_the_header(tmp_path: Path) -> None:
    script = tmp_path / "a.R"
    script.write_text("#| upstream: tensorflow#1\n#| seen-with: the newest\n1\n")
    case = read_case(script)
    assert case.upstream == "tensorflow#1"
    assert case.seen_with == ""
    assert "a package and a version" in " ".join(case.problems)


def test_a_fault_that_shows_is_said_to_show() -> None:
    found = standing("tensorflow#1", "tensorflow 2.20.0", "different", True, environment())
    assert found is not None
    assert found.shows
    assert "still shows with tensorflow 2.21.0" in found.sentence


def test_a_fault_that_a_later_version_mended_is_fixed_upstream() -> None:
    found = standing("tensorflow#1", "tensorflow 2.20.0", "same-bits", True, environment())
    assert found is not None
    assert not found.shows
    assert "no longer shows with tensorflow 2.21.0: fixed upstream" in found.sentence


def test_the_same_version_has_not_mended_it_but_another_machine_may_not_show_it() -> None:
    for seen in ("tensorflow 2.21.0", "tensorflow 2.100"):
        found = standing("tensorflow#1", seen, "within-rounding", True, environment())
        assert found is not None
        assert not found.shows
        assert "fixed upstream" not in found.sentence
        assert "this machine" in found.sentence


@pytest.mark.parametrize(
    ("verdict", "decided"), [("failed", True), ("abstained", True), ("same-bits", False)]
)
def test_a_run_that_tells_nothing_does_not_call_a_fault_mended(
    verdict: Verdict, decided: bool
) -> None:
    assert standing("tensorflow#1", "", verdict, decided, environment()) is None


def report_of(case: Case, verdict: Verdict, cause: str, layers: Verdict) -> Any:
    r = Capsule(Manifest(runner="r", case="c", status="ok", environment=environment()), {})
    layer = LayerVerdict(layer="dense", cls="Dense", verdict=layers, rung="certified")
    probe = ProbePair(
        a="r", b="reference", probe="predict 1", verdict=layers, rung="certified", points=1,
        difference=None, stages=(), layers=(layer,),
    )  # fmt: skip
    pair = RunPair(a="r", b="reference", verdict=layers, probes=(probe,), first_divergence=None)
    return build_report(case, {"r": r}, [pair], Conclusion(verdict, cause, "A sentence."))


def test_a_mended_fault_is_no_reproach_and_a_wrong_cause_is(tmp_path: Path) -> None:
    script = tmp_path / "a.R"
    script.write_text(
        "#| expect-verdict: different\n#| expect-cause: xla\n"
        "#| upstream: tensorflow#1\n#| seen-with: tensorflow 2.20.0\n1\n"
    )
    case = read_case(script)
    mended = report_of(case, "same-bits", "none", "same-bits")
    assert mended.expected.met
    assert not mended.upstream.shows
    right = report_of(case, "different", "xla", "different")
    assert right.expected.met
    assert right.upstream.shows
    assert not report_of(case, "different", "onednn", "different").expected.met
    open_ = report_of(case, "same-bits", "none", "abstained")
    assert not open_.expected.met
    assert open_.upstream is None


# A fault of a recording that does not come again.


def searched(verdict: Verdict = "same-bits", cause: str = "not-known") -> CauseEvidence:
    again = LeverOutcome(lever=AS_RECORDED, verdict=verdict)
    return CauseEvidence(cause=cause, confidence="", sentence="Not reproducible.", levers=(again,))


def concluded(there: Environment, found: CauseEvidence | None = None) -> CauseEvidence:
    recorded, again = (
        Capsule(Manifest(runner="r", case="c", status="ok", environment=each), {})
        for each in (there, environment())
    )
    return elsewhere(found or searched(), recorded, again, 0, {"dense"})


def test_a_device_that_is_not_here_is_to_blame_if_all_is_right_here() -> None:
    packages = {"tensorflow": "2.13.0", "keras": "3.15.1", "tensorflow-metal": "1.1.0"}
    there = environment(system="Darwin", devices=("CPU", "GPU"), packages=packages)
    found = concluded(there)
    assert (found.cause, found.confidence) == ("device-plugin", "likely")
    assert "tensorflow-metal 1.1.0" in found.sentence
    assert any("tensorflow is 2.13.0 there" in each for each in found.evidence_against)


def test_nothing_is_concluded_if_the_fault_shows_here_or_was_explained() -> None:
    there = environment(devices=("CPU", "GPU"))
    for found in (searched("different"), searched("abstained"), searched(cause="xla")):
        assert concluded(there, found) == found


def test_the_same_machine_does_not_explain_itself() -> None:
    assert concluded(environment()) == searched()


def test_another_machine_without_a_device_is_described_and_nothing_is_blamed() -> None:
    found = concluded(environment(packages={"tensorflow": "2.13.0", "keras": "3.15.1"}))
    assert found.cause == "not-known"
    assert "tensorflow is 2.13.0 there, 2.21.0 here" in found.sentence


# The recordings.


def recording(entry: dict[str, Any]) -> Capsule:
    return read_capsule(RECORDINGS / "zoo" / f"{entry['name']}.capsule")


def test_every_recording_is_there_and_small_and_says_that_it_was_made_here() -> None:
    files = {path.stem: path.stat().st_size for path in (RECORDINGS / "zoo").glob("*.capsule")}
    assert set(files) == {entry["name"] for entry in TOLD}
    assert max(files.values()) < 100_000
    for entry in TOLD:
        manifest = recording(entry).manifest
        assert any("Not recorded on the hardware" in note for note in manifest.notes)
        assert entry.get("thread", "") in manifest.notes[0]
        assert is_cause(entry["cause"])
    assert len([entry for entry in TOLD if entry["cause"] != "not-known"]) >= 8
    assert any("tensorflow-metal" in recording(e).manifest.environment.packages for e in TOLD)


@pytest.mark.parametrize("entry", TOLD, ids=lambda entry: str(entry["name"]))
def test_the_wrong_layer_of_a_recording_is_named_and_no_other(entry: dict[str, Any]) -> None:
    capsule = recording(entry)
    wrong = {
        verdict.layer
        for probe in capsule.manifest.probes
        for verdict in Judge()(capsule, probe)
        if verdict.verdict == "different" and verdict.layer != "prediction"
    }
    assert wrong == ({entry["layer"]} if entry["layer"] else set())


def cause_of(pool: Pool, entry: dict[str, Any]) -> str:
    capsule = recording(entry)
    found = investigate(
        pool, {"r": capsule}, [], generation=generation_of(capsule), limits=Limits()
    )
    return found.cause if found is not None else "not-known"


@pytest.mark.tf
@pytest.mark.parametrize("name", ["metal_hidden_relu_lost", "xeon_vnni_product"])
def test_the_cause_of_a_recording_is_named(pool: Pool, name: str) -> None:
    (entry,) = (each for each in TOLD if each["name"] == name)
    assert cause_of(pool, entry) == entry["cause"]


@pytest.mark.tf
@pytest.mark.slow
def test_the_cause_of_every_recording_is_named(pool: Pool) -> None:
    named = {entry["name"]: cause_of(pool, entry) for entry in TOLD}
    assert named == {entry["name"]: entry["cause"] for entry in TOLD}


# The live ones.


@pytest.mark.r
@pytest.mark.tf
@pytest.mark.slow
def test_every_fault_of_the_zoo_is_explained_or_mended(pool: Pool) -> None:
    with Suite(Settings(frontend="standin"), pool=pool) as suite:
        for case, examined in zip(ZOO, suite.examine(ZOO), strict=True):
            report = examined.report
            told = f"{case.name}: {report.verdict}, {report.cause}: {report.sentence}"
            assert report.expected is not None, told
            assert report.expected.met, told


@pytest.mark.r
@pytest.mark.tf
def test_a_fault_of_xla_is_seen_in_its_layer(pool: Pool) -> None:
    with Suite(Settings(frontend="standin"), pool=pool) as suite:
        cases = choose(find_cases(suite_folders()), ["zoo_xla_bilinear_neighbour"])
        (examined,) = suite.examine(cases)
    report = examined.report
    assert report.upstream is not None
    if report.upstream.shows:
        assert report.first_divergence is not None
        assert "up_sampling2d" in report.first_divergence.where
        assert report.cause == "xla"
