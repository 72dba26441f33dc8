"""Measuring the kernels of activations on the installation at hand."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import platformdirs

from bridge.capsule import Capsule, Environment, KernelErrors
from bridge.process.environment import describe_environment
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.rounding.measurements import Installation, Kernels, installation_of
from bridge.rounding.rules.activation_models import BINADES, is_measured, measured_kernels
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format
from bridge.runs.activation_kernels import (
    Array,
    Bits,
    Subject,
    Table,
    modes_of,
    row_of,
    runs,
    short_mode,
    subjects,
    summarize,
    ulps_of,
)
from bridge.runs.job import begin, run_job
from bridge.trace.encoder import Data

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


def with_kernels(pool: Pool, made: Capsule, warm: Warm, cache: Path | None = None) -> Capsule:
    """Return a run with the errors of the kernels that it used, where the file has none.

    Args:
        pool: where they are measured.
        made: the run.
        warm: the kind of process in which the run was made.
        cache: where measurements are kept; the user's if None.
    """
    here = installation_of(made.manifest.environment)
    wanted = measured_kernels(made.manifest.states)
    if not made.manifest.probes or not missing(wanted, here):
        return made
    kernels = _kept_or_measured(wanted, here, cache, lambda left: _measured(pool, warm, left, here))
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
    return Kernels(
        here,
        _kept_or_measured(
            wanted,
            here,
            cache,
            lambda left: [found for each in left if (found := measure(*each)) is not None],
        ),
    )


def _kept_or_measured(
    wanted: Iterable[Wanted],
    here: Installation,
    cache: Path | None,
    measure: Callable[[list[Wanted]], list[KernelErrors]],
) -> tuple[KernelErrors, ...]:
    names = missing(wanted, here)
    store = Store(here, default_folder() if cache is None else cache)
    known = {(each.activation, each.dtype): each for each in store.read()}
    if left := [each for each in names if each not in known]:
        fresh = measure(left)
        known |= {(each.activation, each.dtype): each for each in fresh}
        store.add(fresh)
    return tuple(known[each] for each in names if each in known)


def missing(wanted: Iterable[Wanted], here: Installation) -> tuple[Wanted, ...]:
    """Return those kernels of which the file says nothing for an installation.

    Those in float32 come first: where oneDNN is held down below what the processor has, a product
    in bfloat16 ends the process, and what was measured by then is kept.
    """
    types = list(FORMATS)
    found = (each for each in wanted if not is_measured(*each, Kernels(here)))
    return tuple(sorted(found, key=lambda each: types.index(each[1])))


def _measured(
    pool: Pool, warm: Warm, wanted: list[Wanted], here: Installation
) -> list[KernelErrors]:
    """Measure in a process as that of the run; nothing if it turns out to be another one."""
    kind, limits = Warm(warm.generation, env=warm.env), Limits(seconds=_SECONDS)
    params = {"kernels": [list(each) for each in wanted]}
    with run_job(pool, kind, kernels_job, params, limits) as left:
        environments = (
            Environment.model_validate(event["environment"], strict=False)
            for event in left.named("environment")
        )
        if any(installation_of(each) != here for each in environments):
            return []
        return [
            KernelErrors.model_validate(event["found"], strict=False)
            for event in left.named("kernel")
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
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # A name of its own: several threads of a check may measure at the same time.
            number, name = tempfile.mkstemp(".tmp", self._path.name, self._path.parent)
            aside = Path(name)
            try:
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    file.write(text)
                aside.replace(self._path)
            finally:
                aside.unlink(missing_ok=True)


# Measures activation kernels in a process of the run's kind, in seconds.

#: Elements of one call.
_CHUNK: Final = 1 << 17


def kernels_job(context: Context, params: dict[str, Any]) -> None:
    """Write a ``kernel`` event for each of ``params["kernels"]`` that exists."""
    one_thread()
    spool = begin(context, params)
    spool.event("environment", environment=describe_environment())
    for name, dtype in params["kernels"]:
        found = measure_here(name, dtype)
        if found is not None:
            spool.event("kernel", found=found.model_dump(mode="json"))
    spool.event("end")


def one_thread() -> None:
    """Keep TensorFlow to one thread, if it has not started any: oneDNN asks all for each call.

    Which kernel runs does not depend on it, and calls of seven elements take less time.
    """
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def measure_here(name: str, dtype: str) -> KernelErrors | None:
    """Measure an activation in a type in this process; None if it has no kernel for the type."""
    import tensorflow as tf

    try:
        found = measure(_subjects()[name], FORMATS[dtype])
    except (tf.errors.OpError, TypeError, ValueError):
        return None
    return KernelErrors.model_validate(found, strict=False)


def installation_here() -> Installation:
    """Return the installation that this process runs on."""
    found = Environment.model_validate(describe_environment(), strict=False)
    return installation_of(found)


@lru_cache(maxsize=1)
def _subjects() -> dict[str, Subject]:
    return subjects()


def measure(subject: Subject, fmt: Format) -> Data:
    """Return the largest errors of an activation's kernels in a type, over all ways to them."""
    table = Table()
    modes = modes_of(subject, scalar=False, fmt=fmt, size=_CHUNK if fmt.name == FLOAT32.name
                     else numbers(fmt).size)  # fmt: skip
    plain = subject.keras2 or subject.keras3
    assert plain is not None
    modes["short"] = short_mode(plain, fmt)
    for bits in chunks(fmt):
        x = bits.view(fmt.dtype)
        true = subject.form(x.astype(np.float64))
        rows = row_of(true)
        seen: list[Array] = []
        for mode in modes.values():
            y = np.ascontiguousarray(mode(x))
            raw = y.view(bits.dtype)
            if not any(np.array_equal(raw, other) for other in seen):
                seen.append(raw)
                table.take(summarize(bits, true, rows, y, fmt))
    ulps = ulps_of(table, fmt)
    there = table.seen.reshape(2, BINADES)
    return {
        "activation": subject.name,
        "dtype": fmt.name,
        "exhaustive": fmt.name != FLOAT32.name,
        "positive": runs(ulps[0], there[0]),
        "negative": runs(ulps[1], there[1]),
    }


def chunks(fmt: Format) -> Iterator[Bits]:
    """Yield the inputs as bits, as many at a time as one call takes."""
    if fmt.name != FLOAT32.name:
        yield numbers(fmt)
        return
    everything = np.concatenate((ends(), sample()))
    for start in range(0, everything.size, _CHUNK):
        part = everything[start : start + _CHUNK]
        yield np.concatenate((part, np.repeat(part[-1:], _CHUNK - part.size)))


def numbers(fmt: Format) -> Bits:
    """Return all finite numbers of a short type."""
    sign = 1 << (8 * fmt.dtype.itemsize - 1)
    finite = int(np.array([np.inf], fmt.dtype).view(f"u{fmt.dtype.itemsize}")[0])
    both = (np.arange(finite), np.arange(sign, sign + finite))
    bits: Bits = np.concatenate(both).astype(f"u{fmt.dtype.itemsize}")
    return bits


def ends() -> Bits:
    """Return float32 numbers on both sides of zero, of every power of two and of the range."""
    near = np.arange(-8, 9)
    powers = (np.arange(256) << 23)[:, None] + near
    found = np.unique(np.clip(powers, 0, 0x7F7FFFFF)).astype(np.uint32)
    return np.concatenate((found, found | np.uint32(1 << 31)))


@lru_cache(maxsize=1)
def sample() -> Bits:
    """Return 4,096 float32 significands of each exponent: evenly spread, the ends among them."""
    spread = np.arange(4096, dtype=np.uint32) << np.uint32(11)
    low = np.random.default_rng(1).integers(0, 2048, (255, 4096), dtype=np.uint32)
    low[:, 0] = 0
    low[:, -1] = 2047
    finite = (np.arange(255, dtype=np.uint32)[:, None] << np.uint32(23)) | (spread + low)
    both: Bits = np.concatenate((finite.ravel(), finite.ravel() | np.uint32(1 << 31)))
    return both
