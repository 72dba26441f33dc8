"""Exact probes: a model with whole numbers for which no sum is rounded, in any order.

Every way of running it must then agree bit for bit with the exact result, and any difference is
real. :func:`plan` chooses the numbers, :func:`judge_exact` reads what was made of them.
"""

from bridge.compare.exact.judge import found_on, judge_exact
from bridge.compare.exact.labels import LEVER, Setting, Subject, subjects
from bridge.compare.exact.plan import plan
from bridge.compare.exact.result import (
    ExactDeviation,
    ExactRefusal,
    ExactResult,
    ExactStretch,
)
from bridge.compare.exact.stretch import Draw, Plan, Source, Stretch, Tensor

__all__ = [
    "LEVER",
    "Draw",
    "ExactDeviation",
    "ExactRefusal",
    "ExactResult",
    "ExactStretch",
    "Plan",
    "Setting",
    "Source",
    "Stretch",
    "Subject",
    "Tensor",
    "found_on",
    "judge_exact",
    "plan",
    "subjects",
]
