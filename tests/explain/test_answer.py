"""The answer of a case: short, in plain words, and never surer than what was concluded."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._text import capitalised
from bridge.capsule import Capsule, ErrorRecord, Manifest, Probe, Status
from bridge.compare.result import LayerVerdict, ProbePair, RunPair, Verdict, Worst
from bridge.explain.answer import (
    HEADLINE_LENGTH,
    WHY_SENTENCES,
    WHY_WORDS,
    answer,
    fitted,
)
from bridge.explain.conclusion import Conclusion
from bridge.explain.result import Candidate, CauseEvidence
from bridge.facts.causes import CAUSES
from bridge.rules.rule import Finding
from tests.explained_samples import symptoms

VERDICTS = list(get_args(Verdict))
NAMED = [cause.replace("<pass>", "remapping").replace("<op>", "MatMul") for cause in CAUSES]
#: What reports call their runs and stages: nothing for a headline.
OURS = re.compile(r"\b(replay|intent|twin|reference|stage|prediction)\b", re.IGNORECASE)


def run(runner: str = "r", status: Status = "ok", error: ErrorRecord | None = None) -> Capsule:
    return Capsule(Manifest(runner=runner, case="a", status=status, error=error), {})


def pair(other: str, verdict: Verdict) -> RunPair:
    return RunPair(a="r", b=other, verdict=verdict, first_divergence=None, probes=(), detail="")


@given(
    st.sampled_from(VERDICTS),
    st.sampled_from(NAMED),
    st.text(max_size=600),
    st.sampled_from(get_args(Status)),
    st.sampled_from([None, 1, 123_456]),
)
def test_every_field_is_as_short_as_it_must_be(
    verdict: Verdict, cause: str, sentence: str, status: Status, line: int | None
) -> None:
    error = ErrorRecord(language="r", cls="simpleError", message=sentence, line=line)
    found = CauseEvidence(cause=cause, sentence=sentence, lines=(line,) if line else ())
    concluded = Conclusion(verdict, cause, sentence, attribution=found, headline=sentence)
    ended = run(status=status, error=error if status == "error" else None)
    runs = {"r": ended, "replay": run("replay"), "intent": run("intent")}
    made = answer(concluded, runs, [pair("replay", verdict), pair("intent", verdict)])
    assert 0 < len(made.headline) <= HEADLINE_LENGTH
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", made.why)
    assert len(sentences) <= WHY_SENTENCES
    assert all(len(each.split()) <= WHY_WORDS for each in sentences)
    if status != "error":
        assert not OURS.search(made.headline)


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("cause", NAMED)
def test_a_headline_is_plain_and_needs_no_cutting(verdict: Verdict, cause: str) -> None:
    found = CauseEvidence(cause=cause, sentence="", lines=(12,))
    made = answer(Conclusion(verdict, cause, "", attribution=found), {"r": run()}, [])
    assert "..." not in made.headline
    assert not made.headline.endswith(".")
    assert made.headline[0].isupper()


def test_a_rule_that_names_the_cause_is_the_answer() -> None:
    rule = Finding(
        rule="L01", name="softmax-over-one-unit", headline="It is 1", whose="yours", cause="maths"
    )
    other = rule.model_copy(update={"rule": "L02", "cause": "user-script"})
    concluded = Conclusion("same-bits", "maths", "Alike.", findings=(other, rule))
    assert answer(concluded, {"r": run()}, []) is rule


def test_what_is_not_known_is_open_and_decides_nothing() -> None:
    concluded = Conclusion("abstained", "not-known", "It is not known.")
    made = answer(concluded, {"r": run()}, [pair("replay", "same-bits")])
    assert (made.confidence, made.decides, made.whose) == ("open", False, "nobody")


@pytest.mark.parametrize(
    ("others", "sure"), [((), "likely"), (("intent",), "proven"), (("twin",), "proven")]
)
def test_that_nothing_is_wrong_is_proven_by_a_run_of_what_was_meant(
    others: tuple[str, ...], sure: str
) -> None:
    runs = {"r": run(), **{name: run(name) for name in others}}
    pairs = [pair(name, "same-bits") for name in ("replay", *others)]
    made = answer(Conclusion("same-bits", "none", "Alike."), runs, pairs)
    assert made.confidence == sure


def test_an_error_is_told_in_its_own_words() -> None:
    error = ErrorRecord(language="r", cls="simpleError", message="object 'x' not found", line=7)
    concluded = Conclusion("failed", "user-script", "The script stops.")
    made = answer(concluded, {"r": run(status="error", error=error)}, [])
    assert made.headline == "Line 7 stops: object 'x' not found"
    assert made.lines == (7,)


def test_a_line_of_many_short_words_is_not_cut() -> None:
    """What is cut is the end, which may be what the sentence is about."""
    said = "R makes the layers in another order than they are written here"
    found = CauseEvidence(cause="r-semantics", sentence="", lines=(14,), headline=said)
    concluded = Conclusion("different", "r-semantics", "", attribution=found)
    assert answer(concluded, {"r": run()}, []).headline == said


def test_a_reason_is_told_to_its_end() -> None:
    reason = (
        "R and the replay without R could not be set side by side (fit 1 (line 21)): not "
        "everything could be replayed: line 12: a layer keeps its weights in a list of R"
    )
    made = answer(Conclusion("abstained", "not-known", f"{reason}."), {"r": run()}, [])
    assert made.why == f"{reason}."


def test_a_cut_headline_says_so() -> None:
    assert fitted("one two three", length=11) == "one two ..."
    assert fitted("one two three", length=13) == "one two three"
    assert fitted("It is so.") == "It is so"
    assert len(fitted("x" * 200)) <= HEADLINE_LENGTH


def test_what_one_run_left_out_is_not_proven() -> None:
    runs = {name: run(name) for name in ("r", "replay", "intent", "reference")}
    pairs = [
        pair("replay", "same-bits"),
        pair("intent", "same-bits"),
        pair("reference", "abstained"),
    ]
    made = answer(Conclusion("same-bits", "none", "Alike."), runs, pairs)
    assert made.confidence == "likely"
    outcomes = {row.changed: row.outcome for row in made.evidence}
    assert outcomes["each layer in float64"] == "not judged"


@pytest.mark.parametrize(
    ("predicts", "said"),
    [
        (True, "in 1 of 2 results the same, but for rounding"),
        # What a training does is not judged by its layers.
        (False, "the same, but for rounding"),
    ],
)
def test_it_is_said_how_many_results_were_judged(predicts: bool, said: str) -> None:
    probes = tuple(
        ProbePair(a="r", b="reference", probe=name, verdict=verdict, rung="certified", points=3,
                  difference=None, predicts=predicts or name != "fit 2")
        for name, verdict in (("predict 1", "within-rounding"), ("fit 2", "abstained"))
    )  # fmt: skip
    partly = pair("reference", "abstained").model_copy(update={"probes": probes})
    runs = {name: run(name) for name in ("r", "reference")}
    made = answer(Conclusion("same-bits", "none", "Alike."), runs, [partly])
    (row,) = made.evidence
    assert row.outcome == said


def test_a_wrong_layer_gives_the_headline_its_numbers_and_the_line() -> None:
    layer = LayerVerdict(
        layer="less", cls="Less", verdict="different", rung="certified",
        worst=(Worst(index=(0,), a=0.1, b=0.10000001, ulp=1.0),),
    )  # fmt: skip
    probe = ProbePair(a="r", b="reference", probe="predict 1 (line 9)", verdict="different",
                      rung="certified", points=1, difference=None, layers=(layer,))  # fmt: skip
    wrong = pair("reference", "different").model_copy(update={"probes": (probe,)})
    asked = Capsule(
        Manifest(
            runner="r", case="a", status="ok", probes=(Probe(index=0, kind="predict", line=9),)
        ),
        {},
    )
    concluded = Conclusion("different", "kernel:Less", "")
    made = answer(concluded, {"r": asked, "reference": run("reference")}, [wrong])
    assert made.headline == "TensorFlow's Less gives 0.1 in place of 0.10000001"
    assert made.lines == (9,)


def test_what_was_reported_elsewhere_is_answered() -> None:
    runs = {name: run(name) for name in ("r", "intent")}
    concluded = Conclusion("same-bits", "none", "Alike.")
    made = answer(concluded, runs, [pair("intent", "same-bits")], symptoms())
    assert made.headline == "Right here: R is not the cause of what was reported"
    assert made.help is not None
    refuted = [row for row in made.evidence if row.changed == "R drops the activation"]
    assert len(refuted) == 1


def test_a_table_that_needs_no_fault_changes_nothing() -> None:
    runs = {name: run(name) for name in ("r", "intent")}
    table = symptoms()
    healthy = Candidate(name="nothing is wrong here", cause="maths", sentence="")
    table = table.model_copy(update={"candidates": (healthy,), "standing": (healthy.name,)})
    concluded = Conclusion("same-bits", "none", "Alike.")
    plain = answer(concluded, runs, [pair("intent", "same-bits")])
    assert answer(concluded, runs, [pair("intent", "same-bits")], table) == plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("array() fills by columns in R", "array() fills by columns in R"),
        ("my_units is cut off", "my_units is cut off"),
        ("numbers differ", "Numbers differ"),
        ("", ""),
    ],
)
def test_a_name_of_code_begins_a_sentence_as_it_is_written(text: str, shown: str) -> None:
    assert capitalised(text) == shown


@pytest.mark.parametrize(
    ("status", "sure"), [("time-limit", "possible"), ("memory-limit", "proven")]
)
def test_a_script_that_met_a_clock_may_only_have_been_slow(status: Status, sure: str) -> None:
    stopped = Conclusion("failed", "user-script", "It was stopped.")
    assert answer(stopped, {"r": run(status=status)}, []).confidence == sure
