"""The steps of a case: each does its work when what it needs is there, and fails by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bridge.errors import bound, isolated
from bridge.explain.finding import Finding

NOT_CONCLUDED: Final = Finding(
    "abstained",
    "not-known",
    "Nothing could be concluded from the runs: a step of keras-bridge itself failed.",
)


def nothing(*_: object) -> None:
    """Stand for the result of a step that gives nothing where it fails us."""


@dataclass(eq=False)
class Step:
    """One step of a case.

    Attributes:
        name: of the step, for the record of an exception of ours that ends it.
        work: takes the results of ``needs``, in their order, and returns that of the step.
        needs: the steps whose results the work takes.
        instead: the same as ``work``, for where that fails us.
        tells: what is not known without the step, as it follows "it is not known".
        failed: whether the work failed us.
        done: whether there is a result.
    """

    name: str
    work: Callable[..., Any]
    needs: tuple[Step, ...] = ()
    instead: Callable[..., Any] = nothing
    tells: tuple[str, ...] = ()
    failed: bool = field(default=False, init=False)
    done: bool = field(default=False, init=False)
    _results: list[Any] = field(default_factory=list, init=False)

    @property
    def result(self) -> Any:
        """What the step gives; asked for before it is done, it raises :class:`IndexError`."""
        return self._results[0]

    def do(self) -> None:
        """Do the work.

        Raises:
            BridgeError: one that no case can survive.
        """
        given = [step.result for step in self.needs]
        made = isolated(self.name, lambda: [self.work(*given)], None)
        self.failed = made is None
        self._results = [self.instead(*given)] if made is None else made
        self.done = True


def run_steps(steps: Sequence[Step], threads: Executor) -> None:
    """Do all steps, each as soon as what it needs is there, and beside others.

    Raises:
        BridgeError: one that no case can survive; what is being done then is left to end.
    """
    waiting = list(steps)
    doing: set[Future[None]] = set()
    while waiting or doing:
        ready = [step for step in waiting if all(need.done for need in step.needs)]
        waiting = [step for step in waiting if step not in ready]
        doing |= {threads.submit(bound(step.do)) for step in ready}
        if not doing:
            raise ValueError(f"nothing gives what these need: {[step.name for step in waiting]}")
        ended, doing = wait(doing, return_when=FIRST_COMPLETED)
        for future in ended:
            future.result()


def not_known(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return what is not known because a step failed us that would have told it."""
    return tuple(dict.fromkeys(told for step in steps if step.failed for told in step.tells))


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
