"""keras-bridge: a differential debugger for Keras-for-R.

What is named in ``__all__`` is the public interface; it is loaded when it is asked for, so that
``import bridge`` costs nothing in a twin.

Example:
    >>> import bridge
    >>> pair = bridge.compare_runs(bridge.read_capsule(a), bridge.read_capsule(b))  # doctest: +SKIP
    >>> pair.verdict  # doctest: +SKIP
    'same-bits'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.capsule import Capsule, CapsuleError, read_capsule, write_capsule
    from bridge.cases.case import Case, find_cases, read_case
    from bridge.cases.claims import Evidence, claim, picture, probe
    from bridge.compare.array_difference import difference
    from bridge.compare.stages import compare_runs
    from bridge.pipeline.examine_case import Examined, Settings, Suite
    from bridge.report import CaseReport, write_report

_HOMES = {
    "Capsule": "bridge.capsule",
    "CapsuleError": "bridge.capsule",
    "Case": "bridge.cases.case",
    "CaseReport": "bridge.report",
    "Evidence": "bridge.cases.claims",
    "Examined": "bridge.pipeline.examine_case",
    "Settings": "bridge.pipeline.examine_case",
    "Suite": "bridge.pipeline.examine_case",
    "claim": "bridge.cases.claims",
    "compare_runs": "bridge.compare.stages",
    "difference": "bridge.compare.array_difference",
    "find_cases": "bridge.cases.case",
    "picture": "bridge.cases.claims",
    "probe": "bridge.cases.claims",
    "read_capsule": "bridge.capsule",
    "read_case": "bridge.cases.case",
    "write_capsule": "bridge.capsule",
    "write_report": "bridge.report",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
