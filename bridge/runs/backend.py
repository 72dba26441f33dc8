"""Running a rebuilt model on another back end of Keras 3 than TensorFlow: NumPy, JAX, PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge._typing import AnyArray
from bridge.runs.model_execution import Named, Sight
from bridge.runs.model_rebuild import forget
from bridge.trace.call_tracer import Call, LookError, Watch
from bridge.trace.model_inputs import assemble, batches, leaves


def run_elsewhere(keras: Any, model: Any, fed: Named, rows: int | None) -> Sight:
    """Run a model as ``model(x)``, in batches of so many rows; None is all at once.

    Its layers are seen on NumPy, where what passes between them are arrays, if there is one batch.

    Raises:
        LookError: the arrays that it was given do not belong together.
    """
    forget(model)
    try:
        parts = [list(fed)] if rows is None else list(batches(fed, rows))
    except ValueError as error:
        raise LookError(str(error)) from None
    looking = keras.backend.backend() == "numpy" and len(parts) == 1
    if looking:
        watch = Watch(keras, model)
        with watch.watching():
            made = model(assemble(parts[0]), training=False)
        return _seen(keras, watch, made)
    found = [_named(keras, model(assemble(part), training=False)) for part in parts]
    outputs = [(name, np.concatenate([dict(each)[name] for each in found])) for name, _ in found[0]]
    return Sight((), (), {}, outputs, frozenset(), None)


def _named(keras: Any, made: Any) -> list[tuple[str, AnyArray]]:
    return [(name, np.asarray(keras.ops.convert_to_numpy(y))) for name, y in leaves("y", made)]


def _seen(keras: Any, watch: Watch, made: Any) -> Sight:
    outputs = _named(keras, made)
    by_maker = {id(y) for _, y in leaves("y", made)}
    returned = frozenset(n for n, each in enumerate(watch.tensors) if id(each) in by_maker)
    values = {number: np.asarray(each) for number, each in enumerate(watch.tensors)}
    return Sight(_calls(watch), watch.tensors, values, outputs, returned, None)


def _calls(watch: Watch) -> Sequence[Call]:
    try:
        return watch.calls()
    except LookError:
        return ()
