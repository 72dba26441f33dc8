"""Many searches at once: what they ask for is run together, one process for each lever.

A search is asked for its next lever as ever; only the runs are shared, because starting a process
for every fault under every lever would take most of the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from bridge.explain.lever_search.protocol import Pull, Searching
from bridge.explain.result import Attribution, LeverOutcome

Key = TypeVar("Key", bound=Hashable)


def drive_together(
    searches: Mapping[Key, Searching],
    answers: Callable[[Pull, list[Key]], Mapping[Key, LeverOutcome]],
) -> dict[Key, Attribution]:
    """Run searches to their ends, round by round.

    ``answers`` runs everything that asks for one lever, and answers each.
    """
    found: dict[Key, Attribution] = {}
    waiting: dict[Key, Pull] = {}
    taken: dict[Key, int] = defaultdict(int)

    def step(key: Key, outcome: LeverOutcome | None) -> None:
        try:
            search = searches[key]
            waiting[key] = next(search) if outcome is None else search.send(outcome)
        except StopIteration as stop:
            found[key] = stop.value

    for key in searches:
        step(key, None)
    while waiting:
        asked: dict[Pull, list[Key]] = defaultdict(list)
        for key, pull in waiting.items():
            asked[pull].append(key)
        # Those that are behind come first: they may come to ask for what the others wait for.
        pull = min(
            asked, key=lambda each: (min(taken[key] for key in asked[each]), -len(asked[each]))
        )
        outcomes = answers(pull, asked[pull])
        for key in asked[pull]:
            del waiting[key]
            taken[key] += 1
            step(key, outcomes[key])
    return found
