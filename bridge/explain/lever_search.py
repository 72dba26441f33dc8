"""From a wrong result to its cause, by pulling as few levers as decide."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from bridge._text import capitalised, listed
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

    place: SearchedPlace
    outcomes: list[LeverOutcome] = field(default_factory=list)
    _answers: dict[Pull, Answer] = field(default_factory=dict)

    def ask(
        self,
        lever: str,
        without: tuple[str, ...] = (),
        way: Literal["", "graph"] = "",
    ) -> Asking:
        """Have a lever pulled; ``open`` without a run where there is none, or no run is left."""
        place = self.place
        pull = Pull(lever, without, way)
        if pull in self._answers:
            return self._answers[pull]
        known = lever == AS_RECORDED or without or lever in place.levers
        if not known or len(self.outcomes) >= place.limit:
            return "open"
        outcome = yield pull
        self.outcomes.append(outcome)
        self._answers[pull] = answer_of(outcome)
        return self._answers[pull]

    def off(self, passes: frozenset[str], way: Literal["", "graph"]) -> Asking:
        """Have these passes turned off, and no others."""
        place = self.place
        if not passes:
            return (yield from self.ask(AS_RECORDED, way=way))
        wanted = tuple(pass_name for pass_name in place.passes if pass_name in passes)
        if len(wanted) == len(place.passes):
            return (yield from self.ask(ALL_OFF, way=way))
        if len(wanted) == 1:
            name = f"{wanted[0].replace('_', '-')}-off"
            return (yield from self.ask(name, wanted, way))
        kept = tuple(pass_name for pass_name in place.passes if pass_name not in passes)
        several = " and ".join(pass_name.replace("_", "-") for pass_name in kept)
        name = f"only {several} on" if len(kept) <= 2 else f"{'+'.join(wanted)} off"
        return (yield from self.ask(name, wanted, way))

    @property
    def seen_wrong(self) -> bool:
        """Say whether a run that was asked for showed the fault: it can be had again here."""
        return any(answer == "wrong" for answer in self._answers.values())

    def levers_of(self, answer: Answer) -> tuple[str, ...]:
        """Name the levers that were answered so, in order."""
        return tuple(pull.name for pull, given in self._answers.items() if given == answer)

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
        right, wrong = self.levers_of("right"), self.levers_of("wrong")
        left = self.levers_of("open")
        facts = [f"{listed(right)}: right"] if right else []
        facts += [f"{listed(wrong)}: still wrong"] if wrong else []
        nothing = (f"{listed(left)}: not decided, which proves nothing",) if left else ()
        return CauseEvidence(
            cause=cause,
            confidence=confidence,
            sentence=sentence,
            where=self.place.where,
            evidence_for=(*more, *facts),
            evidence_against=against,
            unexplained=(*unexplained, *nothing),
            levers=tuple(self.outcomes),
        )

    def unknown(self, why: str, *unexplained: str) -> CauseEvidence:
        """Conclude that the evidence singles out no cause."""
        left = unexplained or (f"why {self.place.subject} is wrong",)
        return self.named("not-known", "", why, unexplained=left)


def not_again(log: Log, again: Answer) -> CauseEvidence:
    """Conclude about a fault that no run here showed."""
    subject = log.place.subject
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
    answers = {lever.lever: answer_of(lever) for lever in found.levers}
    said = {"right": "is right", "wrong": "is wrong", "open": "was not decided"}
    weighed = []
    for cause, expected in _EXPECTED.items():
        asked = {lever: answers[lever] for lever in expected if lever in answers}
        if not any(answer != "open" for answer in asked.values()):
            continue
        lines = {lever: f"{lever} {said[answer]}" for lever, answer in asked.items()}
        name = found.cause if family(found.cause) == family(cause) else cause
        weighed.append(
            Hypothesis(
                cause=name,
                explains=tuple(lines[k] for k, answer in asked.items() if answer == expected[k]),
                contradicts=tuple(
                    lines[k] for k, a in asked.items() if a not in ("open", expected[k])
                ),
                unexplained=tuple(lines[k] for k, answer in asked.items() if answer == "open"),
            )
        )
    weighed.sort(
        key=lambda explanation: (explanation.cause != found.cause, len(explanation.contradicts))
    )
    return tuple(weighed)


Held = Literal["", "graph"]


@dataclass(frozen=True)
class _Switch:
    """A pass with which the result turns from wrong to right, while the passes ``off`` are off."""

    name: str
    off: frozenset[str]


def blame_passes(log: Log, way: Held, first: str = "") -> Maybe:
    """Find the pass that is to blame; None where turning passes off mends nothing.

    Args:
        log: what was asked for so far.
        way: the way of executing that runs are held to.
        first: a pass that is suspected before all others (``remapping`` where ops are fused).
    """
    passes = log.place.passes
    alone = yield from _alone(log, way, first)
    if alone == "right":
        switch: _Switch | None = _Switch(first, frozenset())
    else:
        every = yield from log.ask(ALL_OFF, way=way)
        if every != "right" or not passes:
            return None
        # What stays wrong with one pass off: that one is no suspect, or not the only one.
        off = frozenset({first}) if alone == "wrong" else frozenset[str]()
        suspects = tuple(pass_name for pass_name in passes if pass_name not in off)
        switch = yield from _halve(log, way, off, suspects)
    if switch is None:
        sentence = (
            f"With Grappler off {log.place.subject} is right; which of its passes is to blame "
            "could not be told, because runs with some of them off were not decided."
        )
        return log.unknown(sentence, "which pass of Grappler is to blame")
    return (yield from _confirm(log, way, switch))


def _alone(log: Log, way: Held, name: str) -> Asking:
    if name not in log.place.passes:
        return "open"
    return (yield from log.off(frozenset({name}), way))


def _halve(
    log: Log, way: Held, off: frozenset[str], suspects: tuple[str, ...]
) -> Generator[Pull, LeverOutcome, _Switch | None]:
    """Return a pass that makes the difference; None where too little could be decided."""
    while len(suspects) > 1:
        half = (len(suspects) + 1) // 2
        for some, rest in ((suspects[:half], suspects[half:]), (suspects[half:], suspects[:half])):
            answer = yield from log.off(off | set(some), way)
            if answer == "right":
                suspects = some
                break
            if answer == "wrong":
                off, suspects = off | set(some), rest
                break
        else:
            return None
    return _Switch(suspects[0], off)


def _confirm(log: Log, way: Held, switch: _Switch) -> Maybe:
    """Ask whether the pass alone takes the fault away, and whether it alone brings it back."""
    every = frozenset(log.place.passes)
    name = switch.name
    takes = yield from log.off(frozenset({name}), way)
    brings = yield from log.off(every - {name}, way)
    if takes == "right" and brings == "wrong":
        sentence = (
            f"The pass '{name}' of Grappler is to blame for {log.place.subject}: with it alone "
            "off the result is right, and with all others off it is still wrong."
        )
        return log.named(f"grappler:{name}", "proven", sentence)
    if not log.seen_wrong:
        again = yield from log.off(frozenset(), way)
        if again != "wrong":
            return not_again(log, again)
    if takes == "right" and brings == "right":
        return (yield from _needs_another(log, way, name))
    if takes == "wrong" and brings == "wrong":
        return (yield from _beside_another(log, way, name))
    if takes == "right":
        sentence = (
            f"With the pass '{name}' of Grappler off {log.place.subject} is right; whether the "
            "pass alone makes it wrong was not decided."
        )
        return log.named(f"grappler:{name}", "likely", sentence)
    return log.unknown(
        f"With some passes of Grappler off {log.place.subject} is right, '{name}' among them; "
        "no pass by itself decides.",
        "which passes of Grappler are to blame",
    )


def _needs_another(log: Log, way: Held, name: str) -> Maybe:
    """Find the pass without which this one does no harm."""
    every = frozenset(log.place.passes)
    others = tuple(pass_name for pass_name in log.place.passes if pass_name != name)
    partner = yield from _halve(log, way, frozenset(), others)
    if partner is not None:
        pair = frozenset({name, partner.name})
        both = yield from log.off(every - pair, way)
        mends = yield from log.off(frozenset({partner.name}), way)
        if both == "wrong" and mends == "right":
            return _two(log, pair, "only together make {subject} wrong: either alone does not")
    return log.unknown(
        f"The pass '{name}' of Grappler is needed for {log.place.subject} to be wrong, but it "
        "does no harm alone, and what else it takes was not found.",
        "which passes of Grappler act together",
    )


def _beside_another(log: Log, way: Held, name: str) -> Maybe:
    """Find the pass that does the same harm by itself."""
    every = frozenset(log.place.passes)
    others = tuple(pass_name for pass_name in log.place.passes if pass_name != name)
    partner = yield from _halve(log, way, frozenset({name}), others)
    if partner is not None:
        pair = frozenset({name, partner.name})
        mended = yield from log.off(pair, way)
        itself = yield from log.off(every - {partner.name}, way)
        if mended == "right" and itself == "wrong":
            return _two(log, pair, "each make {subject} wrong by themselves")
    return log.unknown(
        f"The pass '{name}' of Grappler makes {log.place.subject} wrong by itself, but so does "
        "something else that could not be named.",
        "which other pass of Grappler does the same harm",
    )


def _two(log: Log, pair: frozenset[str], what: str) -> CauseEvidence:
    first, second = (pass_name for pass_name in log.place.passes if pass_name in pair)
    predicate = what.format(subject=log.place.subject)
    found = log.named(
        f"grappler:{first}",
        "likely",
        f"The passes '{first}' and '{second}' of Grappler {predicate}.",
        unexplained=(f"which of the passes '{first}' and '{second}' is the one at fault",),
    )
    return found.model_copy(update={"passes": (first, second)})


# From a wrong result to its cause, by pulling as few levers as decide.

#: Ops that look at one element at a time, beside what a layer is about: nothing is summed in them.
ELEMENTWISE: Final = frozenset({
    "BiasAdd", "Add", "AddV2", "Sub", "Mul", "Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Sigmoid",
    "Tanh", "Softplus", "Maximum", "Minimum", "Reshape", "Squeeze", "Transpose", "Erf", "Erfc",
    "Exp", "Neg", "Softsign", "Square", "UnaryOpsComposition",
})  # fmt: skip

#: What TensorFlow puts before the name of an op when it fuses something into it.
_FUSING: Final = ("_MklNative", "_Mkl", "_Fused")


def search(place: SearchedPlace) -> Searching:
    """Search for the cause of a result that is wrong; ``drive`` runs the search."""
    log = Log(place)
    if not place.repeated:
        again = yield from log.ask(AS_RECORDED)
        if again != "wrong":
            return not_again(log, again)
    eager: Answer = "wrong"
    if place.way != "eager":
        eager = yield from log.ask("eager")
    found = yield from (_everywhere(log) if eager == "wrong" else _traced(log, eager))
    return found or log.unknown(
        f"No lever that could be pulled and judged makes {place.subject} right."
    )


def _traced(log: Log, eager: Answer) -> Maybe:
    """Search where the eager run is right, or was not decided."""
    place = log.place
    way: Held = ""
    if place.way == "xla":
        plain = yield from log.ask("xla-off" if "xla-off" in place.levers else "graph")
        if plain == "right":
            sentence = f"XLA is to blame for {place.subject}: the same graph without XLA is right."
            return (yield from _switch(log, "xla", sentence))
        if plain == "open" or place.relative:
            return log.unknown(
                f"With XLA {place.subject} is not as it is eagerly, and without XLA "
                f"{'neither' if plain == 'wrong' else 'it was not decided'}."
            )
        way = "graph"
    elif place.relative and (yield from log.ask("xla")) == "wrong":
        return log.unknown(
            f"For {place.subject} there is no definition to judge by, and the eager run "
            "stands alone against the graph and XLA: either side may be the wrong one.",
            "whether the eager run or the graph is wrong",
        )
    suspected = place.fused or any("[" in op for op in place.ops)
    found = yield from blame_passes(log, way, "remapping" if suspected else "")
    if found is not None:
        found = yield from _weighed(log, found, way)
    else:
        found = yield from _switches(log, way)
    if found is not None:
        return (yield from _compiled_too(log, found)) if way else found
    if eager == "right" and (yield from log.ask(ALL_OFF, way=way)) == "wrong":
        return (yield from _tracing(log, way))
    return None


def _compiled_too(log: Log, found: CauseEvidence) -> Maybe:
    """Ask whether what mends the graph mends the run that was recorded, which XLA compiled."""
    name = found.cause.partition(":")[2]
    if found.cause == "not-known":
        return found
    again = yield from log.ask(AS_RECORDED)
    if again != "wrong":
        return not_again(log, again)
    if family(found.cause) == "grappler":
        mended = yield from log.off(frozenset({name}), "")
    else:
        levers = {"onednn": "onednn-off", "device-plugin": "cpu-only"}
        lever = levers.get(found.cause, "one-thread")
        mended = yield from log.ask(lever)
    if mended == "right":
        return found.model_copy(update={"levers": tuple(log.outcomes)})
    rest = "is wrong without it too" if mended == "wrong" else "could not be judged without it"
    return log.unknown(
        f"Without XLA {log.place.subject} is wrong because of {found.cause}, but that does not "
        f"explain the run with XLA, which {rest}.",
        f"why {log.place.subject} is wrong with XLA",
    )


def _switch(log: Log, cause: str, sentence: str) -> Maybe:
    """Blame what a switch took away, if the fault shows here without the switch."""
    if not log.seen_wrong:
        again = yield from log.ask(AS_RECORDED)
        if again != "wrong":
            return not_again(log, again)
    return log.named(cause, "proven", sentence)


def _weighed(log: Log, found: CauseEvidence, way: Held) -> Maybe:
    """Set a pass against what else may be to blame: the kernel of what it made, or oneDNN."""
    place = log.place
    if family(found.cause) != "grappler" or found.passes:
        return found
    if place.lost:
        said = ", ".join(place.lost)
        more = f"no executed op of it lists {said}, which its configuration asks for"
        return found.model_copy(update={"evidence_for": (more, *found.evidence_for)})
    sure = found.confidence
    for lever, whose in (("onednn-off", "oneDNN"), ("cpu-only", "the device")):
        if lever == "cpu-only" and not place.accelerated:
            continue
        answer = yield from log.ask(lever, way=way)
        if answer == "right":
            return log.named(
                found.cause,
                "likely",
                found.sentence,
                against=(f"{lever} mends it too: the kernel may be {whose}'s, and at fault",),
                unexplained=(f"whether the pass or {whose} is at fault",),
            )
        if answer == "open":
            sure = "likely"
    fused = _single([op for op in place.ops if "[" in op])
    if found.cause == "grappler:remapping" and place.lost == () and fused:
        sentence = (
            f"The kernel of {fused} is to blame for {place.subject}: Grappler's pass "
            "'remapping' makes that op, and it lists all that the layer does, but what it returns "
            "is wrong."
        )
        against = ("the op is there only while the pass 'remapping' is on",)
        return log.named(f"kernel:{fused}", "likely", sentence, against=against)
    return log.named(found.cause, sure, found.sentence)


def _left_open(log: Log, way: Held) -> Generator[Pull, LeverOutcome, list[str]]:
    """Return the switches below graph and eager execution of which it is not known what they do.

    As long as there are some, nothing is concluded from what is left over.
    """
    left = []
    for name in ("onednn-off", "one-thread", *(["cpu-only"] * log.place.accelerated)):
        if name in log.place.levers and (yield from log.ask(name, way=way)) == "open":
            left.append(name)
    return left


def _undecided(log: Log, left: list[str]) -> CauseEvidence:
    return log.unknown(
        f"{capitalised(log.place.subject)} may be wrong because of what "
        f"{' or '.join(left)} would switch off: those runs could not be judged."
    )


def _switches(log: Log, way: Held) -> Maybe:
    """Ask the switches that lie below graph and eager execution alike."""
    place = log.place
    if (yield from log.ask("onednn-off", way=way)) == "right":
        sentence = f"oneDNN is to blame for {place.subject}: with it off the result is right."
        return (yield from _switch(log, "onednn", sentence))
    if place.accelerated and (yield from log.ask("cpu-only", way=way)) == "right":
        kinds = ", ".join(device for device in place.devices if device != "CPU")
        sentence = f"The device is to blame for {place.subject} ({kinds}): the CPU is right."
        return (yield from _switch(log, "device-plugin", sentence))
    if (yield from log.ask("one-thread", way=way)) == "right":
        return (yield from _kernel(log, "with a single thread it is right", way))
    return None


def _tracing(log: Log, way: Held) -> Maybe:
    """Search where nothing but being a graph makes the difference.

    XLA compiles the graph that Keras traced with kernels of its own: if it is as wrong, the graph
    asks for something else than the eager run does.
    """
    place = log.place
    compiled = yield from _compiled(log)
    if compiled == "right" and place.way == "xla":
        return not_again(log, compiled)
    subject = capitalised(place.subject)
    if compiled == "right":
        return log.unknown(
            f"{subject} is wrong in a graph alone, with Grappler off too, and right both eagerly "
            "and where XLA compiles the same graph: neither tracing nor a kernel explains that."
        )
    left = yield from _left_open(log, way)
    if compiled == "open" or left:
        return log.unknown(
            f"{subject} is wrong only in a graph, with Grappler off too; "
            f"{' and '.join([*(['xla'] * (compiled == 'open')), *left])} could not be judged, so "
            "tracing and a kernel cannot be told apart."
        )
    if (yield from log.ask("call")) == "wrong":
        return log.unknown(
            f"{subject} is right where functions run eagerly, and wrong in a graph and where the "
            "model is called directly; no switch separates the two."
        )
    sentence = (
        f"Keras asks for something else for {place.subject} when it is traced into a graph: "
        "run eagerly it is right, and the graph is wrong however it is executed."
    )
    return log.named("tracing", "likely", sentence)


def _everywhere(log: Log) -> Maybe:
    """Search where the eager run is wrong as well: a kernel, or the layer of Keras itself."""
    place = log.place
    subject = capitalised(place.subject)
    if place.relative:
        return log.unknown(
            f"For {place.subject} there is no definition to judge by, and it is the same "
            "eagerly: no lever says what is right."
        )
    found = yield from _switches(log, "")
    if found is not None:
        return found
    xla = yield from _compiled(log)
    if xla == "right" and place.way == "xla":
        return not_again(log, xla)
    if xla == "right":
        return (yield from _kernel(log, "XLA, which compiles the same operations, is right", ""))
    left = yield from _left_open(log, "")
    if left:
        return _undecided(log, left)
    backend: Answer = "open"
    if xla == "open":
        backend = yield from _another_backend(log)
    if "wrong" not in (xla, backend):
        return log.unknown(
            f"{subject} is wrong eagerly and in a graph alike; nothing else that executes it could "
            "be judged as wrong by itself, so a kernel and the layer cannot be told apart."
        )
    double = yield from log.ask("float64")
    if double == "right":
        return log.unknown(
            f"{subject} is wrong in float32 however it is executed, and right in float64: the "
            "layer's formula is right, and what it makes of float32 is not explained."
        )
    who = "XLA" if xla == "wrong" else "another back end of Keras"
    sentence = (
        f"The layer of Keras is to blame for {place.subject}: {who} makes it as wrong as "
        "TensorFlow's own kernels do, so it is what the layer asks for that is not its definition."
    )
    return log.named("keras-layer", "likely" if double == "wrong" else "possible", sentence)


def _compiled(log: Log) -> Asking:
    """Ask what XLA makes of it; in a run that it compiled, that is the run as it was."""
    return (yield from log.ask(AS_RECORDED if log.place.way == "xla" else "xla"))


def _another_backend(log: Log) -> Asking:
    for name in sorted(log.place.levers):
        if name.startswith("backend-"):
            answer = yield from log.ask(name)
            if answer != "open":
                return answer
    return "open"


def _kernel(log: Log, why: str, way: Held) -> Generator[Pull, LeverOutcome, CauseEvidence]:
    """Name the kernel of the op that does the layer's arithmetic, if there is but one."""
    place = log.place
    if not log.seen_wrong:
        again = yield from log.ask(AS_RECORDED)
        if again != "wrong":
            return not_again(log, again)
    left = yield from _left_open(log, way)
    if set(left) - {"one-thread"}:
        return _undecided(log, left)
    recorded = [*place.ops, *(op for outcome in log.outcomes for op in outcome.layer_ops)]
    ops = sorted({_plain(op) for op in recorded})
    heavy = sorted(set(ops) - ELEMENTWISE)
    if len(ops) == 1 or len(heavy) == 1:
        op = (heavy or ops)[0]
        rest = ", ".join(remaining for remaining in ops if remaining != op)
        beside = (f"whether it is {op}, or one of {rest} beside it",) if rest else ()
        sentence = f"The kernel of {op} is to blame for {place.subject}: {why}."
        sure: Literal["likely", "possible"] = "possible" if rest else "likely"
        return log.named(f"kernel:{op}", sure, sentence, unexplained=beside)
    named = ", ".join(ops) or "not recorded"
    return log.unknown(
        f"A kernel is to blame for {place.subject}: {why}; its ops are {named}, and which of "
        "them is wrong cannot be told.",
        "which op's kernel is wrong",
    )


def _plain(op: str) -> str:
    """Return the op without what is fused into it: the kernels share their arithmetic."""
    name = op.partition("[")[0]
    for prefix in _FUSING:
        name = name.removeprefix(prefix)
    return name.lstrip("_") or op


def _single(ops: Iterable[str]) -> str:
    names = {op.partition("[")[0] for op in ops}
    return names.pop() if len(names) == 1 else ""
