"""Shrinking what differs: a recorded model cut down to fewer layers, rows and units.

Pure: it says what to try. Whether a smaller model still differs is found by running it. Several
are tried at once: each becomes one prediction of one recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import (
    Capsule,
    CapsuleError,
    ExecutedGraph,
    LayerState,
    ModelState,
    Probe,
    WeightRecord,
)
from bridge.capsule.schema import Array
from bridge.explain.lever_search import Way
from bridge.facts.keras import generation_of
from bridge.facts.layers import LAYERS, class_name

#: Runs of layers that are tried, at most.
_MOST_WINDOWS: Final = 24


@dataclass(frozen=True)
class ConfiguredLayer:
    """A layer with its entry in a model's configuration, and its weights."""

    cls: str
    entry: dict[str, Any]
    state: LayerState
    weights: tuple[AnyArray, ...]

    @property
    def config(self) -> dict[str, Any]:
        """The layer's configuration."""
        config: dict[str, Any] = self.entry["config"]
        return config


@dataclass(frozen=True)
class Small:
    """A chain of layers, what it is given, and how it is run; ``keras`` names the package."""

    keras: str
    parts: tuple[ConfiguredLayer, ...]
    x: AnyArray
    way: Way

    @property
    def size(self) -> tuple[int, int, int]:
        """Layers, rows and numbers of weights: what is to be small, the most important first."""
        weights = sum(w.size for part in self.parts for w in part.weights)
        return len(self.parts), len(self.x), weights + self.x.size

    def state(self, number: int, arrays: dict[str, AnyArray]) -> ModelState:
        """Return the model as it would have been recorded; its weights are put into ``arrays``."""
        layers = []
        for place, part in enumerate(self.parts):
            weights = []
            for which, (record, value) in enumerate(
                zip(part.state.weights, part.weights, strict=True)
            ):
                weights.append(_kept(record, value, f"s{number}.{place}.{which}", arrays))
            before = self.parts[place - 1].state.name if place else "given"
            changed = {"weights": tuple(weights), "config": part.config, "inbound": (before,)}
            layers.append(part.state.model_copy(update=changed))
        first = "batch_input_shape" if generation_of(self.keras) == 2 else "batch_shape"
        given: dict[str, Any] = {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {first: [None, *self.x.shape[1:]], "dtype": self.x.dtype.name,
                       "sparse": False, "name": "given"},
            "registered_name": None,
        }  # fmt: skip
        if generation_of(self.keras) == 2:
            given["config"]["ragged"] = False
        config = {"name": f"small_{number}", "layers": [given, *(p.entry for p in self.parts)]}
        return ModelState(
            id=number, cls="keras.Sequential", keras=self.keras, name=f"small_{number}",
            layers=tuple(layers), config=config,
        )  # fmt: skip


def _kept(
    record: WeightRecord, value: AnyArray, key: str, arrays: dict[str, AnyArray]
) -> WeightRecord:
    arrays[key] = value
    array = record.array.model_copy(update={"key": key, "shape": value.shape})
    return record.model_copy(update={"array": array})


def recording(smalls: Sequence[Small], like: Capsule) -> Capsule:
    """Return a recording in which each of these is predicted once, by its place."""
    arrays: dict[str, AnyArray] = {}
    states, probes = [], []
    for number, small in enumerate(smalls):
        states.append(small.state(number, arrays))
        arrays[f"x{number}"] = small.x
        x = Array(name="x", key=f"x{number}", dtype=small.x.dtype.name, shape=small.x.shape)
        compiled = ExecutedGraph(functions=1, jit_compiled=True) if small.way == "xla" else None
        probes.append(
            Probe(
                index=number, label=f"small {number}", kind="predict", state=number, inputs=(x,),
                executed=compiled, eager=small.way == "eager",
            )
        )  # fmt: skip
    changed = {
        "states": tuple(states), "probes": tuple(probes), "calls": (), "plots": (), "output": (),
    }  # fmt: skip
    return Capsule(like.manifest.model_copy(update=changed), arrays)


def windows(capsule: Capsule, probe: Probe, names: frozenset[str], way: Way) -> list[Small]:
    """Return the runs of layers that end or begin near the wrong one, the shortest first.

    Each is given what its first layer received. Only layers of a chain can be taken out: those
    with one input that are called once, with nothing but that.
    """
    chain = _chain(capsule, probe)
    at = [place for place, (part, _) in enumerate(chain) if part.state.name in names]
    if not at:
        return []
    found = []
    for first in range(len(chain)):
        for last in range(first, len(chain)):
            x = chain[first][1]
            if first <= at[0] and at[-1] <= last and x is not None:
                parts = tuple(part for part, _ in chain[first : last + 1])
                found.append(Small(capsule.manifest.states[probe.state or 0].keras, parts, x, way))
    return sorted(found, key=lambda smaller: len(smaller.parts))[:_MOST_WINDOWS]


def _chain(capsule: Capsule, probe: Probe) -> list[tuple[ConfiguredLayer, AnyArray | None]]:
    """Return the longest run of plain layers with what each received, None if it was not seen."""
    state = capsule.state_of(probe)
    if state is None:
        return []
    entries = {entry["config"]["name"]: entry for entry in _entries(state.config)}
    seen = {}
    for record in probe.layers:
        if len(record.inputs) == 1 and not record.masked and not record.arguments:
            seen[record.layer] = record
    calls = [record.layer for record in probe.layers] + [
        name for record in probe.layers for name in record.through
    ]
    found: list[tuple[ConfiguredLayer, AnyArray | None]] = []
    through = {name for record in probe.layers for name in record.through}
    for layer in state.layers:
        name = layer.name
        plain = name in entries and calls.count(name) == 1 and not layer.layers
        if not plain or (name not in seen and name not in through):
            if class_name(layer.cls) == "InputLayer":
                continue
            if found:
                break
            continue
        if found and layer.inbound[:1] != (found[-1][0].state.name,):
            break
        try:
            weights = tuple(np.asarray(capsule.array(weight.array)) for weight in layer.weights)
            x = np.asarray(capsule.array(seen[name].inputs[0])) if name in seen else None
        except CapsuleError:
            break
        if x is not None and x.ndim == 1 and not found:
            x = x[:, None]
        cls = class_name(layer.cls) or ""
        entry = {key: value for key, value in entries[name].items() if key in _ENTRY}
        found.append((ConfiguredLayer(cls, entry, layer, weights), x))
    return found


#: What is kept of a layer's entry; the rest says how the recorded model was wired and built.
_ENTRY: Final = ("module", "class_name", "config", "registered_name")


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    layers = config.get("layers") if isinstance(config, dict) else None
    for entry in layers if isinstance(layers, list) else ():
        config_of = entry.get("config") if isinstance(entry, dict) else None
        if isinstance(config_of, dict) and config_of.get("name") is not None:
            yield entry


def fewer_rows(small: Small, wrong: Sequence[int]) -> list[Small]:
    """Return it with fewer rows: one that is wrong, two, some; the fewest first."""
    count = len(small.x)
    tries = [wrong[:1], [0], wrong[:2], wrong[:8], list(range(count // 2)),
             list(range(count // 2, count))]  # fmt: skip
    found = [replace(small, x=np.ascontiguousarray(small.x[sorted(set(rows))]))
             for rows in tries if rows and len(set(rows)) < count]  # fmt: skip
    return sorted(found, key=lambda smaller: len(smaller.x))


def fewer_units(small: Small, wrong: Sequence[int]) -> list[Small]:
    """Return it with fewer units of its last layer and fewer numbers in each row."""
    found = []
    for units in _counts(wrong, _width(small)):
        smaller = _with_units(small, units)
        if smaller is not None:
            found += [smaller, *_narrower(smaller)]
    found += _narrower(small)
    return sorted(found, key=lambda candidate: candidate.size)


def _units(cls: str) -> str:
    """Return the argument that says how many units a layer has, "" where they cannot be fewer."""
    return LAYERS[cls].units if cls in LAYERS else ""


def _width(small: Small) -> int:
    part = small.parts[-1]
    return part.weights[0].shape[-1] if _units(part.cls) and part.weights else 0


def _counts(wrong: Sequence[int], width: int) -> list[list[int]]:
    inside = [unit for unit in wrong if unit < width]
    tries = [inside[:1], inside[:2], list(range((width + 1) // 2))]
    return [sorted(set(choice)) for choice in tries if choice and len(set(choice)) < width]


def _with_units(small: Small, units: Sequence[int]) -> Small | None:
    part = small.parts[-1]
    if part.config.get("groups", 1) not in (1, None):
        return None
    weights = tuple(np.ascontiguousarray(w[..., list(units)]) for w in part.weights)
    narrowed = _with_part(part, {_units(part.cls): len(units)}, weights)
    return replace(small, parts=(*small.parts[:-1], narrowed))


def _narrower(small: Small) -> list[Small]:
    """Return it with half of the numbers of each row, or one, where a Dense layer takes them."""
    part, width = small.parts[0], small.x.shape[-1]
    if part.cls != "Dense" or not part.weights or width < 2:
        return []
    tries = [[int(np.argmax(np.abs(small.x).max(axis=tuple(range(small.x.ndim - 1)))))],
             list(range(2)), list(range((width + 1) // 2))]  # fmt: skip
    found = []
    for kept in tries:
        if len(kept) < width:
            kernel = np.ascontiguousarray(part.weights[0][kept])
            narrowed = _with_part(part, {}, (kernel, *part.weights[1:]))
            x = np.ascontiguousarray(small.x[..., kept])
            found.append(replace(small, parts=(narrowed, *small.parts[1:]), x=x))
    return found


def _with_part(
    part: ConfiguredLayer, changed: dict[str, Any], weights: tuple[AnyArray, ...]
) -> ConfiguredLayer:
    config = {**part.config, **changed}
    return replace(part, entry={**part.entry, "config": config}, weights=weights)
