"""The runners as functions: each runs one thing once and returns its capsule."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import (
    Capsule,
    FrontEnd,
    LayerOutput,
    Manifest,
    Script,
    write_capsule,
)
from bridge.process.pool import Limits, Pool, Warm
from bridge.r.script import Inspection, Served
from bridge.runs.activation_measurement import with_kernels
from bridge.runs.levers import Lever, LeverError
from bridge.runs.model_rebuild import is_prediction
from bridge.trace.capsule_builder import Origin, assemble
from bridge.trace.spool import SpoolArrays, read_events

#: Files beside a script are at its hand up to this many bytes together.
_BESIDE_BYTES: Final = 64 * 2**20


@contextmanager
def folders(pool: Pool) -> Iterator[tuple[Path, Path]]:
    """Yield a fresh spool folder and a fresh working folder, and remove them afterwards."""
    base = Path(tempfile.mkdtemp(dir=pool.folder))
    work = base / "work"
    work.mkdir()
    try:
        yield base / "spool", work
    finally:
        shutil.rmtree(base, ignore_errors=True)


_folders = folders


def lay_beside(script: Path, work: Path) -> None:
    """Copy the files beside a script into its working folder: it may read, and spoil, copies."""
    left = _BESIDE_BYTES
    for path in sorted(script.resolve().parent.iterdir()):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= left:
            left -= path.stat().st_size
            shutil.copyfile(path, work / path.name)


def warm_for_r(inspection: Inspection, served: Served, lever: Lever | None = None) -> Warm:
    """Return the kind of warm process in which a script runs, under a lever.

    Raises:
        LeverError: the lever cannot be pulled in this generation of Keras.
    """
    env = () if lever is None else lever.environment(inspection.generation)
    return Warm(inspection.generation, True, served.libraries, served.preload, env)


def run_r(
    pool: Pool,
    case: str,
    script: Path,
    inspection: Inspection,
    served: Served,
    limits: Limits,
    lever: Lever | None = None,
) -> Capsule:
    """Run an R script, unmodified, under a lever.

    Raises:
        LeverError: the lever cannot be pulled for a script.
        PoolError: R, TensorFlow or Keras cannot be started.
    """
    pulled = _params(lever)
    with folders(pool) as (spool, work):
        lay_beside(script, work)
        params = {"script": str(script.resolve()), "spool": str(spool), "workdir": str(work)}
        warm = warm_for_r(inspection, served, lever)
        outcome = pool.run(warm, "r", params | pulled, limits)
        private = (str(spool), str(work), str(script.resolve().parent), *served.libraries)
        origin = Origin("r", case, script, inspection.text, "r", served.frontend, private)
        return in_memory(_under(lever, assemble(origin, spool, outcome)))


def run_twin(
    pool: Pool,
    case: str,
    twin: Path,
    generation: int,
    limits: Limits,
    lever: Lever | None = None,
) -> Capsule:
    """Run the Python equivalent, in a process without R, under a lever.

    Raises:
        LeverError: the lever cannot be pulled for a script.
        PoolError: TensorFlow or Keras cannot be started.
    """
    pulled = _params(lever)
    with folders(pool) as (spool, work):
        params = {"script": str(twin.resolve()), "spool": str(spool), "workdir": str(work)}
        outcome = pool.run(_warm(lever, generation), "twin", params | pulled, limits)
        private = (str(spool), str(work), str(twin.resolve().parent))
        origin = Origin(
            "twin", case, twin, twin.read_text("utf-8", errors="replace"), "python", None, private
        )
        return in_memory(_under(lever, assemble(origin, spool, outcome)))


def run_replay(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    limits: Limits,
    lever: Lever | None = None,
) -> Capsule:
    """Make the recorded boundary calls again, in a process without R, under a lever.

    Raises:
        LeverError: the lever cannot be pulled for a script.
        PoolError: TensorFlow or Keras cannot be started.
    """
    pulled = _params(lever)
    source = recorded.manifest.script or Script(name="", language="r", text="", sha256="")
    with folders(pool) as (spool, work):
        capsule = work.parent / "recorded.capsule"
        write_capsule(recorded, capsule)
        params = {"capsule": str(capsule), "spool": str(spool), "workdir": str(work)}
        outcome = pool.run(_warm(lever, generation), "replay", params | pulled, limits)
        private = (str(spool), str(work))
        origin = Origin(
            "replay", recorded.manifest.case, Path(source.name), source.text, "r", None, private
        )
        return in_memory(_under(lever, assemble(origin, spool, outcome)))


def _params(lever: Lever | None) -> dict[str, Any]:
    """Return what a job is told of a lever that is pulled for a script."""
    if lever is None:
        return {}
    if lever.of_models:
        raise LeverError(
            f"The lever {lever.name!r} is for recorded models: a script decides by itself how it "
            "calls them. Record it, and use 'keras-bridge replay FILE --lever "
            f"{lever.name}'."
        )
    return {"lever": lever.params()}


def _warm(lever: Lever | None, generation: int) -> Warm:
    return Warm(generation) if lever is None else lever.warm(generation)


def _under(lever: Lever | None, capsule: Capsule) -> Capsule:
    """Name the lever in the capsule."""
    if lever is None:
        return capsule
    return Capsule(capsule.manifest.model_copy(update={"lever": lever.name}), capsule.arrays)


def look(pool: Pool, recorded: Capsule, generation: int, limits: Limits) -> Capsule:
    """Return the capsule with what every layer received and made; the run is left untouched."""
    with folders(pool) as (spool, work), folders(pool) as (_, measured):
        path = work.parent / "recorded.capsule"
        write_capsule(recorded, path)
        params = {"capsule": str(path), "spool": str(spool), "workdir": str(work)}
        outcome = pool.run(Warm(generation), "look", params | {"seconds": limits.seconds}, limits)
        events = list(read_events(spool))
        arrays = {f"l{key}": value for key, value in SpoolArrays(spool, iter(events)).items()}
        seen = {event["probe"]: event["layers"] for event in events if event["e"] == "layers"}
        unseen = {event["probe"]: event["text"] for event in events if event["e"] == "unseen"}
        for event in events:
            if event["e"] == "perturbed":
                seen[event["probe"]][event["place"]] |= event["found"]
        if not any(event["e"] == "end" for event in events):
            ended = (
                f"looking came to no end ({outcome.status}, after {outcome.seconds:.0f} seconds)"
            )
            missing = {probe.index for probe in recorded.manifest.probes if is_prediction(probe)}
            unseen |= dict.fromkeys(missing - set(seen) - set(unseen), ended)
        looked = in_memory(_with_layers(recorded, seen, unseen, arrays))
        return with_kernels(pool, looked, Warm(generation), measured)


def not_run(case: str, script: Path, inspection: Inspection, frontend: FrontEnd) -> Capsule:
    """Return the capsule of a script that was not run: it does not parse, or we failed."""
    origin = Origin("r", case, script, inspection.text, "r", frontend)
    manifest = Manifest.model_validate(
        {
            "runner": "r",
            "case": case,
            "status": inspection.problem or "not-run",
            "error": inspection.error,
            "frontend": frontend,
            "script": {
                "name": origin.script.name,
                "language": "r",
                "text": inspection.text,
                "sha256": "",
            },
        }
    )
    return Capsule(manifest, {})


def _with_layers(
    recorded: Capsule,
    seen: Mapping[int, Any],
    unseen: Mapping[int, str],
    arrays: Mapping[str, AnyArray],
) -> Capsule:
    def own_key(array: dict[str, Any]) -> dict[str, Any]:
        return array | {"key": f"l{array['key']}" if array["key"] else None}

    def output(layer: dict[str, Any]) -> LayerOutput:
        own = {side: [own_key(array) for array in layer[side]] for side in ("inputs", "outputs")}
        spread = layer.get("perturbed")
        if spread:
            own["perturbed"] = spread | {key: own_key(spread[key]) for key in ("exact", "scale")}
        return LayerOutput.model_validate(layer | own)

    probes = []
    for probe in recorded.manifest.probes:
        layers = tuple(output(layer) for layer in seen.get(probe.index, ()))
        why = unseen.get(probe.index)
        notes = (*probe.notes, f"layers not seen: {why}") if why else probe.notes
        probes.append(probe.model_copy(update={"layers": layers, "notes": notes}))
    manifest = recorded.manifest.model_copy(update={"probes": tuple(probes)})
    return Capsule(manifest, {**recorded.arrays, **arrays})


def in_memory(capsule: Capsule) -> Capsule:
    """Read the mapped arrays before the folder that they lie in is removed."""
    return Capsule(capsule.manifest, {key: np.array(capsule.arrays[key]) for key in capsule.arrays})
