"""The house's own rules: nothing decides by prose."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
BRIDGE: Final = ROOT / "bridge"


def modules() -> list[Path]:
    every = BRIDGE.rglob("*.py")
    return sorted(path for path in every if "runtime" not in path.parts and path.parent != BRIDGE)


#: What holds sentences for readers: a decision that looks into one breaks when it is reworded.
PROSE: Final = frozenset(
    {"sentence", "sentences", "note", "notes", "headline", "detail", "explanation", "unexplained"}
    | {"evidence_for", "evidence_against"}
)
SEARCHES: Final = frozenset(
    {"startswith", "endswith", "find", "rfind", "index", "rindex", "count", "partition"}
    | {"rpartition", "split", "splitlines", "removeprefix", "removesuffix"}
)
MATCHES: Final = frozenset({"search", "match", "fullmatch", "findall", "finditer", "split"})
#: The one reader of notes that older versions wrote.
READS_OLD_NOTES: Final = BRIDGE / "capsule" / "old_notes.py"


def ends_in_prose(node: ast.AST) -> bool:
    """Say whether a value is prose: by its own name, or what joins, lowers or cuts some."""
    if isinstance(node, ast.Subscript):
        return ends_in_prose(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        kept = node.func.attr in ("lower", "casefold", "strip", "upper", "format", "join")
        return kept and any(map(ends_in_prose, (node.func.value, *node.args)))
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in PROSE


def is_empty(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def decisions_by_prose(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            pairs = zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False)
            for op, left, right in pairs:
                within = isinstance(op, (ast.In, ast.NotIn)) and ends_in_prose(right)
                equal = isinstance(op, (ast.Eq, ast.NotEq)) and not (
                    is_empty(left) or is_empty(right)
                )
                if within or (equal and (ends_in_prose(left) or ends_in_prose(right))):
                    yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # Splitting at white space alone tidies a text.
            searched = [node.func.value] if node.func.attr in SEARCHES and node.args else []
            searched += node.args if node.func.attr in MATCHES else []
            if any(map(ends_in_prose, searched)):
                yield node.lineno


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(BRIDGE)))
def test_no_decision_reads_prose(path: Path) -> None:
    found = sorted(set(decisions_by_prose(ast.parse(path.read_text("utf-8")))))
    lines = [] if path == READS_OLD_NOTES else found
    assert not lines, f"line {lines[0]} looks into a sentence: give what it looks for a field"


@pytest.mark.parametrize(
    "source",
    [
        'a = "x" in found.sentence',
        "a = wanted in found.sentence",
        'a = f"ine {line}:" not in attribution.sentence',
        "a = found.sentence == OTHER",
        'b = note.startswith("raised ")',
        'b = each.sentence.lower().endswith("off")',
        "c = P.search(made.detail)",
        'c = P.findall(" ".join(report.explanation))',
        'd = probe.notes[0].removeprefix("same as: ")',
    ],
)
def test_the_check_for_prose_finds_what_it_forbids(source: str) -> None:
    assert list(decisions_by_prose(ast.parse(source))) == [1]


@pytest.mark.parametrize(
    "source",
    [
        'a = found.sentence == ""',
        "a = [note for note in notes if note]",
        'a = " ".join(gap.sentence.split())',
        'a = cause == "not-known"',
    ],
)
def test_the_check_for_prose_lets_the_rest_pass(source: str) -> None:
    assert not list(decisions_by_prose(ast.parse(source)))
