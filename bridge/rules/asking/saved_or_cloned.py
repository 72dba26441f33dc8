"""A copy of a model has other weights than the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.capsule import ModelState, Probe
from bridge.capsule.values import ObjectValue
from bridge.rules.asked_again import asked_again, predictions, same_bits
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, owner_of, same

RULE = Rule(
    "P06",
    "saved-or-cloned",
    cause="keras-layer",
    whose="Keras",
    needs=("predict again",),
    explains=("T01", "D08", "P03"),
)
#: What makes a model like another one, with weights of its own.
_COPIES: Final = frozenset({"clone_model", "from_config", "model_from_json"})
_GIVE_WEIGHTS: Final = frozenset({"set_weights", "load_weights"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a clone that is asked with other weights than its model had, on the same rows."""
    for call in run.asked:
        copy = call.result
        if name_of(call) not in _COPIES or not isinstance(copy, ObjectValue):
            continue
        given = [argument for argument in call.args if isinstance(argument, ObjectValue)]
        given += [
            argument for argument in call.kwargs.values() if isinstance(argument, ObjectValue)
        ]
        # Who gives it weights later knows that it has none.
        if not given or any(
            owner_of(later) == copy.id and name_of(later) in _GIVE_WEIGHTS for later in run.asked
        ):
            continue
        asked = [(p, s) for p, s in predictions(run) if s.id in (given[0].id, copy.id)]
        for earlier, before in asked:
            for later, after in asked:
                if (
                    before.id != given[0].id
                    or after.id != copy.id
                    or not _same_rows(run, earlier, later)
                ):
                    continue
                if not _alike(before, after) or _weights(before) == _weights(after):
                    continue
                if _was_trained(run, after.id):
                    continue
                both = asked_again(run, earlier, "cloned")
                if both is None or not same_bits(both):
                    continue
                yield RULE.finding(
                    "The clone has none of the model's weights",
                    f"{name_of(call)}() copies the layers and draws weights anew. "
                    "With the weights of the model set it gives the same bits.",
                    at=run.place(call, label="copies no weights"),
                    also=(later.line, earlier.line),
                    evidence=(("cloned again, with the weights set", "the same bits"),),
                    help="set_weights(copy, get_weights(model))",
                )
                return


@RULE.detector
def never_given(run: Run) -> Iterator[Finding]:
    """Find a copy of a trained model that is asked, and was neither trained nor given weights."""
    given_later = any(name_of(call) in _GIVE_WEIGHTS for call in run.asked)
    if given_later or next(detect(run), None) is not None:
        return
    for call in run.asked:
        copy, values = call.result, (*call.args, *call.kwargs.values())
        if name_of(call) not in _COPIES or not isinstance(copy, ObjectValue):
            continue
        asked = [(probe, s) for probe, s in predictions(run) if s.id == copy.id]
        given = [value.id for value in values if isinstance(value, ObjectValue)]
        # Of a configuration it is not known whose it is, but that it is the same.
        trained = [
            training
            for training in trainings(run)
            if (training.probe.call or call.id) < call.id
            and asked
            and (training.state.id in given or _same_config(training.state, asked[0][1]))
        ]
        moved = bool(trained) and any(weight.moved for weight in trained[-1].weights(run))
        asked = [(probe, s) for probe, s in predictions(run) if s.id == copy.id]
        if not moved or _was_trained(run, copy.id):
            continue
        learned = {weight.after.tobytes() for weight in trained[-1].weights(run) if weight.moved}
        own = (run.array(w.array) for layer in asked[0][1].layers for w in layer.weights)
        if any(array is not None and array.tobytes() in learned for array in own):
            continue
        yield RULE.finding(
            "The clone has none of the model's weights",
            f"{name_of(call)}() makes the layers again and draws weights anew. The clone was never "
            "trained.",
            at=run.place(call, label="copies no weights"),
            also=(asked[0][0].line, trained[-1].probe.line),
            evidence=(("weights of the clone and of the trained model", "other bits"),),
            help="set_weights(copy, get_weights(model))",
        )
        return


def _same_rows(run: Run, left: Probe, right: Probe) -> bool:
    a, b = left.inputs, right.inputs
    return (
        bool(a)
        and len(a) == len(b)
        and all(same(run.array(x), run.array(z)) for x, z in zip(a, b, strict=True))
    )


def _same_config(left: ModelState, right: ModelState) -> bool:
    return left.config is not None and left.config == right.config


def _alike(left: ModelState, right: ModelState) -> bool:
    return [layer.cls for layer in left.layers] == [layer.cls for layer in right.layers]


def _weights(state: ModelState) -> list[str | None]:
    return [weight.array.key for layer in state.layers for weight in layer.weights]


def _was_trained(run: Run, model: int) -> bool:
    trained = (run.state(probe) for probe in run.probes if probe.kind in ("fit", "train"))
    return any(state is not None and state.id == model for state in trained)
