"""Levers: switches of the stack, each pulled in a process of its own.

Environment variables are read when TensorFlow is imported, so a lever with some needs a warm
process that was started with them. Optimiser options and threads are set in the fork, before
anything runs; they would leak into what runs after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.runners.pool import Warm


@dataclass(frozen=True)
class Lever:
    """One switch: variables of the environment, options of the graph optimiser, threads."""

    name: str
    env: tuple[tuple[str, str], ...] = ()
    optimizer: tuple[tuple[str, bool], ...] = ()
    threads: int | None = None

    def warm(self, generation: int) -> Warm:
        """Return the kind of warm process in which the lever can be pulled."""
        return Warm(generation, env=self.env)

    def params(self) -> dict[str, Any]:
        """Return what a job needs to pull the lever, as JSON."""
        return {
            "name": self.name,
            "optimizer": dict(self.optimizer),
            "threads": self.threads,
        }


#: What every exact probe is repeated under.
LEVERS: Final[Mapping[str, Lever]] = {
    lever.name: lever
    for lever in (
        Lever("onednn-off", env=(("TF_ENABLE_ONEDNN_OPTS", "0"),)),
        Lever("remapping-off", optimizer=(("remapping", False),)),
        Lever("one-thread", threads=1),
    )
}


def pull(params: Mapping[str, Any]) -> None:
    """Set what a lever's :meth:`Lever.params` say; call it before TensorFlow runs anything."""
    import tensorflow as tf

    if params.get("threads") is not None:
        tf.config.threading.set_intra_op_parallelism_threads(int(params["threads"]))
        tf.config.threading.set_inter_op_parallelism_threads(int(params["threads"]))
    if params.get("optimizer"):
        tf.config.optimizer.set_experimental_options(dict(params["optimizer"]))
