"""The layers of a probe as they were seen, and the ladder's verdicts on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bridge.capsule import Capsule, CapsuleError, LayerOutput, ModelState, Probe
from bridge.compare.chance import Spread
from bridge.compare.ladder import LADDER, Case, Step, judge_case
from bridge.compare.numbers import AnyArray, same_bits
from bridge.compare.result import LayerVerdict
from bridge.compare.rules import Layer, layer_of
from bridge.compare.wiring import conform, input_shapes, output_names

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
    def case(self) -> Case | str:
        """The layer with its inputs and outputs, or the sentence that says what is missing."""
        names = (self.record.layer, *self.record.through)
        layers = [self._layer(name) for name in names]
        missing = next((each for each in layers if isinstance(each, str)), None)
        if missing is not None:
            return missing
        first, *then = (each for each in layers if isinstance(each, Layer))
        try:
            inputs = [self.capsule.array(ref) for ref in self.record.inputs]
            outputs = tuple(self.capsule.array(ref) for ref in self.record.outputs)
            spread = self._spread()
        except CapsuleError as error:
            return str(error)
        made = {output.layer for output in self.probe.layers}
        shapes = input_shapes(self.state)
        if len(shapes) == 1 and not made.intersection(ref.name for ref in self.record.inputs):
            inputs = [conform(x, shapes[0]) for x in inputs]
        return Case(first, tuple(inputs), outputs, tuple(then), spread, self.record.why)

    def judge(self, ladder: Sequence[Step] = LADDER) -> LayerVerdict:
        """Return the ladder's verdict."""
        if isinstance(self.case, str):
            return _missing(self.record.layer, self.case)
        return judge_case(self.case, ladder)

    def judge_as(self, y: AnyArray, ladder: Sequence[Step] = LADDER) -> LayerVerdict:
        """Return the ladder's verdict on another array, taken as what the layer made."""
        if isinstance(self.case, str):
            return _missing(self.record.layer, self.case)
        case = self.case
        again = Case(case.layer, case.inputs, (y,), case.then, case.spread, case.why_no_spread)
        return judge_case(again, ladder)

    def _layer(self, name: str) -> Layer | str:
        found = [layer for layer in self.state.layers if layer.name == name]
        if len(found) != 1:
            return "its configuration was not recorded"
        training = self.probe.kind in ("fit", "train")
        devices = _devices(self.capsule, self.probe)
        masked = self.record.masked and name == self.record.layer
        try:
            return layer_of(self.capsule, self.state, found[0], training, devices, masked)
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
    if probe.state is None or not 0 <= probe.state < len(capsule.manifest.states):
        return ()
    state = capsule.manifest.states[probe.state]
    return tuple(Seen(capsule, probe, state, output) for output in probe.layers)


def judge_probe(
    capsule: Capsule, probe: Probe, ladder: Sequence[Step] = LADDER
) -> tuple[LayerVerdict, ...]:
    """Judge every layer of a probe, and the model's own output as what its last layer made.

    The last verdict, named "prediction", says whether the probe's output is the last layer's, bit
    for bit or within that layer's bound. Nothing is returned where no layers were recorded.
    """
    seen = seen_layers(capsule, probe)
    if not seen:
        return ()
    verdicts = [each.judge(ladder) for each in seen]
    return (*verdicts, *_prediction(capsule, probe, seen, verdicts, ladder))


def _prediction(
    capsule: Capsule,
    probe: Probe,
    seen: Sequence[Seen],
    verdicts: Sequence[LayerVerdict],
    ladder: Sequence[Step],
) -> tuple[LayerVerdict, ...]:
    if not probe.outputs:
        return ()
    by_name = {each.last: number for number, each in enumerate(seen)}
    places = [by_name[name] for name in output_names(seen[0].state) if name in by_name]
    if len(places) != len(probe.outputs):
        return (_missing(PREDICTION, "which layers made it was not recorded"),)
    found: list[LayerVerdict] = []
    for place, ref in zip(places, probe.outputs, strict=True):
        case = seen[place].case
        try:
            y = capsule.array(ref)
        except CapsuleError as error:
            found.append(_missing(PREDICTION, str(error)))
            continue
        if not isinstance(case, str) and len(case.outputs) == 1 and same_bits(case.outputs[0], y):
            found.append(verdicts[place])
        else:
            found.append(seen[place].judge_as(y, ladder))
    return tuple(each.model_copy(update={"layer": PREDICTION}) for each in found)


def _devices(capsule: Capsule, probe: Probe) -> tuple[str, ...]:
    """Return the kinds of device on which a probe ran, or may have run where it is not known."""
    named = [op.device for op in probe.executed.ops if op.device] if probe.executed else []
    kinds = {each.partition(":")[0] for each in named or capsule.manifest.environment.devices}
    return tuple(sorted(kinds)) or ("CPU",)


def _missing(name: str, why: str) -> LayerVerdict:
    return LayerVerdict(layer=name, cls="", verdict="abstained", rung="abstained", why=why)
