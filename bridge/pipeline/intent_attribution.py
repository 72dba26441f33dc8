"""Finding out why R and what its text means part: the intent, run again with suspects undone.

The only part of that which runs anything. A few runs at most: all suspects at once, and if that
takes the difference away, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.capsule import Capsule
from bridge.compare.result import RunPair
from bridge.compare.stages import compare_runs
from bridge.explain.attribution import (
    AGREE,
    Parted,
    Suspect,
    Undo,
    only_in_r,
    parted,
    proven,
    suspects,
    undecided,
    undo_of,
    unproven,
)
from bridge.explain.conclusion import stopped_alone
from bridge.explain.result import CauseEvidence
from bridge.facts.causes import OF_R
from bridge.rounding.layer_records import Judge
from bridge.translate.writing import REFUSED

#: Runs of the intent with something undone, at most.
MOST_RUNS: Final = 6
#: Statements that Python refuses, and that are taken from R, at most.
_MOST_REFUSED: Final = 3

#: Runs the intent again with something taken as R has it, and looks into it where bits differ.
Rerun = Callable[[Undo], Capsule]


def meant(
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    found: CauseEvidence | None,
    rerun: Rerun,
    judge: Judge,
    labels: Mapping[int, str],
) -> tuple[list[RunPair], CauseEvidence | None]:
    """Say why R's run and the intent part; ``found`` is what was known before.

    What levers or a twin found stays; so does everything where R and the replay of its own calls
    do not agree. Return the pairs, where the intent's may be left undecided, and the cause.
    """
    verdicts = {(pair.a, pair.b): pair for pair in pairs}
    pair = verdicts.get(("r", "intent"))
    if pair is None:
        return list(pairs), found
    r, intent = runs["r"], runs["intent"]
    at = parted(r, intent, pair)
    if not at:
        return list(pairs), found
    stopped = stopped_alone(r, intent)
    settled = found is not None and found.cause not in ("none", "not-known", "user-script")
    replay, reference = (verdicts.get(("r", name)) for name in ("replay", "reference"))
    elsewhere = (
        (settled and found is not None and found.cause not in OF_R)
        or (replay is not None and replay.verdict in ("different", "failed"))
        or (reference is not None and reference.verdict == "different")
    )
    suspected: list[Suspect] = []
    if not elsewhere:
        # Where our own translation stops, its values say little of what R did to them.
        suspected = [suspect for suspect in suspects(r, intent) if suspect.boundary or not stopped]
        trial = _Trial(r, intent, at, rerun, judge, labels)
        alike = trial.without_types(suspected)
        if alike is not None:
            return [alike if run_pair is pair else run_pair for run_pair in pairs], found
        proof = trial.proven(suspected)
        if proof is not None:
            if pair.verdict != "different" and at.results:
                proof = proof.model_copy(update={"verdict": "different"})
            return list(pairs), proof
    if not elsewhere:
        found = unproven(r, intent, at, suspected, found)
    likely = found is not None and found.cause in OF_R
    refused = only_in_r(r, intent) and not intent.manifest.gaps
    if pair.verdict in ("different", "failed") and not (likely or refused):
        return [undecided(run_pair) if run_pair is pair else run_pair for run_pair in pairs], found
    return list(pairs), found


def as_counted(r: Capsule, intent: Capsule, rerun: Rerun) -> tuple[Capsule, Undo] | None:
    """Run the intent with axes and indices as R counts them, where Python refuses the text's.

    A number that Python does not take cannot have been meant as Python's: the text speaks R there.
    Return the run, and what it took as R has it; None where that does not bring it through.
    """
    undo = Undo()
    for _ in range(_MOST_REFUSED):
        if not stopped_alone(r, intent):
            break
        more = undo_of(
            suspect for suspect in suspects(r, intent) if suspect.cause == "r-index-base"
        )
        if not more.arguments:
            return None
        undo |= more
        intent = rerun(undo)
    return (intent, undo) if undo.arguments and not stopped_alone(r, intent) else None


def beyond(
    r: Capsule, intent: Capsule, rerun: Rerun
) -> tuple[Capsule, frozenset[tuple[str, int]]] | None:
    """Run the intent past what Python refuses of the text, and R's run does not.

    There it takes what R's run gave, and says so. Return the run, and what it took as R has it;
    None where it does not come through.
    """
    taken: frozenset[tuple[str, int]] = frozenset()
    while stopped_alone(r, intent) and len(taken) < _MOST_REFUSED:
        error = intent.manifest.error
        if error is None or error.line is None or (REFUSED, error.line) in taken:
            return None
        taken |= {(REFUSED, error.line)}
        intent = rerun(Undo(taken))
    return None if stopped_alone(r, intent) or not taken else (intent, taken)


@dataclass
class _Trial:
    """The intent, run again with suspects undone."""

    r: Capsule
    intent: Capsule
    at: Parted
    rerun: Rerun
    judge: Judge
    labels: Mapping[int, str]
    left: int = MOST_RUNS

    def without_types(self, suspected: Sequence[Suspect]) -> RunPair | None:
        """Return the pair as it is with R's types, where they are all that made numbers part.

        Equal numbers of another type are rounded elsewhere: that is no difference of meaning.
        """
        typed = [suspect for suspect in suspected if suspect.typed and suspect.undo is not None]
        if not typed or not self.at.results or only_in_r(self.r, self.intent):
            return None
        pair, gone = self._undone(undo_of(typed))
        return pair if gone and pair.verdict in ("same-bits", "within-rounding") else None

    def proven(self, suspected: Sequence[Suspect]) -> CauseEvidence | None:
        """Undo all suspects, and then one after the other, until it is clear which it was."""
        refused = bool(only_in_r(self.r, self.intent))
        some = [
            suspect
            for suspect in suspected
            if suspect.undo is not None and (refused or not suspect.typed)
        ]
        strong = [suspect for suspect in some if not suspect.weak]
        # What is only possible may be no cause at all, and undoing it another difference.
        sets = [strong, some] if 0 < len(strong) < len(some) else [some]
        tried = next((group for group in sets if group and self._takes_away(undo_of(group))), [])
        if not tried:
            return None
        if len(tried) == 1:
            return proven(tried[0], (), self.r, self.intent, self.at)
        for suspect in tried:
            if suspect.undo is not None and self.left and self._takes_away(suspect.undo):
                return proven(suspect, (), self.r, self.intent, self.at)
        if len({suspect.cause for suspect in tried}) == 1:
            return proven(tried[0], tried[1:], self.r, self.intent, self.at)
        return None

    def _takes_away(self, undo: Undo) -> bool:
        pair, gone = self._undone(undo)
        return gone and (pair.verdict in AGREE or pair.verdict == "abstained")

    def _undone(self, undo: Undo) -> tuple[RunPair, bool]:
        self.left -= 1
        now = self.rerun(undo)
        # What stays untranslated is no difference: R's own run says whether the rest agrees.
        bare = replace(now, manifest=now.manifest.model_copy(update={"gaps": ()}))
        pair = compare_runs(self.r, bare, judge=self.judge, labels=self.labels)
        return pair, self.at.is_gone(parted(self.r, bare, pair))
