"""From a spool to a capsule; in a process that has neither R nor TensorFlow."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, FrontEnd, Manifest, Quit
from bridge.facts.r import essence
from bridge.process.pool import Outcome
from bridge.trace.spool import Event, SpoolArrays, read_events

Data = dict[str, Any]

_MAX_TEXT: Final = 2_000_000
_MAX_PLOT_BYTES: Final = 8 * 2**20
_MAX_PLOTS: Final = 50
_MEDIA: Final = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Origin:
    """What the capsule is of, known before anything ran."""

    runner: str
    case: str
    script: Path
    text: str
    language: str
    frontend: FrontEnd | None = None
    private: tuple[str, ...] = ()


def assemble(origin: Origin, folder: Path, outcome: Outcome) -> Capsule:
    """Build the capsule of a run from its spool and from how its process ended."""
    events = list(read_events(folder))
    arrays: dict[str, AnyArray] = dict(SpoolArrays(folder, iter(events)))
    story = _Story(events)
    plots = _plots(folder, story.pages, arrays)
    clean = Scrubber((str(folder), *origin.private))
    status, error = _ending(story, outcome)
    environment = story.last("situation", "environment") or story.last("environment", "environment")
    environment = dict(environment or {})
    situation = story.first("situation") or {}
    environment["r"] = situation.get("r", "")
    environment["r_packages"] = situation.get("r_packages", {})
    environment["keras"] = situation.get("keras", "")
    native = [
        {"stream": "native", "text": text[:_MAX_TEXT], "line": None}
        for text in (outcome.stdout, outcome.stderr)
        if text.strip()
    ]
    data = {
        "runner": origin.runner,
        "case": origin.case,
        "status": status,
        "error": error,
        "script": {
            "name": origin.script.name,
            "language": origin.language,
            "text": origin.text,
            "sha256": hashlib.sha256(origin.text.encode()).hexdigest(),
        },
        "frontend": _frontend(origin.frontend, situation),
        "environment": environment,
        "calls": story.calls(),
        "invocations": story.invocations(),
        "files": [_without_kind(event) for event in story.named("file")],
        "states": [event["state"] for event in story.named("state")],
        "probes": story.probes(),
        "caught": story.caught(status),
        "conditions": [
            {key: event[key] for key in ("kind", "text", "line", "call")}
            for event in story.named("condition")
        ],
        "output": [*story.output(), *native],
        "plots": plots,
        "draws": [
            {key: event[key] for key in ("name", "line", "array", "strings", "statement")}
            for event in story.named("draw")
        ],
        "answers": [_without_kind(event) for event in story.named("answered")],
        "answered": list(dict.fromkeys(event["text"] for event in story.named("taken"))),
        "readings": [_without_kind(event) for event in story.named("reading")],
        "quit": story.quit(),
        "notes": _notes(story, outcome),
        "gaps": list(dict.fromkeys(event["text"] for event in story.named("gap"))),
        "standins": sorted(situation.get("markers") or ()),
        "seconds": outcome.seconds,
        "peak_bytes": outcome.peak_bytes,
    }
    manifest = Manifest.model_validate(clean(data), strict=False)
    wanted = manifest.array_keys()
    missing = wanted - set(arrays)
    if missing:
        # The process died between announcing an array and writing it: keep all that is whole.
        manifest = _without_unwritten(manifest, missing)
    return Capsule(manifest, {key: arrays[key] for key in wanted - missing})


class _Story:
    """The events of a run, in order."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self.pages = [(event["line"], event["plots"]) for event in events if event["e"] == "at"]

    def named(self, name: str) -> list[Event]:
        return [event for event in self._events if event["e"] == name]

    def first(self, name: str) -> Event | None:
        return next(iter(self.named(name)), None)

    def last(self, name: str, field: str) -> Any:
        found = self.named(name)
        return found[-1].get(field) if found else None

    def calls(self) -> list[Data]:
        calls: dict[int, Data] = {}
        for event in self._events:
            if event["e"] == "call":
                calls[event["id"]] = _without_kind(event)
            elif event["e"] in ("returned", "raised"):
                # A call whose beginning is not there was still made.
                call = calls.setdefault(event["id"], _unannounced(event["id"]))
                name = "result" if event["e"] == "returned" else "error"
                call[name] = event[name]
        return list(calls.values())

    def invocations(self) -> list[Data]:
        found = {event["id"]: _without_kind(event) for event in self.named("enter")}
        for event in self.named("left"):
            if event["id"] in found:
                found[event["id"]] |= _without_kind(event)
        return list(found.values())

    def caught(self, status: str) -> list[Data]:
        """List the errors that Python raised, but for the one that ended the run."""
        found = [event["error"] for event in self.named("caught")]
        for call in self.calls():
            if call.get("error") and call["parent"] is None and not call["internal"]:
                found.append(call["error"] | {"line": call["line"], "call": call["r_call"]})
        return found[:-1] if status == "error" and found and self._python_ended() else found

    def _python_ended(self) -> bool:
        error = self.last("error", "error") or {}
        last = [event["error"] for event in self._events if event["e"] in ("caught", "raised")]
        if not last:
            return False
        said, ended = last[-1]["message"], error.get("message", "")
        # R leaves the middle out of a long message; what went wrong stands at its end.
        tail = " ".join(essence(said).split())
        return said[:80] in ended or (bool(tail) and tail in " ".join(essence(ended).split()))

    def probes(self) -> list[Data]:
        lines = {event["id"]: event["line"] for event in self.named("call")}
        return [
            _without_kind(event) | {"line": lines.get(event["call"])}
            for event in self.named("probe")
        ]

    def quit(self) -> Data | None:
        event = self.first("quit")
        return None if event is None else {"code": str(event["code"]), "line": event.get("line")}

    def output(self) -> Iterator[Data]:
        for (stream, line), events in itertools.groupby(
            self.named("output"), key=lambda event: (event["stream"], event["line"])
        ):
            text = "".join(event["text"] for event in events)
            yield {"stream": stream, "text": text, "line": line}


def _without_kind(event: Event) -> Data:
    return {key: value for key, value in event.items() if key != "e"}


def _unannounced(number: int) -> Data:
    """Describe a call of which only the end was recorded."""
    target = {"t": "opaque", "text": "its beginning was not recorded"}
    return {"id": number, "parent": None, "kind": "call", "target": target, "line": None,
            "r_call": "", "internal": False}  # fmt: skip


def _ending(story: _Story, outcome: Outcome) -> tuple[str, Data | None]:
    """Say how the run ended; whatever the process could still say about itself comes first."""
    error = story.last("error", "error")
    status = story.last("status", "status")
    if story.first("quit") and status == "quit":
        return "quit", None
    if status == "output-limit":
        return status, _process_error(status, "too much output", story.last("at", "line"))
    if status in ("ok", "error"):
        return status, error if status == "error" else None
    line = story.last("at", "line")
    if outcome.status != "exited":
        used = f"after {outcome.seconds:.0f} seconds, at {outcome.peak_bytes / 2**20:.0f} MiB"
        return outcome.status, _process_error(outcome.status, f"stopped {used}", line)
    if outcome.signal:
        name = _signal_name(outcome.signal)
        return "killed", _process_error(name, f"the process was ended by {name}", line)
    words = outcome.stderr.strip().splitlines()
    last = words[-1] if words else "it left no message"
    message = f"the process ended with code {outcome.code}: {last}"
    return "killed", _process_error("exit", message, line)


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _process_error(cls: str, message: str, line: int | None) -> Data:
    return {"language": "process", "cls": cls, "message": message, "line": line}


def _notes(story: _Story, outcome: Outcome) -> list[str]:
    notes = list(dict.fromkeys(event["text"] for event in story.named("note")))
    asked = story.first("stdin")
    if asked is not None or outcome.read_stdin:
        where = f" (line {asked['line']})" if asked is not None and asked["line"] else ""
        notes.append(f"The script reads from standard input{where}; there is nothing to read here.")
    ended = story.quit()
    if ended is not None:
        notes.append(Quit.model_validate(ended).sentence)
    for event in story.named("changed"):
        notes.append(f"The script changed {event['what']}.")
    if not story.named("end"):
        notes.append("The run did not reach its end; what it had recorded until then is kept.")
    return notes


def _frontend(given: FrontEnd | None, situation: Event) -> Data | None:
    if given is None:
        return None
    markers = situation.get("markers", {})
    versions = situation.get("r_packages", {})
    if given.kind != "none" and given.package in versions:
        kind = "standin" if given.package in markers else "cran"
        return {"kind": kind, "package": given.package, "version": versions[given.package]}
    return given.model_dump()


def _plots(folder: Path, pages: list[tuple[int, int]], arrays: dict[str, AnyArray]) -> list[Data]:
    found: list[Data] = []
    drawn = sorted((folder / "plots").glob("*.svg")) if (folder / "plots").is_dir() else []
    for number, path in enumerate(drawn[:_MAX_PLOTS]):
        if path.is_symlink() or path.stat().st_size > _MAX_PLOT_BYTES:
            continue
        key = f"plot{number}"
        arrays[key] = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        line = next((line for line, count in reversed(pages) if count <= number), None)
        found.append({"media_type": _MEDIA[path.suffix], "key": key, "line": line})
    return found


#: Where this package lies, which sys.path need not say.
_OURS: Final = str(Path(__file__).resolve().parents[2])


class Scrubber:
    """Takes folders out of every text: they name the user."""

    def __init__(self, private: tuple[str, ...]) -> None:
        home = str(Path.home())
        libraries = os.environ.get("R_LIBS", "").split(os.pathsep)
        found = {*libraries, *sys.path, sys.prefix, sys.base_prefix, str(Path.cwd()), _OURS}
        # Not "/usr" and its like: such names say nothing of anybody, and stand in many texts.
        folders = {*filter(None, private), *(folder for folder in found if folder.count("/") > 2)}
        names = [(folder, "<work>") for folder in sorted(folders, key=len, reverse=True)]
        names += [(home, "~")] if home not in ("/", "") else []
        names += [(tempfile.gettempdir(), "<work>")]
        self._names = [(re.compile(re.escape(name)), short) for name, short in names]

    def __call__(self, item: Any) -> Any:
        """`item`, a JSON value, with long names shortened in every text of it."""
        if isinstance(item, str):
            # Every folder has one; most texts are a word.
            for name, short in self._names if os.sep in item else ():
                item = name.sub(short, item)
            return item
        if isinstance(item, dict):
            return {key: self(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return [self(value) for value in item]
        return item


def _without_unwritten(manifest: Manifest, missing: set[str]) -> Manifest:
    def gone(item: Any) -> Any:
        if isinstance(item, dict):
            if item.get("key") in missing:
                return {**item, "key": None}
            return {key: gone(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return [gone(value) for value in item]
        return item

    return Manifest.model_validate(gone(manifest.model_dump()))
