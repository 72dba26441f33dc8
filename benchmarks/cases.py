"""What the five founding questions cost, and whether an ensemble is what Keras trains.

``python -m benchmarks.cases`` writes ``benchmarks/CASES.md``; ``QUICK=1`` trains a tenth of the
epochs and runs the suite only with ``--quick``. Times on a busy machine say little by themselves,
the ratios do.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.capsule import Capsule, read_capsule
from bridge.cases.case import choose, find_cases, suite_folders
from bridge.r.script import inspect, serve

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "comparisons"))

from _ensemble.outcome import one_bend_floor  # noqa: E402
from _ensemble.plan import Optimizer, OptimizerName, Plan, glorot  # noqa: E402
from _ensemble.single import exact_training, fit  # noqa: E402
from _ensemble.train import train  # noqa: E402

QUICK = bool(os.environ.get("QUICK"))
CASES = (
    "relu_middle_dense",
    "activations_everywhere",
    "relu_gradient_at_zero",
    "relu_last_layer",
    "abs_two_relus",
)
NETS, EPOCHS, SINGLES, MATCHED, STEPS = 1000, 100 if QUICK else 1000, 5, 20, 50
X = np.linspace(-1000, 1000, 400)


@dataclass(frozen=True)
class Speed:
    """An ensemble beside single fits: seconds, and how many ended on the same side of the floor."""

    together: float
    singles: tuple[float, ...]
    alike: int

    @property
    def ratio(self) -> float:
        """How many times longer the same nets take one by one."""
        return statistics.mean(self.singles) * NETS / self.together


@dataclass(frozen=True)
class Match:
    """Single fits of Keras beside the exact training: how many stayed in the bound."""

    optimizer: str
    inside: int
    keras: float
    ensemble: float
    bound: float
    telling: int


@dataclass(frozen=True)
class SuiteRun:
    """A run of the five cases: seconds, its exit code, and the trainings that were compared."""

    seconds: float
    code: int
    trainings: int
    same: int
    points: int


def plan(name: OptimizerName = "adam", rate: float = 0.001) -> Plan:
    """Return the training of ``abs_two_relus`` with Keras' defaults."""
    return Plan(X, np.abs(X), 2, EPOCHS, Optimizer(name, learning_rate=rate))


def measure_speed() -> Speed:
    """Train 1,000 nets together, then five of them one by one."""
    asked = plan()
    # Compiled on the first call on a machine, and kept: that is no part of training.
    train(asked.with_(epochs=1), 64, tell=_say)
    started = time.perf_counter()
    together = train(asked, NETS, tell=_say)
    seconds = time.perf_counter() - started
    fit(asked.with_(epochs=1), together.before[0], 0)
    singles, alike, floor = [], 0, one_bend_floor(X, np.abs(X))
    for seed in range(SINGLES):
        _say(f"single fit {seed + 1} of {SINGLES}")
        done = fit(asked, together.before[seed], seed)
        singles.append(done.seconds)
        alike += (done.loss < floor) == (together.loss[seed] < floor)
    return Speed(seconds, tuple(singles), alike)


def measure_match(name: OptimizerName, rate: float) -> Match:
    """Follow 20 nets for 50 steps: Keras, the ensemble, and the exact training with its bound."""
    asked = plan(name, rate)
    per_epoch = asked.steps // asked.epochs
    whole = range(1, STEPS // per_epoch + 1)
    before = glorot(2, np.arange(MATCHED))
    after = {
        epochs: train(asked.with_(epochs=epochs), MATCHED, tell=_say).after for epochs in whole
    }
    inside, keras, ensemble, bound, telling = 0, 0.0, 0.0, 0.0, STEPS
    for seed in range(MATCHED):
        _say(f"{name}: fit {seed + 1} of {MATCHED}")
        exact = exact_training(asked, before[seed], seed, STEPS)
        reach = float(exact.reach(fit(asked, before[seed], seed, STEPS).weights).max())
        ours = max(
            float((np.abs(after[n][seed] - exact.weights[each]) / exact.bound[each]).max())
            for n, each in ((n, n * per_epoch) for n in whole)
        )
        inside += reach <= 1 and ours <= 1
        keras, ensemble = max(keras, reach), max(ensemble, ours)
        bound = max(bound, float(exact.bound[-1].max()))
        telling = min(telling, exact.says_nothing_after)
    return Match(name, inside, keras, ensemble, bound, telling)


def measure_suite(names: list[str], *, quick: bool) -> SuiteRun:
    """Run the cases with empty caches: nothing trained, compiled or built before."""
    with tempfile.TemporaryDirectory(prefix="bench-cases-") as folder:
        out = Path(folder) / "out"
        environment = os.environ | {
            "XDG_CACHE_HOME": f"{folder}/cache",
            "NUMBA_CACHE_DIR": f"{folder}/numba",
        }
        command = [sys.executable, "-m", "bridge", "run", *names, "--out", str(out)]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, *(["--quick"] if quick else [])],
            cwd=HERE.parent,
            env=environment,
            check=False,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - started
        return SuiteRun(seconds, done.returncode, *_trainings(out, names))


def _trainings(out: Path, names: list[str]) -> tuple[int, int, int]:
    """Count R's trainings, those whose curves and weights Python has bit for bit, and epochs."""
    count = same = points = 0
    for name in names:
        paths = [out / name / f"{runner}.capsule" for runner in ("r", "replay", "twin")]
        r, *others = [read_capsule(path) for path in paths if path.exists()]
        mine = _fits(r)
        for other in others:
            theirs = _fits(other)
            count += len(mine)
            same += sum(a == b for a, b in zip(mine, theirs, strict=False))
        points += sum(curves for _, _, curves in mine)
    return count, same, points


def _fits(capsule: Capsule) -> list[tuple[dict[str, tuple[float, ...]], list[bytes], int]]:
    return [
        (
            each.curves,
            [capsule.array(weights).tobytes() for weights in each.outputs],
            sum(len(curve) for curve in each.curves.values()),
        )
        for each in capsule.manifest.probes
        if each.kind == "fit"
    ]


def measure_plain(names: list[str]) -> float:
    """Run the scripts with plain R, one after the other; return the seconds."""
    cases = choose(find_cases(suite_folders()), names)
    installed, inspections = inspect([case.script for case in cases])
    total = 0.0
    for case, inspection in zip(cases, inspections, strict=True):
        served = serve(inspection.package, "auto", installed)
        environment = os.environ | {
            "TF_USE_LEGACY_KERAS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "RETICULATE_PYTHON": sys.executable,
            "R_LIBS": os.pathsep.join([*served.libraries, os.environ.get("R_LIBS", "")]),
        }
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            # A script may end with an error that the case is about.
            subprocess.run(
                ["Rscript", str(case.script)],
                cwd=folder,
                env=environment,
                check=False,
                capture_output=True,
            )
            total += time.perf_counter() - started
    return total


def main() -> None:
    """Measure and write the page."""
    known = {case.name for case in find_cases(suite_folders())}
    names = [name for name in CASES if name in known]
    plain = measure_plain(names)
    runs = {"--quick": measure_suite(names, quick=True)}
    if not QUICK:
        runs["all"] = measure_suite(names, quick=False)
    rates: dict[OptimizerName, float] = {"adam": 0.001, "rmsprop": 0.001, "sgd": 1e-7}
    matches = [measure_match(name, rate) for name, rate in rates.items()]
    page = _page(names, plain, runs, matches, measure_speed())
    (HERE / "CASES.md").write_text(page)
    print(page)


def _page(
    names: list[str],
    plain: float,
    runs: dict[str, SuiteRun],
    matches: list[Match],
    speed: Speed,
) -> str:
    wanted = {"--quick": 45, "all": 120}
    singles = ", ".join(f"{each:.1f}" for each in speed.singles)
    return "\n".join(
        [
            "# The five founding questions",
            "",
            f"`make bench-cases{' QUICK=1' if QUICK else ''}` wrote this page on "
            f"{len(os.sched_getaffinity(0))} cores. The load of the machine was "
            f"{os.getloadavg()[0]:.1f} when it ended.",
            "",
            "## An ensemble beside single fits of Keras",
            "",
            "| what | seconds |",
            "| --- | ---: |",
            f"| {NETS:,} nets x {EPOCHS:,} epochs of `abs_two_relus`, together "
            f"| {speed.together:.2f} |",
            f"| one Keras fit of {EPOCHS:,} epochs, {SINGLES} of them | {singles} |",
            "",
            f"- One by one the nets take **{speed.ratio:,.0f}** times as long (wanted: at least "
            "100).",
            f"- {speed.alike} of {SINGLES} single fits ended on the same side of the floor as the "
            "same net in the ensemble, though Keras took the points in orders of its own.",
            "",
            "## The same training",
            "",
            f"{MATCHED} nets from the same first weights, on the same batches, for {STEPS} steps; "
            "weights",
            "are held after every step against float64, as a share of the running first-order",
            "rounding bound (at most 1 is rounding).",
            "",
            "| optimiser | inside | Keras' largest share | the ensemble's | bound after "
            f"{STEPS} steps | bound tells until step |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *(
                f"| {each.optimizer} | {each.inside} of {MATCHED} | {each.keras:.2f} "
                f"| {each.ensemble:.2f} | {each.bound:.1e} | {each.telling} |"
                for each in matches
            ),
            "",
            "## The whole suite, from cold",
            "",
            f"{len(names)} cases, with empty caches: {', '.join(f'`{name}`' for name in names)}.",
            "",
            "| run | seconds | wanted | times plain `Rscript` | exit code | R's trainings that "
            "Python has bit for bit | epochs compared |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(
                f"| {name} | {run.seconds:.0f} | {wanted[name]} | {run.seconds / plain:.2f} "
                f"| {run.code} | {run.same} of {run.trainings} | {run.points:,} |"
                for name, run in runs.items()
            ),
            "",
            f"Plain `Rscript` takes {plain:.0f} seconds for the scripts, one after the other,",
            "without recording, comparing or deciding anything. A training counts once for the",
            "replay and once for the twin: loss curves and weights after training.",
            "",
        ]
    )


def _say(text: str) -> None:
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
