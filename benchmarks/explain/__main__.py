"""Is the right layer, and the right cause, named?

    python -m benchmarks.explain [--faults N] [--searched N] [--variations N]

(or: make bench-explain, QUICK=1)

Faults are put into random models of 2 to 30 layers, and the search sees only the runs; the zoo and
the founding question are explained as a user would. What was measured is kept in build/, so that a
run that was stopped goes on where it was; --fresh begins again.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.explain import faults, founding  # noqa: E402
from bridge.cases.case import find_cases, suite_folders  # noqa: E402
from bridge.explain.lever_targets import FEW_ROWS, MOST_ROWS, part_of  # noqa: E402
from bridge.pipeline.examine_case import Settings, Suite  # noqa: E402
from bridge.process.pool import Limits, Pool  # noqa: E402
from bridge.rounding.layer_records import Judge  # noqa: E402
from bridge.runs.levers import LEVERS  # noqa: E402
from bridge.runs.rerun import rerun  # noqa: E402
from bridge.runs.twin import run_twin  # noqa: E402

#: Faults of a full run.
_FULL: Final = 4376
#: What a user's sweep pulls: each reaches another part of the stack.
_SWEEP: Final = ("eager", "grappler-off", "remapping-off", "onednn-off", "xla", "float64",
                 "batch-1", "one-thread")  # fmt: skip


def main() -> None:
    """Measure, and write the page."""
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=90 if quick else _FULL)
    parser.add_argument("--searched", type=int, default=90 if quick else 600,
                        help="of how many of them the cause is looked for")  # fmt: skip
    parser.add_argument("--variations", type=int, default=3 if quick else 200)
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "EXPLAIN.md")
    options = parser.parse_args()
    kept = ROOT / "build" / ("bench-explain-quick" if quick else "bench-explain")
    kept.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        for path in kept.glob("*.jsonl"):
            path.unlink()
    begun = time.monotonic()
    rows = faults.measure(options.faults, options.searched, kept / "faults.jsonl", ROOT, _say)
    varied = founding.measure(options.variations, kept / "founding.jsonl", _say)
    _say("the zoo")
    zoo = list(_zoo())
    _say("times")
    times = list(_times())
    full = options.faults >= _FULL
    size = (
        "QUICK size" if quick else "full size" if full else f"a part of the full {_FULL:,} faults"
    )
    parts = [
        "# Explaining: is the right layer, and the right cause, named?", "",
        f"Measured with `{'QUICK=1 ' if quick else ''}make bench-explain` ({size}; this run took "
        f"{(time.monotonic() - begun) / 60:.0f} minutes, and goes on from faults that runs before "
        "it had measured). The machine was not otherwise idle unless said; seconds of the "
        "processor are told beside seconds of the clock.", "",
        "## Faults in random models of 2 to 30 layers", "",
        "Recall: the guilty layer is among those named; precision: what was named is guilty, "
        "layers that are executed as one counting as one place, and the first divergence of what "
        "was asked for (R's causes) as one. Runs: the faulty one and one for "
        "each lever. The search sees no truth; the cause counts as right by its name in the closed "
        f"list. Held out (in no model of the self-test, in no case of the zoo): "
        f"{', '.join(sorted(faults.HELD_OUT))}.", "",
        *faults.table(rows), "",
        "## The founding question, varied", "", *founding.table(varied), "",
        "## The zoo", "", *zoo, "", "## Times", "", *times, "",
    ]  # fmt: skip
    options.out.write_text("\n".join(parts), "utf-8")
    print(options.out)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _zoo() -> Iterator[str]:
    cases = [each for each in find_cases(suite_folders()) if each.name.startswith("zoo_")]
    yield "| case | expected | named | right |"
    yield "|---|---|---|---|"
    right = 0
    with Suite(Settings(frontend="standin")) as suite:
        for examined in suite.examine(cases):
            report = examined.report
            case = next(each for each in cases if each.name == report.case)
            good = report.cause in case.causes
            right += good
            expected = ", ".join(sorted(case.causes))
            yield f"| {report.case} | {expected} | {report.cause} | {'yes' if good else '**no**'} |"
    yield ""
    yield f"{right} of {len(cases)} are named right."


def _times() -> Iterator[str]:
    yield "| what | clock | processor |"
    yield "|---|--:|--:|"
    with tempfile.TemporaryDirectory() as out:
        clock, cpu = _timed([sys.executable, "-m", "bridge", "explain", "relu_middle_dense",
                             "--out", out])  # fmt: skip
    yield f"| the founding explanation, from cold | {clock:.1f} s | {cpu:.1f} s |"
    twin = ROOT / "comparisons" / "relu_middle_dense.py"
    before = _spent()
    with Pool() as pool:
        made = run_twin(pool, "relu_middle_dense", twin, 2, Limits())
        judge, every = Judge(), [each.index for each in made.manifest.probes]
        begun = time.monotonic()
        pool.warm(*(LEVERS[name].warm(2) for name in _SWEEP))
        parts = {few: part_of(made, every, few, judge) for few in (FEW_ROWS, MOST_ROWS)}

        def pulled(name: str) -> None:
            part = parts[FEW_ROWS if LEVERS[name].rows else MOST_ROWS]
            rerun(pool, part.capsule, 2, Limits(), lever=LEVERS[name], probes=part.probes)

        with ThreadPoolExecutor(2) as two:
            list(two.map(pulled, _SWEEP))
        clock = time.monotonic() - begun
    # What the processes of the pool used is known when they have ended.
    cpu = _spent() - before
    what = f"a sweep of {len(_SWEEP)} levers, two at once (processor: with the run itself)"
    yield f"| {what} | {clock:.1f} s | {cpu:.1f} s |"
    load = os.getloadavg()[0]
    yield ""
    yield f"The load of the machine at the end was {load:.1f} on {os.cpu_count()} cores."


def _timed(words: list[str]) -> tuple[float, float]:
    begun, before = time.monotonic(), _spent()
    subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    return time.monotonic() - begun, _spent() - before


def _spent() -> float:
    both = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


if __name__ == "__main__":
    main()
