"""The names that exact probes have in a capsule, and the parts that they are made of.

A state is named ``model/stretch/style``, or ``model/stretch/style/layer`` for the part of a stretch
that ends with a layer. A probe is labelled with its state's name and its setting. A layer that is
not covered is a probe without outputs, labelled ``model/layer``, whose note says why; a stretch
that is the same as another is one labelled ``model/stretch``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.capsule import Capsule, ModelState

LEVER: Final = "exact-probe"

#: What a note begins with that says which stretch another is the same as.
SAME: Final = "same as"

#: The ways in which a model is run, and how they are called in a setting.
WAYS: Final = ("eager", "predict", "graph", "xla")

_EVERY: Final = "every layer seen"


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
        return ", ".join([self.way, rows, *([_EVERY] if self.every_layer else [])])


def way_of(setting: str) -> str:
    """Return the way of a setting's label."""
    return setting.partition(",")[0]


def sees_every_layer(setting: str) -> bool:
    """Say whether a setting's label says that every layer's output was asked for."""
    return setting.endswith(_EVERY)


@dataclass(frozen=True)
class Part:
    """What a state of an exact capsule is: a stretch in one style, or the start of one."""

    model: str
    stretch: int
    style: str
    until: str = ""

    @property
    def name(self) -> str:
        """The name of the state."""
        until = [self.until] if self.until else []
        return "/".join([self.model, str(self.stretch), self.style, *until])

    @classmethod
    def of(cls, state: ModelState) -> Part | None:
        """Read a state's name; None if it is not one of an exact probe."""
        model, _, rest = state.name.partition("/")
        number, _, rest = rest.partition("/")
        style, _, until = rest.partition("/")
        return cls(model, int(number), style, until) if number.isdigit() and style else None


@dataclass(frozen=True)
class Subject:
    """A model of a recorded run: its label, one of its states, and the numbers of all of them.

    States that differ in nothing but their weights are one subject, for an exact probe replaces
    the weights.
    """

    label: str
    state: ModelState
    states: tuple[int, ...]


def subjects(recorded: Capsule) -> tuple[Subject, ...]:
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
    found: dict[str, Subject] = {}
    for numbers in by_form.values():
        state = manifest.states[numbers[0]]
        name = (state.name or "model").replace("/", ".")
        label = name if name not in found else f"{name} ({len(found) + 1})"
        found[label] = Subject(label, state, tuple(numbers))
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
