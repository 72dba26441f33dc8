"""Looking inside: what every layer of a recorded model received and made."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, ExecutedGraph, LayerOutput, Probe, read_capsule
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.rounding.rules.activation_models import model_of
from bridge.runs.activation_measurement import with_kernels
from bridge.runs.job import Params, begin, run_job
from bridge.runs.model_execution import (
    Named,
    Sight,
    Way,
    fed_to,
    is_prediction,
    rebuild,
    ways,
    worth_seeing,
)
from bridge.runs.model_execution import run as run_model
from bridge.runs.perturbation import Found, Perturber, wanting
from bridge.trace.call_tracer import CallGroup, units
from bridge.trace.encoder import Data, Encoder
from bridge.trace.executed_graph import arithmetic, calls_functions
from bridge.trace.model_description import LookError
from bridge.trace.spool import SpoolWriter

#: Ops that hand on what they are given.
_PASSING: Final = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})
#: Runs of a model, at most, for finding out what can be seen.
_TRIES: Final = 24

Try = Callable[[frozenset[int] | None], Sight]


@dataclass(frozen=True)
class View:
    """A run with what could be seen, and whether seeing it left what is executed unchanged."""

    sight: Sight
    visible: frozenset[int]
    unchanged: bool | None


def view_of(attempt: Try, recorded: ExecutedGraph | None, hidden_work: bool) -> View:
    """Run a model with as many tensors handed out as leave unchanged what is executed.

    Args:
        attempt: runs the model with some tensors handed out, or all for None.
        recorded: what was executed when nobody looked, if that is known.
        hidden_work: the graph does not show what is executed (eager, XLA).
    """
    if hidden_work:
        return _view(attempt(None), None)
    everything = _harmless(attempt, None)
    if everything is not None and _is(everything, recorded):
        unused = _unused(everything)
        if not (unused and calls_functions(_described(everything))):
            return _view(everything, True)
        # A function that is called for more than before is another one inside.
        used = frozenset(worth_seeing(everything.calls) - unused)
        some = _harmless(attempt, used)
        if some is not None and _is(some, recorded):
            if _functions(some) == _functions(everything):
                return _view(everything, True)
            search = _Search(attempt, some, set(used), {used | unused})
            search.add(sorted(unused))
            return _view(search.best, True)
    bare = attempt(frozenset())
    if recorded is not None and not _is(bare, recorded):
        return _view(everything or bare, False)
    if everything is not None and _functions(everything) == _functions(bare):
        return _view(everything, True)
    search = _Search(attempt, bare, set(), {worth_seeing(bare.calls)})
    executed, _, searched = _sorted_out(bare)
    search.add(executed)
    search.add(searched)
    return _view(search.best, True)


def _view(sight: Sight, unchanged: bool | None) -> View:
    return View(sight, frozenset(sight.values), unchanged)


def _harmless(attempt: Try, wanted: frozenset[int] | None) -> Sight | None:
    """Run the model; None if it makes other bits than recorded when it is asked for so much."""
    try:
        return attempt(wanted)
    except LookError:
        return None


def _described(sight: Sight) -> ExecutedGraph:
    assert sight.executed is not None
    return ExecutedGraph.model_validate(sight.executed.describe())


def _functions(sight: Sight) -> list[Counter[str]]:
    assert sight.executed is not None
    return sight.executed.arithmetic()


def _is(sight: Sight, recorded: ExecutedGraph | None) -> bool:
    return recorded is not None and arithmetic(recorded) == arithmetic(_described(sight))


def _unused(sight: Sight) -> frozenset[int]:
    """Return the outputs of layers that no layer receives and the model does not return."""
    outputs = {number for call in sight.calls for number in call.outputs}
    received = {number for call in sight.calls for number in call.inputs}
    return frozenset(outputs - received - sight.returned)


class _Search:
    """Asks for tensors in groups, and halves of groups, as long as the fingerprint stays.

    Args:
        attempt: runs the model with some tensors handed out.
        best: a run that left unchanged what is executed.
        kept: the tensors that were handed out then.
        failed: tensors that change something when they are asked for together.
    """

    def __init__(
        self, attempt: Try, best: Sight, kept: set[int], failed: set[frozenset[int]]
    ) -> None:
        self.best = best
        self._attempt, self._kept, self._failed = attempt, kept, failed
        self._unasked = _functions(best)
        self._tries = 0

    def add(self, group: Sequence[int]) -> None:
        """Ask for what is possible of a group."""
        wanted = frozenset((*self._kept, *group))
        if not group or self._tries >= _TRIES:
            return
        if wanted not in self._failed:
            self._tries += 1
            sight = _harmless(self._attempt, wanted)
            if sight is not None and _functions(sight) == self._unasked:
                self.best = sight
                self._kept.update(group)
                return
        if len(group) > 1:
            half = len(group) // 2
            self.add(group[:half])
            self.add(group[half:])


def _sorted_out(bare: Sight) -> tuple[list[int], list[int], list[int]]:
    """Sort tensors into those whose op is executed, those that are fused into another, and others.

    A fused op has the name of the last op in it, and lists all but the first: what is not there by
    name and leads to a fused op in no more steps is a part of that.
    """
    assert bare.executed is not None
    nodes = bare.executed.nodes()
    found: tuple[list[int], list[int], list[int]] = ([], [], [])
    for number in sorted(worth_seeing(bare.calls) - set(bare.values)):
        op = _maker(bare.tensors[number].op, nodes)
        place = 0 if op.name in nodes else 1 if _leads_to_fused(op, nodes) else 2
        found[place].append(number)
    return found


def _maker(op: Any, nodes: Mapping[str, object]) -> Any:
    """Return the op that made a value which others only hand on."""
    while op.name not in nodes and op.type in _PASSING:
        op = op.inputs[0].op
    return op


def _leads_to_fused(op: Any, nodes: Mapping[str, Sequence[str]]) -> bool:
    steps = 0
    while op.name not in nodes:
        users = _users(op.outputs)
        if len(users) != 1:
            return False
        (op,) = users
        steps += 1
    return steps <= len(nodes[op.name])


def _users(tensors: Iterable[Any]) -> list[Any]:
    found = {op.name: op for tensor in tensors for op in tensor.consumers()}
    return list(found.values())


@dataclass(frozen=True)
class _Looked:
    """A probe that was looked at, with the units that repeated runs may say something of."""

    probe: int
    state: int
    sight: Sight
    wanting: Sequence[tuple[int, CallGroup]]


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
        for looked in self._looked:
            perturber = Perturber(looked.sight, until, known.setdefault(looked.state, {}))
            for place, unit in looked.wanting:
                yield looked.probe, place, _tell(perturber.perturb(unit), self._encoder)


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


def _units(view: View) -> list[CallGroup]:
    """Return what is told: all units but the operations that make nothing but masks.

    Keras 3 writes down, as calls of the model, how the masks of its layers are made; Keras 2 does
    not. In both, a layer that heeds a mask is told to have one.
    """
    calls = view.sight.calls
    used = set(view.sight.returned)
    places: set[int] = set()
    for place, call in reversed(list(enumerate(calls))):
        if hasattr(call.layer, "weights") or used.intersection(call.outputs):
            places.add(place)
            used |= {
                input_ for which, input_ in enumerate(call.inputs) if which not in call.mask_places
            }
    return [unit for unit in units(calls, view.visible) if unit.last in places]


def _describe(view: View, unit: CallGroup, encoder: Encoder) -> Data:
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
    known = dict(seen)
    for name, expected in recorded:
        found = known.get(name)
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
SHARE: Final = 0.05


def look(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    limits: Limits,
    probes: Collection[int] | None = None,
) -> Capsule:
    """Return the capsule with what every layer received and made; the run is left untouched.

    ``probes`` are the indices of the predictions that are looked into; None means all.
    """
    predictions = [probe.index for probe in recorded.manifest.probes if is_prediction(probe)]
    chosen = [index for index in predictions if probes is None or index in probes]
    file = pool.file_of(recorded)
    params = {"capsule": file, "probes": chosen, "seconds": limits.seconds}
    with run_job(pool, Warm(generation), look_job, params, limits) as left:
        arrays = {f"l{key}": value for key, value in left.arrays.items()}
        seen = {event["probe"]: event["layers"] for event in left.named("layers")}
        unseen = {event["probe"]: event["text"] for event in left.named("unseen")}
        for event in left.named("perturbed"):
            seen[event["probe"]][event["place"]] |= event["found"]
        if left.ending:
            ended = f"looking came to no end ({left.ending})"
            unseen |= dict.fromkeys(set(chosen) - set(seen) - set(unseen), ended)
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
    for index in params["probes"]:
        probe = recorded.manifest.probes[index]
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
