"""Injected faults: which layers are found guilty, with how many runs, and which cause is named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.explain.models import HELD_OUT
from bridge.process.pool import Limits, Pool
from bridge.selftest.generation_run import Half, Trial, generations

#: Faults of one seed in one generation of Keras; two of each model.
BLOCK: Final = 50
_TWIN: Final = """\
import sys

sys.path.insert(0, {root!r})

from benchmarks.explain.models import predict


def twin():
    import {{package}}

    predict({{package}}, {{seed}}, range({{count}}))
"""


def measure(
    wanted: int, searched: int, kept: Path, root: Path, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Return at least so many trials; those in the file ``kept`` are not made again.

    Which layers are guilty is asked of all of them; for the cause, levers are pulled for so many of
    them, those of the first seeds.
    """
    found = _read(kept)
    seed = 1000
    done = {(each["seed"], each["generation"]) for each in found}
    while len(_trials(found)) < wanted:
        seed += 1
        missing = [each for each in generations() if (seed, each) not in done]
        if not missing:
            continue
        progress(f"{len(_trials(found)):,} of {wanted:,} faults")
        only_locate = len(_searched(found)) >= searched
        # A pool for each block: what a process keeps does not add up.
        with Pool() as pool, ThreadPoolExecutor(len(missing)) as threads:
            blocks = list(threads.map(_Block(pool, seed, root, only_locate), missing))
        with kept.open("a", encoding="utf-8") as file:
            for block in blocks:
                for row in block:
                    file.write(json.dumps(row) + "\n")
                    found.append(row)
    return found


@dataclass(frozen=True)
class _Block:
    """The faults of one seed."""

    pool: Pool
    seed: int
    root: Path
    only_locate: bool

    def __call__(self, generation: int) -> list[dict[str, Any]]:
        """Return what was found in one generation of Keras, as rows."""
        twin = _TWIN.format(root=str(self.root))
        limits = Limits(seconds=1800.0)
        half = Half(self.pool, generation, self.seed, limits, _unheard, twin,
                    only_locate=self.only_locate)  # fmt: skip
        folder = self.pool.folder / f"block_{generation}"
        folder.mkdir()
        done = half.run(folder, BLOCK)
        here = {"seed": self.seed, "generation": generation}
        searched = {"searched": not self.only_locate}
        rows = [here | searched | _row(each) for each in done.trials]
        rows += [here | {"benign": True, "alarm": each.alarm} for each in done.benign]
        return rows + [here | {"note": note} for note in done.notes]


def _unheard(_text: str) -> None:
    """Say nothing: the blocks are counted."""


def _row(trial: Trial) -> dict[str, Any]:
    found = trial.found
    return {
        "kind": trial.kind, "model": trial.model, "layer": trial.place, "cls": trial.cls,
        "truth": trial.truth, "ways": trial.ways, "detected": trial.detected,
        "localised": trial.localised, "named": trial.named, "runs": trial.executions,
        "attributed": trial.attributed, "abstained": trial.abstained or not trial.detected,
        "wrong": trial.confidently_wrong, "cause": found.cause if found is not None else "",
        "line": trial.line(), "said": trial.said,
    }  # fmt: skip


def _read(kept: Path) -> list[dict[str, Any]]:
    if not kept.exists():
        return []
    return [json.loads(line) for line in kept.read_text("utf-8").splitlines() if line.strip()]


def _trials(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in rows if "kind" in each]


def _searched(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in _trials(rows) if each["searched"]]


@dataclass(frozen=True)
class Counted:
    """What came of trials: counts, of all of them."""

    faults: int
    detected: int
    localised: int
    named: int
    runs: int
    attributed: int
    abstained: int
    wrong: int

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]]) -> Counted:
        """Count trials."""
        trials = _trials(rows)

        def total(key: str) -> int:
            return sum(int(each[key]) for each in trials)

        return cls(len(trials), *(total(key) for key in (
            "detected", "localised", "named", "runs", "attributed", "abstained", "wrong"
        )))  # fmt: skip


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the tables: guilty layers, causes, what went wrong."""
    trials, searched = _trials(rows), _searched(rows)
    benign = [each for each in rows if "benign" in each]
    yield "### Which layer"
    yield ""
    yield "| | faults | noticed | recall | precision |"
    yield "|---|--:|--:|--:|--:|"
    for name, c in _counted(trials):
        yield (
            f"| {name} | {c.faults:,} | {c.detected / c.faults:.1%} | "
            f"{c.localised / c.faults:.2%} | {c.localised / max(1, c.named):.2%} |"
        )
    yield ""
    yield "### Which cause"
    yield ""
    yield f"Of the first {len(searched):,} of them the cause was looked for, with levers."
    yield ""
    yield "| | faults | runs each | cause right | left open | wrong and sure |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, c in _counted(searched):
        yield (
            f"| {name} | {c.faults:,} | {c.runs / c.faults:.1f} | {c.attributed / c.faults:.1%} | "
            f"{c.abstained / c.faults:.1%} | {c.wrong:,} |"
        )
    alarms = [each["alarm"] for each in benign if each["alarm"]]
    yield ""
    yield f"{len(benign):,} runs without a fault gave {len(alarms):,} false alarms."
    unplaced = [each for each in trials if not (each["detected"] and each["localised"])]
    bad = [each["line"] for each in [*unplaced, *searched] if each["line"]]
    bad += [
        f"{each['kind']} in {each['layer']} of {each['model']} (Keras {each['generation']}): "
        f"{each.get('said') or each['named']} were named"
        for each in trials if each["localised"] and each["named"] > 1
    ]  # fmt: skip
    bad = list(dict.fromkeys(bad))
    if bad or alarms:
        yield ""
        yield f"What went wrong ({len(bad):,} faults), the first of them:"
        yield ""
        yield from (f"- {line}" for line in [*alarms, *bad][:40])
    notes = [each["note"] for each in rows if "note" in each]
    yield from (f"- {note}" for note in notes[:10])


def _counted(trials: list[dict[str, Any]]) -> Iterator[tuple[str, Counted]]:
    """Yield the counts of all, by group of layers, and by cause, the most frequent first."""
    parts = {
        "all": trials,
        "held-out layers": [each for each in trials if each["cls"] in HELD_OUT],
        "other layers": [each for each in trials if each["cls"] not in HELD_OUT],
    } | {
        f"`{name}`": [each for each in trials if each["truth"] == name]
        for name, _ in Counter(each["truth"] for each in trials).most_common()
    }
    yield from ((name, Counted.of(some)) for name, some in parts.items() if some)
