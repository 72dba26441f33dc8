"""Build the site into ``build/docs``: the pages of ``docs/``, and what is made from the code.

What a page takes from the code stands in it as ``{{ name }}``; the names are the keys of
:func:`from_the_code`. Each rule has a page of its own.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import jinja2
import typer
from pydantic import BaseModel
from sphinx.cmd.build import main as sphinx
from typer.cli import get_docs_for_click

from bridge.capsule import Manifest
from bridge.cases import case
from bridge.cli.main import app
from bridge.facts.causes import CAUSES, WHOSE, family
from bridge.report import words
from bridge.report.schema import CaseReport
from bridge.rules.registry import page, rules
from bridge.rules.rule import FAMILIES, Rule

ROOT: Final = Path(__file__).parents[1]
#: Measured pages of the repository that the site shows as they are.
MEASURED: Final = ("TRUST", "TRANSPARENT", "ACTIVATIONS", "CASES")

Row = tuple[str, ...]


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a table in Markdown; a bar in a cell is kept from ending it."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in row)} |" for row in lines
    )


def code(text: str) -> str:
    """Return a text as code."""
    return f"`{text}`" if text else ""


def commands() -> str:
    """Return every command with its arguments and options, as typer tells them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="keras-bridge")
    # The page has a first heading of its own.
    return text.partition("## ")[1] + text.partition("## ")[2]


def about(rule: Rule) -> str:
    """Return what a rule's record says of it, as a table of one row."""
    status = "may name the cause" if rule.status == "decides" else "worth knowing only"
    needs = ", ".join(rule.needs) or "one run"
    return table(
        ("whose doing", "cause", "says", "reads"),
        [(rule.whose, code(rule.cause), status, needs)],
    )


def rule_page(rule: Rule) -> str:
    """Return the page of a rule, with its record under the heading."""
    heading, _, rest = page(rule.code).partition("\n")
    return f"{heading}\n\n{about(rule)}\n{rest}"


def all_rules() -> str:
    """Return the rules by family, each with what it says."""
    parts = []
    for letter, subject in FAMILIES.items():
        rows = [
            (f"[{rule.code}](rules/{rule.code}.md)", rule.name, code(rule.cause), rule.whose)
            for rule in rules().values()
            if rule.code.startswith(letter)
        ]
        if rows:
            head = ("code", "name", "cause", "whose doing")
            parts.append(f"## {letter}: {subject}\n\n{table(head, rows)}")
    listed = "\n".join(f"rules/{each}" for each in rules())
    parts.append(f"```{{toctree}}\n:hidden:\n\n{listed}\n```")
    return "\n\n".join(parts)


def kind_of(part: Mapping[str, Any]) -> str:
    """Return the type of a JSON schema in words, with links to the records on the same page."""
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in part:
            return " or ".join(dict.fromkeys(map(kind_of, part[several])))
    if "enum" in part:
        return " or ".join(code(json.dumps(value)) for value in part["enum"])
    if "const" in part:
        return code(json.dumps(part["const"]))
    match part.get("type"):
        case "array" if "prefixItems" in part:
            return f"[{', '.join(map(kind_of, part['prefixItems']))}]"
        case "array":
            return f"list of {kind_of(part.get('items', {}))}"
        case "object":
            inner = part.get("additionalProperties")
            return f"object of {kind_of(inner)}" if isinstance(inner, dict) else "object"
        case str(kind):
            return kind
    return "any value"


def prose(docstring: str) -> str:
    """Return a docstring as Markdown."""
    return re.sub(r"``([^`]+)``|:\w+:`~?([^`]+)`", lambda m: code(m[1] or m[2]), docstring)


def record(name: str, part: Mapping[str, Any], level: int) -> str:
    """Return a record of a schema: its heading, what it is, and its fields."""
    needed = part.get("required", ())
    rows: list[Row] = [
        (
            code(key),
            kind_of(field),
            "" if key in needed else code(json.dumps(field.get("default"))),
            prose(field.get("description", "")).replace("\n", " "),
        )
        for key, field in part.get("properties", {}).items()
    ]
    head: Row = ("field", "type", "default", "meaning")
    # A column that nothing stands in is none.
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    text = f"{'#' * level} {name}\n\n{prose(part.get('description', ''))}"
    if not rows:
        return f"{text}\n\n{kind_of({k: v for k, v in part.items() if k != '$ref'})}"
    return f"{text}\n\n{table(head, rows)}"


def schema(model: type[BaseModel]) -> str:
    """Return the records of a file: its own first, then those in it as they are met."""
    whole = model.model_json_schema()
    inner = whole.pop("$defs", {})
    order = dict.fromkeys(re.findall(r'"#/\$defs/(\w+)"', json.dumps(whole)))
    for _ in range(len(inner)):
        for name in list(order):
            order |= dict.fromkeys(re.findall(r'"#/\$defs/(\w+)"', json.dumps(inner[name])))
    parts = [record(model.__name__, whole, 2)]
    return "\n\n".join(parts + [record(name, inner[name], 3) for name in order])


def meanings(head: Row, known: Mapping[Any, str]) -> str:
    """Return a table of words and their meanings."""
    return table(head, [(code(word), text[:1].lower() + text[1:]) for word, text in known.items()])


def glossary() -> str:
    """Return the glossary of ARCHITECTURE.md, one heading higher."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("\n## Glossary\n")[2]
    return re.sub(r"^##", "#", text, flags=re.MULTILINE).strip()


def claims(case: str) -> str:
    """Return what was claimed of a case and what became of it, as its last run said."""
    rows = [
        (
            each["claim"],
            words.SPEAKERS.get(each["said_by"], ""),
            f"**{each['verdict']}**: {each['evidence']}",
        )
        for each in taken()[case]["claims"]
    ]
    return table(("claim", "said by", "measured"), rows)


def picture(case: str) -> str:
    """Return the picture of a case."""
    return f"![{taken()[case]['alt']}](../pictures/{case}.svg)"


def taken() -> dict[str, Any]:
    """Return what ``docs/from_a_run.py`` took from a run."""
    path = Path(__file__).parent / "explanation/cases.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def from_the_code() -> dict[str, Callable[[], str]]:
    """Return what pages take from the code, and from a run of the founding cases, by its name."""
    return {
        **{f"claims_{case}": partial(claims, case) for case in taken()},
        **{f"picture_{case}": partial(picture, case) for case in taken()},
        "commands": commands,
        "rules": all_rules,
        "report": lambda: schema(CaseReport),
        "capsule": lambda: schema(Manifest),
        "glossary": glossary,
        "header": lambda: meanings(("line", "meaning"), case.HEADER_KEYS),
        "conditions": lambda: meanings(("in brackets", "holds where"), case.CONDITIONS),
        "verdicts": lambda: meanings(("verdict", "meaning"), words.VERDICTS),
        "rungs": lambda: meanings(("rung", "what decides"), words.RUNGS),
        "stages": lambda: meanings(("stage", "what is compared"), words.STAGES),
        "confidences": lambda: meanings(("how sure", "meaning"), words.CONFIDENCES),
        "causes": lambda: table(
            ("cause", "meaning", "whose doing"),
            [(code(name), text, WHOSE[family(name)]) for name, text in CAUSES.items()],
        ),
    }


def write_sources(folder: Path) -> None:
    """Write every page of the site, as Sphinx reads them, into an empty folder."""
    here = Path(__file__).parent
    shutil.copytree(here, folder, ignore=shutil.ignore_patterns("*.py[co]", "__pycache__"))
    filled = from_the_code()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    for path in folder.rglob("*.md"):
        text = path.read_text("utf-8")
        wanted = {name: filled[name]() for name in re.findall(r"\{\{ (\w+) \}\}", text)}
        if wanted:
            path.write_text(environment.from_string(text).render(wanted), "utf-8")
    (folder / "reference/rules").mkdir()
    for rule in rules().values():
        (folder / f"reference/rules/{rule.code}.md").write_text(rule_page(rule), "utf-8")
    for name in MEASURED:
        shutil.copy(ROOT / f"benchmarks/{name}.md", folder / f"explanation/{name.lower()}.md")


def main(out: Path) -> int:
    """Build the site; return 0 where Sphinx has nothing to warn of."""
    sources = out.with_name(f"{out.name}-source")
    for old in (sources, out):
        shutil.rmtree(old, ignore_errors=True)
    write_sources(sources)
    return sphinx(["-W", "--keep-going", "-q", "-j", "auto", "-d", f"{out}-doctrees",
                   str(sources), str(out)])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/docs"))
