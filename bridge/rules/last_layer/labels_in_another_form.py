"""Targets and outputs have shapes that do not belong together, and Keras stretches one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.capsule import Call
from bridge.capsule.values import ArrayValue
from bridge.rules.losses import DISTANCES, loss_of
from bridge.rules.models import is_one_hot, trainings, whole
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, is_one_dimensional, name_of, output_layer

RULE = Rule(
    "L09",
    "labels-in-another-form",
    cause="user-script",
    explains=("L10", "L11", "T02", "D08", "M07"),
)
#: What sets two tensors side by side, element by element.
_ELEMENTWISE: Final = frozenset(
    {"subtract", "add", "multiply", "divide", "squared_difference", "maximum", "minimum"}
)
_REDUCING: Final = frozenset({"reduce_mean", "reduce_sum", "mean", "sum"})
_STRETCHING: Final = DISTANCES | {"poisson", "hinge", "squaredhinge", "binarycrossentropy"}


@RULE.detector
def stretched(run: Run) -> Iterator[Finding]:
    """Find one target of a row set against several outputs, which is repeated for each."""
    for training in trainings(run):
        end, y = training.end, training.y
        if end is None or y is None or training.used.loss not in _STRETCHING or not end.shape:
            continue
        if len(end.shape) != 2 or (end.width or 1) < 2 or not is_one_dimensional(y):
            continue
        yield RULE.finding(
            f"One target of a row is set against all {end.width} outputs",
            "Keras repeats it for each of them and says nothing, so that all learn the same.",
            at=run.layer_place(end.layer, "units", f"{end.width} outputs") or training.probe.line,
            also=(training.probe.line,),
            evidence=(("shape of the targets", str(y.shape)), ("of the output", _shape(end.shape))),
            help=run.help(
                "Give the last layer one unit, or the targets a column for each output.",
                run.set_number(run.maker(end.layer), "units", 1),
            ),
        )
        return


@RULE.detector
def one_for_several(run: Run) -> Iterator[Finding]:
    """Find several targets of a row set against one output, which is repeated for each."""
    for training in trainings(run):
        end, y = training.end, training.y
        if end is None or y is None or training.used.loss not in _STRETCHING or not end.shape:
            continue
        if len(end.shape) != 2 or end.width != 1 or y.ndim != 2 or y.shape[1] < 2:
            continue
        yield RULE.finding(
            f"One output is set against all {y.shape[1]} targets of a row",
            "Keras repeats it for each of them and says nothing, so that it learns their middle.",
            at=run.layer_place(end.layer, "units", "one output") or training.probe.line,
            also=(training.probe.line,),
            evidence=(("shape of the targets", str(y.shape)), ("of the output", _shape(end.shape))),
            help=run.help(
                "Give the last layer a unit for each column of the targets.",
                run.set_number(run.maker(end.layer), "units", y.shape[1]),
            ),
        )
        return


@RULE.detector
def left_out(run: Run) -> Iterator[Finding]:
    """Find several arrays of targets for one output: Keras 2 takes the first and drops the rest."""
    for training in trainings(run, evaluations=True):
        targets = [target for target in training.probe.targets if target.name.startswith("y")]
        last = output_layer(training.state)
        if len(targets) < 2 or last is None:
            continue
        yield RULE.finding(
            f"{len(targets)} arrays of targets are given to a model of one output",
            "Keras takes the first of them, drops the others and says nothing.",
            at=training.probe.line,
            also=(run.layer_place(last, label="the one output"),),
            help=Help(text="Bind them as columns of one matrix.", after="y = cbind(y1, y2)"),
        )
        return


@RULE.detector
def refused(run: Run) -> Iterator[Finding]:
    """Find class numbers under a categorical loss, and one-hot rows under a sparse one."""
    for call in run.asked:
        probe = next((probe for probe in run.probes if probe.call == call.id), None)
        if call.error is None or probe is None or probe.kind not in ("fit", "evaluate", "train"):
            continue
        state = run.state(probe)
        targets = [target for target in probe.targets if target.name.startswith("y")]
        y = run.array(targets[0]) if len(targets) == 1 else None
        if state is None or y is None:
            continue
        used = loss_of(run, state)
        loss = used.loss
        numbers = is_one_dimensional(y) and whole(y)
        if loss == "categoricalcrossentropy" and numbers:
            yield RULE.finding(
                "The categorical loss wants one-hot targets, and gets class numbers",
                "Its targets are one-hot; those of the sparse loss are numbers from 0 on.",
                at=probe.line,
                help=run.help(
                    "Take the sparse loss, or to_categorical().",
                    run.set_argument(used.call, "loss", '"sparse_categorical_crossentropy"'),
                ),
                refused=True,
            )
            return
        if loss == "sparsecategoricalcrossentropy" and is_one_hot(y):
            yield RULE.finding(
                "The sparse loss wants class numbers, and gets one-hot targets",
                "Its targets are numbers from 0 on; those of the categorical loss are one-hot.",
                at=probe.line,
                help=run.help(
                    "Take the categorical loss.",
                    run.set_argument(used.call, "loss", '"categorical_crossentropy"'),
                ),
                refused=True,
            )
            return


@RULE.detector
def rows_against_rows(run: Run) -> Iterator[Finding]:
    """Find a column set against a vector of as many rows, whose table is then reduced.

    TensorFlow stretches both, so that each row is set against every other; a loss that is written
    out by hand takes the mean of that.
    """
    for place, call in enumerate(run.asked):
        shapes = [value.shape for value in _arrays(call)]
        column = next((shape for shape in shapes if len(shape) == 2 and shape[1] == 1), None)
        if name_of(call) not in _ELEMENTWISE or column is None or column[0] < 2:
            continue
        if sorted(shapes) != sorted([column, column[:1]]) or not _reduced(run.asked[place:]):
            continue
        rows = column[0]
        yield RULE.finding(
            f"Each of {rows} rows is set against all {rows}",
            f"A column of {rows} meets a vector of {rows}, and TensorFlow makes a table of both. "
            "The mean over it is least where all answers are the same.",
            at=run.place(call) or call.line,
            evidence=(("shapes that meet", f"{shapes[0]} and {shapes[1]}"),),
            # The shapes are certain; that no table of all pairs was wanted is not.
            confidence="likely",
            help="Keep the column: y[rows, , drop = FALSE] or matrix(y, ncol = 1).",
        )
        return


def _arrays(call: Call) -> Iterator[ArrayValue]:
    for value in (*call.args, *call.kwargs.values()):
        if isinstance(value, ArrayValue):
            yield value


def _reduced(calls: Sequence[Call]) -> bool:
    """Say whether what the first call gives ends in a mean or a sum, however it is changed."""
    followed = {calls[0].result.id} if isinstance(calls[0].result, ArrayValue) else set()
    for call in calls[1:]:
        if not any(value.id in followed for value in _arrays(call)):
            continue
        if name_of(call) in _REDUCING:
            return True
        if isinstance(call.result, ArrayValue):
            followed.add(call.result.id)
    return False


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('n' if size is None else str(size) for size in shape)})"
