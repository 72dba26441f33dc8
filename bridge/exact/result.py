"""What exact probes found, as data."""

from __future__ import annotations

from bridge.compare.result import Result, Rung, Verdict, Worst


class ExactDeviation(Result):
    """A setting in which a stretch does not make the exact result; ``way`` is part of it.

    ``output`` is the layer whose output differs; in ``worst``, ``a`` is what was made and ``b``
    what is exact.
    """

    setting: str
    way: str
    lever: str
    style: str
    output: str
    points: int
    different: int
    worst: tuple[Worst, ...]


class ExactStretch(Result):
    """A part of a model that was probed with whole numbers, in several styles and settings.

    ``bare`` layers were probed without their activation; ``whole`` says that it is the model
    itself. Of the ``pairs`` of numbers and setting, ``agreed`` gave the exact result; ``points``
    counts the elements that were compared. Where some did not, ``layer`` is the first that is
    wrong and ``evidence`` says how that is known. A stretch that is the same computation as another
    was not run again: ``same_as`` names that one, and the pairs are counted there.
    """

    model: str
    stretch: int
    layers: tuple[str, ...]
    bare: tuple[str, ...]
    whole: bool
    verdict: Verdict
    rung: Rung
    settings: tuple[str, ...]
    pairs: int
    agreed: int
    points: int
    largest: float
    layer: str = ""
    evidence: str = ""
    deviations: tuple[ExactDeviation, ...] = ()
    raised: tuple[str, ...] = ()
    same_as: str = ""
    why: str = ""


class ExactRefusal(Result):
    """A layer that no exact probe covers, and the reason."""

    model: str
    layer: str
    why: str


class ExactResult(Result):
    """All exact probes of a run; ``deviating`` names the settings that differ somewhere."""

    verdict: Verdict
    rung: Rung
    pairs: int
    agreed: int
    points: int
    deviating: tuple[str, ...]
    stretches: tuple[ExactStretch, ...]
    refused: tuple[ExactRefusal, ...]
    sentence: str
