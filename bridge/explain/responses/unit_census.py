"""How the units of a layer spend their input: negative sums, dead units, saturated units."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.explain.responses.preactivations import Before, sums_before
from bridge.explain.result import UnitCensus
from bridge.rounding.layer_records import Seen

#: An argument at which every activation that has a limit has reached it.
_FAR: Final = 1e30
_MOST_NAMED: Final = 64


def census_of(probe: str, seen: Seen) -> UnitCensus | None:
    """Count the units of a layer that has an activation, over all recorded rows.

    The sums before the activation are computed in float64 from the inputs that were recorded, so
    that the share of negative ones says what the activation has to do here. A unit is dead if its
    recorded output never changes (with relu: if it is never positive), and saturated if each of
    its outputs is one of the limits of an activation that has two. None is returned for layers of
    which :func:`bridge.explain.responses.preactivations.sums_before` says nothing.
    """
    before = sums_before(seen)
    if before is None or not before.sums.size or not np.all(np.isfinite(before.sums)):
        return None
    rows, units = before.sums.shape
    below = int(np.sum(before.sums < 0))
    dead = _dead(before) if rows > 1 else ()
    saturated = _saturated(before) if rows > 1 else ()
    return UnitCensus(
        probe=probe,
        layer=before.layer,
        units=units,
        rows=rows,
        negative=below / before.sums.size,
        dead=dead[:_MOST_NAMED],
        activation=before.activation,
        identity=bool(np.all(before.at(before.sums) == before.sums)),
        below=below,
        dead_units=len(dead),
        saturated_units=len(saturated),
        saturated=saturated[:_MOST_NAMED],
        bends=_bends(before, seen),
    )


def _dead(before: Before) -> tuple[int, ...]:
    if before.made is None:
        return ()
    constant = np.all(before.made == before.made[:1], axis=0)
    if before.at(np.array([-1.0]))[0] == 0:
        constant &= np.all(before.made <= 0, axis=0)
    return tuple(int(unit) for unit in np.flatnonzero(constant))


def _saturated(before: Before) -> tuple[int, ...]:
    if before.made is None:
        return ()
    limits = before.at(np.array([-_FAR, _FAR]))
    if not np.all(np.abs(limits) < math.sqrt(_FAR)):
        return ()
    at_limit = np.all((before.made == limits[0]) | (before.made == limits[1]), axis=0)
    return tuple(int(unit) for unit in np.flatnonzero(at_limit))


def _bends(before: Before, seen: Seen) -> tuple[float, ...]:
    """Return the inputs at which the sums of the units are zero, for a layer of one input.

    They are where relu and its kin bend, on the grid or off it.
    """
    case = seen.case
    if isinstance(case, str) or case.then:
        return ()
    low, below, above, high = before.at(np.array([-2.0, -1.0, 1.0, 2.0]))
    if low != 2 * below or high != 2 * above or below == -above:
        return ()
    kernel, bias = case.layer.weights.get("kernel"), case.layer.weights.get("bias")
    if kernel is None or kernel.ndim != 2 or kernel.shape[0] != 1:
        return ()
    slopes = kernel[0].astype(np.float64)
    offsets: F64 = np.zeros_like(slopes) if bias is None else bias.astype(np.float64)
    if not np.all(slopes != 0) or len(slopes) > _MOST_NAMED:
        return ()
    return tuple(float(place) + 0.0 for place in -offsets / slopes)
