"""The files of a report: complete, well formed, safe, and all numbers from report.json."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bridge.report import CaseReport, folders, numbers, report_json, text, write_report
from bridge.report.pictures import draw
from bridge.report.schema import ExperimentRow, Picture
from tests.report_samples import (
    FOUNDING,
    GOLDEN,
    HOSTILE,
    KINDS,
    SMALL,
    different,
    empty,
    failed,
    founding_capsules,
    hostile,
    hundred,
    matching,
    same_error,
    stored,
)

SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><path d="M 0 0"/></svg>'
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
VOID = {"meta", "br", "img", "input", "wbr"}
TAGS = re.compile(
    "html|head|title|style|meta|body|header|main|footer|article|div|p|h[123]|a|b|br|strong|span"
    "|code|pre|table|thead|tbody|tr|th|td|dl|dt|dd|ul|ol|li|details|summary|figure|figcaption"
    "|img|data|section|h4|em|svg|line|polyline|circle|mark"
)


class Page(HTMLParser):
    """What a browser would find in a page; fails if tags do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def attributes(self, name: str) -> list[str]:
        return [found[name] for _, found in self.tags if name in found]


def index(tmp_path: Path, *reports: CaseReport, pictures: Any = None) -> str:
    """Return the page of a single case, or the list of several."""
    written = write_report(reports, tmp_path, pictures=pictures or {})
    if len(reports) == 1:
        (folder,) = folders(reports)
        written = tmp_path / folder / "index.html"
    return written.read_text(encoding="utf-8")


def markdown(tmp_path: Path, report: CaseReport) -> str:
    write_report([report], tmp_path, pictures={})
    return next(tmp_path.glob("*/report.md")).read_text(encoding="utf-8")


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def printed_forms(report: CaseReport) -> set[str]:
    """Return every form in which a number of report.json may be printed, and its spelling."""
    found = {numbers.NONE}
    for leaf in leaves(json.loads(report_json(report))):
        if isinstance(leaf, bool) or leaf is None:
            continue
        if isinstance(leaf, str):
            if leaf not in ("NaN", "Infinity", "-Infinity"):
                continue
            leaf = float(leaf)
        forms = [numbers.exact, numbers.magnitude, numbers.ulp, numbers.ratio, numbers.seconds]
        for form in forms:
            found |= {form(leaf).text, form(leaf).value}
        found |= {numbers.mebibytes(leaf).text} if leaf == leaf and leaf < 1e9 else set()
        found |= {numbers.count(leaf).text, str(leaf)} if isinstance(leaf, int) else set()
    return found


def test_the_report_needs_neither_r_nor_tensorflow_nor_a_runner() -> None:
    program = (
        "import sys, bridge.report, bridge.report.pictures\n"
        "unwanted = {'rpy2', 'tensorflow', 'keras', 'tf_keras', 'bridge.runs', 'bridge.r'}\n"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("make", SMALL)
def test_report_json_reads_back_as_the_same_report(make: Any) -> None:
    report = make()
    again = CaseReport.model_validate_json(report_json(report))
    assert report_json(again) == report_json(report)
    assert again.sentence == report.sentence


def test_report_json_has_the_keys_of_the_contract() -> None:
    data = json.loads(report_json(different()))
    assert data["schema"] == 1
    assert set(data) >= {
        *("case", "script", "frontend", "environment", "verdict", "cause", "sentence"),
        *("first_divergence", "pairs", "claims", "hypotheses", "levers"),
    }
    assert set(data["pairs"][0]) >= {
        *("a", "b", "probe", "points", "max_abs", "max_ulp", "beyond_bound", "rung"),
    }


def test_report_json_is_strict_json_in_which_nan_and_inf_are_words() -> None:
    def refuse(word: str) -> None:
        pytest.fail(f"{word} is not JSON")

    data = json.loads(report_json(different()), parse_constant=refuse)
    worst = data["pairs"][-1]["worst"][1]
    assert (worst["a"], worst["ulp"]) == ("NaN", "Infinity")


def test_the_golden_report_json_has_not_changed() -> None:
    assert report_json(different()) == GOLDEN.read_text(encoding="utf-8")


def test_every_case_has_its_folder_and_the_page_has_all_cases(tmp_path: Path) -> None:
    page = index(tmp_path, *(make() for make in SMALL))
    for make in SMALL:
        assert make().sentence in Page(page).text
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["different", "failed", "index.html", "matching", "same_error", "unnamed"]
    assert sorted(path.name for path in (tmp_path / "different").iterdir()) == [
        *("ask.R", "index.html", "report.json", "report.md"),
    ]
    asked = (tmp_path / "different" / "ask.R").read_text(encoding="utf-8")
    (table,) = [different().symptoms]
    assert table is not None
    assert all(each.r in asked and each.question in asked for each in table.separating)


def test_cases_stand_on_the_page_in_groups_worst_first(tmp_path: Path) -> None:
    page = index(tmp_path, matching(), same_error(), failed(), different())
    links = [link for link in Page(page).attributes("href") if link.endswith("/index.html")]
    assert links == [
        *("different/index.html", "failed/index.html", "same_error/index.html"),
        "matching/index.html",
    ]
    found = re.findall(r'<section class="group">\n<h2>([\w ]+) <', page)
    assert found == ["Not as expected", "Explained", "Nothing wrong"]


def test_a_single_page_opens_each_case_without_its_folder(tmp_path: Path) -> None:
    reports = [matching(), different()]
    page = write_report(reports, tmp_path, pictures={}, single=True).read_text(encoding="utf-8")
    assert set(Page(page).attributes("href")) == {"#case-matching", "#case-different"}
    assert {"case-matching", "case-different"} <= set(Page(page).attributes("id"))


def test_worst_pairs_stand_first_in_the_tables(tmp_path: Path) -> None:
    page = index(tmp_path, different())
    rows = re.findall(r'<tbody class="probe">\n<tr><th[^>]*>([^<]*)', page)
    assert rows[0] == "A/relu"
    shown = markdown(tmp_path, different())
    table = shown[shown.index("| Probe | Pair |") :].splitlines()
    assert "different" in table[2]


@pytest.mark.parametrize("make", SMALL)
def test_every_number_in_html_is_in_report_json(tmp_path: Path, make: Any) -> None:
    report = make()
    page = Page(index(tmp_path, report))
    forms = printed_forms(report)
    values = page.attributes("value")
    assert set(values) <= forms
    assert len(values) > 20 or not report.pairs
    html = index(tmp_path, report)
    for value, shown in re.findall(r'<data value="([^"]*)"[^>]*>([^<]*)</data>', html):
        assert {value, shown} <= forms


@pytest.mark.parametrize("make", SMALL)
def test_every_number_in_markdown_tables_is_in_report_json(tmp_path: Path, make: Any) -> None:
    report = make()
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(tmp_path, report))
    forms = printed_forms(report)
    aligned = {
        tokens[i + 1].content
        for i, token in enumerate(tokens)
        if token.type == "td_open" and "right" in str(token.attrGet("style"))
    }
    for cell in aligned - {""}:
        for number in cell.removesuffix(" NaN/Inf").removesuffix(" of bound").split(" / "):
            assert number.lstrip("=\u2248\u2260?\u2261\u2718 ") in forms


def test_a_number_that_is_not_0_is_never_printed_as_0(tmp_path: Path) -> None:
    page = index(tmp_path, matching())
    for value, shown in re.findall(r'<data value="([^"]*)"[^>]*>([^<]*)</data>', page):
        assert (float(value) == 0) == (float(re.sub("[, sMiB]", "", shown)) == 0)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_do_nothing_in_html(tmp_path: Path, words: str) -> None:
    report = hostile(words)
    pictures = {words: {"plot.svg": SVG}}
    page = Page(index(tmp_path, report, pictures=pictures))
    assert all(TAGS.fullmatch(tag) for tag, _ in page.tags)
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    for source in page.attributes("src"):
        assert source.startswith("data:image/")
    for link in page.attributes("href"):
        assert re.fullmatch(r"\.\./index\.html|[\w.%~-]+", link)
    assert " ".join(text.visible(words).split())[:1_000] in page.text


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_do_nothing_in_markdown(tmp_path: Path, words: str) -> None:
    shown = markdown(tmp_path, hostile(words))
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(shown)
    page = Page(html.replace("<!-- -->", ""))
    known = {"h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "code", "pre"}
    assert {tag for tag, _ in page.tags} <= known | {"ul", "li", "details", "summary"}
    assert not re.search(r"@\w", re.sub(r"(?s)<code.*?</code>", "", html))
    titles = [
        words
        for words in re.findall(r"<h3>(.*?)</h3>", html)
        if "worst" not in words and not words.startswith("Why ")
    ]
    assert set(titles) <= {
        *("Every model, every pair of runs", "What was executed", "Layers outside their bound"),
        *("Candidate causes", "What was claimed", "The script, with what it printed"),
        *("Levers that were pulled", "What was reported, and what would make it"),
        "What to run on the reporter's machine",
    }


@pytest.mark.parametrize("words", HOSTILE)
def test_no_control_or_direction_character_reaches_a_file(tmp_path: Path, words: str) -> None:
    write_report([hostile(words)], tmp_path, pictures={})
    for path in tmp_path.rglob("report.*"):
        found = path.read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b]", found)


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = index(tmp_path, matching(), pictures={"matching": {"overlay.svg": SVG}})
    assert "<script" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert not re.search(r'(src|href|srcset|action)="?\s*(https?:|//|javascript:)', page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("where", ["matching/index.html", "matching/report.md"])
def test_the_stand_in_never_clears_the_cran_package(tmp_path: Path, where: str) -> None:
    write_report([matching()], tmp_path, pictures={})
    found = (tmp_path / where).read_text(encoding="utf-8")
    assert "stand-in front end (keras 0.1.0): says nothing about the CRAN package" in found


def test_the_cran_package_is_named_with_its_version(tmp_path: Path) -> None:
    page = Page(index(tmp_path, different())).text
    assert "CRAN package keras3 1.5.1" in page
    assert "stand-in front end" not in page


def test_what_was_expected_stands_against_what_was_found(tmp_path: Path) -> None:
    page = Page(index(tmp_path, different())).text
    assert (
        "within-rounding, cause none; found different, cause grappler:remapping: not as expected"
        in page
    )


def test_the_ladder_shows_what_is_the_same_what_differs_and_what_was_not_reached(
    tmp_path: Path,
) -> None:
    page = index(tmp_path, different())
    steps = re.findall(r'<li class="(\w+)"><b>([\w ]+)</b>', page)
    assert [name for _, name in steps] == [
        *("text", "arguments", "config", "weights", "input", "layer", "prediction"),
        "training curve",
    ]
    assert {name: state for state, name in steps} == {
        **dict.fromkeys(("text", "arguments", "config", "weights", "prediction"), "open"),
        "input": "same",
        "layer": "differs",
        "training curve": "open",
    }


def test_the_script_shows_its_calls_beside_and_its_output_below(tmp_path: Path) -> None:
    page = index(tmp_path, matching())
    row = re.search(r'<td class="no">2</td>(.*?)</tr>', page, re.DOTALL)
    assert row is not None
    assert re.findall(r"<pre[^>]*>(.*?)</pre>", row[1]) == [
        "print(predict(m, x))",
        "#&gt; [1] 0",
        "#&gt; [2] 1",
        "Sequential.predict(x)  # 2 times",
    ]


def test_an_error_stands_in_the_open_with_its_place(tmp_path: Path) -> None:
    page = Page(index(tmp_path, same_error())).text
    assert "ValueError: Unrecognized keyword arguments: ['weights'] (line 2, column 5)" in page


def test_a_case_of_which_nothing_is_known_still_has_its_page(tmp_path: Path) -> None:
    page = Page(index(tmp_path, empty())).text
    assert "abstained" in page
    assert "not compared" in page


def test_no_case_at_all_is_said(tmp_path: Path) -> None:
    assert "No case was run." in Page(index(tmp_path)).text


def test_a_picture_is_put_into_the_page_and_beside_it(tmp_path: Path) -> None:
    pictures = (
        Picture(file="r.svg", title="R", kind="r-plot"),
        Picture(file="o.png", title="ours", kind="overlay"),
    )
    report = matching().model_copy(update={"pictures": pictures})
    page = index(tmp_path, report, pictures={"matching": {"r.svg": SVG, "o.png": PNG}})
    sources = Page(page).attributes("src")
    assert [source.partition(",")[0] for source in sources] == [
        *("data:image/svg+xml", "data:image/png;base64"),
    ]
    assert (tmp_path / "matching" / "r.svg").read_bytes() == SVG
    assert "http:" not in sources[0].replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SVG + b" " * 1_000_000, "too many for this page"),
        (b"<html><script>alert(1)</script>", "neither SVG nor PNG"),
        (None, "The file is missing."),
    ],
)
def test_a_picture_that_cannot_be_shown_is_explained(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    picture = Picture(file="r.svg", title="R", kind="r-plot")
    report = matching().model_copy(update={"pictures": (picture,)})
    files = {} if content is None else {"r.svg": content}
    page = index(tmp_path, report, pictures={"matching": files})
    assert said in Page(page).text
    assert not Page(page).attributes("src")
    assert ("r.svg" in Page(page).attributes("href")) == (content is not None)


@pytest.mark.parametrize("name", ["../r.svg", "a/b.svg", "report.json", "", "..", "r\x00.svg"])
def test_a_picture_cannot_be_written_outside_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a plain name"):
        write_report([matching()], tmp_path, pictures={"matching": {name: SVG}})


@pytest.mark.parametrize("name", ["../../up", "/etc/passwd", "a\\b", "index.html", "CON\x00", "."])
def test_a_case_cannot_be_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    write_report([matching().model_copy(update={"case": name})], out, pictures={})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(list(out.glob("*/report.json"))) == 1
    assert (out / "index.html").is_file()


def test_two_cases_of_one_name_keep_apart(tmp_path: Path) -> None:
    write_report([matching(), matching()], tmp_path, pictures={})
    assert len(list(tmp_path.glob("*/report.json"))) == 2


def test_a_second_report_replaces_the_first_and_leaves_no_parts(tmp_path: Path) -> None:
    index(tmp_path, failed())
    page = index(tmp_path, matching())
    assert matching().sentence in page
    assert failed().sentence not in page
    assert failed().sentence not in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="out"):
        write_report([matching()], tmp_path / "out", pictures={})


def test_what_is_very_long_is_cut_and_the_cut_is_said(tmp_path: Path) -> None:
    line = matching().source[0].model_copy(update={"output": "spam\n" * 100_000})
    report = matching().model_copy(update={"source": (line,)})
    page = index(tmp_path, report)
    assert len(page) < 200_000
    assert "more characters in report.json" in page
    assert len(markdown(tmp_path, report)) < 60_000


def test_the_founding_case_makes_a_small_page(tmp_path: Path) -> None:
    drawing = draw(founding_capsules())
    pairs = tuple(
        pair.model_copy(update={"probe": f"{pair.probe}{i}"})
        for pair in matching().pairs
        for i in range(6)
    )
    report = matching().model_copy(update={"pairs": pairs, "pictures": drawing.pictures})
    page = index(tmp_path, report, pictures={"matching": drawing.files})
    assert len(page.encode()) < 1_000_000
    assert len((tmp_path / "matching" / "report.md").read_text(encoding="utf-8")) < 65_536


def test_what_was_run_again_is_listed_on_every_surface(tmp_path: Path) -> None:
    row = ExperimentRow(
        kind="fit again",
        changed="4 times the epochs",
        expected="no lower loss",
        outcome="loss 0.25",
    )
    report = different().model_copy(update={"experiments": (row,)})
    write_report([report], tmp_path, pictures={})
    (folder,) = folders([report])
    for name in ("index.html", "report.md", "report.json"):
        written = (tmp_path / folder / name).read_text("utf-8")
        assert row.changed in written
        assert row.outcome in written


def test_the_pages_of_a_hundred_cases_are_small(tmp_path: Path) -> None:
    reports, pictures = hundred()
    page = write_report(reports, tmp_path / "list", pictures=pictures)
    assert page.stat().st_size <= 150_000
    sizes = [each.stat().st_size for each in page.parent.glob("*/index.html")]
    assert len(sizes) == 100
    assert statistics.median(sizes) <= 300_000
    alone = write_report(reports, tmp_path / "one", pictures=pictures, single=True)
    assert alone.stat().st_size <= 1_600_000


@pytest.mark.parametrize("name", [FOUNDING, *KINDS])
def test_what_is_pasted_has_few_words_before_the_fold(tmp_path: Path, name: str) -> None:
    shown = markdown(tmp_path, stored(name))
    assert len(shown.partition("<details>")[0].split()) <= 400


def test_only_the_script_that_narrows_the_list_may_run(tmp_path: Path) -> None:
    page = index(tmp_path, matching(), different())
    (script,) = re.findall(r"(?s)<script>(.*?)</script>", page)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policies = Page(page).attributes("content")
    assert any(f"script-src 'sha256-{digest}';" in each for each in policies)
