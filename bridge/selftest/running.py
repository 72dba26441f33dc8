"""Running the self-test: models, faults, searches for their causes, and runs without a fault."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bridge.errors import BridgeError
from bridge.process.pool import Limits, Pool
from bridge.selftest.generation_run import Half
from bridge.selftest.score import Selftest

#: The generations of Keras, and the packages that they are in.
_PACKAGES: Final = {2: "tf_keras", 3: "keras"}

Progress = Callable[[str], None]


class SelftestError(BridgeError, RuntimeError):
    """Nothing can be run; the message says what to do."""


def generations() -> tuple[int, ...]:
    """Return the generations of Keras that are installed."""
    return tuple(g for g, name in _PACKAGES.items() if importlib.util.find_spec(name))


def run(
    faults: int = 100,
    seed: int = 1,
    *,
    limits: Limits | None = None,
    progress: Progress = lambda _text: None,
    pool: Pool | None = None,
) -> Selftest:
    """Put faults into models of this installation and see what is said of them.

    Args:
        faults: how many, in all installed generations of Keras together.
        seed: from which models, faults and places are drawn.
        limits: of every process.
        progress: is told what is done.
        pool: warm processes of the caller's to run in, which are left running.

    Raises:
        SelftestError: there is no Keras.
        PoolError: TensorFlow or Keras cannot be started.
    """
    begun = time.monotonic()
    installed = generations()
    if not installed:
        raise SelftestError(
            "There is no Keras to test: run 'keras-bridge doctor' to see how to install it."
        )
    limits = limits or Limits(seconds=600.0)
    halves = _shares(faults, len(installed))
    with ExitStack() as stack:
        pool = pool or stack.enter_context(Pool())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=pool.folder)))
        threads = stack.enter_context(ThreadPoolExecutor(len(installed)))
        running = [
            threads.submit(
                Half(pool, generation, seed, limits, _named(progress, generation)).run,
                folder,
                count,
            )
            for generation, count in zip(installed, halves, strict=True)
            if count
        ]
        done = [each.result() for each in running]
    return Selftest(
        trials=tuple(trial for each in done for trial in each.trials),
        benign=tuple(benign for each in done for benign in each.benign),
        redrawn=sum(each.redrawn for each in done),
        seconds=time.monotonic() - begun,
        notes=tuple(note for each in done for note in each.notes),
    )


def _shares(faults: int, parts: int) -> Sequence[int]:
    return [faults // parts + (place < faults % parts) for place in range(parts)]


def _named(progress: Progress, generation: int) -> Progress:
    return lambda text: progress(f"Keras {generation}: {text}")
