"""Writes zoo/*.capsule: faults that need other hardware, put in here on purpose.

Each script is recorded on this machine, and its predictions are made once more with a fault put
in. The capsule then stands for the machine that ``recordings.toml`` names; a note in it says that
it was made here. Run it with ``python recordings/make.py``.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from bridge.capsule import Capsule, Probe, write_capsule
from bridge.faults.layers import Fault
from bridge.process.pool import Limits, Pool, Warm
from bridge.r.script import inspect, serve
from bridge.runs.r import run_r, warm_for_r
from bridge.runs.rerun import rerun

HERE = Path(__file__).parent


def main() -> int:
    """Write every recording; return how many could not be made."""
    for old in (HERE / "zoo").glob("*.capsule"):
        old.unlink()
    told = tomllib.loads((HERE / "recordings.toml").read_text("utf-8"))
    entries = told["recording"]
    scripts = sorted({HERE / "scripts" / each["script"] for each in entries})
    installed, inspections = inspect(scripts)
    made: dict[str, tuple[Capsule, int]] = {}
    failed = 0
    with Pool() as pool:
        for script, inspection in zip(scripts, inspections, strict=True):
            by = serve(inspection.package, "standin", installed)
            pool.warm(warm_for_r(inspection, by), Warm(inspection.generation))
            run = run_r(pool, script.stem, script, inspection, by, Limits())
            made[script.name] = run, inspection.generation
        for entry in entries:
            run, generation = made[entry["script"]]
            fault = Fault(**{"layer": "", **entry["fault"]})
            faulty = rerun(pool, run, generation, Limits(), fault=fault)
            why = [note for probe in faulty.manifest.probes for note in probe.notes]
            path = HERE / "zoo" / f"{entry['name']}.capsule"
            if not shows(run, faulty):
                print(f"{entry['name']}: the fault does not show. {'; '.join(why)}")
                failed += 1
                continue
            write_capsule(as_if(run, faulty, entry, told["machines"][entry["machine"]]), path)
            print(f"{path.name}: {path.stat().st_size:,} bytes")
    return failed


def shows(run: Capsule, faulty: Capsule) -> bool:
    """Say whether every prediction was made again, and one has other bits."""
    changed = False
    for one, other in zip(run.manifest.probes, faulty.manifest.probes, strict=True):
        if len(one.outputs) != len(other.outputs):
            return False
        pairs = zip(one.outputs, other.outputs, strict=True)
        changed |= any(run.array(a).tobytes() != faulty.array(b).tobytes() for a, b in pairs)
    return changed


def as_if(run: Capsule, faulty: Capsule, entry: dict[str, Any], machine: dict[str, Any]) -> Capsule:
    """Return the faulty predictions as R's run on another machine, and a note that it is none."""
    here = run.manifest.environment
    packages = {**here.packages, **machine.get("packages", {})}
    tuples: dict[str, Any] = {
        key: tuple(machine[key]) for key in ("devices", "cpu_flags") if key in machine
    }
    names: dict[str, Any] = {key: machine[key] for key in ("system", "machine") if key in machine}
    environment = here.model_copy(update={**names, **tuples, "packages": packages})
    thread = f" Such a fault was reported in {entry['thread']}." if "thread" in entry else ""
    note = (
        f"Not recorded on the hardware: {entry['says']} This was put in on purpose on Linux, on "
        f"the CPU; system, devices and packages are those of a machine that does it.{thread}"
    )
    accelerated = "GPU" in machine["devices"]
    # The graph is the one that was executed without the fault: a wrong kernel is not listed in it.
    listed = (
        made.model_copy(update={"executed": own.executed})
        for made, own in zip(faulty.manifest.probes, run.manifest.probes, strict=True)
    )
    probes = tuple(on_gpu(each) if accelerated else each for each in listed)
    manifest = faulty.manifest.model_copy(
        update={
            "probes": probes,
            "runner": "r",
            "lever": None,
            "case": entry["name"],
            "environment": environment,
            "notes": (note,),
            "seconds": 0.0,
            "peak_bytes": 0,
        }
    )
    keys = manifest.array_keys()
    return Capsule(manifest, {key: faulty.arrays[key] for key in keys if key in faulty.arrays})


def on_gpu(probe: Probe) -> Probe:
    """Return the probe as executed by a GPU."""
    if probe.executed is None:
        return probe
    ops = tuple(
        op.model_copy(update={"device": op.device.replace("CPU", "GPU")})
        for op in probe.executed.ops
    )
    return probe.model_copy(update={"executed": probe.executed.model_copy(update={"ops": ops})})


if __name__ == "__main__":
    sys.exit(main())
