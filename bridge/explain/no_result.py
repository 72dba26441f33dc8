"""Cases without a result: scripts that ended early, the same error, attributes that are gone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from bridge._text import listed
from bridge.capsule import Call, Capsule, ErrorRecord
from bridge.capsule.schema import MissingAttribute
from bridge.capsule.values import Pairs, Scalar
from bridge.compare.result import RunPair, Verdict, same_error
from bridge.explain.conclusion import (
    OtherGeneration,
    of_runs,
    run_name,
    short,
    spelled,
    stand_in,
)
from bridge.explain.result import CauseEvidence

#: The classes of R conditions by which a stand-in tells what it knows of the real package.
STANDIN_MEASURED: Final = "bridge_standin_measured"
STANDIN_UNMEASURED: Final = "bridge_standin_unmeasured"

_STOPPED: Final = {
    "time-limit": "The script did not end in time and was stopped{at}",
    "memory-limit": "The script used more memory than it may and was stopped{at}",
    "output-limit": "The script floods its output and was stopped{at}",
    "killed": "The script's process died{at}: {message}",
}


def not_comparable(capsule: Capsule) -> CauseEvidence | None:
    """Say what is known of a script that did not run through, for a reason of its own."""
    manifest = capsule.manifest
    error = manifest.error
    errors = (error,) if error is not None else ()

    def failed(sentence: str) -> CauseEvidence:
        return of_runs("failed", "user-script", sentence, errors=errors)

    at = f" at line {error.line}" if error and error.line else ""
    if manifest.status == "syntax-error" and error:
        column = f", column {error.column}" if error.column else ""
        where = f"line {error.line}{column}: " if error.line else ""
        return failed(f"The script does not parse: {where}{error.message}.")
    if manifest.status == "not-utf8" and error:
        return failed(f"The script is not UTF-8: {error.message}. Save it as UTF-8.")
    if manifest.status == "empty":
        return failed("The script is empty: there is nothing to run.")
    if manifest.status in _STOPPED:
        message = error.message if error else ""
        text = _STOPPED[manifest.status].format(at=at, message=message)
        kept = len(manifest.probes)
        rest = f" What it had computed until then ({kept} predictions) is kept." if kept else ""
        return failed(f"{text}.{rest}")
    if manifest.status == "quit" and not manifest.probes:
        said = manifest.quit.sentence if manifest.quit is not None else "It called quit()."
        return failed(f"The script ended itself before it predicted anything. {said}")
    return None


def hidden_package(capsule: Capsule) -> CauseEvidence | None:
    """Say what is known where a package was loaded in a way that could not be seen beforehand."""
    environment = capsule.manifest.environment
    frontend = capsule.manifest.frontend
    expected = frontend.package if frontend else ""
    ran = {"keras": "tf_keras", "keras3": "keras"}
    for package, module in ran.items():
        wrong = environment.keras and environment.keras.split()[0] != module
        if package in environment.r_packages and package != expected and wrong:
            return of_runs(
                "abstained",
                "not-known",
                f"The script loads {package} in a way that cannot be seen before it runs, so it "
                f"ran on {environment.keras}. Write library({package}) in the script itself.",
            )
    return None


def from_python(capsule: Capsule) -> bool:
    """Say whether the error that ended the script was raised by Python and passed on by R."""
    error = capsule.manifest.error
    if error is None:
        return False
    raised = [call.error for call in capsule.manifest.calls if call.error]
    return any(
        (raised_error.message[:60] and raised_error.message[:60] in error.message)
        or same_error(raised_error, error)
        for raised_error in raised
    )


def unmeasured(capsule: Capsule) -> bool:
    """Say whether the code of a stand-in ended the script, as the real package may not have.

    Refusals that were measured of the real package have a class of their own.
    """
    error, front = capsule.manifest.error, capsule.manifest.frontend
    if error is None or front is None or error.cls == STANDIN_MEASURED or from_python(capsule):
        return False
    if error.cls == STANDIN_UNMEASURED:
        return True
    # A recording of an older version does not name the stand-ins beside that of the front end.
    names = {*capsule.manifest.standins, *([front.package] if front.kind == "standin" else [])}
    return error.language == "r" and error.origin in names


def r_error(runs: Mapping[str, Capsule]) -> CauseEvidence:
    """Say what is known of a script that an error of R's ended.

    What an R package refuses, and Keras takes where the Python of the text asks for it, is a rule
    of the package's own.
    """
    capsule = runs["r"]
    error = capsule.manifest.error
    assert error is not None
    at = f" at line {error.line}" if error.line else ""
    if unmeasured(capsule):
        sentence = (
            f"The stand-in for {error.origin} does not serve this{at}: {short(error)} What the "
            f"package itself does here was not measured: run it with --frontend cran."
        )
        return of_runs("failed", "not-known", sentence, errors=(error,))
    unused = re.search(r"unused argument", error.message)
    if not unused and error.origin in ("keras", "keras3", "tensorflow", "reticulate"):
        sentence = f"The R package {error.origin} refuses{at}: {short(error)}"
        intent = runs.get("intent")
        if intent is None or intent.manifest.status != "ok" or intent.manifest.gaps:
            return of_runs("failed", "not-known", sentence, errors=(error,))
        taken = "Keras takes it: the Python that the text means runs through."
        return of_runs("failed", "r-semantics", sentence, (taken,), errors=(error,))
    sentence = f"R itself stops{at}: no call into Python raised this.{_advice(error)}"
    return of_runs("failed", "user-script", sentence, errors=(error,))


def _advice(error: ErrorRecord) -> str:
    """Return what to do about an error of R's own that is met often."""
    for pattern, advice in _ADVICE:
        found = re.search(pattern, error.message)
        if found is not None:
            return f" {advice.format(*found.groups())}"
    return ""


_ADVICE: Final = (
    (r"object '(.+?)' not found", "Make {0} in a line before, or look for another spelling of it."),
    (
        r"could not find function \"(.+?)\"",
        "Look for another spelling of {0}, or load the package that has it with library().",
    ),
    (r"there is no package called .(\w[\w.]*)", 'Install it in R: install.packages("{0}").'),
    (r"unused argument \((\S+) =", "It has no argument {0}: look for another spelling."),
    (r"cannot open file '(.+?)'", "Look where the script is run, and whether {0} is there."),
    (r"subscript out of bounds", "An index is larger than what it is taken from: print its dim()."),
    (r"non-conformable", "Print dim() of both sides."),
)


def nothing_to_compare(capsule: Capsule) -> CauseEvidence:
    """Say what is known of a script that made no number."""
    calls = [c for c in capsule.manifest.calls if c.kind == "call" and not c.internal]
    if calls:
        count = "1 call" if len(calls) == 1 else f"{len(calls)} calls"
        sentence = (
            f"The script runs and makes {count} into Python, but nothing came back that another "
            "run gave as well: there is no number to compare."
        )
    else:
        sentence = "The script runs, but it never calls Keras: there is nothing to compare."
    return of_runs("abstained", "not-known", sentence)


def twin_did_not_run(runs: Mapping[str, Capsule]) -> CauseEvidence | None:
    """Say what is known where R ran through and the twin did not, or made nothing."""
    twin = runs.get("twin")
    if twin is None or runs["r"].manifest.status not in ("ok", "quit"):
        return None
    manifest = twin.manifest
    if manifest.status != "ok":
        error = manifest.error
        at = f" at line {error.line}" if error and error.line else ""
        said = f": {error.cls}: {short(error)}" if error else f" ({manifest.status})."
        sentence = f"The Python twin did not run through; it stops{at}{said}"
        return of_runs("failed", "not-known", sentence)
    if runs["r"].manifest.probes and not manifest.probes and not manifest.caught:
        sentence = "The Python twin ran, but it never predicts: there is nothing to compare with R."
        return of_runs("abstained", "not-known", sentence)
    return None


# Runs that meet the same error: whose rule it is.


def same_error_finding(
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    errors: Sequence[ErrorRecord],
    other: OtherGeneration | None,
) -> CauseEvidence:
    """Say what is known where runs meet the same error."""
    partners = [pair.b for pair in pairs if pair.verdict == "same-error"]
    if not partners:
        sentence = f"Python raises an error: {short(errors[0])}"
        return of_runs("failed", "not-known", sentence, errors=errors)
    count = "error" if len(errors) == 1 else f"{len(errors)} errors"
    lines = tuple(
        f"{f'Line {error.line}: ' if error.line else ''}{spelled(error)}" for error in errors
    )
    keras = runs["r"].manifest.environment.keras
    sentence = f"R and Python meet the same {count} in {keras or 'Keras'}"
    # The replay repeats what R made of the arguments: only a twin can clear R, and only where the
    # real package was the one that ran.
    cleared = "twin" in partners and not stand_in(runs["r"])
    sentence += ": R is not the cause." if cleared else "."
    # Where the text itself meets it, nothing that R did to an argument is needed for it.
    meant = "intent" in partners and not runs["intent"].manifest.gaps
    suspects = () if "twin" in partners or meant else _suspects(runs["r"])
    if suspects:
        explanation = (*lines, *suspects)
        return of_runs("same-error", "not-known", sentence, explanation, suspects, errors)
    if other is not None and other.accepts and all(other.accepts):
        which = "The call" if len(errors) == 1 else f"All {len(errors)} calls"
        works = "works" if len(errors) == 1 else "work"
        sentence = f"{sentence} {which} {works} with {other.keras}."
        return of_runs("same-error", "keras-version", sentence, lines, errors=errors)
    # A twin was written for Python: what it meets has nothing to do with R, and where both
    # generations of Keras refuse it, nothing to do with the version.
    refused = other is not None and bool(other.refuses) and all(other.refuses)
    asked = meant and "replay" in partners and not (other is not None and any(other.accepts))
    if other is not None:
        lines = (*lines, *_put_off(other))
    if asked or ("twin" in partners and refused):
        sentence = (
            f"{lines[0]} R and Python meet it alike: the script asks for what is refused there."
        )
        return of_runs("same-error", "user-script", sentence, lines[1:], errors=errors)
    unexplained = ("whose rule the error follows",)
    if other is not None and any(other.accepts):
        good = sum(other.accepts)
        lines = (*lines, f"{good} of the {len(errors)} calls work with {other.keras}.")
    return of_runs("same-error", "not-known", sentence, lines, unexplained, errors)


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


# Attributes that Python does not have: gone, in the other generation only, or never there.


def missing_attribute(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], other: OtherGeneration | None
) -> CauseEvidence | None:
    """Say what is known of a script that an attribute ended which is not there, else None."""
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
        sentence += f" It is {listed(missing.elsewhere)} now, as in TensorFlow 1."
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
    alike = (f"{listed(partners)} {'meets' if len(partners) == 1 else 'meet'} the same error",)
    verdict: Verdict = "same-error" if partners else "failed"
    return of_runs(verdict, cause, sentence, alike if partners else (), errors=(r.error,))


def _asking(calls: Sequence[Call]) -> Call | None:
    """Return the read of an attribute that ended the script."""
    last = calls[-1] if calls else None
    return last if last is not None and last.kind == "getattr" and last.error else None


def _of_keras(missing: MissingAttribute) -> bool:
    return bool({"keras", "tf_keras"} & set(missing.owner.split(".")[:2]))
