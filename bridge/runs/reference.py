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

from bridge._typing import AnyArray
from bridge.capsule import (
    Array,
    Capsule,
    CapsuleError,
    Environment,
    Manifest,
    Probe,
)
from bridge.rounding.layer_graph import Network, WiringError, fed_inputs
from bridge.rounding.rules import UnsupportedError

#: Kinds of probes that return a model's output.
_EVALUATED: Final = frozenset({"predict", "call"})


def reference(capsule: Capsule) -> Capsule:
    """Evaluate every prediction of a recorded run in float64.

    Returns a capsule with the same states and the same probes by index and label; a probe that
    cannot be evaluated has no outputs and a note that says why.
    """
    begun = time.perf_counter()
    arrays: dict[str, AnyArray] = {}
    probes = tuple(_probe(capsule, probe, arrays) for probe in capsule.manifest.probes)
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
    return Capsule(manifest, ChainMap(arrays, dict(_Recorded(capsule, manifest))))


class _Recorded(dict[str, AnyArray]):
    """The recorded arrays that the reference's manifest still speaks of."""

    def __init__(self, capsule: Capsule, manifest: Manifest) -> None:
        wanted = manifest.array_keys()
        super().__init__(
            {key: capsule.arrays[key] for key in sorted(wanted) if key in capsule.arrays}
        )


def _probe(capsule: Capsule, probe: Probe, arrays: dict[str, AnyArray]) -> Probe:
    outputs: tuple[Array, ...] = ()
    notes: tuple[str, ...] = ()
    try:
        values = _evaluate(capsule, probe)
        outputs = tuple(
            _keep(value, f"ref.{probe.index}.{number}", probe, number, arrays)
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


def _keep(
    value: AnyArray, key: str, probe: Probe, number: int, arrays: dict[str, AnyArray]
) -> Array:
    arrays[key] = value
    name = probe.outputs[number].name if number < len(probe.outputs) else f"y[{number}]"
    return Array(name=name, key=key, dtype=value.dtype.name, shape=value.shape)


def _evaluate(capsule: Capsule, probe: Probe) -> list[AnyArray]:
    if probe.kind not in _EVALUATED:
        raise UnsupportedError(
            f"the reference only evaluates predictions, and this is {probe.kind}"
        )
    if not probe.outputs:
        raise UnsupportedError("the recorded run has no output here")
    state = capsule.state_of(probe)
    if state is None:
        raise UnsupportedError("the model was not recorded")
    arrays = {ref.name: capsule.array(ref) for ref in probe.inputs}
    return Network(capsule, state).run(fed_inputs(state, probe, arrays))
