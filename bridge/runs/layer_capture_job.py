"""Looking inside: what every layer of a recorded model received and made.

The model is built again from its recorded configuration and weights, in a process of its own, so
that the run that is looked at is not touched. It must make the recorded bits again, and what is
executed must be what was executed when nobody looked; both are checked for every answer.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, Probe, read_capsule
from bridge.process import job_setup
from bridge.process.jobs import Context
from bridge.runs.execution_modes import fed_to, ways
from bridge.runs.layer_report import Teller, must_agree
from bridge.runs.model_execution import Sight, Way
from bridge.runs.model_execution import run as run_model
from bridge.runs.model_rebuild import LookError, is_prediction, rebuild
from bridge.runs.observable_tensors import View, look
from bridge.trace.encoder import Encoder
from bridge.trace.spool import SpoolWriter

#: The part of the time that a job has after which no layer is run again. It is taken as time of
#: the processor, so that what is seen does not depend on what else the machine does.
SHARE: Final = 0.25


def run(context: Context, params: dict[str, Any]) -> None:
    """Write a ``layers`` event for every prediction of ``params["capsule"]``.

    After those, ``perturbed`` events say what repeated runs did to layers without a rule.
    """
    begun = time.process_time()
    recorded = read_capsule(Path(params["capsule"]))
    spool = SpoolWriter(Path(params["spool"]))
    os.chdir(params["workdir"])
    job_setup.limit(int(params.get("memory_bytes", 0)))
    teller = Teller(recorded, Encoder(spool))
    for probe in recorded.manifest.probes:
        if not is_prediction(probe):
            continue
        try:
            layers = teller.layers(probe, _look(context, recorded, probe))
            spool.event("layers", probe=probe.index, layers=layers)
        except LookError as error:
            spool.event("unseen", probe=probe.index, text=str(error))
        except Exception as error:
            spool.event("unseen", probe=probe.index, text=f"{type(error).__name__}: {error}"[:500])
    until = begun + SHARE * float(params.get("seconds", np.inf))
    for index, place, found in teller.perturbed(until):
        spool.event("perturbed", probe=index, place=place, found=found)
    spool.event("end")


def _look(context: Context, recorded: Capsule, probe: Probe) -> View:
    """Look in the first way in which the model does what was recorded."""
    state = recorded.manifest.states[probe.state or 0]
    model = rebuild(context.keras, state, recorded)
    fed = fed_to(model, recorded, probe)
    expected = [(ref.name, np.asarray(recorded.array(ref))) for ref in probe.outputs]
    changed: View | None = None
    failed: LookError | None = None
    for way in ways(context.generation, recorded, probe, fed):

        def attempt(wanted: frozenset[int] | None, way: Way = way) -> Sight:
            sight = run_model(context.keras, model, fed, way, wanted)
            must_agree(sight.outputs, expected)
            return sight

        try:
            view = look(attempt, probe.executed, hidden_work=way.eager or way.jit)
        except LookError as error:
            failed = failed or error
            continue
        if view.unchanged is not False:
            return view
        changed = changed or view
    if changed is None:
        raise failed or LookError("there is no way to run the model")
    return changed
