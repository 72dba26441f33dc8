"""A rule and what it finds: one record, which every surface prints.

A rule is one file: it makes a :class:`Rule`, and names its detector with :meth:`Rule.detector`.
All wording of a rule lives in its file; ``why``, ``headline`` and ``help`` are for readers, and
nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from bridge.compare.result import Result
from bridge.explain.experiment import Kind
from bridge.facts.causes import Whose
from bridge.translate.script_text import Cut

if TYPE_CHECKING:
    from bridge.rules.run import Run

#: How sure a finding is; "open" where only an experiment could tell.
Sureness = Literal["proven", "likely", "possible", "open"]
#: What a rule reads. An experiment is asked for through :meth:`bridge.rules.run.Run.outcome`.
Need = Literal["text", "one run", "repair"] | Kind
Status = Literal["preview", "decides"]
Detector = Callable[["Run"], Iterator["Finding"]]

#: What each family is of, in the order in which findings of equal weight are told: what changed a
#: number on its way, what was refused, the language, the data, the model, the training, the asking.
FAMILIES: Final[Mapping[str, str]] = {
    "C": "conversion and defaults",
    "E": "refusals",
    "R": "the language",
    "V": "versions",
    "D": "data",
    "L": "last layer and loss",
    "M": "structure",
    "T": "training",
    "P": "ways of asking",
    "G": "graph and kernels",
}


class Span(Result):
    """A place in the script: a line, and the columns where they are known, counted from 1.

    ``end_column`` is that of the last character. ``label`` says what it printed, or is.
    """

    line: int
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    label: str = ""
    primary: bool = True


class EvidenceRow(Result):
    """One row of evidence: what was looked at or changed, and what came out."""

    changed: str
    outcome: str


class Tried(Result):
    """What became of a fix that was tried: in a word, and what the script printed."""

    outcome: str
    output: str = ""


class Help(Result):
    """What to do: in words, as lines of R before and after, and what came of it where tried.

    ``edits`` are the change of the script that the lines show, as places in its text.
    """

    text: str
    before: str = ""
    after: str = ""
    edits: tuple[Cut, ...] = ()
    tried: Tried | None = None


class Finding(Result):
    """What a rule found, as an argument: the claim, whose it is, its grounds, and what to do.

    ``decides`` says that it may name the cause of a case; else it is worth knowing. ``refused``
    says that it explains why something raised an error or could not be run. ``why`` has at most
    three sentences; ``open`` what it does not explain, or what would refute it.
    """

    rule: str
    name: str
    headline: str
    whose: Whose
    cause: str
    confidence: Sureness = "proven"
    decides: bool = True
    spans: tuple[Span, ...] = ()
    why: str = ""
    evidence: tuple[EvidenceRow, ...] = ()
    help: Help | None = None
    open: tuple[str, ...] = ()
    refused: bool = False

    @property
    def sentence(self) -> str:
        """The finding as it stands in a line: the headline, and why."""
        return f"{self.headline}. {self.why}".strip()

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines of the script that it speaks of."""
        return tuple(dict.fromkeys(span.line for span in self.spans))


@dataclass(frozen=True)
class Rule:
    """A named thing that surprises people.

    Args:
        code: stable, and never used again: the family's letter and a number.
        name: in words with hyphens.
        cause: from the closed list.
        whose: doing it is.
        status: a rule decides only when it raised no alarm on any clean script.
        needs: what its detector reads, or the kinds of experiments that it may ask for.
        explains: rules whose findings are symptoms of this one, and are folded under it.
    """

    code: str
    name: str
    cause: str
    whose: Whose = "yours"
    status: Status = "decides"
    needs: tuple[Need, ...] = ("one run",)
    explains: tuple[str, ...] = ()
    detectors: list[Detector] = field(default_factory=list, compare=False, repr=False)

    def detector(self, detect: Detector) -> Detector:
        """Name a function that finds the rule's findings in a run."""
        self.detectors.append(detect)
        return detect

    def finding(
        self,
        headline: str,
        why: str = "",
        *,
        at: Span | int | None = None,
        also: Sequence[Span | int | None] = (),
        evidence: Sequence[tuple[str, str]] = (),
        help: Help | str | None = None,
        open: Sequence[str] = (),
        cause: str = "",
        whose: Whose | None = None,
        confidence: Sureness = "proven",
        decides: bool = True,
        refused: bool = False,
    ) -> Finding:
        """Return a finding of this rule; ``at`` is its place, ``also`` at most two others."""
        first = _span(at, primary=True)
        others = [span for place in also[:2] if (span := _span(place, primary=False)) is not None]
        return Finding(
            rule=self.code,
            name=self.name,
            headline=headline,
            whose=whose or self.whose,
            cause=cause or self.cause,
            confidence=confidence,
            decides=decides and self.status == "decides",
            spans=(*((first,) if first is not None else ()), *others),
            why=why,
            evidence=tuple(EvidenceRow(changed=a, outcome=b) for a, b in evidence[:5]),
            help=Help(text=help) if isinstance(help, str) else help,
            open=tuple(open),
            refused=refused,
        )


def _span(place: Span | int | None, *, primary: bool) -> Span | None:
    if isinstance(place, Span):
        return place.model_copy(update={"primary": primary})
    return Span(line=place, primary=primary) if place else None
