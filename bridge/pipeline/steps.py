"""The steps of a case, each by itself: one that fails us costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Final, TypeVar

from bridge.errors import Errors, bound, isolated
from bridge.explain.finding import Finding

T = TypeVar("T")
U = TypeVar("U")


NOT_CONCLUDED: Final = Finding(
    "abstained",
    "not-known",
    "Nothing could be concluded from the runs: a step of keras-bridge itself failed.",
)


class Steps:
    """The steps of one case.

    Attributes:
        errors: the exceptions of ours that were met.
        unjudged: what is not known because a step failed that would have told it.
    """

    def __init__(self) -> None:
        self.errors = Errors()
        self.unjudged: list[str] = []

    def do(
        self, name: str, work: Callable[[], T], otherwise: U, *, tells: Sequence[str] = ()
    ) -> T | U:
        """Do a step; where it fails us, ``otherwise`` is its result.

        Args:
            name: of the step, for the record of an exception.
            work: the step.
            otherwise: what stands for its result.
            tells: what is not known without it, as it follows "it is not known".

        Raises:
            BridgeError: one that no case can survive.
        """
        failed: list[bool] = [True]

        def noting() -> T:
            result = work()
            failed.clear()
            return result

        result = isolated(name, noting, otherwise)
        if failed:
            self.unjudged += tells
        return result

    def begin(
        self,
        threads: Executor,
        name: str,
        work: Callable[[], T],
        otherwise: U,
        *,
        tells: Sequence[str] = (),
    ) -> Future[T | U]:
        """Begin a step beside others."""
        return threads.submit(bound(self.do), name, work, otherwise, tells=tells)


def honest(found: Finding, unjudged: Sequence[str]) -> Finding:
    """Do not say that nothing is wrong where a step failed that would have told."""
    if not unjudged:
        return found
    left = tuple(dict.fromkeys((*found.unexplained, *unjudged)))
    if found.cause != "none":
        return replace(found, unexplained=left)
    listed = "; ".join(dict.fromkeys(unjudged))
    sentence = f"A step of keras-bridge itself failed, so that it is not known {listed}."
    return replace(
        found,
        verdict="abstained",
        cause="not-known",
        sentence=sentence,
        explanation=(found.sentence, *found.explanation),
        unexplained=left,
        first_divergence=None,
    )
