"""Checking one certificate: its layer, as recorded in the capsule, computed exactly.

Nothing here or in what it imports knows the rules that derived the bounds.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from bridge.capsule import Array, Capsule, CapsuleError
from bridge.certify.elements import Checked, Claim, check
from bridge.certify.exact import AnyArray, Ints, precisely
from bridge.certify.given import Given, Recorded, bare_name, computes_in
from bridge.certify.kinds import MisfitError, UncheckedError
from bridge.certify.layers import stage_of
from bridge.certify.schema import Bounds, Certificate, Certificates
from bridge.certify.table import digest
from bridge.errors import internal_error

#: How many elements that do not hold are described.
_MOST_DESCRIBED: Final = 5

#: Told how many elements were just checked.
Progress = Callable[[int], None]


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
class Outcome:
    """What became of one certificate.

    ``outputs`` counts its elements, ``checked`` those that were looked at (fewer in a sample),
    ``left_out`` those of them whose exact result is no finite number, and ``failed`` those that do
    not hold, of which ``failures`` describes some. ``unchecked`` says why it was not re-checked.
    """

    probe: int
    layer: str
    cls: str
    prediction: int | None
    outputs: int = 0
    checked: int = 0
    left_out: int = 0
    failed: int = 0
    ratio: float = 0.0
    failures: tuple[Failure, ...] = ()
    unchecked: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing fails; also of what was not re-checked."""
        return not self.failures


@dataclass
class _Tally:
    """What was counted so far."""

    checked: int = 0
    left_out: int = 0
    failed: int = 0
    ratio: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def add(self, checked: Checked, part: Claim, places: Ints, shape: tuple[int, ...]) -> None:
        self.checked += checked.elements
        self.left_out += checked.left_out
        self.failed += len(checked.failed)
        self.ratio = max(self.ratio, checked.ratio)
        room = max(_MOST_DESCRIBED - len(self.failures), 0)
        for place, why, exact in checked.failed[:room]:
            index = tuple(int(part) for part in np.unravel_index(places[place], shape))
            y, error, bound = (float(each[place]) for each in (part.y, part.error, part.bound))
            self.failures.append(Failure(why, index, y, error, bound, exact))


def check_certificate(
    capsule: Capsule,
    certificates: Certificates,
    certificate: Certificate,
    sample: int | None = None,
    progress: Progress = lambda _count: None,
) -> Outcome:
    """Check a certificate against the capsule that it is about.

    ``sample`` is the number of elements to draw at random from each output; None means all. What
    cannot be right is a failure of the result, whatever the files hold; nothing is raised.
    """
    tally, unchecked = _Tally(), ""
    try:
        recorded = _recorded(capsule, certificate)
        for number, (ref, bounds) in enumerate(_outputs(recorded, certificate)):
            claim = _read(capsule, certificates, ref, bounds)
            with precisely():
                _check_output(recorded, number, claim, sample, tally, progress)
    except MisfitError as error:
        tally.failures.append(Failure(f"what was recorded contradicts itself: {error}"))
    except CapsuleError as error:
        tally.failures.append(Failure(str(error)))
    except UncheckedError as error:
        unchecked = str(error)
    except Exception as error:
        # What nobody thought of must not pass for checked.
        record = internal_error("checking a certificate", error)
        unchecked = f"the checker could not follow it ({record.message})"
    again = [
        name for name, was in certificate.tables.items() if digest(name, certificate.format) != was
    ]
    if again and tally.failures:
        first = tally.failures[0]
        why = f"{first.why}; since it was issued, {', '.join(again)} has been measured again"
        tally.failures[0] = replace(first, why=why)
    return Outcome(
        probe=certificate.probe,
        layer=certificate.layer,
        cls=bare_name(certificate.cls) or certificate.cls,
        prediction=certificate.prediction,
        outputs=sum(math.prod(each.bound.shape) for each in certificate.outputs),
        checked=tally.checked,
        left_out=tally.left_out,
        failed=tally.failed,
        ratio=tally.ratio,
        failures=tuple(tally.failures),
        unchecked=unchecked,
    )


def _recorded(capsule: Capsule, certificate: Certificate) -> Recorded:
    """Find what a certificate is about.

    Raises:
        MisfitError: there is no such layer, or it is another.
        UncheckedError: it was called in a way that no formula knows.
    """
    probes = [each for each in capsule.manifest.probes if each.index == certificate.probe]
    if len(probes) != 1:
        raise MisfitError(f"the capsule has {len(probes)} probes of number {certificate.probe}")
    (probe,) = probes
    if not 0 <= certificate.position < len(probe.layers):
        raise MisfitError(f"the probe has {len(probe.layers)} layers")
    seen = probe.layers[certificate.position]
    if probe.state is None or not 0 <= probe.state < len(capsule.manifest.states):
        raise MisfitError("the capsule has no model for the probe")
    recorded = Recorded(capsule, capsule.manifest.states[probe.state], probe, seen)
    layer = recorded.layer(seen.layer)
    if seen.layer != certificate.layer or layer.cls != certificate.cls:
        raise MisfitError(
            f"in its place the capsule has the layer {seen.layer!r} of class {layer.cls}"
        )
    if computes_in(layer.config) != certificate.format:
        raise MisfitError(
            f"the certificate is for {certificate.format}, the layer computes in "
            f"{computes_in(layer.config)}"
        )
    told = [
        key
        for key, value in seen.arguments.items()
        if value is not None and (key, value) != ("training", False) and not _is_input(value)
    ]
    if told:
        raise UncheckedError(f"it was called with {', '.join(sorted(told))}")
    return recorded


def _is_input(value: object) -> bool:
    """Say whether an argument only stands for inputs, which are recorded as such."""
    if isinstance(value, list):
        return all(_is_input(each) for each in value)
    return isinstance(value, dict) and list(value) == ["input"]


def _outputs(recorded: Recorded, certificate: Certificate) -> list[tuple[Array, Bounds]]:
    """Return the arrays that a certificate is about, each with its numbers.

    A prediction that is an output of its layer, bit for bit, is judged as that layer was, with all
    its outputs.
    """
    own = recorded.seen.outputs
    if certificate.prediction is None:
        refs = own
    else:
        refs = recorded.probe.outputs[max(certificate.prediction, 0) :][:1]
        bits = [recorded.capsule.array(ref).tobytes() for ref in refs]
        several = len(own) > 1 and len(own) == len(certificate.outputs)
        if several and any(recorded.capsule.array(ref).tobytes() in bits for ref in own):
            refs = own
    if len(refs) != len(certificate.outputs) or not refs:
        raise MisfitError(
            f"the certificate has {len(certificate.outputs)} outputs, the capsule {len(refs)}"
        )
    return list(zip(refs, certificate.outputs, strict=True))


def _read(capsule: Capsule, certificates: Certificates, ref: Array, bounds: Bounds) -> Claim:
    y = capsule.array(ref)
    found = [certificates.arrays[each.key or ""] for each in (bounds.error, bounds.bound)]
    for name, array in zip(("errors", "bounds"), found, strict=True):
        if array.dtype != np.float64 or array.shape != y.shape:
            raise MisfitError(
                f"its {name} are {array.dtype.name} of shape {array.shape}, its output has shape "
                f"{y.shape}"
            )
    error, bound = found
    return Claim(y, error, bound)


def _check_output(
    recorded: Recorded,
    number: int,
    claim: Claim,
    sample: int | None,
    tally: _Tally,
    progress: Progress,
) -> None:
    shape = claim.y.shape
    if claim.y.dtype.kind not in "fbiu" and claim.y.dtype.name != "bfloat16":
        raise UncheckedError(f"its output is {claim.y.dtype.name}")
    given: list[Given] = [recorded.given(name, shape, number) for name in recorded.through()]
    stage = stage_of(given[0], tuple(given[1:]))
    places = _places(claim.y.size, sample)
    for start in range(0, places.size, max(stage.chunk, 1)):
        some = places[start : start + max(stage.chunk, 1)]
        part = Claim(*(_flat(each)[some] for each in (claim.y, claim.error, claim.bound)))
        tally.add(check(part, stage.at(some)), part, some, shape)
        progress(some.size)


def _places(size: int, sample: int | None) -> Ints:
    if sample is None or sample >= size:
        return np.arange(size, dtype=np.int64)
    return np.array(sorted(random.sample(range(size), sample)), np.int64)


def _flat(values: AnyArray) -> AnyArray:
    return values.reshape(-1)
