"""A recorded run as rules read it: its calls, models and trainings, and places in its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import Array, Call, Capsule, CapsuleError, LayerState, ModelState, Probe
from bridge.capsule.values import Items, Method, ObjectValue, Pairs, Scalar, Symbol, Value
from bridge.explain.experiment import Experiment
from bridge.facts.keras import METHODS
from bridge.rules.r_values import RVariables
from bridge.rules.rule import Finding, Help, Span
from bridge.translate.script_text import Cut, ScriptText, shown
from bridge.translate.syntax import Node, RCall, Row, nodes_in

#: A string, or a name or number of R, as it begins in a line.
_TOKEN: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|-?[\w.]+")


@dataclass(frozen=True)
class Mended:
    """A call that raised and was seen to work once something was put right.

    ``headline`` says what it was given, ``why`` how that came about, ``help`` how to write it;
    ``line`` is that of what was put right.
    """

    headline: str
    why: str
    help: str
    line: int | None


@dataclass
class Run:
    """A recorded run, the syntax tree of its script, and the experiments that were made with it.

    ``wanted`` collects the experiments that rules asked for and that were not made yet.
    """

    capsule: Capsule
    tree: Sequence[Node] = ()
    outcomes: Mapping[Experiment, Capsule] = field(default_factory=dict)
    repairs: Sequence[Mended] = ()
    rows: Sequence[Row] = ()
    wanted: dict[Experiment, None] = field(default_factory=dict, init=False)

    def outcome(self, experiment: Experiment) -> Capsule | None:
        """Return what an experiment gave; None, and it is asked for, where it was not made."""
        found = self.outcomes.get(experiment)
        if found is None:
            self.wanted[experiment] = None
        return found

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What the run predicted, evaluated and trained, in order."""
        return self.capsule.manifest.probes

    def state(self, probe: Probe) -> ModelState | None:
        """Return the model of a probe as it was: before a training, after a prediction."""
        return self.capsule.state_of(probe)

    def array(self, ref: Array) -> npt.NDArray[Any] | None:
        """Return the elements of an array, None where they were not kept or are no numbers."""
        return array(self.capsule, ref)

    @cached_property
    def asked(self) -> tuple[Call, ...]:
        """The calls that the script's own lines made, in order."""
        return tuple(asked(self.capsule))

    @cached_property
    def variables(self) -> RVariables:
        """The variables of the script, as R had them."""
        return RVariables(self.capsule)

    @cached_property
    def written(self) -> list[RCall]:
        """The calls of the text, in order."""
        return nodes_in(self.tree, RCall)

    @cached_property
    def text(self) -> ScriptText:
        """The text of the script, which can be edited."""
        script = self.capsule.manifest.script
        return ScriptText(script.text if script is not None else "", self.rows)

    def help(self, text: str, *edits: Cut | None) -> Help:
        """Return what to do, with the change of the script where all of it is known."""
        known = [edit for edit in edits if edit is not None]
        if not known or len(known) < len(edits):
            return Help(text=text)
        before, after = shown(self.text.text, known)
        return Help(text=text, before=before, after=after, edits=tuple(known))

    def set_argument(
        self, call: Call | None, argument: str, value: str, was: str = ""
    ) -> Cut | None:
        """Return the edit that gives an argument of a call of the boundary another value."""
        if call is None or call.line is None:
            return None
        return self.text.set_argument(r_name(call), call.line, argument, value, was)

    def data_names(self, call: Call) -> tuple[str, str]:
        """Return the names of x and y as a training was given them, "" for what is no name."""
        if call.line is None:
            return "", ""
        written = [node for node in self.written if node.line == call.line]
        own = [node for node in written if node.name == r_name(call)]
        names = self.text.symbols(r_name(call), call.line)
        # Without a pipe the model comes first.
        data = names if len(own) == 1 and own[0].piped else names[1:]
        return (*data, "", "")[0], (*data, "", "")[1]

    def set_number(self, call: Call | None, argument: str, value: int | str) -> Cut | None:
        """Return the edit that gives an argument another number; the first number is its own."""
        if call is None or call.line is None:
            return None
        return self.text.set_number(r_name(call), call.line, argument, str(value))

    def set_activation(self, layer: LayerState, name: str) -> Cut | None:
        """Return the edit that gives a layer another activation."""
        call = self.maker(layer)
        if call is None or call.line is None:
            return None
        written, was = r_name(call), activation_of(layer.config)
        if written.startswith("layer_activation_"):
            return self.text.replace_call(written, call.line, f'layer_activation("{name}")')
        said = self.set_argument(call, "activation", f'"{name}"', was)
        bare = was == "linear" and said is None
        return self.set_argument(call, "activation", f'"{name}"') if bare else said

    @cached_property
    def _lines(self) -> list[str]:
        script = self.capsule.manifest.script
        return script.text.splitlines() if script is not None else []

    def maker(self, layer: LayerState) -> Call | None:
        """Return the call that made a layer, None where the script did not make it itself."""
        return maker_of(self.capsule, layer.id) if layer.id is not None else None

    def layer_place(
        self, layer: LayerState | None, argument: str = "", label: str = ""
    ) -> Span | None:
        """Return where a layer is written, or one of its arguments; None where it is not."""
        return self.place(self.maker(layer) if layer is not None else None, argument, label)

    def probe_place(self, probe: Probe, argument: str = "", label: str = "") -> Span | int | None:
        """Return where a prediction or training is written, or an argument of it."""
        return self.place(call_of(self.capsule, probe), argument, label) or probe.line

    def compile_place(self, state: ModelState, argument: str = "", label: str = "") -> Span | None:
        """Return where a model was compiled last, or an argument of that."""
        calls = [call for call in self.asked if name_of(call) == "compile"]
        own = [call for call in calls if owner_of(call) == state.id]
        return self.place(own[-1] if own else None, argument, label)

    def place(self, call: Call | None, argument: str = "", label: str = "") -> Span | None:
        """Return where a call of the boundary is written, or one of its arguments."""
        if call is None or call.line is None:
            return None
        name = r_name(call)
        nodes = [node for node in self.written if node.line == call.line and node.name == name]
        if not nodes:
            return self._operation(call, call.line, label) or Span(line=call.line, label=label)
        wanted = [
            actual.value for actual in nodes[0].arguments if argument and actual.name == argument
        ]
        return self.node_place(wanted[0] if wanted and wanted[0] else nodes[0], label)

    def _operation(self, call: Call, first: int, label: str) -> Span | None:
        """Return where the operator stands that made a call, by the text of its two sides.

        R knows the line of a loop alone, and not those inside.
        """
        if not r_name(call).startswith("Ops."):
            return None
        sides = call.r_call.partition("(")[2].removesuffix(")")
        for comma in re.finditer(", ", sides):
            left, right = (
                re.escape(text) for text in (sides[: comma.start()], sides[comma.end() :])
            )
            for number, line in enumerate(self._lines[first - 1 :], start=first):
                if found := re.search(rf"{left}\s*[-+*/^]\s*{right}", line):
                    start, end = found.start() + 1, found.end()
                    return Span(
                        line=number, column=start, end_line=number, end_column=end, label=label
                    )
        return None

    def located(self, finding: Finding) -> Finding:
        """Give the places of a finding that are a line alone the columns of the call there."""
        spans = tuple(self._located(span) for span in finding.spans)
        return finding if spans == finding.spans else finding.model_copy(update={"spans": spans})

    def _located(self, span: Span) -> Span:
        names = (*METHODS, "compile")
        nodes = [node for node in self.written if node.line == span.line and node.name in names]
        if span.column is not None or len(nodes) != 1:
            return span
        return self.node_place(nodes[0], span.label).model_copy(update={"primary": span.primary})

    def word_place(self, line: int, word: str, label: str = "") -> Span:
        """Return where a word stands in a line, the line alone where it does not."""
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        found = re.search(rf"\b{re.escape(word)}\b", text)
        if found is None:
            return Span(line=line, label=label)
        first, last = found.start() + 1, found.end()
        return Span(line=line, column=first, end_line=line, end_column=last, label=label)

    def node_place(self, node: Node, label: str = "") -> Span:
        """Return where an expression begins: its first name, number or string."""
        line = self._lines[node.line - 1] if 0 < node.line <= len(self._lines) else ""
        token = _TOKEN.match(line, max(node.column - 1, 0))
        if token is None:
            return Span(line=node.line, label=label)
        return Span(
            line=node.line,
            column=node.column,
            end_line=node.line,
            end_column=token.end(),
            label=label,
        )


def r_name(call: Call) -> str:
    """Return the name of the R function that made a call, "" if it is not known."""
    return call.r_call.partition("(")[0].rpartition(":")[2]


def asked(capsule: Capsule) -> Iterator[Call]:
    """Yield the calls that the script's own lines made, in order."""
    for call in capsule.manifest.calls:
        if call.kind == "call" and not call.internal and call.parent is None:
            yield call


def name_of(call: Call) -> str:
    """Return the last part of the name of what was called: ``Dense``, ``fit``."""
    if isinstance(call.target, Method):
        return call.target.name
    if isinstance(call.target, Symbol):
        return (call.target.public or call.target.path).replace(":", ".").rpartition(".")[2]
    return ""


def owner_of(call: Call) -> int | None:
    """Return the number of the object whose method was called, or that was called itself."""
    target = call.target.owner if isinstance(call.target, Method) else call.target
    return target.id if isinstance(target, ObjectValue) else None


def maker_of(capsule: Capsule, number: int) -> Call | None:
    """Return the call that made the object with this number."""
    for call in capsule.manifest.calls:
        if isinstance(call.result, ObjectValue) and call.result.id == number:
            return call
    return None


def call_of(capsule: Capsule, probe: Probe) -> Call | None:
    """Return the boundary call that made a probe."""
    return next((call for call in capsule.manifest.calls if call.id == probe.call), None)


def array(capsule: Capsule, ref: Array) -> npt.NDArray[Any] | None:
    """Return the elements of an array, None where they were not kept or are no numbers."""
    try:
        found = capsule.array(ref)
    except CapsuleError:
        return None
    return found if found.dtype.kind in "biuf" else None


def number(value: Value | None) -> float | None:
    """Return a number that crossed the boundary."""
    if isinstance(value, Scalar) and value.t in ("int", "float"):
        try:
            return float(value.v)
        except (ValueError, OverflowError):
            return None
    return None


def is_true(value: Value | None) -> bool:
    """Say whether a value is True."""
    return isinstance(value, Scalar) and value.t == "bool" and value.v == "True"


def parts(value: Value) -> Iterator[Value]:
    """Yield a value and everything in it."""
    yield value
    if isinstance(value, Items):
        for item in value.items:
            yield from parts(item)
    elif isinstance(value, Pairs):
        for _, item in value.items:
            yield from parts(item)


def same(a: npt.NDArray[Any] | None, b: npt.NDArray[Any] | None) -> bool:
    """Say whether two arrays have the same bits."""
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.tobytes() == b.tobytes()


def activation_of(config: Mapping[str, Any]) -> str:
    """Return the name of the activation in a layer's configuration, "" if there is none."""
    found = config.get("activation")
    if isinstance(found, str):
        return found
    if isinstance(found, dict):
        inner = found.get("config")
        named = inner if isinstance(inner, str) else found.get("class_name", "")
        return str(named)
    return ""


def output_layer(state: ModelState) -> LayerState | None:
    """Return the layer whose output is the model's, None where that is not one layer's."""
    if not state.layers:
        return None
    config = state.config if isinstance(state.config, dict) else {}
    outputs = config.get("output_layers")
    if not outputs:
        return state.layers[-1] if state.cls.endswith("Sequential") else None
    flat = outputs if isinstance(outputs, list) else []
    names = list(_strings(flat))
    if len(names) != 1:
        return None
    return next((layer for layer in state.layers if layer.name == names[0]), None)


def _strings(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            yield from _strings(item)


def is_one_dimensional(values: npt.NDArray[Any]) -> bool:
    """Say whether an array has one number a row."""
    return values.ndim == 1 or int(np.prod(values.shape[1:])) == 1
