"""c() leaves NULL out, and a shape loses a dimension."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import RCall, RSymbol, walk

RULE = Rule("R01", "null-left-out", cause="r-semantics", whose="R's rules", needs=("text",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find shapes in which c() lost a NULL."""
    lines = {call.line for call in run.asked}
    manifest = run.capsule.manifest
    refused = bool(manifest.error or manifest.caught or any(c.error for c in run.asked))
    for node in run.written:
        for argument in node.arguments:
            inner = argument.value
            if (
                "shape" in argument.name
                and isinstance(inner, RCall)
                and inner.name == "c"
                and any(
                    isinstance(part.value, RSymbol) and part.value.name == "NULL"
                    for part in inner.arguments
                )
                and lines & {below.line for below in walk(node)}
            ):
                count = len(inner.arguments)
                yield RULE.finding(
                    "c() leaves NULL out, so that the shape loses a dimension",
                    f"{argument.name} has {count - 1} dimensions where {count} are written.",
                    at=run.node_place(inner, "NULL is left out"),
                    help=Help(text="NA keeps a dimension of unknown size, and so does list()."),
                    refused=refused,
                )
                return
