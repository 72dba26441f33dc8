"""Looking inside: what every layer of a recorded model received and made.

The model is built again from its recorded configuration and weights, in a process of its own, so
that the run that is looked at is not touched. It must make the recorded bits again, and what is
executed must be what was executed when nobody looked; both are checked for every answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, Probe, read_capsule
from bridge.runners import child
from bridge.runners.encode import Data, Encoder
from bridge.runners.execution import Named, Sight, Way
from bridge.runners.execution import run as run_model
from bridge.runners.feeding import as_fed
from bridge.runners.jobs import Context
from bridge.runners.perturb import Found, Perturber, wanting
from bridge.runners.rebuild import LookError, is_prediction, rebuild
from bridge.runners.spool import SpoolWriter
from bridge.runners.units import Unit, units
from bridge.runners.visible import View, look

#: The rows of a batch where a script does not say otherwise, in both generations.
_ROWS: Final = 32
#: The part of the time that a job has after which no layer is run again. It is taken as time of
#: the processor, so that what is seen does not depend on what else the machine does.
_SHARE: Final = 0.25


@dataclass(frozen=True)
class _Looked:
    """A probe that was looked at, with the units that repeated runs may say something of."""

    probe: int
    state: int
    view: View
    wanting: Sequence[tuple[int, Unit]]


def run(context: Context, params: dict[str, Any]) -> None:
    """Write a ``layers`` event for every prediction of ``params["capsule"]``.

    After those, ``perturbed`` events say what repeated runs did to layers without a rule.
    """
    begun = time.process_time()
    recorded = read_capsule(Path(params["capsule"]))
    spool = SpoolWriter(Path(params["spool"]))
    os.chdir(params["workdir"])
    child.limit(int(params.get("memory_bytes", 0)))
    encoder = Encoder(spool)
    looked = []
    for probe in recorded.manifest.probes:
        if not is_prediction(probe):
            continue
        try:
            view = _look(context, recorded, probe)
            found = _units(view)
            layers = [_describe(view, unit, encoder) for unit in found]
            spool.event("layers", probe=probe.index, layers=layers)
        except LookError as error:
            spool.event("unseen", probe=probe.index, text=str(error))
        except Exception as error:
            spool.event("unseen", probe=probe.index, text=f"{type(error).__name__}: {error}"[:500])
        else:
            number = probe.state or 0
            state, places = recorded.manifest.states[number], enumerate(found)
            rest = [(n, u) for n, u in places if wanting(recorded, state, view.sight, u)]
            looked += [_Looked(probe.index, number, view, rest)] if rest else []
    until = begun + _SHARE * float(params.get("seconds", np.inf))
    known: dict[int, dict[Any, Found]] = {}
    for each in looked:
        perturber = Perturber(each.view.sight, until, known.setdefault(each.state, {}))
        for place, data in _perturb(perturber, each, encoder):
            spool.event("perturbed", probe=each.probe, place=place, found=data)
    spool.event("end")


def _look(context: Context, recorded: Capsule, probe: Probe) -> View:
    """Look in the first way in which the model does what was recorded."""
    state = recorded.manifest.states[probe.state or 0]
    model = rebuild(context.keras, state, recorded)
    fed = _fed(model, recorded, probe)
    expected = [(ref.name, np.asarray(recorded.array(ref))) for ref in probe.outputs]
    changed: View | None = None
    failed: LookError | None = None
    for way in _ways(context.generation, recorded, probe, fed):

        def attempt(wanted: frozenset[int] | None, way: Way = way) -> Sight:
            sight = run_model(context.keras, model, fed, way, wanted)
            _must_agree(sight.outputs, expected)
            return sight

        try:
            view = look(attempt, probe.executed, hidden_work=way.eager or way.jit)
        except LookError as error:
            failed = failed or error
            continue
        if view.unchanged is not False:
            return view
        changed = changed or view
    if changed is None:
        raise failed or LookError("there is no way to run the model")
    return changed


def _ways(generation: int, recorded: Capsule, probe: Probe, fed: Named) -> Iterator[Way]:
    """Yield the ways in which the prediction may have been made; it does not say in which."""
    count = max(1, len(fed[0][1]) if fed[0][1].ndim else 1)
    if probe.kind == "call":
        yield Way(count, eager=True)
        return
    jit = probe.executed is not None and probe.executed.jit_compiled
    second = generation == 2
    asked = _asked_rows(recorded, probe)
    for rows in dict.fromkeys([asked or _ROWS, count]):
        yield Way(rows, probe.eager, jit, generic=second, counted=second)
    if second and not probe.eager:
        # predict_on_batch knows how many rows there are.
        yield Way(count, jit=jit, counted=second)


def _asked_rows(recorded: Capsule, probe: Probe) -> int | None:
    """Return the size of batches that the script asked for, if it is known."""
    call = next((each for each in recorded.manifest.calls if each.id == probe.call), None)
    said = call.kwargs.get("batch_size") if call is not None else None
    try:
        return int(float(getattr(said, "v", ""))) or None
    except ValueError:
        return None


def _fed(model: Any, recorded: Capsule, probe: Probe) -> Named:
    if not probe.inputs:
        raise LookError("what the model was given was not recorded")
    doubles = any(str(each.dtype).endswith("float64") for each in model.inputs)
    dtype = "float64" if doubles else "float32"
    return [(ref.name, as_fed(np.asarray(recorded.array(ref)), dtype)) for ref in probe.inputs]


def _units(view: View) -> list[Unit]:
    """Return what is told: all units but the operations that make nothing but masks.

    Keras 3 writes down, as calls of the model, how the masks of its layers are made; Keras 2 does
    not. In both, a layer that heeds a mask is told to have one.
    """
    calls = view.sight.calls
    used = set(view.sight.returned)
    told: set[int] = set()
    for place, call in reversed(list(enumerate(calls))):
        if hasattr(call.layer, "weights") or used.intersection(call.outputs):
            told.add(place)
            used |= {
                each for which, each in enumerate(call.inputs) if which not in call.mask_places
            }
    return [unit for unit in units(calls, view.visible) if unit.last in told]


def _describe(view: View, unit: Unit, encoder: Encoder) -> Data:
    """Return :class:`bridge.capsule.LayerOutput` data."""
    calls = [view.sight.calls[place] for place in unit.calls]
    first, last = calls[0], view.sight.calls[unit.last]
    arguments: Data = {}
    for call in calls:
        prefix = "" if call is first else f"{call.path}: "
        arguments |= {
            f"{prefix}{key}": value for key, value in call.arguments.items() if "mask" not in key
        }
    return {
        "layer": first.path,
        "inputs": [
            _array(view, view.sight.calls[place].names[which], call_input, encoder)
            for place, which in unit.inputs
            if which not in view.sight.calls[place].mask_places
            for call_input in [view.sight.calls[place].inputs[which]]
        ],
        "outputs": [_array(view, last.path, number, encoder) for number in last.outputs],
        "graph_unchanged": view.unchanged,
        "node": last.node,
        "rows": view.sight.rows,
        "through": [call.path for call in calls[1:]],
        "masked": any(call.masked for call in calls),
        "arguments": arguments,
    }


def _array(view: View, name: str, number: int, encoder: Encoder) -> Data:
    values = view.sight.values.get(number)
    if values is not None:
        return encoder.array(name, values)
    # It was not seen; its shape is known but for what depends on the number of rows.
    tensor = view.sight.tensors[number]
    rows = len(view.sight.outputs[0][1])
    shape = [rows if part is None else part for part in tensor.shape.as_list()]
    return {"name": name, "key": None, "dtype": tensor.dtype.name, "shape": shape}


def _perturb(perturber: Perturber, looked: _Looked, encoder: Encoder) -> Iterator[tuple[int, Data]]:
    for place, unit in looked.wanting:
        found = perturber.perturb(unit)
        if isinstance(found, str):
            yield place, {"why": found}
        else:
            data = {
                "exact": encoder.array("exact", found.exact),
                "scale": encoder.array("scale", found.scale),
                "statistics": list(found.statistics),
                "rows": found.rows,
            }
            yield place, {"perturbed": data}


def _must_agree(seen: Named, recorded: Named) -> None:
    made = dict(seen)
    for name, expected in recorded:
        found = made.get(name)
        if (
            found is None
            or found.shape != expected.shape
            or found.dtype != expected.dtype
            or found.tobytes() != expected.tobytes()
        ):
            raise LookError(
                "built again from its configuration and weights, the model does not give the "
                "recorded bits, so its layers were not looked at"
            )
