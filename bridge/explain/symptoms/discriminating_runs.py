"""Which runs on the reporter's machine would tell apart what what was observed cannot.

Each run is one switch. What a candidate predicts for it is computed where the run was made here
with the candidate's fault, and otherwise reasoned; the text says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule
from bridge.explain.result import Separating
from bridge.explain.symptoms.paste_code import Lines, pasted
from bridge.explain.symptoms.table import Made, Recorded, Standing

#: How the models are run where nothing is tied to their outputs.
AS_FUNCTION: Final = "as a plain function"

_NOTHING: Final = Lines()
_STAYS: Final = "stays"
_GOES: Final = "goes"
_PREDICT: Final = Lines(
    "print(model$predict(x, verbose = 0L))", "print(model.predict(x, verbose=0))"
)


@dataclass(frozen=True)
class Question:
    """A run: what it asks, and the lines that make it.

    ``before`` come before anything is made, ``run`` at the end.
    """

    key: str
    text: str
    run: Lines = _PREDICT
    before: Lines = _NOTHING


QUESTIONS: Final = (
    Question(
        "remapping-off",
        "Does the fault stay when Grappler fuses nothing?",
        before=Lines(
            "tf$config$optimizer$set_experimental_options(list(remapping = FALSE))",
            'tf.config.optimizer.set_experimental_options({"remapping": False})',
        ),
    ),
    Question(
        "cpu-only",
        "Does the fault stay on the CPU?",
        before=Lines(
            'tf$config$set_visible_devices(list(), "GPU")',
            'tf.config.set_visible_devices([], "GPU")',
        ),
    ),
    Question(
        "eager",
        "Does the fault stay when no graph is made?",
        run=Lines("print(as.array(model(x)))", "print(model(x).numpy())"),
    ),
    Question(
        "function",
        "Is the last layer right, too, where nothing keeps it from being fused?",
        run=Lines(
            "as_graph <- tf$`function`(model)\nprint(as.array(as_graph(x)))",
            "as_graph = tf.function(model)\nprint(as_graph(x).numpy())",
        ),
    ),
    Question(
        "executed",
        "Which ops are executed, and what is fused into them?",
        run=Lines(
            """context <- reticulate::import("tensorflow.python.eager.context")$context()
context$enable_graph_collection()
print(model$predict(x, verbose = 0L))
found <- context$export_run_metadata()
context$disable_graph_collection()
for (graph in reticulate::iterate(found$function_graphs)) {
  text <- strsplit(reticulate::py_str(graph$post_optimization_graph), "\\n")[[1]]
  print(grep("op: \\"_Fused|s: \\"", text, value = TRUE))
}""",
            """from tensorflow.python.eager import context

context.context().enable_graph_collection()
print(model.predict(x, verbose=0))
found = context.context().export_run_metadata()
context.context().disable_graph_collection()
for graph in found.function_graphs:
    for node in graph.post_optimization_graph.node:
        if "fused_ops" in node.attr:
            print(node.op, list(node.attr["fused_ops"].list.s))""",
        ),
    ),
)


@dataclass(frozen=True)
class _Answer:
    """What a candidate predicts: ``key`` tells answers apart, "" is not known."""

    key: str
    text: str


def separating(
    recorded: Capsule, standing: Sequence[Standing], made: Sequence[Made], outputs: Recorded
) -> tuple[Separating, ...]:
    """Return the shortest list of runs that tells apart as many candidates as any runs do.

    Args:
        recorded: the run whose models are written into the code.
        standing: the candidates that explain everything.
        made: what every suspect makes, in every setting.
        outputs: what was recorded of the probes that were observed.
    """
    if len(standing) < 2 or any(each.made.suspect.is_healthy for each in standing):
        return ()
    plans = [plan for question in QUESTIONS if (plan := _plan(question, standing, made, outputs))]
    chosen = _fewest(plans, standing)
    return tuple(_written(plan, recorded, standing, outputs) for plan in chosen)


@dataclass(frozen=True)
class _Plan:
    question: Question
    probe: int
    rows: tuple[int, ...]
    answers: Mapping[str, _Answer]

    def parts(self, one: Standing, other: Standing) -> bool:
        a, b = self.answers[one.name], self.answers[other.name]
        return bool(a.key and b.key) and a.key != b.key


def _plan(
    question: Question, standing: Sequence[Standing], made: Sequence[Made], outputs: Recorded
) -> _Plan | None:
    if question.key == "function":
        return _as_function(question, standing, made, outputs)
    probe = _most_different(
        [(each.made.outputs, outputs.outputs) for each in standing], outputs.outputs
    )
    if probe is None:
        return None
    healthy = outputs.outputs[probe]
    rows = _rows(healthy, [each.made.outputs[probe] for each in standing])
    answers = {each.name: _reasoned(question, each, probe, healthy, rows) for each in standing}
    return _Plan(question, probe, rows, answers)


def _as_function(
    question: Question, standing: Sequence[Standing], made: Sequence[Made], outputs: Recorded
) -> _Plan | None:
    """Plan a run without predict's own knots, which was made here with every suspect's fault."""
    there = {each.suspect.name: each for each in made if each.setting == AS_FUNCTION}
    if any(each.made.suspect.name not in there for each in standing):
        return None
    mine = [there[each.made.suspect.name].outputs for each in standing]
    probe = _most_different(list(combinations(mine, 2)), outputs.outputs)
    if probe is None:
        return None
    rows = _rows(outputs.outputs[probe], [each[probe] for each in mine])
    answers = {}
    for each, found in zip(standing, mine, strict=True):
        y = found[probe]
        if isinstance(y, str):
            answers[each.name] = _Answer("", f"not known: {y}")
        else:
            told = _numbers(y, rows)
            answers[each.name] = _Answer(told, f"prints {told} (computed here, with the fault)")
    return _Plan(question, probe, rows, answers)


def _reasoned(
    question: Question, each: Standing, probe: int, healthy: Any, rows: Sequence[int]
) -> _Answer:
    if question.key == "executed":
        return _fused(each)
    goes = {
        "remapping-off": _by(each, "grappler:remapping") or _by_fused_kernel(each),
        "cpu-only": _by(each, "device-plugin"),
        "eager": _by_fusion(each),
    }[question.key]
    y = each.made.outputs[probe]
    if isinstance(y, str):
        return _Answer("", f"not known: {y}")
    told = _numbers(healthy if goes else y, rows)
    what = "the fault goes" if goes else "the fault stays"
    return _Answer(_GOES if goes else _STAYS, f"prints {told}: {what} (reasoned)")


def _fused(each: Standing) -> _Answer:
    """Say what is listed as fused, where the fault lies in what is fused or in how it is done."""
    suspect = each.made.suspect
    if suspect.kind not in ("relu-lost-in-fused", "fused-activation-lost"):
        return _Answer("", "not known: the list of ops does not show this fault")
    if _by(each, "grappler:remapping"):
        return _Answer(
            "lost", "lists the op without its activation, which the pass lost (reasoned)"
        )
    if _by_fused_kernel(each):
        text = "lists the op with its activation, which the kernel leaves out (reasoned)"
        return _Answer("listed", text)
    return _Answer("", "not known: a device plug-in may fuse after the graph is listed")


def _by(each: Standing, cause: str) -> bool:
    return each.cause == cause


def _by_fusion(each: Standing) -> bool:
    """Say whether the fault is one of fusion, which is made in graphs only."""
    fusing = (_by(each, "grappler:remapping"), _by(each, "device-plugin"), _by_fused_kernel(each))
    return any(fusing) and not each.made.suspect.kind.startswith("kernel-")


def _by_fused_kernel(each: Standing) -> bool:
    return each.cause.startswith("kernel:_Fused")


def _most_different(
    pairs: Iterable[tuple[Mapping[int, Any], Mapping[int, Any]]], healthy: Mapping[int, Any]
) -> int | None:
    """Return the probe at which two outputs differ most, as a share of what was recorded."""
    best, most = None, 0.0
    for one, other in pairs:
        for probe, y in healthy.items():
            gap = _gap(one[probe], other[probe])
            span = float(np.ptp(np.nan_to_num(y.astype(np.float64)))) if y.size else 0.0
            share = gap / span if span else np.inf
            if gap and share > most:
                best, most = probe, share
    return best


def _gap(a: Any, b: Any) -> float:
    if isinstance(a, str) or isinstance(b, str) or a.shape != b.shape or not a.size:
        return 0.0
    return float(np.nan_to_num(np.abs(a.astype(np.float64) - b.astype(np.float64))).max())


def _rows(healthy: Any, others: Sequence[Any]) -> tuple[int, ...]:
    """Return three rows: the one at which outputs differ most, one in the middle, the last one."""
    count = len(healthy)
    gaps = np.zeros(count)
    arrays = [each for each in (healthy, *others) if not isinstance(each, str)]
    for a, b in combinations(arrays, 2):
        if a.shape == b.shape:
            gap = np.abs(a.astype(np.float64) - b.astype(np.float64)).reshape(count, -1)
            gaps = np.maximum(gaps, np.nan_to_num(gap).max(axis=1))
    return tuple(sorted({int(gaps.argmax()), count // 2, count - 1}))


def _numbers(y: Any, rows: Sequence[int]) -> str:
    values = y[list(rows)].reshape(-1)
    more = ", ..." if values.size > 6 else ""
    return ", ".join(f"{float(each):.4g}" for each in values[:6]) + more


def _fewest(plans: Sequence[_Plan], standing: Sequence[Standing]) -> tuple[_Plan, ...]:
    """Return the fewest runs that part as many pairs as all of them do; there are few to try."""
    pairs = list(combinations(standing, 2))
    parted = [{place for place, pair in enumerate(pairs) if plan.parts(*pair)} for plan in plans]
    wanted = set().union(*parted)
    for count in range(len(plans) + 1):
        for some in combinations(range(len(plans)), count):
            if set().union(*(parted[each] for each in some)) == wanted:
                return tuple(plans[each] for each in some)
    return ()


def _written(
    plan: _Plan, recorded: Capsule, standing: Sequence[Standing], outputs: Recorded
) -> Separating:
    probe = next(each for each in recorded.manifest.probes if each.index == plan.probe)
    states = recorded.manifest.states
    number = probe.state if probe.state is not None else -1
    state = states[number] if 0 <= number < len(states) else None
    code = pasted(recorded, state, outputs.inputs[plan.probe], plan.rows)
    lines = code.code(plan.question.before, plan.question.run)
    return Separating(
        question=plan.question.text,
        r=lines.r,
        python=lines.python,
        expect={each.name: plan.answers[each.name].text for each in standing},
    )
