"""The table of the processors and instruction sets under which the ladder was tried."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from benchmarks.trust.faults import STRUCTURAL
from benchmarks.trust.measure import LADDER, Counts, Tally
from bridge.process.environment import cpu_flags, cpu_model, onednn_by_default
from bridge.runs.levers import LEVERS, isa_levers

#: What was measured, a row for each processor, version and instruction set.
ROWS: Final = Path(__file__).with_name("processors.json")
_TITLE: Final = "## Processors and instruction sets"
_KEY: Final = ("processor", "newest", "tensorflow", "set")
#: Of the flags of a processor those by which it is told from others, newest first.
_NEWEST: Final = ("amx_fp16", "amx_bf16", "avx512_fp16", "avx512_bf16", "avx512_vnni", "avx512f",
                  "avx2", "avx", "sve2", "sve", "asimd")  # fmt: skip


def instruction_sets(flags: Collection[str]) -> dict[str, dict[str, str]]:
    """Return what a processor can be held down to, and the variables that do it.

    oneDNN and XLA are held down together, each to its own name of a level. oneDNN is switched to
    what it is not by itself on such a processor.
    """
    names = isa_levers(flags)
    both = [[name for name in names if name.startswith(part)] for part in ("onednn-", "xla-")]
    found: dict[str, dict[str, str]] = {"all of it": {}}
    for pair in zip_longest(*both):
        levers = [LEVERS[name] for name in pair if name is not None]
        found[" + ".join(lever.name for lever in levers)] = {
            name: value for lever in levers for name, value in lever.env
        }
    if onednn_by_default({}, flags):
        return found | {"onednn-off": dict(LEVERS["onednn-off"].env)}
    return found | {"onednn-on": {"TF_ENABLE_ONEDNN_OPTS": "1"}}


def keep(held: str, tally: Tally, models: int) -> None:
    """Put a row into the file, in place of an older one of the same."""
    pairs = tally.false.get(LADDER, Counts())
    structural = Counts()
    for name in STRUCTURAL:
        structural.add(tally.found.get((LADDER, name), Counts()))
    row = {
        "processor": cpu_model(),
        "newest": next((flag for flag in _NEWEST if flag in cpu_flags()), ""),
        "tensorflow": version("tensorflow"),
        "set": held,
        "models": models,
        "pairs": pairs.of,
        "alarms": len(tally.alarms),
        "structural": structural.of,
        "found": structural.said,
        "layers": tally.layers,
        "abstained": sum(tally.abstained.values()),
    }
    rows = [each for each in _rows() if any(each[part] != row[part] for part in _KEY)]
    ROWS.write_text(json.dumps([*rows, row], indent=1) + "\n", "utf-8")


def add_processors(out: Path) -> None:
    """Put the table at the end of the page, in place of an older one."""
    lines = [
        _TITLE,
        "",
        "`make bench-trust ISA=all` runs the models with oneDNN and XLA held down to each older "
        "instruction set of the processor at hand, and with oneDNN off, or on where TensorFlow has "
        "it off. Rows of other machines stay.",
        "",
        "| processor | up to | TensorFlow | held down by | models | false alarms | faults of "
        "structure found | layers abstained from |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['processor']} | {row['newest']} | {row['tensorflow']} | {row['set']} "
            f"| {row['models']} | {row['alarms']} of {row['pairs']:,} "
            f"| {row['found']:,} of {row['structural']:,} "
            f"| {row['abstained']:,} of {row['layers']:,} |"
            for row in _rows()
        ),
        "",
    ]
    before = out.read_text("utf-8").partition(_TITLE)[0] if out.exists() else ""
    out.write_text(f"{before.rstrip()}\n\n" + "\n".join(lines), "utf-8")


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(ROWS.read_text("utf-8")) if ROWS.exists() else []
    return rows
