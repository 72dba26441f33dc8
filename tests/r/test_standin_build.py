"""Building the private library: once, whole, and with a sentence where it cannot be."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.r.standin import build, generate
from tests.standin import needs_r


@pytest.fixture
def fake_r(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An R whose ``CMD INSTALL`` makes an empty package, and a reticulate beside it."""
    home = tmp_path / "R"
    (home / "bin").mkdir(parents=True)
    for package, version in (("base", "4.2.2"), ("reticulate", "1.28")):
        folder = home / "library" / package
        folder.mkdir(parents=True)
        (folder / "DESCRIPTION").write_text(f"Package: {package}\nVersion: {version}\n")
    command = home / "bin" / "R"
    command.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = RHOME ]; then echo {home}; exit; fi\n'
        'for last; do :; done; lib=$(echo "$@" | sed "s/.*--library=\\([^ ]*\\).*/\\1/")\n'
        'echo installing "$last"; test -z "$BREAK" || exit 1\n'
        'mkdir "$lib/$(basename "$last")"\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for name in ("R_LIBS", "R_LIBS_USER", "R_LIBS_SITE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(build, "SITES", ())
    build.r_home.cache_clear()
    yield home
    build.r_home.cache_clear()


@pytest.mark.usefixtures("fake_r")
def test_a_library_holds_all_packages(tmp_path: Path) -> None:
    library = build.ensure_standin(tmp_path / "cache")
    assert {path.name for path in library.iterdir()} == {p.name for p in generate.PACKAGES}


@pytest.mark.usefixtures("fake_r")
def test_a_second_call_builds_nothing(tmp_path: Path) -> None:
    first = build.ensure_standin(tmp_path / "cache")
    stamp = first.stat().st_mtime_ns
    assert build.ensure_standin(tmp_path / "cache") == first
    assert first.stat().st_mtime_ns == stamp


@pytest.mark.usefixtures("fake_r")
def test_nothing_is_left_beside_the_library(tmp_path: Path) -> None:
    library = build.ensure_standin(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == [library]


def test_another_reticulate_gets_a_library_of_its_own(fake_r: Path, tmp_path: Path) -> None:
    first = build.ensure_standin(tmp_path / "cache")
    (fake_r / "library" / "reticulate" / "DESCRIPTION").write_text("Version: 1.41\n")
    assert build.ensure_standin(tmp_path / "cache") != first


@pytest.mark.usefixtures("fake_r")
def test_another_table_gets_a_library_of_its_own(tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    first = build.key(tables)
    (tables / "keras-1.json").write_text('{"package": "keras", "version": "1"}')
    assert build.key(tables) != first


@pytest.mark.usefixtures("fake_r")
def test_a_package_that_cannot_be_installed_leaves_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(build.StandinError, match="could not install") as caught:
        build.ensure_standin(tmp_path / "cache")
    log = Path(str(caught.value).rpartition(": ")[2])
    assert "installing" in log.read_text()
    monkeypatch.delenv("BREAK")
    assert build.ensure_standin(tmp_path / "cache").is_dir()


@pytest.mark.usefixtures("fake_r")
def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("no folder")
    with pytest.raises(build.StandinError, match="set XDG_CACHE_HOME"):
        build.ensure_standin(place / "cache")


def test_a_missing_r_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    build.r_home.cache_clear()
    with pytest.raises(build.StandinError, match="apt-get install r-base-core"):
        build.r_home()
    build.r_home.cache_clear()


def test_a_missing_reticulate_is_said_in_a_sentence(fake_r: Path) -> None:
    (fake_r / "library" / "reticulate" / "DESCRIPTION").unlink()
    with pytest.raises(build.StandinError, match="r-cran-reticulate"):
        build.r_identity()


@pytest.mark.usefixtures("fake_r")
def test_an_abandoned_build_is_removed(tmp_path: Path) -> None:
    old = tmp_path / "cache" / ".building-old"
    old.mkdir(parents=True)
    long_ago = time.time() - 2 * build.ABANDONED_SECONDS
    os.utime(old, (long_ago, long_ago))
    build.ensure_standin(tmp_path / "cache")
    assert not old.exists()


@pytest.mark.usefixtures("fake_r")
def test_two_processes_may_build_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(build.ensure_standin, [tmp_path / "cache"] * 2)
    assert found[0] == found[1]
    assert {path.name for path in found[0].iterdir()} == {p.name for p in generate.PACKAGES}


class TestWithR:
    pytestmark = needs_r

    def test_r_finds_the_packages_in_the_library(self) -> None:
        library = build.ensure_standin()
        names = ", ".join(f"'{package.name}'" for package in generate.PACKAGES)
        code = (
            f"for (p in c({names})) cat(p, packageDescription(p)[['{generate.MARKER}']], "
            "dirname(find.package(p)), '\\n')"
        )
        done = subprocess.run(
            ["Rscript", "--no-init-file", "-e", code],
            env=os.environ | {"R_LIBS": str(library)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines == [[p.name, "standin", str(library)] for p in generate.PACKAGES]
