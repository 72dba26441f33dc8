"""Looking inside: what every layer of a recorded model received and made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, LayerOutput, Probe, read_capsule
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.rounding.rules.activation_models import model_of
from bridge.runs.activation_measurement import with_kernels
from bridge.runs.execution_modes import fed_to, ways
from bridge.runs.job import Params, begin, run_job
from bridge.runs.model_execution import Named, Sight, Way
from bridge.runs.model_execution import run as run_model
from bridge.runs.model_rebuild import is_prediction, rebuild
from bridge.runs.observable_tensors import View, view_of
from bridge.runs.perturbation import Found, Perturber, wanting
from bridge.trace.call_tracer import LookError, Unit, units
from bridge.trace.encoder import Data, Encoder
from bridge.trace.spool import SpoolWriter


@dataclass(frozen=True)
class _Looked:
    """A probe that was looked at, with the units that repeated runs may say something of."""

    probe: int
    state: int
    sight: Sight
    wanting: Sequence[tuple[int, Unit]]


class Teller:
    """Tells the layers of the probes of one recorded run.

    Args:
        recorded: the run whose predictions are made again.
        encoder: writes the arrays.
    """

    def __init__(self, recorded: Capsule, encoder: Encoder) -> None:
        self._recorded, self._encoder = recorded, encoder
        self._looked: list[_Looked] = []

    def layers(self, probe: Probe, view: View, sound: Sight | None = None) -> list[Data]:
        """Return :class:`bridge.capsule.LayerOutput` data of the layers of a probe, in order.

        ``sound`` is the run with layers that have no fault, where those that were run have one:
        repeated runs are of them.
        """
        found = _units(view)
        number = probe.state or 0
        state, sight = self._recorded.manifest.states[number], sound or view.sight
        rest = [
            (place, unit)
            for place, unit in enumerate(found)
            if wanting(self._recorded, state, sight, unit)
        ]
        if rest:
            self._looked.append(_Looked(probe.index, number, sight, rest))
        return [_describe(view, unit, self._encoder) for unit in found]

    def perturbed(self, until: float) -> Iterator[tuple[int, int, Data]]:
        """Run layers without a rule again and again, as long as there is time.

        Yields the index of a probe, the place of a layer among those that were told of it, and
        what there is to add there. ``until`` is a time of the process, of the processor.
        """
        known: dict[int, dict[Any, Found]] = {}
        for each in self._looked:
            perturber = Perturber(each.sight, until, known.setdefault(each.state, {}))
            for place, unit in each.wanting:
                yield each.probe, place, _tell(perturber.perturb(unit), self._encoder)


def _tell(found: Found | str, encoder: Encoder) -> Data:
    if isinstance(found, str):
        return {"why": found}
    data = {
        "exact": encoder.array("exact", found.exact),
        "scale": encoder.array("scale", found.scale),
        "statistics": list(found.statistics),
        "rows": found.rows,
    }
    return {"perturbed": data}


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


def must_agree(seen: Named, recorded: Named) -> None:
    """Make sure that a run made these bits.

    Raises:
        LookError: it made others.
    """
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


# The job, and what asks for it.

#: The part of a job's time after which no layer is run again. It is taken as time of
#: the processor, so that what is seen does not depend on what else the machine does.
SHARE: Final = 0.25


def look(pool: Pool, recorded: Capsule, generation: int, limits: Limits) -> Capsule:
    """Return the capsule with what every layer received and made; the run is left untouched."""
    params = {"capsule": pool.file_of(recorded), "seconds": limits.seconds}
    with run_job(pool, Warm(generation), look_job, params, limits) as left:
        arrays = {f"l{key}": value for key, value in left.arrays.items()}
        seen = {event["probe"]: event["layers"] for event in left.named("layers")}
        unseen = {event["probe"]: event["text"] for event in left.named("unseen")}
        for event in left.named("perturbed"):
            seen[event["probe"]][event["place"]] |= event["found"]
        if left.ending:
            missing = {probe.index for probe in recorded.manifest.probes if is_prediction(probe)}
            ended = f"looking came to no end ({left.ending})"
            unseen |= dict.fromkeys(missing - set(seen) - set(unseen), ended)
    return with_kernels(pool, _with_layers(recorded, seen, unseen, arrays), Warm(generation))


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


def tell_perturbed(spool: SpoolWriter, teller: Teller, begun: float, params: Params) -> None:
    """Write what repeated runs did to layers without a rule, in the share of time that is theirs.

    ``begun`` is the time of the processor at which the job began.
    """
    until = begun + SHARE * float(params.get("seconds", np.inf))
    for index, place, found in teller.perturbed(until):
        spool.event("perturbed", probe=index, place=place, found=found)


def preload() -> None:
    """Read the tables of the activations' errors, which every child would read again."""
    model_of("relu")


def look_job(context: Context, params: dict[str, Any]) -> None:
    """Write a ``layers`` event for every prediction of ``params["capsule"]``.

    After those, ``perturbed`` events say what repeated runs did to layers without a rule.
    """
    begun = time.process_time()
    recorded = read_capsule(Path(params["capsule"]))
    spool = begin(context, params)
    teller = Teller(recorded, Encoder(spool))
    for probe in recorded.manifest.probes:
        if not is_prediction(probe):
            continue
        try:
            layers = teller.layers(probe, _look(context, recorded, probe))
            spool.event("layers", probe=probe.index, layers=layers)
        except LookError as error:
            spool.event("unseen", probe=probe.index, text=str(error))
        except Exception as error:  # Keras may raise anything at a model from a stranger's file
            spool.event("unseen", probe=probe.index, text=f"{type(error).__name__}: {error}"[:500])
    tell_perturbed(spool, teller, begun, params)
    spool.event("end")


def _look(context: Context, recorded: Capsule, probe: Probe) -> View:
    """Look in the first way in which the model does what was recorded."""
    state = recorded.manifest.states[probe.state or 0]
    model = rebuild(context.keras, state, recorded)
    fed = fed_to(model, recorded, probe)
    expected = [(ref.name, np.asarray(recorded.array(ref))) for ref in probe.outputs]
    changed: View | None = None
    failed: LookError | None = None
    for way in ways(context.generation, recorded, probe, fed):

        def attempt(wanted: frozenset[int] | None, way: Way = way) -> Sight:
            sight = run_model(context.keras, model, fed, way, wanted)
            must_agree(sight.outputs, expected)
            return sight

        try:
            view = view_of(attempt, probe.executed, hidden_work=way.eager or way.jit)
        except LookError as error:
            failed = failed or error
            continue
        if view.unchanged is not False:
            return view
        changed = changed or view
    if changed is None:
        raise failed or LookError("there is no way to run the model")
    return changed
