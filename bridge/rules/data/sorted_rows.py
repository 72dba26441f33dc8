"""The rows are sorted, and the last of them are set aside to validate with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import Array, Probe
from bridge.rules.losses import loss_of
from bridge.rules.models import is_one_hot, whole
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of, is_one_dimensional
from bridge.translate.script_text import Cut

RULE = Rule("D05", "sorted-rows", cause="maths", explains=("D08", "T02"))
_OF_CLASSES: Final = (
    "categoricalcrossentropy",
    "sparsecategoricalcrossentropy",
    "binarycrossentropy",
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find rows to validate with whose targets do not occur among the rows to train with."""
    for probe in run.probes:
        share = probe.settings.get("validation_split")
        if probe.kind != "fit" or not isinstance(share, float) or not 0 < share < 1:
            continue
        y = run.array(probe.targets[0]) if probe.targets else None
        if y is None or len(y) < 2:
            continue
        cut = int(len(y) * (1 - share))
        if y.ndim == 2 and y.shape[1] > 1 and set(np.unique(y)) <= {0, 1}:
            y = np.argmax(y, axis=1)
        if not is_one_dimensional(y):
            continue
        flat = np.asarray(y, np.float64).reshape(len(y))
        seen, rest = flat[:cut], flat[cut:]
        if not seen.size or not rest.size:
            continue
        if rest.min() > seen.max() or rest.max() < seen.min() or _lacking(flat, rest):
            yield RULE.finding(
                "The rows are sorted, so that validation has other targets than training",
                f"validation_split = {share:g} takes the last {len(rest):,} of {len(flat):,} rows, "
                "before anything is shuffled.",
                at=probe.line,
                evidence=(
                    ("targets that are trained", _range(seen)),
                    ("targets that are validated", _range(rest)),
                ),
                help=run.help("Shuffle the rows first.", _shuffled(run, probe)),
            )
            return


def _range(y: npt.NDArray[np.float64]) -> str:
    low, high = float(y.min()), float(y.max())
    return f"{low:g} to {high:g}" if low < high else f"{low:g} alone"


@RULE.detector
def never_trained(run: Run) -> Iterator[Finding]:
    """Find classes that a model is validated or evaluated with, and was never trained with."""
    trained: dict[int, set[int]] = {}
    for probe in run.probes:
        state = run.state(probe)
        if state is None or probe.kind not in ("fit", "train", "evaluate"):
            continue
        if loss_of(run, state).loss not in _OF_CLASSES:
            continue
        known = trained.setdefault(state.id, set())
        if probe.kind == "evaluate":
            asked, by = _classes(run, probe.targets), "evaluate()"
        else:
            y = _classes(run, probe.targets)
            if y is None:
                # What was trained with is not all known.
                return
            share = probe.settings.get("validation_split")
            known |= set(y[: int(len(y) * (1 - share))] if isinstance(share, float) else y)
            asked, by = _classes(run, probe.validation[1:2]), "the validation"
        if asked is None:
            continue
        # One row of a class falls on one side by chance.
        new = [c for c in sorted(set(asked) - known) if int(np.sum(asked == c)) > 1]
        if known and new:
            count = int(np.isin(asked, new).sum())
            yield RULE.finding(
                f"Class {new[0]} was never trained, and {by} asks for it",
                f"{count:,} of its {len(asked):,} rows are of such a class, counted from 0. Rows "
                "that stand class by class are not split by their numbers.",
                at=probe.line,
                evidence=(
                    ("classes that are trained", ", ".join(map(str, sorted(known)))),
                    (f"classes of {by}", ", ".join(map(str, sorted(set(asked))))),
                ),
                help="Draw the rows to train with by chance: sample(nrow(x), ...).",
                cause="user-script",
            )
            return


def _classes(run: Run, given: Sequence[Array]) -> npt.NDArray[np.int64] | None:
    """Return the class of each row, counted from 0; None where the targets are no classes."""
    y = run.array(given[0]) if len(given) == 1 else None
    if y is None or not y.size:
        return None
    if y.ndim == 2 and is_one_hot(y):
        y = np.argmax(y, axis=1)
    if not is_one_dimensional(y) or not whole(y):
        return None
    return np.asarray(y, np.int64).reshape(len(y))


def _lacking(classes: npt.NDArray[np.float64], rest: npt.NDArray[np.float64]) -> bool:
    """Say whether rows stand class by class, several of each, and some class is not in the rest."""
    known = np.unique(classes)
    if not whole(classes) or 2 * len(known) > len(classes) or len(known) < 2:
        return False
    blocks = 1 + int(np.count_nonzero(np.diff(classes)))
    counts = [int(np.sum(classes == label)) for label in known]
    return blocks == len(known) and min(counts) > 1 and len(np.unique(rest)) < len(known)


def _shuffled(run: Run, probe: Probe) -> Cut | None:
    """Return the edit that shuffles the rows of x and y before they are trained with."""
    call = call_of(run.capsule, probe)
    x, y = run.data_names(call) if call is not None else ("", "")
    if call is None or call.line is None or not x or not y or len(probe.inputs) != 1:
        return None
    order = f"mixed <- sample(nrow({x}))"
    rows = f"{x} <- {x}[{_rows(probe.inputs[0])}]; {y} <- {y}[{_rows(probe.targets[0])}]"
    return run.text.line_before(call.line, f"{order}; {rows}")


def _rows(ref: Array) -> str:
    """Return the subscript that takes rows in another order and keeps all axes."""
    rank = len(ref.shape)
    return "mixed" + ", " * (rank - 1) + (", drop = FALSE" if rank > 1 else "")
