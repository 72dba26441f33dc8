"""What a search may ask of the stack, what it was answered, and what each cause would answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from bridge._text import listed
from bridge.explain.result import CauseEvidence, Confidence, Hypothesis, LeverOutcome
from bridge.facts.causes import family

#: The run repeated as it was, under no lever.
AS_RECORDED: Final = "as-recorded"
#: All passes of Grappler off.
ALL_OFF: Final = "grappler-off"

#: What an outcome says of the layer in question: an abstention proves nothing.
Answer = Literal["right", "wrong", "open"]

Way = Literal["eager", "graph", "xla"]


@dataclass(frozen=True)
class Pull:
    """One run that is asked for: a lever by its name, or Grappler's passes that are to be off.

    ``way`` holds the run to a way of executing that is not the recorded one: where XLA is not to
    blame, its part of the stack is left out while others are tried.
    """

    lever: str
    without: tuple[str, ...] = ()
    way: Literal["", "graph"] = ""

    @property
    def name(self) -> str:
        """The name under which reports speak of it."""
        held = f"{self.way}, " if self.way else ""
        return f"{held}{self.lever}"


@dataclass(frozen=True)
class SearchedPlace:
    """What is known before the first lever is pulled.

    Args:
        subject: what is wrong, in words (``layer dense_1``); ``where`` is code that leads there.
        way: how the run was executed.
        ops: what was executed for the wrong layer itself, as ``_FusedMatMul[BiasAdd,Relu]``.
        fused: Grappler fused something in the graph that was executed.
        devices: the kinds of device of the machine (``CPU``, ``GPU``).
        levers: the names of the levers that can be pulled.
        passes: Grappler's passes that can be turned off one by one, in the order in which they run.
        repeated: another process made the same wrong bits already.
        relative: there is no definition to judge by; runs are judged by whether they agree with
            the eager one.
        lost: what the layer does by its configuration and no executed op lists (``Relu``); None
            where that cannot be told.
        limit: the largest number of runs.
    """

    subject: str = "the result"
    where: str = ""
    way: Way = "graph"
    ops: tuple[str, ...] = ()
    fused: bool = False
    devices: tuple[str, ...] = ("CPU",)
    levers: frozenset[str] = frozenset()
    passes: tuple[str, ...] = ()
    repeated: bool = False
    relative: bool = False
    lost: tuple[str, ...] | None = None
    limit: int = 32

    @property
    def accelerated(self) -> bool:
        """Say whether there is a device beside the CPU."""
        return any(device != "CPU" for device in self.devices)


Asking = Generator[Pull, LeverOutcome, Answer]
Searching = Generator[Pull, LeverOutcome, CauseEvidence]
Maybe = Generator[Pull, LeverOutcome, CauseEvidence | None]


def answer_of(outcome: LeverOutcome) -> Answer:
    """Return what an outcome says; one that was not decided, or did not run, says nothing."""
    if outcome.verdict in ("same-bits", "within-rounding"):
        return "right"
    return "wrong" if outcome.verdict == "different" else "open"


@dataclass
class Log:
    """The runs that were asked for so far, each asked for only once."""

    situation: SearchedPlace
    outcomes: list[LeverOutcome] = field(default_factory=list)
    _answers: dict[Pull, Answer] = field(default_factory=dict)

    def ask(
        self,
        lever: str,
        without: tuple[str, ...] = (),
        way: Literal["", "graph"] = "",
    ) -> Asking:
        """Have a lever pulled; ``open`` without a run where there is none, or no run is left."""
        situation = self.situation
        pull = Pull(lever, without, way)
        if pull in self._answers:
            return self._answers[pull]
        known = lever == AS_RECORDED or without or lever in situation.levers
        if not known or len(self.outcomes) >= situation.limit:
            return "open"
        outcome = yield pull
        self.outcomes.append(outcome)
        self._answers[pull] = answer_of(outcome)
        return self._answers[pull]

    def off(self, passes: frozenset[str], way: Literal["", "graph"]) -> Asking:
        """Have these passes turned off, and no others."""
        situation = self.situation
        if not passes:
            return (yield from self.ask(AS_RECORDED, way=way))
        wanted = tuple(each for each in situation.passes if each in passes)
        if len(wanted) == len(situation.passes):
            return (yield from self.ask(ALL_OFF, way=way))
        if len(wanted) == 1:
            name = f"{wanted[0].replace('_', '-')}-off"
            return (yield from self.ask(name, wanted, way))
        kept = tuple(each for each in situation.passes if each not in passes)
        several = " and ".join(each.replace("_", "-") for each in kept)
        name = f"only {several} on" if len(kept) <= 2 else f"{'+'.join(wanted)} off"
        return (yield from self.ask(name, wanted, way))

    @property
    def seen_wrong(self) -> bool:
        """Say whether a run that was asked for showed the fault: it can be had again here."""
        return any(answer == "wrong" for answer in self._answers.values())

    def told(self, answer: Answer) -> tuple[str, ...]:
        """Name the levers that were answered so, in order."""
        return tuple(pull.name for pull, each in self._answers.items() if each == answer)

    def named(
        self,
        cause: str,
        confidence: Confidence,
        sentence: str,
        *,
        against: tuple[str, ...] = (),
        unexplained: tuple[str, ...] = (),
        more: tuple[str, ...] = (),
    ) -> CauseEvidence:
        """Conclude with a cause."""
        right, wrong, left = self.told("right"), self.told("wrong"), self.told("open")
        facts = [f"{listed(right)}: right"] if right else []
        facts += [f"{listed(wrong)}: still wrong"] if wrong else []
        nothing = (f"{listed(left)}: not decided, which proves nothing",) if left else ()
        return CauseEvidence(
            cause=cause,
            confidence=confidence,
            sentence=sentence,
            where=self.situation.where,
            evidence_for=(*more, *facts),
            evidence_against=against,
            unexplained=(*unexplained, *nothing),
            levers=tuple(self.outcomes),
        )

    def unknown(self, why: str, *unexplained: str) -> CauseEvidence:
        """Conclude that the evidence singles out no cause."""
        left = unexplained or (f"why {self.situation.subject} is wrong",)
        return self.named("not-known", "", why, unexplained=left)


def not_again(log: Log, again: Answer) -> CauseEvidence:
    """Conclude about a fault that no run here showed."""
    subject = log.situation.subject
    if again == "right":
        return log.unknown(
            f"Not reproducible: run again as it was, {subject} is right. No lever can say why it "
            "was wrong.",
            f"why {subject} was wrong once",
        )
    return log.unknown(
        f"Run again as it was, {subject} could not be judged, so no lever can say what mends it."
    )


def drive(searching: Searching, pull: Callable[[Pull], LeverOutcome]) -> CauseEvidence:
    """Run a search to its end; ``pull`` executes what it asks for."""
    try:
        wanted = next(searching)
        while True:
            wanted = searching.send(pull(wanted))
    except StopIteration as stop:
        found: CauseEvidence = stop.value
        return found


# Every cause that levers speak of, with the runs that it explains and those that contradict it.

#: What the result would be under each lever if a cause were the right one. "eager" is whether the
#: fault shows without a graph, "xla" whether it shows in what XLA compiles.
_EXPECTED: Final[Mapping[str, Mapping[str, Answer]]] = {
    "xla": {"eager": "right", "xla-off": "right", "xla": "wrong"},
    "grappler:<pass>": {"eager": "right", "grappler-off": "right", "onednn-off": "wrong",
                        "xla-off": "wrong"},
    "onednn": {"onednn-off": "right"},
    "device-plugin": {"cpu-only": "right"},
    "tracing": {"eager": "right", "call": "right", "grappler-off": "wrong", "xla": "wrong",
                "xla-off": "wrong"},
    "kernel:<op>": {"eager": "wrong", "grappler-off": "wrong", "xla": "right", "xla-off": "wrong"},
    "keras-layer": {"eager": "wrong", "grappler-off": "wrong", "onednn-off": "wrong",
                    "xla": "wrong", "float64": "wrong", "xla-off": "wrong"},
}  # fmt: skip


def weigh(found: CauseEvidence | None) -> tuple[Hypothesis, ...]:
    """Set every cause against the runs under levers, the one with fewest contradictions first.

    Nothing is said where nothing is wrong, or no lever was pulled.
    """
    if found is None or found.cause == "none" or not found.levers:
        return ()
    answers = {each.lever: answer_of(each) for each in found.levers}
    said = {"right": "is right", "wrong": "is wrong", "open": "was not decided"}
    weighed = []
    for cause, expected in _EXPECTED.items():
        asked = {lever: answers[lever] for lever in expected if lever in answers}
        if not any(answer != "open" for answer in asked.values()):
            continue
        told = {lever: f"{lever} {said[answer]}" for lever, answer in asked.items()}
        name = found.cause if family(found.cause) == family(cause) else cause
        weighed.append(
            Hypothesis(
                cause=name,
                explains=tuple(told[k] for k, answer in asked.items() if answer == expected[k]),
                contradicts=tuple(
                    told[k] for k, a in asked.items() if a not in ("open", expected[k])
                ),
                unexplained=tuple(told[k] for k, answer in asked.items() if answer == "open"),
            )
        )
    weighed.sort(key=lambda each: (each.cause != found.cause, len(each.contradicts)))
    return tuple(weighed)
