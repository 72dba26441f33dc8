"""The jobs that a warm process can be asked to do, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bridge.r.embed import EmbeddedR
from bridge.rounding.rules.activation_models import model_of


@dataclass(frozen=True)
class Context:
    """What a warm process has loaded."""

    generation: int
    keras: Any
    r: EmbeddedR | None


Job = Callable[[Context, dict[str, Any]], None]

_JOBS: Final = {
    "r": "bridge.runs.r_job",
    "twin": "bridge.runs.twin_job",
    "intent": "bridge.runs.intent_job",
    "replay": "bridge.runs.replay",
    "look": "bridge.runs.layer_capture",
    "exact": "bridge.runs.exact_probes",
    "claims": "bridge.runs.claims",
    "rerun": "bridge.runs.rerun",
    "audit": "bridge.audit.wrapper_calls",
    "kernels": "bridge.runs.activation_measurement",
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
