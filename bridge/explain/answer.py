"""The answer of a case: one finding, the first that people read.

Where a rule names the cause, its finding is the answer. Else one is made from what was concluded
and from how the runs fared. Its words are here, and in no other place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bridge._text import capitalised, plural
from bridge.capsule import Capsule, ErrorRecord
from bridge.compare.result import RunPair, Verdict
from bridge.explain.conclusion import AGREEMENT, Conclusion, ran_through, short
from bridge.facts.causes import WHOSE, family, meaning
from bridge.rules.rule import Evidence, Finding, Span, Sureness

#: The most characters of a headline, the sentences of a reason and their words (Barik et al.,
#: FSE 2018: people take an explanation that is complete and short). What is cut is not complete,
#: so that these are what there is room for, and what is written should need less.
HEADLINE_LENGTH: Final = 80
WHY_SENTENCES: Final = 3
WHY_WORDS: Final = 40
EVIDENCE_ROWS: Final = 5

#: What was run beside R's own run, as people would ask for it.
_RUN: Final[dict[str, str]] = {
    "replay": "R's calls, made again without R",
    "twin": "the same model, written in Python",
    "intent": "the Python that the text means",
    "reference": "each layer again, in float64",
}
_OUTCOME: Final[dict[Verdict, str]] = {
    "same-bits": "the same numbers, bit for bit",
    "within-rounding": "the same numbers, but for rounding",
    "same-error": "the same error",
    "different": "other numbers",
    "abstained": "could not be judged",
    "failed": "did not run through",
}
#: What is wrong, by the family of the cause.
_WRONG: Final[dict[str, str]] = {
    "r-conversion": "R hands Python another value than the text says",
    "r-default": "the R package sends a default of its own",
    "r-index-base": "R counts from 1 here, and Python from 0",
    "r-semantics": "R's own rules give other numbers than Python's",
    "user-script": "the script does not do what it says",
    "keras-version": "the generations of Keras differ here",
    "keras-layer": "a layer of Keras computes something else than its definition",
    "tracing": "Keras computes something else once the model is traced",
    "grappler": "TensorFlow's graph optimiser changes the result",
    "kernel": "a kernel of TensorFlow gives a wrong result",
    "xla": "what XLA compiles computes another result",
    "onednn": "oneDNN's version of an operation computes another result",
    "device-plugin": "a device plug-in computes another result",
    "rounding": "only rounding differs, within the proven bound",
    "maths": "the mathematics of the model gives what surprises",
}
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def answer(
    conclusion: Conclusion, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
) -> Finding:
    """Return the finding that answers a case; ``runs`` has ``r``."""
    for found in conclusion.findings:
        if found.decides and found.cause == conclusion.cause:
            return found
    r = runs["r"].manifest
    error = r.error
    lines = _lines(conclusion, error)
    return Finding(
        rule="",
        name=conclusion.cause,
        headline=fitted(_headline(conclusion, runs, pairs)),
        whose=WHOSE[family(conclusion.cause)],
        cause=conclusion.cause,
        confidence=_sureness(conclusion, runs, pairs),
        decides=conclusion.cause not in ("none", "not-known"),
        spans=tuple(Span(line=line, primary=place == 0) for place, line in enumerate(lines[:3])),
        why=_why(conclusion, pairs),
        evidence=tuple(_evidence(conclusion, runs, pairs))[:EVIDENCE_ROWS],
        open=conclusion.unexplained[:WHY_SENTENCES],
    )


def fitted(text: str, length: int = HEADLINE_LENGTH) -> str:
    """Return ``text`` with no full stop, cut at a word where it is too long for a headline."""
    text = " ".join(text.split()).rstrip(".")
    if len(text) <= length:
        return text
    kept = text[: length - 3].rpartition(" ")[0] or text[: length - 4]
    return f"{kept} ..."


def _lines(conclusion: Conclusion, error: ErrorRecord | None) -> list[int]:
    """Return the lines that the answer speaks of, the one that decides first."""
    found = conclusion.attribution
    if found is not None and found.cause == conclusion.cause and found.lines:
        return list(found.lines)
    if error is not None and error.line and conclusion.verdict not in AGREEMENT:
        return [error.line]
    return sorted(conclusion.lines) if conclusion.cause not in ("none", "not-known") else []


def _headline(
    conclusion: Conclusion,
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
) -> str:
    r = runs["r"].manifest
    error = r.error
    if error is not None and conclusion.verdict in ("failed", "same-error"):
        return f"{f'Line {error.line} stops' if error.line else 'It stops'}: {short(error)}"
    if conclusion.verdict == "same-error" and r.caught:
        met = r.caught[0]
        return f"{f'Line {met.line} meets' if met.line else 'It meets'} an error: {short(met)}"
    if r.status not in ("ok", "error"):
        return _ENDED.get(r.status, "The script did not come to its end")
    if conclusion.cause == "none":
        return _NOTHING[conclusion.verdict == "within-rounding"]
    if conclusion.cause == "not-known":
        text = _not_known(conclusion, runs, pairs)
    else:
        found = conclusion.attribution
        said = found.headline if found is not None and found.cause == conclusion.cause else ""
        text = said or _WRONG[family(conclusion.cause)]
    return capitalised(text)


_NOTHING: Final = {
    False: "Nothing is wrong: R and Python give the same numbers",
    True: "Nothing is wrong: R and Python differ by rounding only",
}
_ENDED: Final[dict[str, str]] = {
    "syntax-error": "R cannot read the script",
    "not-utf8": "The script is not UTF-8",
    "empty": "The script is empty",
    "quit": "The script ended itself",
    "time-limit": "The script did not end in time and was stopped",
    "memory-limit": "The script used more memory than it may",
    "output-limit": "The script floods its output and was stopped",
    "killed": "The script's process died",
    "not-run": "The script could not be run",
}


def _not_known(
    conclusion: Conclusion, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
) -> str:
    """Say what is not known, where no cause could be singled out."""
    verdicts = {pair.b: pair.verdict for pair in pairs}
    if conclusion.verdict == "different":
        return "numbers differ, and why is not known"
    if not any(call.kind == "call" for call in runs["r"].manifest.calls):
        return "The script never calls Keras: there is nothing to compare"
    if not runs["r"].manifest.probes:
        return "It never predicts, evaluates or trains: there is nothing to compare"
    if "intent" in runs and verdicts.get("replay") in AGREEMENT:
        meant = "the script's Python stopped" if _stopped(runs) else "its Python parts"
        return f"R is repeated exactly; what was meant is open: {meant}"
    return "whether the numbers are right could not be judged"


def _stopped(runs: Mapping[str, Capsule]) -> bool:
    return not ran_through(runs["r"], runs["intent"])


def _sureness(
    conclusion: Conclusion, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
) -> Sureness:
    found = conclusion.attribution
    if conclusion.cause == "not-known":
        return "open"
    if found is not None and found.cause == conclusion.cause and found.confidence:
        return found.confidence
    agreeing = {pair.b for pair in pairs if pair.verdict in AGREEMENT}
    if conclusion.cause == "none":
        meant = "intent" in agreeing and ran_through(runs["r"], runs["intent"])
        return "proven" if meant or "twin" in agreeing else "likely"
    ended = conclusion.verdict in ("failed", "same-error")
    return "proven" if ended and conclusion.cause == "user-script" else "likely"


def _why(conclusion: Conclusion, pairs: Sequence[RunPair]) -> str:
    """Return the reason: what gives the cause, or else what the cause means."""
    agreeing = [pair for pair in pairs if pair.verdict in AGREEMENT]
    if conclusion.cause == "none" and agreeing:
        probes = agreeing[0].probes
        points, count = sum(probe.points for probe in probes), len(probes)
        if not points:
            return conclusion.sentence
        exact = any(pair.b == "reference" for pair in agreeing)
        who = "R, Python and float64 arithmetic" if exact else "R and Python"
        return f"{who} agree on all {plural(points, 'number')} of {plural(count, 'result')}."
    text = conclusion.headline or conclusion.sentence or meaning(conclusion.cause)
    sentences = _SENTENCE.split(" ".join(text.split()))[:WHY_SENTENCES]
    return " ".join(_short_sentence(sentence) for sentence in sentences)


def _short_sentence(sentence: str) -> str:
    words = sentence.split()
    return sentence if len(words) <= WHY_WORDS else f"{' '.join(words[: WHY_WORDS - 1])} ..."


def _evidence(
    conclusion: Conclusion, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
) -> Iterator[Evidence]:
    for pair in pairs:
        if pair.b not in _RUN:
            continue
        outcome = _OUTCOME[pair.verdict]
        ended = runs["r"].manifest.error is not None and pair.b in runs
        if ended and pair.verdict == "different" and runs[pair.b].manifest.error is None:
            outcome = "it does not stop there"
        elif pair.verdict == "different" and pair.first_divergence is not None:
            outcome = f"{outcome}, first at {pair.first_divergence.where}".rstrip(" at,")
        elif pair.b == "intent" and not pair.probes and conclusion.cause == "none":
            outcome = "prints the same numbers"
        yield Evidence(changed=_RUN[pair.b], outcome=outcome)
    found = conclusion.attribution
    for lever in found.levers if found is not None else ():
        if lever.verdict != conclusion.verdict:
            yield Evidence(changed=f"under {lever.lever}", outcome=_OUTCOME[lever.verdict])
