"""Can the ladder be trusted? Benign pairs, single faults, and the rules of other tools beside it.

    python -m benchmarks.trust [--models N] [--out FILE] [--isa all]
                                          (or: make bench-trust, QUICK=1, ISA=all)

Seeded models of all layer families are run in every way that must not matter: eagerly, as a graph,
compiled by XLA, in batches of 1 and 5, without the remapper, without oneDNN, with one thread and
two, and, for plain dense models, in NumPy in seven orders of summation. Every two of these runs
are a benign pair. Then one layer at a time is made faulty. Each rule is asked of every pair whether
the two runs differ; the ladder is asked as `keras-bridge diff` asks it.

``--isa all`` does so under every instruction set that this processor can be held down to, and with
oneDNN off (on where it is off by itself). It adds a row for each to the table of processors; rows
of other processors stay.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bounds import rows, sweep  # noqa: E402
from benchmarks.trust.measure import Tally, measure  # noqa: E402
from benchmarks.trust.processors import add_processors, instruction_sets, keep  # noqa: E402
from benchmarks.trust.table import add_layers, add_sweep, write_table  # noqa: E402
from benchmarks.trust.worker import LEVERS  # noqa: E402
from bridge.process.environment import cpu_flags  # noqa: E402


class Worker:
    """A process with one setting of TensorFlow."""

    def __init__(self, lever: str, log: IO[bytes], env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.trust.worker", lever],
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def ask(self, seed: int, generation: int, folder: Path) -> None:
        """Ask for the runs of a model."""
        assert self._process.stdin is not None
        line = json.dumps({"seed": seed, "generation": generation, "folder": str(folder)})
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return what was answered.

        Raises:
            RuntimeError: the process has died.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker has died; its log has the reason")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Measure, and write the table."""
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=12 if quick else 96)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "TRUST.md")
    parser.add_argument(
        "--isa", nargs="+", metavar="SET",
        help="only add to the table of processors: under these instruction sets, or 'all'",
    )  # fmt: skip
    options = parser.parse_args()
    if options.isa is not None:
        held_down(options)
        return
    begun = time.monotonic()
    total, failed = models(options, {}, begun, lambda done, failed, count: write_table(
        options.out, done, count, failed, time.monotonic() - begun))  # fmt: skip
    _say("generated layers, one by one")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trust.layers", "--layers", "300" if quick else "10000"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    add_layers(options.out, json.loads(done.stdout.splitlines()[-1]))
    add_sweep(options.out, rows(list(sweep(layers=8 if quick else 40))))
    keep("all of it", total, options.models)
    add_processors(options.out)
    for each in (*total.alarms, *failed, *total.missed[:40]):
        print(each)
    print(options.out)


def held_down(options: argparse.Namespace) -> None:
    """Measure under every instruction set that was asked for, and add to the table."""
    known = instruction_sets(cpu_flags())
    wanted = list(known) if options.isa == ["all"] else options.isa
    alarms = []
    for name in wanted:
        begun = time.monotonic()
        total, failed = models(options, known[name], begun, lambda *_told: None)
        keep(name, total, options.models)
        add_processors(options.out)
        alarms += [f"{name}: {each}" for each in (*total.alarms, *failed)]
    for each in alarms:
        print(each)
    print(options.out)
    sys.exit(bool(alarms))


Told = Callable[[Tally, list[str], int], None]


def models(
    options: argparse.Namespace, env: Mapping[str, str], begun: float, tell: Told
) -> tuple[Tally, list[str]]:
    """Run and judge the seeded models; tell what is measured after each."""
    total, failed = Tally(), list[str]()
    folder = Path(tempfile.mkdtemp(prefix="keras-bridge-trust-"))
    seeds = range(options.first, options.first + options.models)
    with (folder / "log").open("wb") as log:
        workers = {lever: Worker(lever, log, env) for lever in LEVERS}
        try:
            _ask(workers, seeds[0], folder)
            for number, seed in enumerate(seeds):
                answers = [worker.answer() for worker in workers.values()]
                if number + 1 < len(seeds):
                    _ask(workers, seeds[number + 1], folder)
                failed += [str(each["error"]) for each in answers if "error" in each]
                written = [one for each in answers for one in each.get("written", ())]
                family = next((each["family"] for each in answers if "family" in each), "?")
                if written:
                    total.add(measure(written, f"seed {seed}, {family}"))
                shutil.rmtree(folder / str(seed))
                # What is measured is kept, whatever comes.
                tell(total, failed, number + 1)
                _say(f"{number + 1} of {len(seeds)} models, {total.elements:,} elements, "
                     f"{len(total.alarms)} alarms, {time.monotonic() - begun:.0f} s")  # fmt: skip
        finally:
            for worker in workers.values():
                worker.close()
    shutil.rmtree(folder, ignore_errors=True)
    return total, failed


def _ask(workers: dict[str, Worker], seed: int, folder: Path) -> None:
    (folder / str(seed)).mkdir()
    for worker in workers.values():
        worker.ask(seed, 2 + (seed // 6) % 2, folder / str(seed))


def _say(text: str) -> None:
    if sys.stderr.isatty() or os.environ.get("VERBOSE"):
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
