"""What exact probes are in a capsule: whose model they run, how, and what they made of it.

A probe of a stretch has a record (:class:`bridge.capsule.ExactProbe`) of the stretch and of how it
was run. So have the layers that no stretch covers, and the stretches that are the same computation
as another: their probes have no outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

import numpy as np

from bridge._typing import AnyArray, Mask
from bridge.capsule import Capsule, CapsuleError, ExactProbe, ModelState, Probe
from bridge.compare.result import Result, Rung, Verdict, Worst
from bridge.exact.integers import Exact, InexactError, exact_output
from bridge.rounding.layer_graph import LayerNode, WiringError, inputs_of, nodes_of, output_names
from bridge.rounding.rules import Layer, UnsupportedError, evaluate, layer_of
from bridge.rounding.rules.rounding import FLOAT32, FORMATS

# What a stretch must make of its whole numbers, and what it would make with one thing lost.
#
# Everything here is arithmetic on numbers that float64 holds exactly, so two results are the same
# or they are not.


@dataclass(frozen=True)
class Numbers:
    """A stretch with its whole numbers: layers with their weights, how they are fed, and inputs."""

    layers: Mapping[str, Layer]
    nodes: Mapping[str, LayerNode]
    inputs: Mapping[str, AnyArray]
    outputs: tuple[str, ...]

    @cached_property
    def exact(self) -> Mapping[str, Exact]:
        """What every layer makes.

        Raises:
            InexactError: something may be rounded; the message names the layer and the number.
        """
        found: dict[str, Exact] = {}
        values = dict(self.inputs)
        for name, node in self.nodes.items():
            try:
                output = exact_output(self.layers[name], [values[feed] for feed in node.feeds])
            except UnsupportedError as error:
                raise InexactError(f"layer {name!r}: {error}") from None
            found[name] = output
            values[name] = output.value
        return found

    def received(self, name: str) -> list[AnyArray]:
        """Return the exact inputs of a layer."""
        return [self.inputs[feed] if feed in self.inputs else self.exact[feed].value
                for feed in self.nodes[name].feeds]  # fmt: skip

    def likenesses(
        self, run_outputs: Sequence[AnyArray], names: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        """Yield each layer, and what it may have lost, whose loss alone gives ``run_outputs``."""
        for name in names:
            for what, lesser in _losses(self.layers[name]):
                outputs = self._with(name, lesser)
                if outputs is not None and all(
                    a.shape == b.shape and bool(agree(a, b).all())
                    for a, b in zip(run_outputs, outputs, strict=True)
                ):
                    yield name, what

    def _with(self, changed: str, layer: Layer) -> list[AnyArray] | None:
        """Return the outputs with another layer in the place of one."""
        values = dict(self.inputs) | {name: output.value for name, output in self.exact.items()}
        touched = {changed}
        for name, node in self.nodes.items():
            if name != changed and not touched.intersection(node.feeds):
                continue
            touched.add(name)
            given = [values[feed] for feed in node.feeds]
            use = layer if name == changed else self.layers[name]
            try:
                (evaluated,) = evaluate(use, given, received=False)
            except (UnsupportedError, ValueError):
                return None
            values[name] = evaluated.value
        return [values[name] for name in self.outputs]


def numbers_of(capsule: Capsule, state: ModelState, probe: Probe) -> Numbers:
    """Return the numbers of a probe, from the capsule that holds it.

    Raises:
        WiringError: how the layers hang together was not recorded.
        CapsuleError: an array was not recorded.
        InexactError: the model has other inputs than the probe.
    """
    names, arrays = inputs_of(state), [capsule.array(ref) for ref in probe.inputs]
    if len(names) != len(arrays):
        raise InexactError(f"the model has {len(names)} inputs and was given {len(arrays)}")
    nodes = nodes_of(state)
    devices = capsule.manifest.environment.devices or ("CPU",)
    layers = {
        layer.name: layer_of(capsule, state, layer, False, devices)
        for layer in state.layers
        if layer.name in nodes
    }
    return Numbers(layers, nodes, dict(zip(names, map(as_exact, arrays), strict=True)),
                   output_names(state))  # fmt: skip


def as_exact(x: AnyArray) -> AnyArray:
    """Return an input as a number that NumPy computes with: floats of any type as float32."""
    return x if x.dtype.kind in "biu" else x.astype(np.float32)


def agree(output: AnyArray, exact: AnyArray) -> Mask:
    """Return where two arrays have the same values.

    The sign of a zero is not one: which zero a sum of zeros gives is a matter of order.
    """
    return np.asarray(output.astype(np.float64) == exact.astype(np.float64))


def _losses(layer: Layer) -> Iterator[tuple[str, Layer]]:
    """Yield what a layer may lose, and the layer without it."""
    if layer.config.get("activation") not in (None, "linear"):
        config = {**layer.config, "activation": "linear"}
        yield "its activation", replace(layer, config=config)
    if "bias" in layer.weights:
        weights = {**layer.weights, "bias": np.zeros_like(layer.weights["bias"])}
        yield "its bias", replace(layer, weights=weights)


# What exact probes found, as data.


class ExactDeviation(Result):
    """A setting in which a stretch does not make the exact result; ``way`` is part of it.

    ``output`` is the layer whose output differs; in ``worst``, ``a`` is what was made and ``b``
    what is exact.
    """

    setting: str
    way: str
    lever: str
    style: str
    output: str
    points: int
    different: int
    worst: tuple[Worst, ...]


class ExactStretch(Result):
    """A part of a model that was probed with whole numbers, in several styles and settings.

    ``bare`` layers were probed without their activation; ``whole`` says that it is the model
    itself. Of the ``pairs`` of numbers and setting, ``agreed`` gave the exact result; ``points``
    counts the elements that were compared. Where some did not, ``layer`` is the first that is
    wrong and ``evidence`` says how that is known. A stretch that is the same computation as another
    was not run again: ``same_as`` names that one, and the pairs are counted there.
    """

    model: str
    stretch: int
    layers: tuple[str, ...]
    bare: tuple[str, ...]
    whole: bool
    verdict: Verdict
    rung: Rung
    settings: tuple[str, ...]
    pairs: int
    agreed: int
    points: int
    largest: float
    layer: str = ""
    evidence: str = ""
    deviations: tuple[ExactDeviation, ...] = ()
    raised: tuple[str, ...] = ()
    same_as: str = ""
    why: str = ""


class ExactRefusal(Result):
    """A layer that no exact probe covers, and the reason."""

    model: str
    layer: str
    why: str


class ExactResult(Result):
    """All exact probes of a run; ``deviating`` names the settings that differ somewhere."""

    verdict: Verdict
    rung: Rung
    pairs: int
    agreed: int
    points: int
    deviating: tuple[str, ...]
    stretches: tuple[ExactStretch, ...]
    refused: tuple[ExactRefusal, ...]
    sentence: str


# What exact probes are in a capsule.

#: What a capsule of exact probes says in the place of a lever.
LEVER: Final = "exact-probe"

#: The ways in which a model is run, and how they are called in a setting.
WAYS: Final = ("eager", "predict", "graph", "xla")

#: So many of the worst elements are listed.
_WORST: Final = 3


@dataclass(frozen=True)
class Setting:
    """How a model is run: the way, how many rows at a time (None: all), and whether every layer's
    output is asked for.
    """  # noqa: D205

    way: str
    rows: int | None = None
    every_layer: bool = False

    @property
    def label(self) -> str:
        """The setting as reports print it."""
        rows = "all rows at once" if self.rows is None else f"{self.rows} rows at a time"
        rows = "one row at a time" if self.rows == 1 else rows
        return ", ".join([self.way, rows, *(["every layer seen"] if self.every_layer else [])])


@dataclass(frozen=True)
class StretchPart:
    """What is run: a stretch with the numbers of one style, or the start of one."""

    model: str
    stretch: int
    style: str
    until: str = ""

    @property
    def name(self) -> str:
        """The name of the model that is run."""
        until = [self.until] if self.until else []
        return "/".join([self.model, str(self.stretch), self.style, *until])

    @classmethod
    def of(cls, exact: ExactProbe) -> Self:
        """Return what a probe ran."""
        return cls(exact.model, exact.stretch, exact.style, exact.until)


@dataclass(frozen=True)
class ProbedModel:
    """A model of a recorded run: its label, one of its states, and the numbers of all of them.

    States that differ in nothing but their weights are one subject, for an exact probe replaces
    the weights.
    """

    label: str
    state: ModelState
    states: tuple[int, ...]


def subjects(recorded: Capsule) -> tuple[ProbedModel, ...]:
    """Return the models with which a recorded run made predictions, each once."""
    manifest = recorded.manifest
    used = sorted(
        {
            probe.state
            for probe in manifest.probes
            if probe.kind in ("predict", "call", "evaluate", "fit", "train")
            and probe.state is not None
            and 0 <= probe.state < len(manifest.states)
        }
    )
    by_form: dict[str, list[int]] = {}
    for number in used:
        by_form.setdefault(_form(manifest.states[number]), []).append(number)
    found: dict[str, ProbedModel] = {}
    for numbers in by_form.values():
        state = manifest.states[numbers[0]]
        name = (state.name or "model").replace("/", ".")
        label = name if name not in found else f"{name} ({len(found) + 1})"
        found[label] = ProbedModel(label, state, tuple(numbers))
    return tuple(found.values())


def _form(state: ModelState) -> str:
    """Return all of a state but its weights' elements."""
    layers = [
        {
            **layer.model_dump(mode="json", exclude={"weights", "layers"}),
            "weights": [(weight.name, weight.array.shape) for weight in layer.weights],
        }
        for layer in state.layers
    ]
    return repr((state.cls, state.keras, state.name, state.config, layers))


@dataclass
class _Shared:
    """What the probes of one capsule that have the same numbers share."""

    numbers: dict[tuple[object, ...], Numbers | str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ExactRun:
    """One probe: a stretch, or the start of one, run with its numbers in one setting."""

    capsule: Capsule
    probe: Probe
    exact: ExactProbe
    state: ModelState
    shared: _Shared

    @property
    def part(self) -> StretchPart:
        """What was run."""
        return StretchPart.of(self.exact)

    @property
    def setting(self) -> str:
        """How it was run, as reports print it."""
        return Setting(self.exact.way, self.exact.rows, self.exact.every_layer).label

    @cached_property
    def numbers(self) -> Numbers | str:
        """The numbers, checked to be exact; or the sentence that says why they are not."""
        key = (self.probe.state, *(ref.key for ref in self.probe.inputs))
        if key not in self.shared.numbers:
            found: Numbers | str
            try:
                found = numbers_of(self.capsule, self.state, self.probe)
                _ = found.exact
            except (WiringError, CapsuleError, UnsupportedError) as error:
                found = str(error)
            self.shared.numbers[key] = found
        return self.shared.numbers[key]

    @cached_property
    def problem(self) -> str:
        """Say why the run cannot be judged, or nothing."""
        if isinstance(self.numbers, str):
            return self.numbers
        try:
            _ = self.made
        except (CapsuleError, IndexError) as error:
            return str(error)
        return ""

    @cached_property
    def made(self) -> dict[str, AnyArray]:
        """What was made, by the name of the layer."""
        if self.exact.every_layer:
            layers = self.probe.layers
            return {layer.layer: self.capsule.array(layer.outputs[0]) for layer in layers}
        assert isinstance(self.numbers, Numbers)
        refs = zip(self.numbers.outputs, self.probe.outputs, strict=True)
        return {name: self.capsule.array(ref) for name, ref in refs}

    @cached_property
    def deviations(self) -> tuple[ExactDeviation, ...]:
        """The outputs that are not exact, in the order of the layers."""
        assert isinstance(self.numbers, Numbers)
        exact = self.numbers.exact
        return tuple(
            self._deviation(name, output, exact[name].value)
            for name, output in sorted(
                self.made.items(), key=lambda item: list(exact).index(item[0])
            )
            if output.shape != exact[name].value.shape or not agree(output, exact[name].value).all()
        )

    def _deviation(self, name: str, output: AnyArray, exact: AnyArray) -> ExactDeviation:
        same = output.shape == exact.shape
        wrong = ~agree(output, exact) if same else np.ones(output.shape, np.bool_)
        return ExactDeviation(
            setting=self.setting,
            way=self.exact.way,
            lever=self.exact.lever,
            style=self.exact.style,
            output=name,
            points=int(output.size),
            different=int(wrong.sum()),
            worst=tuple(_worst(output, exact, wrong)) if same else (),
        )


def runs_of(capsule: Capsule) -> Iterator[ExactRun]:
    """Yield the runs of a capsule."""
    shared = _Shared()
    for probe in capsule.manifest.probes:
        exact = probe.exact
        if exact is not None and exact.outcome in ("made", "raised") and probe.state is not None:
            yield ExactRun(capsule, probe, exact, capsule.manifest.states[probe.state], shared)


def refused_of(capsule: Capsule) -> Iterator[ExactRefusal]:
    """Yield the layers that no stretch covers."""
    for exact in _not_run(capsule, "refused"):
        for layer in exact.layers:
            yield ExactRefusal(model=exact.model, layer=layer, why=exact.why)


def same_of(capsule: Capsule) -> Iterator[ExactProbe]:
    """Yield the stretches that were not run because they are the same as others."""
    return _not_run(capsule, "same")


def _not_run(capsule: Capsule, outcome: str) -> Iterator[ExactProbe]:
    for probe in capsule.manifest.probes:
        if probe.exact is not None and probe.exact.outcome == outcome:
            yield probe.exact


def explained(run: ExactRun, layer: str) -> bool:
    """Say whether rounding in a layer, on its exact inputs, explains what it made."""
    assert isinstance(run.numbers, Numbers)
    try:
        (rule,) = evaluate(run.numbers.layers[layer], run.numbers.received(layer), received=False)
    except (UnsupportedError, ValueError):
        return True
    output = run.made[layer]
    if output.shape != rule.value.shape:
        return False
    gap = np.abs(output.astype(np.float64) - rule.value.astype(np.float64))
    return bool((gap <= rule.bound).all())


def _worst(output: AnyArray, exact: AnyArray, wrong: Mask) -> Iterator[Worst]:
    with np.errstate(all="ignore"):
        gap = np.abs(output.astype(np.float64) - exact.astype(np.float64))
    ranked = np.where(wrong, np.nan_to_num(gap, nan=np.inf, posinf=np.inf), -1.0).ravel()
    for place in np.argsort(-ranked, kind="stable")[:_WORST].tolist():
        if ranked[place] >= 0.0:
            a, b = output.ravel()[place], exact.ravel()[place]
            step = FORMATS.get(output.dtype.name, FLOAT32).ulp(np.array([b], np.float64))
            yield Worst(
                index=tuple(int(part) for part in np.unravel_index(place, output.shape)),
                a=float(a),
                b=float(b),
                ulp=float(ranked[place] / step[0]),
            )
