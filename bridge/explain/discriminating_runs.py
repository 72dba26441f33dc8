"""Which runs on the reporter's machine would tell apart what was observed, as code to paste."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, CapsuleError, LayerState, ModelState
from bridge.explain.result import Separating
from bridge.explain.symptoms import FaultOutputs, RecordedOutputs, Standing
from bridge.facts.keras import generation_of
from bridge.facts.layers import class_name
from bridge.rounding.layer_graph import input_shapes

#: More numbers than this are not written into code.
_MOST_NUMBERS: Final = 200
_NOT_ARGUMENTS: Final = frozenset(
    {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "build_config"}
)
_OWN_MODEL: Final = "# After your own script: 'model' is the model, 'x' its input as a tensor."


@dataclass(frozen=True)
class CodeLines:
    """A line or several in each language."""

    r: str = ""
    python: str = ""


@dataclass(frozen=True)
class Pasted:
    """A model and its input as code; ``rows`` are those of the recorded input that it has.

    ``generation`` is that of Keras. ``rows`` is empty where the user's own model is spoken of.
    """

    model: CodeLines
    rows: tuple[int, ...]
    generation: int

    def code(self, before: CodeLines, run: CodeLines) -> CodeLines:
        """Return the whole code; ``before`` comes before anything is made, ``run`` at the end."""
        legacy = self.generation == 2
        r = [
            'Sys.setenv(TF_USE_LEGACY_KERAS = "1")' if legacy else "",
            "library(tensorflow)",
            before.r,
            "keras <- tf$keras",
            self.model.r,
            run.r,
        ]
        python = [
            'import os\n\nos.environ["TF_USE_LEGACY_KERAS"] = "1"\n' if legacy else "",
            "import numpy as np\nimport tensorflow as tf\n",
            before.python,
            "keras = tf.keras",
            self.model.python,
            run.python,
        ]
        return CodeLines(
            *("\n".join(part for part in parts if part) + "\n" for parts in (r, python))
        )


def pasted(
    recorded: Capsule, state: ModelState | None, x: np.ndarray[Any, Any], rows: Sequence[int]
) -> Pasted:
    """Return a recorded model and some rows of what it was given, as code."""
    legacy = generation_of(recorded.manifest.environment.keras) == 2
    generation = 2 if legacy else 3
    written = _model(recorded, state) if state is not None else None
    given = _input(state, x, rows) if state is not None else None
    if written is None or given is None:
        return Pasted(CodeLines(_OWN_MODEL, _OWN_MODEL), (), generation)
    model = CodeLines(f"{written.r}\n{given.r}", f"{written.python}\n{given.python}")
    return Pasted(model, tuple(rows), generation)


def _model(recorded: Capsule, state: ModelState) -> CodeLines | None:
    if not state.cls.endswith("Sequential") or not state.layers:
        return None
    shapes = input_shapes(state)
    calls = [_layer(layer) for layer in state.layers]
    weights = [weight.array for layer in state.layers for weight in layer.weights]
    if len(shapes) != 1 or sum(int(np.prod(weight.shape)) for weight in weights) > _MOST_NUMBERS:
        return None
    try:
        values = [np.asarray(recorded.array(weight)) for weight in weights]
    except CapsuleError:
        return None
    written = [call for call in calls if call is not None]
    if len(written) < len(calls):
        return None
    shape = [None, *shapes[0][1:]]
    r = [
        "model <- keras$Sequential(list(",
        ",\n".join(f"  {call.r}" for call in written),
        "))",
        f"model$build({_r(shape)})",
    ]
    python = [
        "model = keras.Sequential([",
        *(f"    {call.python}," for call in written),
        "])",
        f"model.build({tuple(shape)!r})",
    ]
    if values:
        r.append(f"model$set_weights(list({', '.join(_r_array(value) for value in values)}))")
        python.append(f"model.set_weights([{', '.join(_python_array(value) for value in values)}])")
    return CodeLines("\n".join(r), "\n".join(python))


def _layer(layer: LayerState) -> CodeLines | None:
    name = class_name(layer.cls)
    if name is None or layer.layers or not name.isidentifier() or "layer" in layer.config:
        return None
    given = {
        key: value
        for key, value in layer.config.items()
        if key not in _NOT_ARGUMENTS and key.isidentifier() and _is_simple(value)
    }
    r = ", ".join(f"{key} = {_r(value)}" for key, value in given.items())
    python = ", ".join(f"{key}={value!r}" for key, value in given.items())
    return CodeLines(f"keras$layers${name}({r})", f"keras.layers.{name}({python})")


def _is_simple(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, (int, float, str)) for item in value)
    return isinstance(value, (bool, int, float, str))


def _input(state: ModelState, x: np.ndarray[Any, Any], rows: Sequence[int]) -> CodeLines | None:
    if x.ndim == 0 or x.dtype.kind not in "fiu":
        return None
    some = x[list(rows)]
    declared = input_shapes(state)
    inner = declared[0][1:] if len(declared) == 1 else ()
    sizes = [size for size in inner if size is not None]
    if len(sizes) == len(inner) and len(some) * int(np.prod(sizes)) == some.size:
        # A model that is called, and not asked to predict, takes its input in this shape only.
        some = some.reshape(len(some), *sizes)
    if some.size > _MOST_NUMBERS:
        return None
    kind = "float32" if x.dtype.kind == "f" else str(x.dtype)
    r = f"x <- tf$constant({_r_array(some)}, dtype = tf${kind})"
    return CodeLines(r, f"x = tf.constant({_python_array(some, kind)})")


def _number(value: Any) -> str:
    """Write a number so that it comes back with its bits."""
    return repr(value.item())


def _python_array(values: np.ndarray[Any, Any], kind: str = "float32") -> str:
    flat = ", ".join(_number(number) for number in values.reshape(-1))
    return f'np.array([{flat}], "{kind}").reshape({values.shape})'


def _r_array(values: np.ndarray[Any, Any]) -> str:
    # R fills arrays along the first axis first.
    flat = ", ".join(_number(number) for number in values.reshape(-1, order="F"))
    return f"array(c({flat}), dim = c({', '.join(f'{size}L' for size in values.shape)}))"


def _r(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"{value}L"
    if isinstance(value, list):
        return f"list({', '.join(_r(item) for item in value)})"
    return json.dumps(value, ensure_ascii=False)


# Which runs on the reporter's machine would tell apart what what was observed cannot.

#: How the models are run where nothing is tied to their outputs.
AS_FUNCTION: Final = "as a plain function"

_NOTHING: Final = CodeLines()
_STAYS: Final = "stays"
_GOES: Final = "goes"
_PREDICT: Final = CodeLines(
    "print(model$predict(x, verbose = 0L))", "print(model.predict(x, verbose=0))"
)


@dataclass(frozen=True)
class Question:
    """A run: what it asks, and the lines that make it.

    ``before`` come before anything is made, ``run`` at the end.
    """

    key: str
    text: str
    run: CodeLines = _PREDICT
    before: CodeLines = _NOTHING


QUESTIONS: Final = (
    Question(
        "remapping-off",
        "Does the fault stay when Grappler fuses nothing?",
        before=CodeLines(
            "tf$config$optimizer$set_experimental_options(list(remapping = FALSE))",
            'tf.config.optimizer.set_experimental_options({"remapping": False})',
        ),
    ),
    Question(
        "cpu-only",
        "Does the fault stay on the CPU?",
        before=CodeLines(
            'tf$config$set_visible_devices(list(), "GPU")',
            'tf.config.set_visible_devices([], "GPU")',
        ),
    ),
    Question(
        "eager",
        "Does the fault stay when no graph is made?",
        run=CodeLines("print(as.array(model(x)))", "print(model(x).numpy())"),
    ),
    Question(
        "function",
        "Is the last layer right, too, where nothing keeps it from being fused?",
        run=CodeLines(
            "as_graph <- tf$`function`(model)\nprint(as.array(as_graph(x)))",
            "as_graph = tf.function(model)\nprint(as_graph(x).numpy())",
        ),
    ),
    Question(
        "executed",
        "Which ops are executed, and what is fused into them?",
        run=CodeLines(
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
    recorded: Capsule,
    standing: Sequence[Standing],
    fault_outputs: Sequence[FaultOutputs],
    outputs: RecordedOutputs,
) -> tuple[Separating, ...]:
    """Return the shortest list of runs that tells apart as many candidates as any runs do.

    Args:
        recorded: the run whose models are written into the code.
        standing: the candidates that explain everything.
        fault_outputs: what every suspect makes, in every setting.
        outputs: what was recorded of the probes that were observed.
    """
    if len(standing) < 2 or any(candidate.made.suspect.is_healthy for candidate in standing):
        return ()
    plans = [
        plan
        for question in QUESTIONS
        if (plan := _plan(question, standing, fault_outputs, outputs))
    ]
    chosen = _fewest(plans, standing)
    return tuple(_written(plan, recorded, standing, outputs) for plan in chosen)


@dataclass(frozen=True)
class _Plan:
    question: Question
    probe: int
    rows: tuple[int, ...]
    answers: Mapping[str, _Answer]

    def parts(self, left: Standing, right: Standing) -> bool:
        a, b = self.answers[left.name], self.answers[right.name]
        return bool(a.key and b.key) and a.key != b.key


def _plan(
    question: Question,
    standing: Sequence[Standing],
    fault_outputs: Sequence[FaultOutputs],
    outputs: RecordedOutputs,
) -> _Plan | None:
    if question.key == "function":
        return _as_function(question, standing, fault_outputs, outputs)
    probe = _most_different(
        [(candidate.made.outputs, outputs.outputs) for candidate in standing], outputs.outputs
    )
    if probe is None:
        return None
    healthy = outputs.outputs[probe]
    rows = _rows(healthy, [candidate.made.outputs[probe] for candidate in standing])
    answers = {
        candidate.name: _reasoned(question, candidate, probe, healthy, rows)
        for candidate in standing
    }
    return _Plan(question, probe, rows, answers)


def _as_function(
    question: Question,
    standing: Sequence[Standing],
    fault_outputs: Sequence[FaultOutputs],
    outputs: RecordedOutputs,
) -> _Plan | None:
    """Plan a run without predict's own knots, which was made here with every suspect's fault."""
    there = {fault.suspect.name: fault for fault in fault_outputs if fault.setting == AS_FUNCTION}
    if any(candidate.made.suspect.name not in there for candidate in standing):
        return None
    mine = [there[candidate.made.suspect.name].outputs for candidate in standing]
    probe = _most_different(list(combinations(mine, 2)), outputs.outputs)
    if probe is None:
        return None
    rows = _rows(outputs.outputs[probe], [arrays[probe] for arrays in mine])
    answers = {}
    for candidate, found in zip(standing, mine, strict=True):
        y = found[probe]
        if isinstance(y, str):
            answers[candidate.name] = _Answer("", f"not known: {y}")
        else:
            numbers = _numbers(y, rows)
            answers[candidate.name] = _Answer(
                numbers, f"prints {numbers} (computed here, with the fault)"
            )
    return _Plan(question, probe, rows, answers)


def _reasoned(
    question: Question, candidate: Standing, probe: int, healthy: Any, rows: Sequence[int]
) -> _Answer:
    if question.key == "executed":
        return _fused(candidate)
    goes = {
        "remapping-off": _by(candidate, "grappler:remapping") or _by_fused_kernel(candidate),
        "cpu-only": _by(candidate, "device-plugin"),
        "eager": _by_fusion(candidate),
    }[question.key]
    y = candidate.made.outputs[probe]
    if isinstance(y, str):
        return _Answer("", f"not known: {y}")
    numbers = _numbers(healthy if goes else y, rows)
    what = "the fault goes" if goes else "the fault stays"
    return _Answer(_GOES if goes else _STAYS, f"prints {numbers}: {what} (reasoned)")


def _fused(candidate: Standing) -> _Answer:
    """Say what is listed as fused, where the fault lies in what is fused or in how it is done."""
    suspect = candidate.made.suspect
    if suspect.kind not in ("relu-lost-in-fused", "fused-activation-lost"):
        return _Answer("", "not known: the list of ops does not show this fault")
    if _by(candidate, "grappler:remapping"):
        return _Answer(
            "lost", "lists the op without its activation, which the pass lost (reasoned)"
        )
    if _by_fused_kernel(candidate):
        text = "lists the op with its activation, which the kernel leaves out (reasoned)"
        return _Answer("listed", text)
    return _Answer("", "not known: a device plug-in may fuse after the graph is listed")


def _by(candidate: Standing, cause: str) -> bool:
    return candidate.cause == cause


def _by_fusion(candidate: Standing) -> bool:
    """Say whether the fault is one of fusion, which is made in graphs only."""
    fusing = (
        _by(candidate, "grappler:remapping"),
        _by(candidate, "device-plugin"),
        _by_fused_kernel(candidate),
    )
    return any(fusing) and not candidate.made.suspect.kind.startswith("kernel-")


def _by_fused_kernel(candidate: Standing) -> bool:
    return candidate.cause.startswith("kernel:_Fused")


def _most_different(
    pairs: Iterable[tuple[Mapping[int, Any], Mapping[int, Any]]], healthy: Mapping[int, Any]
) -> int | None:
    """Return the probe at which two outputs differ most, as a share of what was recorded."""
    best, most = None, 0.0
    for left, right in pairs:
        for probe, y in healthy.items():
            gap = _gap(left[probe], right[probe])
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
    arrays = [array for array in (healthy, *others) if not isinstance(array, str)]
    for a, b in combinations(arrays, 2):
        if a.shape == b.shape:
            gap = np.abs(a.astype(np.float64) - b.astype(np.float64)).reshape(count, -1)
            gaps = np.maximum(gaps, np.nan_to_num(gap).max(axis=1))
    return tuple(sorted({int(gaps.argmax()), count // 2, count - 1}))


def _numbers(y: Any, rows: Sequence[int]) -> str:
    values = y[list(rows)].reshape(-1)
    more = ", ..." if values.size > 6 else ""
    return ", ".join(f"{float(value):.4g}" for value in values[:6]) + more


def _fewest(plans: Sequence[_Plan], standing: Sequence[Standing]) -> tuple[_Plan, ...]:
    """Return the fewest runs that part as many pairs as all of them do; there are few to try."""
    pairs = list(combinations(standing, 2))
    parted = [{place for place, pair in enumerate(pairs) if plan.parts(*pair)} for plan in plans]
    wanted = set().union(*parted)
    for count in range(len(plans) + 1):
        for some in combinations(range(len(plans)), count):
            if set().union(*(parted[index] for index in some)) == wanted:
                return tuple(plans[index] for index in some)
    return ()


def _written(
    plan: _Plan, recorded: Capsule, standing: Sequence[Standing], outputs: RecordedOutputs
) -> Separating:
    probe = next(probe for probe in recorded.manifest.probes if probe.index == plan.probe)
    states = recorded.manifest.states
    number = probe.state if probe.state is not None else -1
    state = states[number] if 0 <= number < len(states) else None
    code = pasted(recorded, state, outputs.inputs[plan.probe], plan.rows)
    lines = code.code(plan.question.before, plan.question.run)
    return Separating(
        question=plan.question.text,
        r=lines.r,
        python=lines.python,
        expect={candidate.name: plan.answers[candidate.name].text for candidate in standing},
    )
