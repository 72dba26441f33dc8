"""What every job does in its own process: limits, standard streams, where chance starts."""

from __future__ import annotations

import ast
import functools
import os
import random
import resource
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

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
