"""The R that is found chooses the versions, in one place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.r import version_constraints
from bridge.r.version_constraints import (
    NoStackError,
    Version,
    choose,
    parse_r_version,
    parse_version,
)

ROOT = Path(__file__).parents[2]
DEBIAN_12 = ((4, 2, 2), (1, 28), (3, 11, 2))
DEBIAN_13 = ((4, 5, 0), (1, 41, 0, 1), (3, 13, 5))

releases = st.tuples(st.integers(0, 9), st.integers(0, 60), st.integers(0, 9))


def pins_of(constraints: tuple[str, ...]) -> list[tuple[str, str]]:
    lines = [
        line
        for name in constraints
        for line in (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return [
        (name.lower().replace("_", "-"), pin) for name, _, pin in (x.partition("==") for x in lines)
    ]


def test_debian_12_gets_the_last_rpy2_for_its_r_and_numpy_1() -> None:
    chosen = choose(*DEBIAN_12)
    assert (chosen.rpy2, chosen.numpy) == ("3.5.17", "1.26.4")


def test_debian_13_gets_current_rpy2_and_numpy_2() -> None:
    chosen = choose(*DEBIAN_13)
    assert chosen.rpy2 == "3.6.9"
    assert chosen.numpy.startswith("2.")


@pytest.mark.parametrize("r", [(4, 3, 1), (4, 4, 3)])
@pytest.mark.parametrize(("reticulate", "numpy"), [((1, 37), "1."), ((1, 38), "2.")])
def test_between_them_reticulate_chooses_numpy(r: Version, reticulate: Version, numpy: str) -> None:
    chosen = choose(r, reticulate, (3, 12, 0))
    assert chosen.rpy2 == "3.5.17"
    assert chosen.numpy.startswith(numpy)


def test_a_new_r_with_an_old_reticulate_keeps_numpy_1() -> None:
    assert choose((4, 5, 0), (1, 28), (3, 11, 2)).numpy == "1.26.4"


def test_reticulate_that_is_still_to_come_is_taken_to_be_as_old_as_r() -> None:
    assert choose((4, 2, 2), None, (3, 11, 2)).numpy == "1.26.4"
    assert choose((4, 5, 0), None, (3, 11, 2)).numpy != "1.26.4"


@pytest.mark.parametrize(
    ("r", "reticulate", "python", "reason", "fix"),
    [
        ((4, 1, 2), (1, 41), (3, 11, 0), "R 4.1.2 is too old", "install R 4.2"),
        ((4, 5, 0), (1, 41), (3, 10, 4), "this is 3.10", "make PYTHON=python3.13"),
        ((4, 5, 0), (1, 41), (3, 14, 0), "this is 3.14", "make PYTHON=python3.13"),
        ((4, 2, 2), (1, 28), (3, 13, 0), "NumPy 1, which has no wheels", "make PYTHON=python3.12"),
    ],
)
def test_where_nothing_is_known_to_work_the_refusal_says_what_to_type(
    r: Version, reticulate: Version, python: Version, reason: str, fix: str
) -> None:
    with pytest.raises(NoStackError) as refused:
        choose(r, reticulate, python)
    assert reason in refused.value.reason
    assert fix in refused.value.fix


@given(r=releases, reticulate=st.none() | releases, minor=st.integers(0, 20))
def test_every_choice_is_pinned_whole_and_once(
    r: Version, reticulate: Version | None, minor: int
) -> None:
    try:
        chosen = choose(r, reticulate, (3, minor, 0))
    except NoStackError:
        return
    pins = pins_of(chosen.constraints)
    assert len({name for name, _ in pins}) == len(pins)
    # A package that has only betas is pinned to one.
    assert all(re.fullmatch(r"[\d.]+\d(b\d+)?", pin) for _, pin in pins)
    assert dict(pins)["rpy2"] == chosen.rpy2
    assert dict(pins)["numpy"] == chosen.numpy


@pytest.mark.parametrize("debian", [DEBIAN_12, DEBIAN_13])
def test_everything_the_project_names_is_pinned(
    debian: tuple[Version, Version, Version],
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
    ]
    names = {re.split("[<>=]", each)[0].lower().replace("_", "-") for each in wanted}
    assert names <= set(dict(pins_of(choose(*debian).constraints)))


def test_no_constraint_file_is_left_unused() -> None:
    used = {
        name
        for r in ((4, 2, 2), (4, 5, 0))
        for reticulate in ((1, 28), (1, 41))
        for name in choose(r, reticulate, (3, 11, 0)).constraints
    }
    assert used == {path.name for path in (ROOT / "constraints").iterdir()}


def test_the_version_is_read_from_what_r_prints() -> None:
    printed = 'R version 4.5.0 (2025-04-11) -- "How About a Twenty-Six"\nCopyright (C) 2025'
    assert parse_r_version(printed) == (4, 5, 0)


@pytest.mark.parametrize(
    "printed", ["", "bash: R: command not found", "R Under development (unstable) (2026-01-01 r8)"]
)
def test_what_names_no_release_has_no_version(printed: str) -> None:
    assert parse_r_version(printed) is None


@given(releases)
def test_a_version_survives_being_written_and_read(version: Version) -> None:
    assert parse_version(version_constraints.dotted(version)) == version


@pytest.mark.parametrize("command", [("no-such-command",), ("false",), ("sleep", "9")])
def test_a_question_that_is_not_answered_has_an_empty_answer(command: tuple[str, ...]) -> None:
    assert version_constraints.ask(command, seconds=0.2) == ""


def ran_as_a_script(path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", ROOT / "bridge/r/version_constraints.py"],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": path},
    )


def fake_r(folder: Path, version: str, reticulate: str) -> str:
    program = folder / "R"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "R version {version} (2024-01-01)" && exit\n'
        f"printf '\\n{reticulate}'\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"


def test_as_a_script_it_needs_nothing_installed_and_prints_the_files(tmp_path: Path) -> None:
    done = ran_as_a_script(fake_r(tmp_path, "4.4.1", "1.41.0.1"))
    assert done.stdout.split() == [
        "constraints/common.txt",
        "constraints/r-before-4.5.txt",
        "constraints/reticulate-1.38.txt",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_as_a_script_it_refuses_in_one_line(tmp_path: Path) -> None:
    done = ran_as_a_script(fake_r(tmp_path, "3.6.3", "1.41"))
    assert done.stderr == "R 3.6.3 is too old: install R 4.2 or newer\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_as_a_script_it_says_that_there_is_no_r(tmp_path: Path) -> None:
    done = ran_as_a_script(str(tmp_path))
    assert done.stderr == "R is not on the PATH; install R and type: make\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.r
def test_the_r_of_this_machine_has_a_stack() -> None:
    r = parse_r_version(version_constraints.ask(("R", "--version")))
    assert r is not None
    assert choose(r, None, (3, 11, 0)).constraints
