"""The layers of a probe as they were recorded, and the ladder's verdicts on them, made once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, LayerOutput, ModelState, Probe
from bridge.capsule.numbers import same_bits
from bridge.compare.result import LayerVerdict
from bridge.facts.layers import class_name
from bridge.rounding.ladder import LADDER, LadderStep, LayerCase, Spread, judge_case
from bridge.rounding.layer_graph import (
    conform,
    find_layer,
    find_operation,
    input_shapes,
    outputs_of,
)
from bridge.rounding.rules import Layer, layer_of
from bridge.rounding.rules.moving import RULES as OPERATIONS

#: The name under which the model's own output is judged.
PREDICTION: Final = "prediction"


@dataclass(frozen=True)
class Seen:
    """A layer of a probe, as recorded; or several that were executed in one."""

    capsule: Capsule
    probe: Probe
    state: ModelState
    record: LayerOutput

    @property
    def last(self) -> str:
        """The name of the layer whose output was seen."""
        return self.record.through[-1] if self.record.through else self.record.layer

    @cached_property
    def case(self) -> LayerCase | str:
        """The layer with its inputs and outputs, or the sentence that says what is missing."""
        names = (self.record.layer, *self.record.through)
        layers = [self._layer(name) for name in names]
        missing = next((layer for layer in layers if isinstance(layer, str)), None)
        if missing is not None:
            return missing
        first, *then = (layer for layer in layers if isinstance(layer, Layer))
        try:
            inputs = [self.capsule.array(ref) for ref in self.record.inputs]
            seen = [ref for ref in self.record.outputs if ref.key is not None]
            outputs = tuple(self.capsule.array(ref) for ref in seen or self.record.outputs)
            spread = self._spread()
        except CapsuleError as error:
            return str(error)
        probe_layers = {output.layer for output in self.probe.layers}
        shapes = input_shapes(self.state)
        if len(shapes) == 1 and not probe_layers.intersection(
            ref.name for ref in self.record.inputs
        ):
            inputs = [conform(x, shapes[0]) for x in inputs]
        if self.record.rows is not None and any(
            _across_rows(layer, inputs) for layer in (first, *then)
        ):
            return "it computes across the rows that it is given at a time, which were not all"
        if arguments := self._further_arguments():
            # Rules know nothing of arguments; repeated runs were given the same ones.
            first = replace(first, cls=f"a call with {arguments}")
        return LayerCase(
            first, tuple(inputs), outputs, tuple(then), spread, self.record.why, self._unseen
        )

    def output(self, place: int) -> AnyArray | None:
        """Return one of the outputs of the last layer, None if it was not seen."""
        refs = self.record.outputs
        if not 0 <= place < len(refs) or refs[place].key is None:
            return None
        found: AnyArray = self.capsule.array(refs[place])
        return found

    @property
    def _unseen(self) -> frozenset[int]:
        """The places of outputs that were not seen, where others were."""
        keys = [ref.key for ref in self.record.outputs]
        lost = frozenset(place for place, key in enumerate(keys) if key is None)
        return lost if len(lost) < len(keys) else frozenset()

    def _further_arguments(self) -> str:
        """Name the arguments of its call that are more than further inputs."""
        given = self.record.arguments.items()
        names = (name for name, value in given if not _is_input(value))
        return ", ".join(re.sub(r"[^\w ]", " ", name) for name in names)

    def _layer(self, name: str) -> Layer | str:
        found = find_layer(self.state.layers, name)
        if found is None:
            operation = find_operation(self.state.config, name)
            if operation is not None and class_name(operation.cls) in OPERATIONS:
                found = operation
        if found is None and self.record.perturbed is not None:
            # An operation of Keras 3 is called like a layer, and recorded as its call alone.
            return Layer(name, "an operation")
        if found is None:
            return "its configuration was not recorded"
        training = self.probe.kind in ("fit", "train")
        devices = _devices(self.capsule, self.probe)
        masked = self.record.masked and name == self.record.layer
        try:
            layer = layer_of(self.capsule, self.state, found, training, devices, masked)
            return replace(layer, name=name)
        except CapsuleError as error:
            return str(error)

    def _spread(self) -> Spread | None:
        seen = self.record.perturbed
        if seen is None:
            return None
        exact, scale = self.capsule.array(seen.exact), self.capsule.array(seen.scale)
        if exact.shape != scale.shape:
            return None
        return Spread(exact, scale, seen.statistics)


def seen_layers(capsule: Capsule, probe: Probe) -> tuple[Seen, ...]:
    """Return the layers of a probe that were looked at, in order; none if nothing was."""
    state = capsule.state_of(probe)
    if state is None:
        return ()
    return tuple(Seen(capsule, probe, state, output) for output in probe.layers)


@dataclass(frozen=True)
class Subject:
    """What one verdict is about: a layer of a probe, or an output of the model.

    ``seen`` is the layer, at its ``position`` among those that were seen, and ``prediction`` the
    number of the model's output, which is judged as what that layer made. ``case`` is what is
    judged, or the sentence that says what is missing. Both are None of an output of which it was
    not recorded what made it.
    """

    case: LayerCase | str
    seen: Seen | None = None
    position: int | None = None
    prediction: int | None = None

    @property
    def layer(self) -> str:
        """The name of the layer, "" if it is not known."""
        return "" if self.seen is None else self.seen.record.layer

    def judge(self, ladder: Sequence[LadderStep] = LADDER) -> LayerVerdict:
        """Return the ladder's verdict."""
        name = self.layer if self.prediction is None else PREDICTION
        if isinstance(self.case, str):
            return _missing(name, self.case)
        found = judge_case(self.case, ladder)
        return found if self.prediction is None else found.model_copy(update={"layer": name})


def subjects(capsule: Capsule, probe: Probe) -> tuple[Subject, ...]:
    """Return what is judged of a probe: its layers in order, then the model's own outputs.

    An output that is its layer's, bit for bit, is judged as that layer is. Nothing is returned
    where no layers were recorded.
    """
    seen = seen_layers(capsule, probe)
    layers = [Subject(layer.case, layer, place) for place, layer in enumerate(seen)]
    if not seen or not probe.outputs:
        return tuple(layers)
    predictions = predicted(capsule, probe, seen)
    if predictions is None:
        return (*layers, Subject("which layers made it was not recorded", prediction=0))
    outputs = [
        Subject(
            seen[prediction.place].case if prediction.case is None else prediction.case,
            seen[prediction.place],
            prediction.place,
            number,
        )
        for number, prediction in enumerate(predictions)
    ]
    return (*layers, *outputs)


def judge_probe(
    capsule: Capsule, probe: Probe, ladder: Sequence[LadderStep] = LADDER
) -> tuple[LayerVerdict, ...]:
    """Judge every layer of a probe, and the model's own output as what its last layer made.

    The last verdict, named "prediction", says whether the probe's output is the last layer's, bit
    for bit or within that layer's bound. Nothing is returned where no layers were recorded.
    """
    return tuple(subject.judge(ladder) for subject in subjects(capsule, probe))


@dataclass(frozen=True)
class Predicted:
    """An output of the model, and the layer that made it: its place among those that were seen.

    ``case`` is that layer with the model's output in the place of its own, or the sentence that
    says what is missing; None where both have the same bits.
    """

    place: int
    case: LayerCase | str | None = None


def predicted(capsule: Capsule, probe: Probe, seen: Sequence[Seen]) -> tuple[Predicted, ...] | None:
    """Return the model's outputs in order; None if it was not recorded which layers made them."""
    by_call = {(layer.last, layer.record.node): number for number, layer in enumerate(seen)}
    feeds = outputs_of(seen[0].state, [ref.name for ref in probe.outputs]) or () if seen else ()
    fed = [feed for feed in feeds if (feed.layer, feed.node) in by_call]
    if len(fed) != len(probe.outputs):
        return None
    found: list[Predicted] = []
    for feed, ref in zip(fed, probe.outputs, strict=True):
        place = by_call[feed.layer, feed.node]
        case = seen[place].case
        try:
            y = capsule.array(ref)
        except CapsuleError as error:
            found.append(Predicted(place, str(error)))
            continue
        if isinstance(case, str):
            found.append(Predicted(place, case))
            continue
        own = seen[place].output(feed.tensor)
        if own is not None and same_bits(own, y):
            found.append(Predicted(place))
            continue
        others = frozenset(range(len(seen[place].record.outputs))) - {feed.tensor}
        found.append(Predicted(place, replace(case, outputs=(y,), unseen=others)))
    return tuple(found)


def _across_rows(layer: Layer, inputs: Sequence[AnyArray]) -> bool:
    """Say whether a layer works along the axis of the rows, by its configuration."""
    rank = max((x.ndim for x in inputs), default=0)
    said = [layer.config.get("axis"), layer.config.get("axes")]
    axes = [axis for group in said for axis in (group if isinstance(group, list) else [group])]
    return any(type(axis) is int and axis in (0, -rank) for axis in axes)


def _is_input(value: JsonValue) -> bool:
    if isinstance(value, list):
        return all(_is_input(item) for item in value)
    return isinstance(value, dict) and set(value) == {"input"}


def _devices(capsule: Capsule, probe: Probe) -> tuple[str, ...]:
    """Return the kinds of device on which a probe ran, or may have run where it is not known."""
    named = [op.device for op in probe.executed.ops if op.device] if probe.executed else []
    kinds = {device.partition(":")[0] for device in named or capsule.manifest.environment.devices}
    return tuple(sorted(kinds)) or ("CPU",)


def _missing(name: str, why: str) -> LayerVerdict:
    return LayerVerdict(layer=name, cls="", verdict="abstained", rung="abstained", why=why)


# Judging a run's probes, each only once however many comparisons ask.


class Judge:
    """Remembers the verdicts on the layers of each probe."""

    def __init__(self, ladder: Sequence[LadderStep] = LADDER) -> None:
        self._ladder = ladder
        #: The capsules are kept, so that no other can get the identity of one.
        self._capsules: dict[int, Capsule] = {}
        self._verdicts: dict[tuple[int, int], tuple[LayerVerdict, ...]] = {}

    def __call__(self, capsule: Capsule, probe: Probe) -> tuple[LayerVerdict, ...]:
        """Return the verdicts on the probe's layers, then that on its prediction."""
        self._capsules[id(capsule)] = capsule
        key = (id(capsule), probe.index)
        if key not in self._verdicts:
            self._verdicts[key] = judge_probe(capsule, probe, self._ladder)
        return self._verdicts[key]

    def verdicts(self, capsule: Capsule) -> dict[int, tuple[LayerVerdict, ...]]:
        """Return the verdicts on the probes of a run that were judged, by the probe's index."""
        keys = ((probe.index, (id(capsule), probe.index)) for probe in capsule.manifest.probes)
        return {index: self._verdicts[key] for index, key in keys if key in self._verdicts}


def beyond_bound(verdicts: Sequence[LayerVerdict]) -> int | None:
    """Return how many points of the prediction are beyond its last layer's bound, if judged."""
    last = [verdict for verdict in verdicts if verdict.layer == PREDICTION]
    if not last or any(verdict.verdict == "abstained" for verdict in last):
        return None
    return sum(verdict.beyond_bound for verdict in last)
