"""A factor reaches Python as a list of words."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import Assign, RCall, RSymbol, nodes_in, walk

RULE = Rule("E02", "factor-as-targets", cause="r-conversion", whose="R's rules", needs=("text",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find factors given to Keras 2, which takes no lists of words."""
    frontend = run.capsule.manifest.frontend
    if frontend is None or frontend.package != "keras":
        return
    factors = {
        node.target.name
        for node in nodes_in(run.tree, Assign)
        if isinstance(node.target, RSymbol)
        and isinstance(node.value, RCall)
        and node.value.name in ("factor", "as.factor", "cut", "gl")
    }
    probed = {probe.line for probe in run.probes}
    for node in run.written:
        if node.name not in ("fit", "evaluate", "predict"):
            continue
        lines = {inner.line for inner in walk(node)}
        for argument in node.arguments:
            value = argument.value
            if isinstance(value, RSymbol) and value.name in factors and not lines & probed:
                yield RULE.finding(
                    "A factor reaches Python as a list of words",
                    "Keras wants numbers of classes, counted from 0.",
                    at=run.node_place(value, "a factor"),
                    help="as.integer(...) - 1 gives the numbers of the classes.",
                    refused=True,
                )
                return
