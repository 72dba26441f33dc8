"""Where a run writes: in its own folder, whatever path the script spelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.runs.replay import own_path, with_folders


@pytest.mark.parametrize(
    "text",
    ["<work>/Rtmp1/a.keras", "~/models/a.h5", "/tmp/runs/a.h5", "../../a.h5", "C:\\models\\a.h5"],
)
def test_what_lies_elsewhere_is_looked_for_in_the_runs_own_folder(
    tmp_path: Path, text: str
) -> None:
    path = Path(own_path(text, tmp_path))
    assert path.is_relative_to(tmp_path)
    assert path.name == "a.keras" or path.name == "a.h5"
    assert path.parent.is_dir()


@pytest.mark.parametrize("text", ["<work>/../../etc/passwd", "~/../../etc/passwd", "/tmp/../etc/x"])
def test_no_path_leads_out_of_the_folder(tmp_path: Path, text: str) -> None:
    assert Path(own_path(text, tmp_path)).resolve().is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    "text", ["", "mse", "weights.{epoch:02d}.h5", "models/a.keras", "/", "a\nb", "~ 5 percent"]
)
def test_what_lies_in_the_folder_or_is_no_path_stays_as_it_is(tmp_path: Path, text: str) -> None:
    assert own_path(text, tmp_path) == text


def test_the_same_path_is_the_same_file_again(tmp_path: Path) -> None:
    assert own_path("/tmp/runs/a.h5", tmp_path) == own_path("/tmp/runs/a.h5", tmp_path)
    inside = own_path("<work>/a.h5", tmp_path)
    assert own_path(inside, tmp_path) == inside


def test_folders_that_the_script_had_made_are_there(tmp_path: Path) -> None:
    with_folders("models/deep/a.keras", tmp_path)
    assert (tmp_path / "models" / "deep").is_dir()
