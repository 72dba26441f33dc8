"""Places as runnable code: where two arrays first part, and which line of Python leads there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError
from bridge.capsule.numbers import same_bits, words

_RESULTS = {
    "predict": "model.predict(x)",
    "call": "model(x)",
    "evaluate": "model.evaluate(x, y)",
    "fit": "model.get_weights()",
    "train": "model.train_on_batch(x, y)",
}


@dataclass(frozen=True)
class Parting:
    """Where two arrays first part, as an index or an attribute, and what stands there.

    ``known`` is False where the elements of one were not recorded, so that nobody can tell.
    """

    suffix: str
    detail: str
    known: bool = True


def parting(a: Capsule, p: Array, b: Capsule, q: Array) -> Parting | None:
    """Return where ``p`` of one run and ``q`` of another first part; None if they do not."""
    if p.dtype != q.dtype:
        return Parting(".dtype", f"{p.dtype} against {q.dtype}")
    if p.shape != q.shape:
        return Parting(".shape", f"{p.shape} against {q.shape}")
    try:
        x, y = a.array(p), b.array(q)
    except CapsuleError as error:
        return Parting("", str(error), known=False)
    if same_bits(x, y):
        return None
    place = _first_unlike(x, y)
    return Parting(index_code(place), f"{x[place].item()!r} and {y[place].item()!r}")


def elements_same(a: Capsule, p: Array, b: Capsule, q: Array) -> bool:
    """Say whether two recorded arrays have the same type, shape and bits."""
    try:
        return same_bits(a.array(p), b.array(q))
    except CapsuleError:
        return False


def index_code(index: tuple[int, ...]) -> str:
    """Return ``[3, 0]``, or nothing for an array without axes."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def output_code(layer: str, suffix: str) -> str:
    """Return code for an element of a layer's output."""
    return f"keras.Model(model.inputs, model.get_layer({layer!r}).output)(x){suffix}"


def result_code(kind: str, suffix: str = "") -> str:
    """Return code for an element of what a probe of this kind returned."""
    return f"{_RESULTS.get(kind, 'value')}{suffix}"


def _first_unlike(x: AnyArray, y: AnyArray) -> tuple[int, ...]:
    flat_x, flat_y = np.ascontiguousarray(x).ravel(), np.ascontiguousarray(y).ravel()
    first = int(np.flatnonzero(words(flat_x) != words(flat_y))[0])
    return tuple(int(part) for part in np.unravel_index(first, x.shape)) if x.shape else ()
