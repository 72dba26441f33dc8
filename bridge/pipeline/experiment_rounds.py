"""Rules and the experiments that they ask for: asked, made, and asked again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.capsule import Capsule
from bridge.experiments.experiment import Experiment, Made, outcomes
from bridge.rules.registry import Answered
from bridge.rules.rule import Finding

#: Seconds of the processor that experiments of a case may use, where the script used no more.
BUDGET: Final = 20.0
#: How often rules are asked again: what one experiment shows may ask for another.
_ROUNDS: Final = 3

#: Asks the rules, with what came out so far.
Ask = Callable[[Mapping[Experiment, Capsule]], Answered]
#: Makes experiments, within so many seconds of the processor.
Make = Callable[[Sequence[Experiment], float], Sequence[Made]]


@dataclass(frozen=True)
class Asked:
    """What the rules found in the end, and the experiments that were made for it.

    ``budget`` is in seconds of the processor.
    """

    findings: tuple[Finding, ...] = ()
    made: tuple[Made, ...] = ()
    budget: float = BUDGET

    @property
    def details(self) -> tuple[str, ...]:
        """One line for what was made, and one for each experiment that could not be."""
        if not self.made:
            return ()
        count = sum(each.capsule is not None for each in self.made)
        used = sum(each.seconds for each in self.made)
        return (
            f"Experiments: {count} made in {used:.1f} of {self.budget:.0f} seconds of the "
            "processor.",
            *(
                f"Not made: {each.experiment.kind}, {each.experiment.changed}: {each.why}."
                for each in self.made
                if each.capsule is None
            ),
        )


def asked(ask: Ask, make: Make, budget: float = BUDGET) -> Asked:
    """Ask the rules, make what they want, and ask them again with what came out.

    Nothing is run where nothing is wanted.
    """
    made: list[Made] = []
    answered = ask({})
    for _ in range(_ROUNDS):
        tried = {each.experiment for each in made}
        wanted = [each for each in answered.wanted if each not in tried]
        left = budget - sum(each.seconds for each in made)
        if not wanted or left <= 0:
            break
        made += make(wanted, left)
        answered = ask(outcomes(made))
    return Asked(answered.findings, tuple(made), budget)
