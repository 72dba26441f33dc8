"""What an eye sees in a drawing: shapes and differences, as far as a line has a width.

A word such as "linear" reports what somebody saw, and what somebody sees ends at the width of the
line that was drawn. Both lengths are R's own defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.explain.result import ResponseShape, Says
from bridge.explain.shapes import shape_of

#: R draws a line of lwd = 1 as 1/96 of an inch wide (?par). On its usual device of 7 inches, with
#: the usual margins (``mai`` is 1.02 below and 0.82 above), a plot is 5.16 inches high, of which
#: the data takes all but 4% at either end (``yaxs = "r"``).
_HEIGHT: Final = (7 - 1.02 - 0.82) / (1 + 2 * 0.04)
WIDTH: Final = 1 / 96 / _HEIGHT
#: What leaves the data's own range by more than this leaves the plot.
MARGIN: Final = 0.04

#: Which shapes a word for one admits.
_KINDS: Final = {
    "linear": ("affine",),
    "relu": ("hinge",),
    "hinge": ("hinge",),
    "saturating": ("saturating",),
    "constant": ("constant",),
    "smooth": ("smooth", "saturating"),
}
#: Shapes that are asked for within the width of a line; any curve is made of short lines, too.
_SIMPLE: Final = frozenset({"constant", "affine", "hinge"})
_CURVES: Final = frozenset({"saturating", "smooth"})
#: So many points of a curve draw it: R's device has about as many pixels, and a line is wider.
_POINTS: Final = 256


@dataclass(frozen=True)
class Response:
    """One output over one input: n numbers each, ``x`` rising, every x once."""

    x: AnyArray
    y: AnyArray

    @property
    def width(self) -> float:
        """How far apart two values are whose lines touch, at the scale of this drawing."""
        return line_width(self.y)

    def thinned(self) -> Response:
        """Return the response at as many of its points as it takes to draw it."""
        kept = np.unique(np.linspace(0, len(self.x) - 1, min(_POINTS, len(self.x))).round())
        places = kept.astype(np.intp)
        return Response(self.x[places], self.y[places])


def response(x: AnyArray, y: AnyArray) -> Response | None:
    """Return the response of ``y`` to ``x``; None unless both have one number a row, all finite."""
    if not x.size or x.size != len(x) or y.size != x.size or y.ndim == 0 or len(y) != len(x):
        return None
    if x.dtype.kind not in "fiu" or y.dtype.kind not in "fiu":
        return None
    flat, values = x.reshape(-1).astype(np.float64), y.reshape(-1).astype(np.float64)
    if not (np.isfinite(flat).all() and np.isfinite(values).all()):
        return None
    points, first = np.unique(flat, return_index=True)
    return Response(points, values[first])


def line_width(y: AnyArray) -> float:
    """Return the width of a drawn line in units of ``y``, whose range fills the drawing."""
    return WIDTH * float(np.max(y, initial=-np.inf) - np.min(y, initial=np.inf)) if y.size else 0.0


def word_fits(word: str, at: Response) -> tuple[Says, str, str]:
    """Say whether somebody who sees this response would use the word for its shape.

    Returns what is said, the shape's kind, and why. What is not straight by the width of a line is
    still silent up to the margin of a plot: some would call it straight, and some would not.
    """
    least = float(np.spacing(np.float32(np.max(np.abs(at.y)))))
    at = at.thinned()
    drawn = shape_of(at.x, at.y, max(at.width, least))
    if word in _CURVES:
        shape = drawn if drawn.kind in _SIMPLE else shape_of(at.x, at.y, least)
        said: Says = "explains" if shape.kind in _KINDS[word] else "contradicts"
        return ("silent" if shape.kind == "not-known" else said), shape.kind, _words_for(shape)
    if _is_so(word, drawn, at):
        return "explains", drawn.kind, _words_for(drawn)
    wide = shape_of(at.x, at.y, max(at.width / WIDTH * MARGIN, least))
    if _is_so(word, wide, at):
        return "silent", drawn.kind, f"an eye may see {_words_for(wide)}, or not"
    if drawn.kind not in _SIMPLE:
        drawn = shape_of(at.x, at.y, least)
    return "contradicts", drawn.kind, _words_for(drawn)


def _is_so(word: str, shape: ResponseShape, at: Response) -> bool:
    if shape.kind not in _KINDS[word]:
        return False
    return word != "relu" or _flat_on_one_side(shape, at)


def _words_for(shape: ResponseShape) -> str:
    """Say what a shape is, without how it was found."""
    if shape.kind == "constant":
        return f"constant: {shape.intercepts[0]:.4g}"
    if shape.kind == "affine":
        return f"a straight line of slope {shape.slopes[0]:.4g}"
    if shape.kind == "hinge":
        slopes = " and ".join(f"{slope:.4g}" for slope in shape.slopes)
        return f"a hinge of slopes {slopes} that meet at x = {shape.breakpoints[0]:.4g}"
    words = {"saturating": "a curve that saturates", "smooth": "a smooth curve"}
    return words.get(shape.kind, "no shape that is known")


def as_drawn(faulty: AnyArray, healthy: AnyArray) -> tuple[Says, str]:
    """Say whether an output looks as expected, where ``healthy`` is what was expected.

    Within the width of a line nobody sees a difference; beyond the margin of the plot everybody
    does; in between it depends on who looks.
    """
    gap, span = _gap(faulty, healthy)
    if gap == 0:
        return "explains", "it would be the same, bit for bit"
    if not np.isfinite(gap):
        return "contradicts", "it would not be numbers of the same kind and count"
    share = gap / span if span else np.inf
    text = f"it would differ by up to {gap:.3g}"
    text += f", {share:.2g} of the drawn range" if span else ", from a constant"
    if share <= WIDTH:
        return "explains", f"{text}: less than a drawn line is wide"
    if share > MARGIN:
        return "contradicts", text
    return "silent", f"{text}: an eye may see that or not"


def as_not_expected(faulty: AnyArray, healthy: AnyArray) -> tuple[Says, str]:
    """Say whether an output looks wrong, where ``healthy`` is what was expected."""
    gap, _ = _gap(faulty, healthy)
    said, why = as_drawn(faulty, healthy)
    if gap == 0:
        return "contradicts", why
    return ("explains" if said == "contradicts" else "silent"), why


def _gap(faulty: AnyArray, healthy: AnyArray) -> tuple[float, float]:
    if faulty.shape != healthy.shape:
        return np.inf, 0.0
    with np.errstate(all="ignore"):
        a, b = faulty.astype(np.float64), healthy.astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        gap = np.where(same, 0.0, np.abs(a - b))
    if not gap.size:
        return 0.0, 0.0
    finite = b[np.isfinite(b)]
    span = float(finite.max() - finite.min()) if finite.size else 0.0
    return float(np.nan_to_num(gap.max(), nan=np.inf)), span


def _flat_on_one_side(shape: ResponseShape, at: Response) -> bool:
    if len(shape.slopes) != 2 or len(shape.breakpoints) != 1:
        return True
    ends = shape.breakpoints[0] - at.x[0], at.x[-1] - shape.breakpoints[0]
    rises = [abs(slope) * end for slope, end in zip(shape.slopes, ends, strict=True)]
    return bool(min(rises) <= at.width)
