"""Recorded models run again: the recorded predictions, under a lever or with a fault put in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, Manifest, Probe, Script, write_capsule
from bridge.faults.layers import Fault
from bridge.process.pool import Limits, Pool, Warm
from bridge.runs.activation_measurement import with_kernels
from bridge.runs.float64_rerun import widen
from bridge.runs.levers import Lever
from bridge.trace.capsule_builder import Origin, assemble
from bridge.trace.spool import Event, SpoolArrays, read_events

#: What the keys of arrays begin with that were made when models were run again.
_PREFIX = "n"


def rerun(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    limits: Limits,
    *,
    lever: Lever | None = None,
    fault: Fault | Mapping[int, Fault] | None = None,
    probes: Collection[int] | None = None,
    look: bool = True,
) -> Capsule:
    """Build the recorded models again and make the recorded predictions, in one fresh process.

    Args:
        pool: starts the process.
        recorded: the run; its states, and the inputs of its probes, are what is needed of it.
        generation: the Keras that the models are built with, 2 or 3.
        limits: of the process.
        lever: the switch that is pulled before anything runs.
        fault: the defect that is put in; or one for each of some probes, by the probe's index.
            No two of those may be of one state.
        probes: the indices of the probes that are made again; None is all.
        look: whether the layers are looked into.

    Returns:
        A capsule of runner ``replay`` whose ``lever`` names lever and fault. Its probes have the
        index, label and inputs of the recorded ones, and are of the same states; under a lever
        that changes the float type the states and inputs are those that were run. A probe that
        raised has a note ``raised <class>``, one that cannot be run ``not run: <why>``; neither
        has outputs. With neither lever nor fault, a probe that does not make the recorded bits
        says so in a note.

    Raises:
        LeverError: the lever needs another generation of Keras.
        PoolError: TensorFlow or Keras cannot be started.
    """
    given = widen(recorded) if lever is not None and lever.dtype == "float64" else recorded
    warm = lever.warm(generation) if lever is not None else Warm(generation)
    with _folder(pool) as base:
        write_capsule(_needed(given), base / "recorded.capsule")
        (base / "work").mkdir()
        params: dict[str, Any] = {
            "capsule": str(base / "recorded.capsule"),
            "spool": str(base / "spool"),
            "workdir": str(base / "work"),
            "look": look,
            "seconds": limits.seconds,
            "probes": None if probes is None else sorted(probes),
            "lever": lever.params() if lever is not None else {},
            "fault": fault.params() if isinstance(fault, Fault) else {},
            "faults": {}
            if fault is None or isinstance(fault, Fault)
            else {str(index): each.params() for index, each in fault.items()},
        }
        outcome = pool.run(warm, "rerun", params, limits)
        source = recorded.manifest.script or Script(name="", language="r", text="", sha256="")
        name = Path(source.name)
        origin = Origin("replay", recorded.manifest.case, name, source.text, source.language,
                        None, (str(base),))  # fmt: skip
        made = assemble(origin, base / "spool", outcome)
        events = list(read_events(base / "spool"))
        arrays = SpoolArrays(base / "spool", iter(events))
        capsule = Capsule(made.manifest, arrays)
        again = _joined(given, capsule, events, _called(lever, fault), probes)
        (base / "kernels").mkdir()
        return with_kernels(pool, again, warm, base / "kernels") if look else again


@contextmanager
def _folder(pool: Pool) -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(dir=pool.folder))
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _needed(recorded: Capsule) -> Capsule:
    """Leave out what models and their predictions do not need: layers, plots, other calls."""
    manifest = recorded.manifest
    probes = tuple(each.model_copy(update={"layers": ()}) for each in manifest.probes)
    predicting = {each.call for each in probes}
    calls = tuple(each for each in manifest.calls if each.id in predicting)
    changed = {"probes": probes, "calls": calls, "plots": (), "output": ()}
    return _with_own_arrays(manifest.model_copy(update=changed), recorded.arrays)


def _called(lever: Lever | None, fault: Fault | Mapping[int, Fault] | None) -> str | None:
    """Name what is unlike the recorded run; None if nothing is."""
    names = [lever.name] if lever is not None else []
    if fault is not None and not isinstance(fault, Fault):
        names += [f"{len(fault)} faults"] if fault else []
    elif fault is not None:
        names.append(" in ".join(part for part in (fault.kind, fault.layer) if part))
    return " + ".join(names) or None


def _joined(
    recorded: Capsule,
    made: Capsule,
    events: list[Event],
    lever: str | None,
    asked: Collection[int] | None,
) -> Capsule:
    """Put what was made beside the recorded models and inputs."""
    by_index = {probe.index: probe for probe in made.manifest.probes}
    found = {(e["probe"], e["place"]): e["found"] for e in events if e["e"] == "perturbed"}
    probes = []
    for probe in recorded.manifest.probes:
        if asked is not None and probe.index not in asked:
            continue
        again = by_index.get(probe.index)
        data = again.model_dump(mode="json") if again is not None else _unmade(probe, made.manifest)
        for place, layer in enumerate(data["layers"]):
            layer |= found.get((probe.index, place), {})
        own = Probe.model_validate(_prefixed(data))
        probes.append(own.model_copy(update={"inputs": probe.inputs, "line": probe.line}))
    manifest = made.manifest.model_copy(
        update={
            "lever": lever,
            "states": recorded.manifest.states,
            "probes": tuple(probes),
            "script": recorded.manifest.script,
            "frontend": recorded.manifest.frontend,
        }
    )
    arrays = {f"{_PREFIX}{key}": made.arrays[key] for key in made.arrays}
    return _with_own_arrays(manifest, {**recorded.arrays, **arrays})


def _unmade(probe: Probe, manifest: Manifest) -> dict[str, Any]:
    """Return a probe that the process did not come to."""
    why = manifest.error.message if manifest.error is not None else manifest.status
    kept = probe.model_dump(mode="json", include={"index", "label", "kind", "state", "eager"})
    return kept | {"layers": [], "notes": [f"not run: the process ended before ({why})"]}


def _prefixed(item: Any) -> Any:
    """Return data with the prefix before the key of every array."""
    if isinstance(item, dict):
        found = {key: _prefixed(value) for key, value in item.items()}
        if isinstance(found.get("key"), str) and "dtype" in found:
            found["key"] = f"{_PREFIX}{found['key']}"
        return found
    return [_prefixed(each) for each in item] if isinstance(item, (list, tuple)) else item


def _with_own_arrays(manifest: Manifest, arrays: Any) -> Capsule:
    """Return a capsule with the arrays that its manifest speaks of, in memory."""
    wanted = sorted(manifest.array_keys())
    own: dict[str, AnyArray] = {key: np.array(arrays[key]) for key in wanted if key in arrays}
    return Capsule(manifest, own)
