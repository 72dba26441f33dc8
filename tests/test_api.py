"""The public interface is small, sorted, and does not change by accident."""

from __future__ import annotations

import subprocess
import sys

import bridge

PUBLIC = [
    "Capsule",
    "CapsuleError",
    "Case",
    "CaseReport",
    "Evidence",
    "Examined",
    "Settings",
    "Suite",
    "claim",
    "compare_runs",
    "difference",
    "find_cases",
    "picture",
    "probe",
    "read_capsule",
    "read_case",
    "write_capsule",
    "write_report",
]


def test_the_public_names_are_these() -> None:
    assert bridge.__all__ == PUBLIC
    assert sorted(bridge.__all__) == bridge.__all__
    assert dir(bridge) == PUBLIC


def test_every_public_name_can_be_had_and_says_what_it_is() -> None:
    for name in PUBLIC:
        assert getattr(bridge, name).__doc__


def test_a_name_that_does_not_exist_is_refused() -> None:
    assert not hasattr(bridge, "no_such_name")


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "('numpy', 'pydantic', 'tensorflow', 'keras', 'rpy2', 'matplotlib')"
    code = f"import sys, bridge; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_comparing_explaining_and_reporting_load_neither_r_nor_tensorflow_nor_runners() -> None:
    modules = (
        "bridge.compare.stages, bridge.explain.verdict, bridge.report, bridge.report.pictures, "
        "bridge.report.build, bridge.translate.spelling"
    )
    heavy = "('tensorflow', 'keras', 'tf_keras', 'rpy2', 'bridge.runs', 'bridge.r')"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
