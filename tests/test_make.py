"""Two commands install what is missing, and every way to fail says what to type."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: What the installation may take for granted on any system.
TOOLS = ("cat", "dirname", "env", "grep", "id", "mkdir", "paste", "readlink", "sed", "sh", "touch")

R_4_2 = """
case "$*" in
  --version) echo 'R version 4.2.2 (2022-11-10)' ;;
  *quit*) exit 0 ;;
  *) printf '\\n1.28' ;;
esac
"""
#: A Python that can build, chooses versions, makes a .venv of itself, and whose pip does ``PIP``.
PYTHON = """
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin && cat "$0" >.venv/bin/python && chmod +x .venv/bin/python ;;
  *version_constraints.py) echo constraints/common.txt ;;
  *"-m pip"*) PIP ;;
  --version) echo Python 3.11.2 ;;
esac
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with the installation in it, and a ``bin`` that is all of its PATH."""
    project = tmp_path / "project"
    (project / "bridge/r").mkdir(parents=True)
    (project / "bin").mkdir()
    shutil.copytree(ROOT / "scripts", project / "scripts")
    shutil.copytree(ROOT / "constraints", project / "constraints")
    for name in ("Makefile", "pyproject.toml", "bridge/r/version_constraints.py"):
        shutil.copy(ROOT / name, project / name)
    for name in TOOLS:
        (project / "bin" / name).symlink_to(shutil.which(name) or name)
    return project


def program(tree: Path, name: str, text: str) -> None:
    (tree / "bin" / name).unlink(missing_ok=True)
    (tree / "bin" / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (tree / "bin" / name).chmod(0o755)


def installed(tree: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Install with programs of this tree only; /usr/bin/python3 is out of reach by PYTHON."""
    return subprocess.run(
        ["/bin/sh", "scripts/install.sh", *arguments],
        cwd=tree,
        env={"PATH": str(tree / "bin"), "PYTHON": "python3", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def with_r_and_python(tree: Path, pip: str = "exit 0") -> None:
    program(tree, "R", R_4_2)
    program(tree, "chmod", 'exec /bin/chmod "$@"')
    program(tree, "python3", PYTHON.replace("PIP", pip))


def debian(tree: Path, apt: str, packages: str = "exit 1") -> None:
    program(tree, "apt-get", apt)
    program(tree, "dpkg-query", packages)
    program(tree, "dpkg", "exit 0")


def last(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


def test_without_r_and_without_apt_the_user_is_told_to_install_r(tree: Path) -> None:
    assert last(installed(tree)) == (
        "keras-bridge: R is missing and there is no apt-get to bring it; "
        "install R 4.2 or newer and type: make"
    )


def test_without_root_the_user_is_told_what_root_has_to_type(tree: Path) -> None:
    debian(tree, "exit 1")
    program(tree, "id", "echo 1000")
    told = last(installed(tree))
    assert "only root" in told.lower()
    assert re.search(
        r"su -c 'apt-get update; apt-get install .*r-base-core r-cran-reticulate r-cran-r6", told
    )


def test_without_root_sudo_is_used(tree: Path) -> None:
    debian(tree, "exit 1")
    program(tree, "id", "echo 1000")
    program(tree, "sudo", 'echo "$@" >>asked\nexit 1')
    installed(tree)
    assert "apt-get" in (tree / "asked").read_text(encoding="utf-8")


def test_without_a_network_apt_says_so(tree: Path) -> None:
    program(tree, "id", "echo 0")
    debian(tree, 'echo "Temporary failure resolving" >&2; exit 100')
    assert last(installed(tree)) == (
        "keras-bridge: apt-get cannot reach its packages; connect to the network and type: make"
    )


def test_when_apt_fails_otherwise_the_log_is_named(tree: Path) -> None:
    program(tree, "id", "echo 0")
    debian(tree, 'echo "E: Unmet dependencies" >&2; exit 100')
    assert last(installed(tree)).endswith("type: tail build/install.log")
    assert "Unmet dependencies" in (tree / "build/install.log").read_text(encoding="utf-8")


def test_r_without_reticulate_is_told_to_install_it(tree: Path) -> None:
    program(tree, "R", "exit 1")
    assert 'install.packages("reticulate")' in last(installed(tree))


def test_without_a_python_the_user_is_told_which(tree: Path) -> None:
    program(tree, "R", R_4_2)
    assert last(installed(tree)).endswith("type: make PYTHON=/its/path")


def test_a_refusal_of_the_versions_is_passed_on(tree: Path) -> None:
    with_r_and_python(tree)
    refuses = 'case "$*" in *version_constraints.py) echo "No: why" >&2; exit 2 ;; esac'
    program(tree, "python3", refuses)
    assert last(installed(tree)) == "keras-bridge: No: why"


def test_without_a_network_pip_says_so(tree: Path) -> None:
    with_r_and_python(tree, pip='echo "Failed to establish a new connection"; exit 1')
    assert last(installed(tree)) == (
        "keras-bridge: pip cannot reach its package index; connect to the network and type: make"
    )


def test_without_a_browser_everything_else_is_installed(tree: Path) -> None:
    with_r_and_python(tree, pip='echo "$*" >asked')
    debian(tree, "exit 100", packages="echo installed")
    program(tree, "id", "echo 0")
    done = installed(tree, "browser")
    assert done.returncode == 0
    assert "the tests of the pages will be skipped" in done.stderr
    assert ".[compiled,dev,docs,browser]" in (tree / "asked").read_text("utf-8")
    assert "chromium" not in installed(tree).stderr


def test_when_pip_fails_otherwise_the_log_is_named(tree: Path) -> None:
    with_r_and_python(tree, pip="echo no space left; exit 1")
    assert last(installed(tree)).endswith("type: tail build/install.log")


def test_an_installation_takes_few_lines_and_pins_the_builds_too(tree: Path) -> None:
    with_r_and_python(tree, pip='echo "$PIP_CONSTRAINT" >pinned')
    done = installed(tree)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(done.stderr.splitlines()) == 3
    assert (tree / "pinned").read_text(encoding="utf-8") == "constraints/common.txt\n"


def test_an_installation_that_was_broken_off_is_mended_not_repeated(tree: Path) -> None:
    with_r_and_python(tree, pip="[ -e network ]")
    installed(tree, PYTHON="")
    (tree / ".venv/kept").touch()
    (tree / "network").touch()
    assert installed(tree, PYTHON="").returncode == 0
    assert (tree / ".venv/kept").exists()


def make(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=tree,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def test_running_is_what_make_does_by_itself(tree: Path) -> None:
    assert make(tree, "-n") == make(tree, "-n", "run")


@pytest.mark.parametrize("target", ["run", "test", "fast", "lint", "bench-run"])
def test_a_second_call_installs_nothing(tree: Path, target: str) -> None:
    assert "install.sh" in make(tree, "-n", target)
    (tree / ".venv").mkdir()
    (tree / ".venv/.installed").touch()
    (tree / ".venv/.browser").touch()
    assert "install.sh" not in make(tree, "-n", target)


def test_changed_versions_are_installed(tree: Path) -> None:
    (tree / ".venv").mkdir()
    (tree / ".venv/.installed").touch()
    (tree / "constraints/common.txt").write_text("x==2\n", encoding="utf-8")
    assert "install.sh" in make(tree, "-n", "run")


def test_help_names_every_target(tree: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE)
    assert targets is not None
    assert {line.split()[1] for line in make(tree, "help").splitlines()} == {*targets[1].split()}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_shell_scripts_are_clean() -> None:
    scripts = [*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci/run"]
    subprocess.run(["shellcheck", *scripts], check=True, timeout=60)
