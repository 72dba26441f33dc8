"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bridge.compare.rules.layer import AnyArray, Evaluation, Layer

#: Evaluates a layer on its inputs, one evaluation for each output. It raises UnsupportedError, with
#: a sentence, for what it does not cover. Rules that compute are given float64, those that move
#: elements about are given them as they are.
Rule = Callable[[Layer, Sequence[AnyArray]], tuple[Evaluation, ...]]
