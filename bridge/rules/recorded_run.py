"""A recorded run as rules read it, and the answer that one gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import Array, Call, Capsule, CapsuleError, LayerState, ModelState, Probe
from bridge.capsule.values import Items, Method, ObjectValue, Pairs, Scalar, Symbol, Value
from bridge.explain.result import CauseEvidence


def answer(
    cause: str,
    sentence: str,
    *,
    decides: bool = True,
    line: int | None = None,
    refused: bool = False,
) -> CauseEvidence:
    """Return a rule's answer: the cause it speaks of, and whether its evidence decides.

    ``refused`` says that it explains why something raised an error or could not be run.
    """
    return CauseEvidence(
        cause=cause,
        sentence=sentence,
        source="rules",
        decides=decides,
        lines=(line,) if line else (),
        refused=refused,
    )


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
    return next((each for each in capsule.manifest.calls if each.id == probe.call), None)


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


def at(line: int | None) -> str:
    """Return how a line of the script is spoken of at the beginning of a sentence."""
    return f"Line {line}: " if line else ""


def is_one_dimensional(values: npt.NDArray[Any]) -> bool:
    """Say whether an array has one number a row."""
    return values.ndim == 1 or int(np.prod(values.shape[1:])) == 1
