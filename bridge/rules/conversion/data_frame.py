"""A data frame reaches Python as a dict of columns."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule.values import Items, Pairs
from bridge.facts.keras import METHODS
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of

RULE = Rule("C02", "data-frame", cause="r-conversion", whose="R's rules")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find data frames given to a model of one input, which refuses them."""
    single = {
        probe.line
        for probe in run.probes
        if (state := run.state(probe)) is not None and state.cls.endswith("Sequential")
    }
    for call in run.asked:
        if call.error is None or name_of(call) not in METHODS or call.line not in single:
            continue
        for value in (*call.args[:1], call.kwargs.get("x")):
            if not isinstance(value, Pairs) or len(value.items) < 2:
                continue
            if all(
                isinstance(column, Items) or hasattr(column, "shape") for _, column in value.items
            ):
                names = ", ".join(str(getattr(key, "v", key)) for key, _ in value.items[:3])
                yield RULE.finding(
                    "A data frame reaches Python as a dict of its columns",
                    f"It has {len(value.items)} of them ({names} ...), and the model takes one "
                    "matrix.",
                    at=call.line,
                    help="as.matrix() makes one of a data frame of numbers.",
                    refused=True,
                )
                return
