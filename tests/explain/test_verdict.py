"""The conclusion follows from the runs, and claims no cause that they do not single out."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.capsule import Capsule, Environment, ErrorRecord, FrontEnd, Manifest, Probe
from bridge.capsule.schema import Call
from bridge.capsule.values import Scalar, Symbol
from bridge.compare.result import Divergence, ProbePair, RunPair, Verdict
from bridge.exact.records import ExactResult
from bridge.explain.conclusion import OtherGeneration
from bridge.explain.result import CauseEvidence
from bridge.explain.verdict import conclude
from bridge.facts.causes import CAUSES, is_cause, meaning
from tests.rules.samples import said as answer


def run(runner: str = "r", **fields: Any) -> Capsule:
    about = {"status": "ok", "probes": (Probe(index=0, kind="predict"),)} | fields
    return Capsule(Manifest.model_validate({"runner": runner, "case": "case"} | about), {})


def pair(b: str, verdict: Verdict, stage: Any = None) -> RunPair:
    probe = ProbePair(
        a="r", b=b, probe="predict 1", verdict=verdict, rung="bit-equal", points=5, difference=None
    )
    where = Divergence(stage=stage, where="x[0]", detail="1 against 2") if stage else None
    return RunPair(a="r", b=b, verdict=verdict, first_divergence=where, probes=(probe,))


def python_error(line: int = 3) -> ErrorRecord:
    return ErrorRecord(language="python", cls="ValueError", message="no weights here", line=line)


def raising_call() -> Call:
    return Call(
        id=1,
        kind="call",
        target=Symbol(path="keras:Dense", public="keras.layers.Dense"),
        error=python_error(),
    )


def test_runs_that_agree_have_the_worst_of_their_good_verdicts() -> None:
    found = conclude({"r": run()}, [pair("replay", "same-bits"), pair("twin", "within-rounding")])
    assert (found.verdict, found.cause) == ("within-rounding", "none")
    assert "R, R's calls made again without R and the Python twin agree" in found.sentence
    assert "5 points of 1 prediction" in found.sentence


def test_a_twin_that_differs_is_not_blamed_on_r() -> None:
    pairs = [pair("replay", "same-bits"), pair("twin", "different", "weights")]
    found = conclude({"r": run()}, pairs)
    assert (found.verdict, found.cause) == ("different", "not-known")
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "weights"
    assert "first in the weights" in found.sentence
    assert found.unexplained


def test_runs_that_could_not_be_judged_are_not_called_equal() -> None:
    found = conclude({"r": run()}, [pair("reference", "abstained")])
    assert (found.verdict, found.cause) == ("abstained", "not-known")


def test_the_same_error_that_the_other_keras_does_not_raise_is_a_matter_of_generations() -> None:
    runs = {"r": run(caught=(python_error(),), calls=(raising_call(),))}
    pairs = [pair("replay", "same-error"), pair("twin", "same-error")]
    found = conclude(runs, pairs, OtherGeneration("tf_keras 2", (True,)))
    assert (found.verdict, found.cause) == ("same-error", "keras-version")


@pytest.mark.parametrize("other", [None, OtherGeneration("tf_keras 2", (False,))])
def test_the_same_error_alone_singles_out_no_cause(other: OtherGeneration | None) -> None:
    runs = {"r": run(caught=(python_error(),), calls=(raising_call(),))}
    found = conclude(runs, [pair("replay", "same-error")], other)
    assert (found.verdict, found.cause) == ("same-error", "not-known")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("syntax-error", "does not parse: line 2, column 5"),
        ("not-utf8", "is not UTF-8"),
        ("empty", "is empty"),
        ("time-limit", "did not end in time and was stopped at line 2"),
        ("memory-limit", "more memory than it may"),
        ("output-limit", "floods its output"),
        ("killed", "process died at line 2"),
    ],
)
def test_a_script_that_did_not_run_through_has_a_sentence_of_its_own(
    status: str, words: str
) -> None:
    error = ErrorRecord(language="process", cls=status, message="it is so", line=2, column=5)
    found = conclude({"r": run(status=status, error=error, probes=())}, [])
    assert (found.verdict, found.cause) == ("failed", "user-script")
    assert words in found.sentence


def test_an_error_of_the_scripts_own_is_the_scripts() -> None:
    error = ErrorRecord(language="r", cls="simpleError", message="no", line=4, origin="script")
    found = conclude({"r": run(status="error", error=error)}, [])
    assert (found.verdict, found.cause) == ("failed", "user-script")
    assert "line 4" in found.sentence


def test_an_error_of_the_r_package_is_not_called_the_scripts() -> None:
    error = ErrorRecord(language="r", cls="simpleError", message="no", line=4, origin="keras")
    found = conclude({"r": run(status="error", error=error)}, [])
    assert found.cause == "not-known"
    assert "R package keras" in found.sentence


@pytest.mark.parametrize(
    ("meant", "cause"),
    [
        ({}, "r-semantics"),
        ({"gaps": ("a.R:3: what is not known",)}, "not-known"),
        ({"status": "error", "error": python_error()}, "not-known"),
    ],
    ids=["taken", "gap", "refused"],
)
def test_what_the_r_package_refuses_and_keras_takes_is_the_packages_rule(
    meant: dict[str, Any], cause: str
) -> None:
    error = ErrorRecord(language="r", cls="simpleError", message="no", line=4, origin="keras")
    runs = {"r": run(status="error", error=error), "intent": run("intent", **meant)}
    found = conclude(runs, [pair("intent", "different", "arguments")])
    assert (found.verdict, found.cause) == ("failed", cause)


def test_a_script_without_keras_leaves_nothing_to_compare() -> None:
    found = conclude({"r": run(probes=())}, [])
    assert found.verdict == "abstained"
    assert "never calls Keras" in found.sentence


def prints(runner: str, text: str, **fields: Any) -> Capsule:
    line = {"stream": "stdout", "text": text, "line": 5}
    return run(runner, probes=(), output=(line,), **fields)


@pytest.mark.parametrize(
    ("meant", "cause"),
    [
        ({"text": "loss 0.25 of 8"}, "none"),
        ({"text": "loss 0.75 of 8"}, "not-known"),
        ({"text": "loss 0.25 of 8", "gaps": ("a.R:3: what is not known",)}, "not-known"),
    ],
    ids=["same", "other", "gap"],
)
def test_without_a_model_what_came_back_and_what_is_printed_decide(
    meant: dict[str, Any], cause: str
) -> None:
    runs = {"r": prints("r", "loss 0.25 of 8"), "intent": prints("intent", **meant)}
    replayed = RunPair(
        a="r", b="replay", verdict="same-bits", first_divergence=None, probes=(), answers=12
    )
    nothing = RunPair(a="r", b="intent", verdict="abstained", first_divergence=None, probes=())
    assert conclude(runs, [replayed, nothing]).cause == cause


@pytest.mark.parametrize("kind", ["cran", "standin"])
def test_a_stand_in_never_clears_the_cran_package(kind: Any) -> None:
    frontend = FrontEnd(kind=kind, package="keras", version="1")
    r = run(frontend=frontend, caught=(python_error(),), calls=(raising_call(),))
    found = conclude({"r": r}, [pair("replay", "same-error"), pair("twin", "same-error")])
    told = " ".join([found.sentence, *found.explanation])
    assert ("R is not the cause" in told) == (kind == "cran")
    assert ("of the CRAN package it says nothing" in told) == (kind == "standin")


def test_a_replay_that_meets_the_same_error_does_not_clear_r() -> None:
    frontend = FrontEnd(kind="cran", package="keras", version="1")
    r = run(frontend=frontend, caught=(python_error(),), calls=(raising_call(),))
    found = conclude({"r": r}, [pair("replay", "same-error")])
    assert "R is not the cause" not in found.sentence


def test_a_whole_double_among_the_arguments_forbids_blaming_the_generation() -> None:
    call = raising_call().model_copy(update={"kwargs": {"units": Scalar(t="float", v="4.0")}})
    r = run(caught=(python_error(),), calls=(call,))
    found = conclude(
        {"r": r}, [pair("replay", "same-error")], OtherGeneration("tf_keras 2", (True,))
    )
    assert found.cause == "not-known"
    assert "R writes it 4L" in " ".join(found.explanation)


def test_a_twin_that_differs_and_cannot_be_judged_is_not_left_out() -> None:
    found = conclude({"r": run()}, [pair("replay", "same-bits"), pair("twin", "abstained")])
    assert (found.verdict, found.cause) == ("abstained", "not-known")
    assert "the Python twin could not be set side by side" in found.sentence


def test_a_twin_that_did_not_run_is_said_so_and_not_compared() -> None:
    error = ErrorRecord(language="python", cls="NameError", message="no x", line=7)
    runs = {"r": run(), "twin": run("twin", status="error", error=error, probes=())}
    found = conclude(runs, [pair("twin", "different")])
    assert found.verdict == "failed"
    assert "twin did not run through; it stops at line 7: NameError: no x" in found.sentence


def test_the_scripts_own_stop_is_the_scripts_even_after_an_error_it_caught() -> None:
    own = ErrorRecord(language="r", cls="simpleError", message="enough", line=9, origin="script")
    r = run(status="error", error=own, caught=(python_error(),), calls=(raising_call(),))
    found = conclude({"r": r}, [pair("replay", "different")])
    assert (found.verdict, found.cause) == ("failed", "user-script")
    assert "line 9" in found.sentence


def test_a_package_loaded_in_hiding_is_named() -> None:
    environment = Environment(keras="keras 3.15.1", r_packages={"keras": "2.16.1"})
    found = conclude({"r": run(environment=environment)}, [pair("replay", "same-bits")])
    assert found.verdict == "abstained"
    assert "Write library(keras)" in found.sentence


def attribution(cause: str, **fields: Any) -> CauseEvidence:
    about = {"confidence": "likely", "sentence": "The pass did it.", "unexplained": ("one more",)}
    return CauseEvidence.model_validate({"cause": cause} | about | fields)


def deviating() -> ExactResult:
    about: dict[str, Any] = {"verdict": "different", "rung": "exact-probe", "pairs": 2, "agreed": 1}
    stretch = about | {
        "model": "m", "stretch": 0, "layers": ("dense",), "bare": (), "whole": True,
        "settings": ("eager",), "points": 4, "largest": 8.0, "layer": "dense",
    }  # fmt: skip
    told = {"deviating": ("eager",), "stretches": (stretch,), "refused": (), "points": 4}
    return ExactResult.model_validate(about | told | {"sentence": "A whole number is wrong."})


def test_a_cause_that_was_found_is_the_cause_of_a_difference() -> None:
    why = attribution("grappler:remapping")
    found = conclude({"r": run()}, [pair("reference", "different", "layer")], attribution=why)
    assert (found.verdict, found.cause) == ("different", "grappler:remapping")
    assert found.sentence.endswith("The pass did it.")
    assert found.unexplained == ("one more",)
    assert found.attribution == why


def test_a_search_that_found_nothing_adds_what_it_leaves_open() -> None:
    why = attribution("not-known", confidence="")
    found = conclude({"r": run()}, [pair("twin", "different", "weights")], attribution=why)
    assert found.cause == "not-known"
    assert "why R and the Python twin differ" in found.unexplained
    assert "one more" in found.unexplained
    assert "The pass did it." in found.explanation


def test_a_run_under_a_lever_decides_what_comparing_left_open() -> None:
    why = attribution("xla", verdict="different", where="model.predict(x)")
    found = conclude({"r": run()}, [pair("reference", "abstained")], attribution=why)
    assert (found.verdict, found.cause) == ("different", "xla")
    assert found.sentence == "The pass did it."
    assert found.first_divergence is not None
    assert found.first_divergence.where == "model.predict(x)"


def test_levers_that_were_only_asked_for_change_no_verdict() -> None:
    why = attribution("none", confidence="", sentence="", unexplained=())
    found = conclude({"r": run()}, [pair("replay", "same-bits")], attribution=why)
    assert (found.verdict, found.cause, found.explanation) == ("same-bits", "none", ())


def test_a_search_that_broke_down_does_not_make_agreement_unknown() -> None:
    why = attribution("not-known", confidence="", unexplained=())
    found = conclude({"r": run()}, [pair("replay", "same-bits")], attribution=why)
    assert (found.verdict, found.cause) == ("same-bits", "none")
    assert found.explanation == ("The pass did it.",)


@pytest.mark.parametrize("status", ["empty", "killed"])
def test_no_cause_is_given_to_a_script_that_did_not_run(status: str) -> None:
    found = conclude({"r": run(status=status)}, [], attribution=attribution("xla"))
    assert (found.verdict, found.cause) == ("failed", "user-script")


def test_every_cause_has_a_meaning_and_families_take_names() -> None:
    assert all(meaning(cause) for cause in CAUSES if "<" not in cause)
    assert is_cause("grappler:remapping")
    assert is_cause("kernel:_FusedMatMul")
    assert meaning("grappler:remapping") == CAUSES["grappler:<pass>"]
    assert not is_cause("grappler:")
    assert not is_cause("grappler:<pass>")
    assert not is_cause("gremlins")


def stopped(runner: str = "intent", line: int = 4) -> Capsule:
    return run(runner, status="error", probes=(), error=python_error(line))


def test_python_read_from_the_text_that_does_not_run_says_nothing_of_r() -> None:
    pairs = [pair("replay", "same-bits"), pair("intent", "different", "arguments")]
    runs = {"r": run(), "replay": run("replay"), "intent": stopped()}
    found = conclude(runs, pairs)
    assert (found.verdict, found.cause) == ("same-bits", "not-known")
    assert any("does not run through: it stops at line 4" in each for each in found.explanation)


def test_what_r_did_to_an_argument_is_told_where_the_text_cannot_be_run() -> None:
    pairs = [pair("replay", "same-bits"), pair("intent", "different", "arguments")]
    runs = {"r": run(), "replay": run("replay"), "intent": stopped()}
    cut = CauseEvidence(
        cause="r-conversion", confidence="likely", verdict="different", sentence="It was cut off."
    )
    found = conclude(runs, pairs, attribution=cut)
    assert (found.verdict, found.cause) == ("different", "r-conversion")


def test_an_index_that_python_refuses_was_written_as_r_counts() -> None:
    pairs = [pair("replay", "same-bits"), pair("intent", "different", "arguments")]
    runs = {"r": run(), "replay": run("replay"), "intent": stopped()}
    shifted = CauseEvidence(
        cause="r-index-base", confidence="likely", verdict="different", sentence="R counts from 1."
    )
    found = conclude(runs, pairs, attribution=shifted)
    assert (found.verdict, found.cause) == ("same-bits", "not-known")


def test_nothing_is_decided_where_only_the_reading_of_the_text_parts() -> None:
    pairs = [pair("replay", "same-bits"), pair("intent", "different", "prediction")]
    runs = {"r": run(), "replay": run("replay"), "intent": run("intent")}
    lever = CauseEvidence(
        cause="not-known", confidence="", verdict="different", sentence="No lever says."
    )
    for attribution in (None, lever):
        found = conclude(runs, pairs, attribution=attribution)
        assert (found.verdict, found.cause) == ("abstained", "not-known")
        assert "text was read wrongly" in found.sentence


def test_what_whole_numbers_show_stands_where_only_the_reading_of_the_text_parts() -> None:
    pairs = [pair("replay", "same-bits"), pair("intent", "different", "prediction")]
    runs = {"r": run(), "replay": run("replay"), "intent": run("intent")}
    found = conclude(runs, pairs, exact=deviating())
    assert (found.verdict, found.cause) == ("different", "not-known")
    assert found.sentence == deviating().sentence
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "layer"


@pytest.mark.parametrize("said", ["r-conversion", "user-script"])
@pytest.mark.parametrize("alone", [True, False])
def test_what_explains_an_error_speaks_only_where_one_run_was_refused(
    said: str, alone: bool
) -> None:
    parted = pair("intent", "different", "arguments").model_copy(update={"alone": alone})
    refused = answer(said, "A list is no number.", line=3, refused=True)
    runs = {"r": run(), "replay": run("replay"), "intent": run("intent")}
    found = conclude(runs, [pair("replay", "same-bits"), parted], usage=[refused])
    assert found.cause == (said if alone else "not-known")
    assert found.lines == {3}


def test_a_guess_is_not_told_beside_the_cause() -> None:
    pairs = [pair("replay", "different", "prediction")]
    guessed = conclude({"r": run()}, pairs)
    known = conclude({"r": run()}, pairs, attribution=attribution("keras-layer"))
    assert (guessed.cause, known.cause) == ("not-known", "keras-layer")
    assert len(guessed.explanation) == len(known.explanation) + 1


def test_an_error_that_the_text_meets_too_is_the_scripts() -> None:
    ended = {"status": "error", "error": python_error(), "calls": (raising_call(),)}
    runs = {name: run(name, **ended) for name in ("r", "replay", "intent")}
    pairs = [pair("replay", "same-error"), pair("intent", "same-error")]
    found = conclude(runs, pairs)
    assert (found.verdict, found.cause) == ("same-error", "user-script")
    assert found.sentence.startswith("Line 3: ValueError: no weights here.")


@pytest.mark.parametrize(
    ("refuses", "cause"), [((True,), "user-script"), ((False,), "not-known"), ((), "not-known")]
)
def test_an_error_of_the_twin_too_is_the_scripts_where_both_generations_refuse_the_call(
    refuses: tuple[bool, ...], cause: str
) -> None:
    ended = {"status": "error", "error": python_error(), "calls": (raising_call(),)}
    runs = {name: run(name, **ended) for name in ("r", "replay", "twin")}
    pairs = [pair("replay", "same-error"), pair("twin", "same-error")]
    found = conclude(runs, pairs, OtherGeneration("keras 3", (False,), refuses))
    assert (found.verdict, found.cause) == ("same-error", cause)


def test_where_the_other_keras_accepts_the_call_the_generation_is_the_cause() -> None:
    ended = {"status": "error", "error": python_error(), "calls": (raising_call(),)}
    runs = {name: run(name, **ended) for name in ("r", "replay", "intent")}
    pairs = [pair("replay", "same-error"), pair("intent", "same-error")]
    found = conclude(runs, pairs, OtherGeneration("keras 3", (True,)))
    assert found.cause == "keras-version"


def test_an_index_that_is_used_as_r_counts_surprises_nobody() -> None:
    runs = {"r": run(), "replay": run("replay"), "intent": run("intent")}
    pairs = [pair("replay", "same-bits"), pair("intent", "same-bits")]
    told = "Line 8: op_argmax() counts from 1 in R."
    printed = CauseEvidence(
        cause="r-index-base", source="intent", verdict="different", sentence=told, lines=(8,)
    )
    known = answer("r-index-base", "It counts from 1.", decides=False, line=8)
    found = conclude(runs, pairs, attribution=printed, usage=[known])
    assert (found.verdict, found.cause) == ("same-bits", "none")
    shown = answer("r-index-base", "It counts from 1.", line=8)
    found = conclude(runs, pairs, attribution=printed, usage=[shown])
    assert (found.verdict, found.cause) == ("different", "r-index-base")


@pytest.mark.parametrize(
    ("intent", "verdict", "cause"),
    [
        ({}, "same-bits", "none"),
        ({"gaps": ("a callback",)}, "same-bits", "not-known"),
        ({"gaps": ("a callback",)}, "abstained", "not-known"),
        ({"status": "error", "error": python_error(4)}, "abstained", "not-known"),
    ],
)
def test_nothing_is_called_right_where_nobody_says_what_was_meant(
    intent: dict[str, Any], verdict: Any, cause: str
) -> None:
    runs = {"r": run(), "replay": run("replay"), "intent": run("intent", **intent)}
    found = conclude(runs, [pair("replay", "same-bits"), pair("intent", verdict)])
    assert (found.verdict, found.cause) == ("same-bits", cause)


def test_a_twin_that_agrees_says_what_was_meant() -> None:
    runs = {"r": run(), "twin": run("twin"), "intent": run("intent", gaps=("a callback",))}
    found = conclude(runs, [pair("twin", "same-bits"), pair("intent", "abstained")])
    assert found.cause == "none"


def standing_in(cls: str, origin: str = "keras3", **error: Any) -> Capsule:
    front = {"kind": "standin", "package": "keras3", "version": "1"}
    loaded = ("keras3", "tensorflow")
    record = {"language": "r", "cls": cls, "message": "no", "line": 2, "origin": origin} | error
    return run(status="error", probes=(), error=record, frontend=front, standins=loaded)


@pytest.mark.parametrize(
    ("cls", "origin", "spared"),
    [
        ("simpleError", "keras3", True),
        ("subscriptOutOfBoundsError", "tensorflow", True),
        ("bridge_standin_unmeasured", "keras3", True),
        ("bridge_standin_measured", "keras3", False),
        ("simpleError", "script", False),
    ],
)
def test_an_error_of_a_stand_ins_own_code_is_nobodys_fault(
    cls: str, origin: str, spared: bool
) -> None:
    runs = {"r": standing_in(cls, origin)}
    blame = answer("user-script", "The argument is misspelled.", refused=True)
    found = conclude(runs, [], usage=(blame,))
    assert (found.cause == "not-known") is spared
    assert ("does not serve this" in found.sentence) is spared
    assert ("misspelled" in found.sentence) is not spared


MISSING = {"owner": "keras.optimizers.SGD", "name": "minimise", "near": ("minimize",)}


@pytest.mark.parametrize(
    ("missing", "other", "cause", "said"),
    [
        ({}, OtherGeneration("tf_keras 2", (True,), (False,)), "keras-version", "tf_keras 2 has"),
        ({}, OtherGeneration("tf_keras 2", (False,), (True,)), "user-script", "'minimize'"),
        ({}, OtherGeneration("tf_keras 2", (False,), (False,)), "not-known", "not be tried"),
        (
            {"owner": "tensorflow", "elsewhere": ("tf.compat.v1.minimise",)},
            OtherGeneration("tf_keras 2", (False,), (True,)),
            "keras-version",
            "tf.compat.v1.minimise",
        ),
        ({"owner": "numpy.ndarray", "near": ()}, None, "user-script", "numpy.ndarray has no"),
    ],
)
def test_an_attribute_that_is_not_there_is_looked_for_where_it_may_be(
    missing: dict[str, Any], other: OtherGeneration | None, cause: str, said: str
) -> None:
    error = {"language": "python", "cls": "AttributeError", "message": "SGD has no minimise"}
    asked = {"t": "object", "id": 1, "cls": "keras.src.optimizers.sgd:SGD"}
    call = {"id": 1, "kind": "getattr", "target": asked, "name": "minimise", "line": 3}
    call |= {"error": error | {"missing": MISSING | missing}}
    r_error = error | {"language": "r", "line": 3, "origin": "reticulate"}
    r = run(status="error", probes=(), calls=(call,), error=r_error)
    found = conclude({"r": r, "replay": run("replay")}, [pair("replay", "same-error")], other)
    assert (found.verdict, found.cause) == ("same-error", cause)
    assert said in found.sentence
    assert "reticulate" not in found.sentence


def test_what_can_only_be_made_in_the_other_keras_does_not_work_there() -> None:
    ended = {"status": "error", "error": python_error(), "calls": (raising_call(),)}
    runs = {name: run(name, **ended) for name in ("r", "replay", "intent")}
    pairs = [pair("replay", "same-error"), pair("intent", "same-error")]
    other = OtherGeneration("keras 3", (False,), (True,), (python_error(),))
    found = conclude(runs, pairs, other)
    assert found.cause == "user-script"
    assert any("cannot be used" in line for line in found.explanation)
