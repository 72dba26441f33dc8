"""The measurement as a page of Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.trust.faults import NUMERIC, OF_WEIGHTS, STRUCTURAL
from benchmarks.trust.measure import LADDER, Counts, Tally, quantiles, wilson
from benchmarks.trust.rivals import RIVALS


def write_table(out: Path, tally: Tally, models: int, failed: list[str], seconds: float) -> None:
    """Write the page, without what :func:`add_layers` and :func:`add_sweep` add to it."""
    parts = [_head(tally, models, seconds), _rules(tally), _faults(tally), _bounds(tally),
             _rest(tally, failed)]  # fmt: skip
    out.write_text("\n".join(parts), "utf-8")


def add_layers(out: Path, found: Mapping[str, Any]) -> None:
    """Add what :mod:`benchmarks.trust.layers` found."""
    violated, abstained = found["violated"], found["abstained"]
    lines = [
        "## Generated layers, one by one",
        "",
        f"{found['layers']:,} layers of random class, configuration, type (float32, float16, "
        f"bfloat16, mixed) and input, {found['elements']:,} elements: {len(violated)} layers were "
        f"beyond a bound. {sum(abstained.values()):,} more were abstained from, for "
        f"{len(abstained)} reasons; Keras itself refused {found['refused']:,}.",
        "",
        *(f"- beyond: {each}" for each in violated[:20]),
        *(f"- {count} times: {why}" for why, count in
          sorted(abstained.items(), key=lambda one: -one[1])[:12]),
        "",
    ]  # fmt: skip
    _append(out, lines)


def add_sweep(out: Path, rows: Iterable[str]) -> None:
    """Add the table of :mod:`benchmarks.bounds`."""
    lines = [
        "## The bound of a sum, by its length",
        "",
        "The bound holds for any order of summation, so its length is measured against the errors "
        "of usual orders and against those of the order that is worst for it: all products of one "
        "sign first. No bound that holds for all orders can be much narrower than the second.",
        "",
        *rows,
        "",
    ]
    _append(out, lines)


def _append(out: Path, lines: Iterable[str]) -> None:
    out.write_text(f"{out.read_text('utf-8').rstrip()}\n\n" + "\n".join(lines), "utf-8")


def _head(tally: Tally, models: int, seconds: float) -> str:
    pairs = tally.false.get(LADDER, Counts())
    structural = _sum(tally, LADDER, STRUCTURAL)
    small = tally.found.get((LADDER, "one weight + 1e-5, recorded"), Counts())
    return f"""# Can the ladder be trusted?

Of {pairs.of:,} benign pairs the ladder calls {pairs.said} different; of {structural.of:,} visible \
faults of structure it finds {structural.said:,} ({_percent(structural)}), of {small.of:,} single \
weights moved by 1e-5 {small.said:,} ({_percent(small)}). {tally.elements:,} elements of \
{tally.layers:,} layers were checked against their bounds or rounded bits.

Written by `make bench-trust` ({models} seeded models, {seconds / 60:.0f} minutes, TensorFlow \
{version("tensorflow")}, Keras {version("tf_keras")} and {version("keras")}, \
{platform.system()} {platform.machine()}). Intervals are Wilson's, at 95 %.
"""


def _rules(tally: Tally) -> str:
    lines = [
        "## Benign pairs and visible faults, by rule",
        "",
        "| rule | false alarms | of structure: found | of numbers, hidden: found |",
        "| --- | --- | --- | --- |",
    ]
    for rule in (LADDER, *RIVALS):
        false = tally.false.get(rule, Counts())
        lines.append(
            f"| {rule} | {false.said:,} of {false.of:,} ({_interval(false)}) "
            f"| {_cell(_sum(tally, rule, STRUCTURAL))} | {_cell(_sum(tally, rule, NUMERIC))} |"
        )
    rungs = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.rungs.items()))
    return "\n".join(
        [*lines, "", f"The ladder's rungs that decided the benign pairs: {rungs}.", ""]
    )


def _faults(tally: Tally) -> str:
    lines = [
        "## Faults, one by one",
        "",
        "Hidden: the run was made with the fault and recorded without it, so that only the numbers "
        "tell. Recorded: the weights that were recorded are those that ran, as when data are "
        "marshalled wrongly. A fault is visible if it moves an output of its layer by more than "
        "twice what benign runs are apart.",
        "",
        "| fault | invisible | found by the ladder | named the layer | np.allclose | NNSmith |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rivals = [name for name in RIVALS if name.startswith(("np.", "NNSmith"))]
    names = [
        *STRUCTURAL,
        *NUMERIC,
        *(f"{name}, recorded" for name in NUMERIC if name in OF_WEIGHTS),
    ]
    for name in names:
        cells = [_cell(tally.found.get((rule, name), Counts())) for rule in (LADDER, *rivals)]
        placed = _cell(tally.placed.get(name, Counts()))
        lines.append(
            f"| {name} | {tally.invisible.get(name, 0)} | {cells[0]} | {placed} "
            f"| {cells[1]} | {cells[2]} |"
        )
    return "\n".join([*lines, ""])


def _bounds(tally: Tally) -> str:
    lines = [
        "## How tight the bounds are",
        "",
        "The largest bound of a layer over the largest error that any of its runs made.",
        "",
        "| layers | median | 95 % | how many |",
        "| --- | --- | --- | --- |",
    ]
    edges = [1, 2, 8, 32, 128, 512, 4097]
    for low, high in pairwise(edges):
        lines.append(_row(tally, f"sums of {low} to {high - 1} products", low, high))
    lines.append(_row(tally, "**all up to 4,096 products**", 1, 4097))
    kinds = sorted({kind for kind, *_ in tally.bounds})
    lines += ["", "| class | median | 95 % | how many |", "| --- | --- | --- | --- |"]
    for kind in kinds:
        pairs = ((bound, error) for k, _, bound, error in tally.bounds if k == kind)
        median, most, count = quantiles(pairs)
        lines.append(f"| {kind} | {median:.1f} | {most:.1f} | {count} |")
    return "\n".join([*lines, ""])


def _row(tally: Tally, name: str, low: int, high: int) -> str:
    pairs = ((bound, error) for _, terms, bound, error in tally.bounds if low <= terms < high)
    median, most, count = quantiles(pairs)
    return f"| {name} | {median:.1f} | {most:.1f} | {count} |"


def _rest(tally: Tally, failed: list[str]) -> str:
    lines = ["## What was left open", ""]
    listed = sorted(tally.abstained.items(), key=lambda one: -one[1])
    lines += [f"- {count:,} times: {why}" for why, count in listed[:30]] or ["Nothing."]
    lines += ["", f"Models that could not be run: {len(failed)}."]
    lines += [f"- {each}" for each in sorted(set(failed))[:10]]
    if tally.alarms:
        lines += ["", "## False alarms", "", *(f"- {each}" for each in tally.alarms[:50])]
    return "\n".join([*lines, ""])


def _sum(tally: Tally, rule: str, names: Iterable[str]) -> Counts:
    total = Counts()
    for name in names:
        total.add(tally.found.get((rule, name), Counts()))
    return total


def _percent(counts: Counts) -> str:
    return f"{100 * counts.said / counts.of:.2f} %" if counts.of else "none seen"


def _interval(counts: Counts) -> str:
    low, high = wilson(counts)
    return f"{100 * low:.2f} to {100 * high:.2f} %"


def _cell(counts: Counts) -> str:
    if not counts.of:
        return "none"
    return f"{counts.said:,} of {counts.of:,} ({_interval(counts)})"
