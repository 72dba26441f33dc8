"""Making what was found small: the smallest model that still differs, or the smallest script.

A layer that computes wrong numbers is taken out of its model. Everything else that is found of a
script is shown by a part of it: pieces are cut out as long as the same is found of what is left.
"""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bridge.capsule import Manifest
from bridge.cases.case import Case, read_case
from bridge.errors import BridgeError, internal_error
from bridge.pipeline.examine_case import Examined, Suite
from bridge.r.script import Inspection, inspect
from bridge.reduce.reprex import Shown, issue, reprex
from bridge.reduce.reproducer import Repro, lost, r_runner, run_python, write_repro
from bridge.reduce.script_cuts import KINDS, Cut, Kind, closed, cuts, tidied, without
from bridge.runs.replay_script import Proof, prove
from bridge.runs.run import lay_beside

#: Smaller scripts that are run, at most, and seconds after which no other is tried.
MOST_TRIES: Final = 60
MOST_SECONDS: Final = 180.0
#: Causes of which there is nothing to show.
_NOTHING: Final = frozenset({"none", "rounding", "not-known"})
_LINE: Final = re.compile(r"\b[Ll]ines? (\d+)")
#: Shapes and addresses in an error may change with the script.
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+")
#: What the intent says where it is run without the numbers that R drew.
_NOT_RECORDED: Final = "drew in R was not recorded"
_LONGEST_TITLE: Final = 90
#: How a script ends that was never begun.
_NEVER_RUN: Final = frozenset({"syntax-error", "not-utf8", "empty", "not-run"})


def make_small(suite: Suite, case: Case, examined: Examined, folder: Path) -> Repro:
    """Write the smallest model that still differs, or else the smallest script.

    Args:
        suite: that examined the case.
        case: a script.
        examined: what was found of it.
        folder: where the files are written.
    """
    _, (inspection,) = inspect([case.script])
    limits = suite.limits(case)
    in_r = r_runner(suite.pool, limits, suite.settings.frontend)
    title = case.title or case.name
    generation, runs = inspection.generation, examined.runs
    small = write_repro(suite.pool, runs, generation, limits, folder, title, in_r)
    if small.files:
        return small
    try:
        with tempfile.TemporaryDirectory(dir=suite.pool.folder) as tries:
            return _Scripts(suite, case, folder, Path(tries)).smallest(examined)
    except BridgeError as error:
        return Repro((f"Shrinking the script came to no end: {error}"[:500] + ".",))
    except Exception as error:
        # What was explained is worth more than a small script of it.
        return Repro((lost(internal_error("making the script smaller", error), folder),))


@dataclass(frozen=True)
class _Finding:
    """What is found of a script, as far as a smaller one has to show it as well."""

    verdict: str
    cause: str
    stage: str
    error: str
    prints: bool
    lines: frozenset[str]

    @classmethod
    def of(cls, examined: Examined) -> _Finding:
        report, run = examined.report, examined.runs["r"].manifest
        first = report.first_divergence
        told = " ".join((report.sentence, *report.explanation))
        return cls(
            report.verdict,
            report.cause,
            first.stage if first is not None else "",
            _NUMBER.sub("#", run.error.message) if run.error is not None else "",
            any(each.stream == "stdout" and each.text.strip() for each in run.output),
            frozenset(_LINE.findall(told)),
        )

    @property
    def is_something(self) -> bool:
        return self.verdict in ("different", "failed") or self.cause not in _NOTHING

    def shown_by(self, other: _Finding) -> bool:
        """Say whether another script shows this; the lines that it speaks of have not moved."""
        same = replace(other, lines=self.lines, prints=self.prints) == self
        # What shows it to a reader is printed.
        same = same and (other.prints or not self.prints)
        return same and (not self.lines or bool(self.lines & other.lines))


class _Scripts:
    """Smaller and smaller scripts, each examined as the first one was."""

    def __init__(self, suite: Suite, case: Case, folder: Path, tries: Path) -> None:
        self._case, self._folder, self._tries_in = case, folder, tries
        self._pool, self._limits = suite.pool, suite.limits(case)
        self._progress = suite.progress
        self._settings = replace(suite.settings, explain=False, exact=False, quick=False)
        self._tries = 0
        self._files: list[Path] = []
        self._until = time.monotonic() + MOST_SECONDS

    def smallest(self, examined: Examined) -> Repro:
        """Cut out whatever is not needed, and write what is left."""
        if examined.runs["r"].manifest.status in _NEVER_RUN:
            return Repro(("The script was not run, so that there is nothing to make smaller.",))
        wanted = _Finding.of(examined)
        if not wanted.is_something:
            return Repro((
                "No script was made smaller: there is neither a difference nor a cause that it "
                "would have to show.",
            ))  # fmt: skip
        text = self._case.script.read_text("utf-8")
        best = self._examined(text)
        found = _Finding.of(best)
        if not wanted.shown_by(found):
            # The twin is compared with the whole script, and what was reported is of the whole.
            if not found.is_something:
                return Repro((
                    "Only the twin, or what was reported, is unlike the script: by itself it "
                    "shows nothing that a smaller script could show.",
                ))  # fmt: skip
            wanted = found
        left = text
        for kind in KINDS:
            left, best = self._cut(left, best, kind, wanted)
        tidy = tidied(closed(text, left))
        made = self._examined(tidy)
        if replace(wanted, lines=frozenset()).shown_by(_Finding.of(made)):
            left, best = tidy, made
        return self._written(text, left, best)

    def _cut(self, text: str, best: Examined, kind: Kind, wanted: _Finding) -> tuple[str, Examined]:
        """Cut out pieces of one kind, half of them first, the later ones before the earlier."""
        pieces = self._pieces(text, kind)
        size = max(1, len(pieces) // 2)
        while pieces:
            at = len(text) + 1
            while ahead := [each for each in pieces if each.start < at]:
                if self._is_over:
                    return text, best
                chunk = ahead[-size:]
                at = chunk[0].start
                smaller = without(text, chunk)
                made = self._examined(smaller)
                if wanted.shown_by(_Finding.of(made)):
                    # What follows a piece that is gone belongs to another now.
                    text, best, pieces = smaller, made, self._pieces(smaller, kind)
            if size == 1:
                break
            size //= 2
        return text, best

    @property
    def _is_over(self) -> bool:
        return self._tries >= MOST_TRIES or time.monotonic() > self._until

    def _pieces(self, text: str, kind: Kind) -> list[Cut]:
        return cuts(text, self._inspected(text).tree, kind)

    def _inspected(self, text: str) -> Inspection:
        path = self._tries_in / "inspected.R"
        path.write_text(text, "utf-8")
        _, (inspection,) = inspect([path])
        return inspection

    def _examined(self, text: str) -> Examined:
        """Examine a script as the first one was, with the same files beside it."""
        self._tries += 1
        self._progress(self._case.name, f"tries a smaller script ({self._tries})")
        folder = self._tries_in / str(self._tries)
        folder.mkdir()
        lay_beside(self._case.script, folder)
        path = folder / self._case.script.name
        path.write_text(text, "utf-8")
        case = replace(read_case(path), seconds=self._case.seconds)
        with Suite(self._settings, pool=self._pool) as suite:
            (examined,) = suite.examine([case])
        return examined

    def _written(self, whole: str, text: str, best: Examined) -> Repro:
        self._folder.mkdir(parents=True, exist_ok=True)
        count, of = (len(_lines(each)) for each in (text, whole))
        over = "; a smaller one may show it too, but no more were tried" if self._is_over else ""
        sentences = [
            f"The smallest script that still shows this has {count} of {of} lines, after "
            f"{self._tries} were tried{over}."
        ]
        r, tree = best.runs["r"], self._inspected(text).tree
        shown = [self._save("repro.R", "r", "In R", reprex(text, tree, r.manifest))]
        sentences.append(f"repro.R was run in a fresh process: {best.report.sentence}")
        path = self._folder / "repro.py"
        if r.manifest.calls:
            proof = prove(self._pool, r, path, self._limits)
            self._files.append(path)
            printed, _ = run_python(path)
            asked = "What R asked of Python, without R"
            shown.append(Shown(asked, "python", path.read_text("utf-8"), printed))
            sentences.append(f"repro.py makes R's calls without R, {_proven(proof)}.")
        intent = best.runs.get("intent")
        verdict = next((each.verdict for each in best.report.pairs if each.b == "intent"), "")
        if intent is not None and verdict in ("different", "failed") and intent.manifest.script:
            says = "What the text says, in Python (bridge.translate is part of keras-bridge)"
            meant = self._save("meant.py", "python", says, intent.manifest.script.text)
            printed, _ = run_python(self._folder / "meant.py")
            if _NOT_RECORDED in printed:
                self._files.pop().unlink()
                sentences.append(
                    "What the text says in Python is not given as a script: it needs the numbers "
                    "that R drew."
                )
            else:
                shown.append(replace(meant, printed=printed))
                sentences.append("meant.py is what the text says, in Python, and does not agree.")
        told = (best.report.sentence, *best.report.explanation)
        title = self._case.title or _title(" ".join(told)) or self._case.name
        self._save("repro.md", "", "", issue(title, told, shown, _versions(r.manifest)))
        return Repro(tuple(sentences), tuple(self._files))

    def _save(self, name: str, language: str, what: str, text: str) -> Shown:
        self._files.append(self._folder / name)
        self._files[-1].write_text(text, "utf-8")
        return Shown(what, language, text)


def _title(told: str) -> str:
    """Return the beginning of what is told of a line, "" if that is of none."""
    found = re.search(r"Line \d+: (.+?)(?:\. |\.?$)", told)
    short = found[1] if found is not None else ""
    return short if len(short) <= _LONGEST_TITLE else f"{short[: _LONGEST_TITLE - 3].rstrip()}..."


def _versions(run: Manifest) -> str:
    """Return what the run was made with: R, who answered library(), Python's packages."""
    found = run.environment
    front = run.frontend
    answered = ""
    if front is not None and front.package:
        whose = "the stand-in for " if front.kind == "standin" else ""
        answered = f"{whose}R's {front.package} {front.version}".strip()
    packages = [f"{name} {version}" for name, version in sorted(found.packages.items())]
    r = f"R {found.r}" if found.r else ""
    return ", ".join(filter(None, [r, answered, *packages]))


def _proven(proof: Proof) -> str:
    if proof.script.gaps:
        return f"but for what it cannot make: {'; '.join(proof.script.gaps[:2])}"
    return "and does the same" if proof.holds else "and does not do the same"


def _lines(text: str) -> list[str]:
    return [line for line in tidied(text).splitlines() if line]
