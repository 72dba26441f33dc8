"""A named list of inputs becomes a dict, of which Keras sorts the names."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule.values import Items, ObjectValue, Pairs, Scalar
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, owner_of

RULE = Rule("C03", "sorted-names", cause="r-conversion", whose="Keras")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find models with named inputs that are fed by place."""
    named: dict[int, tuple[list[str], int | None]] = {}
    for call in run.asked:
        inputs, result = call.kwargs.get("inputs"), call.result
        if isinstance(inputs, Pairs) and isinstance(result, ObjectValue):
            names = [key.v for key, _ in inputs.items if isinstance(key, Scalar)]
            named[result.id] = (names, call.line)
        owner = owner_of(call)
        if owner not in named or name_of(call) not in ("predict", "fit", "evaluate"):
            continue
        names, line = named[owner]
        given = call.kwargs.get("x") or next(iter(call.args), None)
        if isinstance(given, Items) and sorted(names) != names and len(given.items) == len(names):
            yield RULE.finding(
                "Named inputs are sorted by name, and fed without names",
                f"A named list becomes a dict, of which Keras sorts the names: "
                f"{', '.join(sorted(names)[:4])}. A list without names is taken in that order.",
                at=call.line,
                also=(line,),
                help="Give the arrays the names of the inputs.",
                refused=call.error is not None,
            )
            return
