"""One command checks all certificates of a report, and says what is wrong with any file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from typer.testing import Result

from bridge.capsule import Capsule, CapsuleError, write_capsule
from bridge.cases.case import Case
from bridge.compare.stages import compare_runs
from bridge.explain.conclusion import Conclusion
from bridge.report import report_json
from bridge.report.build import build_report
from bridge.rounding.layer_records import Judge
from bridge.verify import layer_values
from bridge.verify.certificate import (
    Certificates,
    certificates,
    read_certificates,
    write_certificates,
)
from bridge.verify.verification import ReportError, Verification, verify
from tests.commands import keras_bridge
from tests.compare_samples import Sample, flip_bit, grid, two_layers
from tests.examples import examples
from tests.verify.samples import with_array

Change = Callable[[Any], Any]


def _runs(seed: int = 0) -> dict[str, Capsule]:
    """Return two runs of one model, whose last layers differ in the last bit of an output."""
    model = two_layers(seed)
    x = grid(20)
    hidden = model[0].run(x)
    y = model[1].run(hidden)
    other = [hidden, flip_bit(y, (3, 1))]
    return {
        "r": Sample("r").predict(model, x, label="first").capsule(),
        "replay": Sample("replay").predict(model, x, outputs=other, label="first").capsule(),
    }


def write_case(folder: Path, runs: dict[str, Capsule]) -> Path:
    """Write a case's report, capsules and certificates; return its folder."""
    judge = Judge()
    pair = compare_runs(runs["r"], runs["replay"], judge=judge)
    assert (pair.verdict, pair.probes[0].rung) == ("within-rounding", "certified")
    finding = Conclusion("within-rounding", "rounding", "Rounding.")
    report = build_report(Case(folder.name, Path("a.R")), runs, [pair], finding)
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(report_json(report))
    for name, capsule in runs.items():
        write_capsule(capsule, folder / f"{name}.capsule")
        write_certificates(folder / f"{name}.certificates", certificates(capsule))
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("written") / "a", _runs())


@pytest.fixture
def case(written: Path, tmp_path: Path) -> Path:
    """Return a copy of the case's folder, to be changed at will."""
    return Path(shutil.copytree(written, tmp_path / "reports" / "a"))


def lines(found: Verification) -> str:
    return "\n".join(found.lines())


def change_json(path: Path, change: Change) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def change_certificates(
    case: Path, run: str, change: Callable[[Certificates], Certificates]
) -> None:
    path = case / f"{run}.certificates"
    held = read_certificates(path)
    held = replace(held, arrays={key: held.arrays[key] for key in held.arrays})
    write_certificates(path, change(held))


# --- what holds ----------------------------------------------------------------------------------


def test_the_first_sentence_says_that_all_hold(case: Path) -> None:
    write_case(case.parent / "b", _runs(1))
    found = verify(case.parent)
    outputs = 2 * 2 * (20 * 5 + 20 * 2 + 20 * 2)
    assert found.holds
    assert found.readable
    assert found.sentence() == (
        f"All {outputs} certified outputs of 12 layers hold: each error is what exact arithmetic "
        "gives, none is beyond its bound, and each bound is the rules'."
    )
    assert [line.split(":")[0] for line in found.lines()][1:] == ["a", "b"]


def test_one_cases_folder_may_be_named(case: Path) -> None:
    assert verify(case).sentence() == verify(case.parent).sentence()


def test_a_sample_says_that_it_is_one(case: Path) -> None:
    found = verify(case, sample=7)
    assert found.holds
    assert found.sentence().startswith("All 42 outputs drawn from 360 of 6 layers hold")


def test_progress_is_told(case: Path) -> None:
    told: list[tuple[str, int, int]] = []
    verify(case, progress=lambda *each: told.append(each))
    assert told[-1] == ("a", 360, 360)
    verify(case, 7, lambda *each: told.append(each))
    assert told[-1] == ("a", 42, 42)


def test_data_is_strict_json_and_has_every_layer(case: Path) -> None:
    change_certificates(case, "r", lambda held: with_array(held, lambda b: b * np.inf, "bound"))
    data = json.loads(verify(case).as_text())
    assert data["holds"] is False
    (only,) = data["cases"]
    assert [run["run"] for run in only["runs"]] == ["r", "replay"]
    assert [len(run["layers"]) for run in only["runs"]] == [3, 3]
    assert only["runs"][0]["layers"][0]["failures"][0]["bound"] == "inf"


def test_what_was_not_re_checked_is_counted(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_values, "EXACT", {})
    found = verify(case)
    assert found.holds
    assert found.sentence() == (
        "No certificate could be re-checked. 6 layers with 360 outputs were not re-checked."
    )
    why = "there is no exact evaluation of Dense here"
    assert f"not re-checked: 6 x Dense, 360 outputs: {why}" in lines(found)


# --- what was tampered with ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("bound", lambda b: b * 1e-9, "is not what the rules give"),
        ("bound", lambda b: b * 1.01, "is not what the rules give"),
        ("error", lambda e: e * 0.5, "but exact arithmetic gives"),
    ],
)
def test_other_numbers_are_named_with_case_run_layer_and_element(
    case: Path, name: str, change: Change, words: str
) -> None:
    change_certificates(case, "replay", lambda held: with_array(held, change, name))
    found = verify(case.parent)
    assert not found.holds
    assert "certified outputs do not hold. The first: a, replay, probe 0, layer 'dense'[" in (
        found.sentence()
    )
    assert words in found.sentence()
    assert "1 FAILED" in lines(found)
    assert "outputs more" in lines(found)


def test_a_capsule_of_another_run_is_named(case: Path) -> None:
    write_capsule(_runs(5)["r"], case / "r.capsule")
    found = verify(case)
    assert not found.holds
    assert "is not what the rules give" in found.sentence()


def _without(position: int, prediction: int | None) -> Callable[[Certificates], Certificates]:
    def removed(held: Certificates) -> Certificates:
        kept = tuple(
            each
            for each in held.manifest.certificates
            if (each.position, each.prediction) != (position, prediction)
        )
        return replace(held, manifest=held.manifest.model_copy(update={"certificates": kept}))

    return removed


@pytest.mark.parametrize(("position", "prediction"), [(0, None), (1, None), (1, 0)])
@pytest.mark.parametrize("run", ["r", "replay"])
def test_a_certificate_that_was_removed_is_missed(
    case: Path, run: str, position: int, prediction: int | None
) -> None:
    change_certificates(case, run, _without(position, prediction))
    found = verify(case)
    assert not found.holds
    assert "certificate" in found.sentence()
    assert f"a, {run}, layer " in lines(found)


def test_a_report_whose_certificates_say_nothing_of_a_layer_is_missed(case: Path) -> None:
    def silent(held: Certificates) -> Certificates:
        manifest = held.manifest.model_copy(update={"certificates": (), "judged": ()})
        return replace(held, manifest=manifest)

    change_certificates(case, "r", silent)
    assert "report.json calls it certified, without certificate" in lines(verify(case))


def test_a_file_of_certificates_that_is_missing_is_missed(case: Path) -> None:
    (case / "r.certificates").unlink()
    found = verify(case)
    assert not found.holds
    assert "r.certificates is missing; run the case again" in found.sentence()


def test_two_certificates_for_one_layer_are_refused(case: Path) -> None:
    def twice(held: Certificates) -> Certificates:
        both = (*held.manifest.certificates, held.manifest.certificates[0])
        return replace(held, manifest=held.manifest.model_copy(update={"certificates": both}))

    change_certificates(case, "r", twice)
    assert "several certificates for one layer" in lines(verify(case))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("points", 99, "99 against 100 outputs"),
        ("beyond_bound", 2, "2 outputs beyond the bound, and yet within rounding"),
        ("error", 1e-9, "largest error 1e-09 against"),
        ("bound", "Infinity", "largest bound inf against"),
        ("cls", "keras.layers.Conv2D", "class 'keras.layers.Conv2D' against"),
    ],
)
def test_numbers_of_the_report_that_are_not_those_of_the_certificate_are_named(
    case: Path, key: str, value: Any, words: str
) -> None:
    def change(data: Any) -> None:
        data["pairs"][0]["layers"][0][key] = value

    change_json(case / "report.json", change)
    found = verify(case)
    assert not found.holds
    assert words in found.sentence()


def test_layers_that_no_capsule_has_are_named(case: Path) -> None:
    def change(data: Any) -> None:
        data["pairs"][0]["layers"][0]["layer"] = "another"

    change_json(case / "report.json", change)
    assert "whose layers no capsule has" in verify(case).sentence()


# --- files of strangers --------------------------------------------------------------------------


def test_without_a_report_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="There is no folder"):
        verify(tmp_path / "nowhere")
    with pytest.raises(ReportError, match="There is no report in"):
        verify(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"case": 3}', '{"case": "a", "pairs": [{}]}', '"' + "x" * 10]
)
def test_a_report_that_is_none_is_said_to_be(case: Path, text: str) -> None:
    (case / "report.json").write_text(text)
    found = verify(case)
    assert not found.readable
    assert "is not a report" in lines(found)


@pytest.mark.parametrize("name", ["r.certificates", "r.capsule"])
@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_file_that_was_cut_short_is_said_to_be(case: Path, name: str, length: int) -> None:
    whole = (case / name).read_bytes()
    (case / name).write_bytes(whole[:length])
    found = verify(case)
    assert not found.readable
    assert f"{name} is " in lines(found)
    assert "1 file could not be read." in found.sentence()


def test_certificates_without_their_capsule_are_said_to_be(case: Path) -> None:
    (case / "r.capsule").unlink()
    assert "r.certificates is there, but not r.capsule" in lines(verify(case))


def test_a_capsule_is_no_file_of_certificates(case: Path) -> None:
    (case / "r.certificates").write_bytes((case / "r.capsule").read_bytes())
    assert "not a file of certificates" in lines(verify(case))


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"schema_version": 2}', "schema version 2"),
        ('{"schema_version": 1}', "does not fit the schema"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(
    tmp_path: Path, manifest: str, words: str
) -> None:
    from bridge.capsule.store import write_arrays

    path = tmp_path / "r.certificates"
    write_arrays(path, {}, "keras-bridge-certificates", manifest)
    with pytest.raises(CapsuleError, match=words):
        read_certificates(path)


def test_arrays_that_are_not_there_or_of_another_shape_are_refused(case: Path) -> None:
    held = read_certificates(case / "r.certificates")
    first = held.manifest.certificates[0]
    bounds = first.outputs[0]
    arrays = {key: held.arrays[key] for key in held.arrays}
    for change in ({"key": "nowhere"}, {"key": None}, {"shape": (2**40, 2**40)}):
        other = bounds.model_copy(update={"bound": bounds.bound.model_copy(update=change)})
        certificate = first.model_copy(update={"outputs": (other,)})
        manifest = held.manifest.model_copy(update={"certificates": (certificate,)})
        try:
            write_certificates(case / "r.certificates", Certificates(manifest, arrays))
        except CapsuleError:
            continue
        with pytest.raises(CapsuleError):
            read_certificates(case / "r.certificates")


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_that_is_another_makes_a_traceback(case: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["r.certificates", "r.capsule", "report.json"]))
    path = case / name
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    try:
        found = verify(case)
        assert found.sentence()
        assert json.loads(found.as_text())
        assert list(found.lines())
    finally:
        path.write_bytes(whole)


# --- the command ---------------------------------------------------------------------------------


def command(*words: str) -> Result:
    return keras_bridge("verify", *words)


def test_the_command_says_a_sentence_first_and_ends_with_nothing(case: Path) -> None:
    done = command(str(case.parent))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("All 360 certified outputs of 6 layers hold")


def test_the_command_ends_with_one_if_something_does_not_hold(case: Path) -> None:
    change_certificates(case, "r", lambda held: with_array(held, lambda b: b * 2, "bound"))
    done = command(str(case.parent), "--json", "--sample", "5")
    assert (done.exit_code, done.stderr) == (1, "")
    assert json.loads(done.stdout)["sample"] == 5


def test_the_command_ends_with_two_if_there_is_nothing_to_read(case: Path) -> None:
    done = command(str(case.parent / "nowhere"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("keras-bridge: There is no folder")
    (case / "r.certificates").write_bytes(b"nothing")
    assert command(str(case.parent)).exit_code == 2


def test_names_of_strangers_cannot_speak_to_the_terminal(case: Path) -> None:
    def change(data: Any) -> None:
        data["case"] = "a\x1b[31m\nAll hold"

    change_json(case / "report.json", change)
    done = command(str(case.parent))
    assert "\x1b" not in done.stdout
    assert "\nAll hold" not in done.stdout
