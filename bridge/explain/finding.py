"""What is concluded about a case: the closed list of causes, and the finding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.capsule import Capsule, Environment, ErrorRecord
from bridge.compare.errors import essence
from bridge.compare.result import Divergence, Verdict
from bridge.explain.result import CauseEvidence, Upstream

CAUSES: Final[dict[str, str]] = {
    "none": "Nothing is wrong: all runs agree.",
    "r-conversion": "A value changed when R handed it to Python.",
    "r-default": "The R package sends a default that Python would not use.",
    "r-index-base": "R counts from 1 and Python from 0, and one of them was meant.",
    "r-semantics": "R's own rules (models changed in place, closures, recycling, seeds) apply.",
    "user-script": "The script itself stops, or does not do what it says.",
    "keras-version": "The generations of Keras differ in what they accept or compute.",
    "keras-layer": "A layer of Keras computes something else than its definition.",
    "tracing": "Keras behaves differently when it is traced into a graph.",
    "grappler:<pass>": "A pass of TensorFlow's graph optimiser changed the result.",
    "kernel:<op>": "The kernel that executes an operation is wrong.",
    "xla": "XLA compiles the graph into something that computes another result.",
    "onednn": "oneDNN's version of an operation computes another result.",
    "device-plugin": "A device plug-in (tensorflow-metal, for example) executes it differently.",
    "rounding": "The results differ only by rounding, and within the proven bound.",
    "maths": "All runs agree; what surprises follows from the mathematics.",
    "not-known": "The evidence does not single out a cause.",
}

#: Causes that take a name, as they stand in the list.
_NAMED: Final = {"grappler": "grappler:<pass>", "kernel": "kernel:<op>"}
_NAME: Final = re.compile(r"(grappler|kernel):[A-Za-z0-9_]+")
#: What R, its packages or its way into Python do.
OF_R: Final = frozenset({"r-conversion", "r-default", "r-index-base", "r-semantics"})


def is_cause(text: str) -> bool:
    """Say whether ``text`` is on the list; ``grappler:`` and ``kernel:`` take a name."""
    return (text in CAUSES and text not in _NAMED.values()) or bool(_NAME.fullmatch(text))


def family(cause: str) -> str:
    """Return a cause without the name that it takes: ``grappler`` of ``grappler:remapping``."""
    return cause.partition(":")[0]


def meaning(cause: str) -> str:
    """Return the sentence that says what ``cause`` means.

    Raises:
        KeyError: ``cause`` is not on the list.
    """
    return CAUSES[_NAMED[family(cause)] if _NAME.fullmatch(cause) else cause]


# What is concluded about a case, and the words for it.


@dataclass(frozen=True)
class Finding:
    """What is concluded about a case.

    ``attribution`` is what looking for the cause found, ``headline`` what gives the cause, or else
    the verdict; ``lines`` are those of the script that all this speaks of.
    """

    verdict: Verdict
    cause: str
    sentence: str
    explanation: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    first_divergence: Divergence | None = None
    attribution: CauseEvidence | None = None
    headline: str = ""
    lines: frozenset[int] = frozenset()


@dataclass(frozen=True)
class OtherGeneration:
    """What happened when the calls that raise here were made on the other Keras.

    ``accepts`` has one entry for each such call, in order; ``refuses`` as well: a call that could
    not be made there is neither. ``in_use`` has the errors that were met only when what these calls
    had made was used; such a call is refused.
    """

    keras: str
    accepts: tuple[bool, ...]
    refuses: tuple[bool, ...] = ()
    in_use: tuple[ErrorRecord, ...] = ()


_RUNS: Final = {
    "r": "R",
    "replay": "the replay without R",
    "twin": "the Python twin",
    "intent": "the intended Python",
    "reference": "the float64 reference",
}


def of_runs(
    verdict: Verdict,
    cause: str,
    sentence: str,
    explanation: Sequence[str] = (),
    unexplained: Sequence[str] = (),
    errors: Sequence[ErrorRecord] = (),
) -> CauseEvidence:
    """Return what the runs by themselves say; ``errors`` are those that it speaks of."""
    return CauseEvidence(
        cause=cause,
        sentence=sentence,
        source="runs",
        verdict=verdict,
        explanation=tuple(explanation),
        unexplained=tuple(unexplained),
        lines=tuple(error.line for error in errors if error.line),
    )


def stand_in(capsule: Capsule) -> bool:
    """Say whether a stand-in answered for the R package."""
    frontend = capsule.manifest.frontend
    return frontend is not None and frontend.kind == "standin"


def stopped_alone(r: Capsule, other: Capsule) -> bool:
    """Say whether another run stopped where R's did not."""
    whole = ("ok", "quit")
    return r.manifest.status in whole and other.manifest.status not in whole


def ran_through(r: Capsule, other: Capsule) -> bool:
    """Say whether another run did all that it was asked, as far as R's run came."""
    return not other.manifest.gaps and not stopped_alone(r, other)


def run_name(name: str) -> str:
    """Return what people call a runner."""
    return _RUNS.get(name, name)


def joined(names: Sequence[str]) -> str:
    """Return names as people list them."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def short(error: ErrorRecord, width: int = 240) -> str:
    """Return what an error says in one line, without the way to it, cut to ``width``."""
    text = " ".join(essence(error.message).split())
    if len(text) > width:
        return f"{text[: width - 3]}..."
    return text if text.endswith((".", "!", "?")) else f"{text}."


def spelled(error: ErrorRecord, width: int = 240) -> str:
    """Return an error as Python prints it: its class, and what it says."""
    said = short(error, width)
    if error.cls in _NO_CLASS or said.startswith(f"{error.cls}:"):
        return said
    return f"{error.cls.rpartition('.')[2]}: {said}"


#: What R calls the errors that it only passes on; the class is then in the message.
_NO_CLASS: Final = frozenset(
    {"Rcpp::exception", "simpleError", "error", "rlang_error", "condition"}
)


# Whether a known fault of a library still shows: what a case with ``upstream`` is told.

#: What says that nothing is wrong any more.
AGREEMENT: Final = frozenset[Verdict]({"same-bits", "within-rounding"})


def standing(
    reference: str, seen_with: str, verdict: Verdict, decided: bool, environment: Environment
) -> Upstream | None:
    """Say whether the fault shows, and if not, whether a later version mended it.

    Args:
        reference: where the fault is tracked, "tensorflow#118178" say.
        seen_with: the package and version that it was seen with, "tensorflow 2.21.0" say; "" if
            that is not known.
        verdict: of the case.
        decided: whether every layer of it could be judged.
        environment: of R's run.

    Returns:
        None if the run does not tell: it failed, or could not be judged.
    """
    if not reference:
        return None
    package, _, seen = seen_with.partition(" ")
    version = environment.packages.get(package, "")
    here = f"{package} {version}" if version else environment.keras or "this installation"
    if verdict == "different":
        sentence = f"{reference} still shows with {here}."
        return Upstream(reference=reference, shows=True, sentence=sentence)
    if verdict not in AGREEMENT or not decided:
        return None
    if seen and version and _numbers(version) <= _numbers(seen):
        why = f"it was seen with {seen_with}, so that this machine must execute it in another way"
        sentence = f"{reference} does not show here with {here}: {why}."
    else:
        sentence = f"{reference} no longer shows with {here}: fixed upstream."
    return Upstream(reference=reference, shows=False, sentence=sentence)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
