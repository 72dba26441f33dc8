"""Training an ensemble: blocks of nets on all cores, each kept as soon as it is finished."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from _ensemble import kernel
from _ensemble.plan import Plan, PlanError, glorot
from bridge._typing import AnyArray

#: What takes less time than this, in seconds, shows no bar.
PATIENCE: Final = 2.0


@dataclass(frozen=True, eq=False)
class Trained:
    """An ensemble after its training.

    Attributes:
        plan: what was asked.
        seeds: each net's number, shape (nets,).
        before: weights at the start, shape (nets, plan.numbers), as
            :func:`_ensemble.plan.glorot` lays them out.
        after: weights at the end.
        losses: mean squared error over all points after the epochs ``plan.telling``, shape
            (nets, len(plan.telling)), float64; NaN or infinite where a training diverged.
        kept: how many nets had been trained before, and were read instead.
    """

    plan: Plan
    seeds: AnyArray
    before: AnyArray
    after: AnyArray
    losses: AnyArray
    kept: int

    @property
    def loss(self) -> AnyArray:
        """The loss at the end, shape (nets,)."""
        return self.losses[:, -1]

    @property
    def diverged(self) -> int:
        """How many trainings ended with a loss that is not a finite number."""
        return int(np.sum(~np.isfinite(self.loss)))


def train(
    plan: Plan,
    seeds: AnyArray | range | int,
    *,
    initial: AnyArray | None = None,
    store: Store | None = None,
    tell: Callable[[str], None] | None = None,
    workers: int | None = None,
) -> Trained:
    """Train nets, and read those that were trained before.

    If it is interrupted, what is finished by then is kept, and the next call goes on from there.
    The bits of a net do not depend on which others are trained with it, nor on the number of
    workers.

    Args:
        plan: what to do.
        seeds: each net's number, from which its first weights and its orders of points come; a
            number of nets means 0, 1, ...
        initial: other first weights, shape (nets, plan.numbers).
        store: where finished blocks are kept; None keeps nothing.
        tell: told how far it is; without it a bar is shown on a terminal.
        workers: threads; None is one for each core that this process may use.

    Raises:
        PlanError: ``initial`` has another shape.
    """
    seeds = np.arange(seeds) if isinstance(seeds, int) else np.asarray(seeds)
    before = _first(plan, seeds, initial)
    after = np.empty_like(before)
    losses = np.empty((len(seeds), len(plan.telling)))
    kept = 0
    title = f"{plan.units} units, {plan.epochs:,} epochs"
    pool = ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)))
    with Bar(title, len(seeds), tell) as bar:
        try:
            futures: dict[Future[_Block], slice] = {
                pool.submit(_block, plan, seeds[place], before[place], store): place
                for place in _places(len(seeds))
            }
            for future in as_completed(futures):
                place, block = futures[future], future.result()
                after[place], losses[place] = block.after, block.losses
                kept += len(block.after) if block.kept else 0
                bar.advance(len(block.after))
        finally:
            # Interrupted, it waits for the blocks that are begun: they are kept, not lost.
            pool.shutdown(wait=True, cancel_futures=True)
    return Trained(plan, seeds, before, after, losses, kept)


def complete(
    plan: Plan, seeds: range | int, store: Store, *, initial: AnyArray | None = None
) -> bool:
    """Say whether :func:`train` with these arguments would only have to read."""
    numbers = np.arange(seeds) if isinstance(seeds, int) else np.asarray(seeds)
    before = _first(plan, numbers, initial)
    return all(
        store.get(_key(plan, numbers[place], before[place]), _shapes(plan, len(numbers[place])))
        is not None
        for place in _places(len(numbers))
    )


@dataclass(frozen=True, eq=False)
class _Block:
    after: AnyArray
    losses: AnyArray
    kept: bool


def _block(plan: Plan, seeds: AnyArray, before: AnyArray, store: Store | None) -> _Block:
    key = _key(plan, seeds, before)
    found = None if store is None else store.get(key, _shapes(plan, len(seeds)))
    if found is not None:
        return _Block(found["after"], found["losses"], True)
    after, losses = _computed(plan, seeds, before)
    if store is not None:
        store.put(key, {"after": after, "losses": losses})
    return _Block(after, losses, False)


def _first(plan: Plan, seeds: AnyArray, initial: AnyArray | None) -> AnyArray:
    before = glorot(plan.units, seeds) if initial is None else np.asarray(initial)
    if before.shape != (len(seeds), plan.numbers):
        raise PlanError(
            f"the first weights should have shape {(len(seeds), plan.numbers)} for "
            f"{plan.units} units, have {before.shape}."
        )
    return before.astype(np.float32).astype(plan.dtype)


def _places(nets: int) -> list[slice]:
    return [slice(lo, lo + kernel.LANES) for lo in range(0, nets, kernel.LANES)]


def _shapes(plan: Plan, nets: int) -> dict[str, tuple[int, ...]]:
    return {"after": (nets, plan.numbers), "losses": (nets, len(plan.telling))}


def _key(plan: Plan, seeds: AnyArray, before: AnyArray) -> str:
    """Name everything that a block depends on: the plan, the nets, where they start."""
    nets = hashlib.sha256(seeds.astype(np.int64).tobytes() + before.tobytes())
    return hashlib.sha256((plan.key() + nets.hexdigest()).encode()).hexdigest()


def _computed(plan: Plan, seeds: AnyArray, before: AnyArray) -> tuple[AnyArray, AnyArray]:
    number = np.dtype(plan.dtype).type
    w = np.ascontiguousarray(before.T)
    losses = np.empty((len(plan.telling), len(seeds)))
    kernel.train_group(
        w,
        np.zeros_like(w),
        np.zeros_like(w),
        plan.x,
        plan.y,
        seeds.astype(np.int64),
        plan.epochs,
        plan.batch_size,
        plan.shuffle,
        number(np.float32(plan.leak)),
        plan.optimizer.kind,
        plan.optimizer.constants(plan.dtype),
        plan.optimizer.alphas(plan.steps, plan.dtype),
        np.array(plan.telling),
        losses,
    )
    return np.ascontiguousarray(w.T), np.ascontiguousarray(losses.T)


def default_folder() -> Path:
    """Return where blocks are kept if nothing else is said."""
    return Path(platformdirs.user_cache_dir("keras-bridge")) / "ensembles"


class Store:
    """Blocks in a folder; a folder that cannot be written to keeps nothing, and says nothing.

    Args:
        folder: where; made when the first block is put there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = default_folder() if folder is None else folder

    def get(self, key: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, AnyArray] | None:
        """Return the arrays of a block, None if there are none of these names and shapes.

        Nothing is unpickled, and a damaged file counts as none.
        """
        try:
            # numpy leaves a file open that it opened itself and could not read.
            with self._path(key).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                found = {name: kept[name] for name in shapes}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        if any(found[name].shape != shape for name, shape in shapes.items()):
            return None
        return found

    def put(self, key: str, arrays: dict[str, AnyArray]) -> None:
        """Keep the arrays of a block; a reader sees all of them or none."""
        path = self._path(key)
        aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                np.savez(file, **arrays)
            aside.replace(path)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npz"


class Bar:
    """Tells how many of ``total`` nets are trained; use it as a context manager.

    Args:
        title: what is trained.
        total: nets.
        tell: told a sentence now and then instead of showing a bar, where it is given.
    """

    def __init__(self, title: str, total: int, tell: Callable[[str], None] | None = None) -> None:
        self._title, self._total, self._tell = title, total, tell
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, nets: int) -> None:
        """Count ``nets`` more as trained."""
        self._done += nets
        if self._tell is not None:
            self._tell(f"{self._title}: {self._done:,} of {self._total:,} nets")
        elif self._bar is None and sys.stderr.isatty() and self._elapsed() > PATIENCE:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task(self._title, total=self._total, completed=self._done)
            self._bar.start()
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started
