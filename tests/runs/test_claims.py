"""Claims: declared beside a twin, computed in a process of their own, first in the report."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

from bridge import Evidence, claim, picture
from bridge.capsule import Capsule, Manifest
from bridge.cases.claims import ClaimError, PictureFile, announced, declared
from bridge.process.pool import Limits, Pool
from bridge.report import print_case, view, write
from bridge.report.pictures import report_claims, report_pictures
from bridge.runs.claims import Claimed, run_claims
from bridge.runs.twin import run_twin
from tests.report_samples import matching

# --- what a claim is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holds", "verdict", "as_bool"),
    [
        (True, "holds", True),
        (False, "does not hold", False),
        (None, "undecided", None),
        (np.True_, "holds", True),
        (np.bool_(False), "does not hold", False),
        ("holds in part", "holds in part", None),
    ],
)
def test_evidence_says_in_words_whether_a_claim_holds(
    holds: bool | None, verdict: str, as_bool: bool | None
) -> None:
    evidence = Evidence(holds, "3 of 4", number=3)
    assert (evidence.verdict, evidence.as_bool) == (verdict, as_bool)


def test_a_comparison_with_nan_decides_nothing() -> None:
    assert Evidence(False, "the loss is NaN", number=float("nan")).verdict == "undecided"
    assert Evidence("holds", "it diverges", number=float("nan")).verdict == "holds"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("perhaps", "text"), "holds is 'perhaps'"),
        ((1.0, "text"), "holds is 1.0"),
        ((True, "  "), "needs a sentence"),
    ],
)
def test_evidence_that_says_nothing_is_refused(arguments: tuple[object, str], said: str) -> None:
    with pytest.raises(ClaimError, match=said):
        Evidence(*arguments)  # type: ignore[arg-type]


def test_an_interval_has_its_low_end_first() -> None:
    with pytest.raises(ClaimError, match="upside down"):
        Evidence(True, "text", interval=(2, 1))
    assert Evidence(True, "text", interval=(1, 2)).interval == (1.0, 2.0)


def test_a_claim_without_its_sentence_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ClaimError, match="begins with its sentence"):
        claim(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(ClaimError, match="said_by is 'nobody'"):
        claim("One.", said_by="nobody")  # type: ignore[arg-type]
    with pytest.raises(ClaimError, match="takes 'seeds'"):

        @claim("One.")
        def _one(seeds: int) -> Evidence:
            return Evidence(True, str(seeds))


def test_claims_keep_their_order_and_are_found_once() -> None:
    @claim("Two.", said_by="question")
    def two() -> Evidence:
        return Evidence(True, "2")

    @claim("One.")
    def one() -> Evidence:
        return Evidence(True, "1")

    @picture("A line", alt="a line")
    def line() -> None:
        return None

    claims, pictures = declared([two, one, two, line, 3])
    assert [each.sentence for each in claims] == ["Two.", "One."]
    assert [each.said_by for each in claims] == ["question", "answer"]
    assert [each.title for each in pictures] == ["A line"]


def test_claims_can_be_read_off_a_source_that_cannot_be_run() -> None:
    source = """
    import not_there
    @bridge.claim("One.", said_by="comment")
    def one(): ...
    @claim(
        "Two " "parts."
    )
    def two(): ...
    """
    assert announced(textwrap.dedent(source)) == (
        [("One.", "comment"), ("Two parts.", "answer")],
        False,
    )
    assert announced("def (") == ([], False)


# --- the process --------------------------------------------------------------------------------

MODULE = """
import functools, random
import numpy as np
from bridge import Evidence, claim, picture

@claim("It holds.", said_by="question")
def holds(quick, tell):
    tell("half way")
    return Evidence(np.True_, f"quick is {quick}", number=np.float32(0.5), interval=(0, 1))

@claim("It needs a package.")
def needs():
    import a_package_that_nobody_has

@claim("It needs R.")
def needs_r(recorded):
    return Evidence(True, recorded.manifest.case)

@claim("It may use R.")
def may_use_r(recorded=None):
    return Evidence(recorded is not None, "looked")

@claim("It raises.")
def raises():
    raise ValueError("seven")

@claim("It returns nothing.")
def nothing():
    pass

@claim("It takes long.", slow=True)
def slow():
    return Evidence(True, "it did")

def draw():
    return [random.random(), float(np.random.rand())]

@claim("Chance begins anew (1).")
def first():
    return Evidence(True, str(draw()))

@claim("Chance begins anew (2).")
def second():
    return Evidence(True, str(draw()))

@picture("A line", alt="It rises.")
def line():
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot([1, 2])
    return figure

@picture("No figure", alt="None.")
def none():
    return 3
"""


def claims_of(
    pool: Pool,
    tmp_path: Path,
    text: str,
    *,
    quick: bool = False,
    recorded: Capsule | None = None,
    seconds: float = 60,
) -> Claimed:
    path = tmp_path / "case.py"
    path.write_text(text)
    kept = tmp_path / "kept"
    limits = Limits(seconds)
    return run_claims(pool, "case", path, 2, limits, quick=quick, recorded=recorded, folder=kept)


@pytest.mark.tf
def test_a_comparison_finds_what_stands_beside_it(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "_beside").mkdir()
    (tmp_path / "_beside" / "__init__.py").write_text("NUMBER = 7.0\n")
    text = """
        from _beside import NUMBER
        from bridge import Evidence, claim

        @claim("It is found.")
        def found():
            return Evidence(NUMBER == 7.0, "looked")

        def twin():
            assert NUMBER == 7.0
    """
    made = claims_of(pool, tmp_path, textwrap.dedent(text))
    assert [each.evidence.verdict for each in made.claims] == ["holds"]
    capsule = run_twin(pool, "case", tmp_path / "case.py", 2, Limits(60))
    assert (capsule.manifest.status, capsule.manifest.error) == ("ok", None)


@pytest.mark.tf
def test_every_claim_is_decided_or_says_what_is_missing(pool: Pool, tmp_path: Path) -> None:
    made = claims_of(pool, tmp_path, MODULE)
    found = {each.sentence: each.evidence for each in made.claims}
    assert {sentence: each.verdict for sentence, each in found.items()} == {
        "It holds.": "holds",
        "It needs a package.": "undecided",
        "It needs R.": "undecided",
        "It may use R.": "does not hold",
        "It raises.": "undecided",
        "It returns nothing.": "undecided",
        "It takes long.": "holds",
        "Chance begins anew (1).": "holds",
        "Chance begins anew (2).": "holds",
    }
    assert (found["It holds."].number, found["It holds."].interval) == (0.5, (0, 1))
    assert "pip install a_package_that_nobody_has" in found["It needs a package."].text
    assert "R was not run" in found["It needs R."].text
    raised = found["It raises."].text
    assert "ValueError: seven (line " in raised
    assert str(tmp_path) not in raised
    assert "it should be Evidence" in found["It returns nothing."].text
    texts = [found[f"Chance begins anew ({k})."].text for k in (1, 2)]
    assert texts[0] == texts[1]
    drawn, failed = made.pictures
    assert drawn.content.lstrip().startswith(b"<?xml")
    assert b"<svg" in drawn.content
    assert not failed.content
    assert "should be a Figure" in failed.why


@pytest.mark.tf
def test_quick_leaves_out_what_is_slow_and_says_so(pool: Pool, tmp_path: Path) -> None:
    recorded = Capsule(Manifest(runner="r", case="ours", status="ok"), {})
    made = claims_of(pool, tmp_path, MODULE, quick=True, recorded=recorded)
    found = {each.sentence: each.evidence for each in made.claims}
    assert found["It holds."].text == "quick is True"
    assert found["It takes long."].verdict == "undecided"
    assert "--quick" in found["It takes long."].text
    assert (found["It needs R."].verdict, found["It needs R."].text) == ("holds", "ours")
    assert found["It may use R."].verdict == "holds"


ENDS = """
import os, time
from bridge import Evidence, claim, picture
@claim("Before.")
def before():
    return Evidence(True, "done")
@claim("Then.")
def then():
    {then}
@claim("After.")
def after():
    return Evidence(True, "done")
@picture("A line", alt="a line")
def line():
    return None
"""


@pytest.mark.tf
@pytest.mark.parametrize(
    ("then", "said"),
    [("os._exit(9)", "code 9"), ("os.abort()", "signal 6"), ("time.sleep(60)", "time limit")],
)
def test_what_ends_the_process_costs_no_claim_before_it(
    pool: Pool, tmp_path: Path, then: str, said: str
) -> None:
    # Only what sleeps is to meet the clock.
    seconds = 8 if "sleep" in then else 60
    made = claims_of(pool, tmp_path, ENDS.format(then=then), seconds=seconds)
    before, during, after = (each.evidence for each in made.claims)
    assert before.verdict == "holds"
    assert (during.verdict, after.verdict) == ("undecided", "undecided")
    assert said in during.text
    assert "while this was computed" in during.text
    assert said in after.text
    assert "not reached" in after.text
    assert said in made.pictures[0].why


@pytest.mark.tf
def test_a_module_that_cannot_be_loaded_leaves_its_claims_undecided(
    pool: Pool, tmp_path: Path
) -> None:
    text = 'import nobody_has_it\nfrom bridge import claim\n@claim("One.")\ndef one(): ...\n'
    made = claims_of(pool, tmp_path, text)
    assert [each.sentence for each in made.claims] == ["One."]
    assert made.claims[0].evidence.verdict == "undecided"
    assert "pip install nobody_has_it" in made.claims[0].evidence.text
    assert "nobody_has_it" in made.trouble


def test_a_module_without_claims_starts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "case.py"
    path.write_text("def twin(): ...")
    with Pool() as unused:
        assert run_claims(unused, "case", path, 2, Limits(1)) == Claimed()


# --- the report ---------------------------------------------------------------------------------


def decided() -> Claimed:
    from bridge.cases.claims import Decided

    return Claimed(
        (
            Decided("Mixed signs suffice.", "answer", Evidence(False, "51%", 0.51, (0.4, 0.6))),
            Decided("It is a unit.", "ours", Evidence("holds in part", "sometimes")),
            Decided("It is true.", "question", Evidence(True, "always")),
        )
    )


def test_the_report_opens_with_the_claims(capsys: pytest.CaptureFixture[str]) -> None:
    report = matching().model_copy(update={"claims": report_claims(decided().claims)})
    first = report.claims[0]
    assert (first.holds, first.verdict, first.interval) == (False, "does not hold", (0.4, 0.6))
    assert (report.claims[1].holds, report.claims[1].verdict) == (None, "holds in part")
    (seen,) = view.cases([(report, "matching")], {})
    for text in (write.markdown(seen), write.case_page(seen)):
        assert text.index("Mixed signs suffice.") < text.index("Every model, every pair")
        assert "holds in part" in text
        assert "an answer" in text
    print_case(report, Path("index.html"))
    assert "claims does not hold: Mixed signs suffice." in capsys.readouterr().out


def test_pictures_have_names_of_their_own_and_missing_ones_are_told() -> None:
    svg, png = b"<?xml version='1.0'?><svg/>", b"\x89PNG..."
    drawn = (
        PictureFile("A line", "a", svg),
        PictureFile("A Line", "b", png),
        PictureFile("None", "c", why="no jax"),
    )
    found, missing = report_pictures(drawn)
    names = [each.file for each in found.pictures]
    assert len(set(names)) == 2
    assert names[0].endswith(".svg")
    assert names[1].endswith(".png")
    assert found.files[names[0]] == svg
    assert missing == ("The picture 'None' was not drawn: no jax.",)
