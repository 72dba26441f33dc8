"""What a process runs on: the machine, its processor, the versions, and the switches of both."""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import platform
import random
import resource
import sys
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

#: Variables that change which kernels oneDNN chooses, or with how many digits; it reads both names.
#: Whether oneDNN is on at all is asked of TensorFlow, which decides by more than its variable.
_SWITCHES: Final = {
    "ONEDNN_MAX_CPU_ISA": ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"),
    "ONEDNN_DEFAULT_FPMATH_MODE": ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    "TF_SET_ONEDNN_FPMATH_MODE": ("TF_SET_ONEDNN_FPMATH_MODE",),
}
#: Values that say what holds without them.
_NOTHING: Final = frozenset({"", "ALL", "DEFAULT", "STRICT"})
#: Instructions with which TensorFlow turns oneDNN on by itself.
_NEURAL: Final = frozenset({"avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8"})
#: Of XLA's flags those about the code that it makes for a CPU; others may hold paths.
_XLA_PREFIX: Final = "--xla_cpu_"
#: The keys of /proc/cpuinfo, of Intel's and AMD's processors and of ARM's.
_FLAGS: Final = ("flags", "Features")
_VENDOR: Final = ("vendor_id", "CPU implementer")
_MODEL: Final = ("model name", "CPU part")


def cpu_flags() -> tuple[str, ...]:
    """Return what the processor can do, in the words of Linux; nothing elsewhere."""
    return tuple(_first(_FLAGS).split())


def cpu_vendor() -> str:
    """Return the maker of the processor as it names itself, "" if it is not known."""
    return _first(_VENDOR)


def cpu_model() -> str:
    """Return the name of the processor, "" if it is not known."""
    return _first(_MODEL) or platform.processor()


def onednn_by_default(
    variables: Mapping[str, str] = os.environ, flags: Collection[str] | None = None
) -> bool:
    """Say whether TensorFlow turns oneDNN on here, without importing it.

    It does where its variable says so, and otherwise on Linux on processors with instructions for
    neural networks (``IsMKLEnabled`` of tensorflow/core/util/util.cc). ``flags`` are those of the
    processor at hand if None.
    """
    asked = variables.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
    if asked:
        return asked in ("1", "true")
    found = cpu_flags() if flags is None else flags
    return platform.system() == "Linux" and not _NEURAL.isdisjoint(found)


def kernel_switches(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the switches among ``variables`` that change which kernels run, by name."""
    found = {}
    for name, spellings in _SWITCHES.items():
        value = next(
            (variables[spelling] for spelling in spellings if spelling in variables), ""
        ).upper()
        if value not in _NOTHING:
            found[name] = value
    for flag in _xla_flags(variables.get("XLA_FLAGS", "")):
        name, _, value = flag.partition("=")
        if name.startswith(_XLA_PREFIX):
            found[name.removeprefix("--")] = value
    return found


def _xla_flags(value: str) -> list[str]:
    """Return XLA's flags; what does not begin as one is the name of a file that holds them."""
    flags = value.strip()
    if flags and not flags.startswith("-"):
        try:
            flags = Path(flags).read_text("utf-8", errors="replace")
        except (OSError, ValueError):
            flags = ""
    return flags.split()


def _first(keys: tuple[str, ...]) -> str:
    return next((value for name, value in _cpuinfo() if name in keys), "")


@lru_cache(maxsize=1)
def _cpuinfo() -> tuple[tuple[str, str], ...]:
    """Return the keys and values of the first processor."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.exists() else ""
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


#: The instructions that are worth telling of.
_TOLD: Final = ("sse4", "avx", "fma", "amx", "f16c", "asimd", "sve", "bf16")
_PACKAGES: Final = ("tensorflow", "keras", "tf_keras", "numpy", "rpy2", "tensorflow-metal", "jax")


def describe_environment() -> dict[str, Any]:
    """Return what this process runs on; nothing that names a user, a host or a folder."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "machine": platform.machine(),
        "cpu_model": cpu_model(),
        "cpu_vendor": cpu_vendor(),
        "cpu_flags": sorted(flag for flag in cpu_flags() if flag.startswith(_TOLD)),
        "switches": kernel_switches(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "packages": dict(versions()),
    }
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        # It asks names of TensorFlow's own that may be gone, and devices that a plug-in brings.
        with contextlib.suppress(Exception):
            found |= _describe_tensorflow(tensorflow)
    return found


def _describe_tensorflow(tf: Any) -> dict[str, Any]:
    from tensorflow.python.util import _pywrap_util_port

    return {
        "devices": sorted({device.device_type for device in tf.config.list_physical_devices()}),
        "optimizer": dict(tf.config.optimizer.get_experimental_options()),
        "onednn": bool(_pywrap_util_port.IsMklEnabled()),
        "threads": [
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.config.threading.get_inter_op_parallelism_threads(),
        ],
    }


@lru_cache(maxsize=1)
def versions() -> Mapping[str, str]:
    """Return the versions of the packages that a run rests on, by name; read once."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


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


#: Where R, Python, NumPy and TensorFlow start to draw where no seed is set, in every run.
SEED: Final = 1
#: How often a text is parsed before CPython's own error counts.
_PARSES: Final = 4


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


def parse_within_finalisers() -> None:
    """Let Python text be parsed while a finaliser parses: older CPythons keep one count for both.

    They build the tree with one counter of depth for the whole process (CPython's issue 106905).
    Objects may be collected meanwhile, and what a finaliser parses, or another thread while it
    runs, leaves the counter elsewhere: a right tree is then refused with a ``SystemError``.
    TensorFlow parses every function that it traces. What was collected is collected once only, so
    that the text is parsed again.
    """
    if sys.version_info >= (3, 12) or hasattr(ast.parse, "__wrapped__"):
        return
    parse = ast.parse

    @functools.wraps(parse)
    def again(*args: Any, **kwargs: Any) -> Any:
        for _ in range(_PARSES - 1):
            try:
                return parse(*args, **kwargs)
            except SystemError:
                continue
        return parse(*args, **kwargs)

    ast.parse = again


def start_chance() -> None:
    """Start every generator of chance from the same place, with no seed set in any library.

    What a script seeds itself must come out as it does in a process that nobody has seeded: with no
    seed of ours left in TensorFlow or Keras, for both go by whether one was set. ``tf_keras`` would
    draw from a generator of its own and pass over a script's ``random.seed()``, and TensorFlow
    combines the seed of an operation with the global one. Only what is drawn with no seed at all,
    which differs from process to process, is drawn from :data:`SEED`.
    """
    # Whoever only looks at an environment does without NumPy.
    import numpy as np

    random.seed(SEED)
    np.random.seed(SEED)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        _start_tensorflow(tensorflow)
    tf_keras = sys.modules.get("tf_keras.src.backend")
    if tf_keras is not None:
        tf_keras._SEED_GENERATOR.generator = None
    state = sys.modules.get("keras.src.backend.common.global_state")
    if state is not None:
        for name in ("global_random_seed", "global_seed_generator"):
            state.set_global_attribute(name, None)


def _start_tensorflow(tf: Any) -> None:
    from tensorflow.python.eager import context
    from tensorflow.python.framework import random_seed

    # This also starts the generator of the seeds that operations get, and forgets their kernels.
    tf.random.set_seed(SEED)
    context.context()._seed = None
    seeded = random_seed.get_seed
    if getattr(seeded, "draws_unseeded", False):
        return

    def get_seed(op_seed: Any) -> Any:
        """Return an operation's two seeds: where there are none, those after ``set_seed(SEED)``."""
        seeds = seeded(op_seed)
        if seeds != (None, None):
            return seeds
        if context.executing_eagerly():
            return SEED, context.internal_operation_seed()
        from tensorflow.python.framework import ops

        graph = ops.get_default_graph()
        count = random_seed._graph_to_seed_dict.setdefault(graph, 0)
        random_seed._graph_to_seed_dict[graph] += 1
        return SEED, count

    get_seed.draws_unseeded = True  # type: ignore[attr-defined]
    random_seed.get_seed = get_seed
