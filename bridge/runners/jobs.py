"""The jobs that a warm process can be asked to do, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bridge.compare.rules.models import model_of
from bridge.r.embed import EmbeddedR


@dataclass(frozen=True)
class Context:
    """What a warm process has loaded."""

    generation: int
    keras: Any
    r: EmbeddedR | None


Job = Callable[[Context, dict[str, Any]], None]

_JOBS: Final = {
    "r": "bridge.runners.r_job",
    "twin": "bridge.runners.twin_job",
    "intent": "bridge.runners.intent_job",
    "replay": "bridge.runners.replay_job",
    "look": "bridge.runners.look_job",
    "exact": "bridge.runners.exact_job",
    "claims": "bridge.runners.claims_job",
    "rerun": "bridge.runners.rerun_job",
    "audit": "bridge.runners.audit_job",
    "kernels": "bridge.runners.measuring_job",
}


def find(name: str) -> Job:
    """Return the function that does the job ``name``.

    Raises:
        KeyError: there is no such job.
    """
    job: Job = importlib.import_module(_JOBS[name]).run
    return job


def preload(*, r: bool) -> None:
    """Import what the jobs of a warm process need, so that its children share it.

    The tables of the activations' errors are read once as well: every child would read them again.
    """
    if r:
        find("r")
        return
    for name in ("look", "replay", "rerun", "twin"):
        find(name)
    model_of("relu")
