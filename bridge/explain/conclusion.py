"""What is concluded about a case: the finding, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.capsule import Capsule, Environment, ErrorRecord
from bridge.compare.result import Divergence, Stage, Verdict
from bridge.explain.result import CauseEvidence, Upstream
from bridge.facts.r import UNCLASSED_ERRORS, essence
from bridge.rules.rule import Finding


@dataclass(frozen=True)
class Conclusion:
    """What is concluded about a case.

    ``attribution`` is what looking for the cause found, ``headline`` what gives the cause, or else
    the verdict; ``lines`` are those of the script that all this speaks of. ``findings`` are those
    of rules that have something to say here, the one that names the cause first.
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
    findings: tuple[Finding, ...] = ()


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
    "replay": "R's calls made again without R",
    "twin": "the Python twin",
    "intent": "the Python of the text",
    "reference": "float64 arithmetic",
}
#: What differs, by the stage at which two runs part.
PARTS: Final[dict[Stage, str]] = {
    "text": "the text",
    "arguments": "an argument",
    "config": "a setting of the model",
    "weights": "the weights",
    "input": "the input",
    "layer": "what a layer makes",
    "prediction": "what comes out",
    "training curve": "the losses",
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


def of_rule(found: Finding) -> CauseEvidence:
    """Return what a finding of a rule says of the cause."""
    return CauseEvidence(
        cause=found.cause,
        sentence=found.sentence,
        source="rules",
        decides=found.decides,
        lines=found.lines,
        refused=found.refused,
        finding=found,
    )


def stand_in(capsule: Capsule) -> bool:
    """Say whether a stand-in answered for the R package."""
    frontend = capsule.manifest.frontend
    return frontend is not None and frontend.kind == "standin"


def stopped_alone(r: Capsule, partner: Capsule) -> bool:
    """Say whether another run stopped where R's did not."""
    whole = ("ok", "quit")
    return r.manifest.status in whole and partner.manifest.status not in whole


def ran_through(r: Capsule, partner: Capsule) -> bool:
    """Say whether another run did all that it was asked, as far as R's run came."""
    return not partner.manifest.gaps and not stopped_alone(r, partner)


def run_name(name: str) -> str:
    """Return what people call a runner."""
    return _RUNS.get(name, name)


def short(error: ErrorRecord, width: int = 240) -> str:
    """Return what an error says in one line, without the way to it, cut to ``width``."""
    text = " ".join(essence(error.message).split())
    if len(text) > width:
        return f"{text[: width - 3]}..."
    return text if text.endswith((".", "!", "?")) else f"{text}."


def spelled(error: ErrorRecord, width: int = 240) -> str:
    """Return an error as Python prints it: its class, and what it says."""
    said = short(error, width)
    if error.cls in UNCLASSED_ERRORS or said.startswith(f"{error.cls}:"):
        return said
    return f"{error.cls.rpartition('.')[2]}: {said}"


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
