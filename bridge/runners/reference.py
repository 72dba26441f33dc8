"""The reference: a recorded run's predictions, evaluated in float64 from end to end.

Needs neither Keras nor TensorFlow: the layers are evaluated by the rules' own float64 forms, with
the recorded weights on the recorded inputs. The inputs are the float32 numbers that the model
received, so what the reference differs by is what the model's arithmetic did, and not R's doubles.
"""

from __future__ import annotations

import platform
import time
from collections import ChainMap
from typing import Final

import numpy as np

from bridge.capsule import (
    Array,
    Capsule,
    CapsuleError,
    Environment,
    LayerState,
    Manifest,
    ModelState,
    Probe,
)
from bridge.compare.numbers import AnyArray
from bridge.compare.rules import UnsupportedError, evaluate, layer_of
from bridge.compare.rules.rounding import to_float32
from bridge.compare.wiring import (
    WiringError,
    fed_inputs,
    feeds,
    in_order,
    input_names,
    is_sequential,
    output_names,
)

#: Kinds of probes that return a model's output.
_EVALUATED: Final = frozenset({"predict", "call"})


def reference(capsule: Capsule) -> Capsule:
    """Evaluate every prediction of a recorded run in float64.

    Returns a capsule with the same states and the same probes by index and label; a probe that
    cannot be evaluated has no outputs and a note that says why.
    """
    begun = time.perf_counter()
    made: dict[str, AnyArray] = {}
    probes = tuple(_probe(capsule, probe, made) for probe in capsule.manifest.probes)
    manifest = Manifest(
        runner="reference",
        case=capsule.manifest.case,
        status="ok",
        environment=Environment(
            system=platform.system(),
            machine=platform.machine(),
            python=platform.python_version(),
            packages={"numpy": np.__version__},
        ),
        states=capsule.manifest.states,
        probes=probes,
        seconds=round(time.perf_counter() - begun, 6),
    )
    return Capsule(manifest, ChainMap(made, dict(_Recorded(capsule, manifest))))


class _Recorded(dict[str, AnyArray]):
    """The recorded arrays that the reference's manifest still speaks of."""

    def __init__(self, capsule: Capsule, manifest: Manifest) -> None:
        wanted = manifest.array_keys()
        super().__init__(
            {key: capsule.arrays[key] for key in sorted(wanted) if key in capsule.arrays}
        )


def _probe(capsule: Capsule, probe: Probe, made: dict[str, AnyArray]) -> Probe:
    outputs: tuple[Array, ...] = ()
    notes: tuple[str, ...] = ()
    try:
        values = _evaluate(capsule, probe)
        outputs = tuple(
            _keep(value, f"ref.{probe.index}.{number}", probe, number, made)
            for number, value in enumerate(values)
        )
    except (UnsupportedError, WiringError, CapsuleError) as error:
        notes = (str(error),)
    return Probe(
        index=probe.index,
        label=probe.label,
        kind=probe.kind,
        state=probe.state,
        call=probe.call,
        line=probe.line,
        inputs=probe.inputs,
        outputs=outputs,
        notes=notes,
    )


def _keep(value: AnyArray, key: str, probe: Probe, number: int, made: dict[str, AnyArray]) -> Array:
    made[key] = value
    name = probe.outputs[number].name if number < len(probe.outputs) else f"y[{number}]"
    return Array(name=name, key=key, dtype=value.dtype.name, shape=value.shape)


def _evaluate(capsule: Capsule, probe: Probe) -> list[AnyArray]:
    states = capsule.manifest.states
    if probe.kind not in _EVALUATED:
        raise UnsupportedError(
            f"the reference only evaluates predictions, and this is {probe.kind}"
        )
    if not probe.outputs:
        raise UnsupportedError("the recorded run has no output here")
    if probe.state is None or not 0 <= probe.state < len(states):
        raise UnsupportedError("the model was not recorded")
    state = states[probe.state]
    arrays = {ref.name: capsule.array(ref) for ref in probe.inputs}
    return run_model(capsule, state, fed_inputs(state, probe, arrays))


def run_model(capsule: Capsule, state: ModelState, inputs: list[AnyArray]) -> list[AnyArray]:
    """Evaluate a recorded model on its inputs and return its outputs.

    Raises:
        UnsupportedError: a layer has no rule, or its input was not recorded.
        WiringError: how the layers are connected was not recorded.
        CapsuleError: a weight was not recorded.
    """
    fed_by = feeds(state)
    layers = {layer.name: layer for layer in state.layers}
    values = _fed(state, [_as_received(x) for x in inputs])
    for name in in_order(fed_by):
        if name not in values:
            fed = fed_by[name]
            given = [values[each] for each in fed] if fed else [values[""]]
            values[name] = _layer(capsule, state, layers[name], given)
    return [values[name] for name in output_names(state)]


def _fed(state: ModelState, inputs: list[AnyArray]) -> dict[str, AnyArray]:
    """Return the inputs by the name of the input layer; "" stands for a Sequential's only one."""
    names = ("",) if is_sequential(state) else input_names(state)
    if len(names) != len(inputs):
        raise UnsupportedError(f"the model has {len(names)} inputs and was given {len(inputs)}")
    return dict(zip(names, inputs, strict=True))


def _layer(
    capsule: Capsule, state: ModelState, layer: LayerState, given: list[AnyArray]
) -> AnyArray:
    try:
        evaluations = evaluate(layer_of(capsule, state, layer), given, received=False)
    except UnsupportedError as error:
        raise UnsupportedError(f"layer {layer.name!r} cannot be evaluated: {error}") from None
    if len(evaluations) != 1:
        raise UnsupportedError(f"layer {layer.name!r} has {len(evaluations)} outputs")
    return evaluations[0].value


def _as_received(x: AnyArray) -> AnyArray:
    return to_float32(x).astype(np.float64) if x.dtype.kind == "f" else x
