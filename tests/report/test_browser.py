"""The pages in a browser: at a desk and on a phone, light and dark, with keys alone, on paper.

Pictures of pages are not compared point by point: fonts differ between machines, and with them
where lines wrap. What is compared is layout: which blocks stand beside each other, in which order,
and how wide they are as a share of the window. None of these hangs on a font.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from bridge.report import write_report
from tests.report_samples import FOUNDING, KINDS, STORED, hundred, stored

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: make test brings it"
)
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: make test brings it"),
]

LAYOUT: Final = STORED / "layout.json"
DESK, PHONE = 1280, 390
SCREEN: Final = 800
#: How far an edge may be from where it was, as a share of the window: scroll bars are as wide.
NEAR: Final = 0.015


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a suite of a hundred cases of every kind; return its folder."""
    out = tmp_path_factory.mktemp("site")
    reports, pictures = hundred()
    write_report(reports, out, pictures=pictures, changed={reports[-1].case: "It was otherwise"})
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def opened(browser: Browser, site: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give a page at the width and in the colours that a test asks for, at the list of cases."""
    asked: dict[str, Any] = getattr(request, "param", {})
    context = browser.new_context(
        viewport={"width": asked.get("width", DESK), "height": SCREEN},
        color_scheme=asked.get("scheme", "light"),
        java_script_enabled=asked.get("scripts", True),
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((site / "index.html").as_uri())
    yield page
    context.close()
    assert not said


def names(site: Path) -> list[str]:
    cases = [FOUNDING, *(stored(name).case for name in KINDS)]
    others = [path.name for path in site.glob("different_*")][:1]
    return ["index.html", *(f"{case}/index.html" for case in (*cases, *others))]


def every_page(page: Page, site: Path) -> Iterator[str]:
    """Open each kind of page, with all that is folded open."""
    for name in names(site):
        page.goto((site / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        yield name


EVERYWHERE: Final = pytest.mark.parametrize(
    "opened",
    [{"width": width} for width in (DESK, PHONE)],
    indirect=True,
    ids=["desk", "phone"],
)


@pytest.mark.parametrize(
    "opened",
    [{"width": DESK, "scheme": "light"}, {"width": PHONE, "scheme": "dark"}],
    indirect=True,
    ids=["desk-light", "phone-dark"],
)
def test_every_page_can_be_read_by_all(opened: Page, site: Path) -> None:
    """Contrast, names, order of headings, and what else axe-core finds of WCAG 2.2 AA."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
    checker = axe.Axe()
    for name in every_page(opened, site):
        # A few rows of a list are as good as all, and checked in a tenth of the time.
        opened.evaluate("""document.querySelectorAll(".cases tr:nth-child(n + 4)").forEach(
            (row) => { row.hidden = true })""")
        found = checker.run(opened, options=options).response["violations"]
        told = [(each["id"], [node["html"][:160] for node in each["nodes"][:2]]) for each in found]
        assert not told, name


@EVERYWHERE
def test_no_page_is_wider_than_its_window(opened: Page, site: Path) -> None:
    script = """() => {
        const scrolls = (one) => one && (/auto|scroll|hidden/.test(getComputedStyle(one).overflowX)
            || scrolls(one.parentElement));
        const wide = [...document.body.querySelectorAll("*")].filter((one) =>
            one.getBoundingClientRect().right > innerWidth + 1 && !scrolls(one.parentElement));
        return [document.documentElement.scrollWidth - innerWidth,
            wide.slice(0, 3).map((one) => one.outerHTML.slice(0, 120))];
    }"""
    for name in every_page(opened, site):
        assert opened.evaluate(script) == [0, []], name


def test_the_list_is_narrowed_by_words_and_by_choice(opened: Page) -> None:
    rows = opened.locator(".cases tbody tr:visible")
    assert rows.count() == 100
    opened.get_by_label("Verdict").select_option("same-error")
    some = rows.count()
    assert 0 < some < 100
    assert set(rows.evaluate_all("all => all.map((one) => one.dataset.verdict)")) == {"same-error"}
    opened.get_by_label("Find").fill("SAME_error keras-version")
    assert 0 < rows.count() <= some
    assert opened.get_by_role("status").inner_text() == f"{rows.count()} of 100 shown"
    assert opened.locator("section.group:visible").count() == 1
    opened.get_by_label("Find").fill("no such word")
    assert opened.get_by_role("status").inner_text() == "0 of 100 shown"
    opened.get_by_role("button", name="Clear").click()
    opened.wait_for_function("document.querySelectorAll('tr[hidden]').length === 0")
    assert rows.count() == 100


def test_all_groups_stand_in_their_order(opened: Page) -> None:
    found = opened.locator("section.group h2").all_inner_texts()
    heads = [text.rpartition(" ")[0] for text in found]
    assert heads == ["Not as expected", "Changed since the last run here", "Explained",
                     "Nothing wrong"]  # fmt: skip


@pytest.mark.parametrize("opened", [{"scripts": False}], indirect=True)
def test_without_scripts_all_is_seen_and_nothing_is_dead(opened: Page) -> None:
    assert opened.locator(".cases tbody tr:visible").count() == 100
    assert opened.locator("#filter").is_hidden()
    opened.get_by_role("link", name=FOUNDING).click()
    assert opened.locator("h1").is_visible()
    part = opened.locator("details.part").first
    assert part.locator("dl").first.is_hidden()
    part.locator("summary").first.click()
    assert part.locator("dl").first.is_visible()


def test_a_case_is_found_and_opened_with_keys_alone(opened: Page) -> None:
    focused = "document.activeElement"
    opened.keyboard.press("Tab")
    assert opened.evaluate(f"{focused}.name") == "words"
    opened.keyboard.type(FOUNDING)
    places: list[str] = []
    while not (places and places[-1] == "A"):
        opened.keyboard.press("Tab")
        places.append(opened.evaluate(f"{focused}.tagName"))
        outline = opened.evaluate(f"getComputedStyle({focused}).outlineStyle")
        assert outline != "none", places
    assert places == ["SELECT", "SELECT", "SELECT", "BUTTON", "A"]
    opened.keyboard.press("Enter")
    opened.wait_for_url(f"**/{FOUNDING}/index.html")
    opened.keyboard.press("Tab")
    assert opened.evaluate(f"{focused}.textContent") == "All cases"
    for _ in range(40):
        opened.keyboard.press("Tab")
        if opened.evaluate(f"{focused}.tagName") == "SUMMARY":
            break
    opened.keyboard.press("Enter")
    assert opened.evaluate(f"{focused}.parentElement.open") is True
    opened.go_back()
    assert opened.get_by_label("Find").input_value() == FOUNDING
    assert opened.locator(".cases tbody tr:visible").count() == 1


def test_a_page_is_there_within_a_second(opened: Page, site: Path) -> None:
    """The best of three: a machine that is busy is not what is tested."""
    for name in names(site):
        times = []
        for _ in range(3):
            opened.goto((site / name).as_uri())
            times.append(opened.evaluate("performance.getEntriesByType('navigation')[0].duration"))
        assert min(times) < 1000, name


def test_what_r_drew_stands_beside_ours_on_the_first_screen(opened: Page, site: Path) -> None:
    opened.goto((site / FOUNDING / "index.html").as_uri())
    r, ours = (opened.locator("figure").nth(n).bounding_box() for n in (0, 1))
    assert r is not None
    assert ours is not None
    assert r["x"] + r["width"] <= ours["x"]
    for box in (r, ours):
        assert box["y"] + box["height"] <= SCREEN
    rows = opened.locator(".reported tbody tr")
    assert rows.count() == 3


def test_on_paper_all_cases_are_listed_and_no_control_is(opened: Page) -> None:
    opened.emulate_media(media="print")
    assert opened.locator("#filter").is_hidden()
    assert opened.locator(".cases tbody tr:visible").count() == 100
    white = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert white == "rgb(255, 255, 255)"


#: The blocks whose places are compared: their edges hang on the window, not on letters.
BLOCKS: Final = (
    *("header", "h1", ".excerpt", ".help", "#filter", ".note", ".group", ".cases", "figure"),
    *(".claims", "details.part", "footer"),
)


def layout(page: Page, site: Path) -> dict[str, list[list[Any]]]:
    """Return the blocks of each page from the top, with their edges as shares of the window."""
    script = """(blocks) => [...document.querySelectorAll(blocks.join(","))]
        .filter((one) => one.getClientRects().length)
        .map((one) => {
            const box = one.getBoundingClientRect();
            const name = blocks.findLast((each) => one.matches(each));
            return [box.top + scrollY, name, box.left / innerWidth, box.right / innerWidth];
        }).sort((a, b) => a[0] - b[0] || a[2] - b[2])
        .map(([top, ...rest]) => rest)"""
    found = {}
    for name in names(site):
        page.goto((site / name).as_uri())
        seen = page.evaluate(script, list(BLOCKS))
        found[name] = [[block, round(a, 3), round(b, 3)] for block, a, b in seen]
    return found


@pytest.mark.parametrize(
    "opened", [{"width": DESK}, {"width": PHONE}], indirect=True, ids=["desk", "phone"]
)
def test_blocks_stand_where_they_stood(opened: Page, site: Path) -> None:
    """Kept by ``write_layout``: whoever writes it anew has looked at the pages."""
    kept = json.loads(LAYOUT.read_text("utf-8"))
    width = opened.viewport_size["width"] if opened.viewport_size else 0
    found = layout(opened, site)
    for name, blocks in kept[str(width)].items():
        assert [block for block, *_ in found[name]] == [block for block, *_ in blocks], name
        for (block, *edges), (_, *before) in zip(found[name], blocks, strict=True):
            assert edges == pytest.approx(before, abs=NEAR), (name, block)


def write_layout(browser: Browser, site: Path) -> None:
    """Keep the layout as it is now."""
    kept = {}
    for width in (DESK, PHONE):
        page = browser.new_page(viewport={"width": width, "height": SCREEN})
        kept[str(width)] = layout(page, site)
    LAYOUT.write_text(json.dumps(kept, separators=(",", ":")) + "\n", "utf-8")
