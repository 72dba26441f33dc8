"""The ways in which a recorded prediction may have been run, and how a lever changes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from bridge.capsule import Call, Capsule, Probe
from bridge.runs.model_execution import Named, Way
from bridge.trace.call_tracer import LookError
from bridge.trace.model_inputs import as_fed

#: The rows of a batch where a script does not say otherwise, in both generations.
_ROWS: Final = 32


def ways(generation: int, recorded: Capsule, probe: Probe, fed: Named) -> Iterator[Way]:
    """Yield the ways in which the prediction may have been made; it does not say in which.

    The likeliest comes first.
    """
    count = _count(fed)
    if probe.kind == "call":
        yield Way(count, eager=True)
        return
    jit = probe.executed is not None and probe.executed.jit_compiled
    second = generation == 2
    call = next((each for each in recorded.manifest.calls if each.id == probe.call), None)
    rows = dict.fromkeys([_asked_rows(call) or _ROWS, count])
    found = [Way(each, probe.eager, jit, generic=second, counted=second) for each in rows]
    if second and not probe.eager:
        # predict_on_batch knows how many rows there are.
        found.append(Way(count, jit=jit, counted=True))
    at_once = call is not None and getattr(call.target, "name", "") == "predict_on_batch"
    yield from reversed(found) if at_once else found


def under(way: Way, lever: Mapping[str, Any], fed: Named) -> Way:
    """Return the way in which a prediction is run under a lever, by the lever's params."""
    asked = lever.get("way") or ""
    if asked == "eager":
        way = replace(way, eager=True, jit=False)
    elif asked in ("graph", "xla"):
        # A model that was called is traced as it is, for the rows that it was given.
        way = replace(way, eager=False, jit=asked == "xla")
    elif asked == "xla-off":
        way = replace(way, jit=False)
    elif asked == "call":
        way = Way(_count(fed), eager=True)
    if lever.get("rows"):
        way = replace(way, rows=int(lever["rows"]))
    return way


def fed_to(model: Any, recorded: Capsule, probe: Probe) -> Named:
    """Return what a model was fed, each array with the name that says where it stands.

    Raises:
        LookError: it was not recorded.
    """
    if not probe.inputs:
        raise LookError("what the model was given was not recorded")
    doubles = any(str(each.dtype).endswith("float64") for each in model.inputs)
    dtype = "float64" if doubles else "float32"
    return [(ref.name, as_fed(np.asarray(recorded.array(ref)), dtype)) for ref in probe.inputs]


def _count(fed: Named) -> int:
    return max(1, len(fed[0][1]) if fed[0][1].ndim else 1)


def _asked_rows(call: Call | None) -> int | None:
    """Return the size of batches that the script asked for, if it is known."""
    said = call.kwargs.get("batch_size") if call is not None else None
    try:
        return int(float(getattr(said, "v", ""))) or None
    except ValueError:
        return None
