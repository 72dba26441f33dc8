"""Measure what the wrappers of an R package do to their arguments, as a coercion table.

    R_LIBS=LIBRARY python scripts/measure_front_end.py PACKAGE [--compare] [--out FILE]

PACKAGE is keras or keras3, genuine, from ``R_LIBS``. Every wrapper is called with the least that it
needs, and then with one argument at a time set to each probe; what reaches Python is written down
and not carried out (``bridge/r/audit.R``). The answers are set against the kinds of the newest
table that there is. ``--compare`` says how far the new table is the committed one.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from bridge.audit.wrapper_calls import FILLERS, Questions, ask_wrappers
from bridge.facts.r import TABLES
from bridge.process.pool import MIB, Limits, Pool
from bridge.r.script import inspect, serve
from bridge.r.standin.generate import table_path

#: Probes whose key is a short name and not R's text.
_TEXTS: Final = {
    "list(matrix,matrix)": "list(matrix(1:4,2), matrix(c(.5,1,2,3),2))",
    "list(tensor)": "list(tensorflow::tf$constant(matrix(c(1,2,3,4),2)))",
    "tensor": "tensorflow::tf$constant(matrix(c(1,2,3,4),2))",
}
_MODEL: Final = (
    "{model <- keras_model_sequential(input_shape = 2L); layer_dense(model, 2L); "
    "compile(model, optimizer = 'sgd', loss = 'mse'); model}"
)
#: What may be a first argument, where none of the fillers gets as far as Python.
_OBJECTS: Final = {
    "model": _MODEL,
    "empty": "keras_model_sequential()",
    "layer": "layer_dense(units = 2L)",
    "tensor": _TEXTS["tensor"],
    "optimizer": "optimizer_sgd()",
}
#: Not called: what changes the session or the machine, or takes an R class.
_SPARED: Final = (
    r"^(install_|use_|reexports|unserialize|serialize|save_|load_|export_|new_|Layer$|Model$|Loss$|"
    r"Metric$|Callback$|Constraint$|LearningRateSchedule$|KerasWrapper|KerasLayer|KerasC|"
    r"create_|set_|register_|clear_session|config_(set|enable|disable)|implementation$|"
    r"is_keras_available|dataset_|run|flow_images|get_file|%|backend$|k_set_|k_clear|k_function|"
    r"keras$|tf$|py_|py$|tensorboard|custom_metric|as_iterator|iter|until_out|.*_on_batch$)"
)
_DOTS: Final = (
    "input_shape", "batch_input_shape", "batch_size", "dtype", "name", "trainable", "weights",
    "seed",
)  # fmt: skip
#: How many children: one that crashes costs only its part.
_SHARES: Final = 64
#: What Python is taken to return, as R's text and as the tables write it.
_TENSOR: Final = "tensorflow::tf$constant(matrix(c(0L,1L,2L,3L),2))"
_RETURNED: Final = "Tensor(int32, (2, 2), [[0, 2], [1, 3]])"
_ERROR: Final = "error"
#: What says that a call did not get as far as Python, or that the argument did not.
_IGNORED, _REFUSED = "ignored", "refused"
_NO_CALL, _OTHER, _DROPPED, _ALONE = "no call", "other call", "dropped", "="


def questions(plain: Iterable[str], families: str) -> Questions:
    """Return what the wrappers are asked; ``plain`` are the keys of the probes."""
    return Questions(
        {key: _TEXTS.get(key, key) for key in plain},
        FILLERS,
        families,
        spared=_SPARED,
        tables=True,
        objects=_OBJECTS,
        dots=_DOTS,
        modes={"function": ["y_true", "y_pred"], "called": ["inputs"]},
        data="matrix(c(.5,1,2,3),2)",
        returned=_TENSOR,
    )


class RecordedEvents:
    """The events of a measurement, by function and by argument."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self.plain: dict[str, str] = {}
        self.bases: dict[str, Mapping[str, Any]] = {}
        self.calls: dict[tuple[str, str], dict[str, Mapping[str, Any] | str]] = defaultdict(dict)
        self.notes: dict[str, dict[str, Any]] = defaultdict(dict)
        self.refused: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.keras = ""
        self.broken: list[str] = []
        for event in events:
            self._hear(event)

    def _hear(self, event: Mapping[str, Any]) -> None:
        function, argument = event.get("function", ""), event.get("argument", "")
        match event["e"]:
            case "plain":
                self.plain[event["probe"]] = event["value"]
            case "base":
                self.bases[function] = event
            case "arrived":
                self.calls[function, argument][event["probe"]] = event
            case "refused" if argument:
                text = event["text"]
                self.calls[function, argument][event["probe"]] = (
                    f"error: {text}" if text else _NO_CALL
                )
            case "refused":
                self.refused.setdefault(function, event["text"])
            case "noted":
                self.notes[function][event["what"]] = event["value"]
            case "situation":
                self.versions = event["packages"]
            case "environment":
                self.keras = event["keras"]
            case "broken":
                self.broken.append(event["text"])


def carried(base: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str | int, str]:
    """Return what arrived otherwise than in the base call, by keyword or place."""
    before, after = _places(base), _places(event)
    return {to: after.get(to, _DROPPED) for to in before | after if before.get(to) != after.get(to)}


def _places(event: Mapping[str, Any]) -> dict[str | int, str]:
    return {**dict(enumerate(event["args"])), **event["kwargs"]}


def destination(heard: RecordedEvents, function: str, argument: str) -> str | int | None:
    """Return where an argument goes: its own name if that moves, or else what moves most often."""
    base = heard.bases[function]
    moved = Counter(
        to
        for event in heard.calls[function, argument].values()
        if not isinstance(event, str) and event["public"] == base["public"]
        for to in carried(base, event)
    )
    if argument in moved:
        return argument
    return max(moved, key=lambda to: (moved[to], str(to)), default=None)


def answers(
    heard: RecordedEvents, function: str, argument: str, to: str | int | None
) -> dict[str, str]:
    """Return the answer to every probe of an argument, as the tables write them."""
    found = {}
    for probe, event in heard.calls[function, argument].items():
        if isinstance(event, str):
            found[probe] = event
        elif event["public"] != heard.bases[function]["public"]:
            found[probe] = f"{_OTHER}: {event['public']}"
        else:
            found[probe] = _places(event).get(to, _DROPPED) if to is not None else _IGNORED
    return found


def kind_of(given: Mapping[str, str], plain: Mapping[str, str], kinds: Mapping[str, Any]) -> str:
    """Return the kind whose answers these are; "unknown" if there is none.

    Where nothing arrived, it is all the same what did instead: an error names what the wrapper was
    doing, and a question that it asked of Python first may be the call that was seen.
    """
    legal = {answer for answer in given.values() if not answer.startswith(_ERROR)}
    if legal == {_IGNORED}:
        return _IGNORED
    if given and all(re.match(r"error: .*unused argument", text) for text in given.values()):
        return _REFUSED
    best, most = "unknown", (0, 0)
    for name, kind in kinds.items():
        known = kind.get("probes") or (plain if name == "as_is" else {})
        shared = known.keys() & given.keys()
        # Of two kinds that fit, the texts of errors decide.
        fits = len(shared), sum(known[probe] == given[probe] for probe in shared)
        if fits > most and all(_same(known[p], given[p], plain[p]) for p in shared):
            best, most = name, fits
    return best


def _same(known: str, given: str, alone: str) -> bool:
    known, given = (alone if text == _ALONE else text for text in (known, given))
    if known == given:
        return True
    if given.startswith(_OTHER):
        return known.startswith((_ERROR, _NO_CALL, _DROPPED))
    return known.startswith((_ERROR, _NO_CALL)) and given.startswith((_ERROR, _NO_CALL))


def entry(heard: RecordedEvents, name: str, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table says of one function."""
    notes = heard.notes[name]
    if "formals" not in notes:
        return {"formals": [], "unmeasured": "no function, or its process came to no end"}
    formals = [[formal, default or None] for formal, default in notes["formals"]]
    if name not in heard.bases:
        said = " ".join(heard.refused.get(name, "").split())
        why = (
            f"the call with plain arguments failed: {said}"
            if said
            else "no call of Python was seen"
        )
        return {"formals": formals, "unmeasured": why[:240]}
    names = [formal for formal, _ in formals]
    found = {"formals": formals, **_mode(heard, name, names, kinds)}
    # What looks at its object before it makes the layer adds it, whatever else the layer needs.
    forced = heard.notes[f"{name}|composed"].get("forced", False)
    found["composes"] = forced or notes.get("composes", False)
    if found["composes"]:
        found |= {"object": "object", "forces": "object-first" if forced else "layer-first"}
    if heard.bases[name]["method"]:
        found |= {"method": True}
        found["arguments"][names[0]] = {"kind": "as_is", "to": "self"}
    dots = {
        argument: _argument(heard, name, argument, kinds)
        for argument in _DOTS
        if argument not in names and (name, argument) in heard.calls
    }
    if dots:
        found["dots_arguments"] = dots
        gone = [str(r["to"]) for a, r in dots.items() if _drops(heard, name, a, r["to"])]
        found["drops_null"] = sorted({*found["drops_null"], *gone})
    modes = {
        mode: _mode(heard, f"{name}|{mode}", names, kinds)
        for mode in ("function", "called")
        if f"{name}|{mode}" in heard.bases
    }
    if modes:
        found["modes"] = modes
    if not heard.bases[name]["is_class"]:
        found |= _returned(notes)
    return found


def _returned(notes: Mapping[str, Any]) -> dict[str, str]:
    """Return what R gets when Python returns a known tensor; nothing where it gets none."""
    got, zero = notes.get("returns", "None"), notes.get("returns_zero_indexed")
    same = got == _RETURNED
    text = "as Python returns it" if same else f"when Python returns {_RETURNED}, R gets {got}"
    found = {"returns": text} if got.startswith("Tensor") else {}
    return found | ({"returns_zero_indexed": zero} if zero else {})


def _mode(
    heard: RecordedEvents, name: str, names: list[str], kinds: Mapping[str, Any]
) -> dict[str, Any]:
    base = heard.bases[name]
    arguments = {
        argument: _argument(heard, name, argument, kinds)
        for argument in names
        if (name, argument) in heard.calls
    }
    reached = {rule["to"] for rule in arguments.values()}
    optional = [f for f, default in heard.notes[name.partition("|")[0]]["formals"] if default]
    sent = [f for f in optional if f in arguments and arguments[f]["to"] in _places(base)]
    places = [rule["to"] for rule in arguments.values() if isinstance(rule["to"], int)]
    possible = [
        formal
        for formal in optional
        if formal in arguments and not _drops(heard, name, formal, arguments[formal]["to"])
    ]
    none = not any(rule["to"] is not None for rule in arguments.values())
    every = 2 * len(sent) > len(possible) if possible else places or none
    sends = "all" if every else "typed"
    for argument in sent if sends == "typed" else ():
        arguments[argument]["when_omitted"] = _places(base)[arguments[argument]["to"]]
    return {
        "python": base["public"],
        "sends": sends,
        "arguments": arguments,
        "positional": sorted(a for a, rule in arguments.items() if isinstance(rule["to"], int)),
        "drops_null": sorted(
            str(rule["to"])
            for argument, rule in arguments.items()
            if _drops(heard, name, argument, rule["to"])
        ),
        "constants": {
            str(to): _constant(value)
            for to, value in _places(base).items()
            if to not in reached and to not in names and not isinstance(to, int)
        },
        "notes": [],
    }


def _constant(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _drops(heard: RecordedEvents, name: str, argument: str, to: str | int | None) -> bool:
    return to is not None and answers(heard, name, argument, to).get("NULL") == _DROPPED


def _argument(
    heard: RecordedEvents, name: str, argument: str, kinds: Mapping[str, Any]
) -> dict[str, Any]:
    to = destination(heard, name, argument)
    given = answers(heard, name, argument, to)
    # That NULL is not sent stands in drops_null; for the kind it is as good as sent.
    known = given | ({"NULL": heard.plain["NULL"]} if given.get("NULL") == _DROPPED else {})
    kind = kind_of(known, heard.plain, kinds)
    rule: dict[str, Any] = {"kind": kind, "to": None if kind in (_IGNORED, _REFUSED) else to}
    if kind == "unknown":
        alone = heard.plain
        rule["probes"] = {
            p: _ALONE if text == alone[p] else text for p, text in sorted(given.items())
        }
    return rule


def table_of(
    heard: RecordedEvents, package: str, version: str, kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the table: kinds as they were before, with how often each is used now."""
    names = heard.notes[""]["exports"]
    functions = {name: entry(heard, name, kinds) for name in names}
    uses = Counter(rule["kind"] for _, _, rule in rules(functions))
    return {
        "package": package,
        "version": version,
        "measured_with": _versions(heard),
        "exports": sorted(functions),
        "plain": heard.plain,
        "kinds": {n: {**k, "uses": uses[n]} for n, k in sorted(kinds.items()) if uses[n]},
        "functions": functions,
    }


def _versions(heard: RecordedEvents) -> dict[str, str]:
    here = {name: metadata.version(name) for name in ("numpy", "tensorflow")}
    r = {"r_tensorflow": heard.versions["tensorflow"], "reticulate": heard.versions["reticulate"]}
    python = platform.python_version()
    return {"R": inspect([])[0].r, "keras": heard.keras, "python": python, **here, **r}


def rules(functions: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield function, argument and rule, of all ways to call."""
    for name, function in functions.items():
        ways = [("", function), *function.get("modes", {}).items()]
        for way, mode in ways:
            for argument, rule in mode.get("arguments", {}).items():
                yield f"{name}|{way}".rstrip("|"), argument, rule
        for argument, rule in function.get("dots_arguments", {}).items():
            yield f"{name}|...", argument, rule


def compared(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that say how far two tables agree, and where they do not."""
    both = [n for n, f in new.items() if "python" in f and "python" in old.get(n, {})]
    measured = sum("python" in function for function in old.values())
    yield f"{len(both)} of {measured} measured functions were measured again"
    for field in ("formals", "python", "sends", "composes", "forces", "method", "drops_null",
                  "positional", "constants", "returns", "returns_zero_indexed"):  # fmt: skip
        parted = [n for n in both if new[n].get(field) != old[n].get(field)]
        yield f"  {field}: {len(both) - len(parted)} the same{_some(parted)}"
    before = {(f, a): rule for f, a, rule in rules(old)}
    after = {(f, a): rule for f, a, rule in rules({n: new[n] for n in both})}
    shared = before.keys() & after.keys()
    for field in ("to", "kind"):
        parted = [key for key in sorted(shared) if before[key][field] != after[key][field]]
        names = [f"{function}({argument})" for function, argument in parted]
        same = len(shared) - len(parted)
        yield f"  {field}: {same} of {len(shared)} arguments the same{_some(names)}"
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in sorted(shared):
        change = (str(before[key]["kind"]), str(after[key]["kind"]))
        if change[0] != change[1]:
            examples[change].append(f"{key[0]}({key[1]})")
    for (was, now), names in sorted(examples.items(), key=lambda item: -len(item[1])):
        yield f"    {len(names)} {was} -> {now}: {', '.join(names[:4])}"


def _some(names: list[str]) -> str:
    return f"; not {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else ""


def measured(
    package: str, families: str, kept: Mapping[str, Any], shares: int
) -> tuple[RecordedEvents, str]:
    """Ask the genuine package; return what was heard, and its version."""
    served = serve(package, "cran", inspect([])[0])
    limits = Limits(3600.0, 8192 * MIB)
    with Pool() as pool:
        asked = questions(kept["plain"], families)
        events = ask_wrappers(pool, package, served, limits, shares, asked)
        heard = RecordedEvents(events)
        # What came after a wrapper that ended its process is asked in processes of its own.
        if lost := [n for n in heard.notes[""]["exports"] if "formals" not in heard.notes[n]]:
            again = questions(kept["plain"], f"^({'|'.join(map(re.escape, lost))})$")
            more = ask_wrappers(pool, package, served, limits, len(lost), again)
            exports = heard.notes[""]
            heard = RecordedEvents([*events, *more])
            heard.notes[""] = exports
    return heard, served.frontend.version


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("package", choices=("keras", "keras3"))
    parser.add_argument("--only", default=".", metavar="REGEX", help="functions of these names")
    parser.add_argument("--out", type=Path, help="the file to write; none writes into the tables")
    parser.add_argument("--shares", type=int, default=_SHARES, help="how many processes, in turn")
    parser.add_argument(
        "--compare", action="store_true", help="compare with the table, and write none"
    )
    asked = parser.parse_args()
    kept = json.loads(table_path(asked.package).read_text("utf-8"))
    heard, full = measured(asked.package, asked.only, kept, asked.shares)
    version = ".".join(full.split(".")[:3])
    table = table_of(heard, asked.package, version, kept["kinds"])
    for line in heard.broken:
        print(line, file=sys.stderr)
    if asked.compare:
        print("\n".join(compared(table["functions"], kept["functions"])))
    if asked.out or not asked.compare:
        path = asked.out or TABLES / f"{asked.package}-{version}.json"
        path.write_text(written(table), "utf-8")
        print(path)


def written(table: Mapping[str, Any]) -> str:
    """Return the table as JSON: keys sorted, one function a line."""
    head = {key: value for key, value in table.items() if key != "functions"}
    lines = [f"{json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in sorted(head.items())]
    functions = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(function, sort_keys=True)}"
        for name, function in sorted(table["functions"].items())
    )
    return "{\n" + ",\n".join(lines) + ',\n"functions": {\n' + functions + "\n}\n}\n"


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
