"""What ran, and on what: the runs of a case and its environment, ready to print."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bridge.capsule import Environment, ErrorRecord
from bridge.compare.errors import essence
from bridge.report import numbers
from bridge.report.numbers import Number
from bridge.report.schema import Run
from bridge.report.text import clip, one_line


@dataclass(frozen=True)
class RunView:
    """A run: what became of it, and what it cost."""

    runner: str
    status: str
    keras: str
    seconds: Number
    peak: Number
    said: str
    capsule: str
    linked: bool


def run_view(run: Run) -> RunView:
    """Return a run ready to print."""
    said = [run.sentence, error_sentence(run.error) if run.error else ""]
    plain = run.capsule and not run.capsule.startswith((".", "/")) and "/" not in run.capsule
    return RunView(
        runner=run.runner,
        status=run.status,
        keras=run.keras,
        seconds=numbers.seconds(run.seconds),
        peak=numbers.mebibytes(run.peak_mib),
        said=clip("\n".join(part for part in said if part), characters=4_000, lines=40),
        capsule=run.capsule,
        linked=bool(plain),
    )


def environment(env: Environment) -> tuple[tuple[str, str], ...]:
    """Return the environment as names and values, without what is not known."""
    packages = sorted(env.packages.items())
    rows = [
        ("Keras that ran", env.keras),
        ("R", env.r),
        ("R packages", ", ".join(f"{name} {version}" for name, version in env.r_packages.items())),
        ("Python", env.python),
        ("Python packages", ", ".join(f"{name} {version}" for name, version in packages)),
        ("System", " ".join(part for part in (env.system, env.machine) if part)),
        ("Cores", str(env.cores) if env.cores else ""),
        ("Devices", ", ".join(env.devices)),
        ("oneDNN", "" if env.onednn is None else "on" if env.onednn else "off"),
        ("Threads", "" if env.threads is None else _threads(env.threads)),
        ("Graph optimiser", json.dumps(env.optimizer, sort_keys=True) if env.optimizer else ""),
        ("CPU", " ".join(env.cpu_flags)),
    ]
    return tuple((name, value) for name, value in rows if value)


def _threads(threads: tuple[int, int]) -> str:
    """Return TensorFlow's two pools; it writes 0 where it chooses by itself."""
    inside, between = (str(number) if number else "automatic" for number in threads)
    return f"{inside} within an operation, {between} between operations"


def error_sentence(error: ErrorRecord) -> str:
    """Return an error as its class, its message and its place in the script.

    The way to it through the libraries is in ``report.json``.
    """
    place = ""
    if error.line is not None:
        column = f", column {error.column}" if error.column is not None else ""
        place = f" (line {error.line}{column})"
    said, cls = essence(error.message).strip(), one_line(error.cls)
    # R passes Python's errors on under a class of its own, and the class is in the message.
    named = f"{cls.rpartition('.')[2]}:" in said[:200] or cls == "Rcpp::exception"
    return f"{said}{place}" if named else f"{cls}: {said}{place}"
