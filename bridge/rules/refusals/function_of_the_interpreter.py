"""A function that is built into R's interpreter cannot be handed to Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import Assign, RSymbol, nodes_in

RULE = Rule(
    "E01", "function-of-the-interpreter", cause="r-conversion", whose="R's rules", needs=("text",)
)
#: Functions that are built into R's interpreter (``is.primitive``), of those that look like
#: activations, losses or metrics.
_PRIMITIVES: Final = frozenset(
    {"abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceiling", "cos", "cosh", "exp"}
    | {"expm1", "floor", "gamma", "log", "log1p", "log2", "log10", "max", "min", "prod", "range"}
    | {"round", "sign", "sin", "sinh", "sqrt", "sum", "tan", "tanh", "trunc"}
)
_PREFIXES: Final = ("layer_", "compile", "metric_", "loss_", "rnn_cell", "callback_", "fit")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find functions of R's interpreter that were handed over as if they were R functions."""
    own = {
        node.target.name for node in nodes_in(run.tree, Assign) if isinstance(node.target, RSymbol)
    }
    worked = {
        call.line for call in run.asked if call.error is None and call.r_call.startswith(_PREFIXES)
    }
    for node in run.written:
        if not node.name.startswith(_PREFIXES):
            continue
        for argument in node.arguments:
            value = argument.value
            if not isinstance(value, RSymbol) or value.name not in _PRIMITIVES - own:
                continue
            if value.package not in ("", "base") or node.line in worked:
                continue
            yield RULE.finding(
                f"{value.name} is built into R's interpreter, and cannot be handed to Python",
                "Only a function that is written in R has a body that Python can call.",
                at=run.node_place(value),
                help=f'Write "{value.name}" in quotes, or a function of your own.',
                refused=True,
            )
            return
