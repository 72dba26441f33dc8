"""Missing values reached Python, where one is enough to spoil every weight."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bridge.capsule.values import Scalar
from bridge.facts.r import NA_INTEGER
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, parts

RULE = Rule("D02", "missing-values", cause="user-script", explains=("T03", "M02", "D08", "T02"))


@RULE.detector
def whole_numbers(run: Run) -> Iterator[Finding]:
    """Find missing integers of R, which Python takes for the number -2147483648."""
    for probe in run.probes:
        for ref in (*probe.inputs, *probe.targets):
            values = run.array(ref)
            if values is None or values.dtype.kind not in "if" or values.dtype.itemsize < 4:
                continue
            count = int(np.count_nonzero(values == NA_INTEGER))
            if count:
                yield _lost(count, probe.line)
                return
    for call in run.asked:
        if any(
            isinstance(part, Scalar) and part.t == "int" and part.v == str(NA_INTEGER)
            for value in call.kwargs.values()
            for part in parts(value)
        ):
            yield _lost(1, call.line, f" of {name_of(call)}()")
            return


def _lost(count: int, line: int | None, where: str = "") -> Finding:
    values = "1 value" if count == 1 else f"{count:,} values"
    return RULE.finding(
        f"A missing integer of R reached Python as {NA_INTEGER}",
        f"That is how R keeps NA, and Python has no such thing; {values}{where} arrived so.",
        at=line,
        help="Decide what becomes of NA before it crosses, or make it a double, which is NaN.",
        cause="r-conversion",
        whose="R's rules",
    )


@RULE.detector
def fractions(run: Run) -> Iterator[Finding]:
    """Find trainings whose loss is no number, because of what they were given."""
    for probe in run.probes:
        losses = probe.curves.get("loss", ())
        lost = next((n for n, loss in enumerate(losses, start=1) if not math.isfinite(loss)), None)
        if probe.kind != "fit" or lost is None:
            continue
        given = [run.array(ref) for ref in (*probe.inputs, *probe.targets)]
        missing = sum(int(np.sum(~np.isfinite(array))) for array in given if array is not None)
        if missing:
            yield RULE.finding(
                "Missing values in the data make every weight NaN",
                f"{missing:,} of the numbers that it is trained with are NA, NaN or Inf. "
                f"One is enough; the loss is NaN from epoch {lost} on.",
                at=probe.line,
                evidence=(("missing or infinite numbers", f"{missing:,}"),),
                help="Leave such rows out with complete.cases(), or fill them.",
            )
            return
