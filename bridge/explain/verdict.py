"""From runs and their comparison to one verdict, one cause and one sentence.

A pure function of capsules. It names a cause only where the evidence singles one out; otherwise
the cause is ``not-known`` and the sentence says what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.capsule import Capsule, ErrorRecord
from bridge.capsule.values import Pairs, Scalar
from bridge.compare.exact.result import ExactResult
from bridge.compare.result import RUNGS, SEVERITY, Divergence, Rung, RunPair, Verdict


@dataclass(frozen=True)
class Finding:
    """What is concluded about a case."""

    verdict: Verdict
    cause: str
    sentence: str
    explanation: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    first_divergence: Divergence | None = None


@dataclass(frozen=True)
class OtherGeneration:
    """What happened when the calls that raise here were made on the other Keras.

    ``accepts`` has one entry for each such call, in order.
    """

    keras: str
    accepts: tuple[bool, ...]


_STAND_IN: Final = (
    "A stand-in answered the script's library() call. What is said here of R's language, of "
    "reticulate and of Keras was measured; of the CRAN package it says nothing."
)

_STOPPED: Final = {
    "time-limit": "The script did not end in time and was stopped{at}",
    "memory-limit": "The script used more memory than it may and was stopped{at}",
    "output-limit": "The script floods its output and was stopped{at}",
    "killed": "The script's process died{at}: {message}",
}


def conclude(
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    other: OtherGeneration | None = None,
    exact: ExactResult | None = None,
) -> Finding:
    """Conclude from the runs of one case (``r`` is among them) and their comparison.

    ``exact`` is what probes with whole numbers found, where they were made.
    """
    before = _not_comparable(runs["r"]) or _hidden_package(runs["r"])
    if before is not None:
        return before
    found = _with_exact(_compared(runs, pairs, other), exact)
    if not _stand_in(runs["r"]) or found.verdict in ("failed", "abstained"):
        return found
    return replace(found, explanation=(*found.explanation, _STAND_IN))


def _compared(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], other: OtherGeneration | None
) -> Finding:
    r = runs["r"].manifest
    errors = [*r.caught, *([r.error] if r.error else [])]
    python = [error for error in errors if error.language == "python"] or (
        [r.error] if r.error and _from_python(runs["r"]) else []
    )
    if r.status == "error" and not _from_python(runs["r"]):
        return _r_error(runs["r"])
    without = _twin_did_not_run(runs)
    if without is not None:
        return without
    divergent = _first_divergent(pairs)
    if divergent is not None:
        return _different(pairs, divergent)
    if python:
        return _same_error(runs, pairs, python, other)
    if not r.probes:
        return _nothing_to_compare(runs["r"])
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


def _not_comparable(capsule: Capsule) -> Finding | None:
    """Return the finding of a script that did not run through, for a reason of its own."""
    manifest = capsule.manifest
    error = manifest.error
    at = f" at line {error.line}" if error and error.line else ""
    if manifest.status == "syntax-error" and error:
        column = f", column {error.column}" if error.column else ""
        where = f"line {error.line}{column}: " if error.line else ""
        return _failed(f"The script does not parse: {where}{error.message}.")
    if manifest.status == "not-utf8" and error:
        return _failed(f"The script is not UTF-8: {error.message}. Save it as UTF-8.")
    if manifest.status == "empty":
        return _failed("The script is empty: there is nothing to run.")
    if manifest.status in _STOPPED:
        message = error.message if error else ""
        text = _STOPPED[manifest.status].format(at=at, message=message)
        kept = len(manifest.probes)
        rest = f" What it had computed until then ({kept} predictions) is kept." if kept else ""
        return _failed(f"{text}.{rest}")
    if manifest.status == "quit" and not manifest.probes:
        said = next((note for note in manifest.notes if "quit()" in note), "It called quit().")
        return _failed(f"The script ended itself before it predicted anything. {said}")
    return None


def _failed(sentence: str, cause: str = "user-script") -> Finding:
    return Finding("failed", cause, sentence)


def _hidden_package(capsule: Capsule) -> Finding | None:
    """Return the finding where a package was loaded in a way that could not be seen beforehand."""
    environment = capsule.manifest.environment
    frontend = capsule.manifest.frontend
    expected = frontend.package if frontend else ""
    ran = {"keras": "tf_keras", "keras3": "keras"}
    for package, module in ran.items():
        wrong = environment.keras and environment.keras.split()[0] != module
        if package in environment.r_packages and package != expected and wrong:
            return Finding(
                "abstained",
                "not-known",
                f"The script loads {package} in a way that cannot be seen before it runs, so it "
                f"ran on {environment.keras}. Write library({package}) in the script itself.",
            )
    return None


def _from_python(capsule: Capsule) -> bool:
    """Say whether the error that ended the script was raised by Python and passed on by R."""
    error = capsule.manifest.error
    if error is None:
        return False
    raised = [call.error.message for call in capsule.manifest.calls if call.error]
    return any(message[:60] and message[:60] in error.message for message in raised)


def _r_error(capsule: Capsule) -> Finding:
    error = capsule.manifest.error
    assert error is not None
    at = f" at line {error.line}" if error.line else ""
    if error.origin in ("keras", "keras3", "tensorflow", "reticulate"):
        sentence = f"The R package {error.origin} refuses{at}: {_short(error)}"
        return _failed(sentence, "not-known")
    return _failed(f"The script stops{at} with an error of R's own: {_short(error)}")


def _nothing_to_compare(capsule: Capsule) -> Finding:
    calls = [c for c in capsule.manifest.calls if c.kind == "call" and not c.internal]
    if calls:
        count = "1 call" if len(calls) == 1 else f"{len(calls)} calls"
        sentence = (
            f"The script runs and makes {count} into Python, but it never predicts, "
            "evaluates or trains: there is no number to compare."
        )
    else:
        sentence = "The script runs, but it never calls Keras: there is nothing to compare."
    return Finding("abstained", "not-known", sentence)


def _first_divergent(pairs: Sequence[RunPair]) -> RunPair | None:
    return next((pair for pair in pairs if pair.verdict in ("different", "failed")), None)


def _different(pairs: Sequence[RunPair], first: RunPair) -> Finding:
    agreeing = [f"{p.a} and {p.b} agree" for p in pairs if p.verdict not in ("different", "failed")]
    divergence = first.first_divergence
    place = f" at the stage '{divergence.stage}': {divergence.where}" if divergence else ""
    detail = f" ({divergence.detail})" if divergence and divergence.detail else ""
    sentence = f"{_run(first.a)} and {_run(first.b)} differ{place}{detail}."
    explanation = []
    verdicts = {(pair.a, pair.b): pair.verdict for pair in pairs}
    replay = verdicts.get(("r", "replay"))
    if first.b == "twin" and replay in ("same-bits", "within-rounding"):
        explanation.append(
            "Replaying the recorded calls without R gives R's numbers, so the two models were "
            "asked for differently: compare the lines that make them."
        )
    if first.b == "replay":
        explanation.append(
            "The same calls gave other numbers in a fresh process without R: the order of calls, "
            "state that a function in R kept, or a random start may be the reason."
        )
    if first.b == "reference":
        explanation.append(
            "The result lies outside what float32 rounding can explain for the layer that made it."
        )
    return Finding(
        "different",
        "not-known",
        sentence,
        tuple(explanation),
        (f"why {_run(first.a)} and {_run(first.b)} differ", *agreeing)[:1],
        divergence,
    )


def _same_error(
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    errors: Sequence[ErrorRecord],
    other: OtherGeneration | None,
) -> Finding:
    partners = [pair.b for pair in pairs if pair.verdict == "same-error"]
    if not partners:
        return _failed(f"Python raises an error: {_short(errors[0])}", "not-known")
    count = "error" if len(errors) == 1 else f"{len(errors)} errors"
    listed = _and([_run("r"), *map(_run, partners)])
    lines = tuple(
        f"{f'Line {error.line}: ' if error.line else ''}{error.cls}: {_short(error)}"
        for error in errors
    )
    keras = runs["r"].manifest.environment.keras
    sentence = f"{listed} meet the same {count} in {keras or 'Keras'}"
    # The replay repeats what R made of the arguments: only a twin can clear R, and only where the
    # real package was the one that ran.
    cleared = "twin" in partners and not _stand_in(runs["r"])
    sentence += ": R is not the cause." if cleared else "."
    suspects = () if "twin" in partners else _suspects(runs["r"])
    if suspects:
        return Finding("same-error", "not-known", sentence, (*lines, *suspects), suspects)
    if other is not None and other.accepts and all(other.accepts):
        which = "The call" if len(errors) == 1 else f"All {len(errors)} calls"
        works = "works" if len(errors) == 1 else "work"
        sentence = f"{sentence} {which} {works} with {other.keras}."
        return Finding("same-error", "keras-version", sentence, lines)
    unexplained = ("whose rule the error follows",)
    if other is not None and any(other.accepts):
        good = sum(other.accepts)
        lines = (*lines, f"{good} of the {len(errors)} calls work with {other.keras}.")
    return Finding("same-error", "not-known", sentence, lines, unexplained)


def _suspects(capsule: Capsule) -> tuple[str, ...]:
    """Name arguments of calls that raise which look converted: 4 is 4.0 when it comes from R."""
    found = []
    for call in capsule.manifest.calls:
        if call.error is None:
            continue
        named = {**{str(n): v for n, v in enumerate(call.args, start=1)}, **call.kwargs}
        for name, value in named.items():
            if isinstance(value, Scalar) and value.t == "float" and value.v.endswith(".0"):
                where = f"line {call.line}: " if call.line else ""
                found.append(
                    f"{where}argument {name} reached Python as the float {value.v}; if a whole "
                    f"number is meant, R writes it {value.v.removesuffix('.0')}L"
                )
            elif isinstance(value, Pairs):
                where = f"line {call.line}: " if call.line else ""
                found.append(f"{where}argument {name} reached Python as a dict")
    return tuple(found)


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
    return Finding(
        "abstained",
        "not-known",
        f"{_run(pair.a)} and {_run(pair.b)} do not have the same bits{how} ({probe.probe}), and it "
        f"cannot be decided whether that is rounding: {why}.",
        unexplained=(f"why {_run(pair.a)} and {_run(pair.b)} differ at {probe.probe}",),
    )


def _twin_did_not_run(runs: Mapping[str, Capsule]) -> Finding | None:
    """Return the finding where R ran through and the twin did not, or made nothing."""
    twin = runs.get("twin")
    if twin is None or runs["r"].manifest.status not in ("ok", "quit"):
        return None
    manifest = twin.manifest
    if manifest.status != "ok":
        error = manifest.error
        at = f" at line {error.line}" if error and error.line else ""
        said = f": {error.cls}: {_short(error)}" if error else f" ({manifest.status})."
        sentence = f"The Python twin did not run through; it stops{at}{said}"
        return Finding("failed", "not-known", sentence)
    if runs["r"].manifest.probes and not manifest.probes and not manifest.caught:
        sentence = "The Python twin ran, but it never predicts: there is nothing to compare with R."
        return Finding("abstained", "not-known", sentence)
    return None


def _stand_in(capsule: Capsule) -> bool:
    frontend = capsule.manifest.frontend
    return frontend is not None and frontend.kind == "standin"


def _agreement(runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> Finding:
    decided = [pair for pair in pairs if pair.verdict != "abstained"]
    undecided = [pair for pair in pairs if pair.verdict == "abstained"]
    parted = [pair for pair in undecided if pair.b != "reference" and _has_other_bits(pair)]
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
    names = _and([_run(decided[0].a), *(_run(pair.b) for pair in decided)])
    how = "bit for bit" if verdict == "same-bits" else _AGREE[weakest_rung(decided)]
    things = thing if probes == 1 else f"{thing}s"
    sentence = f"{names} agree {how} on all {points:,} points of {probes} {things}."
    explanation = tuple(
        f"{_run(pair.a)} and {_run(pair.b)} could not be judged: {pair.detail}"
        for pair in undecided
    )
    weak = [pair for pair in decided if weakest_rung([pair]) in ("probabilistic", "stochastic")]
    explanation += tuple(f"{_run(pair.a)} and {_run(pair.b)}: {pair.detail}." for pair in weak)
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

_RUNS: Final = {
    "r": "R",
    "replay": "the replay without R",
    "twin": "the Python twin",
    "intent": "the intended Python",
    "reference": "the float64 reference",
}


def _run(name: str) -> str:
    return _RUNS.get(name, name)


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _short(error: ErrorRecord, width: int = 240) -> str:
    text = " ".join(error.message.split())
    text = text.replace("Run `reticulate::py_last_error()` for details.", "").strip()
    if len(text) > width:
        return f"{text[: width - 3]}..."
    return text if text.endswith((".", "!", "?")) else f"{text}."
