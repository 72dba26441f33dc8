"""What rules ask for, made: experiments, and fixes, which are tried in a copy of the script."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.capsule import Capsule
from bridge.errors import isolated
from bridge.explain.experiment import Experiment, ExperimentOutcome, outcomes
from bridge.rules.registry import Answered
from bridge.rules.rule import Finding, Help, Tried
from bridge.runs.job import lay_beside
from bridge.translate.script_text import edited

#: One fix may show the next fault: so many are made one on the other.
_MOST: Final = 3
#: What a changed script prints is kept up to so many characters.
_KEPT: Final = 4_000


#: Runs a changed script, and asks all rules what they find in it; the one whose finding is given
#: may make its experiments.
Again = Callable[[Path, Finding], tuple[Capsule, Sequence[Finding]]]


def tried(findings: Sequence[Finding], script: Path, again: Again) -> tuple[Finding, ...]:
    """Return findings; the first that decides has what came of its fix, where it helped.

    One that did not help is offered as no more than an idea.
    """
    first = next((finding for finding in findings if finding.decides), None)
    if first is None or first.help is None or not first.help.edits:
        return tuple(findings)
    text = script.read_text("utf-8")
    found = isolated("trying a fix", lambda: _tried(first, text, script, again), None)
    if found is None:
        return tuple(findings)
    return tuple(found if finding is first else finding for finding in findings)


def _tried(first: Finding, text: str, script: Path, again: Again) -> Finding:
    known, finding, whole = {first.rule}, first, text
    for _ in range(_MOST):
        assert finding.help is not None, "it has edits"
        whole = edited(whole, finding.help.edits)
        run, found = _run(whole, script, finding, again)
        left = [remaining for remaining in found if remaining.decides]
        if run.manifest.status != "ok" or any(remaining.rule in known for remaining in left):
            return first
        if not left:
            return _with(first, text, whole, run)
        finding = left[0]
        known.add(finding.rule)
        if finding.help is None or not finding.help.edits:
            return first
    return first


def _run(
    text: str, script: Path, finding: Finding, again: Again
) -> tuple[Capsule, Sequence[Finding]]:
    with tempfile.TemporaryDirectory() as folder:
        lay_beside(script, Path(folder))
        changed = Path(folder) / script.name
        changed.write_text(text, "utf-8")
        return again(changed, finding)


def _with(finding: Finding, before: str, after: str, run: Capsule) -> Finding:
    assert finding.help is not None, "it has edits"
    printed = "".join(output.text for output in run.manifest.output if output.stream == "stdout")
    trial = Tried(outcome="the finding is gone", output=printed[:_KEPT])
    help = finding.help.model_copy(update={"tried": trial})
    if edited(before, finding.help.edits) != after:
        help = _of_all(help, before, after)
    return finding.model_copy(update={"help": help})


def _of_all(help: Help, before: str, after: str) -> Help:
    """Return the help with all lines that were changed, where one fix led to another."""
    a, b = before.splitlines(), after.splitlines()
    parts = [
        (a[i:j], b[k:m])
        for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    lines = [
        "\n".join(line.strip() for part in side for line in part)
        for side in zip(*parts, strict=True)
    ]
    return help.model_copy(update={"before": lines[0], "after": lines[1], "edits": ()})


#: Seconds of the processor that experiments of a case may use, where the script used no more.
BUDGET: Final = 20.0
#: How often rules are asked again: what one experiment shows may ask for another.
_ROUNDS: Final = 3

#: Asks the rules, with what came out so far.
Ask = Callable[[Mapping[Experiment, Capsule]], Answered]
#: Makes experiments, within so many seconds of the processor.
Make = Callable[[Sequence[Experiment], float], Sequence[ExperimentOutcome]]


@dataclass(frozen=True)
class Asked:
    """What the rules found in the end, and the experiments that were made for it.

    ``budget`` is in seconds of the processor.
    """

    findings: tuple[Finding, ...] = ()
    made: tuple[ExperimentOutcome, ...] = ()
    budget: float = BUDGET

    @property
    def details(self) -> tuple[str, ...]:
        """One line for what was made, and one for each experiment that could not be."""
        if not self.made:
            return ()
        count = sum(result.capsule is not None for result in self.made)
        used = sum(result.seconds for result in self.made)
        return (
            f"Experiments: {count} made in {used:.1f} of {self.budget:.0f} seconds of the "
            "processor.",
            *(
                f"Not made: {result.experiment.kind}, {result.experiment.changed}: {result.why}."
                for result in self.made
                if result.capsule is None
            ),
        )


def asked(ask: Ask, make: Make, budget: float = BUDGET) -> Asked:
    """Ask the rules, make what they want, and ask them again with what came out.

    Nothing is run where nothing is wanted.
    """
    results: list[ExperimentOutcome] = []
    answered = ask({})
    for _ in range(_ROUNDS):
        tried = {result.experiment for result in results}
        wanted = [experiment for experiment in answered.wanted if experiment not in tried]
        left = budget - sum(result.seconds for result in results)
        if not wanted or left <= 0:
            break
        results += make(wanted, left)
        answered = ask(outcomes(results))
    return Asked(answered.findings, tuple(results), budget)
