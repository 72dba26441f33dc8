"""The accuracy that is told answers another question than is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.rules.models import Training, has_metric, is_one_hot, trainings, whole
from bridge.rules.rule import Finding, Help, Rule, Span
from bridge.rules.run import Run, is_one_dimensional, same

RULE = Rule("L10", "accuracy-of-another-question", cause="maths", whose="Keras")


@RULE.detector
def several_labels(run: Run) -> Iterator[Finding]:
    """Find several labels of a row whose accuracy compares the largest column alone."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or end.activation not in ("sigmoid", "hard_sigmoid"):
            continue
        if not has_metric(training.state, "accuracy", "acc") or y.ndim != 2 or y.shape[1] < 2:
            continue
        labels = bool(np.all((y == 0) | (y == 1)))
        if end.width != y.shape[1] or not labels or np.all(y.sum(axis=1) == 1):
            continue
        yield RULE.finding(
            "Accuracy compares only the largest of the labels of a row",
            f'With {y.shape[1]} columns, "accuracy" is that of one class of several. '
            "Rows here have any number of labels.",
            at=run.place(training.used.call, "metrics", "of one class of several")
            or training.probe.line,
            evidence=_both(run, training, y),
            help=Help(
                text="Ask for the accuracy of each label.",
                before='metrics = "accuracy"',
                after='metrics = "binary_accuracy"',
            ),
        )
        return


@RULE.detector
def other_labels(run: Run) -> Iterator[Finding]:
    """Find two classes that are not 0 and 1, of which an accuracy never counts one as right."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or end.width != 1 or not is_one_dimensional(y) or not whole(y):
            continue
        values = {float(label) for label in np.unique(y)}
        if len(values) != 2 or values <= {0.0, 1.0}:
            continue
        if has_metric(training.state, "accuracy", "acc", "binary_accuracy"):
            yield RULE.finding(
                "Accuracy never counts one of the two classes as right",
                "It compares each label with 0 or 1, and the labels are "
                f"{min(values):g} and {max(values):g}.",
                at=run.place(training.used.call, "metrics", "of labels 0 and 1")
                or training.probe.line,
                help="Number the classes 0 and 1, or compare the signs yourself.",
            )
            return


@RULE.detector
def each_column(run: Run) -> Iterator[Finding]:
    """Find exclusive classes whose accuracy counts the columns of a row one by one."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or end.activation != "softmax" or not is_one_hot(y):
            continue
        if not has_metric(training.state, "binary_accuracy"):
            continue
        columns = y.shape[-1]
        yield RULE.finding(
            "Accuracy counts each column, and a row has one class",
            f"A row of {columns} columns has {columns - 1} zeros, and each that is below 0.5 counts"
            f" as right: whoever never decides has {(columns - 1) / columns:.0%}.",
            at=_metrics(run, training, "of each column"),
            evidence=_both(run, training, y),
            help=_instead(run, training, '"accuracy"', "Ask for the accuracy of the class."),
            whose="yours",
        )
        return


@RULE.detector
def logits_against_a_half(run: Run) -> Iterator[Finding]:
    """Find logits that an accuracy compares with 0.5, the middle of probabilities."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or end.activation != "linear" or end.width != 1:
            continue
        if not training.used.logits or not np.all((y == 0) | (y == 1)):
            continue
        named = has_metric(training.state, "accuracy", "acc", "binary_accuracy")
        if named and _threshold(training.state.compiled) in (None, 0.5):
            yield RULE.finding(
                "Accuracy compares logits with 0.5, and their middle is 0",
                "A logit of 0 is a probability of one half. Rows with a logit from 0 to 0.5 are "
                "counted as class 0, though the model holds class 1 for likelier.",
                at=_metrics(run, training, "of probabilities"),
                help=_instead(
                    run, training, "metric_binary_accuracy(threshold = 0)", "Move the threshold."
                ),
            )
            return


@RULE.detector
def one_column(run: Run) -> Iterator[Finding]:
    """Find accuracies that look for the largest of several columns where there is one."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or end.width != 1 or not is_one_dimensional(y):
            continue
        if has_metric(training.state, "categorical_accuracy"):
            yield RULE.finding(
                "Accuracy is 1 whatever is predicted: there is one column",
                "It compares the places of the largest columns, and of one column that is the "
                "largest in every row.",
                at=_metrics(run, training, "of the largest column"),
                help=_instead(run, training, '"accuracy"', "Ask for the accuracy of 0 and 1."),
                whose="yours",
            )
            return


def _metrics(run: Run, training: Training, label: str) -> Span | int | None:
    return run.place(training.used.call, "metrics", label) or training.probe.line


def _instead(run: Run, training: Training, metric: str, text: str) -> Help:
    """Return the help that takes another metric, as an edit where it was the only one."""
    compiled = training.state.compiled
    asked = compiled.get("metrics") if isinstance(compiled, dict) else None
    if isinstance(asked, list) and len(asked) == 1:
        return run.help(text, run.set_argument(training.used.call, "metrics", metric))
    return Help(text=text, after=f"metrics = {metric}")


def _threshold(compiled: Any) -> float | None:
    """Return the first threshold in a configuration, None if there is none."""
    inner = compiled.get("metrics", compiled) if isinstance(compiled, dict) else compiled
    if isinstance(inner, dict):
        found = inner.get("threshold")
        if isinstance(found, int | float):
            return float(found)
        inner = list(inner.values())
    parts = inner if isinstance(inner, list) else []
    return next((t for part in parts if (t := _threshold(part)) is not None), None)


def _both(run: Run, training: Training, y: npt.NDArray[Any]) -> tuple[tuple[str, str], ...]:
    """Return both accuracies of a prediction of the same rows."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "predict" or state is None or state.id != training.state.id:
            continue
        if len(probe.inputs) != 1 or not same(run.array(probe.inputs[0]), training.x):
            continue
        p = run.array(probe.outputs[0])
        if p is not None and p.shape == y.shape:
            largest = float(np.mean(p.argmax(axis=1) == y.argmax(axis=1)))
            return (
                ("accuracy of the largest column", f"{largest:.4g}"),
                ("accuracy of each label", f"{float(np.mean((p > 0.5) == (y > 0.5))):.4g}"),
            )
    return ()
