"""Computing the claims of a case in one child, and drawing their pictures."""

from __future__ import annotations

import importlib.util
import inspect
import io
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import platformdirs

from bridge._typing import AnyArray
from bridge.capsule import Capsule, read_capsule
from bridge.cases.claims import (
    Decided,
    DeclaredClaim,
    Evidence,
    PictureFile,
    PictureOf,
    Speaker,
    announced,
    declared,
    wanted,
)
from bridge.process.environment import find_neighbours, start_chance
from bridge.process.pool import Limits, Outcome, Pool, Warm
from bridge.process.zygote import Context
from bridge.runs.job import begin, run_job
from bridge.trace.capsule_builder import Scrubber
from bridge.trace.spool import Event, SpoolWriter, read_events

Told = Callable[[str], None]

_SECONDS_BETWEEN_LOOKS: Final = 0.5


@dataclass(frozen=True)
class Claimed:
    """The claims of a case, decided or not, in the order of their declaration, and its pictures.

    ``trouble`` says what kept the module from being read; the claims that its source declares are
    then all undecided.
    """

    claims: tuple[Decided, ...] = ()
    pictures: tuple[PictureFile, ...] = ()
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
    params: dict[str, Any] = {
        "script": str(module.resolve()),
        "quick": quick,
        "recorded": None if recorded is None else pool.file_of(recorded),
        "folder": str(folder or platformdirs.user_cache_path("keras-bridge") / "claims" / case),
    }
    with run_job(
        pool, Warm(generation), claims_job, params, limits, during=partial(_listening, tell)
    ) as left:
        place = left.place
        clean = Scrubber((str(place.spool), str(place.work), str(module.resolve().parent)))
        return _read(clean(left.events), left.arrays, claims, left.outcome)


@contextmanager
def _listening(tell: Told, spool: Path) -> Iterator[None]:
    """Pass on what the claims tell while they are computed."""
    done = threading.Event()

    def listen() -> None:
        heard = 0
        while not done.wait(_SECONDS_BETWEEN_LOOKS):
            texts = [str(event["text"]) for event in read_events(spool) if event["e"] == "tell"]
            for text in texts[heard:][-1:]:
                tell(text)
            heard = len(texts)

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
) -> PictureFile:
    if event is None:
        return PictureFile(title, alt, why=f"{stopped or 'the process ended'} before it was drawn")
    if "key" in event and event["key"] in arrays:
        return PictureFile(title, alt, content=arrays[event["key"]].tobytes())
    return PictureFile(title, alt, why=str(event.get("why", "its bytes were not written")))


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


# Computing the claims of a module in ``comparisons/``, and drawing its pictures, in a child.

#: The module under which the file is loaded; no package has this name.
_MODULE: Final = "bridge_claims_of_case"
#: A larger SVG is stored as PNG: thousands of points are slow to draw in a browser.
_MAX_SVG_BYTES: Final = 2**20
_DOTS_PER_INCH: Final = 150

Given = Mapping[str, Callable[[], Any]]


class _NotRecordedError(Exception):
    """A claim wants R's run, and there is none."""


def claims_job(context: Context, params: dict[str, Any]) -> None:
    """Compute every claim, then draw every picture, each from the same seed."""
    spool = begin(context, params)
    # Before the module can load matplotlib: there is no screen here.
    os.environ["MPLBACKEND"] = "Agg"
    path = Path(params["script"])
    find_neighbours(path)
    quick = bool(params["quick"])
    with warnings.catch_warnings(record=True):
        try:
            claims, pictures = declared(vars(_load(path)).values())
        except BaseException as error:  # the module is a stranger's
            spool.event("broken", text=_why(error, path))
            return
        spool.event("claims", items=[[claim.sentence, claim.said_by] for claim in claims])
        spool.event("pictures", items=[[picture.title, picture.alt] for picture in pictures])
        given = _claim_input(spool, params)
        for number, claim in enumerate(claims):
            spool.event("claim-begins", number=number)
            start_chance()
            spool.event("claim", number=number, **_compute(claim, given, quick, path))
        for number, drawing in enumerate(pictures):
            spool.event("picture-begins", number=number)
            start_chance()
            spool.event("picture", number=number, **_draw(spool, drawing, given, quick, path))
    spool.event("end")


def _load(path: Path) -> ModuleType:
    """Load the file as a module that ``dataclasses`` and ``pickle`` can find again."""
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    spec.loader.exec_module(module)
    return module


def _claim_input(spool: SpoolWriter, params: dict[str, Any]) -> Given:
    capsules: list[Capsule] = []

    def recorded() -> Capsule:
        if params.get("recorded") is None:
            raise _NotRecordedError
        if not capsules:
            capsules.append(read_capsule(Path(params["recorded"])))
        return capsules[0]

    def folder() -> Path:
        Path(params["folder"]).mkdir(parents=True, exist_ok=True)
        return Path(params["folder"])

    def tell(text: str) -> None:
        spool.event("tell", text=str(text)[:200])

    return {
        "quick": lambda: bool(params["quick"]),
        "recorded": recorded,
        "folder": folder,
        "tell": lambda: tell,
    }


def _call(function: Callable[..., Any], given: Given) -> Any:
    arguments = {}
    for name, needed in wanted(function).items():
        try:
            arguments[name] = given[name]()
        except _NotRecordedError:
            if needed:
                raise
    result = function(**arguments)
    if inspect.isawaitable(result) or inspect.isgenerator(result):
        raise TypeError(f"{function.__name__}() is a coroutine or generator; it should return")
    return result


def _compute(claim: DeclaredClaim, given: Given, quick: bool, path: Path) -> Event:
    """Return the claim's evidence as an event."""
    if claim.slow and quick:
        return _evidence(Evidence(None, "left out with --quick; run without it"), 0.0)
    begun = time.monotonic()
    try:
        found = _call(claim.compute, given)
        if not isinstance(found, Evidence):
            what = type(found).__name__
            raise TypeError(f"{claim.compute.__name__}() returned {what}, it should be Evidence")
    except BaseException as error:  # so is the claim
        found = Evidence(None, _why(error, path))
    return _evidence(found, time.monotonic() - begun)


def _evidence(found: Evidence, seconds: float) -> Event:
    return {
        "holds": found.verdict,
        "text": found.text,
        "value": found.number,
        "interval": found.interval,
        "seconds": seconds,
    }


def _draw(spool: SpoolWriter, drawing: PictureOf, given: Given, quick: bool, path: Path) -> Event:
    """Return the picture as an event; its bytes are an array of the spool."""
    if drawing.slow and quick:
        return {"why": "left out with --quick; run without it"}
    try:
        content = _bytes_of(lambda: _call(drawing.draw, given))
    except BaseException as error:  # and the picture
        return {"why": _why(error, path)}
    key, _ = spool.array(np.frombuffer(content, np.uint8))
    return {"key": key} if key else {"why": "there is no more room for pictures"}


def _bytes_of(draw: Callable[[], Any]) -> bytes:
    """Draw a figure; the same figure has the same bytes every time."""
    import matplotlib as mpl

    own = {key: value for key, value in mpl.rcParamsDefault.items() if "backend" not in key}
    own |= {"svg.hashsalt": "keras-bridge", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(own):
        figure = draw()
        if not hasattr(figure, "savefig"):
            raise TypeError(f"a picture returned {type(figure).__name__}, it should be a Figure")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
        if buffer.tell() > _MAX_SVG_BYTES:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, bbox_inches="tight")
    return buffer.getvalue()


def _why(error: BaseException, path: Path) -> str:
    """Say what went wrong, where, and what would help."""
    if isinstance(error, _NotRecordedError):
        return "it is read off R's run, and R was not run"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"the Python package {package} is missing; type: pip install {package}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    where = f" (line {lines[-1]} of {path.name})" if lines else ""
    message = " ".join(str(error).split())[:500]
    return f"the computation raised {type(error).__name__}{': ' if message else ''}{message}{where}"
