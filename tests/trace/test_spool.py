"""What a run had recorded until it died is kept, whatever it died of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule
from bridge.process.pool import Outcome
from bridge.trace.capsule_builder import Origin, assemble
from bridge.trace.encoder import Encoder
from bridge.trace.spool import ARRAYS, EVENTS, SpoolArrays, SpoolWriter, read_events

ENDED = Outcome("exited", 0, 0, 1.0, 2**20, "", "")
KILLED = Outcome("exited", -1, 9, 1.0, 2**20, "", "")


def assembled(folder: Path, outcome: Outcome = ENDED, **origin: Any) -> Capsule:
    about = Origin("r", "case", Path("case.R"), "x <- 1\n", "r", **origin)
    return assemble(about, folder, outcome)


def spool_with_a_probe(folder: Path, values: np.ndarray[Any, Any]) -> SpoolWriter:
    spool = SpoolWriter(folder)
    array = Encoder(spool).array("y", values)
    spool.event("probe", index=0, kind="predict", call=None, outputs=[array])
    return spool


def test_an_array_that_occurs_again_is_stored_once(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    first, second = (spool.array(np.arange(1000.0)) for _ in range(2))
    other = spool.array(np.arange(1000.0).reshape(10, 100))
    assert first == second
    assert other != first
    assert (tmp_path / ARRAYS).stat().st_size == 2 * 8000


def test_what_was_written_is_read_back_bit_by_bit(tmp_path: Path) -> None:
    values = np.array([[1.5, -0.0], [np.nan, np.inf]], dtype=np.float32)
    spool = SpoolWriter(tmp_path)
    key, _ = spool.array(values)
    arrays = SpoolArrays(tmp_path, read_events(tmp_path))
    assert key is not None
    assert arrays[key].tobytes() == values.tobytes()
    assert arrays[key].shape == (2, 2)


def test_fortran_order_is_noted_and_the_elements_stay_where_they_are(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path)
    value = Encoder(spool).value(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    assert value["order"] == "F"
    arrays = SpoolArrays(tmp_path, read_events(tmp_path))
    assert arrays[value["key"]].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_event_cut_short_is_left_out_and_the_ones_before_it_are_kept(tmp_path: Path) -> None:
    spool_with_a_probe(tmp_path, np.zeros(3)).event("note", text="whole")
    with (tmp_path / EVENTS).open("ab") as file:
        file.write(b'{"e":"note","te')
    capsule = assembled(tmp_path, KILLED)
    assert len(capsule.manifest.probes) == 1
    assert "whole" in capsule.manifest.notes


def test_an_array_cut_short_leaves_its_probe_without_elements(tmp_path: Path) -> None:
    spool_with_a_probe(tmp_path, np.zeros(100))
    with (tmp_path / ARRAYS).open("r+b") as file:
        file.truncate(17)
    capsule = assembled(tmp_path, KILLED)
    (output,) = capsule.manifest.probes[0].outputs
    assert output.key is None
    assert output.shape == (100,)


def test_a_spool_that_was_never_written_is_a_run_that_died(tmp_path: Path) -> None:
    capsule = assembled(tmp_path / "never", KILLED)
    assert capsule.manifest.status == "killed"
    assert capsule.manifest.error is not None
    assert capsule.manifest.error.cls == "SIGKILL"


@pytest.mark.parametrize("limit", ["time-limit", "memory-limit", "output-limit"])
def test_a_broken_limit_is_told_with_the_line(tmp_path: Path, limit: str) -> None:
    SpoolWriter(tmp_path).event("at", line=7, plots=0)
    capsule = assembled(tmp_path, Outcome(limit, -1, 9, 5.0, 2**20, "", ""))
    assert capsule.manifest.status == limit
    assert capsule.manifest.error is not None
    assert capsule.manifest.error.line == 7


def test_folders_of_the_user_are_taken_out_of_every_text(tmp_path: Path) -> None:
    home = Path.home()
    SpoolWriter(tmp_path).event("note", text=f"read {home}/x and /secret/place/y")
    capsule = assembled(tmp_path, private=("/secret/place",))
    assert f"{home}/x" not in " ".join(capsule.manifest.notes)
    assert "/secret/place" not in " ".join(capsule.manifest.notes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {"t": "none"}),
        (True, {"t": "bool", "v": "True"}),
        (2**70, {"t": "int", "v": str(2**70)}),
        (-0.0, {"t": "float", "v": "-0.0"}),
        (float("nan"), {"t": "float", "v": "nan"}),
        ("a", {"t": "str", "v": "a"}),
        (b"\x00\xff", {"t": "bytes", "v": "00ff"}),
    ],
)
def test_scalars_keep_their_type_and_every_bit(
    tmp_path: Path, value: object, expected: dict[str, str]
) -> None:
    assert Encoder(SpoolWriter(tmp_path)).value(value) == expected


def test_an_object_keeps_its_number_and_another_gets_another(tmp_path: Path) -> None:
    class Thing:
        pass

    encoder = Encoder(SpoolWriter(tmp_path))
    one, two = Thing(), Thing()
    assert encoder.number(one) == encoder.number(one)
    assert encoder.number(one) != encoder.number(two)
    numbers = {encoder.number(Thing()) for _ in range(50)}
    assert len(numbers) == 50


def test_a_list_in_itself_is_recorded_to_a_depth(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "nested too deep" in str(Encoder(SpoolWriter(tmp_path)).value(endless))


def test_functions_that_can_be_imported_are_named_and_others_are_not(tmp_path: Path) -> None:
    encoder = Encoder(SpoolWriter(tmp_path))
    assert encoder.value(np.linalg.norm)["t"] == "symbol"
    assert encoder.value(lambda: 0)["t"] == "object"
