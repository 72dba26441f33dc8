"""The answer of a case: one finding, the first that people read.

Where a rule names the cause, its finding is the answer. Else one is made from what was concluded
and from how the runs fared. Its words are here, and in no other place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bridge._text import capitalised, plural, r_number
from bridge.capsule import Capsule
from bridge.compare.alignment import label_of
from bridge.compare.printed_numbers import printed_alike
from bridge.compare.result import SEVERITY, LayerVerdict, ProbePair, RunPair, Verdict
from bridge.explain.conclusion import AGREEMENT, PARTS, Conclusion, ran_through, short
from bridge.explain.result import LeverOutcome, SymptomTable
from bridge.facts.causes import OF_R, WHOSE, family, meaning
from bridge.rules.rule import EvidenceRow, Finding, Help, Span, Sureness

#: The most characters of a headline, the sentences of a reason and their words (Barik et al.,
#: FSE 2018: people take an explanation that is complete and short). What is cut is not complete,
#: so that these are what there is room for, and what is written should need less.
HEADLINE_LENGTH: Final = 80
WHY_SENTENCES: Final = 3
WHY_WORDS: Final = 40
EVIDENCE_ROWS: Final = 5

#: What was run beside R's own run, as people would ask for it.
_RUN: Final[dict[str, str]] = {
    "replay": "R's calls without R",
    "twin": "a twin in Python",
    "intent": "the text as Python",
    "reference": "each layer in float64",
}
_OUTCOME: Final[dict[Verdict, str]] = {
    "same-bits": "the same, bit for bit",
    "within-rounding": "the same, but for rounding",
    "same-error": "the same error",
    "different": "other numbers",
    "abstained": "not judged",
    "failed": "did not run through",
}
_PRINTS: Final = "prints the same numbers"
#: What a lever changes; the others are named as they are.
_LEVER: Final[dict[str, str]] = {
    "eager": "nothing traced into a graph",
    "graph": "traced into a graph, without XLA",
    "xla": "compiled by XLA",
    "xla-off": "not compiled by XLA",
    "call": "model(x) in place of predict()",
    "onednn-off": "oneDNN off",
    "grappler-off": "the graph optimiser off",
    "one-thread": "a single thread",
    "float64": "float64 in place of float32",
    "cpu-only": "the CPU alone",
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
#: Who gives a wrong number, by the family of the cause; the op or the layer is filled in.
_CULPRIT: Final[dict[str, str]] = {
    "keras-layer": "Keras's {cls}",
    "tracing": "Keras, traced into a graph,",
    "grappler": "TensorFlow's graph optimiser",
    "kernel": "TensorFlow's {op}",
    "xla": "XLA",
    "onednn": "oneDNN",
    "device-plugin": "A device plug-in",
}
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def answer(
    conclusion: Conclusion,
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    reported: SymptomTable | None = None,
) -> Finding:
    """Return the finding that answers a case; ``runs`` has ``r``.

    ``reported`` is what was reported elsewhere, set against every fault that may be its cause.
    """
    for found in conclusion.findings:
        if found.decides and found.cause == conclusion.cause:
            return found
    lines = _lines(conclusion, runs, pairs)
    finding = Finding(
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
    right_here = conclusion.cause == "none" and reported is not None and reported.standing
    return _elsewhere(finding, reported) if right_here and reported is not None else finding


def _elsewhere(finding: Finding, reported: SymptomTable) -> Finding:
    """Return the answer where all is right here, and something else was reported.

    What stays as it is: a table in which the models make what was reported without any fault.
    """
    standing = [
        candidate for candidate in reported.candidates if candidate.name in reported.standing
    ]
    causes = tuple(dict.fromkeys(candidate.cause for candidate in standing))
    if not {family(cause) for cause in causes}.isdisjoint({"none", "maths"}):
        return finding
    kinds = tuple(dict.fromkeys(candidate.family or candidate.name for candidate in standing))
    of_r = not OF_R.isdisjoint(causes)
    number = len(reported.observations)
    fits = f"Only one kind of fault gives all {plural(number, 'observation')}: {kinds[0]}."
    if len(kinds) > 1:
        fits = f"{len(kinds)} kinds of fault give all {plural(number, 'observation')}."
    help_ = "Run ask.R, beside this report, on the machine that showed it, and compare."
    return finding.model_copy(
        update={
            "headline": "Right here; a fault of R's side could give what was reported"
            if of_r
            else "Right here: R is not the cause of what was reported",
            "confidence": "likely",
            "why": f"{finding.why} {fits}",
            "evidence": (*finding.evidence, *_refuted(reported))[:EVIDENCE_ROWS],
            "help": Help(text=help_) if reported.separating else None,
            "open": (f"whether it is {' or '.join(causes)}",) if len(causes) > 1 else (),
        }
    )


def _refuted(reported: SymptomTable) -> Iterator[EvidenceRow]:
    """Yield what a fault of R's side would show, where that was not reported."""
    shapes = {observation.name: observation.shape for observation in reported.observations}
    for candidate in reported.candidates:
        cell = next((cell for cell in candidate.cells if cell.says == "contradicts"), None)
        if candidate.cause in OF_R and cell is not None:
            outcome = f"{cell.observation}: {cell.why}; reported was {shapes[cell.observation]}"
            yield EvidenceRow(changed=candidate.name, outcome=outcome)


def fitted(text: str, length: int = HEADLINE_LENGTH) -> str:
    """Return ``text`` with no full stop, cut at a word where it is too long for a headline."""
    text = " ".join(text.split()).rstrip(".")
    if len(text) <= length:
        return text
    kept = text[: length - 3].rpartition(" ")[0] or text[: length - 4]
    return f"{kept} ..."


def _lines(
    conclusion: Conclusion, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
) -> list[int]:
    """Return the lines that the answer speaks of, the one that decides first."""
    found, error = conclusion.attribution, runs["r"].manifest.error
    if found is not None and found.cause == conclusion.cause and found.lines:
        return list(found.lines)
    if error is not None and error.line and conclusion.verdict not in AGREEMENT:
        return [error.line]
    if conclusion.cause in ("none", "not-known"):
        return []
    return sorted(conclusion.lines) or _line_of_wrong_layer(runs["r"], pairs)


def _line_of_wrong_layer(r: Capsule, pairs: Sequence[RunPair]) -> list[int]:
    """Return the line of the prediction in which a layer gives a wrong number."""
    wrong = next((probe.probe for pair in pairs for probe in pair.probes
                  if _wrong(probe) is not None), None)  # fmt: skip
    lines = {label_of(probe, None): probe.line for probe in r.manifest.probes}
    line = lines.get(wrong) if wrong is not None else None
    return [line] if line else []


def _headline(conclusion: Conclusion, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> str:
    r = runs["r"].manifest
    error = r.error
    missing = r.calls[-1].error.missing if r.calls and r.calls[-1].error is not None else None
    if missing is not None and error is not None and conclusion.verdict in ("failed", "same-error"):
        return f"{missing.owner.replace('.', '$')} has no {missing.name}"
    if error is not None and conclusion.verdict in ("failed", "same-error"):
        return f"{f'Line {error.line} stops' if error.line else 'It stops'}: {short(error)}"
    if conclusion.verdict == "same-error" and r.caught:
        met = r.caught[0]
        return f"{f'Line {met.line} meets' if met.line else 'It meets'} an error: {short(met)}"
    if r.status not in ("ok", "error"):
        return _ENDED.get(r.status, "The script did not come to its end")
    if conclusion.cause == "none":
        clear = "Nothing is wrong" if _all_judged(pairs) else "Nothing wrong was found"
        return f"{clear}: {_NOTHING[conclusion.verdict == 'within-rounding']}"
    if conclusion.cause == "not-known":
        text = _not_known(conclusion, runs, pairs)
    else:
        found = conclusion.attribution
        said = found.headline if found is not None and found.cause == conclusion.cause else ""
        text = said or _wrong_number(conclusion, pairs) or _WRONG[family(conclusion.cause)]
    return capitalised(text)


def _all_judged(pairs: Sequence[RunPair]) -> bool:
    """Say whether every run that was made agrees, so that nothing is left out."""
    return all(pair.verdict in AGREEMENT for pair in pairs if pair.b in _RUN)


def _wrong_number(conclusion: Conclusion, pairs: Sequence[RunPair]) -> str:
    """Say who gives which number in place of which, "" where no layer shows one."""
    layer = _wrong_layer(pairs)
    culprit = _CULPRIT.get(family(conclusion.cause), "")
    if layer is None or not culprit:
        return ""
    op = conclusion.cause.partition(":")[2]
    return f"{culprit.format(cls=layer.cls, op=op)} gives {_in_place(layer)}"


def _wrong_layer(pairs: Sequence[RunPair]) -> LayerVerdict | None:
    """Return the first layer that is beyond its bound, with an element that shows it."""
    found = (_wrong(probe) for pair in pairs for probe in pair.probes)
    return next((layer for layer in found if layer is not None), None)


def _wrong(probe: ProbePair) -> LayerVerdict | None:
    layers = (layer for layer in probe.layers if layer.verdict == "different" and layer.worst)
    return next(layers, None)


def _in_place(layer: LayerVerdict) -> str:
    """Return the worst element of a layer and what it should be, in as many digits as differ."""
    computed, exact = layer.worst[0].a, layer.worst[0].b
    got = expected = ""
    for digits in range(4, 18):
        got, expected = (
            f"{value:.{digits}g}" if math.isfinite(value) else r_number(value)
            for value in (computed, exact)
        )
        if got != expected:
            break
    return f"{got} in place of {expected}"


_NOTHING: Final = {
    False: "R and Python give the same numbers",
    True: "R and Python differ by rounding only",
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
        return "Python repeats R's numbers; whether the text means them is not known"
    return "whether the numbers are right could not be judged"


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
        return "proven" if (meant or "twin" in agreeing) and _all_judged(pairs) else "likely"
    if runs["r"].manifest.status == "time-limit":
        # A machine that is busy, or a limit that is short, may be all that is wrong.
        return "possible"
    ended = conclusion.verdict in ("failed", "same-error")
    return "proven" if ended and conclusion.cause == "user-script" else "likely"


def _why(conclusion: Conclusion, pairs: Sequence[RunPair]) -> str:
    """Return the reason: what gives the cause, or else what the cause means."""
    agreeing = [pair for pair in pairs if pair.verdict in AGREEMENT]
    found = conclusion.attribution
    if conclusion.cause == "none" and agreeing:
        return " ".join(_agreement(pairs, agreeing)) or conclusion.sentence
    proven = found is not None and found.cause == conclusion.cause and found.confidence == "proven"
    if found is not None and proven and found.source == "intent" and found.verdict is None:
        # The headline has said what R does there.
        return (
            "Read as Python reads it, the text gives something else than R. With this one place "
            "taken as R has it, it gives what R gives."
        )
    text = conclusion.headline or conclusion.sentence or meaning(conclusion.cause)
    sentences = _SENTENCE.split(" ".join(text.split()))[:WHY_SENTENCES]
    return " ".join(_short_sentence(sentence) for sentence in sentences)


def _agreement(pairs: Sequence[RunPair], agreeing: Sequence[RunPair]) -> Iterator[str]:
    """Yield what agrees, in how many numbers, and what was left out of it."""
    first = next((pair for pair in agreeing if pair.b != "reference"), agreeing[0])
    points, count = sum(probe.points for probe in first.probes), len(first.probes)
    exact = any(pair.b == "reference" for pair in agreeing)
    who = "R, Python and float64 arithmetic" if exact else "R and Python"
    if points:
        many = f"all {plural(points, 'number')} of {plural(count, 'result')}"
        yield f"{who} agree on {many if points > 1 else 'the one number that came out'}."
    for pair in pairs if points else ():
        if pair.b == "reference" and pair.verdict == "abstained":
            judged, asked = _judged(pair)
            if len(judged) < asked:
                yield f"What layers compute was judged in {len(judged)} of {asked} results."
            elif 0 < asked < len(pair.probes):
                yield (
                    "Layers were judged where a model predicts, not where it is trained or "
                    "evaluated."
                )


def _judged(pair: RunPair) -> tuple[list[Verdict], int]:
    """Return how results were judged that agree, and how many can be: predictions."""
    asked = [probe for probe in pair.probes if probe.predicts]
    return [probe.verdict for probe in asked if probe.verdict in AGREEMENT], len(asked)


def _short_sentence(sentence: str) -> str:
    words = sentence.split()
    return sentence if len(words) <= WHY_WORDS else f"{' '.join(words[: WHY_WORDS - 1])} ..."


def _evidence(
    conclusion: Conclusion, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
) -> Iterator[EvidenceRow]:
    """Yield what was changed and what came out: what parts first, what agrees last."""
    found = conclusion.attribution
    levers = found.levers if found is not None and conclusion.verdict == "different" else ()
    alike: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.b in _RUN:
            alike.setdefault(_outcome(pair, runs), []).append(_RUN[pair.b])
    agreed = [_PRINTS, *(_OUTCOME[verdict] for verdict in (*AGREEMENT, "same-error"))]
    for last in (False, True):
        for outcome, names in alike.items():
            if (outcome in agreed) is last:
                yield EvidenceRow(changed="; ".join(names), outcome=outcome)
        yield from () if last else _of_levers(levers)


def _outcome(pair: RunPair, runs: Mapping[str, Capsule]) -> str:
    """Return what came out of a run, set against R's."""
    partner = runs.get(pair.b)
    bare = pair.b == "intent" and not pair.probes
    if bare and partner and ran_through(runs["r"], partner) and printed_alike(runs["r"], partner):
        return _PRINTS
    if pair.verdict == "abstained":
        judged, asked = _judged(pair)
        if not judged:
            return _OUTCOME["abstained"]
        said = _OUTCOME[min(judged, key=SEVERITY.index)]
        return f"in {len(judged)} of {asked} results {said}" if len(judged) < asked else said
    if pair.verdict != "different":
        return _OUTCOME[pair.verdict]
    stops = runs["r"].manifest.error is not None
    if stops and partner is not None and partner.manifest.error is None:
        return "it does not stop there"
    layer = _wrong_layer([pair]) if pair.b == "reference" else None
    if layer is not None:
        return f"layer {layer.layer} gave {_in_place(layer)}"
    first = pair.first_divergence
    return f"other numbers, first in {PARTS[first.stage]}" if first else _OUTCOME["different"]


def _of_levers(levers: Sequence[LeverOutcome]) -> Iterator[EvidenceRow]:
    """Yield the levers that mend it, and the first that does not; one switch says most."""
    single = [lever for lever in levers if "+" not in lever.lever]
    right = [lever for lever in single if lever.verdict in AGREEMENT]
    wrong = [lever for lever in single if lever.verdict == "different"]
    for lever in (*right[-2:], *wrong[-1:]):
        outcome = "right" if lever in right else "still wrong"
        yield EvidenceRow(changed=_LEVER.get(lever.lever, lever.lever), outcome=outcome)
