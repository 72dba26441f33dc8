"""Which probe of one run answers to which of another.

Two runs that do the same thing make the same probes in the same order. Where one has more, the
longest sensible alignment is looked for, and what has no partner is kept without one: a prediction
that one run did not make is a finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError, Probe
from bridge.capsule.numbers import same_bits, words
from bridge.facts.layers import class_name

Aligned = tuple[Probe | None, Probe | None]

#: Beyond this many cells the table is not built, and probes are taken in order.
_MOST_CELLS: Final = 100_000


def align(a: Capsule, b: Capsule) -> list[Aligned]:
    """Return the probes of both runs side by side, in order; None stands for a missing one."""
    probes_a, probes_b = a.manifest.probes, b.manifest.probes
    kinds_a, kinds_b = ([probe.kind for probe in probes] for probes in (probes_a, probes_b))
    if kinds_a == kinds_b:
        return list(zip(probes_a, probes_b, strict=True))
    if len(probes_a) * len(probes_b) > _MOST_CELLS:
        return _in_order(probes_a, probes_b)
    looks_a = [_look(a, probe) for probe in probes_a]
    looks_b = [_look(b, probe) for probe in probes_b]
    rows, columns = len(looks_a), len(looks_b)
    # best[i][j]: the best score of aligning what follows i and j.
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            score = _likeness(looks_a[i], looks_b[j])
            both = best[i + 1][j + 1] + score if score else 0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    found: list[Aligned] = []
    i = j = 0
    while i < rows and j < columns:
        score = _likeness(looks_a[i], looks_b[j])
        if score and best[i][j] == best[i + 1][j + 1] + score:
            found.append((probes_a[i], probes_b[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            found.append((probes_a[i], None))
            i += 1
        else:
            found.append((None, probes_b[j]))
            j += 1
    found.extend((probe, None) for probe in probes_a[i:])
    found.extend((None, probe) for probe in probes_b[j:])
    return found


def labels_of(capsules: Iterable[Capsule]) -> dict[int, str]:
    """Return the name of every probe of several runs, by index.

    The first run that names a probe names it for all; else it has its kind, number and line.
    """
    found: dict[int, str] = {}
    for index, probes in enumerate(zip_longest(*(capsule.manifest.probes for capsule in capsules))):
        there = [probe for probe in probes if probe is not None]
        named = next((probe for probe in there if probe.label), there[0])
        found[index] = label_of(named, there[0])
    return found


def label_of(a: Probe | None, b: Probe | None) -> str:
    """Return the name that a run gave the probe, or its kind, number and line."""
    for probe in (a, b):
        if probe is not None and probe.label:
            return probe.label
    probe = a or b
    if probe is None:
        return ""
    line = next((seen.line for seen in (a, b) if seen is not None and seen.line), None)
    return f"{probe.kind} {probe.index + 1}" + (f" (line {line})" if line else "")


def _look(capsule: Capsule, probe: Probe) -> tuple[object, ...]:
    """Return what two probes of the same thing have in common; the first entry must agree."""
    layers: tuple[object, ...] = ()
    state = capsule.state_of(probe)
    if state is not None:
        layers = tuple((class_name(layer.cls), layer.config.get("units"),
                        str(layer.config.get("activation"))) for layer in state.layers)  # fmt: skip
    # The weights after a training are not kept where only its first epochs were made again.
    results = () if probe.kind == "fit" else probe.outputs
    shapes = tuple(ref.shape for ref in probe.inputs), tuple(ref.shape for ref in results)
    return probe.kind, layers, *shapes, probe.label


def _likeness(a: tuple[object, ...], b: tuple[object, ...]) -> int:
    return sum(left == right for left, right in zip(a, b, strict=True)) if a[0] == b[0] else 0


def _in_order(a: tuple[Probe, ...], b: tuple[Probe, ...]) -> list[Aligned]:
    found: list[Aligned] = []
    for number in range(max(len(a), len(b))):
        left = a[number] if number < len(a) else None
        right = b[number] if number < len(b) else None
        if left is not None and right is not None and left.kind != right.kind:
            found.extend([(left, None), (None, right)])
        else:
            found.append((left, right))
    return found


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
