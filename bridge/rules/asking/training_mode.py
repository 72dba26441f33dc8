"""One model is asked as in training, and as in use."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import Probe
from bridge.rules.asked_again import asked_again, is_drawing, losses_in_modes, same_bits
from bridge.rules.models import trainings
from bridge.rules.pairs import in_training, pairs, same_outputs
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, same

RULE = Rule(
    "P04",
    "training-mode",
    cause="maths",
    whose="Keras",
    needs=("one run", "evaluate again", "predict again"),
    explains=("P01", "P03"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a model that was called on the same input in both modes."""
    for earlier, later in pairs(run):
        trained = [in_training(run, probe) for probe in (earlier, later)]
        if trained[0] == trained[1]:
            continue
        state = run.state(earlier)
        layers = [layer for layer in (state.layers if state else ()) if is_drawing(layer)]
        if not layers or same_outputs(run, earlier, later):
            continue
        first, second = (earlier, later) if trained[0] else (later, earlier)
        yield RULE.finding(
            "The model is asked as in training, and then as in use",
            f"{len(layers)} of its layers compute something else in each mode: statistics of the "
            "batch or moving ones, units dropped or kept.",
            at=first.line,
            also=(second.line, run.layer_place(layers[0], label="has two modes")),
            help="For predictions leave out training = TRUE.",
        )
        return


@RULE.detector
def answers_of_training(run: Run) -> Iterator[Finding]:
    """Find the one answer that a model gives as in training, once fit() has trained it.

    Who asks so several times may want to see how the answers are spread.
    """
    asked = [
        probe
        for probe in run.probes
        if probe.kind == "call" and probe.state is not None and in_training(run, probe)
    ]
    if len(asked) != 1 or next(detect(run), None) is not None:
        return
    (probe,), state = asked, run.state(asked[0])
    fits = [fit for fit in trainings(run) if state is not None and fit.state.id == state.id]
    layer = next((layer for layer in (state.layers if state else ()) if is_drawing(layer)), None)
    before = [fit for fit in fits if fit.probe.index < probe.index]
    if layer is None or not before or len(before) < len(fits):
        return
    both = asked_again(run, probe, "training")
    if both is None or same_bits(both):
        return
    yield RULE.finding(
        "The trained model is asked as in training",
        "With training = TRUE some layers drop units, or take statistics of the batch. "
        "predict() and evaluate() ask the model as in use.",
        at=run.probe_place(probe, "training", "as in training"),
        also=(run.layer_place(layer, label="has two modes"),),
        evidence=(("the same rows as in use", "other numbers"),),
        confidence="likely",
        help="For predictions leave out training = TRUE.",
    )


@RULE.detector
def curve_and_evaluation(run: Run) -> Iterator[Finding]:
    """Tell of an evaluation of the trained rows that is not what the curve ended with.

    It is explained where the loss in training mode, with the same weights, is nearer to the curve.
    """
    fitted: dict[int, Probe] = {}
    for probe in run.probes:
        state = run.state(probe)
        if state is None:
            continue
        if probe.kind == "fit" and probe.curves.get("loss"):
            fitted[state.id] = probe
        fit = fitted.get(state.id)
        layer = next((layer for layer in state.layers if is_drawing(layer)), None)
        if probe.kind != "evaluate" or fit is None or layer is None:
            continue
        if not _same_data(run, fit, probe):
            continue
        modes, end = losses_in_modes(run, fit), fit.curves["loss"][-1]
        if modes is None or not abs(modes[0] - end) < abs(modes[1] - end):
            continue
        yield RULE.finding(
            "evaluate() leaves out what fit() does in training mode",
            "While it is trained some layers drop units, or take statistics of the batch. "
            "evaluate() asks the model as in use.",
            at=probe.line,
            also=(fit.line, run.layer_place(layer, label="has two modes")),
            evidence=(
                ("the curve's end", f"loss {end:.4g}"),
                ("in training mode, with the last weights", f"loss {modes[0]:.4g}"),
                ("as in use, with the same weights", f"loss {modes[1]:.4g}"),
            ),
            decides=False,
        )
        return


def _same_data(run: Run, fit: Probe, asked: Probe) -> bool:
    """Say whether an evaluation was given what a training was given."""
    a, b = (*fit.inputs, *fit.targets), (*asked.inputs, *asked.targets)
    share = fit.settings.get("validation_split")
    return (
        not share
        and len(a) == len(b)
        and all(same(run.array(x), run.array(z)) for x, z in zip(a, b, strict=True))
    )
