"""The doctor names what is missing or known to be bad, each with the line that mends it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bridge.cli.doctor import Check, Situation, as_json, diagnose, gather_situation, render

GOOD = Situation(
    python="3.11.2",
    platform="Linux x86_64",
    cores=2,
    memory_gib=16.0,
    encoding="UTF-8",
    r="4.2.2",
    r_home="/usr/lib/R",
    rscript=True,
    svg=True,
    r_packages={"reticulate": "1.28", "keras": "2.16.1", "keras3": "1.5.1", "tensorflow": "2.20.0"},
    python_packages={
        "rpy2": "3.5.17",
        "numpy": "1.26.4",
        "tensorflow": "2.21.0",
        "tf_keras": "2.21.0",
        "keras": "3.15.1",
    },
    cpu_flags=("sse4_1", "avx", "avx2", "fma"),
)


def with_python(**packages: str | None) -> Situation:
    known = {**GOOD.python_packages, **{k.replace("__", "-"): v for k, v in packages.items()}}
    return replace(GOOD, python_packages={k: v for k, v in known.items() if v is not None})


def with_r(**packages: str | None) -> Situation:
    known = {**GOOD.r_packages, **packages}
    return replace(GOOD, r_packages={k: v for k, v in known.items() if v is not None})


def with_variables(**variables: str) -> Situation:
    return replace(GOOD, variables=variables)


def complaints(situation: Situation) -> list[Check]:
    return [finding for finding in diagnose(situation) if finding.level != "ok"]


def test_a_good_installation_has_nothing_to_mend() -> None:
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    ("situation", "level", "says", "fix"),
    [
        pytest.param(
            replace(GOOD, r=None), "problem", "R is not on the PATH", "apt-get", id="no R"
        ),
        pytest.param(
            replace(GOOD, r=None, platform="Darwin arm64"),
            "problem",
            "R is not on the PATH",
            "brew install r",
            id="no R on a Mac",
        ),
        pytest.param(replace(GOOD, r="4.1.2"), "problem", "too old", "install R", id="R too old"),
        pytest.param(
            replace(GOOD, python="3.14.0"),
            "problem",
            "TensorFlow needs a Python",
            "make PYTHON=",
            id="Python too new",
        ),
        pytest.param(
            replace(GOOD, rscript=False),
            "warning",
            "Rscript is not",
            "export PATH",
            id="no Rscript",
        ),
        pytest.param(replace(GOOD, svg=False), "warning", "cairo", "install", id="no cairo"),
        pytest.param(
            with_r(reticulate=None), "problem", "no reticulate", "install.packages", id="none"
        ),
        pytest.param(
            with_r(reticulate="1.24"), "problem", "crashes", "install.packages", id="old reticulate"
        ),
        pytest.param(
            with_r(reticulate="1.39.0"),
            "problem",
            "never returns",
            "install.packages",
            id="reticulate with the dead loop",
        ),
        pytest.param(
            with_r(keras3=None), "warning", "stand-in", 'install.packages(c("keras3"))', id="CRAN"
        ),
        pytest.param(
            with_python(rpy2=None), "problem", "rpy2 is missing", "rpy2==3.5.17", id="rpy2"
        ),
        pytest.param(
            with_python(rpy2="3.6.9"), "problem", "needs R 4.5", "rpy2==3.5.17", id="rpy2 too new"
        ),
        pytest.param(with_python(numpy=None), "problem", "NumPy is missing", "numpy", id="numpy"),
        pytest.param(
            with_python(numpy="2.4.6"), "problem", "refuses the arrays", "'numpy<2'", id="numpy 2"
        ),
        pytest.param(
            with_python(tensorflow=None), "problem", "tensorflow is missing", "tensorflow", id="tf"
        ),
        pytest.param(
            with_python(tf_keras=None), "problem", "library(keras)", "tf_keras", id="no tf_keras"
        ),
        pytest.param(
            with_python(tf_keras="2.20.1"),
            "problem",
            "not made for TensorFlow 2.21",
            "'tf_keras==2.21.*'",
            id="unequal tf_keras",
        ),
        pytest.param(
            with_python(keras="2.15.0"), "problem", "is Keras 2", "'keras>=3'", id="keras 2"
        ),
        pytest.param(
            with_variables(TF_USE_LEGACY_KERAS="1"),
            "warning",
            "library(keras3)",
            "unset TF_USE_LEGACY_KERAS",
            id="legacy Keras for all",
        ),
        pytest.param(
            with_variables(TF_USE_LEGACY_KERAS="0"),
            "warning",
            "library(keras)",
            "unset TF_USE_LEGACY_KERAS",
            id="legacy Keras for none",
        ),
        pytest.param(
            with_variables(KERAS_BACKEND="jax"),
            "warning",
            "jax",
            "unset KERAS_BACKEND",
            id="backend",
        ),
        pytest.param(
            replace(GOOD, memory_gib=2.0), "warning", "2.0 GiB", "--jobs 1", id="little memory"
        ),
        pytest.param(
            replace(GOOD, encoding="ANSI_X3.4-1968"), "warning", "UTF-8", "LC_ALL", id="C locale"
        ),
    ],
)
def test_each_fault_is_named_once_with_the_line_that_mends_it(
    situation: Situation, level: str, says: str, fix: str
) -> None:
    (found,) = complaints(situation)
    assert found.level == level
    assert says in found.sentence
    assert found.fix is not None
    assert fix in found.fix
    assert "\n" not in found.fix


def test_tensorflow_metal_is_refused_with_the_reports_that_say_why() -> None:
    (found,) = complaints(with_python(tensorflow__metal="1.2.0"))
    assert found.level == "problem"
    for report in ("61650", "62137", "92686", "18381", "19009"):
        assert report in found.sentence
    assert found.fix == "python -m pip uninstall tensorflow-metal"


def test_an_r_that_was_updated_under_the_installation_is_noticed() -> None:
    updated = replace(GOOD, r="4.5.0", r_packages={**GOOD.r_packages, "reticulate": "1.41"})
    (found,) = complaints(updated)
    assert found.level == "warning"
    assert found.fix == "python -m pip install rpy2==3.6.9"


def test_new_r_with_new_reticulate_takes_numpy_2() -> None:
    situation = replace(
        with_python(numpy="2.4.6", rpy2="3.6.9"),
        r="4.5.0",
        r_packages={**GOOD.r_packages, "reticulate": "1.41.0.1"},
    )
    assert complaints(situation) == []


def test_a_bare_machine_is_diagnosed_whole() -> None:
    bare = replace(GOOD, r=None, r_home=None, r_packages={}, python_packages={})
    subjects = {finding.subject for finding in complaints(bare)}
    assert subjects == {"R", "rpy2", "NumPy", "tensorflow", "keras", "tf_keras"}


def test_every_sentence_is_one() -> None:
    for situation in (GOOD, replace(GOOD, r=None), with_python(tensorflow__metal="1.2.0")):
        for finding in diagnose(situation):
            assert finding.sentence.endswith(".")
            assert finding.sentence[0].isupper() or finding.sentence.split()[0] in {
                *GOOD.python_packages,
                *GOOD.r_packages,
                "tensorflow-metal",
            }


def shown(findings: list[Check]) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(render(findings))
    return capture.get()


def test_the_terminal_shows_the_worst_first_and_counts() -> None:
    text = shown(diagnose(replace(with_python(numpy="2.4.6"), svg=False)))
    assert text.index("problem") < text.index("warning") < text.index("ok ")
    assert text.endswith("1 problem and 1 warning.\n")


def test_the_terminal_says_when_nothing_is_wrong() -> None:
    assert shown(diagnose(GOOD)).endswith("Nothing is wrong.\n")


def test_a_fix_with_brackets_reaches_the_terminal_unharmed() -> None:
    assert "pip install 'x[all]'" in shown([Check("problem", "x", "X.", "pip install 'x[all]'")])


def test_json_carries_every_finding() -> None:
    read: dict[str, Any] = json.loads(as_json(diagnose(GOOD)))
    assert [Check(**each) for each in read["findings"]] == diagnose(GOOD)


def fake_program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_r_that_never_answers_does_not_hold_the_doctor_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(tmp_path, "R", "exec /bin/sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gather_situation(seconds=0.2).r is None


def test_what_r_prints_at_start_up_is_not_taken_for_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(
        tmp_path,
        "R",
        '[ "$1" = --version ] && echo "R version 4.3.1 (x)" && exit\n'
        "printf 'Welcome\\tsvg\\tTRUE\\n@\\thome\\t/opt/R\\n@\\tpackage\\treticulate\\t1.40'",
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    found = gather_situation()
    assert (found.r, found.r_home, found.svg) == ("4.3.1", "/opt/R", False)
    assert found.r_packages == {"reticulate": "1.40"}


def test_only_the_variables_that_matter_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    assert gather_situation().variables == {"KERAS_BACKEND": "jax"}


def test_nothing_heavy_is_imported_to_look_around() -> None:
    code = (
        "import sys, bridge.cli.doctor as d; d.diagnose(d.gather_situation()); "
        "print({'tensorflow', 'keras', 'tf_keras', 'rpy2', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout == "set()\n"


@pytest.mark.r
def test_this_machine_is_described() -> None:
    found = gather_situation()
    assert found.r is not None
    assert found.r_home is not None
    assert "reticulate" in found.r_packages
