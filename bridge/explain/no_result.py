"""Scripts that leave nothing to compare: they were stopped, or ended before they predicted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.capsule import Capsule, ErrorRecord
from bridge.compare.errors import same_error
from bridge.explain.finding import Finding, failed, short

#: The classes of R conditions by which a stand-in tells what it knows of the real package.
STANDIN_MEASURED: Final = "bridge_standin_measured"
STANDIN_UNMEASURED: Final = "bridge_standin_unmeasured"

_STOPPED: Final = {
    "time-limit": "The script did not end in time and was stopped{at}",
    "memory-limit": "The script used more memory than it may and was stopped{at}",
    "output-limit": "The script floods its output and was stopped{at}",
    "killed": "The script's process died{at}: {message}",
}


def not_comparable(capsule: Capsule) -> Finding | None:
    """Return the finding of a script that did not run through, for a reason of its own."""
    manifest = capsule.manifest
    error = manifest.error
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
        said = next((note for note in manifest.notes if "quit()" in note), "It called quit().")
        return failed(f"The script ended itself before it predicted anything. {said}")
    return None


def hidden_package(capsule: Capsule) -> Finding | None:
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


def from_python(capsule: Capsule) -> bool:
    """Say whether the error that ended the script was raised by Python and passed on by R."""
    error = capsule.manifest.error
    if error is None:
        return False
    raised = [call.error for call in capsule.manifest.calls if call.error]
    return any(
        (each.message[:60] and each.message[:60] in error.message) or same_error(each, error)
        for each in raised
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


def r_error(capsule: Capsule) -> Finding:
    """Return the finding of a script that an error of R's ended."""
    error = capsule.manifest.error
    assert error is not None
    at = f" at line {error.line}" if error.line else ""
    if unmeasured(capsule):
        sentence = (
            f"The stand-in for {error.origin} does not serve this{at}: {short(error)} What the "
            f"package itself does here was not measured: run it with --frontend cran."
        )
        return failed(sentence, "not-known")
    unused = re.search(r"unused argument", error.message)
    if not unused and error.origin in ("keras", "keras3", "tensorflow", "reticulate"):
        sentence = f"The R package {error.origin} refuses{at}: {short(error)}"
        return failed(sentence, "not-known")
    return failed(f"The script stops{at} with an error of R's own: {short(error)}{_advice(error)}")


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


def nothing_to_compare(capsule: Capsule) -> Finding:
    """Return the finding of a script that made no number."""
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


def twin_did_not_run(runs: Mapping[str, Capsule]) -> Finding | None:
    """Return the finding where R ran through and the twin did not, or made nothing."""
    twin = runs.get("twin")
    if twin is None or runs["r"].manifest.status not in ("ok", "quit"):
        return None
    manifest = twin.manifest
    if manifest.status != "ok":
        error = manifest.error
        at = f" at line {error.line}" if error and error.line else ""
        said = f": {error.cls}: {short(error)}" if error else f" ({manifest.status})."
        sentence = f"The Python twin did not run through; it stops{at}{said}"
        return Finding("failed", "not-known", sentence)
    if runs["r"].manifest.probes and not manifest.probes and not manifest.caught:
        sentence = "The Python twin ran, but it never predicts: there is nothing to compare with R."
        return Finding("abstained", "not-known", sentence)
    return None
