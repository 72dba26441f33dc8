"""The jobs that a warm process can be asked to do, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

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
    "replay": "bridge.runners.replay_job",
    "look": "bridge.runners.look_job",
    "exact": "bridge.runners.exact_job",
    "claims": "bridge.runners.claims_job",
    "rerun": "bridge.runners.rerun_job",
}


def find(name: str) -> Job:
    """Return the function that does the job ``name``.

    Raises:
        KeyError: there is no such job.
    """
    job: Job = importlib.import_module(_JOBS[name]).run
    return job
