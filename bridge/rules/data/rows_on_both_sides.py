"""The rows to validate or to test with are among those that were trained with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.rules.models import Training, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, same

RULE = Rule("D07", "rows-on-both-sides", cause="user-script")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find most rows of the validation bit for bit in a training whose own rows all differ."""
    for training in trainings(run):
        given = training.probe.validation
        own = run.array(given[0]) if given else None
        x = training.x
        if own is None or x is None or own.shape[1:] != x.shape[1:] or len(own) < 2:
            continue
        trained, validated = _rows(x), _rows(own)
        if len(set(trained)) < len(trained):
            continue  # Rows repeat by nature, as those of a small table of factors.
        both = sum(row in set(trained) for row in set(validated))
        if 2 * both <= len(set(validated)):
            continue
        yield RULE.finding(
            f"{both:,} of {len(own):,} rows to validate with are trained with too",
            "They are the same bit for bit, so that validation tells nothing of new rows.",
            at=training.probe.line,
            help="Draw the rows to validate with first, and leave them out of training.",
        )
        return


@RULE.detector
def earlier_rounds(run: Run) -> Iterator[Finding]:
    """Find most rows that a training holds back in one before it, from which the model goes on.

    The two trainings must have rows in common, as rounds of a cross validation have. A model that
    is taught new rows alone may be asked about the old ones on purpose.
    """
    fits = list(trainings(run))
    for later, earlier in ((b, a) for n, b in enumerate(fits) for a in fits[:n]):
        between = [fit for fit in fits if earlier.probe.index <= fit.probe.index]
        between = [fit for fit in between if fit.probe.index <= later.probe.index]
        if not all(_goes_on(run, a, b) for a, b in pairwise(between)):
            continue
        if earlier.x is None or later.x is None or earlier.x.shape[1:] != later.x.shape[1:]:
            continue
        before, last = set(_rows(earlier.x)), set(_rows(later.x))
        if before == last or not before & last:
            continue
        for held in _held_back(run, later):
            asked = set(_rows(held)) if held.shape[1:] == later.x.shape[1:] else set()
            if 2 * len(asked & last) >= len(asked) or 2 * len(asked & before) <= len(asked):
                continue
            yield RULE.finding(
                "The rows held back were trained with in an earlier round",
                f"{len(asked & before):,} of {len(asked):,} rows that it is tested with were "
                "trained with before. The model goes on with the weights of that round.",
                at=run.probe_place(later.probe, label="goes on with the weights it has"),
                evidence=[
                    ("weights when a later round begins", "those that the round before ended with"),
                    ("rows held back that an earlier round had", f"{len(asked & before):,}"),
                ],
                help="Make and compile the model anew in each round.",
            )
            return


def _goes_on(run: Run, earlier: Training, later: Training) -> bool:
    """Say whether a training begins with the weights that another one ended with."""
    if earlier.state.id != later.state.id:
        return False
    ended = {(w.layer.name, w.record.name): w.after for w in earlier.weights(run)}
    begun = {(w.layer.name, w.record.name): w.before for w in later.weights(run)}
    return bool(begun) and all(same(ended.get(key), value) for key, value in begun.items())


def _held_back(run: Run, training: Training) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows that a model is asked about while it is as a training left it."""
    later = [
        fit
        for fit in trainings(run)
        if fit.state.id == training.state.id and fit.probe.index > training.probe.index
    ]
    given = list(training.probe.validation[:1])
    for probe in run.probes:
        state = run.state(probe)
        until = later[0].probe.index if later else len(run.probes)
        asked = probe.kind in ("predict", "evaluate") and len(probe.inputs) == 1
        own = state is not None and state.id == training.state.id
        if asked and own and training.probe.index < probe.index < until:
            given.append(probe.inputs[0])
    for ref in given:
        values = run.array(ref)
        if values is not None and values.ndim and len(values) > 1:
            yield values


def _rows(x: npt.NDArray[Any]) -> list[bytes]:
    """Return the bits of each row, as the types of both sides can be told from them."""
    flat = np.ascontiguousarray(x.reshape(len(x), -1), np.float32)
    return [row.tobytes() for row in flat]
