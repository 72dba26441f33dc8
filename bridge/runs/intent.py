"""The intent runner: the Python that R's own text says, run, as a capsule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bridge.capsule import Capsule, write_capsule
from bridge.explain.intent_diff.attribution import Undo
from bridge.process.pool import Limits, Pool, Warm
from bridge.r.script import Inspection, inspect
from bridge.runs.run import folders, in_memory, lay_beside
from bridge.trace.capsule_builder import Origin, assemble
from bridge.translate.text import translate
from bridge.translate.writing import Gap, Translation


def intended(
    script: Path, inspection: Inspection, as_r: frozenset[tuple[str, int]] = frozenset()
) -> Translation:
    """Translate a script that was inspected; ``as_r`` is what is taken as R has it."""
    return translate(
        inspection.tree,
        script=script.name,
        package=inspection.package,
        generation=inspection.generation,
        as_r=as_r,
    )


def translated(script: Path) -> Translation:
    """Translate the text of a script; one that R cannot read is one gap.

    Raises:
        NoRError: R cannot be run.
        OSError: the script cannot be read.
    """
    _, (inspection,) = inspect([script])
    if inspection.problem and inspection.error is not None:
        gap = Gap(inspection.error.line or 1, inspection.error.message, script.name)
        return Translation(f"# GAP {' '.join(gap.sentence.split())}\n", (0,), (gap,))
    return intended(script, inspection)


def run_intent(
    pool: Pool,
    case: str,
    script: Path,
    inspection: Inspection,
    recorded: Capsule,
    limits: Limits,
    undo: Undo | None = None,
) -> Capsule:
    """Run what the text means; what R drew at random is taken from its recorded run.

    ``undo`` is what is taken as R has it, to see whether that is why they part.

    Raises:
        PoolError: TensorFlow or Keras cannot be started.
    """
    undo = undo or Undo()
    translation = intended(script, inspection, undo.as_r)
    with folders(pool) as (spool, work):
        lay_beside(script, work)
        base = work.parent
        source = base / f"{script.stem}.py"
        source.write_text(translation.text, "utf-8")
        arrays: dict[str, Any] = {}
        names = []
        for number, draw in enumerate(recorded.manifest.draws):
            key = ""
            if draw.array is not None and draw.array.key is not None:
                key = f"draw{number}"
                arrays[key] = recorded.array(draw.array)
            names.append((draw.name, key, list(draw.strings)))
        np.savez(base / "draws.npz", **arrays)
        about = {
            "lines": translation.lines,
            "tops": translation.tops,
            "last_first": translation.last_first,
            "datasets": inspection.datasets,
            "draws": names,
            "readings": [each.model_dump() for each in translation.readings],
            "as_r": sorted(undo.as_r),
            "given": [
                (call, key, None if value is None else value.model_dump(mode="json"))
                for call, key, value in undo.arguments
            ],
        }
        if any(value is not None for _, _, value in undo.arguments):
            about["recorded"] = str(base / "recorded.capsule")
            write_capsule(recorded, base / "recorded.capsule")
        (base / "about.json").write_text(json.dumps(about), "utf-8")
        params = {
            "script": str(source),
            "about": str(base / "about.json"),
            "draws": str(base / "draws.npz"),
            "spool": str(spool),
            "workdir": str(work),
        }
        outcome = pool.run(Warm(inspection.generation), "intent", params, limits)
        private = (str(spool), str(work), str(base), str(script.resolve().parent))
        origin = Origin("intent", case, source, translation.text, "python", None, private)
        return in_memory(assemble(origin, spool, outcome))
