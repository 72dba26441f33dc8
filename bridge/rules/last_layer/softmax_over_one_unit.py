"""A softmax over a single unit is 1, whatever it is given."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import ModelState
from bridge.facts.layers import class_name
from bridge.rules.losses import CATEGORICAL, loss_of
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of
from bridge.translate.script_text import Cut

RULE = Rule(
    "L01",
    "softmax-over-one-unit",
    cause="maths",
    explains=("D08", "L02", "L06", "L08", "L10", "M02", "M07", "M11", "T02"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a softmax whose axis has length 1."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None:
            continue
        widths = {layer.layer: layer.outputs[0].shape for layer in probe.layers if layer.outputs}
        for layer in state.layers:
            soft = activation_of(layer.config) == "softmax" or class_name(layer.cls) == "Softmax"
            shape = widths.get(layer.name)
            single = shape[-1] == 1 if shape else layer.config.get("units") == 1
            if not soft or not single or layer.config.get("axis", -1) not in (-1, [-1]):
                continue
            yield RULE.finding(
                "A softmax over one unit is 1 for every row",
                "A softmax shares 1 out among its units, and here there is one. "
                "The loss may fall all the same, where Keras takes it from the number before.",
                at=run.layer_place(layer, "activation", "over a single unit") or probe.line,
                help=run.help(
                    "One unit wants a sigmoid; a softmax wants a unit for each class.",
                    run.set_activation(layer, "sigmoid"),
                    *_binary(run, state),
                ),
            )
            return


def _binary(run: Run, state: ModelState) -> tuple[Cut | None, ...]:
    """Return the edit of a categorical loss: one unit with a sigmoid wants the binary one."""
    used = loss_of(run, state)
    if used.loss not in CATEGORICAL:
        return ()
    return (run.set_argument(used.call, "loss", '"binary_crossentropy"'),)
