"""Checking one certificate: is its error the exact one, its bound the rules', and is it kept?

The layer is computed in exact arithmetic from what the capsule recorded, and that an element is
within its bound is decided exactly. The bound itself is the rules': it is derived again, and what
the certificate says must be the same. Nothing here derives a bound a second time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from flint import arb

from bridge._typing import F64, AnyArray, Mask
from bridge.capsule import Capsule, CapsuleError, Probe
from bridge.errors import BridgeError
from bridge.facts.layers import class_name
from bridge.rounding.ladder import LayerCase, Marks
from bridge.rounding.layer_records import Subject, subjects
from bridge.rounding.rules.rounding import FORMATS
from bridge.verify.certificate import Bounds, Certificate, Certificates, digest_of
from bridge.verify.exact_arithmetic import (
    CHUNK,
    Balls,
    ExactLayer,
    Ints,
    UncheckedError,
    Values,
    lower,
    points,
    precisely,
    upper,
)
from bridge.verify.layer_values import exact_values

#: How many elements that do not hold are described.
_MOST_DESCRIBED: Final = 5

#: What part of a bound its float64 arithmetic, and that of the error, may be off by: on another
#: machine sums are added in another order. A bound is at least about a unit roundoff of the layer's
#: type, 2^-24 or more, times what is summed, and float64 errs by 2^-53 for each addition; the nine
#: bits between are for long sums. Whether an element is within its bound does not depend on it.
FLOAT64_PART: Final = 2.0**-20

#: Told how many elements were just checked.
Progress = Callable[[int], None]


class MisfitError(BridgeError):
    """What was recorded contradicts a certificate, so that it cannot be true."""


@dataclass(frozen=True)
class Failure:
    """Something that does not hold; ``index`` is the element's, where it is about one.

    ``exact`` has the first digits of the exact result.
    """

    why: str
    index: tuple[int, ...] | None = None
    y: float | None = None
    error: float | None = None
    bound: float | None = None
    exact: str = ""


@dataclass(frozen=True)
class CertificateOutcome:
    """What became of one certificate.

    ``outputs`` counts its elements, ``checked`` those that were looked at (fewer in a sample),
    ``left_out`` those of them of which nothing can be decided exactly, and ``failed`` those that do
    not hold, of which ``failures`` describes some. Of those that are ``blurred`` float64 does not
    know the value well, so that the error is not checked, but the bound is. ``unchecked`` says why
    it was not re-checked.
    """

    probe: int
    layer: str
    cls: str
    prediction: int | None
    outputs: int = 0
    checked: int = 0
    left_out: int = 0
    blurred: int = 0
    failed: int = 0
    ratio: float = 0.0
    failures: tuple[Failure, ...] = ()
    unchecked: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing fails; also of what was not re-checked."""
        return not self.failures


@dataclass(frozen=True)
class CertifiedElements:
    """Some elements of an output, and what a certificate and the rules say of them.

    ``error`` and ``bound`` are the certificate's; ``value`` is the rules' float64 evaluation and
    ``derived`` their bound. ``same`` says where y has the bits of that evaluation, rounded.
    """

    y: AnyArray
    error: F64
    bound: F64
    value: F64
    derived: F64
    same: Mask

    def at(self, places: Ints) -> CertifiedElements:
        """Return what is said of the elements at flat places."""
        return CertifiedElements(
            y=self.y.reshape(-1)[places],
            error=self.error.reshape(-1)[places],
            bound=self.bound.reshape(-1)[places],
            value=self.value.reshape(-1)[places],
            derived=self.derived.reshape(-1)[places],
            same=self.same.reshape(-1)[places],
        )


class Subjects:
    """What certificates of a run are about, each probe read only once."""

    def __init__(self, capsule: Capsule) -> None:
        self._capsule = capsule
        self._read: tuple[int, tuple[Subject, ...]] | None = None

    def find(self, certificate: Certificate) -> Subject:
        """Return what a certificate is about.

        Raises:
            MisfitError: the run has nothing of the kind.
        """
        probes = [
            probe for probe in self._capsule.manifest.probes if probe.index == certificate.probe
        ]
        if len(probes) != 1:
            raise MisfitError(f"the capsule has {len(probes)} probes of number {certificate.probe}")
        (probe,) = probes
        if not 0 <= certificate.position < len(probe.layers):
            raise MisfitError(f"the probe has {len(probe.layers)} layers")
        for subject in self._of(probe):
            if (subject.position, subject.prediction) == certificate.key[1:]:
                return subject
        raise MisfitError("the capsule has no such output of the model")

    def _of(self, probe: Probe) -> tuple[Subject, ...]:
        # Only one probe's: they hold its arrays, and certificates are sorted by the probe.
        if self._read is None or self._read[0] != probe.index:
            self._read = probe.index, subjects(self._capsule, probe)
        return self._read[1]


@dataclass
class _Tally:
    """What was counted so far."""

    checked: int = 0
    left_out: int = 0
    blurred: int = 0
    failed: int = 0
    ratio: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def add(self, examined: ElementCheck, places: Ints, shape: tuple[int, ...]) -> None:
        """Add what was found of the elements at flat places of an output of some shape."""
        self.checked += places.size
        self.left_out += int((~examined.defined | examined.open).sum())
        self.blurred += int(examined.blurred.sum())
        self.ratio = max(self.ratio, examined.ratio())
        self.fail(examined.failed(), examined.claim, places, shape, examined.exact)

    def fail(
        self,
        failed: Mapping[int, str],
        claim: CertifiedElements,
        places: Ints,
        shape: tuple[int, ...],
        exact: Balls | None = None,
    ) -> None:
        """Add elements that do not hold, and describe some of them."""
        self.failed += len(failed)
        room = max(_MOST_DESCRIBED - len(self.failures), 0)
        for place, why in list(failed.items())[:room]:
            index = tuple(int(part) for part in np.unravel_index(places[place], shape))
            y, error, bound = (float(part[place]) for part in (claim.y, claim.error, claim.bound))
            digits = "" if exact is None else _digits(exact[place])
            self.failures.append(Failure(why, index, y, error, bound, digits))


def check_certificate(
    capsule: Capsule,
    certificates: Certificates,
    certificate: Certificate,
    sample: int | None = None,
    progress: Progress = lambda _count: None,
    known: Subjects | None = None,
) -> CertificateOutcome:
    """Check a certificate against the capsule that it is about.

    ``sample`` is the number of elements to draw at random from each output; None means all.
    ``known`` are the capsule's subjects, where several certificates are checked. What cannot be
    right is a failure of the result, whatever the files hold; nothing is raised.
    """
    tally, unchecked = _Tally(), ""
    try:
        case, marks = _recorded(known or Subjects(capsule), certificate)
        for number, (output, bounds) in enumerate(zip(marks, certificate.outputs, strict=True)):
            claim = _read(certificates, output, bounds)
            with precisely():
                _check_output(case, number, claim, sample, tally, progress)
    except (CapsuleError, MisfitError) as error:
        tally.failures.append(Failure(str(error)))
    except UncheckedError as error:
        unchecked = str(error)
    except Exception as error:
        # A file of a stranger's may hold what nobody thought of; it must not pass for checked.
        unchecked = f"the checker could not follow it ({type(error).__name__}: {error})"
    again = [
        name
        for name, was in certificate.tables.items()
        if digest_of(name, certificate.format) != was
    ]
    if again and tally.failures:
        first = tally.failures[0]
        why = f"{first.why}; since it was issued, {', '.join(again)} has been measured again"
        tally.failures[0] = replace(first, why=why)
    return CertificateOutcome(
        probe=certificate.probe,
        layer=certificate.layer,
        cls=class_name(certificate.cls) or certificate.cls,
        prediction=certificate.prediction,
        outputs=sum(math.prod(output.bound.shape) for output in certificate.outputs),
        checked=tally.checked,
        left_out=tally.left_out,
        blurred=tally.blurred,
        failed=tally.failed,
        ratio=tally.ratio,
        failures=tuple(tally.failures),
        unchecked=unchecked,
    )


def _recorded(known: Subjects, certificate: Certificate) -> tuple[LayerCase, tuple[Marks, ...]]:
    """Return the layer that a certificate is about, and its outputs with the rules' bounds.

    Raises:
        MisfitError: there is no such layer, or it is another, or the rules give no bound for it.
    """
    subject = known.find(certificate)
    case = subject.case
    if isinstance(case, str):
        raise MisfitError(f"what it is about was not recorded: {case}")
    if subject.layer != certificate.layer or case.layer.cls != certificate.cls:
        raise MisfitError(
            f"in its place the capsule has the layer {subject.layer!r} of class {case.layer.cls}"
        )
    if case.layer.compute_dtype != certificate.format:
        raise MisfitError(
            f"the certificate is for {certificate.format}, the layer computes in "
            f"{case.layer.compute_dtype}"
        )
    if isinstance(case.marks, str):
        raise MisfitError(f"the rules give no bound for it: {case.marks}; run the case again")
    if len(case.marks) != len(certificate.outputs) or not case.marks:
        raise MisfitError(
            f"the certificate has {len(certificate.outputs)} outputs, the capsule {len(case.marks)}"
        )
    return case, case.marks


def _read(certificates: Certificates, output: Marks, bounds: Bounds) -> CertifiedElements:
    found = [certificates.arrays[part.key or ""] for part in (bounds.error, bounds.bound)]
    for name, array in zip(("errors", "bounds"), found, strict=True):
        if array.dtype != np.float64 or array.shape != output.y.shape:
            raise MisfitError(
                f"its {name} are {array.dtype.name} of shape {array.shape}, its output has shape "
                f"{output.y.shape}"
            )
    error, bound = found
    evaluated = output.evaluation
    value = evaluated.value.astype(np.float64)
    return CertifiedElements(output.y, error, bound, value, evaluated.bound, output.same)


def _check_output(
    case: LayerCase,
    number: int,
    claim: CertifiedElements,
    sample: int | None,
    tally: _Tally,
    progress: Progress,
) -> None:
    places, shape = _places(claim.y.size, sample), claim.y.shape
    try:
        layer = exact_values(case, number)
    except UncheckedError:
        # The bound is the rules' all the same.
        part = claim.at(places)
        failed = {int(n): _say_not_derived(part, n) for n in np.flatnonzero(not_derived(part))}
        if not failed:
            raise
        tally.checked += places.size
        tally.fail(failed, part, places, shape)
        return
    for some in _chunks(places, layer):
        tally.add(ElementCheck(claim.at(some), layer.at(some)), some, shape)
        progress(some.size)


def _chunks(places: Ints, layer: ExactLayer) -> list[Ints]:
    step = max(min(layer.chunk, CHUNK * 64), 1)
    return [places[start : start + step] for start in range(0, places.size, step)]


def _places(size: int, sample: int | None) -> Ints:
    if sample is None or sample >= size:
        return np.arange(size, dtype=np.int64)
    return np.array(sorted(random.sample(range(size), sample)), np.int64)


def not_derived(claim: CertifiedElements) -> Mask:
    """Return where a bound is not the one that the rules derive."""
    bound, derived = claim.bound, claim.derived
    with np.errstate(all="ignore"):
        near = np.isfinite(derived) & (np.abs(bound - derived) <= FLOAT64_PART * derived)
    return np.asarray(~((bound == derived) | near))


class ElementCheck:
    """Elements beside their exact values: which of them fail, each for one reason.

    An element holds if its bound is the rules', its error is what exact arithmetic gives, and the
    exact value is within the bound. Without a bound within which it is, an element holds if it is
    the exact value, rounded.

    Where so much cancels that float64 does not know the value to a small part of the bound, the
    element is ``blurred``, and its error is not checked. If it has no bound, and the bits of the
    float64 evaluation but not those of the exact value, it is ``open``: nothing is proved.
    """

    def __init__(self, claim: CertifiedElements, values: Values) -> None:
        self.claim, self.exact = claim, values.exact
        self.wide: F64 = claim.y.astype(np.float64)
        answers = self.wide if claim.y.dtype.kind not in "iu" else claim.y
        known = np.array([value.is_finite() for value in values.exact], np.bool_)
        self.defined: Mask = values.defined & known
        self.finite: Mask = self.defined & np.isfinite(self.wide)
        self.bounded: Mask = np.isfinite(claim.bound) & (claim.bound >= 0.0)
        self.gap = [abs(y - value) for y, value in zip(points(answers), values.exact, strict=True)]
        self.furthest: F64 = np.where(self.finite, upper(self.gap), 0.0)
        off = [abs(v - value) for v, value in zip(points(claim.value), values.exact, strict=True)]
        with np.errstate(all="ignore"):
            blur = upper(off)
            small = FLOAT64_PART * claim.derived
            self.blurred: Mask = self.finite & (blur > small) & (blur <= claim.derived)
            self.blurred &= np.isfinite(claim.derived)
            self.beyond = self._beyond()
            self.open: Mask = self.beyond & claim.same & np.isposinf(claim.derived)

    def failed(self) -> dict[int, str]:
        """Return why elements fail, by their places."""
        found: dict[int, str] = {}
        with np.errstate(all="ignore"):
            reasons = (
                (self._no_number(), self._say_no_number),
                (not_derived(self.claim), lambda place: _say_not_derived(self.claim, place)),
                (self._dishonest(), self._say_dishonest),
                (self.beyond & ~self.open, self._say_beyond),
            )
        for where, say in reasons:
            for place in np.flatnonzero(where).tolist():
                found.setdefault(place, say(place))
        return dict(sorted(found.items()))

    def ratio(self) -> float:
        """Return the largest error over its bound."""
        inside = self.finite & self.bounded & (self.claim.bound > 0.0)
        with np.errstate(all="ignore"):
            ratio = np.where(inside, self.furthest / self.claim.bound, 0.0)
        return float(np.nan_to_num(ratio).max(initial=0.0))

    def _no_number(self) -> Mask:
        bound, error = self.claim.bound, self.claim.error
        lost = np.isnan(bound) | (bound < 0.0) | np.isnan(self.wide)
        return np.asarray(self.defined & (lost | (self.finite & np.isnan(error))))

    def _dishonest(self) -> Mask:
        """Where the error is not |y - exact|, up to what float64 arithmetic may be off by."""
        error = self.claim.error
        slack = np.where(self.bounded, FLOAT64_PART * self.claim.bound, self._half_step())
        nearest = np.maximum(lower(self.gap), 0.0)
        honest = (error >= nearest - slack) & (error <= self.furthest + slack)
        return np.asarray(self.finite & ~self.open & ~self.blurred & ~honest)

    def _beyond(self) -> Mask:
        """Where y is not within the bound, and is not the exact value rounded either."""
        # The smaller of two that are the same but for their last digits.
        least = np.where(self.bounded, np.minimum(self.claim.bound, self.claim.derived), -1.0)
        beyond = self.defined & ~self._within(least, self.finite) & ~self._overflown()
        # The ladder rounds what float64 made of the exact value.
        near = self._half_step() * (1.0 + FLOAT64_PART)
        near = near + np.where(self.bounded, FLOAT64_PART * least, 0.0)
        return np.asarray(beyond & ~self._within(near, beyond & self.finite))

    def _within(self, most: F64, asked: Mask) -> Mask:
        """Return where the exact gap is no larger than some numbers; False where nobody asked."""
        inside = asked & (self.furthest <= most)
        for place in np.flatnonzero(asked & ~inside).tolist():
            inside[place] = bool(self.gap[place] <= arb(float(most[place])))
        return np.asarray(inside)

    def _half_step(self) -> F64:
        """Half of the distance to the next number of the output's type; nothing for integers."""
        fmt = FORMATS.get(self.claim.y.dtype.name)
        if fmt is None:
            return np.zeros(self.wide.shape)
        return np.asarray(0.5 * fmt.ulp(np.where(np.isfinite(self.wide), self.wide, 0.0)))

    def _overflown(self) -> Mask:
        """Where y is infinite and the exact value rounds to that, or does within the bound."""
        found, fmt = np.zeros(self.wide.shape, np.bool_), FORMATS.get(self.claim.y.dtype.name)
        if fmt is None:
            return found
        room = np.where(self.bounded, np.minimum(self.claim.bound, self.claim.derived), 0.0)
        for place in np.flatnonzero(np.isinf(self.wide) & self.defined).tolist():
            sign = 1 if self.wide[place] > 0.0 else -1
            towards = sign * self.exact[place] + arb(float(room[place]))
            found[place] = bool(towards >= arb(fmt.overflow))
        return found

    def _say_no_number(self, place: int) -> str:
        bound = self.claim.bound[place]
        if np.isnan(self.wide[place]):
            return f"the output is NaN where the exact result is {_digits(self.exact[place])}"
        if np.isnan(bound) or bound < 0.0:
            return f"the bound {bound!s} is none"
        return f"the error is {self.claim.error[place]!s}, no number"

    def _say_dishonest(self, place: int) -> str:
        return (
            f"the error is recorded as {float(self.claim.error[place])!r}, but exact arithmetic "
            f"gives {float(self.furthest[place])!r} ({self._say_values(place)})"
        )

    def _say_beyond(self, place: int) -> str:
        return (
            f"the error {float(self.claim.error[place])!r} is beyond the bound "
            f"{float(self.claim.bound[place])!r} ({self._say_values(place)})"
        )

    def _say_values(self, place: int) -> str:
        return f"y = {float(self.wide[place])!r}, exactly {_digits(self.exact[place])}"


def _say_not_derived(claim: CertifiedElements, place: int) -> str:
    return (
        f"the bound {float(claim.bound[place])!r} is not what the rules give, "
        f"{float(claim.derived[place])!r}"
    )


def _digits(value: arb) -> str:
    return str(value.str(20, radius=False))
