"""What an answer is worth: of a faulty script, and of its mended twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.facts.causes import NOTHING_WRONG


@dataclass(frozen=True)
class Answer:
    """What was said of one script; ``rules`` are the codes of its findings, the first first."""

    cause: str
    rules: tuple[str, ...]
    deciding: str
    sure: bool
    tried: bool
    errors: int
    experiments: int

    @property
    def alarm(self) -> bool:
        """Say whether it is said that something is wrong."""
        return bool(self.deciding) or self.cause not in NOTHING_WRONG | {"not-known"}


def read(report: Mapping[str, Any]) -> Answer:
    """Read the answer in a ``report.json``."""
    findings: Sequence[Mapping[str, Any]] = report.get("findings", ())
    first = next((each for each in findings if each["decides"]), None)
    return Answer(
        report["cause"],
        tuple(each["rule"] for each in findings if each["rule"]),
        first["rule"] if first else "",
        first is not None and first["confidence"] in ("proven", "likely"),
        bool(first and first.get("help") and first["help"].get("tried")),
        len(report.get("internal_errors", ())),
        sum(each["made"] for each in report.get("experiments", ())),
    )


@dataclass(frozen=True)
class Judged:
    """One pair of scripts: the fault's code, the codes that are accepted, and both answers."""

    code: str
    name: str
    accepted: tuple[str, ...]
    fault: Answer
    twin: Answer
    #: For each published tool: what it said of the fault, and of the twin.
    others: Mapping[str, tuple[frozenset[str], frozenset[str]]]

    @property
    def first(self) -> bool:
        """Say whether the first finding is right."""
        return self.fault.rules[:1] != () and self.fault.rules[0] in self.accepted

    @property
    def second(self) -> bool:
        """Say whether the second finding is right, and the first is not."""
        return not self.first and any(rule in self.accepted for rule in self.fault.rules[1:2])

    @property
    def silent(self) -> bool:
        """Say whether no finding decides, and no cause is named."""
        return not self.fault.alarm

    @property
    def wrong(self) -> bool:
        """Say whether what decides is another rule, or another cause without any rule."""
        return self.fault.alarm and self.fault.deciding not in self.accepted

    @property
    def tried(self) -> bool:
        """Say whether the right finding has a fix that was tried, after which it is gone."""
        return self.fault.deciding in self.accepted and self.fault.tried

    def line(self) -> str:
        """Return what was not right, or an empty text."""
        said = []
        if self.wrong:
            said.append(f"wrong: {self.fault.deciding or self.fault.cause}")
        elif not self.first:
            said.append("second" if self.second else "silent" if self.silent else "later")
        if not self.first or self.wrong:
            said[-1] += f" ({' '.join(self.fault.rules) or 'no finding'})"
        if self.twin.alarm:
            said.append(f"alarm on the twin: {self.twin.deciding or self.twin.cause}")
        return f"{self.name}: {', '.join(said)}" if said else ""
