"""Rows that differ have one answer, bit for bit; or places of a row are never read."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import LayerState, ModelState
from bridge.facts.layers import class_name
from bridge.rules.models import seen_enough, trained_before
from bridge.rules.outcomes import one_for_all
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M07", "input-does-not-matter", cause="maths", explains=("D08",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a trained model whose prediction has the same bits for rows that differ."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "predict" or state is None or not one_for_all(run, probe):
            continue
        if trained_before(run, probe, state) is None or not seen_enough(run, probe, state):
            continue
        y = run.array(probe.outputs[0])
        count = len(y) if y is not None else 0
        yield RULE.finding(
            "The prediction does not depend on the input",
            f"{count:,} rows that differ have one answer, bit for bit.",
            at=probe.line,
            help="Look at the layers in between: one of them hands on the same for every row.",
            open=("which layer makes the rows alike",),
        )
        return


@RULE.detector
def skipped(run: Run) -> Iterator[Finding]:
    """Find windows over a model's input that are moved by more than they are long."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "fit" or state is None:
            continue
        for layer in state.layers:
            size, stride = _window(layer)
            if not stride > size or not _reads_alone(state, layer):
                continue
            name = "kernel_size" if "kernel_size" in layer.config else "pool_size"
            yield RULE.finding(
                f"Strides of {stride} over windows of {size} skip part of the input",
                f"Of {stride} neighbours {size} can be read, and no other layer reads the input. "
                "What stands in the others cannot change a prediction.",
                at=run.layer_place(layer, "strides", "beyond the window") or probe.line,
                help=run.help(
                    f"Move windows by no more than their {name}.",
                    run.set_number(run.maker(layer), "strides", size),
                ),
            )
            return


def _window(layer: LayerState) -> tuple[int, int]:
    """Return length and stride of a layer's windows along the axis that is read least, or zeros."""
    kind = class_name(layer.cls) or ""
    moves = kind.startswith(("Conv", "DepthwiseConv", "SeparableConv", "MaxPool", "AveragePool"))
    if not moves or "Transpose" in kind:
        return 0, 0
    sizes = _numbers(layer.config.get("kernel_size", layer.config.get("pool_size")))
    strides = _numbers(layer.config.get("strides"))
    spread = any(number != 1 for number in _numbers(layer.config.get("dilation_rate")))
    pairs = [] if spread else list(zip(sizes, strides, strict=False))
    return max(pairs, key=lambda pair: pair[1] / pair[0], default=(0, 0))


def _numbers(value: object) -> list[int]:
    many = value if isinstance(value, list | tuple) else [value]
    return [number for number in many if isinstance(number, int) and number > 0]


def _reads_alone(state: ModelState, layer: LayerState) -> bool:
    """Say whether a layer is given the input itself, and no other layer is."""
    inputs = {member.name for member in state.layers if class_name(member.cls) == "InputLayer"}
    if layer.inbound:
        given = set(layer.inbound)
        # A Sequential model does not list its input.
        known = inputs or given - {member.name for member in state.layers}
        readers = [member for member in state.layers if given & set(member.inbound)]
        return given <= known and readers == [layer]
    return state.cls.endswith("Sequential") and state.layers[0] is layer
