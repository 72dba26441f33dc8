"""Whether a known fault of a library still shows: what a case with ``upstream`` is told."""

from __future__ import annotations

import re
from typing import Final

from bridge.capsule import Environment
from bridge.compare.result import Verdict
from bridge.explain.result import Upstream

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
