"""Chance: where its generators start, so that runs of a script that sets no seed can be compared.

What a script seeds itself must come out as it does in a process that nobody has seeded: with no
seed of ours left in TensorFlow or Keras, for both go by whether one was set. ``tf_keras`` would
draw from a generator of its own and pass over a script's ``random.seed()``, and TensorFlow combines
the seed of an operation with the global one. Only what is drawn with no seed at all, which differs
from process to process, is drawn from :data:`SEED`.
"""

from __future__ import annotations

import random
import sys
from typing import Any, Final

import numpy as np

#: Where R, Python, NumPy and TensorFlow start to draw where no seed is set, in every run.
SEED: Final = 1


def start_chance() -> None:
    """Start every generator of chance from the same place, with no seed set in any library."""
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
