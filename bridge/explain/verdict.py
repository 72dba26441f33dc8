"""From runs and their comparison to one verdict, one cause and one sentence.

A pure function of capsules. It names a cause only where the evidence singles one out; otherwise
the cause is ``not-known`` and the sentence says what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bridge._text import listed
from bridge.capsule import Capsule
from bridge.compare.result import RUNGS, SEVERITY, Divergence, Rung, RunPair, Verdict
from bridge.exact.records import ExactResult
from bridge.explain.finding import (
    Finding,
    OtherGeneration,
    ran_through,
    run_name,
    short,
    spelled,
    stand_in,
)
from bridge.explain.no_result import (
    from_python,
    hidden_package,
    missing_attribute,
    not_comparable,
    nothing_to_compare,
    r_error,
    same_error_finding,
    twin_did_not_run,
    unmeasured,
)
from bridge.explain.result import Attribution
from bridge.rules import Answer

__all__ = ["Finding", "OtherGeneration", "conclude", "weakest_rung", "worst"]

_STAND_IN: Final = (
    "A stand-in answered the script's library() call. What is said here of R's language, of "
    "reticulate and of Keras was measured; of the CRAN package it says nothing."
)


_OTHER_NUMBERS: Final = (
    "The same calls gave other numbers in a fresh process without R: the order of calls, "
    "state that a function in R kept, or a random start may be the reason."
)


_SAME: Final = ("same-bits", "within-rounding")
_KEPT: Final = ("same-bits", "within-rounding", "abstained")
_INDEX: Final = "r-index-base"
_EITHER: Final = (
    "R and the replay of its calls without R agree, so R asked Keras for what it got; whether R "
    "changed something on the way or the text was read wrongly is not known. Compare replay.py, "
    "which has what R asked for, with the lines of the script."
)


def conclude(
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    other: OtherGeneration | None = None,
    exact: ExactResult | None = None,
    attribution: Attribution | None = None,
    usage: Sequence[Answer] = (),
) -> Finding:
    """Conclude from the runs of one case (``r`` is among them) and their comparison.

    ``exact`` is what probes with whole numbers found, where they were made; ``attribution`` what
    looking for a cause found, where there was something to explain; ``usage`` what the script's
    own use of Keras answers (:mod:`bridge.rules`).
    """
    before = not_comparable(runs["r"]) or hidden_package(runs["r"])
    if before is not None:
        return before
    pairs, aside = _weighed(runs, pairs, attribution)
    if aside and attribution is not None and attribution.cause == _INDEX:
        attribution = None
    if attribution is not None and _known_index(attribution, usage) and _only_read(pairs):
        attribution = None
    if attribution is not None and attribution.cause == "not-known" and _only_read(pairs):
        # Levers say what Keras does with R's calls, and on these R and its replay agree.
        attribution = attribution.model_copy(update={"verdict": "abstained"})
    found = _with_attribution(_with_exact(_compared(runs, pairs, other), exact), attribution)
    ended = runs["r"].manifest.status == "error"
    # Errors of a stand-in are nobody's fault: what explains errors has nothing to say of them.
    answers = () if unmeasured(runs["r"]) else usage
    found = _left_open(with_usage(found, answers, ended=ended), pairs)
    found = _unjudged(replace(found, explanation=(*found.explanation, *aside)), runs, pairs)
    if not stand_in(runs["r"]) or found.verdict in ("failed", "abstained"):
        return found
    return replace(found, explanation=(*found.explanation, _STAND_IN))


def _unjudged(found: Finding, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> Finding:
    """Call nothing right where no run says what was meant: R may do otherwise than its text says.

    The replay has R's own arguments. Where no intent was asked for, that is the caller's choice.
    """
    intent = runs.get("intent")
    agree = {pair.b for pair in pairs if pair.verdict in _SAME}
    if found.cause != "none" or intent is None or "twin" in agree:
        return found
    if "intent" in agree and ran_through(runs["r"], intent):
        return found
    error = intent.manifest.error
    reasons = (
        *(f"{gap}." for gap in intent.manifest.gaps),
        *((f"the Python of the text stops: {spelled(error)}",) if error is not None else ()),
        *(f"{pair.detail}." for pair in pairs if pair.b == "intent" and pair.detail),
    )
    why = f", because of this: {reasons[0]}" if reasons else "."
    return replace(
        found,
        cause="not-known",
        sentence=f"{found.sentence} What was meant could not be judged{why}",
        unexplained=(*found.unexplained, "whether R does what its text means"),
    )


def _weighed(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], attribution: Attribution | None
) -> tuple[list[RunPair], tuple[str, ...]]:
    """Set an intent aside that did not run through where R and its replay did.

    What is read from the text may be read wrongly. Where it cannot be run, and R's own calls can,
    that alone says nothing of R, unless what R did to an argument is seen to be why. An index
    that is refused when it is counted from 0 is none of that: it was written as R counts.
    """
    named = attribution is not None and attribution.cause not in ("none", "not-known", _INDEX)
    replayed = any(pair.b == "replay" and pair.verdict in _SAME for pair in pairs)
    if named or not replayed or runs["r"].manifest.status not in ("ok", "quit"):
        return list(pairs), ()
    kept, aside = [], []
    for pair in pairs:
        meant = runs.get(pair.b)
        broken = meant is not None and meant.manifest.status not in ("ok", "quit")
        if pair.b != "intent" or pair.verdict in _SAME or not broken:
            kept.append(pair)
            continue
        error = meant.manifest.error if meant is not None else None
        at = f" at line {error.line}" if error is not None and error.line else ""
        why = f" ({error.cls}: {short(error)})" if error is not None else ""
        aside.append(
            f"The Python that was read from the text does not run through: it stops{at}{why}. "
            "R's calls do, with and without R, so nothing is concluded from it."
        )
    return kept, tuple(aside)


def _known_index(attribution: Attribution, usage: Sequence[Answer]) -> bool:
    """Say whether the script uses an index as R counts it: then its base surprises nobody."""
    lines = {each.line for each in usage if each.cause == _INDEX and not each.decides}
    return attribution.cause == _INDEX and any(
        f"ine {line}:" in attribution.sentence for line in lines if line
    )


def _only_read(pairs: Sequence[RunPair]) -> bool:
    """Say whether R and its replay agree, and nothing but what was read from the text may part."""
    replayed = any(pair.b == "replay" and pair.verdict in _SAME for pair in pairs)
    return replayed and all(pair.b == "intent" or pair.verdict in _KEPT for pair in pairs)


def _left_open(found: Finding, pairs: Sequence[RunPair]) -> Finding:
    """Decide nothing where only the Python that was read from the text parts, and nobody knows why.

    R or the reading of its text may be the reason.
    """
    parted = any(pair.verdict in ("different", "failed") for pair in pairs)
    alone = parted and _only_read(pairs)
    if not alone or found.verdict != "different" or found.cause != "not-known":
        return found
    return replace(
        found,
        verdict="abstained",
        sentence=f"{found.sentence} {_EITHER}",
        first_divergence=None,
    )


def _compared(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], other: OtherGeneration | None
) -> Finding:
    r = runs["r"].manifest
    errors = [*r.caught, *([r.error] if r.error else [])]
    python = [error for error in errors if error.language == "python"] or (
        [r.error] if r.error and from_python(runs["r"]) else []
    )
    if r.status == "error" and not from_python(runs["r"]):
        return r_error(runs["r"])
    without = twin_did_not_run(runs)
    if without is not None:
        return without
    divergent = _first_divergent(pairs)
    if divergent is not None:
        return _different(pairs, divergent)
    missing = missing_attribute(runs, pairs, other)
    if missing is not None:
        return missing
    if python:
        return same_error_finding(runs, pairs, python, other)
    if not r.probes:
        return nothing_to_compare(runs["r"])
    return _agreement(runs, pairs)


def _with_exact(found: Finding, exact: ExactResult | None) -> Finding:
    """Add what exact probes found: one that deviates is a difference, whatever else was found."""
    if exact is None:
        return found
    if exact.verdict != "different" or found.verdict == "different":
        return replace(found, explanation=(*found.explanation, exact.sentence))
    wrong = next(each for each in exact.stretches if each.verdict == "different")
    where = f"model.get_layer({wrong.layer!r})" if wrong.layer else wrong.model
    divergence = Divergence(stage="layer", where=where, detail=wrong.evidence)
    unexplained = (f"why {', '.join(exact.deviating)} deviate from the exact result",)
    return Finding(
        "different",
        "not-known",
        exact.sentence,
        (found.sentence, *found.explanation),
        unexplained,
        divergence,
    )


def _with_attribution(found: Finding, attribution: Attribution | None) -> Finding:
    """Add what looking for the cause found; what is said of scripts that failed stays as it is."""
    if attribution is None:
        return found
    found = replace(found, attribution=attribution)
    decides = attribution.verdict == "different"
    if attribution.cause == "none" or found.verdict in ("failed", "same-error"):
        return found
    if found.cause == "none" and not decides:
        return replace(found, explanation=(*found.explanation, attribution.sentence))
    settled = found.cause not in ("none", "not-known")
    cause = found.cause if settled else attribution.cause
    before = (found.sentence, *found.explanation)
    if decides and found.verdict != "different":
        # Comparing had left it open, or had not looked: a run under a lever decides.
        return replace(
            found,
            verdict="different",
            cause=cause,
            sentence=attribution.sentence,
            explanation=before,
            unexplained=attribution.unexplained,
            first_divergence=found.first_divergence
            or Divergence(stage="prediction", where=attribution.where),
        )
    if cause == "not-known":
        left = dict.fromkeys((*found.unexplained, *attribution.unexplained))
        return replace(
            found,
            explanation=(*found.explanation, attribution.sentence),
            unexplained=tuple(left),
        )
    if settled:
        return replace(found, explanation=(*found.explanation, attribution.sentence))
    return replace(
        found,
        cause=cause,
        sentence=f"{found.sentence} {attribution.sentence}",
        # A cause that is known leaves no room for what may be the reason.
        explanation=tuple(line for line in found.explanation if line != _OTHER_NUMBERS),
        unexplained=attribution.unexplained,
    )


def with_usage(found: Finding, usage: Sequence[Answer], *, ended: bool = False) -> Finding:
    """Add what the script's own use of Keras answers; it names the cause where none was found.

    What explains an error speaks only where one was met, and what explains numbers only where
    they agree, or where R's own rules may be why they do not.
    """
    agreeing = found.verdict in ("same-bits", "within-rounding")
    told = [each for each in usage if not (each.refused and agreeing)]
    first = next((each for each in told if each.decides and _may_name(found, each, ended)), None)
    if first is None:
        more = tuple(each.sentence for each in told if found.verdict != "failed")
        return replace(found, explanation=(*found.explanation, *more))
    more = tuple(each.sentence for each in told if each is not first)
    return replace(
        found,
        cause=first.cause,
        sentence=f"{found.sentence} {first.sentence}",
        explanation=(*found.explanation, *more),
        unexplained=(),
    )


def _may_name(found: Finding, answer: Answer, ended: bool) -> bool:
    if found.verdict in ("same-bits", "within-rounding"):
        return found.cause == "none" and not answer.refused
    if found.verdict in ("same-error", "failed"):
        return answer.refused
    if found.cause != "not-known":
        return False
    if found.verdict == "different":
        # Where only one of two runs got as far as a prediction, the other was refused.
        divergence = found.first_divergence
        refused = ended or (divergence is not None and "only " in divergence.detail)
        return answer.cause.startswith("r-") and (refused or not answer.refused)
    return answer.refused or answer.cause.startswith("r-")


def _first_divergent(pairs: Sequence[RunPair]) -> RunPair | None:
    return next((pair for pair in pairs if pair.verdict in ("different", "failed")), None)


def _different(pairs: Sequence[RunPair], first: RunPair) -> Finding:
    agreeing = [f"{p.a} and {p.b} agree" for p in pairs if p.verdict not in ("different", "failed")]
    divergence = first.first_divergence
    place = f" at the stage '{divergence.stage}': {divergence.where}" if divergence else ""
    detail = f" ({divergence.detail})" if divergence and divergence.detail else ""
    sentence = f"{run_name(first.a)} and {run_name(first.b)} differ{place}{detail}."
    explanation = []
    verdicts = {(pair.a, pair.b): pair.verdict for pair in pairs}
    replay = verdicts.get(("r", "replay"))
    if first.b == "twin" and replay in ("same-bits", "within-rounding"):
        explanation.append(
            "Replaying the recorded calls without R gives R's numbers, so the two models were "
            "asked for differently: compare the lines that make them."
        )
    if first.b == "replay":
        explanation.append(_OTHER_NUMBERS)
    if first.b == "reference":
        explanation.append(
            "The result lies outside what float32 rounding can explain for the layer that made it."
        )
    return Finding(
        "different",
        "not-known",
        sentence,
        tuple(explanation),
        (f"why {run_name(first.a)} and {run_name(first.b)} differ", *agreeing)[:1],
        divergence,
    )


def _has_other_bits(pair: RunPair) -> bool:
    """Say whether a pair that was not decided differs somewhere: then it may not be left out."""
    return any(
        probe.verdict == "abstained"
        and (probe.difference is None or not probe.difference.same_bits)
        for probe in pair.probes
    )


def _not_decided(parted: Sequence[RunPair]) -> Finding:
    pair = parted[0]
    probe = next(each for each in pair.probes if each.verdict == "abstained")
    gap = probe.difference
    how = f", by up to {gap.max_abs:.3g}" if gap is not None and gap.max_abs else ""
    why = probe.detail or pair.detail or "no rule applies"
    if gap is None:
        # One of the two has nothing there, as where what was written in R cannot be replayed.
        return Finding(
            "abstained",
            "not-known",
            f"{run_name(pair.a)} and {run_name(pair.b)} could not be set side by side "
            f"({probe.probe}): {why}.",
            unexplained=(
                f"whether {run_name(pair.a)} and {run_name(pair.b)} agree at {probe.probe}",
            ),
        )
    return Finding(
        "abstained",
        "not-known",
        f"{run_name(pair.a)} and {run_name(pair.b)} do not have the same bits{how} "
        f"({probe.probe}), and it cannot be decided whether that is rounding: {why}.",
        unexplained=(f"why {run_name(pair.a)} and {run_name(pair.b)} differ at {probe.probe}",),
    )


def _made_up_for(runs: Mapping[str, Capsule], pair: RunPair, decided: Sequence[RunPair]) -> bool:
    """Say whether a run that could not do all that it was asked is made up for by another.

    A replay cannot call what was written in R, and an intent cannot do what was not translated;
    where another run of the same script agrees with R, nothing is left open.
    """
    gaps = runs[pair.b].manifest.gaps if pair.b in runs else ()
    others = {each.b for each in decided if each.verdict in ("same-bits", "within-rounding")}
    return bool(gaps) and bool(others & {"replay", "twin", "intent"} - {pair.b})


def _agreement(runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> Finding:
    decided = [pair for pair in pairs if pair.verdict != "abstained"]
    undecided = [pair for pair in pairs if pair.verdict == "abstained"]
    parted = [
        pair
        for pair in undecided
        if pair.b != "reference" and _has_other_bits(pair) and not _made_up_for(runs, pair, decided)
    ]
    if parted:
        return _not_decided(parted)
    if not decided:
        why = next((pair.detail for pair in undecided if pair.detail), "no rule applies")
        return Finding(
            "abstained", "not-known", f"The runs ran, but nothing could be decided: {why}."
        )
    verdict = worst(pair.verdict for pair in decided)
    points = sum(probe.points for probe in decided[0].probes)
    if not points:
        sentence = "The runs ran, but no number was made that could be compared."
        return Finding("abstained", "not-known", sentence)
    probes = len(decided[0].probes)
    kinds = {probe.kind for probe in runs["r"].manifest.probes}
    thing = "prediction" if kinds <= {"predict", "call"} else "result"
    names = listed([run_name(decided[0].a), *(run_name(pair.b) for pair in decided)])
    how = "bit for bit" if verdict == "same-bits" else _AGREE[weakest_rung(decided)]
    things = thing if probes == 1 else f"{thing}s"
    sentence = f"{names} agree {how} on all {points:,} points of {probes} {things}."
    explanation = tuple(
        f"{run_name(pair.a)} and {run_name(pair.b)} could not be judged: {pair.detail}"
        for pair in undecided
    )
    weak = [pair for pair in decided if weakest_rung([pair]) in ("probabilistic", "stochastic")]
    explanation += tuple(
        f"{run_name(pair.a)} and {run_name(pair.b)}: {pair.detail}." for pair in weak
    )
    return Finding(verdict, "none", sentence, explanation)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that speaks for many: the worst of them."""
    return min(verdicts, key=SEVERITY.index)


def weakest_rung(pairs: Sequence[RunPair]) -> Rung:
    """Return the rung that speaks for pairs that agree: the weakest that one of them needed."""
    rungs = [
        probe.rung for pair in pairs for probe in pair.probes if probe.verdict == "within-rounding"
    ]
    return max(rungs, key=RUNGS.index, default="bit-equal")


#: What is meant by "they agree", by the rung that decided; only bounds prove anything.
_AGREE: Final[dict[Rung, str]] = {
    "bit-equal": "within the proven rounding bound",
    "exact-probe": "within the proven rounding bound",
    "certified": "within the proven rounding bound",
    "probabilistic": "within what independent roundings would do",
    "stochastic": "within what rounding did in repeated runs",
    "abstained": "as far as could be decided",
}
