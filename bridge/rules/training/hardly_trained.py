"""The training ends when it has hardly begun."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge._text import plural
from bridge.explain.experiment import Trials
from bridge.rules.retrained import TrainingBaseline, judged, loss_at_start, retrained, rows_of
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of
from bridge.translate.script_text import Cut

RULE = Rule(
    "T02", "hardly-trained", cause="user-script", needs=("fit again",), explains=("D08", "P08")
)
_TIMES: Final = 4
#: How much longer the changed script trains, and how many steps an epoch has in it.
_LONGER: Final = 10
_STEPS: Final = 30


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find short trainings that most of what is to be learned lies beyond.

    That is measured: with four times the epochs every start ends below every one as it is. The
    recorded one gets further again than it had come from the best single answer, or most of what
    was left of the loss is gone.
    """
    for judgement in judged(run):
        if not judgement.is_short:
            continue
        found = retrained(run, judgement.training, "epochs", _TIMES)
        if found is None or not found.better or not max(found.changed) < judgement.chance:
            continue
        came, further = (
            judgement.chance - found.as_recorded[0],
            found.as_recorded[0] - found.changed[0],
        )
        if not (further > max(came, 0.0) or found.most):
            continue
        epochs, rows = len(judgement.training.curve), judgement.training.rows
        whole = judgement.rows_at_once >= rows
        start = loss_at_start(run, judgement.training)
        yield RULE.finding(
            f"The model is hardly trained: {plural(judgement.steps, 'step')} in all",
            (
                f"A batch takes all {rows:,} rows, so that each epoch is one step. "
                if whole
                else f"{epochs} epochs of {rows:,} rows are {judgement.steps} steps. "
            )
            + "The loss still falls when training ends, and most of its fall is still ahead.",
            at=run.probe_place(judgement.training.probe, "batch_size" if whole else "epochs"),
            evidence=(
                *rows_of(found, f"{_TIMES} times the epochs", judgement.chance),
                ("steps", str(judgement.steps)),
            ),
            help=run.help(
                "Train for more epochs, or in smaller batches.", _more(run, judgement, whole)
            ),
            confidence="likely",
            # A short training may be all that was wanted: that a script is at fault is said where
            # it has not begun to learn, or where a batch was asked for that has too few rows; and
            # most of the loss must go in the end.
            decides=2 * max(found.changed) < judgement.chance
            and (_is_oversized(judgement) or (start is not None and _has_not_begun(start, found))),
        )
        return


def _is_oversized(judgement: TrainingBaseline) -> bool:
    """Say whether the script asks for batches of more rows than there are."""
    asked = judgement.training.probe.settings.get("batch_size")
    return isinstance(asked, int) and asked > judgement.training.rows


def _has_not_begun(start: float, found: Trials) -> bool:
    """Say whether the fall was still getting faster.

    At an even pace a quarter of the epochs makes a quarter of the way; a training that has begun to
    learn makes more of it.
    """
    way, whole = start - found.as_recorded[0], start - found.changed[0]
    return way * _TIMES < whole


def _more(run: Run, judgement: TrainingBaseline, whole: bool) -> Cut | None:
    """Return the edit that trains longer: by smaller batches where one takes all rows."""
    call = call_of(run.capsule, judgement.training.probe)
    if whole:
        return run.set_argument(call, "batch_size", str(max(1, judgement.training.rows // _STEPS)))
    return run.set_argument(call, "epochs", str(_LONGER * len(judgement.training.curve)))
