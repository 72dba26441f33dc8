"""The words of the report: what each verdict, rung, claim and front end is called, and means."""

from __future__ import annotations

from typing import Final

from bridge.capsule import FrontEnd
from bridge.cases.claims import Holds
from bridge.compare.result import Rung, Stage, Verdict
from bridge.explain.result import Says, ShapeKind
from bridge.facts.causes import meaning

#: A sign for each verdict, so that nothing is said by colour alone.
SIGNS: Final[dict[Verdict, str]] = {
    "failed": "\N{HEAVY BALLOT X}",
    "different": "\N{NOT EQUAL TO}",
    "abstained": "?",
    "within-rounding": "\N{ALMOST EQUAL TO}",
    "same-error": "\N{IDENTICAL TO}",
    "same-bits": "=",
}

VERDICTS: Final[dict[Verdict, str]] = {
    "failed": "A run did not come to an end, so there is nothing to compare.",
    "different": "The numbers differ, and rounding cannot be why.",
    "abstained": "No rule decides whether the difference is rounding.",
    "within-rounding": "The numbers differ by no more than rounding is proven to do.",
    "same-error": "All runs stop, with the same error.",
    "same-bits": "Every number is the same, bit for bit.",
}

RUNGS: Final[dict[Rung, str]] = {
    "bit-equal": "the bits are equal",
    "exact-probe": "small integers, for which float32 is exact: any difference is real",
    "certified": "each layer is judged on its own input against its rounding bound",
    "probabilistic": "a bound that holds with high probability",
    "stochastic": "compared with the spread under changes of one ULP",
    "abstained": "no rule applies",
}

#: The stages at which a difference can first appear, in order, with what is compared there.
STAGES: Final[dict[Stage, str]] = {
    "text": "what the script says",
    "arguments": "what reached Python",
    "config": "the models' settings",
    "weights": "the models' weights",
    "input": "what was predicted on",
    "layer": "what each layer made",
    "prediction": "what came out",
    "training curve": "losses and metrics",
}

#: Where the exceptions of keras-bridge itself stand, beside a case's report.
ERROR_LOG: Final = "internal-errors.log"


def failed_steps(number: int) -> str:
    """Return the sentence on steps that ended by an exception of ours, "" if there is none."""
    if not number:
        return ""
    steps = "step" if number == 1 else "steps"
    return f"{number:,} {steps} of keras-bridge itself failed; see {ERROR_LOG}."


#: Whether a claim holds, and the kind of word that this is: said by more than its colour.
CLAIMS: Final[dict[Holds, str]] = {
    "holds": "yes",
    "does not hold": "no",
    "holds in part": "part",
    "undecided": "open",
}

SPEAKERS: Final[dict[str, str]] = {
    "question": "the question",
    "answer": "an answer",
    "comment": "a comment",
    "ours": "ours",
}


def claim_word(holds: bool | None, verdict: Holds | None = None) -> Holds:
    """Return whether a claim holds, in words, also for a report that has only ``holds``."""
    if verdict is not None:
        return verdict
    return "undecided" if holds is None else "holds" if holds else "does not hold"


#: What each degree of confidence in a cause means.
CONFIDENCES: Final[dict[str, str]] = {
    "proven": "One switch of the stack takes the fault away and brings it back, or the place is "
    "shown element by element.",
    "likely": "All evidence points one way, and some of it could have pointed another.",
    "possible": "Nothing contradicts it.",
}

#: A sign for what a candidate says of an observation, and the kind of word that this is.
SAYS: Final[dict[Says, tuple[str, str]]] = {
    "explains": ("\N{CHECK MARK}", "yes"),
    "contradicts": ("\N{BALLOT X}", "no"),
    "silent": ("?", "open"),
}

#: A sign for each shape of a response.
SHAPES: Final[dict[ShapeKind, str]] = {
    "constant": "\N{EM DASH}",
    "affine": "/",
    "hinge": "_/",
    "saturating": "S",
    "piecewise-linear": "/\\_",
    "smooth": "~",
    "not-known": "?",
}


def cause_meaning(cause: str) -> str:
    """Return the sentence that says what ``cause`` means; empty for a cause not on the list."""
    try:
        return meaning(cause)
    except KeyError:
        return ""


def front_end(front: FrontEnd) -> str:
    """Return one sentence that says which front end ran, and what that is worth."""
    name = f"{front.package} {front.version}".strip()
    if front.kind == "standin":
        named = f" ({name})" if name else ""
        return f"stand-in front end{named}: says nothing about the CRAN package"
    if front.kind == "cran":
        return f"CRAN package {name}".strip()
    return f"no front end, {name} alone" if name else "no R front end"


def front_end_short(front: FrontEnd) -> str:
    """Return the front end in two or three words, for a table."""
    if front.kind == "standin":
        return f"stand-in {front.package}".strip()
    return f"CRAN {front.package}".strip() if front.kind == "cran" else "none"
