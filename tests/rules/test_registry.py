"""How rules are asked: experiments that they wait for, the order of what they find, its places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.explain.experiment import Experiment
from bridge.rules import registry
from bridge.rules.models import learned_nothing, mean_loss
from bridge.rules.ranking import few, ranked
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run as Asked
from tests.rules.samples import Run, needs_r, symbol, thing, tree_of


def test_a_rule_waits_for_its_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Rule("X01", "waits", cause="maths", needs=("fit again",))
    slower = Experiment("fit again", 0, "learning rate", 0.1)

    @waits.detector
    def detect(run: Asked) -> Iterator[Finding]:
        if run.outcome(slower) is not None:
            yield waits.finding("It falls at a tenth of the rate")

    monkeypatch.setattr(registry, "rules", lambda: {"X01": waits})
    capsule = Run().capsule()
    first = registry.answers(capsule)
    assert (first.findings, first.wanted) == ((), (slower,))
    second = registry.answers(capsule, outcomes={slower: capsule})
    assert [each.rule for each in second.findings] == ["X01"]
    assert second.wanted == ()


def made(
    code: str, *, decides: bool = True, explains: tuple[str, ...] = ()
) -> tuple[Rule, Finding]:
    rule = Rule(code, "a-rule", cause="maths", explains=explains)
    return rule, rule.finding("A headline", decides=decides)


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ((("M02", True, ()), ("L03", True, ("M02",))), ["L03"]),
        ((("M02", True, ()), ("L03", False, ("M02",))), ["M02", "L03"]),
        ((("T03", True, ()), ("D02", True, ()), ("C01", True, ())), ["D02", "C01", "T03"]),
        ((("R10", True, ()), ("T05", True, ()), ("L06", False, ())), ["T05", "R10", "L06"]),
        ((("L01", True, ("L02",)), ("L02", True, ("L01",))), ["L01", "L02"]),
        ((("L11", True, ()), ("L02", True, ())), ["L02", "L11"]),
    ],
)
def test_what_decides_and_explains_comes_first(
    given: tuple[tuple[str, bool, tuple[str, ...]], ...], order: list[str]
) -> None:
    pairs = [made(code, decides=decides, explains=explains) for code, decides, explains in given]
    rules = {rule.code: rule for rule, _ in pairs}
    assert [each.rule for each in ranked([found for _, found in pairs], rules)] == order


def test_only_the_first_of_what_is_worth_knowing_is_told() -> None:
    pairs = [made(code, decides=code[0] == "L") for code in ("L01", "L02", "M01", "D03")]
    kept = few([found for _, found in pairs])
    assert [each.rule for each in kept] == ["L01", "L02", "M01"]


def test_a_rule_in_preview_decides_nothing() -> None:
    rule = Rule("X01", "a-rule", cause="maths", status="preview")
    assert not rule.finding("A headline").decides


@needs_r
@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('m |>\n  layer_dense(1, activation = "softmax")', (2, 31, 39)),
        ("m |>\n  layer_dense(1, act)", (2, 3, 13)),
        ("m |>\n\n  other(1)", (2, None, None)),
    ],
)
def test_a_layer_is_found_in_the_text(
    text: str, columns: tuple[int | None, ...], tmp_path: Path
) -> None:
    run = Run()
    run.call(symbol("keras.layers.Dense"), result=thing(7), line=2, r_call="layer_dense(., 1)")
    run.model(("Dense", {"units": 1, "activation": "softmax"}))
    run.about["states"][0]["layers"][0]["id"] = 7
    run.probe(inputs=[run.array("x", [1.0])])
    about = {"name": "a.R", "language": "r", "text": text, "sha256": ""}
    capsule = run.capsule(script=about)
    (found,) = registry.answers(capsule, tree_of(text, tmp_path)).findings
    span = found.spans[0]
    assert (span.line, span.column, span.end_column) == columns


@pytest.mark.parametrize(
    ("loss", "y", "p", "value"),
    [
        ("meansquarederror", [[1.0], [3.0]], [[2.0], [2.0]], 1.0),
        ("meanabsoluteerror", [[1.0], [4.0]], [[2.0], [2.0]], 1.5),
        ("binarycrossentropy", [1, 0], [[0.5], [0.5]], np.log(2)),
        ("categoricalcrossentropy", [[1, 0], [0, 1]], [[0.5, 0.5], [0.5, 0.5]], np.log(2)),
        ("sparsecategoricalcrossentropy", [0, 1], [[0.5, 0.5], [0.5, 0.5]], np.log(2)),
        ("sparsecategoricalcrossentropy", [0, 5], [[0.5, 0.5], [0.5, 0.5]], None),
        ("poisson", [[1.0]], [[1.0]], None),
    ],
)
def test_a_loss_is_computed_from_predictions(
    loss: str, y: Any, p: Any, value: float | None
) -> None:
    found = mean_loss(loss, np.array(y), np.array(p))
    assert found == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("loss", "y", "value", "nothing"),
    [
        ("binarycrossentropy", [0, 1] * 20, 0.70, True),
        ("binarycrossentropy", [0, 1] * 20, 0.68, True),
        ("binarycrossentropy", [0, 1] * 20, 0.60, False),
        ("sparsecategoricalcrossentropy", [0, 1, 2, 3] * 10, 1.386, True),
        ("sparsecategoricalcrossentropy", [0, 1, 2, 3] * 10, 1.2, False),
        ("meansquarederror", [1.0, 3.0] * 20, 1.0, True),
        ("meansquarederror", [1.0, 3.0] * 20, 0.5, False),
        ("poisson", [1.0, 3.0] * 20, 9.0, False),
    ],
)
def test_what_is_no_better_than_one_answer_for_all_learned_nothing(
    loss: str, y: Any, value: float, nothing: bool
) -> None:
    assert learned_nothing(loss, np.array(y), value) is nothing
