"""Exact probes of a recorded run: one process for the settings, and one for every lever."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge.capsule import Capsule, Script, write_capsule
from bridge.exact import LEVER
from bridge.exact.records import WAYS
from bridge.faults.layers import Fault
from bridge.process.pool import Limits, Pool, Warm
from bridge.runs.levers import EXACT_LEVERS, Lever
from bridge.trace.capsule_builder import Origin, assemble


def run_exact(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    limits: Limits,
    levers: Sequence[Lever] = tuple(EXACT_LEVERS.values()),
    *,
    ways: Sequence[str] = WAYS,
    fault: Fault | None = None,
) -> tuple[Capsule, ...]:
    """Probe the models of a recorded run with whole numbers.

    Returns one capsule of all settings, and one for each lever that repeats its models and numbers;
    :func:`bridge.exact.judge_exact` says what they show. A ``fault`` is put into the model
    to see whether it is found.

    Raises:
        PoolError: TensorFlow or Keras cannot be started.
    """
    base = Path(tempfile.mkdtemp(dir=pool.folder))
    params: dict[str, Any] = {"ways": list(ways)}
    if fault is not None:
        params["fault"] = fault.params()
    try:
        write_capsule(recorded, base / "recorded.capsule")
        given = params | {"capsule": str(base / "recorded.capsule")}
        first = _run(pool, Warm(generation), recorded, given, limits, base / "first")
        found = [_under(first, LEVER)]
        if levers and first.manifest.probes:
            write_capsule(found[0], base / "first.capsule")
        for number, lever in enumerate(levers if first.manifest.probes else ()):
            given = params | {"again": str(base / "first.capsule"), "lever": lever.params()}
            made = _run(pool, lever.warm(generation), recorded, given, limits, base / str(number))
            found.append(_under(made, f"{LEVER}: {lever.name}"))
        return tuple(found)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _run(
    pool: Pool, kind: Warm, recorded: Capsule, params: dict[str, Any], limits: Limits, folder: Path
) -> Capsule:
    work = folder / "work"
    work.mkdir(parents=True)
    spool = folder / "spool"
    outcome = pool.run(kind, "exact", params | {"spool": str(spool), "workdir": str(work)}, limits)
    source = recorded.manifest.script or Script(name="", language="r", text="", sha256="")
    origin = Origin("replay", recorded.manifest.case, Path(source.name), source.text, "r",
                    None, (str(folder),))  # fmt: skip
    capsule = assemble(origin, spool, outcome)
    # Read the mapped arrays before the folder that they lie in is removed.
    return Capsule(capsule.manifest, {key: np.array(capsule.arrays[key]) for key in capsule.arrays})


def _under(capsule: Capsule, lever: str) -> Capsule:
    return Capsule(capsule.manifest.model_copy(update={"lever": lever}), capsule.arrays)
