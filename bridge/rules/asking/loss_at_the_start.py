"""The loss starts far above what any constant answer gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.rules.retrained import judged, loss_at_start
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("P08", "loss-at-the-start", cause="maths", status="preview", needs=("evaluate again",))
#: Where to look: a training that ends no better than this beside a constant answer, and a start
#: that is so many times worse. They decide nothing.
_STUCK: Final = 0.9
_FAR: Final = 10.0


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Tell of a model that starts far off and does not come back: its scale, labels or loss."""
    for judgement in judged(run):
        if not judgement.left > _STUCK:
            continue
        start = loss_at_start(run, judgement.training)
        if start is None or not start > _FAR * judgement.chance:
            continue
        yield RULE.finding(
            "The loss starts far above what one answer for all rows gives",
            f"It is {start:.4g} before the first step; the best single answer leaves "
            f"{judgement.chance:.4g}. Scale, labels or the last layer do not fit.",
            at=run.probe_place(judgement.training.probe),
            evidence=(
                ("loss at the start", f"{start:.4g}"),
                ("the best single answer for all rows", f"{judgement.chance:.4g}"),
                ("loss at the end", f"{judgement.end:.4g}"),
            ),
        )
        return
