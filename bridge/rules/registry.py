"""Every rule, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from bridge.capsule import Capsule
from bridge.errors import isolated
from bridge.explain.result import CauseEvidence
from bridge.rules import (
    alias,
    arguments,
    indices,
    labels,
    last_layer,
    loops,
    modes,
    outcomes,
    refusals,
    seeds,
)
from bridge.rules.recorded_run import answer
from bridge.translate.syntax import Node, Row, SyntaxRowsError, build

Rule = Callable[[Capsule, Sequence[Node]], Iterator[CauseEvidence]]

#: In this order: what changed a number before what explains one.
_RULES: Final[tuple[Rule, ...]] = (
    labels.missing,
    arguments.cut_off,
    arguments.forgotten,
    arguments.emptied,
    refusals.primitives,
    refusals.dropped_null,
    refusals.factors,
    refusals.zero_axis,
    refusals.one_beyond,
    refusals.data_frames,
    refusals.dropped_axis,
    refusals.misspelled,
    refusals.by_what_is_said,
    alias.shared_models,
    loops.repeated_pipe,
    loops.shared_variable,
    arguments.sorted_names,
    indices.two_counts,
    indices.counted_results,
    indices.counted_from_zero,
    indices.from_the_end,
    labels.counted_from_one,
    last_layer.over_one,
    last_layer.unfit_loss,
    last_layer.unfit_targets,
    last_layer.never_equal,
    last_layer.twice,
    outcomes.no_number,
    outcomes.never_changes,
    outcomes.one_for_many,
    last_layer.out_of_reach,
    labels.validated_elsewhere,
    modes.training_mode,
    modes.two_slopes,
    modes.two_formulas,
    outcomes.straight,
    seeds.other_generator,
    modes.other_order,
)


def answers(capsule: Capsule, tree: Sequence[Row] = ()) -> tuple[CauseEvidence, ...]:
    """Return what a run and the text of its script answer, what decides first.

    ``tree`` has the rows of R's syntax tree (:mod:`bridge.translate.syntax`); without them the
    rules that read the text stay silent.
    """
    try:
        nodes = build(tree)
    except SyntaxRowsError:
        nodes = []
    given = dict.fromkeys(
        found
        for rule in _RULES
        for found in isolated(_name(rule), partial(_all_of, rule, capsule, nodes), ())
    )
    return tuple(sorted(given, key=lambda found: not found.decides))


def _name(rule: Rule) -> str:
    return f"the rule {rule.__module__.rpartition('.')[2]}.{rule.__name__}"


def _all_of(rule: Rule, capsule: Capsule, nodes: Sequence[Node]) -> tuple[CauseEvidence, ...]:
    return tuple(rule(capsule, nodes))


def repaired(sentence: str, line: int | None) -> CauseEvidence:
    """Return the answer for a call that works once one thing of it is put right."""
    where = f"Line {line}: the" if line else "The"
    told = f"{where} call that raises works in Python when {sentence}."
    return answer("r-conversion", told, line=line, refused=True)
