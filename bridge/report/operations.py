"""What was executed at each probe, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.report.schema import Execution
from bridge.report.tables import layout


@dataclass(frozen=True)
class Executed:
    """What was executed at one probe: the ops, and the runs that executed just these."""

    runs: tuple[str, ...]
    ops: tuple[str, ...]


@dataclass(frozen=True)
class ExecutedTable:
    """Executed ops by variant and model, laid out as :class:`Grid` is.

    ``counted`` lists each set of op counts once, with how many executions had it and the first
    of them. ``looked`` says what is known of whether looking changed a graph, and ``changed``
    names where it did.
    """

    models: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[Executed, ...], ...]], ...]
    runs: tuple[str, ...]
    counted: tuple[tuple[str, int, str], ...]
    looked: str
    changed: tuple[str, ...]


def executed(executions: Sequence[Execution]) -> ExecutedTable | None:
    """Return what was executed, by probe; None if nothing is known of it."""
    known = [item for item in executions if item.ops or item.fingerprint]
    if not known:
        return None
    models, variants = layout([item.probe for item in known])
    cells: dict[str, dict[tuple[str, ...], list[str]]] = {}
    counted: dict[str, list[str]] = {}
    for item in known:
        cells.setdefault(item.probe, {}).setdefault(item.ops, []).append(item.run)
        ops = ", ".join(
            op if number == 1 else f"{number:,} \N{MULTIPLICATION SIGN} {op}"
            for op, number in sorted(item.fingerprint.items())
        )
        if ops:
            counted.setdefault(ops, []).append(f"{item.probe} in {item.run}")
    rows = []
    for variant in variants:
        names = [f"{model}/{variant}" for model in models] if models else [variant]
        row = tuple(
            tuple(Executed(tuple(runs), ops) for ops, runs in cells.get(name, {}).items())
            for name in names
        )
        rows.append((variant, row))
    rows.sort(key=lambda row: -max(len(cell) for cell in row[1]))
    return ExecutedTable(
        models=tuple(models),
        rows=tuple(rows),
        runs=tuple(dict.fromkeys(item.run for item in known)),
        counted=tuple((ops, len(where), where[0]) for ops, where in counted.items()),
        looked=_looked(known),
        changed=tuple(
            f"{item.probe} in {item.run}" for item in known if item.unchanged_by_looking is False
        ),
    )


def _looked(known: Sequence[Execution]) -> str:
    """Return one sentence on whether looking at layers changed what was executed."""
    unchanged = sum(item.unchanged_by_looking is True for item in known)
    changed = sum(item.unchanged_by_looking is False for item in known)
    unknown = len(known) - unchanged - changed
    parts = [f"{changed:,} of {len(known):,} graphs were changed by looking at their layers"]
    if not changed:
        parts = [f"looking at layers changed none of {unchanged:,} graphs"] if unchanged else []
    if unknown:
        parts.append(f"for {unknown:,} it is not known whether looking changed them")
    return ("; ".join(parts) + ".").capitalize()
