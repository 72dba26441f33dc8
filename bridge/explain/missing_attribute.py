"""Attributes that Python does not have: gone, in the other generation only, or never there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.capsule import Call, Capsule
from bridge.capsule.schema import MissingAttribute
from bridge.compare.result import RunPair
from bridge.explain.finding import Finding, OtherGeneration, joined, run_name


def missing_attribute(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], other: OtherGeneration | None
) -> Finding | None:
    """Return the finding of a script that an attribute ended which is not there, else None."""
    r = runs["r"].manifest
    call = _asking(r.calls)
    if call is None or call.error is None or call.error.missing is None or r.error is None:
        return None
    missing = call.error.missing
    keras = r.environment.keras
    at = f"Line {r.error.line}: " if r.error.line else ""
    sentence = f"{at}{missing.owner} has no attribute {missing.name!r}"
    sentence += f" in {keras}." if keras and _of_keras(missing) else "."
    accepted = other is not None and bool(other.accepts) and other.accepts[-1]
    if accepted and other is not None:
        cause = "keras-version"
        sentence += f" {other.keras} has it."
    elif missing.elsewhere:
        cause = "keras-version"
        sentence += f" It is {joined(missing.elsewhere)} now, as in TensorFlow 1."
    elif _of_keras(missing) and not (other is not None and other.refuses and other.refuses[-1]):
        cause = "not-known"
        sentence += " Whether the other generation of Keras has it could not be tried."
    else:
        cause = "user-script"
        refused = other is not None and bool(other.refuses) and other.refuses[-1]
        if refused and other is not None and _of_keras(missing):
            sentence += f" {other.keras} has none either."
        sentence += f" The nearest name there is {missing.near[0]!r}." if missing.near else ""
    partners = [run_name(pair.b) for pair in pairs if pair.verdict == "same-error"]
    alike = (f"{joined(partners)} {'meets' if len(partners) == 1 else 'meet'} the same error",)
    return Finding(
        "same-error" if partners else "failed", cause, sentence, alike if partners else ()
    )


def _asking(calls: Sequence[Call]) -> Call | None:
    """Return the read of an attribute that ended the script."""
    last = calls[-1] if calls else None
    return last if last is not None and last.kind == "getattr" and last.error else None


def _of_keras(missing: MissingAttribute) -> bool:
    return bool({"keras", "tf_keras"} & set(missing.owner.split(".")[:2]))
