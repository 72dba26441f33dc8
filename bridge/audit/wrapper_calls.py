"""Running an audit: the wrappers of a front end, called in warm children, each with its share."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bridge.audit.judge import judge, sort_events
from bridge.audit.result import AuditReport
from bridge.process.pool import Limits, Pool, Warm
from bridge.r.frontend import Served
from bridge.r.script import GENERATIONS
from bridge.runs.run import _folders
from bridge.trace.spool import read_events

#: Wrappers that only hand things to Keras. What installs, saves, loads, or starts something is not
#: called with odd arguments.
FAMILIES: Final = (
    "^(layer|bidirectional|time_distributed|rnn_cell|activation|optimizer|learning_rate_schedule|"
    "loss|metric|callback|initializer|regularizer|constraint|op|k|random|rnn|text|timeseries|"
    "application)_|^(keras_input|image_array_resize|pad_sequences|to_categorical|normalize|"
    "skipgrams|make_sampling_table|timeseries_generator|bidirectional|time_distributed)$"
)


def run_audit(
    pool: Pool,
    package: str,
    served: Served,
    limits: Limits,
    shares: int,
    families: str = FAMILIES,
) -> AuditReport:
    """Audit ``package`` in so many children at once.

    Raises:
        PoolError: R, TensorFlow or Keras cannot be started.
    """
    started = time.monotonic()
    warm = Warm(GENERATIONS[package], True, served.libraries, served.preload)

    def share(number: int) -> list[dict[str, Any]]:
        with _folders(pool) as (spool, work):
            params = {
                "package": package,
                "families": families,
                "share": number,
                "shares": shares,
                "spool": str(spool),
                "workdir": str(work),
            }
            outcome = pool.run(warm, "audit", params, limits)
            events = list(read_events(spool))
        if not any(event["e"] == "end" for event in events):
            ended = f"{outcome.status}, after {outcome.seconds:.0f} seconds"
            events.append({"e": "broken", "text": f"share {number + 1} came to no end ({ended})"})
        return events

    with ThreadPoolExecutor(max_workers=shares) as at_once:
        events = [event for part in at_once.map(share, range(shares)) for event in part]
    heard = sort_events(events)
    return AuditReport(
        package=package,
        frontend=served.frontend,
        keras=heard.keras,
        r_packages=heard.packages,
        functions=len(heard.bases),
        arguments=len(heard.lines),
        calls=len(heard.arrived),
        seconds=time.monotonic() - started,
        findings=judge(heard),
        unprobed=heard.unprobed,
        notes=tuple(dict.fromkeys(heard.broken)),
    )
