"""The site is built without a warning, and no link in it leads nowhere."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest

from bridge.report.schema import CaseReport
from bridge.rules.registry import rules

ROOT: Final = Path(__file__).parents[1]

# A busy machine takes its time to build the site.
pytestmark = pytest.mark.timeout(900)


class Page(HTMLParser):
    """The places that a page has, and those that it leads to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "docs"
    done = subprocess.run(
        [sys.executable, ROOT / "docs/build.py", out],
        capture_output=True,
        text=True,
        check=False,
    )
    # Sphinx ends with an error where it has anything to warn of.
    assert done.returncode == 0, done.stderr
    return out


def test_the_articles_have_the_claims_that_the_cases_make() -> None:
    taken = json.loads((ROOT / "docs/explanation/cases.json").read_text("utf-8"))
    for case, about in taken.items():
        tree = ast.parse((ROOT / f"comparisons/{case}.py").read_text("utf-8"))
        made = [
            ast.literal_eval(node.args[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "claim"
        ]
        assert sorted(each["claim"] for each in about["claims"]) == sorted(made)


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    lost = []
    for path, page in pages.items():
        for link in page.links:
            found = urlsplit(link)
            if found.scheme or found.netloc:
                continue
            target = (path.parent / unquote(found.path)).resolve() if found.path else path
            known = pages[target].places if target in pages else {found.fragment}
            if not target.exists() or (found.fragment and unquote(found.fragment) not in known):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert not lost


@pytest.mark.slow
def test_the_site_has_what_the_code_has(site: Path) -> None:
    assert {path.stem for path in (site / "reference/rules").glob("*.html")} == set(rules())
    report = (site / "reference/report.html").read_text("utf-8")
    assert all(f">{name}<" in report for name in CaseReport.model_json_schema()["properties"])


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = [
        link
        for path in site.rglob("*.html")
        for link in Page(path).links
        if urlsplit(link).netloc and Path(urlsplit(link).path).suffix in (".js", ".css", ".svg")
    ]
    assert not loaded
