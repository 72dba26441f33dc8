"""Every cause that levers speak of, with the runs that it explains and those that contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.explain.lever_search.protocol import Answer, answer_of
from bridge.explain.result import Attribution

#: What the result would be under each lever if a cause were the right one. "eager" is whether the
#: fault shows without a graph, "xla" whether it shows in what XLA compiles.
_EXPECTED: Final[Mapping[str, Mapping[str, Answer]]] = {
    "xla": {"eager": "right", "xla-off": "right", "xla": "wrong"},
    "grappler:<pass>": {"eager": "right", "grappler-off": "right", "onednn-off": "wrong",
                        "xla-off": "wrong"},
    "onednn": {"onednn-off": "right"},
    "device-plugin": {"cpu-only": "right"},
    "tracing": {"eager": "right", "call": "right", "grappler-off": "wrong", "xla": "wrong",
                "xla-off": "wrong"},
    "kernel:<op>": {"eager": "wrong", "grappler-off": "wrong", "xla": "right", "xla-off": "wrong"},
    "keras-layer": {"eager": "wrong", "grappler-off": "wrong", "onednn-off": "wrong",
                    "xla": "wrong", "float64": "wrong", "xla-off": "wrong"},
}  # fmt: skip


@dataclass(frozen=True)
class Weighed:
    """A cause set against the runs: what it explains, what contradicts it, what is not known."""

    cause: str
    explains: tuple[str, ...]
    contradicts: tuple[str, ...]
    unexplained: tuple[str, ...]


def weigh(found: Attribution | None) -> tuple[Weighed, ...]:
    """Set every cause against the runs under levers, the one with fewest contradictions first.

    Nothing is said where nothing is wrong, or no lever was pulled.
    """
    if found is None or found.cause == "none" or not found.levers:
        return ()
    answers = {each.lever: answer_of(each) for each in found.levers}
    said = {"right": "is right", "wrong": "is wrong", "open": "was not decided"}
    weighed = []
    for cause, expected in _EXPECTED.items():
        asked = {lever: answers[lever] for lever in expected if lever in answers}
        if not any(answer != "open" for answer in asked.values()):
            continue
        told = {lever: f"{lever} {said[answer]}" for lever, answer in asked.items()}
        family = cause.partition(":")[0]
        name = found.cause if found.cause.partition(":")[0] == family else cause
        weighed.append(
            Weighed(
                name,
                tuple(told[k] for k, answer in asked.items() if answer == expected[k]),
                tuple(told[k] for k, a in asked.items() if a not in ("open", expected[k])),
                tuple(told[k] for k, answer in asked.items() if answer == "open"),
            )
        )
    weighed.sort(key=lambda each: (each.cause != found.cause, len(each.contradicts)))
    return tuple(weighed)
