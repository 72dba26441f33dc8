"""Runs that meet the same error: whose rule it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.capsule import Capsule, ErrorRecord
from bridge.capsule.values import Pairs, Scalar
from bridge.compare.result import RunPair
from bridge.explain.finding import (
    Finding,
    OtherGeneration,
    failed,
    joined,
    run_name,
    short,
    spelled,
    stand_in,
)


def same_error(
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    errors: Sequence[ErrorRecord],
    other: OtherGeneration | None,
) -> Finding:
    """Return the finding where runs meet the same error."""
    partners = [pair.b for pair in pairs if pair.verdict == "same-error"]
    if not partners:
        return failed(f"Python raises an error: {short(errors[0])}", "not-known")
    count = "error" if len(errors) == 1 else f"{len(errors)} errors"
    who = joined([run_name("r"), *map(run_name, partners)])
    lines = tuple(
        f"{f'Line {error.line}: ' if error.line else ''}{spelled(error)}" for error in errors
    )
    keras = runs["r"].manifest.environment.keras
    sentence = f"{who} meet the same {count} in {keras or 'Keras'}"
    # The replay repeats what R made of the arguments: only a twin can clear R, and only where the
    # real package was the one that ran.
    cleared = "twin" in partners and not stand_in(runs["r"])
    sentence += ": R is not the cause." if cleared else "."
    # Where the text itself meets it, nothing that R did to an argument is needed for it.
    meant = "intent" in partners and not runs["intent"].manifest.gaps
    suspects = () if "twin" in partners or meant else _suspects(runs["r"])
    if suspects:
        return Finding("same-error", "not-known", sentence, (*lines, *suspects), suspects)
    if other is not None and other.accepts and all(other.accepts):
        which = "The call" if len(errors) == 1 else f"All {len(errors)} calls"
        works = "works" if len(errors) == 1 else "work"
        sentence = f"{sentence} {which} {works} with {other.keras}."
        return Finding("same-error", "keras-version", sentence, lines)
    # A twin was written for Python: what it meets has nothing to do with R, and where both
    # generations of Keras refuse it, nothing to do with the version.
    refused = other is not None and bool(other.refuses) and all(other.refuses)
    asked = meant and "replay" in partners and not (other is not None and any(other.accepts))
    if other is not None:
        lines = (*lines, *_put_off(other))
    if asked or ("twin" in partners and refused):
        sentence = f"{lines[0]} {who} meet it alike: the script asks for what is refused there."
        return Finding("same-error", "user-script", sentence, lines[1:])
    unexplained = ("whose rule the error follows",)
    if other is not None and any(other.accepts):
        good = sum(other.accepts)
        lines = (*lines, f"{good} of the {len(errors)} calls work with {other.keras}.")
    return Finding("same-error", "not-known", sentence, lines, unexplained)


def _put_off(other: OtherGeneration) -> tuple[str, ...]:
    """Say where the other generation only meets an error when what was made is used."""
    return tuple(
        f"{other.keras} takes the call, and what it makes cannot be used: {spelled(error)}"
        for error in other.in_use
    )


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
