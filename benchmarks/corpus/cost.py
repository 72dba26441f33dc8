"""Run a command, and write down what it and all that it started cost.

    python -m benchmarks.corpus.cost FILE.json COMMAND...

Processes that outlive their parent are counted too: they become children of this one (Linux).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_SET_CHILD_SUBREAPER: Final = 36
#: Seconds that are waited for processes which outlive the command.
_AFTERWARDS: Final = 10.0


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds of a command, the MiB of its largest process, and its exit code."""

    cpu: float
    wall: float
    peak_mib: float
    code: int


def run(command: list[str]) -> Cost:
    """Run a command to its end, and wait for what it left behind."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.perf_counter()
    code = subprocess.run(command, check=False).returncode
    wall = time.perf_counter() - began
    _reap(time.monotonic() + _AFTERWARDS)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, code)


def _reap(until: float) -> None:
    while time.monotonic() < until:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.05)


def main() -> None:
    """Run the command of the command line."""
    file, *command = sys.argv[1:]
    cost = run(command)
    Path(file).write_text(json.dumps(asdict(cost)))
    sys.exit(cost.code)


if __name__ == "__main__":
    main()
