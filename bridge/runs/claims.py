"""Computing the claims of a case: one child for all of them, read back from its spool."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs

from bridge._typing import AnyArray
from bridge.capsule import Capsule, write_capsule
from bridge.cases.claims import Decided, Drawn, Evidence, Speaker, announced
from bridge.process.pool import Limits, Outcome, Pool, Warm
from bridge.trace.capsule_builder import Scrubber
from bridge.trace.spool import Event, SpoolArrays, read_events

Told = Callable[[str], None]

_SECONDS_BETWEEN_LOOKS: Final = 0.5


@dataclass(frozen=True)
class Claimed:
    """The claims of a case, decided or not, in the order of their declaration, and its pictures.

    ``trouble`` says what kept the module from being read; the claims that its source declares are
    then all undecided.
    """

    claims: tuple[Decided, ...] = ()
    pictures: tuple[Drawn, ...] = ()
    trouble: str = ""
    seconds: float = 0.0


def run_claims(
    pool: Pool,
    case: str,
    module: Path,
    generation: int,
    limits: Limits,
    *,
    recorded: Capsule | None = None,
    quick: bool = False,
    tell: Told = lambda _text: None,
    folder: Path | None = None,
) -> Claimed:
    """Compute the claims of ``module`` in a fresh process without R.

    Args:
        pool: where the process comes from.
        case: the name of the case.
        module: the file in ``comparisons/``.
        generation: the Keras of the script, 2 or 3.
        limits: time and memory for all claims together.
        recorded: R's run, for claims that read it.
        quick: few repetitions.
        tell: is told how far a long computation is.
        folder: where computations that can be resumed keep what they have; by default in the
            user's cache.
    """
    try:
        text = module.read_text("utf-8", errors="replace")
    except OSError as error:
        return Claimed(trouble=f"the module cannot be read: {error.strerror}")
    claims, pictures = announced(text)
    if not claims and not pictures:
        return Claimed()
    base = Path(tempfile.mkdtemp(dir=pool.folder))
    try:
        spool, work = base / "spool", base / "work"
        work.mkdir()
        params: dict[str, Any] = {
            "script": str(module.resolve()),
            "spool": str(spool),
            "workdir": str(work),
            "quick": quick,
            "recorded": None,
            "folder": str(folder or platformdirs.user_cache_path("keras-bridge") / "claims" / case),
        }
        if recorded is not None:
            params["recorded"] = str(base / "recorded.capsule")
            write_capsule(recorded, base / "recorded.capsule")
        with _listening(spool, tell):
            outcome = pool.run(Warm(generation), "claims", params, limits)
        clean = Scrubber((str(spool), str(work), str(module.resolve().parent)))
        return _read(
            clean([*read_events(spool)]), SpoolArrays(spool, read_events(spool)), claims, outcome
        )
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextmanager
def _listening(spool: Path, tell: Told) -> Iterator[None]:
    """Pass on what the claims tell while they are computed."""
    done = threading.Event()

    def listen() -> None:
        heard = 0
        while not done.wait(_SECONDS_BETWEEN_LOOKS):
            told = [str(event["text"]) for event in read_events(spool) if event["e"] == "tell"]
            for text in told[heard:][-1:]:
                tell(text)
            heard = len(told)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _read(
    events: Sequence[Event],
    arrays: Mapping[str, AnyArray],
    announced: Sequence[tuple[str, Speaker]],
    outcome: Outcome,
) -> Claimed:
    named = {name: [e for e in events if e["e"] == name] for name in {e["e"] for e in events}}
    broken = next((str(event["text"]) for event in named.get("broken", ())), "")
    stopped = _stopped(outcome)
    declared = next((event["items"] for event in named.get("claims", ())), None)
    if declared is None:
        trouble = broken or stopped or "the process ended before it had read the module"
        lost = Evidence(None, f"the module cannot be loaded: {trouble}")
        return Claimed(
            tuple(Decided(text, speaker, lost) for text, speaker in announced),
            trouble=trouble,
            seconds=outcome.seconds,
        )
    done = {event["number"]: event for event in named.get("claim", ())}
    begun = {event["number"] for event in named.get("claim-begins", ())}
    claims = tuple(
        _decided(text, speaker, done.get(number), number in begun, stopped)
        for number, (text, speaker) in enumerate(declared)
    )
    titles = next((event["items"] for event in named.get("pictures", ())), ())
    drawn = {event["number"]: event for event in named.get("picture", ())}
    pictures = tuple(
        _drawn(title, alt, drawn.get(number), arrays, stopped)
        for number, (title, alt) in enumerate(titles)
    )
    return Claimed(claims, pictures, seconds=outcome.seconds)


def _decided(
    text: str, speaker: Speaker, event: Event | None, begun: bool, stopped: str
) -> Decided:
    if event is not None:
        interval = event["interval"]
        evidence = Evidence(
            event["holds"], event["text"], event["value"], tuple(interval) if interval else None
        )
        return Decided(text, speaker, evidence, float(event["seconds"]))
    stopped = stopped or "the process ended"
    if begun:
        return Decided(text, speaker, Evidence(None, f"{stopped} while this was computed"))
    return Decided(text, speaker, Evidence(None, f"not reached: {stopped} before it was begun"))


def _drawn(
    title: str, alt: str, event: Event | None, arrays: Mapping[str, AnyArray], stopped: str
) -> Drawn:
    if event is None:
        return Drawn(title, alt, why=f"{stopped or 'the process ended'} before it was drawn")
    if "key" in event and event["key"] in arrays:
        return Drawn(title, alt, content=arrays[event["key"]].tobytes())
    return Drawn(title, alt, why=str(event.get("why", "its bytes were not written")))


def _stopped(outcome: Outcome) -> str:
    """Say what stopped the process, if something did."""
    if outcome.status == "time-limit":
        return f"the time limit stopped the process after {outcome.seconds:.0f} seconds"
    if outcome.status == "memory-limit":
        return f"the memory limit stopped the process at {outcome.peak_bytes / 2**20:.0f} MiB"
    if outcome.status != "exited":
        return f"the process was stopped ({outcome.status})"
    if outcome.signal:
        return f"signal {outcome.signal} ended the process"
    return f"the process ended with code {outcome.code}" if outcome.code else ""
