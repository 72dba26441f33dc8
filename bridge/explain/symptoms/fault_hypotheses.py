"""Which faults may be behind what was reported: made from what a run executed, and its layers.

Two kinds. A fault of the executed graph is put in when the models are run again. What R may have
asked for wrongly is a change of the recording itself: another configuration, other weights.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, ExecutedGraph, LayerState, ModelState
from bridge.facts.ops import NOT_ACTIVATIONS, PRODUCTS

#: Changes a recorded model: the new one with the arrays that it needs, or None where it stays.
Edit = Callable[[Capsule, ModelState], "tuple[ModelState, dict[str, Any]] | None"]

#: Who may have done what a fault of the executed graph does, as causes and in words.
_FUSERS: Final = {
    "grappler:remapping": "by Grappler's remapping",
    "device-plugin": "by a device plug-in's own fusion",
}


@dataclass(frozen=True)
class FaultHypothesis:
    """A fault that may be the cause.

    ``kind`` and ``scope`` are those of a fault of the executed graph, or empty; ``edit`` changes
    the recording, for what R may have asked for. With neither, it is the run as it is. ``causes``
    may all have this fault, and make the same outputs; ``how`` has words for each.
    ``needs`` says whether an executed graph has something that the fault would change, and
    ``fuses`` whether it depends on what is fused, and so on how the models are run. ``stands_in``
    says whether a model has a layer that can have the fault.
    """

    name: str
    sentence: str
    causes: tuple[str, ...]
    how: Mapping[str, str]
    kind: str = ""
    scope: str = ""
    edit: Edit | None = None
    needs: Callable[[ExecutedGraph], bool] | None = None
    fuses: bool = False
    stands_in: Callable[[ModelState], bool] | None = None

    @property
    def is_healthy(self) -> bool:
        """Say whether it is no fault at all."""
        return not self.kind and self.edit is None


HEALTHY: Final = FaultHypothesis(
    "nothing is wrong here",
    "The models make what was reported without any fault: usage or mathematics.",
    ("maths",),
    {"maths": "by usage or mathematics"},
)


def suspects(
    recorded: Capsule, probes: Collection[int], graphs: Sequence[ExecutedGraph] = ()
) -> tuple[FaultHypothesis, ...]:
    """Return what may be behind reports about these probes of a run, the run as it is first.

    ``graphs`` are what the models execute when they are run otherwise than was recorded.
    """
    of = [probe for probe in recorded.manifest.probes if probe.index in probes]
    numbers = {probe.state for probe in of if probe.state is not None}
    states = [
        recorded.manifest.states[number]
        for number in sorted(numbers)
        if 0 <= number < len(recorded.manifest.states)
    ]
    biased = any(_has_bias(recorded, layer) for state in states for layer in state.layers)
    every = [*(probe.executed for probe in of if probe.executed is not None), *graphs]
    return (
        HEALTHY,
        *_of_graphs(every, biased),
        *_of_devices(recorded, states, every),
        *_of_layers(recorded, states),
    )


def _has_bias(recorded: Capsule, layer: LayerState) -> bool:
    """Say whether a layer has a bias that is not zero, or may have."""
    found = [weight.array.key for weight in layer.weights if weight.name.endswith("bias")]
    known = (recorded.arrays.get(key) if key is not None else None for key in found)
    inner = any(_has_bias(recorded, each) for each in layer.layers)
    return inner or any(bias is None or bool(np.any(bias)) for bias in known)


def _of_graphs(graphs: Sequence[ExecutedGraph], biased: bool) -> Iterator[FaultHypothesis]:
    fused = {(op.op, part) for graph in graphs for op in graph.ops if op.fused for part in op.fused}
    activations = {part for _, part in fused if part not in NOT_ACTIVATIONS}
    ops = sorted({op for op, _ in fused})
    noun = _noun(ops)
    if "Relu" in activations:
        yield from _scoped("relu-lost-in-fused", "relu lost", noun, ops,
                           "loses its relu", _fuses(lambda part: part == "Relu"))  # fmt: skip
    if activations - {"Relu"}:
        yield from _scoped("fused-activation-lost", "any activation lost", noun, ops,
                           "loses its activation, whichever it is,",
                           _fuses(_is_activation))  # fmt: skip
    # Where every bias is zero these change nothing, and nothing has to be run.
    if activations:
        yield _graph("fused-order-wrong", "", f"activation before bias in every fused {noun}", ops,
                     f"A fused {noun} adds its bias after the activation, not before.",
                     _fuses(lambda part: biased and _is_activation(part)))  # fmt: skip
    if any(part == "BiasAdd" for _, part in fused):
        yield _graph("fused-bias-lost", "", f"bias lost in every fused {noun}", ops,
                     f"A fused {noun} does not add its bias.",
                     _fuses(lambda part: biased and part == "BiasAdd"))  # fmt: skip
    multiplying = sorted({op.op for graph in graphs for op in graph.ops if _contraction(op.op)})
    if multiplying:
        causes = tuple(f"kernel:{op}" for op in multiplying[:1])
        yield FaultHypothesis(
            f"{_noun(multiplying)} computed in bfloat16",
            "The kernel rounds what it multiplies to bfloat16.",
            (*causes, "device-plugin"),
            {causes[0]: "by TensorFlow's kernel", "device-plugin": "by a device plug-in's kernel"},
            "kernel-bf16",
            "",
            None,
            lambda graph: any(_contraction(op.op) for op in graph.ops),
        )


def _scoped(
    kind: str, name: str, noun: str, ops: list[str], does: str, needs: Callable[..., bool]
) -> Iterator[FaultHypothesis]:
    # The narrower one first: where both make the same, it gives the family its name.
    yield _graph(kind, "feeds-matmul", f"{name} in a fused {noun} whose output feeds another "
                 f"{noun}", ops, f"A fused {noun} {does} if its output feeds another {noun}.",
                 needs)  # fmt: skip
    yield _graph(kind, "", f"{name} in every fused {noun}", ops, f"Every fused {noun} {does}.",
                 needs)  # fmt: skip


def _graph(
    kind: str, scope: str, name: str, ops: list[str], sentence: str, needs: Callable[..., bool]
) -> FaultHypothesis:
    kernels = {f"kernel:{op}": f"by the kernel of {op}" for op in ops[:1]}
    how = {**_FUSERS, **kernels}
    return FaultHypothesis(name, sentence, tuple(how), how, kind, scope, None, needs, fuses=True)


def _of_devices(
    recorded: Capsule, states: Sequence[ModelState], graphs: Sequence[ExecutedGraph]
) -> Iterator[FaultHypothesis]:
    """Yield what a device may do that fuses what is not fused here, in terms of layers."""
    fused = {part for graph in graphs for op in graph.ops for part in op.fused}
    # A relu that is fused here as well is lost in the executed graph itself.
    relu = [] if "Relu" in fused else [("relu", "its relu", frozenset({"relu"}))]
    for what, lost, only in (*relu, ("any activation", "every activation", None)):
        for but_last, where in ((True, "a layer that is not the last one"), (False, "every layer")):
            rule = _no_activation(but_last, only)
            if any(rule(recorded, state) is not None for state in states):
                name = f"{what} lost in {where}"
                sentence = f"Another machine fuses {lost} into {where}, and loses it."
                yield FaultHypothesis(name, sentence, tuple(_FUSERS), _FUSERS, edit=rule)


def _of_layers(recorded: Capsule, states: Sequence[ModelState]) -> Iterator[FaultHypothesis]:
    asked = (
        (_argument("R drops the activation argument",
                   "Every layer is made without the activation that it was given (NULL)."),
         _no_activation(False)),
        (_argument("R drops the activation argument but in the last layer",
                   "Every layer but the last one is made without its activation."),
         _no_activation(True)),
        (_argument("R transposes kernels", "Square kernels arrive in Python transposed."),
         _transposed),
    )  # fmt: skip
    for suspect, rule in asked:
        if any(rule(recorded, state) is not None for state in states):
            yield replace(suspect, edit=rule)
    if any(map(_has_gelu, states)):
        yield FaultHypothesis(
            "gelu approximated by tanh",
            "Every layer with gelu computes its approximation.",
            ("keras-layer",),
            {"keras-layer": "by Keras"},
            "gelu-approximate",
            stands_in=_has_gelu,
        )


def _has_gelu(state: ModelState) -> bool:
    return any(layer.config.get("activation") == "gelu" for layer in state.layers)


def _argument(name: str, sentence: str) -> FaultHypothesis:
    return FaultHypothesis(
        name, sentence, ("r-conversion",), {"r-conversion": "between R and Keras"}
    )


def _no_activation(but_last: bool, only: frozenset[str] | None = None) -> Edit:
    def rule(_recorded: Capsule, state: ModelState) -> tuple[ModelState, dict[str, Any]] | None:
        wanted = [
            layer.name
            for layer in state.layers
            if _has_activation(layer) and (only is None or str(layer.config["activation"]) in only)
        ]
        if but_last:
            wanted = [name for name in wanted if name != state.layers[-1].name]
        return (_without_activation(state, frozenset(wanted)), {}) if wanted else None

    return rule


def _has_activation(layer: LayerState) -> bool:
    """Say whether the layer takes an activation as an argument, among others, and was given one.

    A layer that is nothing but an activation cannot be made without one.
    """
    return layer.config.get("activation") not in (None, "linear") and bool(layer.weights)


def _without_activation(state: ModelState, names: frozenset[str]) -> ModelState:
    layers = tuple(
        layer.model_copy(update={"config": layer.config | {"activation": "linear"}})
        if layer.name in names
        else layer
        for layer in state.layers
    )
    return state.model_copy(update={"layers": layers, "config": _unset(state.config, names)})


def _unset(config: Any, names: frozenset[str]) -> Any:
    if isinstance(config, list):
        return [_unset(each, names) for each in config]
    if not isinstance(config, dict):
        return config
    if config.get("name") in names and "activation" in config:
        return config | {"activation": "linear"}
    return {key: _unset(each, names) for key, each in config.items()}


def _transposed(recorded: Capsule, state: ModelState) -> tuple[ModelState, dict[str, Any]] | None:
    arrays: dict[str, Any] = {}
    layers = []
    for layer in state.layers:
        weights = []
        for weight in layer.weights:
            key, shape = weight.array.key, weight.array.shape
            if key is not None and len(shape) == 2 and shape[0] == shape[1]:
                turned = np.ascontiguousarray(recorded.arrays[key].T)
                if not np.array_equal(turned, recorded.arrays[key]):
                    new = f"{key}.t"
                    arrays[new] = turned
                    array = weight.array.model_copy(update={"key": new})
                    weight = weight.model_copy(update={"array": array})
            weights.append(weight)
        layers.append(layer.model_copy(update={"weights": tuple(weights)}))
    return (state.model_copy(update={"layers": tuple(layers)}), arrays) if arrays else None


def _fuses(wanted: Callable[[str], bool]) -> Callable[[ExecutedGraph], bool]:
    return lambda graph: any(wanted(part) for op in graph.ops for part in op.fused)


def _is_activation(part: str) -> bool:
    return part not in NOT_ACTIVATIONS


def _contraction(op: str) -> bool:
    return any(each in op for each in PRODUCTS)


def _noun(ops: Collection[str]) -> str:
    """Return the word for ops: MatMul where all of them are, op where they are of several kinds."""
    kinds = {kind for op in ops for kind in PRODUCTS if kind in op}
    return next(iter(kinds)) if len(kinds) == 1 else "op"
