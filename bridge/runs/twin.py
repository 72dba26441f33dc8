"""Running a Python file in a process that has no R: a twin, or a recorded run as a script."""

from __future__ import annotations

import runpy
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.capsule import Array, Capsule, Probe
from bridge.cases.claims import on_error
from bridge.process.environment import SEED, find_neighbours
from bridge.process.pool import Limits, Pool
from bridge.process.zygote import Context
from bridge.runs.job import begin, finish, ran, run_job
from bridge.runs.levers import Lever, params_for_script, warm_for
from bridge.trace.capsule_builder import Origin
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.recorder import describe_error
from bridge.translate.replayed import Replayed, replayed


def run_twin(
    pool: Pool,
    case: str,
    twin: Path,
    generation: int,
    limits: Limits,
    lever: Lever | None = None,
) -> Capsule:
    """Run the Python equivalent of a script under a lever.

    Raises:
        LeverError: the lever cannot be pulled for a script.
        PoolError: TensorFlow or Keras cannot be started.
    """
    params = params_for_script(lever) | {"script": str(twin.resolve())}
    text = twin.read_text("utf-8", errors="replace")
    origin = Origin("twin", case, twin, text, "python", None, (str(twin.resolve().parent),))
    with run_job(pool, warm_for(lever, generation), twin_job, params, limits) as left:
        return left.capsule(origin, lever)


def twin_job(context: Context, params: dict[str, Any]) -> None:
    """Run ``params["script"]``; if it defines ``twin()``, that is called."""
    path = Path(params["script"])
    spool = begin(context, params, of_script=True)
    Observer(spool, Encoder(spool)).install(context.keras)
    on_error(
        lambda label, error: spool.event("caught", error=describe_error(error) | {"label": label})
    )
    find_neighbours(path)
    sys.argv = [str(path)]

    def script() -> None:
        with warnings.catch_warnings(record=True):
            names = runpy.run_path(str(path), run_name="__twin__")
            twin = names.get("twin")
            if callable(twin):
                twin()

    finish(spool, context, ran(spool, script, lambda error: _line(error, path)))


def _line(error: BaseException, path: Path) -> int | None:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return lines[-1] if lines else getattr(error, "lineno", None)


# A script that was made from a recorded run, and the proof that it gives R's bits without R.


@dataclass(frozen=True)
class SameBits:
    """How many of a run's ``probes`` another run made with the ``same`` bits, and what parts them.

    ``missing`` counts those that the other run did not make.
    """

    probes: int
    same: int
    missing: int
    differences: tuple[str, ...] = ()

    @property
    def all_same(self) -> bool:
        """Whether nothing is missing and nothing differs; true of a run without a probe."""
        return self.same == self.probes


def same_bits(recorded: Capsule, twin: Capsule) -> SameBits:
    """Set the probes of ``twin`` beside those of ``recorded``, in their order."""
    differences: list[str] = []
    same = missing = 0
    rest = list(twin.manifest.probes)
    for probe in recorded.manifest.probes:
        where = f"{probe.kind} at line {probe.line}" if probe.line else probe.kind
        # What the other run left out must not shift what follows.
        place = next((n for n, candidate in enumerate(rest) if _alike(probe, candidate)), None)
        if place is None:
            missing += 1
            differences.append(f"{where}: not made")
            continue
        partner = rest[place]
        del rest[: place + 1]
        found = _difference(recorded, probe, twin, partner)
        same += not found
        differences += [f"{where}: {found}"] if found else []
    return SameBits(len(recorded.manifest.probes), same, missing, tuple(differences))


def _alike(a: Probe, b: Probe) -> bool:
    return a.kind == b.kind and [x.shape for x in a.inputs] == [x.shape for x in b.inputs]


def _difference(recorded: Capsule, a: Probe, twin: Capsule, b: Probe) -> str:
    if len(a.outputs) != len(b.outputs):
        return f"{len(b.outputs)} outputs for {len(a.outputs)}"
    for x, y in zip(a.outputs, b.outputs, strict=True):
        if (x.dtype, x.shape) != (y.dtype, y.shape):
            return f"{y.dtype} {y.shape} for {x.dtype} {x.shape}"
        if not _equal(recorded, x, twin, y):
            return f"other bits in {x.name}"
    if {key: list(map(repr, curve)) for key, curve in a.curves.items()} != {
        key: list(map(repr, curve)) for key, curve in b.curves.items()
    }:
        return "another training history"
    return ""


def _equal(recorded: Capsule, x: Array, twin: Capsule, y: Array) -> bool:
    if x.key is None or y.key is None:
        return False
    return recorded.array(x).tobytes() == twin.array(y).tobytes()


@dataclass(frozen=True)
class Proof:
    """A script made from R's run, the run of it, and what became of R's bits."""

    script: Replayed
    run: Capsule
    bits: SameBits

    @property
    def holds(self) -> bool:
        """Whether the script came to the same end as R's did, with the same bits."""
        return self.bits.all_same


def script_of(recorded: Capsule, stem: str = "replay") -> Replayed:
    """Write R's run as a script that starts from the same seeds."""
    return replayed(recorded, SEED, stem)


def prove(pool: Pool, recorded: Capsule, path: Path, limits: Limits) -> Proof:
    """Write R's run as the script ``path``, run it in a process without R, and compare the bits.

    Raises:
        PoolError: TensorFlow or Keras cannot be started.
    """
    script = script_of(recorded, path.stem)
    script.save(path)
    generation = 2 if recorded.manifest.environment.keras.startswith("tf_keras") else 3
    twin = run_twin(pool, recorded.manifest.case, path, generation, limits)
    return Proof(script, twin, same_bits(recorded, twin))
