"""Proving a script that was made from a recorded run: run without R, it has to give R's bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bridge.capsule import Capsule
from bridge.compare.bits import SameBits, same_bits
from bridge.process.pool import Limits, Pool
from bridge.process.random_generators import SEED
from bridge.runs.run import run_twin
from bridge.translate.replayed import Replayed, replayed


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
    made = run_twin(pool, recorded.manifest.case, path, generation, limits)
    return Proof(script, made, same_bits(recorded, made))
