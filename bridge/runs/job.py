"""A job in a process of its own: its folders, what it is told, and what it leaves."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule
from bridge.process.environment import describe_environment, keras_version, limit, start_chance
from bridge.process.pool import Limits, Outcome, Pool, Warm
from bridge.process.zygote import Context, Job
from bridge.runs.levers import Lever, pull
from bridge.trace.capsule_builder import Origin, assemble
from bridge.trace.recorder import describe_error
from bridge.trace.spool import Event, SpoolArrays, SpoolWriter, read_events

#: Files beside a script are at its hand up to this many bytes together.
_BESIDE_BYTES: Final = 64 * 2**20
#: So many of them, and so deep in folders.
_BESIDE_FILES: Final = 1000
_BESIDE_DEPTH: Final = 3

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """The folders of a job, which are its own."""

    base: Path

    @property
    def spool(self) -> Path:
        """Where it writes down what happens."""
        return self.base / "spool"

    @property
    def work(self) -> Path:
        """Its working folder."""
        return self.base / "work"


@dataclass(frozen=True)
class Left:
    """What a job left in its place, and how its process ended."""

    place: Place
    outcome: Outcome

    @cached_property
    def events(self) -> list[Event]:
        """What it wrote down, in order."""
        return list(read_events(self.place.spool))

    def named(self, name: str) -> list[Event]:
        """Return the events of one name."""
        return [event for event in self.events if event["e"] == name]

    @property
    def arrays(self) -> dict[str, AnyArray]:
        """Its arrays, in memory."""
        mapped = SpoolArrays(self.place.spool, iter(self.events))
        return {key: np.array(value) for key, value in mapped.items()}

    @property
    def ending(self) -> str:
        """How it ended, where it did not come to its end; else ""."""
        if self.named("end"):
            return ""
        return f"{self.outcome.status}, after {self.outcome.seconds:.0f} seconds"

    def capsule(self, origin: Origin, lever: Lever | None = None) -> Capsule:
        """Return the run as a capsule whose arrays are in memory."""
        place = self.place
        own = (str(place.spool), str(place.work), str(place.base))
        capsule = assemble(
            replace(origin, private=(*own, *origin.private)), place.spool, self.outcome
        )
        manifest = capsule.manifest.model_copy(update={"lever": lever.name} if lever else {})
        return Capsule(manifest, {key: np.array(capsule.arrays[key]) for key in capsule.arrays})


def _nothing(_: Place) -> Params:
    return {}


@contextmanager
def run_job(
    pool: Pool,
    warm: Warm,
    job: Job,
    params: Params,
    limits: Limits,
    *,
    prepare: Callable[[Place], Params] = _nothing,
    during: Callable[[Path], AbstractContextManager[None]] = lambda _spool: nullcontext(),
) -> Iterator[Left]:
    """Do a job in a fresh process, and yield what it left; its folders go afterwards.

    Args:
        pool: starts the process.
        warm: the kind of process.
        job: is given ``params``, with ``spool`` and ``workdir``, its folders.
        params: what can be said in JSON.
        limits: of the process.
        prepare: puts files into the job's place, and returns further params.
        during: is entered with the spool while the job is done.

    Raises:
        PoolError: R, TensorFlow or Keras cannot be started.
    """
    place = Place(Path(tempfile.mkdtemp(dir=pool.folder)))
    try:
        place.work.mkdir()
        folders = {"spool": str(place.spool), "workdir": str(place.work)}
        given = {**params, **prepare(place), **folders}
        with during(place.spool):
            outcome = pool.run(warm, job, given, limits)
        yield Left(place, outcome)
    finally:
        shutil.rmtree(place.base, ignore_errors=True)


def lay_beside(script: Path, work: Path) -> None:
    """Copy the files beside a script into its working folder: it may read, and spoil, copies.

    Files in folders beside it are copied too; what is hidden, or more than there is room for, is
    not.
    """
    left = _BESIDE_BYTES
    folder = script.resolve().parent
    for count, path in enumerate(_beside(folder, _BESIDE_DEPTH)):
        size = path.stat().st_size
        if count < _BESIDE_FILES and size <= left:
            left -= size
            there = work / path.relative_to(folder)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, there)


def _beside(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the files in a folder, then those in the folders in it."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:  # it may not be read
        return
    seen = [path for path in paths if not path.is_symlink()]
    yield from (path for path in seen if path.is_file())
    for path in seen:
        if depth and path.is_dir() and not path.name.startswith((".", "_")):
            yield from _beside(path, depth - 1)


def origin_of(recorded: Capsule) -> Origin:
    """Return what a run is of in which recorded calls or predictions are made again."""
    script = recorded.manifest.script
    case = recorded.manifest.case
    if script is None:
        return Origin("replay", case, Path(), "", "r")
    return Origin("replay", case, Path(script.name), script.text, script.language)


# In the process of a job.


def begin(context: Context, params: Params, *, of_script: bool = False) -> SpoolWriter:
    """Begin a job: pull its lever, go to its folder, start chance, set its limits.

    ``of_script``: a lever sets the float type of Keras as well; models that are built again have
    their own.
    """
    spool = SpoolWriter(Path(params["spool"]))
    for note in pull(params.get("lever") or {}, context.keras if of_script else None):
        spool.event("note", text=note)
    os.chdir(params["workdir"])
    start_chance()
    limit(int(params.get("memory_bytes", 0)))
    return spool


def finish(spool: SpoolWriter, context: Context, status: str = "", **situation: Any) -> None:
    """Say how a job ended, and what it ran on."""
    if status:
        spool.event("status", status=status)
    spool.event(
        "situation",
        keras=keras_version(context.generation),
        environment=describe_environment(),
        **situation,
    )
    spool.event("end")


def ran(
    spool: SpoolWriter, script: Callable[[], None], line: Callable[[BaseException], int | None]
) -> str:
    """Run a Python script, and return how it ended; ``line`` says where an error came from."""
    try:
        script()
    except SystemExit as leaving:
        spool.event("quit", code=str(leaving.code), line=None)
        return "quit"
    except BaseException as error:  # a stranger's script raises what it likes
        spool.event("error", error=describe_error(error) | {"line": line(error)})
        return "error"
    return "ok"
