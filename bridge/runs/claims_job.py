"""Computing the claims of a module in ``comparisons/``, and drawing its pictures, in a child.

Every result is in the spool before the next is begun, so that a crash or a limit keeps those
before it.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, read_capsule
from bridge.cases.claims import Claim, Evidence, PictureOf, declared, wanted
from bridge.process import job_setup
from bridge.process.jobs import Context
from bridge.process.random_generators import start_chance
from bridge.trace.spool import Event, SpoolWriter

#: The module under which the file is loaded; no package has this name.
_MODULE: Final = "bridge_claims_of_case"
#: A larger SVG is stored as PNG: thousands of points are slow to draw in a browser.
_MAX_SVG_BYTES: Final = 2**20
_DOTS_PER_INCH: Final = 150

Given = Mapping[str, Callable[[], Any]]


class _NotRecordedError(Exception):
    """A claim wants R's run, and there is none."""


def run(_: Context, params: dict[str, Any]) -> None:
    """Compute every claim, then draw every picture, each from the same seed."""
    spool = SpoolWriter(Path(params["spool"]))
    # Before the module can load matplotlib: there is no screen here.
    os.environ["MPLBACKEND"] = "Agg"
    path = Path(params["script"])
    job_setup.find_neighbours(path)
    os.chdir(params["workdir"])
    job_setup.limit(int(params.get("memory_bytes", 0)))
    quick = bool(params["quick"])
    with warnings.catch_warnings(record=True):
        try:
            claims, pictures = declared(vars(_load(path)).values())
        except BaseException as error:
            spool.event("broken", text=_why(error, path))
            return
        spool.event("claims", items=[[each.sentence, each.said_by] for each in claims])
        spool.event("pictures", items=[[each.title, each.alt] for each in pictures])
        given = _given(spool, params)
        for number, each in enumerate(claims):
            spool.event("claim-begins", number=number)
            start_chance()
            spool.event("claim", number=number, **_compute(each, given, quick, path))
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


def _given(spool: SpoolWriter, params: dict[str, Any]) -> Given:
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


def _compute(claim: Claim, given: Given, quick: bool, path: Path) -> Event:
    """Return the claim's evidence as an event."""
    if claim.slow and quick:
        return _evidence(Evidence(None, "left out with --quick; run without it"), 0.0)
    begun = time.monotonic()
    try:
        found = _call(claim.compute, given)
        if not isinstance(found, Evidence):
            what = type(found).__name__
            raise TypeError(f"{claim.compute.__name__}() returned {what}, it should be Evidence")
    except BaseException as error:
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
    except BaseException as error:
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
