"""A model is asked that was never trained, or that its training left as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.capsule import LayerState, ModelState
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, owner_of

RULE = Rule("T01", "never-trained", cause="user-script", explains=("D08", "T02"))
#: What gives a model weights but training: its own methods, and functions that read a file.
_GIVES = frozenset({
    "set_weights", "load_weights", "load_model", "load_model_tf", "train_on_batch", "assign",
    "apply_gradients", "minimize",
})  # fmt: skip


@RULE.detector
def left_as_it_was(run: Run) -> Iterator[Finding]:
    """Find a training after which every weight has the bits that it had before.

    Where another training of the script moves its weights, this one may have begun where its loss
    is least: then it is only worth knowing.
    """
    left, moved = [], False
    for training in trainings(run):
        weights = [weight for weight in training.weights(run) if weight.trainable]
        if any(weight.moved for weight in weights):
            moved = True
        elif weights:
            left.append(training)
    for training in left:
        epochs = training.probe.settings.get("epochs")
        yield RULE.finding(
            "fit() left every weight as it was",
            f"It ran {len(training.curve)} epochs, and no bit of a weight changed.",
            at=training.probe.line,
            evidence=(("epochs asked for", str(epochs)), ("weights that moved", "none")),
            help="Look at epochs, the learning rate, and which layers are frozen.",
            # A rate of 0 is what somebody wrote.
            decides=_rate(training.state) != 0 and not moved,
        )
        return


@RULE.detector
def nothing_is_free(run: Run) -> Iterator[Finding]:
    """Find a training of a model whose every layer with weights is frozen."""
    for training in trainings(run):
        weighted = list(_weighted(training.state.layers))
        if not weighted or any(free for _, free in weighted):
            continue
        frozen = [layer for layer, _ in weighted if layer.config.get("trainable") is False]
        known = list(training.weights(run))
        if not frozen or not known or any(weight.moved for weight in known):
            continue  # What compile() settled before they were frozen is trained all the same.
        yield RULE.finding(
            "Every layer is frozen, and fit() trains nothing",
            f"None of the {len(weighted)} layers with weights is free, and so none of them moves.",
            at=training.probe.line,
            also=(run.layer_place(weighted[-1][0], label="frozen too"),),
            help="Freeze the layers that are to stay, not the whole model, and compile() again.",
        )
        return


def _weighted(layers: Iterable[LayerState], free: bool = True) -> Iterator[tuple[LayerState, bool]]:
    """Yield the layers that have weights, and whether they are to be trained."""
    for layer in layers:
        own = free and bool(layer.config.get("trainable", True))
        if layer.layers:
            yield from _weighted(layer.layers, own)
        elif layer.weights:
            yield layer, own and any(weight.trainable for weight in layer.weights)


@RULE.detector
def another_model(run: Run) -> Iterator[Finding]:
    """Find predictions of a compiled model that was never trained, where another one was."""
    fitted = {training.state.id: training for training in trainings(run)}
    given = any(name_of(call) in _GIVES or "weights" in call.kwargs for call in run.asked)
    if not fitted or given:
        return
    compiled = {owner_of(call) for call in run.asked if name_of(call) == "compile"}
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind not in ("predict", "evaluate") or state is None or state.id in fitted:
            continue
        same = [training for training in fitted.values() if _alike(training.state, state)]
        shared = any(_shares(training.state, state) for training in fitted.values())
        earlier = [training for training in same if training.probe.index < probe.index]
        if state.id not in compiled or not earlier or shared or not state.layers:
            continue
        yield RULE.finding(
            "This model was never trained; another one was",
            f"fit() in line {earlier[0].probe.line} trains a model of the same layers. "
            "This one still has its start weights.",
            at=probe.line,
            also=(earlier[0].probe.line,),
            help="Ask the model that was trained, or train this one.",
        )
        return


def _rate(state: ModelState) -> float | None:
    """Return the learning rate that a model was compiled with, None where it is not known."""
    compiled = state.compiled if isinstance(state.compiled, dict) else {}
    optimizer = compiled.get("optimizer")
    config = optimizer.get("config") if isinstance(optimizer, dict) else None
    rate = config.get("learning_rate") if isinstance(config, dict) else None
    return float(rate) if isinstance(rate, (int, float)) else None


def _alike(left: ModelState, right: ModelState) -> bool:
    """Say whether two models are made of the same layers."""
    return [layer.cls for layer in left.layers] == [layer.cls for layer in right.layers]


def _shares(left: ModelState, right: ModelState) -> bool:
    """Say whether two models have a layer with weights in common."""
    ids = {layer.id for layer in left.layers if layer.weights and layer.id is not None}
    return any(layer.id in ids for layer in right.layers if layer.weights)
