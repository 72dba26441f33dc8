"""The rules of the house: no decision reads prose, arrows run downwards, words are explained."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator, Mapping
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


#: The one reader of notes that older versions wrote.
READS_OLD_NOTES: Final = BRIDGE / "capsule" / "old_notes.py"


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


#: The floors of ARCHITECTURE.md, from the top; a package imports from its own floor or below.
FLOORS: Final = (
    {"cli"},
    {"pipeline", "selftest"},
    {"audit", "reduce", "report", "runs"},
    {"explain", "rules"},
    {"compare", "exact", "faults", "rounding", "translate", "verify"},
    {"process", "r", "trace"},
    {"capsule", "cases"},
    {"_text", "_typing", "errors", "facts"},
)
LEVEL: Final = {package: level for level, floor in enumerate(FLOORS) for package in floor}

#: Pure functions of capsules: they run nothing, and import nothing that does.
PURE: Final = ("compare", "explain", "report", "rounding", "rules")
RUNNING: Final = ("rpy2", "tensorflow", "keras", "tf_keras")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(BRIDGE)))
def test_arrows_run_downwards(path: Path) -> None:
    package = path.relative_to(BRIDGE).parts[0]
    upward = [
        name
        for name in imported(ast.parse(path.read_text("utf-8")))
        if name.startswith("bridge.") and LEVEL[name.split(".")[1]] < LEVEL[package]
    ]
    assert not upward, f"{package} is below: {', '.join(upward)}"


@pytest.mark.parametrize("package", PURE)
def test_what_is_pure_runs_nothing(package: str) -> None:
    for path in (BRIDGE / package).rglob("*.py"):
        names = set(imported(ast.parse(path.read_text("utf-8"))))
        assert not {name.split(".")[0] for name in names} & set(RUNNING), path


def test_every_package_has_a_page() -> None:
    packages = {path.parent for path in BRIDGE.glob("*/__init__.py")}
    assert {path.parent for path in BRIDGE.glob("*/README.md")} >= packages


def pages_of_rooms() -> list[Path]:
    top = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
    return [*top, *sorted(BRIDGE.rglob("README.md"))]


@pytest.mark.parametrize("page", pages_of_rooms(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_modules_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", page.read_text("utf-8"))
    gone = [name for name in named if not any((at / name).exists() for at in (page.parent, BRIDGE))]
    assert not gone


def test_the_guide_sends_to_what_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`(\w+)`\s+(?:of|in)\s+`([\w/]+\.py)`", text)
    assert len(named) > 8
    gone = [each for each in named
            if not re.search(rf"\b{each[0]}\b", (ROOT / each[1]).read_text("utf-8"))]  # fmt: skip
    assert not gone


def test_every_word_of_the_closed_lists_is_in_the_glossary() -> None:
    from typing import get_args

    from bridge.cases.claims import Holds
    from bridge.compare.result import RUNGS, SEVERITY, Stage
    from bridge.explain.result import Says, ShapeKind
    from bridge.facts.causes import CAUSES

    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    glossary = set(re.findall(r"`([^`]+)`", text.partition("## Glossary")[2]))
    words = {*RUNGS, *SEVERITY, *CAUSES, *get_args(Stage), *get_args(Says), *get_args(ShapeKind)}
    assert words | set(get_args(Holds)) <= glossary


def test_the_tests_mirror_the_package() -> None:
    rooms = {page.parent.name for page in (ROOT / "bridge").glob("*/__init__.py")}
    files = (ROOT / "tests").rglob("test_*.py")
    folders = {path.parent.name for path in files} - {"tests"}
    assert folders <= rooms, folders - rooms


#: Links of the site's pages are looked at where it is built (tests/test_site.py).
PAGES: Final = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    local = [link.strip() for link in links if "://" not in link]
    assert all((page.parent / link).exists() for link in local), local


def test_the_first_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 600


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {_name(path): path for path in BRIDGE.rglob("*.py")}
    graph = {
        name: {each for each in _loads(ast.parse(path.read_text("utf-8")), names) if each != name}
        for name, path in names.items()
    }
    # Raises an error that names the circle.
    assert list(graphlib.TopologicalSorter(graph).static_order())


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _loads(tree: ast.Module, names: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of ours that are loaded while one is: what stands at its top."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "") in names:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in names else str(node.module)


#: Words that say nothing of what a variable holds.
EMPTY_NAMES: Final = frozenset({"each", "one", "made", "told"})


def variables(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every variable and parameter with its line; the fields of a class are neither."""
    fields = {
        statement.target
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in fields:
            yield node.id, node.lineno


def test_variables_say_what_they_hold() -> None:
    found = {
        (str(path.relative_to(BRIDGE)), name, line)
        for path in BRIDGE.rglob("*.py")
        for name, line in variables(ast.parse(path.read_text("utf-8")))
        if name in EMPTY_NAMES
    }
    # R's own rep() has an argument of this name.
    of_r = {place for place in found if place[:2] == ("translate/rbase/vectors.py", "each")}
    assert len(of_r) == 1
    assert found == of_r


#: The classes there have the names that CRAN's packages give theirs.
NAMED_BY_CRAN: Final = BRIDGE / "r" / "standin" / "runtime"


def test_a_class_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = {}
    for path in sorted(BRIDGE.rglob("*.py")):
        if path.is_relative_to(NAMED_BY_CRAN):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(f"{path.relative_to(BRIDGE)}:{node.lineno}")
    assert {"Capsule", "Finding", "Run"} <= set(homes)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
