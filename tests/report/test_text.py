"""A stranger's words are shown, run nothing, and do not change the text around them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bridge.report import text
from tests.report_samples import HOSTILE

anything = st.text(max_size=60) | st.sampled_from(HOSTILE)
# The characters that mean something to Markdown, much oftener than chance would bring them.
pointed = st.text(alphabet="`|\\*_#[]()<>!&~@-+=.1 a\n", max_size=40)


def rendered(markdown: str) -> str:
    """Return HTML as GitHub would make it, as far as CommonMark and tables go."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


@given(anything)
def test_nothing_that_is_unseen_stays_unseen(value: str) -> None:
    left = {c for c in text.visible(value) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl")}
    assert left <= set("\n\t\u200c\u200d")


@pytest.mark.parametrize("shown", ["plain", "\u05e9\u05dc\u05d5\u05dd", "\u4f60\u597d", "e\u0301"])
def test_ordinary_words_of_any_script_stay_as_they_are(shown: str) -> None:
    assert text.visible(shown) == shown


def test_control_characters_are_written_as_escapes() -> None:
    assert text.visible("a\x00b\u202ec\U000e0041") == "a\\x00b\\u202ec\\U000e0041"


def test_terminal_colours_are_dropped() -> None:
    assert text.visible("\x1b[1mbold\x1b[0m") == "bold"


@given(anything | pointed)
def test_escaped_text_renders_as_one_paragraph_of_itself(value: str) -> None:
    html = rendered(text.markdown(value)).replace("<!-- -->", "")
    shown = text.one_line(value)
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert html == (f"<p>{escaped.replace(chr(34), '&quot;')}</p>\n" if shown else "")


@given(anything | pointed)
def test_a_cell_stays_one_cell(value: str) -> None:
    for cell in (text.markdown(value), text.code(value, cell=True)):
        html = rendered(f"| a | b |\n| --- | --- |\n| {cell} | after |\n")
        assert html.count("<td>") == 2
        assert "<td>after</td>" in html


@given(anything | pointed)
def test_a_code_span_holds_what_it_was_given(value: str) -> None:
    html = rendered("before " + text.code(value))
    shown = text.one_line(value)
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    wanted = f"<code>{escaped.replace(chr(34), '&quot;')}</code>" if shown else ""
    assert html == f"<p>before {wanted}".rstrip() + "</p>\n"


@given(anything | pointed)
def test_a_fenced_block_ends_where_it_should(value: str) -> None:
    html = rendered(text.fenced(value, "r") + "\n\nafter\n")
    assert html.count("<pre>") == 1
    assert html.endswith("<p>after</p>\n")


def test_nobody_is_mentioned() -> None:
    assert "@someone" not in text.markdown("@someone and #123 and GH-7")
    assert "#123" not in text.markdown("@someone and #123 and GH-7")


@given(st.lists(anything, max_size=8))
def test_slugs_are_plain_and_never_the_same(values: list[str]) -> None:
    taken = {"index.html"}
    slugs = [text.slug(value, taken) for value in values]
    assert len({slug.lower() for slug in slugs} | {"index.html"}) == len(slugs) + 1
    for slug in slugs:
        assert slug.isascii()
        assert slug not in ("", ".", "..")
        assert not set(slug) & set("/\\: \n")


def test_a_cut_says_how_much_is_missing() -> None:
    assert text.clip("x" * 5_000, characters=10, lines=3).endswith(
        "[... 4,990 more characters in report.json]"
    )
    assert text.clip("short", characters=10, lines=3) == "short"
