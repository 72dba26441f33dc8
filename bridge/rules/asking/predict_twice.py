"""The same question, asked twice, has two answers."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.asked_again import asked_again, is_drawing, is_stateful, same_bits
from bridge.rules.pairs import in_training, pairs, same_outputs
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of

RULE = Rule(
    "P01",
    "predict-twice",
    cause="maths",
    whose="Keras",
    needs=("predict again",),
    explains=("P02", "P03", "P09"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a model that answers the same rows otherwise when it is asked once more.

    Both are asked in one way, so that nothing else can make the difference, and so is the model
    that is built again: it is asked twice, and has other bits each time.
    """
    for earlier, later in pairs(run):
        calls = [call_of(run.capsule, probe) for probe in (earlier, later)]
        alike = earlier.kind == later.kind and _way(calls[0]) == _way(calls[1])
        if not alike or in_training(run, earlier) or same_outputs(run, earlier, later):
            continue
        state, both = run.state(earlier), asked_again(run, later, "twice")
        if state is None or both is None or same_bits(both):
            continue
        stateful = next((layer for layer in state.layers if is_stateful(layer)), None)
        drawing = next((layer for layer in state.layers if is_drawing(layer)), None)
        layer = stateful or drawing
        yield RULE.finding(
            "The same rows, asked twice, have two answers",
            "A stateful layer goes on from where the batch before ended, until its state is reset."
            if stateful is not None
            else "A layer draws at random even when the model is only asked.",
            at=later.line,
            also=(earlier.line, run.layer_place(layer, label="differs from call to call")),
            evidence=(("built again and asked twice", "other numbers each time"),),
            help="Reset the states before each prediction."
            if stateful is not None
            else "Leave out training = TRUE where the layer is called.",
        )
        return


def _way(call: object) -> object:
    kwargs = getattr(call, "kwargs", {})
    return {name: kwargs.get(name) for name in ("batch_size", "training", "steps")}
