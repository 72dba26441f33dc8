"""What of a run is made again under a lever: few predictions, few rows, and which."""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.capsule import Capsule, Environment, LayerState, Manifest, ModelState, Probe
from bridge.capsule.schema import Array
from bridge.explain.lever_targets import FEW_ROWS, MOST_PROBES, part_of, telling
from bridge.rounding.layer_records import Judge


def recorded(activations: list[str], rows: int) -> Capsule:
    arrays: dict[str, Any] = {"x": np.linspace(-1, 1, rows, dtype=np.float32)[:, None]}
    arrays["y"] = np.maximum(arrays["x"] - np.float32(0.25), 0)
    x = Array(name="x", key="x", dtype="float32", shape=(rows, 1))
    y = Array(name="y", key="y", dtype="float32", shape=(rows, 1))
    states = tuple(
        ModelState(
            id=place, cls="keras.Sequential", keras="keras", name="m",
            layers=(LayerState(name="d", cls="keras.layers.Dense", config={"activation": name}),),
        )
        for place, name in enumerate(activations)
    )  # fmt: skip
    probes = tuple(
        Probe(index=place, kind="predict", state=place, inputs=(x,), outputs=(y,))
        for place in range(len(activations))
    )
    manifest = Manifest(
        runner="r", case="c", status="ok",
        environment=Environment(system="", machine="", python=""),
        states=states, probes=probes,
    )  # fmt: skip
    return Capsule(manifest, arrays)


def test_of_many_rows_the_ends_and_the_bend_are_kept() -> None:
    capsule = recorded(["relu"], 1001)
    part = part_of(capsule, {0}, FEW_ROWS, Judge())
    (probe,) = part.capsule.manifest.probes
    kept = part.capsule.array(probe.inputs[0])[:, 0]
    assert len(kept) == FEW_ROWS
    assert kept[0] == -1
    assert kept[-1] == 1
    assert np.min(np.abs(kept - 0.25)) <= 2 / 1000
    assert part.sentence == "8 of 1,001 rows"
    assert len(part.capsule.array(probe.outputs[0])) == FEW_ROWS


def test_what_is_small_is_left_as_it_is() -> None:
    capsule = recorded(["relu"], FEW_ROWS)
    part = part_of(capsule, {0}, FEW_ROWS, Judge())
    assert part.capsule.manifest.probes == capsule.manifest.probes
    assert part.sentence == ""


def test_every_activation_is_there_and_no_model_twice() -> None:
    names = ["relu", "tanh", "elu"] * MOST_PROBES
    capsule = recorded(names, 4)
    chosen = telling(capsule, capsule.manifest.probes)
    assert sorted(names[each.index] for each in chosen) == ["elu", "relu", "tanh"]
    part = part_of(capsule, range(len(names)), FEW_ROWS, Judge())
    assert part.sentence == f"3 of {len(names)} predictions"


def test_what_is_wanted_first_is_never_left_out() -> None:
    capsule = recorded(["relu"] * (MOST_PROBES + 5), 4)
    last = capsule.manifest.probes[-1]
    assert telling(capsule, capsule.manifest.probes, [last]) == [last]
