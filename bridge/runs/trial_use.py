"""Using once what a call made: a model is soon built that can never run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

#: How long an axis is of which only the number is known: enough for a step before and after.
_OPEN: Final = 3


def use_once(keras: Any, made: Any) -> None:
    """Run on zeros what a call made.

    Raises:
        Exception: whatever Keras raises then.
    """
    tensors = _symbolic(made)
    if tensors:
        sources: dict[int, Any] = {}
        for tensor in tensors:
            for source in keras.utils.get_source_inputs(tensor):
                sources.setdefault(id(source), source)
        made = keras.Model(list(sources.values()), tensors)
    inputs = _inputs_of(made)
    if inputs:
        made.predict_on_batch([_zeros(each) for each in inputs] if len(inputs) > 1
                              else _zeros(inputs[0]))  # fmt: skip


def _inputs_of(made: Any) -> list[Any]:
    if not (hasattr(made, "predict_on_batch") and hasattr(made, "inputs")):
        return []
    return list(made.inputs or ())


def _symbolic(made: Any) -> list[Any]:
    return [each for each in _flat(made) if _is_symbolic(each)]


def _flat(made: Any) -> Iterator[Any]:
    if isinstance(made, (list, tuple)):
        for part in made:
            yield from _flat(part)
    elif isinstance(made, dict):
        yield from _flat(list(made.values()))
    else:
        yield made


def _is_symbolic(item: Any) -> bool:
    return any(kind.__name__ == "KerasTensor" for kind in type(item).__mro__)


def _zeros(tensor: Any) -> np.ndarray[Any, Any]:
    first, *rest = tuple(tensor.shape)
    shape = (1 if first is None else int(first), *(_OPEN if n is None else int(n) for n in rest))
    kind = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
    return np.zeros(shape, dtype=kind)
