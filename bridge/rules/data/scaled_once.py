"""The data were scaled for training, and not for what is asked then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import Probe
from bridge.rules.models import trained_before
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, call_of, r_name, same
from bridge.translate.script_text import Cut
from bridge.translate.syntax import Assign, Node, Operation, RCall, RSymbol, nodes_in, walk

RULE = Rule("D06", "scaled-once", cause="user-script", explains=("M07", "M11", "D08", "D01", "D03"))
#: The largest brightness of a picture of 8 bits.
_BYTE: Final = 255
#: Functions of R that make data, or hand them on as they are.
_KEEPING: Final = frozenset({
    "array", "as.matrix", "c", "cbind", "data.frame", "data.matrix", "head", "list", "matrix",
    "nrow", "rbind", "rbinom", "rep", "rexp", "rgamma", "rlnorm", "rnorm", "round", "rpois",
    "runif", "sample", "sample.int", "seq", "seq_len", "tail",
})  # fmt: skip


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a prediction or evaluation whose inputs lie on another scale than the training's."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind not in ("predict", "evaluate") or state is None or len(probe.inputs) != 1:
            continue
        training = trained_before(run, probe, state)
        x = run.array(probe.inputs[0])
        fit = training.x if training is not None else None
        if training is None or fit is None or x is None or x.shape[1:] != fit.shape[1:]:
            continue
        if not x.size or not fit.size or not (np.all(np.isfinite(x)) and np.all(np.isfinite(fit))):
            continue
        for scaled, raw, where in ((fit, x, "fit()"), (x, fit, f"{probe.kind}()")):
            asked = (training.probe, probe) if scaled is fit else (probe, training.probe)
            how = _scaled(scaled, raw) or _written(run, *asked, scaled, raw)
            if not how:
                continue
            yield RULE.finding(
                f"The inputs of {where} were scaled, and the others were not",
                f"{how} What the model learned on one scale says nothing on another.",
                at=probe.line,
                also=(training.probe.line,),
                evidence=(
                    ("inputs of fit()", f"{float(fit.min()):g} to {float(fit.max()):g}"),
                    (f"inputs of {probe.kind}()", f"{float(x.min()):g} to {float(x.max()):g}"),
                ),
                help=Help(
                    text="Scale both with the means and deviations of the training rows.",
                    after='scale(x, attr(train, "scaled:center"), attr(train, "scaled:scale"))',
                ),
            )
            return


@RULE.detector
def by_themselves(run: Run) -> Iterator[Finding]:
    """Find inputs that were scaled by their own means and deviations, as the training's were."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None or len(probe.inputs) != 1:
            continue
        training = trained_before(run, probe, state) if probe.kind != "fit" else None
        x = run.array(probe.inputs[0])
        by, fit = f"{probe.kind}()", training.x if training is not None else None
        if probe.kind == "fit" and len(probe.validation) > 1:
            by, fit, x = "the validation", x, run.array(probe.validation[0])
        if fit is None or x is None or x.shape[1:] != fit.shape[1:]:
            continue
        # The same rows in another order were scaled together.
        if same(np.sort(x, axis=0), np.sort(fit, axis=0)):
            continue
        if not (_standardised(fit) and _standardised(x)):
            continue
        first = training.probe if training is not None else probe
        yield RULE.finding(
            f"The inputs of {by} were scaled by their own means and deviations",
            "Each column has mean 0 and deviation 1, here as in fit(). A number then means "
            "something else in each of them.",
            at=probe.line,
            also=(first.line,) if first is not probe else (),
            evidence=(
                ("rows of fit(), mean and deviation", f"{len(fit):,}: 0 and 1"),
                (f"rows of {by}", f"{len(x):,}: 0 and 1"),
            ),
            help=run.help(
                "Scale both with the means and deviations of the training rows.",
                _scaled_alike(run, first, probe),
            ),
        )
        return


def _scaled_alike(run: Run, training: Probe, asked: Probe) -> Cut | None:
    """Return the edit that scales what is asked with the attributes of what was trained with."""
    calls = [call_of(run.capsule, probe) for probe in (training, asked)]
    names = [run.data_names(call)[0] for call in calls if call is not None]
    scaled = [
        next((node for node in nodes_in(run.tree, Assign) if _scales(node, name)), None)
        for name in names
    ]
    if len(scaled) != 2 or None in scaled or names[0] == names[1]:
        return None
    line = scaled[1].value.line if scaled[1] is not None else 0
    center, spread = (f'attr({names[0]}, "scaled:{part}")' for part in ("center", "scale"))
    return run.text.set_argument("scale", line, "center", f"{center}, scale = {spread}")


def _scales(node: Assign, name: str) -> bool:
    """Say whether an assignment gives a name what scale() makes without being told how."""
    value = node.value
    plain = isinstance(value, RCall) and value.name == "scale" and len(value.arguments) == 1
    return plain and isinstance(node.target, RSymbol) and node.target.name == name


def _scaled(scaled: npt.NDArray[Any], raw: npt.NDArray[Any]) -> str:
    """Say how one array was scaled where the other was not, "" if that is not proven."""
    kind = "mean 0 and deviation 1" if _standardised(scaled) else ""
    kind = "least 0 and largest 1" if _spread_to_one(scaled) else kind
    if kind:
        low, high = scaled.min(axis=0), scaled.max(axis=0)
        beyond = np.all((raw < low) | (raw > high), axis=0)
        # A later time lies beyond all earlier ones, rightly scaled: then one column does, and its
        # numbers are fractions without an end, as those of the other side are.
        written = beyond.any() and _is_short(raw[:, beyond]) and not _is_short(scaled)
        if written or (beyond.all() and len(beyond) > 1):
            return f"Each column has {kind}, and a column of the others lies beyond all of it."
    unit = scaled.min() >= 0 and scaled.max() <= 1 < raw.max() <= _BYTE and _whole(raw)
    exact = np.asarray(scaled, np.float64) * _BYTE
    # A fraction is kept in float32, so that the product is whole but for its rounding.
    room = _BYTE * float(np.finfo(np.float32).eps)
    if unit and not _whole(scaled) and np.all(np.abs(exact - np.round(exact)) <= room):
        return f"They are whole numbers divided by {_BYTE}, and the others are not divided."
    return ""


def _written(
    run: Run, left: Probe, right: Probe, scaled: npt.NDArray[Any], raw: npt.NDArray[Any]
) -> str:
    """Say that the text scales one and hands the other on as it was made, "" if it does not."""
    if not _standardised(scaled) or not _scales_one(run, left, right):
        return ""
    beyond = np.all((raw < scaled.min(axis=0)) | (raw > scaled.max(axis=0)), axis=0)
    if not beyond.any():
        return ""
    return "The script scales one of them, and a column of the others lies beyond it."


def _scales_one(run: Run, left: Probe, right: Probe) -> bool:
    """Say whether one moment's data come from scale(), and the other's from no arithmetic."""
    ways = [list(_behind(run, probe)) for probe in (left, right)]
    names = [{node.name for node in way if isinstance(node, RCall)} for way in ways]
    sums = any(
        isinstance(node, Operation) and node.left is not None and node.operator not in (":", "$")
        for node in ways[1]
    )
    return "scale" in names[0] and bool(ways[1]) and names[1] <= _KEEPING and not sums


def _behind(run: Run, probe: Probe) -> Iterator[Node]:
    """Yield all that the text computes the inputs of a moment from, variables as they were then."""
    call = call_of(run.capsule, probe)
    named = [
        node
        for node in run.written
        if call is not None and node.line == call.line and node.name == r_name(call)
    ]
    if len(named) != 1:
        return
    data = [argument.value for argument in named[0].arguments if argument.name in ("", "x")][1:2]
    found = [(node, named[0].line) for node in data if node is not None]
    assigned, seen = nodes_in(run.tree, Assign), set[Node]()
    while found:
        node, line = found.pop()
        for inner in walk(node):
            if inner in seen:
                continue
            seen.add(inner)
            yield inner
            if isinstance(inner, RSymbol):
                given = [
                    assignment
                    for assignment in assigned
                    if assignment.line < line and _names(assignment, inner)
                ]
                found += [(assignment.value, assignment.line) for assignment in given[-1:]]


def _names(assign: Assign, symbol: RSymbol) -> bool:
    return isinstance(assign.target, RSymbol) and assign.target.name == symbol.name


def _standardised(x: npt.NDArray[Any]) -> bool:
    """Say whether the columns have mean 0 and deviation 1, but for the rounding of float32."""
    if x.ndim != 2 or len(x) < 3:
        return False
    values = np.asarray(x, np.float64)
    room = float(np.finfo(np.float32).eps) * np.maximum(np.abs(values).max(axis=0), 1.0) * len(x)
    means, spreads = values.mean(axis=0), values.std(axis=0, ddof=1)
    return bool(np.all(np.abs(means) <= room) and np.all(np.abs(spreads - 1.0) <= room))


def _spread_to_one(x: npt.NDArray[Any]) -> bool:
    """Say whether each of several columns reaches from just 0 to just 1, with numbers between."""
    if x.ndim != 2 or x.shape[1] < 2 or len(x) < 3:
        return False
    ends = np.all(x.min(axis=0) == 0) and np.all(x.max(axis=0) == 1)
    return bool(ends and np.all(np.any((x > 0) & (x < 1), axis=0)))


def _is_short(x: npt.NDArray[Any]) -> bool:
    """Say whether all numbers have a few digits, as those that people measure and write."""
    flat = np.asarray(x).ravel()
    return bool(np.all(np.char.mod("%.6g", flat.astype(np.float64)).astype(flat.dtype) == flat))


def _whole(x: npt.NDArray[Any]) -> bool:
    return bool(np.all(x == np.round(x)))
