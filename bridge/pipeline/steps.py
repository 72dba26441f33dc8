"""The steps of a case: each does its work when what it needs is there, and fails by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import Any, Final

from bridge.errors import bound, isolated
from bridge.explain.conclusion import Conclusion

NOT_CONCLUDED: Final = Conclusion(
    "abstained",
    "not-known",
    "Nothing could be concluded from the runs: a step of keras-bridge itself failed.",
)


def nothing(*_: object) -> None:
    """Stand for the result of a step that gives nothing where it fails us."""


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a case.

    Attributes:
        gives: the name of its result.
        name: of the step, for the record of an exception of ours that ends it.
        work: takes the results that the step needs, in their order, and returns its own.
        needs: the names of these results, with blanks between them.
        instead: the same as ``work``, for where that fails us.
        tells: what is not known without the step, as it follows "it is not known".
    """

    gives: str
    name: str
    work: Callable[..., Any]
    needs: str = ""
    instead: Callable[..., Any] = nothing
    tells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """What steps gave, by name; and what is not known because one failed that would have told."""

    of: Mapping[str, Any]
    not_known: tuple[str, ...]


def run_steps(steps: Sequence[Step], threads: Executor) -> Results:
    """Do all steps, each as soon as what it needs is there, and beside others.

    Raises:
        BridgeError: one that no case can survive; what is being done then is left to end.
        ValueError: nothing gives what a step needs.
    """
    results: dict[str, Any] = {}
    failed: list[Step] = []
    waiting = list(steps)
    doing: dict[Future[list[Any] | None], tuple[Step, list[Any]]] = {}
    while waiting or doing:
        for step in [each for each in waiting if results.keys() >= set(each.needs.split())]:
            waiting.remove(step)
            given = [results[need] for need in step.needs.split()]
            doing[threads.submit(bound(_do), step, given)] = step, given
        if not doing:
            raise ValueError(f"nothing gives what these need: {[step.name for step in waiting]}")
        for future in wait(doing, return_when=FIRST_COMPLETED).done:
            step, given = doing.pop(future)
            made = future.result()
            failed += [step] if made is None else []
            results[step.gives] = step.instead(*given) if made is None else made[0]
    told = (told for step in steps if step in failed for told in step.tells)
    return Results(results, tuple(dict.fromkeys(told)))


def _do(step: Step, given: Sequence[Any]) -> list[Any] | None:
    """Do the work of a step; return its result in a list, None where it fails us."""
    return isolated(step.name, lambda: [step.work(*given)], None)


def honest(found: Conclusion, unjudged: Sequence[str]) -> Conclusion:
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
