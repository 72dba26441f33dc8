"""The gate for all rules: each has a page, says little, and finds what its page says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from bridge.facts.causes import is_cause
from bridge.rules import registry
from bridge.rules.rule import FAMILIES, Rule
from tests.rules.samples import few_words

ROOT: Final = Path(registry.__file__).parent
HEADINGS: Final = (
    "What it says",
    "Why it happens",
    "Example",
    "Instead",
    "How it is told",
    "What it does not tell",
    "Seen in",
)
#: Codes are never used again: a rule that goes leaves its line here, with "" for a name.
CODES: Final = {
    "C01": "fraction-cut-off",
    "C02": "data-frame",
    "C03": "sorted-names",
    "D01": "unscaled",
    "D02": "missing-values",
    "D03": "equal-arrays",
    "D04": "counted-from-one",
    "D05": "sorted-rows",
    "D06": "scaled-once",
    "D07": "rows-on-both-sides",
    "D08": "commonest-class",
    "D20": "beginnings-cut-off",
    "D09": "rows-moved-apart",
    "E01": "function-of-the-interpreter",
    "E02": "factor-as-targets",
    "E03": "axis-zero",
    "E04": "misspelled-argument",
    "E05": "texts-for-numbers",
    "E06": "optimizer-used-twice",
    "E07": "repaired-call",
    "E08": "function-of-the-other-package",
    "L01": "softmax-over-one-unit",
    "L02": "sigmoid-for-exclusive-classes",
    "L03": "no-probabilities",
    "L04": "logits-for-probabilities",
    "L05": "activation-twice",
    "L06": "targets-out-of-range",
    "L07": "labels-outside-the-loss",
    "L08": "one-output-for-classes",
    "L09": "labels-in-another-form",
    "L10": "accuracy-of-another-question",
    "L11": "accuracy-of-measurements",
    "L12": "dropout-on-logits",
    "L13": "squares-of-probabilities",
    "L14": "percentage-of-zero",
    "L15": "binary-loss-of-exclusive-classes",
    "L20": "loss-of-the-wrong-sign",
    "M01": "no-non-linearity",
    "M02": "dead-units",
    "M03": "signal-vanishes",
    "M04": "frozen-and-free",
    "M05": "normalises-the-wrong-axis",
    "M06": "index-of-a-table",
    "M07": "input-does-not-matter",
    "M08": "units-never-part",
    "M09": "mask-lost",
    "M10": "missing-flatten",
    "M11": "saturated-output",
    "M12": "two-slopes",
    "M13": "two-gelus",
    "M14": "activation-that-never-shows",
    "P01": "predict-twice",
    "P02": "rows-mix",
    "P03": "loss-of-the-predictions",
    "P04": "training-mode",
    "P05": "asking-changes-the-model",
    "P06": "saved-or-cloned",
    "P08": "loss-at-the-start",
    "P09": "other-last-digits",
    "R01": "null-left-out",
    "R02": "dropped-axis",
    "R03": "one-model-two-names",
    "R04": "repeated-pipe",
    "R05": "functions-of-a-loop",
    "R06": "results-counted-from-one",
    "R12": "axis-of-the-batch",
    "R14": "recycled-down-columns",
    "R07": "subscripts-counted-from-zero",
    "R08": "two-counts",
    "R09": "from-the-end",
    "R10": "seed-of-the-other-generator",
    "R11": "ranges-include-their-end",
    "R13": "columns-first",
    "R15": "name-that-is-not-there",
    "R16": "range-before-the-sum",
    "R17": "factor-by-the-alphabet",
    "T01": "never-trained",
    "T02": "hardly-trained",
    "T03": "diverges",
    "T04": "rate-too-small",
    "T05": "penalty-rules",
    "T06": "callback-never-acts",
    "T07": "argument-reaches-nothing",
    "T08": "unbounded-recurrence",
}


class Block(NamedTuple):
    """R code of a page, and what is found in it: a line, or nothing."""

    code: str
    text: str
    line: int | None


def blocks(rule: Rule) -> Iterator[Block]:
    """Yield the R blocks of a rule's page."""
    for text in re.findall(r"```r\n(.*?)```", registry.page(rule.code), re.DOTALL):
        head = re.match(r"#\| rule: (none|([A-Z]\d\d) line (\d+))\n", text)
        assert head is not None, f"{rule.code}: a block does not say what is found in it"
        assert head[1] == "none" or head[2] == rule.code
        yield Block(rule.code, text, int(head[3]) if head[3] else None)


def of_all() -> list[Rule]:
    return list(registry.rules().values())


def test_codes_are_pinned() -> None:
    assert {rule.code: rule.name for rule in of_all()} == {k: v for k, v in CODES.items() if v}


@pytest.mark.parametrize("rule", of_all(), ids=lambda rule: rule.code)
def test_a_rule_has_a_page_that_reads_like_the_others(rule: Rule) -> None:
    page = registry.page(rule.code)
    assert page.startswith(f"# {rule.code} {rule.name}\n")
    assert tuple(re.findall(r"^## (.*)$", page, re.MULTILINE)) == HEADINGS
    assert registry.page_of(rule).stem.replace("_", "-") == rule.name
    sections = re.split(r"^## .*$", page, flags=re.MULTILINE)
    assert all(section.strip() for section in sections)


@pytest.mark.parametrize("rule", of_all(), ids=lambda rule: rule.code)
def test_a_page_shows_the_fault_and_what_to_do_instead(rule: Rule) -> None:
    found = list(blocks(rule))
    assert any(block.line for block in found)
    assert any(block.line is None for block in found)


def test_every_page_has_a_rule() -> None:
    pages = set(ROOT.glob("*/*.md"))
    assert pages == {registry.page_of(rule) for rule in of_all()}


@pytest.mark.parametrize("rule", of_all(), ids=lambda rule: rule.code)
def test_a_rule_speaks_of_what_there_is(rule: Rule) -> None:
    assert rule.code[0] in FAMILIES
    assert is_cause(rule.cause)
    assert set(rule.explains) <= set(CODES) | WAITING
    assert rule.code not in rule.explains
    assert rule.detectors


#: Rules that wait for their experiments.
WAITING: Final = {"P07"}


def spoken(node: ast.expr) -> str:
    """Return a text as it is written, with one word in the place of each value."""
    match node:
        case ast.Constant(value=str()):
            return str(node.value)
        case ast.JoinedStr():
            return "".join(spoken(each) for each in node.values)
        case ast.FormattedValue():
            return "0"
        case ast.BinOp():
            return spoken(node.left) + spoken(node.right)
        case ast.IfExp():
            return max((spoken(node.body), spoken(node.orelse)), key=len)
    return "0"


def worded() -> Iterator[tuple[str, str, str]]:
    """Yield what each call of ``RULE.finding`` says: the file, the headline and why."""
    for path in sorted(ROOT.glob("*/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) != "RULE.finding":
                continue
            texts = [spoken(each) for each in node.args]
            yield path.stem, texts[0], texts[1] if len(texts) > 1 else ""


@pytest.mark.parametrize(("file", "headline", "why"), list(worded()))
def test_a_rule_says_little(file: str, headline: str, why: str) -> None:
    few_words(headline, why)
    assert file


def test_two_rules_of_one_code_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.rules.last_layer import softmax_over_one_unit
    from bridge.rules.structure import dead_units

    registry.rules.cache_clear()
    monkeypatch.setattr(dead_units, "RULE", softmax_over_one_unit.RULE)
    with pytest.raises(registry.RuleError, match="are both L01"):
        registry.rules()
    monkeypatch.undo()
    registry.rules.cache_clear()


@pytest.mark.parametrize(("code", "near"), [("L1", "L01"), ("softmax-over-one-units", "L01")])
def test_an_unknown_code_names_the_near_ones(code: str, near: str) -> None:
    with pytest.raises(registry.RuleError, match=near):
        registry.find(code)
    (problem,) = registry.unknown([code])
    assert near in problem
