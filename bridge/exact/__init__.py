"""Exact probes: a model with whole numbers for which no sum is rounded, in any order.

Every way of running it must then agree bit for bit with the exact result, and any difference is
real. :func:`plan` chooses the numbers, :func:`judge_exact` reads what was made of them.
"""

from bridge.exact.judge import judge_exact
from bridge.exact.plan import Draw, Plan, Source, Stretch, Tensor, plan
from bridge.exact.records import (
    LEVER,
    ExactDeviation,
    ExactRefusal,
    ExactResult,
    ExactStretch,
    Setting,
    Subject,
    subjects,
)

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
    "judge_exact",
    "plan",
    "subjects",
]
