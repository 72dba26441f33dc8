"""What explaining found, as data: levers, causes, symptoms and shapes."""

from __future__ import annotations

from typing import Literal

from bridge.compare.result import Divergence, Result, Verdict
from bridge.rules.rule import Finding

#: How sure a cause is. "proven": one switch of the stack, and no other, takes the fault away and
#: brings it back, or the place is shown element by element. "likely": all evidence points one way,
#: and some of it could have pointed another. "possible": nothing contradicts it. "": no cause.
Confidence = Literal["proven", "likely", "possible", ""]

#: What a candidate cause says of an observation.
Says = Literal["explains", "contradicts", "silent"]

#: What a response of one number to one number looks like, by fits within the rounding bound.
ShapeKind = Literal[
    "constant", "affine", "hinge", "saturating", "piecewise-linear", "smooth", "not-known"
]


class LeverOutcome(Result):
    """One switch of the stack, pulled in a process of its own, and what came of it.

    ``verdict`` is that of the run under the lever against its own reference; ``layer`` is the
    first layer that is wrong there. ``executed_ops`` are the ops that carry layers, ``layer_ops``
    those of the layer in question alone. ``restricted`` says to which part of what was recorded
    the run was restricted (``8 of 1,000 rows``), "" if to none.
    """

    lever: str
    verdict: Verdict
    executed_ops: tuple[str, ...] = ()
    layer_ops: tuple[str, ...] = ()
    layer: str = ""
    detail: str = ""
    seconds: float = 0.0
    restricted: str = ""


#: Who speaks of a cause: what ended the script or comparing its runs, probes with whole numbers,
#: levers or twins, the intent with something undone, rules; and what limits what can be said.
Source = Literal["runs", "exact", "levers", "intent", "rules", "text", "stand-in"]


class CauseEvidence(Result):
    """What one source says of the cause: one from the closed list, and a sentence.

    ``headline`` says it in a few words, without its line, where they are of the script.
    ``verdict`` is there where it says how the runs fare. It names the cause only if it ``decides``;
    else it is worth knowing. ``refused`` says that it explains an error; of ``runs``, that one met
    an error and another did not, or that R's ended in one. ``read`` says that R and the replay of
    its calls agree, and that nothing parts but the Python that was read from the text.

    ``lines`` are those of the script that it speaks of, ``where`` is runnable code that leads to
    the place, ``divergence`` the first place at which runs part. ``explanation`` is told with it,
    ``guesses`` as long as the cause is not known; ``unexplained`` is what it leaves open.
    ``levers`` are those that were pulled, in order; ``passes`` several passes of Grappler that
    are blamed together. ``finding`` is what a rule found, if it is a rule that speaks.
    """

    cause: str
    sentence: str
    headline: str = ""
    source: Source = "levers"
    decides: bool = True
    confidence: Confidence = ""
    verdict: Verdict | None = None
    refused: bool = False
    read: bool = False
    lines: tuple[int, ...] = ()
    where: str = ""
    divergence: Divergence | None = None
    explanation: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()
    evidence_for: tuple[str, ...] = ()
    evidence_against: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    levers: tuple[LeverOutcome, ...] = ()
    passes: tuple[str, ...] = ()
    finding: Finding | None = None


class Hypothesis(Result):
    """A cause, and which observations it explains, contradicts or leaves unexplained."""

    cause: str
    explains: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()


class ResponseShape(Result):
    """The shape of one output over one input, fitted within the rounding bound.

    ``pieces`` counts linear pieces, ``breakpoints`` are where they meet, ``slopes`` and
    ``intercepts`` have one number for each piece. ``beyond`` counts points that the shape does not
    reach within their bound (0 for a shape that holds). ``between`` has, for each breakpoint, the
    ends of the stretch of x in which it lies for certain.
    """

    probe: str
    output: str
    kind: ShapeKind
    sentence: str
    points: int = 0
    pieces: int | None = None
    breakpoints: tuple[float, ...] = ()
    between: tuple[tuple[float, float], ...] = ()
    slopes: tuple[float, ...] = ()
    intercepts: tuple[float, ...] = ()
    beyond: int = 0
    largest_residual: float = 0.0


class UnitCensus(Result):
    """How a layer's units spend their input: the share of negative pre-activations, dead units.

    ``dead`` lists units whose output is constant over all recorded rows, ``saturated`` those whose
    output is always one of the activation's two limits; ``dead_units`` and ``saturated_units``
    count them where the lists are cut. ``below`` counts negative pre-activations (of rows times
    units), and with ``identity`` the activation changes none of them. ``bends`` has the inputs at
    which each unit's is zero, for an activation with a bend there and a layer of one input.
    """

    probe: str
    layer: str
    units: int
    rows: int
    negative: float
    dead: tuple[int, ...] = ()
    activation: str = ""
    identity: bool = False
    below: int = 0
    dead_units: int = 0
    saturated: tuple[int, ...] = ()
    saturated_units: int = 0
    bends: tuple[float, ...] = ()


class Collapse(Result):
    """Layers that are one affine map together: ``W`` (rows are inputs) and ``b``.

    Both are empty where the map is too large to print; ``inputs`` and ``outputs`` say how large.
    ``difference`` is the largest distance of the recorded output from the map, ``bound`` the
    largest bound of what rounding may do to it; ``beyond`` counts elements beyond their bound, and
    is None where no bound is known. ``here_only`` names layers whose activation does nothing here.
    """

    probe: str
    layers: tuple[str, ...]
    W: tuple[tuple[float, ...], ...] = ()
    b: tuple[float, ...] = ()
    why: str = ""
    inputs: int = 0
    outputs: int = 0
    difference: float | None = None
    bound: float | None = None
    beyond: int | None = None
    here_only: tuple[str, ...] = ()


class Observation(Result):
    """One thing that was reported: of which model and activation, and its shape or its points."""

    name: str
    model: str = ""
    activation: str = ""
    shape: str = ""
    points: tuple[tuple[float, float], ...] = ()


class SymptomCell(Result):
    """What a candidate says of one observation; ``curve`` is its output over the grid, thinned."""

    observation: str
    says: Says
    shape: str = ""
    why: str = ""
    curve: tuple[float, ...] = ()


class Candidate(Result):
    """A fault that may be the cause, set against every observation.

    Candidates with one ``family`` cannot be told apart by these observations. One that is
    ``inert`` changes nothing of what was observed.
    """

    name: str
    cause: str
    sentence: str
    cells: tuple[SymptomCell, ...] = ()
    family: str = ""
    inert: bool = False


class Separating(Result):
    """A run on the reporter's machine that tells candidates apart: code to paste, what to expect.

    ``expect`` has what each candidate predicts, by the candidate's name.
    """

    question: str
    r: str
    python: str
    expect: dict[str, str]


class SymptomTable(Result):
    """Every candidate against every observation; ``standing`` names those that explain all.

    ``unmatched`` has a sentence for each observation of a prediction that is not there,
    ``conflicts`` for those that cannot both be true.
    """

    observations: tuple[Observation, ...]
    candidates: tuple[Candidate, ...]
    standing: tuple[str, ...] = ()
    separating: tuple[Separating, ...] = ()
    sentence: str = ""
    grid: tuple[float, ...] = ()
    unmatched: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


class SelftestScore(Result):
    """How well faults that were put into this installation were found, and on which day."""

    injected: int
    detected: int
    localised: int
    attributed: int
    abstained: int
    confidently_wrong: int
    false_alarms: int
    seconds: float
    benign: int = 0
    date: str = ""


class Upstream(Result):
    """A known fault of a library: where it is tracked, and whether it still shows here."""

    reference: str
    shows: bool
    sentence: str
