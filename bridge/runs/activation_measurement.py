"""Measuring activation kernels where they run, for installations that the file says nothing of.

What was measured is recorded with the run, so that comparing needs nothing else, and is kept in the
user's cache for the next run on the same installation.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import platformdirs

from bridge.capsule import Capsule, Environment, KernelErrors
from bridge.process.pool import Limits, Pool, Warm
from bridge.rounding.installation import Installation, Kernels, installation_of
from bridge.rounding.rules.models import is_measured
from bridge.rounding.rules.resting import measured_kernels
from bridge.trace.spool import read_events

#: Of the ways to measure: what another way found is not read.
_VERSION: Final = 1
#: For all kernels of a run together, in seconds: what is not done by then stays open.
_SECONDS: Final = 120.0

#: An activation and a type.
Wanted = tuple[str, str]
Measure = Callable[[str, str], KernelErrors | None]


def default_folder() -> Path:
    """Return where measurements are kept if nothing else is said."""
    return platformdirs.user_cache_path("keras-bridge") / "kernels"


def with_kernels(
    pool: Pool, made: Capsule, warm: Warm, folder: Path, cache: Path | None = None
) -> Capsule:
    """Return a run with the errors of the kernels that it used, where the file has none.

    Args:
        pool: where they are measured.
        made: the run.
        warm: the kind of process in which the run was made.
        folder: a new folder of the pool's for the measurement to write to.
        cache: where measurements are kept; the user's if None.
    """
    here = installation_of(made.manifest.environment)
    wanted = missing(measured_kernels(made.manifest.states), here)
    if not wanted or not made.manifest.probes:
        return made
    store = Store(here, default_folder() if cache is None else cache)
    known = {(each.activation, each.dtype): each for each in store.read()}
    left = [each for each in wanted if each not in known]
    if left:
        fresh = _measured(pool, warm, folder, left, here)
        known |= {(each.activation, each.dtype): each for each in fresh}
        store.add(fresh)
    kernels = tuple(known[each] for each in wanted if each in known)
    return Capsule(made.manifest.model_copy(update={"kernels": kernels}), made.arrays)


def kernels_here(
    wanted: Iterable[Wanted], measure: Measure, here: Installation, cache: Path | None = None
) -> Kernels:
    """Return the kernels of this process's installation, with what the file says nothing of.

    Args:
        wanted: what they are needed for.
        measure: measures one in this process, or returns None if there is none.
        here: the installation.
        cache: where measurements are kept; the user's if None.
    """
    names = missing(wanted, here)
    store = Store(here, default_folder() if cache is None else cache)
    known = {(each.activation, each.dtype): each for each in store.read()}
    fresh = [found for each in names if each not in known and (found := measure(*each))]
    store.add(fresh)
    known |= {(each.activation, each.dtype): each for each in fresh}
    return Kernels(here, tuple(known[each] for each in names if each in known))


def missing(wanted: Iterable[Wanted], here: Installation) -> tuple[Wanted, ...]:
    """Return those kernels of which the file says nothing for an installation."""
    return tuple(each for each in wanted if not is_measured(*each, Kernels(here)))


def _measured(
    pool: Pool, warm: Warm, folder: Path, wanted: list[Wanted], here: Installation
) -> list[KernelErrors]:
    """Measure in a process as that of the run; nothing if it turns out to be another one."""
    params = {
        "spool": str(folder / "spool"),
        "workdir": str(folder),
        "kernels": [list(each) for each in wanted],
    }
    pool.run(Warm(warm.generation, env=warm.env), "kernels", params, Limits(seconds=_SECONDS))
    events = list(read_events(folder / "spool"))
    environments = (
        Environment.model_validate(each["environment"], strict=False)
        for each in events
        if each["e"] == "environment"
    )
    if any(installation_of(each) != here for each in environments):
        return []
    return [
        KernelErrors.model_validate(each["found"], strict=False)
        for each in events
        if each["e"] == "kernel"
    ]


class Store:
    """The measurements of one installation in a folder.

    A folder that cannot be written to keeps nothing, and says nothing; so does an installation
    that was not described well enough to be told from others.
    """

    def __init__(self, here: Installation, folder: Path) -> None:
        about = json.dumps(
            [_VERSION, here.machine, here.vendor, sorted(here.instructions), here.packages,
             here.onednn, here.switches]
        )  # fmt: skip
        self._path = folder / f"{hashlib.sha256(about.encode()).hexdigest()[:24]}.json"
        self._described = here.described

    def read(self) -> list[KernelErrors]:
        """Return what is kept; a damaged file counts as none."""
        if not self._described:
            return []
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            return [KernelErrors.model_validate(each, strict=False) for each in kept]
        except (OSError, ValueError, TypeError):
            return []

    def add(self, measured: Sequence[KernelErrors]) -> None:
        """Keep measurements beside those that are kept; a reader sees all of them or none."""
        if not self._described or not measured:
            return
        kept = {(each.activation, each.dtype): each for each in (*self.read(), *measured)}
        text = json.dumps([each.model_dump(mode="json") for each in kept.values()])
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(text, "utf-8")
            aside.replace(self._path)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
