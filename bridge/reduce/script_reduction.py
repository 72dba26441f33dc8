"""A script cut down to what still shows its finding."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from bridge.capsule import Capsule, Manifest
from bridge.cases.case import Case, read_case
from bridge.errors import BridgeError, InternalError, attempted
from bridge.explain.conclusion import Conclusion
from bridge.facts.causes import NOTHING_WRONG
from bridge.process.pool import Limits, Pool
from bridge.r.script import Inspection, Wanted, inspect
from bridge.reduce.reproducer import (
    Repro,
    Shown,
    issue,
    lost,
    r_runner,
    run_python,
    versions,
    write_repro,
)
from bridge.report import CaseReport
from bridge.runs.job import lay_beside
from bridge.runs.twin import Proof, prove
from bridge.translate.script_text import Cut, SyntaxRows

Kind = Literal["statements", "steps", "numbers"]
#: The larger pieces first: what goes with them needs no cut of its own.
KINDS: Final[tuple[Kind, ...]] = ("statements", "steps", "numbers")

_PIPES: Final = frozenset({"PIPE", "SPECIAL"})
#: Without these it would be another script, or other numbers in every run.
_KEPT: Final = re.compile(
    r"(?:\w+::)?(?:library|require|set\.seed|set_random_seed|use_session_with_seed)\s*\("
)
_LARGE: Final = re.compile(r"[1-9]\d+L?")
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)


def without(text: str, cuts: Collection[Cut]) -> str:
    """Return the text with blanks in the place of what is cut out."""
    for cut in cuts:
        blank = re.sub(r"[^\n]", " ", text[cut.start + len(cut.by) : cut.end])
        text = text[: cut.start] + cut.by + blank + text[cut.end :]
    return text


def closed(text: str, left: str) -> str:
    """Return what is left of a text, :func:`without` the blanks that stand for what is gone."""
    pieces: list[str] = []
    gone = False
    for sign, now in zip(text, left, strict=True):
        # A blank that was there before goes too where it follows something that is gone.
        gone = now == " " and (gone or sign != " ")
        if not gone:
            pieces.append(now)
    return "".join(pieces)


def tidied(text: str) -> str:
    """Return the text without lines that say nothing: blanks, and comments that fill a line."""
    lines = (line.rstrip() for line in _COMMENT.sub("", text).splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def cuts(text: str, tree: Sequence[Sequence[Any]], kind: Kind) -> list[Cut]:
    """Return the pieces of one kind, in the order of the text.

    Args:
        text: of the script.
        tree: R's own syntax tree of it, as :class:`bridge.r.script.Inspection` has it.
        kind: of the pieces.
    """
    parts = SyntaxRows(text, tree)
    found = {"statements": _statements, "steps": _steps, "numbers": _numbers}[kind](parts)
    return sorted(set(found), key=lambda piece: (piece.start, -piece.end))


def statements_of(text: str, tree: Sequence[Sequence[Any]]) -> list[Cut]:
    """Return the statements of a script, those within others left out."""
    parts = SyntaxRows(text, tree)
    found = [parts.cut(node) for node in parts.under[0] if parts.token[node].startswith("expr")]
    return sorted(found, key=lambda piece: piece.start)


def _statements(parts: SyntaxRows) -> Iterator[Cut]:
    """Yield the statements of the script, and those between braces."""
    for group in parts.groups():
        tokens = [*(parts.token[node] for node in group), ""]
        if parts.above.get(group[0]) == 0 or tokens[0] == "'{'":
            for place, node in enumerate(group):
                if tokens[place].startswith("expr") and not parts.begins(node, _KEPT):
                    ended = tokens[place + 1] == "';'"
                    yield parts.cut(node, group[place + 1] if ended else node)


def _steps(parts: SyntaxRows) -> Iterator[Cut]:
    """Yield the steps of pipes: each with the pipe that leads on, or else to it.

    The only step of a pipe stays: without it there is no pipe.
    """
    for above, group in list(parts.under.items()):
        if len(group) != 3 or parts.token[group[1]] not in _PIPES:
            continue
        outer = parts.under[parts.above[above]] if above in parts.above else []
        leads = len(outer) == 3 and outer[0] == above and parts.token[outer[1]] in _PIPES
        inner = parts.under.get(group[0], [])
        if not leads and not (len(inner) == 3 and parts.token[inner[1]] in _PIPES):
            continue
        yield parts.cut(group[2], outer[1]) if leads else parts.cut(group[1], group[2])


def _numbers(parts: SyntaxRows) -> Iterator[Cut]:
    """Yield the whole numbers of two digits and more, each as a 2."""
    for number, text in parts.numbers():
        cut = parts.cut(number)
        yield Cut(cut.start, cut.end, "2L" if text.endswith("L") else "2")


# A script with what it prints beside it, as R's reprex writes it.

#: Lines of output that are shown of one statement, at most.
_MOST_LINES: Final = 30
#: Where R says that its error arose, when it arose at the top of the script.
_EVALUATED: Final = "Error in eval(exprs[[i]], globalenv()) : "
#: What TensorFlow's libraries log of the machine: its date, time and process are of no use here.
_LOGGED: Final = re.compile(r"^(?:[IWEF]\d{4} \d\d:\d\d:|WARNING: All log messages before absl)")


def reprex(text: str, tree: Sequence[Sequence[Any]], run: Manifest) -> str:
    """Return an R script with what its run printed, as comments after each statement.

    Args:
        text: the script, without comments that fill a line.
        tree: R's own syntax tree of it.
        run: its run.
    """
    lines = text.rstrip("\n").split("\n")
    ends = _ends([
        (1 + text.count("\n", 0, piece.start), 1 + text.count("\n", 0, piece.end))
        for piece in statements_of(text, tree)
    ])  # fmt: skip
    said: dict[int, list[str]] = {}
    for output in run.output:
        line = _end_of(output.line, ends, len(lines))
        said.setdefault(line, []).append(output.text.replace(_EVALUATED, "Error: "))
    if run.error is not None and not any(output.text.startswith("Error") for output in run.output):
        line = _end_of(run.error.line, ends, len(lines))
        said.setdefault(line, []).append(f"Error: {run.error.message}")
    return "\n".join(_with(lines, said)) + "\n"


def _ends(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return the lines after which there is no statement that goes on."""
    lasts = {last for _, last in spans}
    return sorted(e for e in lasts if not any(first <= e < last for first, last in spans))


def _end_of(line: int | None, ends: Sequence[int], last: int) -> int:
    """Return the last line of the statement that a line belongs to."""
    return next((end for end in ends if line is not None and end >= line), last)


def _with(lines: Sequence[str], said: dict[int, list[str]]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        yield line
        printed = "".join(
            piece if piece.endswith("\n") else f"{piece}\n" for piece in said.get(number, ())
        ).splitlines()
        printed = [output for output in printed if output.strip() and not _LOGGED.match(output)]
        yield from (f"#> {output}".rstrip() for output in printed[:_MOST_LINES])
        if len(printed) > _MOST_LINES:
            yield f"#> ... and {len(printed) - _MOST_LINES} more lines"


# Making what was found small: the smallest model that still differs, or the smallest script.

#: Smaller scripts that are run, at most, and seconds after which no other is tried.
MOST_TRIES: Final = 60
MOST_SECONDS: Final = 180.0
#: Shapes and addresses in an error may change with the script.
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+")
_LONGEST_TITLE: Final = 90
#: How a script ends that was never begun.
_NEVER_RUN: Final = frozenset({"syntax-error", "not-utf8", "empty", "not-run"})


class Examination(Protocol):
    """What was found of a script, and the runs behind it."""

    @property
    def report(self) -> CaseReport:
        """What was found."""

    @property
    def runs(self) -> Mapping[str, Capsule]:
        """The runs, by the names of their runners."""

    @property
    def finding(self) -> Conclusion | None:
        """What was concluded."""


@dataclass(frozen=True)
class ScriptRunner:
    """How smaller scripts are run: ``examine`` finds out of each what was found of the first."""

    pool: Pool
    limits: Limits
    frontend: Wanted
    examine: Callable[[Case], Examination]
    progress: Callable[[str], None]


def make_small(means: ScriptRunner, case: Case, examined: Examination, folder: Path) -> Repro:
    """Write the smallest model that still differs, or else the smallest script.

    Args:
        means: how smaller ones are run.
        case: a script.
        examined: what was found of it.
        folder: where the files are written.
    """
    _, (inspection,) = inspect([case.script])
    in_r = r_runner(means.pool, means.limits, means.frontend)
    title = case.title or case.name
    generation, runs = inspection.generation, examined.runs
    small = write_repro(means.pool, runs, generation, means.limits, folder, title, in_r)
    if small.files:
        return small
    try:
        with tempfile.TemporaryDirectory(dir=means.pool.folder) as tries:
            repro = attempted(
                "making the script smaller",
                lambda: _Scripts(means, case, folder, Path(tries)).smallest(examined),
            )
    except BridgeError as error:
        return Repro((f"Shrinking the script came to no end: {error}"[:500] + ".",))
    # What was explained is worth more than a small script of it.
    return Repro((lost(repro, folder),)) if isinstance(repro, InternalError) else repro


@dataclass(frozen=True)
class _Finding:
    """What is found of a script, as far as a smaller one has to show it as well."""

    verdict: str
    cause: str
    stage: str
    error: str
    prints: bool
    lines: frozenset[int]

    @classmethod
    def of(cls, examined: Examination) -> _Finding:
        report, run = examined.report, examined.runs["r"].manifest
        first = report.first_divergence
        finding = examined.finding
        return cls(
            report.verdict,
            report.cause,
            first.stage if first is not None else "",
            _NUMBER.sub("#", run.error.message) if run.error is not None else "",
            any(output.stream == "stdout" and output.text.strip() for output in run.output),
            finding.lines if finding is not None else frozenset(),
        )

    @property
    def is_something(self) -> bool:
        if self.verdict in ("different", "failed"):
            return True
        return self.cause not in NOTHING_WRONG | {"not-known"}

    def shown_by(self, other: _Finding) -> bool:
        """Say whether another script shows this; the lines that it speaks of have not moved."""
        same = replace(other, lines=self.lines, prints=self.prints) == self
        # What shows it to a reader is printed.
        same = same and (other.prints or not self.prints)
        return same and (not self.lines or bool(self.lines & other.lines))


class _Scripts:
    """Smaller and smaller scripts, each examined as the first one was."""

    def __init__(self, means: ScriptRunner, case: Case, folder: Path, tries: Path) -> None:
        self._means, self._case, self._folder, self._tries_in = means, case, folder, tries
        self._tries = 0
        self._files: list[Path] = []
        self._until = time.monotonic() + MOST_SECONDS

    def smallest(self, examined: Examination) -> Repro:
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
        shrunk = self._examined(tidy)
        if replace(wanted, lines=frozenset()).shown_by(_Finding.of(shrunk)):
            left, best = tidy, shrunk
        return self._written(text, left, best)

    def _cut(
        self, text: str, best: Examination, kind: Kind, wanted: _Finding
    ) -> tuple[str, Examination]:
        """Cut out pieces of one kind, half of them first, the later ones before the earlier."""
        pieces = self._pieces(text, kind)
        size = max(1, len(pieces) // 2)
        while pieces:
            at = len(text) + 1
            while ahead := [piece for piece in pieces if piece.start < at]:
                if self._is_over:
                    return text, best
                chunk = ahead[-size:]
                at = chunk[0].start
                smaller = without(text, chunk)
                examined = self._examined(smaller)
                if wanted.shown_by(_Finding.of(examined)):
                    # What follows a piece that is gone belongs to another now.
                    text, best, pieces = smaller, examined, self._pieces(smaller, kind)
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

    def _examined(self, text: str) -> Examination:
        """Examine a script as the first one was, with the same files beside it."""
        self._tries += 1
        self._means.progress(f"tries a smaller script ({self._tries})")
        folder = self._tries_in / str(self._tries)
        folder.mkdir()
        lay_beside(self._case.script, folder)
        path = folder / self._case.script.name
        path.write_text(text, "utf-8")
        return self._means.examine(replace(read_case(path), seconds=self._case.seconds))

    def _written(self, whole: str, text: str, best: Examination) -> Repro:
        self._folder.mkdir(parents=True, exist_ok=True)
        count, of = (len(_lines(part)) for part in (text, whole))
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
            proof = prove(self._means.pool, r, path, self._means.limits)
            self._files.append(path)
            printed, _ = run_python(path)
            asked = "What R asked of Python, without R"
            shown.append(Shown(asked, "python", path.read_text("utf-8"), printed))
            sentences.append(f"repro.py makes R's calls without R, {_proven(proof)}.")
        intent = best.runs.get("intent")
        verdict = next((pair.verdict for pair in best.report.pairs if pair.b == "intent"), "")
        if intent is not None and verdict in ("different", "failed") and intent.manifest.script:
            says = "What the text says, in Python (bridge.translate is part of keras-bridge)"
            if r.manifest.draws:
                sentences.append(
                    "What the text says in Python is not given as a script: it needs the numbers "
                    "that R drew."
                )
            else:
                meant = self._save("meant.py", "python", says, intent.manifest.script.text)
                printed, _ = run_python(self._folder / "meant.py")
                shown.append(replace(meant, printed=printed))
                sentences.append("meant.py is what the text says, in Python, and does not agree.")
        explanation = (best.report.sentence, *best.report.explanation)
        headline = best.finding.headline if best.finding is not None else ""
        title = self._case.title or _cut(headline) or self._case.name
        self._save("repro.md", "", "", issue(title, explanation, shown, versions(r.manifest)))
        return Repro(tuple(sentences), tuple(self._files))

    def _save(self, name: str, language: str, what: str, text: str) -> Shown:
        self._files.append(self._folder / name)
        self._files[-1].write_text(text, "utf-8")
        return Shown(what, language, text)


def _cut(title: str) -> str:
    """Return a title, cut where it is too long for one."""
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 3].rstrip()}..."


def _proven(proof: Proof) -> str:
    if proof.script.gaps:
        return f"but for what it cannot make: {'; '.join(proof.script.gaps[:2])}"
    return "and does the same" if proof.holds else "and does not do the same"


def _lines(text: str) -> list[str]:
    return [line for line in tidied(text).splitlines() if line]
