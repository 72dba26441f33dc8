"""What is frozen moved, or what is free did not: compile() settles what is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.rules.models import Training, trainings
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, name_of, owner_of

RULE = Rule("M04", "frozen-and-free", cause="keras-layer", whose="Keras", explains=("T01",))
_AGAIN = Help(text="Call compile() after freezing or unfreezing.", after="model |> compile(...)")


@RULE.detector
def frozen_moved(run: Run) -> Iterator[Finding]:
    """Find weights of a layer that was frozen when training began, and that changed bits."""
    for training in trainings(run):
        for weight in training.weights(run):
            frozen = weight.layer.config.get("trainable") is False
            if not frozen or not weight.moved:
                continue
            yield RULE.finding(
                "A frozen layer was trained all the same",
                f"{weight.layer.name} has trainable = FALSE, and its weights changed. "
                "What is trained was settled before it was frozen, by compile() or a first fit().",
                at=training.probe.line,
                also=(run.layer_place(weight.layer, label="frozen, and moved"),),
                evidence=(("weights before and after", "other bits"),),
                help=_AGAIN,
                cause="user-script",
                whose="yours",
            )
            return


@RULE.detector
def free_stayed(run: Run) -> Iterator[Finding]:
    """Find weights that were frozen in an earlier training, are free, and did not change a bit."""
    known: list[Training] = []
    for training in trainings(run):
        earlier = [past for past in known if past.state.id == training.state.id]
        known.append(training)
        was_frozen = {
            layer.name
            for past in earlier
            for layer in past.state.layers
            if layer.config.get("trainable") is False
        }
        weights = list(training.weights(run))
        # Where nothing moves, what is trained was settled before, if nobody compiled since.
        settled = any(weight.moved for weight in weights) or not _compiled_since(
            run, earlier, training
        )
        for layer in training.state.layers:
            own = [weight for weight in weights if weight.layer is layer and weight.trainable]
            if layer.name not in was_frozen or not own or not settled:
                continue
            if any(weight.moved for weight in own):
                continue
            yield RULE.finding(
                "A layer was set free, and is not trained",
                f"{layer.name} is trainable now, and none of its weights changed. "
                "What is trained was settled by the last compile().",
                at=training.probe.line,
                also=(run.layer_place(layer, label="free, and did not move"),),
                evidence=(("weights before and after", "the same bits"),),
                help=_AGAIN,
                cause="user-script",
                whose="yours",
            )
            return


def _compiled_since(run: Run, earlier: Sequence[Training], training: Training) -> bool:
    """Say whether a model may have been compiled between its last training and this one."""
    first = earlier[-1].probe.call if earlier else None
    last = training.probe.call
    if first is None or last is None:
        return True
    own = [call for call in run.asked if owner_of(call) == training.state.id]
    return any(first < call.id < last for call in own if name_of(call) == "compile")
