"""Files that calls find are recorded, but for those that Python wrote itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.trace.recorder import FoundFiles, now
from bridge.trace.spool import SpoolArrays, SpoolWriter, read_events


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path


def found(folder: Path) -> dict[str, bytes]:
    events = list(read_events(folder / "spool"))
    arrays = SpoolArrays(folder / "spool", iter(events))
    return {
        event["path"]: bytes(arrays[event["key"]].tobytes())
        for event in events
        if event["e"] == "file"
    }


def test_a_file_that_lay_there_is_recorded_once(folder: Path) -> None:
    Path("x.csv").write_text("a,b\n1,2\n")
    files = FoundFiles(SpoolWriter(folder / "spool"))
    files.begin(1, (["x.csv"], {"sep": ","}))
    files.begin(2, ("x.csv",))
    assert found(folder) == {"x.csv": b"a,b\n1,2\n"}


def test_a_file_that_was_written_again_is_recorded_again(folder: Path) -> None:
    files = FoundFiles(SpoolWriter(folder / "spool"))
    for text in ("1", "22"):
        Path("x.csv").write_text(text)
        files.begin(1, ("x.csv",))
    assert found(folder) == {"x.csv": b"22"}
    assert len([event for event in read_events(folder / "spool") if event["e"] == "file"]) == 2


def test_a_file_that_python_wrote_is_made_again_and_not_recorded(folder: Path) -> None:
    files = FoundFiles(SpoolWriter(folder / "spool"))
    start = now()
    Path("m.keras").write_bytes(b"model")
    when = start + 1.0
    os.utime("m.keras", (when, when))
    files.made(start, start + 2.0)
    files.begin(1, ("m.keras",))
    assert found(folder) == {}


def test_what_lies_in_a_folder_that_a_call_names_is_recorded(folder: Path) -> None:
    Path("images/cats").mkdir(parents=True)
    Path("images/cats/1.png").write_bytes(b"png")
    FoundFiles(SpoolWriter(folder / "spool")).begin(1, ("images",))
    assert found(folder) == {"images/cats/1.png": b"png"}


def test_libraries_and_code_are_not_recorded(folder: Path) -> None:
    Path("a.py").write_text("1")
    files = FoundFiles(SpoolWriter(folder / "spool"))
    files.begin(1, ("a.py", str(Path(os.__file__).parent), ".", "mse", "a.b\nc"))
    assert found(folder) == {}
