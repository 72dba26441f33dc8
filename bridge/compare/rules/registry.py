"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bridge.compare.rules.layer import AnyArray, Evaluation, Layer

#: Evaluates a layer on its inputs, one evaluation for each output. It raises UnsupportedError, with
#: a sentence, for what it does not cover. Rules that compute are given float64, those that move
#: elements about are given them as they are.
Rule = Callable[[Layer, Sequence[AnyArray]], tuple[Evaluation, ...]]

#: The same for a layer whose outputs tell how it went: they are the third argument.
ObservedRule = Callable[[Layer, Sequence[AnyArray], Sequence[AnyArray]], tuple[Evaluation, ...]]
