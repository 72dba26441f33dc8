"""The runs of exact probes, read from a capsule, and where what they made is not exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from bridge.capsule import Capsule, CapsuleError, ModelState, Probe
from bridge.compare.exact.expected import Numbers, agree, numbers_of
from bridge.compare.exact.labels import LEVER, SAME, Part, sees_every_layer
from bridge.compare.exact.result import ExactDeviation, ExactRefusal
from bridge.compare.numbers import AnyArray, Mask
from bridge.compare.result import Worst
from bridge.compare.rules import UnsupportedError, evaluate
from bridge.compare.rules.rounding import FLOAT32, FORMATS
from bridge.compare.wiring import WiringError

_WORST: Final = 3


@dataclass
class _Shared:
    """What the probes of one capsule that have the same numbers share."""

    numbers: dict[tuple[object, ...], Numbers | str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Run:
    """One probe: a stretch, or the start of one, run with its numbers in one setting."""

    capsule: Capsule
    probe: Probe
    state: ModelState
    part: Part
    shared: _Shared

    @property
    def setting(self) -> str:
        """How it was run, as reports print it."""
        return self.probe.label.removeprefix(f"{self.state.name}/")

    @property
    def lever(self) -> str:
        """The lever under which it was run, or nothing."""
        return (self.capsule.manifest.lever or "").removeprefix(LEVER).strip(": ")

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
        if sees_every_layer(self.setting):
            layers = self.probe.layers
            return {each.layer: self.capsule.array(each.outputs[0]) for each in layers}
        assert isinstance(self.numbers, Numbers)
        refs = zip(self.numbers.outputs, self.probe.outputs, strict=True)
        return {name: self.capsule.array(ref) for name, ref in refs}

    @cached_property
    def deviations(self) -> tuple[ExactDeviation, ...]:
        """The outputs that are not exact, in the order of the layers."""
        assert isinstance(self.numbers, Numbers)
        exact = self.numbers.exact
        return tuple(
            self._deviation(name, made, exact[name].value)
            for name, made in sorted(self.made.items(), key=lambda item: list(exact).index(item[0]))
            if made.shape != exact[name].value.shape or not agree(made, exact[name].value).all()
        )

    def _deviation(self, name: str, made: AnyArray, exact: AnyArray) -> ExactDeviation:
        same = made.shape == exact.shape
        wrong = ~agree(made, exact) if same else np.ones(made.shape, np.bool_)
        return ExactDeviation(
            setting=self.setting,
            lever=self.lever,
            style=self.part.style,
            output=name,
            points=int(made.size),
            different=int(wrong.sum()),
            worst=tuple(_worst(made, exact, wrong)) if same else (),
        )


def runs_of(capsule: Capsule) -> Iterator[Run]:
    """Yield the runs of a capsule."""
    shared = _Shared()
    for probe in capsule.manifest.probes:
        if probe.kind == "value" or probe.state is None:
            continue
        state = capsule.manifest.states[probe.state]
        part = Part.of(state)
        if part is not None:
            yield Run(capsule, probe, state, part, shared)


def refused_of(capsule: Capsule) -> Iterator[ExactRefusal]:
    """Yield the layers that no stretch covers."""
    for model, layer, probe in _told(capsule):
        if not noted(probe, SAME):
            yield ExactRefusal(model=model, layer=layer, why=" ".join(probe.notes))


@dataclass(frozen=True)
class Same:
    """A stretch that was not run, because it is the same computation as another."""

    model: str
    stretch: int
    layers: tuple[str, ...]
    bare: tuple[str, ...]
    other: str


def same_of(capsule: Capsule) -> Iterator[Same]:
    """Yield the stretches that were not run because they are the same as others."""
    for model, number, probe in _told(capsule):
        for other in noted(probe, SAME):
            yield Same(model, int(number), noted(probe, "layer"), noted(probe, "bare"), other)


def _told(capsule: Capsule) -> Iterator[tuple[str, str, Probe]]:
    """Yield what is told of models without a run: the model, of what in it, and the probe."""
    for probe in capsule.manifest.probes:
        if probe.kind == "value" and probe.state is not None:
            model = capsule.manifest.states[probe.state].name
            yield model, probe.label.removeprefix(f"{model}/"), probe


def explained(run: Run, layer: str) -> bool:
    """Say whether rounding in a layer, on its exact inputs, explains what it made."""
    assert isinstance(run.numbers, Numbers)
    try:
        (rule,) = evaluate(run.numbers.layers[layer], run.numbers.received(layer), received=False)
    except (UnsupportedError, ValueError):
        return True
    made = run.made[layer]
    if made.shape != rule.value.shape:
        return False
    gap = np.abs(made.astype(np.float64) - rule.value.astype(np.float64))
    return bool((gap <= rule.bound).all())


def noted(probe: Probe, word: str) -> tuple[str, ...]:
    """Read what the probe's notes list after a word."""
    return tuple(
        note.removeprefix(f"{word}: ") for note in probe.notes if note.startswith(f"{word}: ")
    )


def _worst(made: AnyArray, exact: AnyArray, wrong: Mask) -> Iterator[Worst]:
    with np.errstate(all="ignore"):
        gap = np.abs(made.astype(np.float64) - exact.astype(np.float64))
    ranked = np.where(wrong, np.nan_to_num(gap, nan=np.inf, posinf=np.inf), -1.0).ravel()
    for place in np.argsort(-ranked, kind="stable")[:_WORST].tolist():
        if ranked[place] >= 0.0:
            a, b = made.ravel()[place], exact.ravel()[place]
            step = FORMATS.get(made.dtype.name, FLOAT32).ulp(np.array([b], np.float64))
            yield Worst(
                index=tuple(int(part) for part in np.unravel_index(place, made.shape)),
                a=float(a),
                b=float(b),
                ulp=float(ranked[place] / step[0]),
            )
