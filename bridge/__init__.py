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
    from bridge.case import Case, find_cases, read_case
    from bridge.claims import Evidence, claim, picture
    from bridge.compare.difference import difference
    from bridge.compare.stages import compare_runs
    from bridge.labelling import probe
    from bridge.report import CaseReport, write_report
    from bridge.suite import Examined, Settings, Suite

_HOMES = {
    "Capsule": "bridge.capsule",
    "CapsuleError": "bridge.capsule",
    "Case": "bridge.case",
    "CaseReport": "bridge.report",
    "Evidence": "bridge.claims",
    "Examined": "bridge.suite",
    "Settings": "bridge.suite",
    "Suite": "bridge.suite",
    "claim": "bridge.claims",
    "compare_runs": "bridge.compare.stages",
    "difference": "bridge.compare.difference",
    "find_cases": "bridge.case",
    "picture": "bridge.claims",
    "probe": "bridge.labelling",
    "read_capsule": "bridge.capsule",
    "read_case": "bridge.case",
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
