"""The search names the switch that is to blame, with few runs, and never one that is not."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from bridge.explain.lever_search import (
    ALL_OFF,
    AS_RECORDED,
    Pull,
    SearchedPlace,
    drive,
    search,
)
from bridge.explain.result import CauseEvidence, LeverOutcome
from bridge.facts.causes import is_cause

PASSES = (
    "function", "shape", "constant_folding", "arithmetic", "layout", "remapping", "loop",
    "dependency", "common_subgraph", "implementation_selector", "model_pruning", "pin_to_host",
    "scoped_allocator", "debug_stripper",
)  # fmt: skip
SWITCHES = ("eager", "graph", "xla", "xla-off", "call", "onednn-off", "one-thread", "float64",
            "cpu-only", "batch-1", ALL_OFF)  # fmt: skip
LEVERS = frozenset((*SWITCHES, *(f"{name.replace('_', '-')}-off" for name in PASSES)))


@dataclass(frozen=True)
class Stack:
    """How one run is executed."""

    way: str = "graph"
    on: frozenset[str] = frozenset(PASSES)
    onednn: bool = True
    device: str = "CPU"
    threads: int = 2
    dtype: str = "float32"
    backend: str = "tensorflow"

    @property
    def passes(self) -> frozenset[str]:
        """The passes that change this run: none where there is no graph of TensorFlow's."""
        return self.on if self.way == "graph" else frozenset()


def under(stack: Stack, pull: Pull) -> Stack:
    """Return the stack with the lever pulled."""
    way, on = pull.way or stack.way, stack.on - frozenset(pull.without)
    told = {**vars(stack), "way": way, "on": on}
    match pull.lever:
        case "eager" | "call":
            told["way"] = "eager"
        case "graph" | "xla-off":
            told["way"] = "graph" if way != "eager" else way
        case "xla":
            told["way"] = "xla"
        case "onednn-off":
            told["onednn"] = False
        case "one-thread":
            told["threads"] = 1
        case "cpu-only":
            told["device"] = "CPU"
        case "float64":
            told["dtype"] = "float64"
        case name if name == ALL_OFF:
            told["on"] = frozenset()
        case name if name.startswith("backend-"):
            told |= {"backend": name.removeprefix("backend-"), "way": "eager"}
    return Stack(**told)


@dataclass
class Simulated:
    """A stack with a planted fault: ``wrong`` says in which runs it shows."""

    wrong: Callable[[Stack], bool]
    stack: Stack = field(default_factory=Stack)
    ops: tuple[str, ...] = ("MatMul", "BiasAdd")
    lost: tuple[str, ...] | None = None
    open: frozenset[str] = frozenset()
    backends: tuple[str, ...] = ()
    repeated: bool = True
    relative: bool = False
    pulled: list[Pull] = field(default_factory=list)

    def __call__(self, pull: Pull) -> LeverOutcome:
        """Run under a lever."""
        self.pulled.append(pull)
        if pull.lever in self.open or any(name in self.open for name in pull.without):
            return LeverOutcome(lever=pull.name, verdict="abstained", detail="no rule applies")
        wrong = self.wrong(under(self.stack, pull))
        return LeverOutcome(lever=pull.name, verdict="different" if wrong else "within-rounding")

    def search(self) -> CauseEvidence:
        """Search for the fault."""
        place = SearchedPlace(
            subject="layer dense_1",
            where="model.get_layer('dense_1')",
            way=self.stack.way,  # type: ignore[arg-type]
            ops=self.ops,
            devices=tuple(dict.fromkeys(("CPU", self.stack.device))),
            levers=LEVERS | {f"backend-{name}" for name in self.backends},
            passes=PASSES,
            repeated=self.repeated,
            relative=self.relative,
            lost=self.lost,
        )
        return drive(search(place), self)


def graph_pass(*names: str) -> Callable[[Stack], bool]:
    return lambda s: s.passes.issuperset(names)


FUSED = ("_FusedMatMul[BiasAdd]",)
WHOLE = ("_FusedMatMul[BiasAdd,Relu]",)
XLA, GPU, EAGER = Stack(way="xla"), Stack(device="GPU"), Stack(way="eager")

PLANTED: list[tuple[str, Simulated, str, str]] = [
    *(
        (f"pass {name}", Simulated(graph_pass(name)), f"grappler:{name}", "proven")
        for name in PASSES
    ),
    (
        "relu lost in a fused op",
        Simulated(graph_pass("remapping"), ops=FUSED, lost=("Relu",)),
        "grappler:remapping",
        "proven",
    ),
    (
        "kernel of a fused op",
        Simulated(graph_pass("remapping"), ops=WHOLE, lost=()),
        "kernel:_FusedMatMul",
        "likely",
    ),
    (
        "fused op that only oneDNN executes wrongly",
        Simulated(lambda s: "remapping" in s.passes and s.onednn, ops=WHOLE),
        "grappler:remapping",
        "likely",
    ),
    (
        "fusion that only a plug-in executes wrongly",
        Simulated(lambda s: "remapping" in s.passes and s.device == "GPU", GPU, ops=WHOLE),
        "grappler:remapping",
        "likely",
    ),
    (
        "two passes together",
        Simulated(graph_pass("constant_folding", "arithmetic")),
        "grappler:constant_folding",
        "likely",
    ),
    (
        "two distant passes together",
        Simulated(graph_pass("function", "debug_stripper")),
        "grappler:function",
        "likely",
    ),
    (
        "either of two passes",
        Simulated(lambda s: bool(s.passes & {"shape", "loop"})),
        "grappler:shape",
        "likely",
    ),
    ("three passes together", Simulated(graph_pass(*PASSES[1:4])), "not-known", ""),
    (
        "any of three passes",
        Simulated(lambda s: bool(s.passes & set(PASSES[3:6]))),
        "not-known",
        "",
    ),
    ("xla", Simulated(lambda s: s.way == "xla", XLA), "xla", "proven"),
    (
        "a pass, and XLA besides",
        Simulated(lambda s: s.way == "xla" or "layout" in s.passes, XLA),
        "not-known",
        "",
    ),
    (
        "a pass, in a run of XLA that has it too",
        Simulated(lambda s: s.way in ("xla", "graph") and "layout" in s.on, XLA),
        "grappler:layout",
        "proven",
    ),
    ("onednn", Simulated(lambda s: s.onednn), "onednn", "proven"),
    ("onednn in graphs", Simulated(lambda s: s.onednn and s.way == "graph"), "onednn", "proven"),
    ("onednn, called", Simulated(lambda s: s.onednn, EAGER), "onednn", "proven"),
    ("plug-in", Simulated(lambda s: s.device == "GPU", GPU), "device-plugin", "proven"),
    (
        "threads",
        Simulated(lambda s: s.threads > 1, ops=("Cumsum",)),
        "kernel:Cumsum",
        "likely",
    ),
    (
        "a kernel that XLA does not use",
        Simulated(lambda s: s.way != "xla", ops=("MatMul",)),
        "kernel:MatMul",
        "likely",
    ),
    (
        "a kernel with others beside it",
        Simulated(lambda s: s.way != "xla", ops=WHOLE),
        "kernel:MatMul",
        "likely",
    ),
    (
        "a kernel that only graphs use",
        Simulated(lambda s: s.way == "graph", ops=("Cumsum",)),
        "not-known",
        "",
    ),
    (
        "one of two kernels",
        Simulated(lambda s: s.way != "xla", ops=("Conv2D", "FusedBatchNormV3")),
        "not-known",
        "",
    ),
    ("tracing", Simulated(lambda s: s.way in ("graph", "xla")), "tracing", "likely"),
    ("tracing, compiled", Simulated(lambda s: s.way != "eager", XLA), "tracing", "likely"),
    ("keras", Simulated(lambda _: True), "keras-layer", "likely"),
    ("keras, on every back end", Simulated(lambda _: True, backends=("numpy",)), "keras-layer",
     "likely"),
    (
        "keras, where XLA cannot be tried",
        Simulated(lambda _: True, backends=("jax",), open=frozenset({"xla"})),
        "keras-layer",
        "likely",
    ),
    (
        "a kernel or keras, where XLA cannot be tried",
        Simulated(lambda s: s.backend == "tensorflow", backends=("jax",), open=frozenset({"xla"})),
        "not-known",
        "",
    ),
    ("float32 only", Simulated(lambda s: s.dtype == "float32"), "not-known", ""),
    ("nothing moves it, and it is gone", Simulated(lambda _: False), "not-known", ""),
    (
        "gone, of one process",
        Simulated(lambda _: False, repeated=False),
        "not-known",
        "",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("simulated", "cause", "confidence"),
    [pytest.param(*rest, id=name) for name, *rest in PLANTED],
)
def test_the_planted_cause_is_named(simulated: Simulated, cause: str, confidence: str) -> None:
    found = simulated.search()
    assert (found.cause, found.confidence) == (cause, confidence), found.sentence
    assert is_cause(found.cause)
    assert found.where == "model.get_layer('dense_1')"
    assert len(found.levers) == len(simulated.pulled) == len(set(simulated.pulled))
    if cause == "not-known":
        assert found.unexplained


@pytest.mark.parametrize("name", PASSES)
def test_one_of_fourteen_passes_is_found_in_at_most_eight_runs(name: str) -> None:
    simulated = Simulated(graph_pass(name))
    simulated.search()
    of_passes = [pull for pull in simulated.pulled if pull.without or pull.lever == ALL_OFF]
    assert len(of_passes) <= 8
    assert len(simulated.pulled) <= 10


def test_a_lost_activation_takes_three_runs() -> None:
    simulated = Simulated(graph_pass("remapping"), ops=FUSED, lost=("Relu",))
    simulated.search()
    assert [pull.name for pull in simulated.pulled] == [
        "eager", "remapping-off", "only remapping on",
    ]  # fmt: skip


def test_both_passes_are_named_where_it_takes_two() -> None:
    found = Simulated(graph_pass("constant_folding", "arithmetic")).search()
    assert "'constant_folding' and 'arithmetic'" in found.sentence
    assert "at fault" in " ".join(found.unexplained)


def test_what_cannot_be_had_again_is_called_not_reproducible() -> None:
    found = Simulated(lambda _: False, repeated=False).search()
    assert "Not reproducible" in found.sentence
    assert len(found.levers) == 1


@pytest.mark.parametrize("name", [name for name, _, cause, _ in PLANTED if cause != "not-known"])
def test_levers_that_abstain_never_lead_to_another_cause(name: str) -> None:
    simulated, cause = next((each[1], each[2]) for each in PLANTED if each[0] == name)
    right = {cause, "not-known"}
    if name.startswith("two"):
        # Either alone off mends it: whichever is found is one of the two.
        right |= {"grappler:arithmetic", "grappler:debug_stripper"}
    for lever in sorted(LEVERS):
        shut = frozenset({lever, lever.removesuffix("-off").replace("-", "_")})
        found = replace(simulated, open=simulated.open | shut, pulled=[]).search()
        assert found.cause in right, found.sentence
        if lever in {each.lever for each in found.levers}:
            assert "proves nothing" in " ".join(found.unexplained)


def test_everything_abstained_names_nothing() -> None:
    shut = LEVERS | {AS_RECORDED, *PASSES}
    found = Simulated(lambda _: True, open=shut).search()
    assert found.cause == "not-known"


def test_no_more_runs_are_asked_for_than_allowed() -> None:
    for limit in range(8):
        place = SearchedPlace(levers=LEVERS, passes=PASSES, limit=limit)
        found = drive(search(place), Simulated(graph_pass("layout")))
        assert len(found.levers) <= limit
        assert found.cause in ("not-known", "grappler:layout")


def test_without_a_definition_the_eager_run_needs_a_witness() -> None:
    alone = Simulated(lambda s: s.way != "eager", relative=True).search()
    assert alone.cause == "not-known"
    backed = Simulated(graph_pass("arithmetic"), relative=True).search()
    assert backed.cause == "grappler:arithmetic"


def told(table: Mapping[str, LeverOutcome]) -> Callable[[Pull], LeverOutcome]:
    """Answer pulls from a table; what is not in it was not decided."""
    return lambda pull: table.get(
        pull.name, LeverOutcome(lever=pull.name, verdict="abstained", detail="not tried")
    )


def test_a_table_answers_for_runs_that_were_made_elsewhere() -> None:
    table = {
        "eager": LeverOutcome(lever="eager", verdict="same-bits"),
        "xla-off": LeverOutcome(lever="xla-off", verdict="same-bits"),
        AS_RECORDED: LeverOutcome(lever=AS_RECORDED, verdict="different"),
    }
    found = drive(search(SearchedPlace(way="xla", levers=LEVERS, repeated=True)), told(table))
    assert (found.cause, found.confidence) == ("xla", "proven")


def flips(simulated: Simulated, without: Iterable[str]) -> bool:
    """Say whether turning these passes off mends a graph that is wrong."""
    on = frozenset(PASSES) - frozenset(without)
    graph = Stack(**{**vars(simulated.stack), "way": "graph"})
    return simulated.wrong(graph) and not simulated.wrong(Stack(**{**vars(graph), "on": on}))


def contradicted(simulated: Simulated, found: CauseEvidence) -> bool:
    """Say whether the truth speaks against the cause that was named."""
    stack, wrong = simulated.stack, simulated.wrong

    def runs(**changes: object) -> bool:
        return wrong(Stack(**{**vars(stack), **changes}))

    family, _, name = found.cause.partition(":")
    match family:
        case "grappler":
            alone = flips(simulated, [name])
            beside = any(
                not flips(simulated, [other]) and flips(simulated, [name, other])
                for other in PASSES if other != name
            )  # fmt: skip
            return not (alone or (beside and found.confidence == "likely"))
        case "xla":
            return not runs() or stack.way != "xla" or runs(way="graph")
        case "onednn":
            return not runs() or runs(onednn=False)
        case "device-plugin":
            return not runs() or runs(device="CPU")
        case "tracing":
            return runs(way="eager") or not runs(way="graph", on=frozenset()) or not runs(way="xla")
        case "keras-layer":
            return not (runs(way="eager") and runs(way="xla"))
        case "kernel":
            return not runs() or (runs(threads=1) and runs(way="xla"))
    return False


def test_no_table_of_runs_makes_the_search_name_what_it_contradicts() -> None:
    chance = random.Random(5)
    named = 0
    for _ in range(1500):
        parts: list[Callable[[Stack], bool]] = [
            lambda s: s.way == "xla",
            lambda s: s.way == "graph",
            lambda s: s.way != "eager",
            lambda s: s.onednn,
            lambda s: s.threads > 1,
            lambda s: s.device == "GPU",
            lambda s: s.dtype == "float32",
            *(graph_pass(*each) for each in chance.sample(
                list(itertools.combinations(PASSES, chance.choice((1, 1, 2, 3)))), 3)),
        ]  # fmt: skip
        terms = [
            chance.sample(parts, chance.choice((1, 1, 2))) for _ in range(chance.randint(1, 2))
        ]

        def wrong(stack: Stack, terms: list[list[Callable[[Stack], bool]]] = terms) -> bool:
            return any(all(part(stack) for part in term) for term in terms)

        way, device = chance.choice(("graph", "xla", "eager")), chance.choice(("CPU", "GPU"))
        simulated = Simulated(
            wrong,
            Stack(way=way, device=device),
            ops=chance.choice((WHOLE, ("MatMul",), ())),
            open=frozenset(chance.sample(sorted(LEVERS), chance.choice((0, 0, 1, 4)))),
            repeated=chance.random() < 0.5,
        )  # fmt: skip
        found = simulated.search()
        named += found.cause != "not-known"
        assert not contradicted(simulated, found), (found, simulated.stack)
        assert len(simulated.pulled) <= 32
    assert named > 250
