"""What a comparison found, as data; every number of a report is here. And when errors are one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, Literal

from pydantic import ConfigDict

from bridge.capsule import ErrorRecord, Manifest
from bridge.capsule.values import Frozen
from bridge.facts.r import ADVICE, ANSI, GRAPH, UNCLASSED_ERRORS, essence

Verdict = Literal["same-bits", "within-rounding", "different", "same-error", "failed", "abstained"]

Stage = Literal[
    "text", "arguments", "config", "weights", "input", "layer", "prediction", "training curve"
]

Rung = Literal["bit-equal", "exact-probe", "certified", "probabilistic", "stochastic", "abstained"]

#: The rungs of the ladder, strongest first.
RUNGS: Final[tuple[Rung, ...]] = (
    "bit-equal",
    "exact-probe",
    "certified",
    "probabilistic",
    "stochastic",
    "abstained",
)

#: Worst first: the order in which verdicts are listed, and the one that speaks for many.
SEVERITY: tuple[Verdict, ...] = (
    "failed",
    "different",
    "abstained",
    "within-rounding",
    "same-error",
    "same-bits",
)


class Result(Frozen):
    """Base of every result: NaN and the infinities are written to JSON as strings and read back."""

    model_config = ConfigDict(ser_json_inf_nan="strings")


class Worst(Result):
    """One element at which two arrays differ most: its index, both values, the gap in ULPs.

    The gap is infinite where only one side is finite. In a :class:`LayerVerdict`, ``a`` is what
    the layer returned and ``b`` its float64 evaluation.
    """

    index: tuple[int, ...]
    a: float
    b: float
    ulp: float


class Difference(Result):
    """How two arrays of one shape differ, element by element; NaN and Inf are counted apart.

    ``points`` counts elements, ``different`` those whose values differ (a NaN equals a NaN).
    ``max_abs``, ``max_rel`` (relative to ``|b|``, infinite where b is 0) and ``max_ulp`` are over
    the pairs that are both finite. ULPs are the steps between two numbers of one type; for two
    types, |a - b| in units in the last place of the coarser type at the larger magnitude.
    ``nan`` and ``inf`` count elements at which exactly one side is NaN, or the infinities differ.
    """

    points: int
    same_bits: bool
    different: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    nan: int = 0
    inf: int = 0
    nan_in_both: int = 0
    worst: tuple[Worst, ...] = ()


class LayerVerdict(Result):
    """One layer of one run, judged on the input that it really received.

    ``max_ratio`` is the largest |float32 - float64| / bound over the layer's outputs (at most 1
    inside the bound); ``bound`` is the largest bound, ``error`` the largest error. ``layer`` is
    "prediction" for the model's own output, judged as what its last layer made.
    """

    layer: str
    cls: str
    verdict: Verdict
    rung: Rung
    points: int = 0
    beyond_bound: int = 0
    error: float = 0.0
    bound: float = 0.0
    max_ratio: float = 0.0
    worst: tuple[Worst, ...] = ()
    why: str = ""


class StageResult(Result):
    """One stage of one pair of probes; ``where`` is runnable code that leads to the place."""

    stage: Stage
    same: bool | None
    where: str = ""
    detail: str = ""


class ProbePair(Result):
    """One probe as two runs made it.

    ``alone`` says that one of them alone got a result there, ``predicts`` that it is
    what a model computes of inputs, and neither a training nor an evaluation.
    """

    a: str
    b: str
    probe: str
    verdict: Verdict
    rung: Rung
    points: int
    difference: Difference | None
    beyond_bound: int | None = None
    stages: tuple[StageResult, ...] = ()
    layers: tuple[LayerVerdict, ...] = ()
    executed: tuple[str, str] = ("", "")
    alone: bool = False
    predicts: bool = True
    detail: str = ""


class Divergence(Result):
    """Where two runs first part: the stage, and runnable code that leads to the place."""

    stage: Stage
    where: str
    detail: str = ""


class RunPair(Result):
    """Two runs compared: every probe, and the first place at which they part.

    ``alone`` says that there one of them was refused and the other was not. ``answers`` counts the
    numbers and texts that came back to the script and were compared.
    """

    a: str
    b: str
    verdict: Verdict
    first_divergence: Divergence | None
    probes: tuple[ProbePair, ...]
    answers: int = 0
    alone: bool = False
    detail: str = ""


# Whether two runs met the same errors.
#
# An error reaches R as text with Python's class in front (``ValueError: ...``), marked up, cut, and
# followed by advice of reticulate's; in Python it is an object. Both are brought to one form: the
# bare name of the class, and the message without what may differ between two runs that do the same
# thing (addresses, paths, colours, numbers, the counters in the names of layers).

_CALLER: Final = re.compile(r"^Error in [^\n]{0,200}? : \s*")
_CLASS: Final = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Exit))\s*:\s*")
#: reticulate leaves the middle out of a long message, R and the recording the end.
_CUT: Final = re.compile(r"<\.\.\. ?(?:truncated|omitted) ?\.\.\.>")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_PATH: Final = re.compile(r"(?:[A-Za-z]:)?(?:[\w.~+-]*/){2,}[\w.+-]*|<work>[^\s'\"]*")
_COUNTED: Final = re.compile(r"\b([A-Za-z]\w*?)_\d+\b")
_NUMBER: Final = re.compile(r"(?<![A-Za-z_])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?L?")


@dataclass(frozen=True)
class PlainError:
    """An error in the form in which errors are compared."""

    cls: str
    message: str
    numbers: tuple[str, ...] = ()


def plain(error: ErrorRecord) -> PlainError:
    """Bring an error to the form in which errors are compared."""
    message = ANSI.sub("", error.message)
    message = _CALLER.sub("", message.strip())
    message = ADVICE.sub("", message).strip()
    cls = error.cls
    front = _CLASS.match(message)
    if front is not None and (cls in UNCLASSED_ERRORS or _bare(cls) == _bare(front.group(1))):
        cls, message = front.group(1), message[front.end() :]
    if GRAPH.search(message) or 'File "' in message:
        # The way to an error is another one in every process, and R has cut it.
        message = essence(message).strip()
        message = _CLASS.sub("", message)
    message = _without_places(message)
    numbers = tuple(_NUMBER.findall(message))
    message = " ".join(_NUMBER.sub("<number>", message).split())
    return PlainError(_bare(cls), message, numbers)


def same_error(a: ErrorRecord, b: ErrorRecord) -> bool:
    """Say whether two errors are the same: class and message agree in their plain form.

    Where R has cut the middle out of a long message, what is left of it must agree.
    """
    left, right = plain(a), plain(b)
    if left.cls != right.cls:
        return False
    if _CUT.search(left.message) or _CUT.search(right.message):
        return _cut_alike(left.message, right.message)
    return left.message == right.message


def spelled_alike(a: str, b: str) -> bool:
    """Say whether two texts are the same but for addresses, paths and counters in names."""
    return _without_places(a) == _without_places(b)


def _without_places(text: str) -> str:
    text = _ADDRESS.sub("<address>", ANSI.sub("", text))
    return _COUNTED.sub(r"\1", _PATH.sub("<path>", text))


def errors_of(manifest: Manifest) -> tuple[ErrorRecord, ...]:
    """Return the errors that a run met, in order: those it survived and the one that ended it."""
    return (*manifest.caught, *((manifest.error,) if manifest.error is not None else ()))


def compare_errors(a: Manifest, b: Manifest) -> tuple[bool, str]:
    """Say whether two runs met the same errors in the same order, and what speaks against it."""
    pairs = list(zip_longest(errors_of(a), errors_of(b)))
    for number, (left, right) in enumerate(pairs, start=1):
        place = "" if len(pairs) == 1 else f"error {number}: "
        if left is None or right is None:
            who, error = (b.runner, right) if left is None else (a.runner, left)
            assert error is not None
            return False, f"{place}only {who} meets {_spell(error)}"
        if not same_error(left, right):
            return (
                False,
                f"{place}{a.runner} meets {_spell(left)}; {b.runner} meets {_spell(right)}",
            )
    unlike = [
        f"{', '.join(plain(left).numbers)} and {', '.join(plain(right).numbers)}"
        for left, right in pairs
        if left is not None and right is not None and plain(left).numbers != plain(right).numbers
    ]
    return True, f"the numbers in the message differ: {unlike[0]}" if unlike else ""


def _spell(error: ErrorRecord) -> str:
    found = plain(error)
    text = " ".join(ADVICE.sub("", ANSI.sub("", error.message)).split())
    text = text.removeprefix(f"{found.cls}: ")
    line = f" (line {error.line})" if error.line else ""
    return f"{found.cls}: {text if len(text) <= 160 else text[:157] + '...'}{line}"


def _bare(cls: str) -> str:
    return re.split(r"[.:]", cls)[-1]


def _cut_alike(a: str, b: str) -> bool:
    parts_a, parts_b = ([part.strip() for part in _CUT.split(text)] for text in (a, b))
    head, tail = sorted((parts_a[0], parts_b[0]), key=len), sorted(
        (parts_a[-1], parts_b[-1]), key=len
    )  # fmt: skip
    return head[1].startswith(head[0]) and (
        tail[1].endswith(tail[0]) or min(len(parts_a), len(parts_b)) > 1
    )
