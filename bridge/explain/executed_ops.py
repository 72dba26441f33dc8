"""The executed ops of a layer, and what two machines say of a fault that only one of them has.

The recorded models, weights and inputs are run again here. Where that is right, nothing of them is
to blame, and neither is what Keras asks for: what is left is what differs between the machines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from bridge.capsule import Capsule, Environment, ExecutedGraph, ExecutedOp, LayerState
from bridge.explain.lever_search import AS_RECORDED
from bridge.explain.result import CauseEvidence
from bridge.facts.keras import op_of
from bridge.facts.layers import LAYERS, class_name
from bridge.facts.ops import BIASES, CARRIERS, RESHAPING

_ACTIVATIONS: Final = {"ReLU": "relu", "Activation": "", "Softmax": "softmax"}


def labels(executed: ExecutedGraph | None) -> tuple[str, ...]:
    """Return the executed ops that do the layers' arithmetic, in order."""
    if executed is None:
        return ()
    return tuple(op.label for op in executed.ops if "/" in op.name and op.op not in CARRIERS)


def ops_of(
    executed: ExecutedGraph | None, layers: Collection[str], known: Collection[str] = ()
) -> tuple[ExecutedOp, ...]:
    """Return the ops that were executed for layers, by the names that TensorFlow gave them.

    A fused op has the name of the last op in it, and so belongs to the layer of that. ``known`` are
    the names of all layers: Keras 3 numbers the scopes of its layers once more (``dense_1`` is then
    the layer ``dense``), Keras 2 does not, and only all names together tell which it was.
    """
    if executed is None:
        return ()
    wanted = {name.rpartition("/")[2] for name in layers}
    names = {name.rpartition("/")[2] for name in known} | wanted
    scopes = [op.name.split("/")[:-1] for op in executed.ops if op.op not in CARRIERS]
    parts = {part for scope in scopes for part in scope if part in names or _stem(part) in names}
    plain = parts <= names
    ours = {part for part in parts if (part if plain else _stem(part)) in wanted}
    if not plain:
        # What is not numbered once more has a name that was free.
        ours |= {part for part in parts & wanted if _stem(part) not in names}
    return tuple(
        op
        for op in executed.ops
        if op.op not in CARRIERS and ours.intersection(op.name.split("/")[:-1])
    )


def names_of(layers: Iterable[LayerState]) -> set[str]:
    """Return the names of layers, and of those within them."""
    found = set()
    for layer in layers:
        found |= {layer.name, *names_of(layer.layers)}
    return found


def _stem(part: str) -> str:
    return re.sub(r"_\d+$", "", part)


def lost_in(ops: Iterable[ExecutedOp], layers: Iterable[LayerState]) -> tuple[str, ...] | None:
    """Return what layers are configured to do that no executed op lists.

    Returns:
        Nothing where one fused op lists all of it; None where that cannot be told.
    """
    found = list(ops)
    wanted = [_wanted(layer) for layer in layers]
    if not found or not wanted or any(expected is None for expected in wanted):
        return None
    executed = {part for op in found for part in (op.op, *op.fused)}
    lost = tuple(
        dict.fromkeys(
            part for expected in wanted for part in expected or ()
            if part not in executed and not (part == "BiasAdd" and executed & BIASES)
        )
    )  # fmt: skip
    if lost:
        return lost
    return () if len(found) == 1 and found[0].fused else None


def _wanted(layer: LayerState) -> tuple[str, ...] | None:
    """Return the ops, beside its product, that a layer is configured to do."""
    name = class_name(layer.cls) or ""
    if name in _ACTIVATIONS:
        said = _ACTIVATIONS[name] or layer.config.get("activation")
        plain = all(not layer.config.get(key) for key in ("negative_slope", "threshold"))
        ok = plain and layer.config.get("max_value") is None
        return (op_of(said),) if ok and op_of(said) else None
    facts = LAYERS.get(name)
    if facts is None or facts.does != "products" or not facts.op:
        return None
    bias = ("BiasAdd",) if layer.config.get("use_bias", True) else ()
    activation = layer.config.get("activation", "linear")
    if activation in ("linear", None):
        return bias
    return (*bias, op_of(activation)) if op_of(activation) else None


#: Packages that decide about what is executed.
_LIBRARIES: Final = ("tensorflow", "keras", "tf_keras", "numpy")
_RIGHT: Final = ("same-bits", "within-rounding")


def asked_again(found: CauseEvidence) -> bool:
    """Say whether a search ended with a fault that was run again as it was, and did not show."""
    as_recorded = [lever for lever in found.levers if lever.lever == AS_RECORDED]
    return found.cause == "not-known" and bool(as_recorded) and as_recorded[-1].verdict in _RIGHT


def elsewhere(
    found: CauseEvidence, recorded: Capsule, again: Capsule, probe: int, layers: Collection[str]
) -> CauseEvidence:
    """Conclude from the machines, if the search ended with a fault that no run here showed.

    Args:
        found: what the search ended with.
        recorded: the run that is wrong.
        again: the same predictions, made again here with no lever pulled.
        probe: the index of the prediction that is wrong.
        layers: the names of the layers that are.

    Returns:
        The cause "device-plugin" where the other machine has a device that is not here; the kernel
        where both executed the same graph with the same libraries, and one op of it makes the
        layer; otherwise what the search found, with how the machines differ if they do.
    """
    if not asked_again(found):
        return found
    there, here = recorded.manifest.environment, again.manifest.environment
    unlike = tuple(_unlike(there, here))
    device = _accelerators(there) - _accelerators(here)
    if device:
        return found.model_copy(
            update={
                "cause": "device-plugin",
                "confidence": "likely",
                "sentence": (
                    f"The other machine's device is to blame ({', '.join(sorted(device))}"
                    f"{_plugins(there, here)}): the same model, weights and input are right on "
                    "this machine, which has none."
                ),
                "evidence_against": unlike,
                "unexplained": ("whether it is the device's kernel or what is fused for it",),
            }
        )
    same = "The same model, weights and input are right on this machine"
    if not unlike:
        return found
    recorded_graph, graph_here = _graph(recorded, probe), _graph(again, probe)
    ops, alike = (
        [op.label for op in ops_of(graph, layers) if op.op not in RESHAPING]
        for graph in (recorded_graph, graph_here)
    )
    other_processor = (there.machine, set(there.cpu_flags)) != (here.machine, set(here.cpu_flags))
    if len(ops) == 1 and ops == alike and other_processor and _libraries(there) == _libraries(here):
        op = ops[0].partition("[")[0]
        return found.model_copy(
            update={
                "cause": f"kernel:{op}",
                "confidence": "likely",
                "sentence": (
                    f"{same}, which executes the same graph with the same libraries: the "
                    f"kernel of {op} is to blame, as the other machine runs it."
                ),
                "evidence_for": (*found.evidence_for, *unlike),
                "unexplained": ("which path the kernel takes on the other machine",),
            }
        )
    return found.model_copy(
        update={
            "sentence": f"{same}. It was recorded on another one: {'; '.join(unlike)}.",
            "unexplained": ("which of these makes the difference",),
        }
    )


def _graph(capsule: Capsule, probe: int) -> ExecutedGraph | None:
    return next((seen.executed for seen in capsule.manifest.probes if seen.index == probe), None)


def _plugins(there: Environment, here: Environment) -> str:
    found = [
        f"{name} {version}"
        for name, version in sorted(there.packages.items())
        if name not in here.packages and name.startswith("tensorflow-")
    ]
    return f" with {' and '.join(found)}" if found else ""


def _libraries(environment: Environment) -> tuple[str, ...]:
    return tuple(environment.packages.get(name, "") for name in _LIBRARIES)


def _accelerators(environment: Environment) -> set[str]:
    return {device.partition(":")[0] for device in environment.devices} - {"CPU"}


def _unlike(there: Environment, here: Environment) -> Iterator[str]:
    """Say in what the machines differ, as far as that decides about what is executed."""
    if (there.system, there.machine) != (here.system, here.machine):
        yield f"that is {there.system} {there.machine}, this is {here.system} {here.machine}"
    for name in _LIBRARIES:
        theirs, ours = there.packages.get(name, ""), here.packages.get(name, "")
        if theirs != ours:
            yield f"{name} is {theirs or 'not installed'} there, {ours or 'not installed'} here"
    more, less = (
        sorted(set(a.cpu_flags) - set(b.cpu_flags)) for a, b in ((there, here), (here, there))
    )
    if more:
        yield f"the processor there has {_listed(more)} and this one has not"
    if less:
        yield f"the processor here has {_listed(less)} and that one has not"


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
