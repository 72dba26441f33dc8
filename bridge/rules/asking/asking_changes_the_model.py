"""Asking a model changed it."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import ModelState, Probe
from bridge.rules.pairs import in_training
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, same

RULE = Rule(
    "P05", "asking-changes-the-model", cause="keras-layer", whose="Keras", explains=("P01", "P09")
)
_ASKS = ("predict", "evaluate", "call")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find weights with other bits after a model was only asked."""
    before: dict[int, tuple[Probe, dict[tuple[str, int], str | None]]] = {}
    for probe in run.probes:
        state = run.state(probe)
        if state is None:
            continue
        now = _after(probe, state)
        earlier = before.get(state.id)
        before[state.id] = (probe, now)
        if probe.kind not in _ASKS or earlier is None or _changed_between(run, earlier[0], probe):
            continue
        moved = [
            key
            for key, value in now.items()
            if earlier[1].get(key, value) != value and _other_bits(run, earlier[1][key], value)
        ]
        if not moved:
            continue
        layer = next((layer for layer in state.layers if layer.name == moved[0][0]), None)
        training = in_training(run, probe)
        yield RULE.finding(
            "Calling the model with training = TRUE changed it"
            if training
            else "Asking the model changed it",
            f"{len(moved)} of its weights have other bits than before; the first is one of "
            f"{moved[0][0]}."
            + (" In training mode a layer keeps statistics of what it sees." if training else ""),
            at=probe.line,
            also=(run.layer_place(layer, label="changed"),),
            help="Leave out training = TRUE where you only ask." if training else None,
            cause="maths" if training else "",
        )
        return


def _after(probe: Probe, state: ModelState) -> dict[tuple[str, int], str | None]:
    """Name the elements of every weight after a probe."""
    after = {ref.name: ref.key for ref in probe.outputs} if probe.kind == "fit" else {}
    return {
        (layer.name, n): after.get(f"{layer.name}/{n}", weight.array.key)
        for layer in state.layers
        for n, weight in enumerate(layer.weights)
    }


def _other_bits(run: Run, left: str | None, right: str | None) -> bool:
    a, b = (run.capsule.arrays.get(key) if key is not None else None for key in (left, right))
    return a is not None and b is not None and not same(a, b)


def _changed_between(run: Run, earlier: Probe, later: Probe) -> bool:
    """Say whether anything but asking was done to a model between two probes."""
    if (
        earlier.call is None
        or later.call is None
        or earlier.kind == "train"
        or earlier.status != "made"
    ):
        return True
    asks = {probe.call for probe in run.probes if probe.kind in _ASKS}
    return any(
        earlier.call < call.id < later.call
        and call.id not in asks
        and name_of(call).startswith(
            ("set_", "assign", "apply", "load", "train", "fit", "minimize", "add", "pop", "adapt")
        )
        for call in run.capsule.manifest.calls
    )
