"""Every block of code of the site is run, page by page, in a folder of the page's own.

- ``console``: what stands after ``$`` is typed, and what it prints is compared with what is shown;
  ``...`` stands for anything.
- A block with a caption is a file of that name, in any language.
- ``python`` without a caption is run, and ``>>>`` is compared.
- ``sh`` is for another machine: it has to be a shell's, and its options those of the commands.
- ``toml``, ``yaml`` and ``json`` have to be that.

A page that runs R or TensorFlow somewhere is marked for it as a whole: its blocks follow one
another.
"""

from __future__ import annotations

import contextlib
import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import typer
import yaml
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer
from sybil.parsers.myst.lexers import DirectiveLexer
from sybil.typing import Evaluator

from tests.commands import keras_bridge

if TYPE_CHECKING:
    from bridge.process.pool import Pool

#: Directives that are no code.
NO_CODE: Final = ("toctree", "eval-rst")
RUNS_R: Final = re.compile(
    r"^\$ .*\b(Rscript|pytest|keras-bridge (run|check|add|record|explain|replay|translate))\b",
    re.MULTILINE,
)


def parse(document: Document) -> Iterator[Region]:
    """Yield every block of code of a page.

    Raises:
        ValueError: nothing is known of a block's language.
    """
    plain = FencedCodeBlockLexer(r"\w+", mapping={"language": "arguments", "source": "source"})
    named = DirectiveLexer(r"code-block", r".+")
    for region in (*plain(document), *named(document)):
        language = region.lexemes["arguments"]
        region.parsed = region.lexemes["source"]
        caption = region.lexemes.get("options", {}).get("caption")
        if language == "python" and region.parsed.startswith(">>>"):
            prompts = DocTestStringParser(DocTestEvaluator(doctest.ELLIPSIS))
            for prompt in prompts(region.parsed, document.path):
                assert prompt.evaluator is not None
                prompt.evaluator = in_folder(prompt.evaluator)
                prompt.adjust(region, region.parsed)
                yield prompt
            continue
        if caption is None and language not in EVALUATORS:
            line = document.line_column(region.start)
            raise ValueError(f"{document.path}, {line}: no test for a block of {language!r}")
        region.evaluator = written if caption else EVALUATORS[language]
        yield region


def written(example: Example) -> None:
    """Write a file of the page."""
    folder: Path = example.namespace["folder"]
    path = folder / example.region.lexemes["options"]["caption"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(example.parsed, "utf-8")


def in_folder(evaluate: Evaluator) -> Evaluator:
    """Return what evaluates an example in the folder of its page."""

    def evaluated(example: Example) -> str | None:
        with contextlib.chdir(example.namespace["folder"]):
            return evaluate(example)

    return evaluated


def console(example: Example) -> str | None:
    """Type what stands after each ``$``, and compare what is printed with what follows it."""
    for each in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
        command, _, shown = each.partition("\n")
        printed = typed(command, example.namespace["folder"], example.namespace["pool"])
        want, got = (
            "\n".join(map(str.rstrip, text.strip("\n").splitlines())) + "\n"
            for text in (shown, printed)
        )
        if not doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
            return f"$ {command}\n--- shown\n{want}--- printed\n{got}"
    return None


def typed(command: str, folder: Path, pool: Pool) -> str:
    """Return what a command prints in a folder, whatever its exit code.

    A command of ours alone runs in this process, with the warm processes of all tests.
    """
    words = shlex.split(command)
    if words[0] == "keras-bridge" and not re.search(r"[|<>;&$]", command):
        return keras_bridge(*words[1:], cwd=folder, pool=pool).output
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    ).stdout


def typed_elsewhere(example: Example) -> None:
    """Check what is typed on another machine: the shell reads it, the commands know the options."""
    subprocess.run(["sh", "-n"], input=example.parsed, check=True, text=True)
    from bridge.cli.main import app

    command = typer.main.get_command(app)
    for words in re.findall(r"^(?:\S+=\S+ )*\S*keras-bridge (.+)$", example.parsed, re.MULTILINE):
        name, *rest = shlex.split(words, comments=True)
        known = command.commands[name]  # type: ignore[attr-defined]
        known.make_context(name, rest, resilient_parsing=False).close()


EVALUATORS: Final[dict[str, Any]] = {
    "console": console,
    "sh": typed_elsewhere,
    "python": in_folder(PythonEvaluator()),
    "json": lambda example: json.loads(example.parsed) and None,
    "toml": lambda example: tomllib.loads(example.parsed) and None,
    "yaml": lambda example: yaml.safe_load(example.parsed) and None,
}


def begin(namespace: dict[str, Any]) -> None:
    """Make the folder of a page."""
    namespace["folder"] = Path(tempfile.mkdtemp(prefix="keras-bridge-page-"))


def end(namespace: dict[str, Any]) -> None:
    """Remove the folder of a page."""
    shutil.rmtree(namespace["folder"])


pytest_collect_file = Sybil(
    [parse], pattern="*.md", setup=begin, teardown=end, fixtures=["pool"]
).pytest()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a block for what its page needs."""
    text = item.example.document.text  # type: ignore[attr-defined]
    if RUNS_R.search(text):
        for marker in ("r", "tf"):
            item.add_marker(marker)
