"""Capsules of older versions, whose notes held what has a field of its own now."""

from __future__ import annotations

import re
from typing import Any, Final

from bridge.capsule.schema import Manifest, Probe, ProbeStatus, Quit, Reading

_READING: Final = re.compile(
    r"Read otherwise than R reads it \(([a-z-]+), ([a-z-]+), line (\d+)\): (.*)\.", re.DOTALL
)
_QUIT: Final = re.compile(r"The script called quit\(\)(?: at line (\d+))? with status (.*)\.")
#: The fault changed nothing, and what a note began with: what became of a probe.
_IDLE: Final = "the fault changes nothing: no op that is executed can have it"
_BEGINNINGS: Final[dict[str, ProbeStatus]] = {
    "raised ": "raised",
    "not run: ": "not-run",
    "without the fault: ": "without-fault",
}


def with_fields(manifest: Manifest) -> Manifest:
    """Return the manifest with what its notes tell in the fields that newer ones have for it."""
    changed: dict[str, Any] = {}
    notes = [(note, _READING.fullmatch(note)) for note in manifest.notes]
    readings = [
        Reading(kind=match[1], cause=match[2], line=int(match[3]), what=match[4])
        for _, match in notes
        if match is not None
    ]
    if readings:
        changed["readings"] = (*manifest.readings, *dict.fromkeys(readings))
        changed["notes"] = tuple(note for note, match in notes if match is None)
    ended = next(filter(None, map(_QUIT.fullmatch, manifest.notes)), None)
    if manifest.quit is None and ended is not None:
        changed["quit"] = Quit(code=ended[2], line=int(ended[1]) if ended[1] else None)
    probes = tuple(map(_probe, manifest.probes))
    if probes != manifest.probes:
        changed["probes"] = probes
    return manifest.model_copy(update=changed) if changed else manifest


def _probe(probe: Probe) -> Probe:
    if probe.status != "made":
        return probe
    for note in probe.notes:
        if note == _IDLE:
            return probe.model_copy(update={"status": "idle"})
        for beginning, status in _BEGINNINGS.items():
            # What was made anyhow has only lost its fault.
            if note.startswith(beginning) and (status == "without-fault" or not probe.outputs):
                why = note.removeprefix(beginning)
                return probe.model_copy(update={"status": status, "why": why})
    return probe
