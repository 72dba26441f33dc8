"""One model is asked as in training, and as in use."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.facts.layers import class_name, is_two_modes
from bridge.rules.pairs import in_training, pairs, same_outputs
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("P04", "training-mode", cause="maths", whose="Keras", explains=("P01", "P03"))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a model that was called on the same input in both modes."""
    for one, other in pairs(run):
        trained = [in_training(run, each) for each in (one, other)]
        if trained[0] == trained[1]:
            continue
        state = run.state(one)
        layers = [each for each in (state.layers if state else ()) if _two_modes(each.cls)]
        if not layers or same_outputs(run, one, other):
            continue
        first, second = (one, other) if trained[0] else (other, one)
        yield RULE.finding(
            "The model is asked as in training, and then as in use",
            f"{len(layers)} of its layers compute something else in each mode: statistics of the "
            "batch or moving ones, units dropped or kept.",
            at=first.line,
            also=(second.line, run.layer_place(layers[0], label="has two modes")),
            help="For predictions leave out training = TRUE.",
        )
        return


def _two_modes(cls: str) -> bool:
    name = class_name(cls)
    return name is not None and is_two_modes(name)
