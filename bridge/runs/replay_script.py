"""A script made from a recorded run, and the proof that it gives R's bits without R."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bridge.capsule import Array, Capsule, Probe
from bridge.facts.keras import generation_of
from bridge.process.job_setup import SEED
from bridge.process.pool import Limits, Pool
from bridge.runs.twin import run_twin
from bridge.translate.replayed import Replayed, replayed


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


def same_bits(recorded: Capsule, made: Capsule) -> SameBits:
    """Set the probes of ``made`` beside those of ``recorded``, in their order."""
    differences: list[str] = []
    same = missing = 0
    rest = list(made.manifest.probes)
    for probe in recorded.manifest.probes:
        where = f"{probe.kind} at line {probe.line}" if probe.line else probe.kind
        # What the other run left out must not shift what follows.
        place = next((n for n, each in enumerate(rest) if _alike(probe, each)), None)
        if place is None:
            missing += 1
            differences.append(f"{where}: not made")
            continue
        other = rest[place]
        del rest[: place + 1]
        found = _difference(recorded, probe, made, other)
        same += not found
        differences += [f"{where}: {found}"] if found else []
    return SameBits(len(recorded.manifest.probes), same, missing, tuple(differences))


def _alike(a: Probe, b: Probe) -> bool:
    return a.kind == b.kind and [x.shape for x in a.inputs] == [x.shape for x in b.inputs]


def _difference(recorded: Capsule, a: Probe, made: Capsule, b: Probe) -> str:
    if len(a.outputs) != len(b.outputs):
        return f"{len(b.outputs)} outputs for {len(a.outputs)}"
    for x, y in zip(a.outputs, b.outputs, strict=True):
        if (x.dtype, x.shape) != (y.dtype, y.shape):
            return f"{y.dtype} {y.shape} for {x.dtype} {x.shape}"
        if not _equal(recorded, x, made, y):
            return f"other bits in {x.name}"
    if {key: list(map(repr, each)) for key, each in a.curves.items()} != {
        key: list(map(repr, each)) for key, each in b.curves.items()
    }:
        return "another training history"
    return ""


def _equal(recorded: Capsule, x: Array, made: Capsule, y: Array) -> bool:
    if x.key is None or y.key is None:
        return False
    return recorded.array(x).tobytes() == made.array(y).tobytes()


# Proving a script that was made from a recorded run: run without R, it has to give R's bits.


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
    generation = 2 if generation_of(recorded.manifest.environment.keras) == 2 else 3
    made = run_twin(pool, recorded.manifest.case, path, generation, limits)
    return Proof(script, made, same_bits(recorded, made))
