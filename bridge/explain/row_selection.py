"""What of a run decides under a lever: few predictions, and few rows of them.

Where nothing is wrong, levers are pulled to see that nothing depends on them. Two models that have
the same layers and execute the same ops answer that alike, so one of them is asked; and of a
thousand rows a few say as much: the ends, the bends, those that rounding moved most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, Probe
from bridge.capsule.schema import Array
from bridge.compare.result import LayerVerdict
from bridge.explain.executed_ops import labels
from bridge.facts.layers import class_name
from bridge.rounding.layer_records import Judge

#: Predictions that are made again under a lever, at most, where nothing is wrong.
MOST_PROBES: Final = 12
#: Rows of each: more than two of Keras' usual batches, so that a whole one and a part are run.
MOST_ROWS: Final = 72
#: Rows of each where every row is run by itself.
FEW_ROWS: Final = 8


@dataclass(frozen=True)
class RowSelection:
    """A recording with fewer rows; ``sentence`` says what was left out, "" if nothing was."""

    capsule: Capsule
    probes: frozenset[int]
    sentence: str


def part_of(capsule: Capsule, probes: Collection[int], rows: int, judge: Judge) -> RowSelection:
    """Return what decides of some predictions of a recording.

    Args:
        capsule: the recording.
        probes: the indices of the predictions.
        rows: how many rows are kept of each, at most.
        judge: says by how much rounding moved every row.
    """
    wanted = [each for each in capsule.manifest.probes if each.index in probes]
    wrong = [each for each in wanted if _is_wrong(judge(capsule, each))][:MOST_PROBES]
    chosen = {each.index for each in telling(capsule, wanted, wrong)}
    arrays = dict(capsule.arrays)
    kept: list[Probe] = []
    cut: set[tuple[int, int]] = set()
    for probe in capsule.manifest.probes:
        if probe.index not in chosen:
            kept.append(probe)
            continue
        fewer = _cut(capsule, probe, rows, judge)
        if fewer is None:
            kept.append(probe)
            continue
        made, own, left, count = fewer
        kept.append(made)
        arrays |= own
        cut.add((left, count))
    manifest = capsule.manifest.model_copy(update={"probes": tuple(kept)})
    sentence = _said(cut, len(chosen), len(wanted))
    return RowSelection(Capsule(manifest, arrays), frozenset(chosen), sentence)


def _said(cut: Collection[tuple[int, int]], chosen: int, wanted: int) -> str:
    parts = []
    if cut:
        left, count = max(cut, key=lambda each: each[1])
        parts.append(f"{left:,} of {count:,} rows")
    if chosen < wanted:
        parts.append(f"{chosen} of {wanted} predictions")
    return " of ".join(parts)


def _is_wrong(verdicts: Sequence[LayerVerdict]) -> bool:
    return any(each.verdict == "different" for each in verdicts)


def telling(capsule: Capsule, probes: Sequence[Probe], first: Sequence[Probe] = ()) -> list[Probe]:
    """Return few predictions that have, together, every layer and every executed op there is.

    The first few of those that add most, after those that are wanted ``first``; all, where there
    are no more than :data:`MOST_PROBES`.
    """
    if len(probes) <= MOST_PROBES:
        return list(probes)
    has = {each.index: frozenset(_features(capsule, each)) for each in probes}
    left = [each for each in probes if each not in first]
    chosen = list(first)
    seen: set[str] = set().union(*(has[each.index] for each in first))
    while left and len(chosen) < MOST_PROBES:
        best = max(left, key=lambda each: len(has[each.index] - seen))
        if not has[best.index] - seen:
            break
        seen |= has[best.index]
        chosen.append(best)
        left.remove(best)
    return sorted(chosen, key=lambda each: each.index)


def _features(capsule: Capsule, probe: Probe) -> Iterator[str]:
    """Yield what a prediction can show: classes of layers, their activations, executed ops."""
    yield probe.kind
    yield from labels(probe.executed)
    state = capsule.state_of(probe)
    for layer in state.layers if state is not None else ():
        name = class_name(layer.cls) or layer.cls
        yield name
        activation = layer.config.get("activation")
        if isinstance(activation, str):
            yield f"activation {activation}"


def _cut(
    capsule: Capsule, probe: Probe, rows: int, judge: Judge
) -> tuple[Probe, dict[str, AnyArray], int, int] | None:
    """Return a prediction of fewer rows, its arrays, and how many of how many rows they are.

    None where it has no more, or where its outputs are not made row by row.
    """
    try:
        inputs = [np.asarray(capsule.array(each)) for each in probe.inputs]
        outputs = [np.asarray(capsule.array(each)) for each in probe.outputs]
    except CapsuleError:
        return None
    counts = {x.shape[0] if x.ndim else -1 for x in (*inputs, *outputs)}
    if not inputs or len(counts) != 1 or max(counts) <= rows:
        return None
    (count,) = counts
    places = np.array(sorted(_places(count, rows, inputs, outputs, _moved(capsule, probe, judge))))
    arrays: dict[str, AnyArray] = {}

    def fewer(refs: Sequence[Array], values: Sequence[AnyArray], what: str) -> tuple[Array, ...]:
        made = []
        for place, (ref, value) in enumerate(zip(refs, values, strict=True)):
            key = f"part{probe.index}.{rows}.{what}{place}"
            arrays[key] = np.ascontiguousarray(value[places])
            made.append(ref.model_copy(update={"key": key, "shape": arrays[key].shape}))
        return tuple(made)

    changed = {
        "inputs": fewer(probe.inputs, inputs, "x"),
        "outputs": fewer(probe.outputs, outputs, "y"),
        "layers": (),
    }
    return probe.model_copy(update=changed), arrays, len(places), count


def _moved(capsule: Capsule, probe: Probe, judge: Judge) -> list[int]:
    """Return the rows in which some layer is furthest from what it should be."""
    verdicts = sorted(judge(capsule, probe), key=lambda each: each.verdict != "different")
    found = [worst.index[0] for each in verdicts for worst in each.worst if worst.index]
    return list(dict.fromkeys(found))


def _places(
    count: int, rows: int, inputs: Sequence[AnyArray], outputs: Sequence[AnyArray], moved: list[int]
) -> set[int]:
    """Return the rows that are kept: the ends, the worst, the bends, then some evenly spread."""
    wanted = [0, count - 1]
    wanted += [place for place in moved if 0 <= place < count][: rows // 4]
    wanted += _bends(inputs[0], outputs[0])[: rows // 4]
    wanted += [int(each) for each in np.linspace(0, count - 1, 4 * rows)]
    kept = list(dict.fromkeys(wanted))
    if len(kept) <= rows:
        return set(kept)
    first = kept[: 2 + 2 * (rows // 4)][:rows]
    spread = [place for place in kept if place not in first]
    need = rows - len(first)
    step = [spread[int(each)] for each in np.linspace(0, len(spread) - 1, need)] if need else []
    return {*first, *step}


def _bends(x: AnyArray, y: AnyArray) -> list[int]:
    """Return the rows at which the output bends most along the first number of the input."""
    along, made = (each.reshape(len(each), -1) for each in (x, y))
    if not along.size or not made.size or made.dtype.kind not in "fiu" or len(made) < 3:
        return []
    with np.errstate(all="ignore"):
        order = np.argsort(along[:, 0], kind="stable")
        bent = np.abs(np.diff(made[order, 0].astype(float), 2))
    bent[~np.isfinite(bent)] = 0
    most = np.argsort(-bent, kind="stable")[: len(bent)]
    return [int(order[place + 1]) for place in most if bent[place] > 0]
