"""A script with what it prints beside it, as R's reprex writes it, and the text of an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.capsule import Manifest
from bridge.reduce.script_cuts import statements_of

#: Lines of output that are shown of one statement, at most.
_MOST_LINES: Final = 30
#: Where R says that its error arose, when it arose at the top of the script.
_EVALUATED: Final = "Error in eval(exprs[[i]], globalenv()) : "
#: What TensorFlow's libraries log of the machine: its date, time and process are of no use here.
_LOGGED: Final = re.compile(r"^(?:[IWEF]\d{4} \d\d:\d\d:|WARNING: All log messages before absl)")


@dataclass(frozen=True)
class Shown:
    """A script of a text for an issue: what it is, its language, its text, what it prints."""

    what: str
    language: str
    text: str
    printed: str = ""


def reprex(text: str, tree: Sequence[Sequence[Any]], run: Manifest) -> str:
    """Return an R script with what its run printed, as comments after each statement.

    Args:
        text: the script, without comments that fill a line.
        tree: R's own syntax tree of it.
        run: its run.
    """
    lines = text.rstrip("\n").split("\n")
    ends = _ends([
        (1 + text.count("\n", 0, each.start), 1 + text.count("\n", 0, each.end))
        for each in statements_of(text, tree)
    ])  # fmt: skip
    said: dict[int, list[str]] = {}
    for output in run.output:
        line = _end_of(output.line, ends, len(lines))
        said.setdefault(line, []).append(output.text.replace(_EVALUATED, "Error: "))
    if run.error is not None and not any(each.text.startswith("Error") for each in run.output):
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
        printed = [each for each in printed if each.strip() and not _LOGGED.match(each)]
        yield from (f"#> {each}".rstrip() for each in printed[:_MOST_LINES])
        if len(printed) > _MOST_LINES:
            yield f"#> ... and {len(printed) - _MOST_LINES} more lines"


def issue(title: str, sentences: Sequence[str], shown: Sequence[Shown], versions: str) -> str:
    """Return the text of an issue."""
    parts = [f"# {title}", ""]
    for sentence in sentences:
        parts += [sentence, ""]
    for each in shown:
        parts += [f"{each.what}:", "", *_fenced(each.language, each.text), ""]
        if each.printed.strip():
            parts += ["It prints", "", *_fenced("", each.printed), ""]
    return "\n".join([*parts, *([f"With {versions}.", ""] if versions else [])])


def _fenced(language: str, text: str) -> list[str]:
    return [f"```{language}", text.replace("```", "'''").rstrip(), "```"]
