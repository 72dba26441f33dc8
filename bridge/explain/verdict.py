"""From runs and their comparison to one verdict, one cause and one sentence.

A pure function of capsules. All that speaks of a cause is :class:`CauseEvidence`, whoever says it,
and :func:`rank` alone says what it comes to. A cause is named only where the evidence singles one
out; otherwise it is ``not-known`` and the sentence says what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from bridge._text import listed, plural
from bridge.capsule import Capsule
from bridge.compare.printed_numbers import printed_alike
from bridge.compare.result import RUNGS, SEVERITY, Divergence, Rung, RunPair, Verdict
from bridge.exact.records import ExactResult
from bridge.explain.conclusion import (
    AGREEMENT,
    PARTS,
    Conclusion,
    OtherGeneration,
    of_rule,
    of_runs,
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
from bridge.explain.result import CauseEvidence
from bridge.facts.causes import OF_R
from bridge.rules.ranking import few
from bridge.rules.rule import Finding

_STAND_IN: Final = (
    "A stand-in answered the script's library() call. What is said here of R's language, of "
    "reticulate and of Keras was measured; of the CRAN package it says nothing."
)


_OTHER_NUMBERS: Final = (
    "The same calls gave other numbers in a fresh process without R: the order of calls, "
    "state that a function in R kept, or a random start may be the reason."
)


_KEPT: Final = ("same-bits", "within-rounding", "abstained")
_INDEX: Final = "r-index-base"
_OPEN: Final = ("none", "not-known")
_ENDED: Final = ("failed", "same-error")
_EITHER: Final = (
    "R and the replay of its calls without R agree, so R asked Keras for what it got; whether R "
    "changed something on the way or the text was read wrongly is not known. Compare replay.py, "
    "which has what R asked for, with the lines of the script."
)


# What all the evidence comes to.

#: What a piece of evidence does: it gives the cause and stands in the sentence, or it is told with
#: it, or there is nothing to be said of it here.
_Role = Literal["names", "told", "silent"]


def rank(evidence: Sequence[CauseEvidence]) -> Conclusion:
    """Return what all evidence comes to; what the runs by themselves say is the first piece.

    The verdict is that of the runs, unless probes with whole numbers or levers show a difference
    that comparing could not. The cause is that of who gives the verdict, or else of levers, twins
    and the intent, or else of the first rule that may name it.
    """
    runs = evidence[0]
    leading = _leading(evidence)
    verdict: Verdict = leading.verdict or "abstained"
    # What levers show is why the runs ended as they did, if that is known.
    kept = leading.source in ("levers", "intent") and runs.cause not in _OPEN
    cause = runs.cause if kept else leading.cause
    divergence = leading.divergence
    if divergence is None and leading is not runs:
        divergence = Divergence(stage="prediction", where=leading.where)
    said, unexplained, silent = [leading], leading.unexplained, set[int]()
    named = False
    for item in evidence:
        if item is leading or item is runs:
            continue
        role = _role(item, verdict, cause, runs, named=named)
        if role == "names":
            left = unexplained if item.source == "text" else ()
            cause, said, unexplained = item.cause, [*said, item], (*left, *item.unexplained)
            named = named or item.source == "rules"
        elif role == "silent":
            silent.add(id(item))
        elif item.source in ("levers", "intent") and item.cause == cause == "not-known":
            unexplained = tuple(dict.fromkeys((*unexplained, *item.unexplained)))
    if verdict == "failed" and not named:
        silent |= {id(item) for item in evidence if item.source == "rules"}
    # What a rule says stands by itself: which runs agree is told below it.
    rule = next((item for item in said if item.finding is not None), None)
    spoken = said if rule is None else [rule]
    sentence = " ".join(item.sentence for item in spoken)
    if verdict == "different" and cause == "not-known" and leading.read:
        # R or the reading of its text may be the reason.
        verdict, divergence, sentence = "abstained", None, f"{sentence} {_EITHER}"
    voiced = [item for item in evidence if id(item) not in silent]
    first = [] if rule is None or rule.finding is None else [rule.finding]
    rest = [item.finding for item in voiced if item.finding is not None and item is not rule]
    return Conclusion(
        verdict,
        cause,
        sentence,
        tuple(_explanation(voiced, spoken, cause)),
        unexplained,
        divergence,
        next((item for item in evidence if item.source in ("levers", "intent")), None),
        [item for item in spoken if item.source != "text"][-1].sentence,
        frozenset(line for item in voiced for line in item.lines),
        (*first, *rest),
    )


def _explanation(
    kept: Sequence[CauseEvidence], said: Sequence[CauseEvidence], cause: str
) -> Iterator[str]:
    for item in kept:
        if item not in said:
            yield item.sentence
        yield from item.explanation
        # A cause that is known leaves no room for what may be the reason.
        yield from item.guesses if cause in _OPEN else ()


def _leading(evidence: Sequence[CauseEvidence]) -> CauseEvidence:
    """Return what gives the verdict."""
    leading = evidence[0]
    for item in evidence:
        open_ = leading.verdict != "different" or (item.source == "exact" and leading.read)
        ended = leading.verdict in _ENDED and item.source != "exact"
        if item.verdict == "different" and item.cause != "none" and open_ and not ended:
            leading = item
    return leading


def _role(
    item: CauseEvidence, verdict: Verdict, cause: str, runs: CauseEvidence, *, named: bool
) -> _Role:
    agree = verdict in AGREEMENT
    match item.source:
        case "levers" | "intent":
            if item.cause == "none" or verdict in _ENDED:
                return "silent"
            return "names" if cause == "not-known" != item.cause else "told"
        case "rules":
            # What explains an error speaks only where one was met, and what explains numbers only
            # where they agree, or where R's own rules may be why they do not.
            if agree and item.refused:
                return "silent"
            if agree:
                may = cause == "none"
            elif verdict in _ENDED:
                may = item.refused
            elif verdict == "different":
                known = runs.refused if item.refused else item.cause in OF_R
                may = cause == "not-known" and known
            else:
                may = cause == "not-known" and (item.refused or item.cause in OF_R)
            return "names" if may and item.decides and not named else "told"
        case "text":
            # Nothing is called right where no run says what was meant.
            if item.decides:
                return "names" if cause == "none" else "silent"
            return "told"
        case "stand-in":
            return "silent" if verdict in ("failed", "abstained") else "told"
        case _:
            return "told"


# What speaks of a cause, of one case.


def conclude(
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    other: OtherGeneration | None = None,
    exact: ExactResult | None = None,
    attribution: CauseEvidence | None = None,
    usage: Sequence[Finding] = (),
) -> Conclusion:
    """Conclude from the runs of one case (``r`` is among them) and their comparison.

    ``exact`` is what probes with whole numbers found, where they were made; ``attribution`` what
    looking for a cause found, where there was something to explain; ``usage`` what the script's
    own use of Keras answers (:mod:`bridge.rules`).
    """
    r = runs["r"]
    before = not_comparable(r) or hidden_package(r)
    if before is not None:
        return rank([before])
    pairs, aside = _weighed(runs, pairs, attribution)
    first = _compared(runs, pairs, other)
    evidence = [first]
    if exact is not None:
        evidence.append(_of_exact(exact))
    if attribution is not None and not (
        attribution.cause == _INDEX and (aside or (_is_known(attribution, usage) and _read(pairs)))
    ):
        open_ = attribution.cause == "not-known" and _read(pairs)
        # Levers say what Keras does with R's calls, and on these R and its replay agree.
        verdict = "abstained" if open_ else attribution.verdict
        evidence.append(attribution.model_copy(update={"verdict": verdict}))
    # Errors of a stand-in are nobody's fault: what explains errors has nothing to say of them.
    evidence += () if unmeasured(r) else map(of_rule, few(usage))
    evidence += [*aside, *_unjudged(runs, pairs)]
    if stand_in(r):
        evidence.append(CauseEvidence(cause="none", sentence=_STAND_IN, source="stand-in"))
    return rank(evidence)


def _unjudged(runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> Iterator[CauseEvidence]:
    """Say so where no run tells what was meant: R may do otherwise than its text says.

    The replay has R's own arguments. Where no intent was asked for, that is the caller's choice.
    """
    intent = runs.get("intent")
    agree = {pair.b for pair in pairs if pair.verdict in AGREEMENT}
    if intent is None or "twin" in agree:
        return
    printed = not runs["r"].manifest.probes and printed_alike(runs["r"], intent)
    if ran_through(runs["r"], intent) and ("intent" in agree or printed):
        return
    error = intent.manifest.error
    reasons = (
        *(f"{gap}." for gap in intent.manifest.gaps),
        *((f"the Python of the text stops: {spelled(error)}",) if error is not None else ()),
        *(f"{pair.detail}." for pair in pairs if pair.b == "intent" and pair.detail),
    )
    yield CauseEvidence(
        cause="not-known",
        sentence="What was meant could not be judged"
        + (f", because of this: {reasons[0]}" if reasons else "."),
        source="text",
        unexplained=("whether R does what its text means",),
    )


def _weighed(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], attribution: CauseEvidence | None
) -> tuple[list[RunPair], list[CauseEvidence]]:
    """Set an intent aside that did not run through where R and its replay did.

    What is read from the text may be read wrongly. Where it cannot be run, and R's own calls can,
    that alone says nothing of R, unless what R did to an argument is seen to be why. An index
    that is refused when it is counted from 0 is none of that: it was written as R counts.
    """
    named = attribution is not None and attribution.cause not in (*_OPEN, _INDEX)
    replayed = any(pair.b == "replay" and pair.verdict in AGREEMENT for pair in pairs)
    if named or not replayed or runs["r"].manifest.status not in ("ok", "quit"):
        return list(pairs), []
    kept, aside = [], []
    for pair in pairs:
        meant = runs.get(pair.b)
        broken = meant is not None and meant.manifest.status not in ("ok", "quit")
        if pair.b != "intent" or pair.verdict in AGREEMENT or not broken:
            kept.append(pair)
            continue
        error = meant.manifest.error if meant is not None else None
        at = f" at line {error.line}" if error is not None and error.line else ""
        why = f" ({error.cls}: {short(error)})" if error is not None else ""
        sentence = (
            f"The Python that was read from the text does not run through: it stops{at}{why}. "
            "R's calls do, with and without R, so nothing is concluded from it."
        )
        aside.append(
            CauseEvidence(cause="not-known", sentence=sentence, source="text", decides=False)
        )
    return kept, aside


def _is_known(attribution: CauseEvidence, usage: Sequence[Finding]) -> bool:
    """Say whether the script uses an index as R counts it: then its base surprises nobody."""
    known = [item.lines for item in usage if item.cause == _INDEX and not item.decides]
    return any(line in attribution.lines for lines in known for line in lines)


def _read(pairs: Sequence[RunPair]) -> bool:
    """Say whether R and its replay agree, and nothing but what was read from the text may part."""
    replayed = any(pair.b == "replay" and pair.verdict in AGREEMENT for pair in pairs)
    return replayed and all(pair.b == "intent" or pair.verdict in _KEPT for pair in pairs)


def _compared(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], other: OtherGeneration | None
) -> CauseEvidence:
    r = runs["r"].manifest
    errors = [*r.caught, *([r.error] if r.error else [])]
    python = [error for error in errors if error.language == "python"] or (
        [r.error] if r.error and from_python(runs["r"]) else []
    )
    if r.status == "error" and not from_python(runs["r"]):
        return r_error(runs)
    without = twin_did_not_run(runs)
    if without is not None:
        return without
    divergent = _first_divergent(pairs)
    if divergent is not None:
        found = _different(pairs, divergent)
        refused = divergent.alone or r.status == "error"
        return found.model_copy(update={"refused": refused, "read": _read(pairs)})
    missing = missing_attribute(runs, pairs, other)
    if missing is not None:
        return missing
    if python:
        return same_error_finding(runs, pairs, python, other)
    if not r.probes and not any(pair.answers for pair in pairs):
        return nothing_to_compare(runs["r"])
    return _agreement(runs, pairs)


def _of_exact(exact: ExactResult) -> CauseEvidence:
    """Return what exact probes say: one that deviates is a difference, whatever else is found."""
    evidence = CauseEvidence(cause="not-known", sentence=exact.sentence, source="exact")
    if exact.verdict != "different":
        return evidence
    wrong = next(stretch for stretch in exact.stretches if stretch.verdict == "different")
    where = f"model.get_layer({wrong.layer!r})" if wrong.layer else wrong.model
    return evidence.model_copy(
        update={
            "verdict": exact.verdict,
            "unexplained": (f"why {', '.join(exact.deviating)} deviate from the exact result",),
            "divergence": Divergence(stage="layer", where=where, detail=wrong.evidence),
        }
    )


def _first_divergent(pairs: Sequence[RunPair]) -> RunPair | None:
    return next((pair for pair in pairs if pair.verdict in ("different", "failed")), None)


def _different(pairs: Sequence[RunPair], first: RunPair) -> CauseEvidence:
    divergence = first.first_divergence
    place = f", first in {PARTS[divergence.stage]}" if divergence else ""
    detail = f" ({divergence.detail})" if divergence and divergence.detail else ""
    sentence = f"{run_name(first.a)} and {run_name(first.b)} differ{place}{detail}."
    explanation = []
    guesses = (_OTHER_NUMBERS,) if first.b == "replay" else ()
    verdicts = {(pair.a, pair.b): pair.verdict for pair in pairs}
    replay = verdicts.get(("r", "replay"))
    if first.b == "twin" and replay in AGREEMENT:
        explanation.append(
            "Replaying the recorded calls without R gives R's numbers, so the two models were "
            "asked for differently: compare the lines that make them."
        )
    if first.b == "reference":
        explanation.append(
            "The result lies outside what float32 rounding can explain for the layer that made it."
        )
    unexplained = (f"why {run_name(first.a)} and {run_name(first.b)} differ",)
    found = of_runs("different", "not-known", sentence, explanation, unexplained)
    return found.model_copy(update={"guesses": guesses, "divergence": divergence})


def _has_other_bits(pair: RunPair) -> bool:
    """Say whether a pair that was not decided differs somewhere: then it may not be left out."""
    return any(
        probe.verdict == "abstained"
        and (probe.difference is None or not probe.difference.same_bits)
        for probe in pair.probes
    )


def _not_decided(parted: Sequence[RunPair]) -> CauseEvidence:
    pair = parted[0]
    probe = next(probe for probe in pair.probes if probe.verdict == "abstained")
    gap = probe.difference
    how = f", by up to {gap.max_abs:.3g}" if gap is not None and gap.max_abs else ""
    why = probe.detail or pair.detail or "no rule applies"
    if gap is None:
        # One of the two has nothing there, as where what was written in R cannot be replayed.
        return of_runs(
            "abstained",
            "not-known",
            f"{run_name(pair.a)} and {run_name(pair.b)} could not be set side by side "
            f"({probe.probe}): {why}.",
            unexplained=(
                f"whether {run_name(pair.a)} and {run_name(pair.b)} agree at {probe.probe}",
            ),
        )
    return of_runs(
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
    others = {compared.b for compared in decided if compared.verdict in AGREEMENT}
    return bool(gaps) and bool(others & {"replay", "twin", "intent"} - {pair.b})


def _agreement(runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> CauseEvidence:
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
        return of_runs(
            "abstained", "not-known", f"The runs ran, but nothing could be decided: {why}."
        )
    verdict = worst(pair.verdict for pair in decided)
    points = sum(probe.points for probe in decided[0].probes)
    if not points:
        return _of_answers(runs, decided, verdict)
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
    return of_runs(verdict, "none", sentence, explanation)


def _of_answers(
    runs: Mapping[str, Capsule], decided: Sequence[RunPair], verdict: Verdict
) -> CauseEvidence:
    """Conclude on a script without a model: from what came back to it, and what it prints."""
    answers = max(pair.answers for pair in decided)
    intent = runs.get("intent")
    whole = intent is not None and ran_through(runs["r"], intent)
    printed = printed_alike(runs["r"], intent) if intent is not None and whole else 0
    if answers and printed:
        sentence = (
            f"The same calls without R give the same {plural(answers, 'value')}, and the Python of "
            f"the text prints the same {plural(printed, 'number')}."
        )
        return of_runs(verdict, "none", sentence)
    sentence = "The runs ran, but no number was made that could be compared."
    return of_runs("abstained", "not-known", sentence)


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
