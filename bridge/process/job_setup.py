"""What every job does in its own process: limits, working folder, spool, environment."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from bridge.process import processor
from bridge.trace.encoder import Data

#: How a warm process is started. ``-P``: not with the folder of the user, where a ``keras.py``
#: would be ours. Not as a module: Python's ``__main__`` is the script's, with no names of ours.
ZYGOTE: Final = (
    sys.executable, "-P", "-c", "__import__('bridge.process.zygote').process.zygote.main()",
)  # fmt: skip

_PACKAGES: Final = ("tensorflow", "keras", "tf_keras", "numpy", "rpy2", "tensorflow-metal", "jax")


def limit(memory_bytes: int) -> None:
    """Bound the memory that this process may add to what it has, and forbid core files.

    The pool watches from outside as well; this limit gives R the chance to say so itself.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    status = Path("/proc/self/status")
    if memory_bytes <= 0 or not status.exists():
        return
    kib = next(
        (int(line.split()[1]) for line in status.read_text().splitlines() if "VmData" in line), 0
    )
    bound = kib * 1024 + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def find_neighbours(path: Path) -> None:
    """Let the Python file at ``path`` import what stands beside it, after all that is installed."""
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)


def redirect(stdin: int, stdout: int, stderr: int) -> None:
    """Make the three given descriptors the process's own standard streams."""
    for given, own in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(given, own)
        os.close(given)
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115


def describe_environment() -> Data:
    """Return what this process runs on; nothing that names a user, a host or a folder."""
    found: Data = {
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "machine": platform.machine(),
        "cpu_model": processor.cpu_model(),
        "cpu_vendor": processor.cpu_vendor(),
        "cpu_flags": _cpu_flags(),
        "switches": processor.kernel_switches(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "packages": _versions(),
    }
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        with contextlib.suppress(Exception):
            found |= _describe_tensorflow(tensorflow)
    return found


def _describe_tensorflow(tf: Any) -> Data:
    from tensorflow.python.util import _pywrap_util_port

    return {
        "devices": sorted({each.device_type for each in tf.config.list_physical_devices()}),
        "optimizer": dict(tf.config.optimizer.get_experimental_options()),
        "onednn": bool(_pywrap_util_port.IsMklEnabled()),
        "threads": [
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.config.threading.get_inter_op_parallelism_threads(),
        ],
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _cpu_flags() -> list[str]:
    wanted = ("sse4", "avx", "fma", "amx", "f16c", "asimd", "sve", "bf16")
    return sorted(flag for flag in processor.cpu_flags() if flag.startswith(wanted))


def keras_of(generation: int) -> Any:
    """Import the Keras of a generation: 2 is ``tf_keras``, 3 is ``keras``."""
    if generation == 2:
        import tf_keras

        return tf_keras
    import keras

    return keras


def keras_version(generation: int) -> str:
    """Return the version of the Keras that this process really uses."""
    keras = keras_of(generation)
    return f"{keras.__name__} {keras.__version__}"
