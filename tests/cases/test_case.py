"""Cases are found by name, and their headers say what to expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.capsule import Environment, FrontEnd
from bridge.cases.case import CaseError, choose, find_cases, read_case, suite_folders
from bridge.facts.causes import is_cause

#: CRAN's keras3 with what stands beside it, and the stand-in of keras on another processor.
CRAN = (
    FrontEnd(kind="cran", package="keras3", version="1.5.1.9000"),
    Environment(
        machine="x86_64",
        cpu_flags=("avx2", "fma"),
        r="4.2.2",
        r_packages={"tensorflow": "2.20.0", "reticulate": "1.46.0"},
        packages={"keras": "3.15.1", "tensorflow": "2.21.0", "tf_keras": "2.21.0"},
        onednn=False,
    ),
)
STANDIN = (
    FrontEnd(kind="standin", package="keras", version="2.16.1.9999"),
    Environment(machine="aarch64", r="4.5.0", packages={"tensorflow": "2.21.0"}, onednn=True),
)


def script(folder: Path, name: str, text: str = "1 + 1\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_a_header_names_title_verdicts_and_causes(tmp_path: Path) -> None:
    header = "#| title: A title: with a colon\n#| expect-verdict: same-bits, within-rounding\n"
    case = read_case(script(tmp_path, "a.R", header + "#| expect-cause: none\nx <- 1\n"))
    assert case.title == "A title: with a colon"
    assert case.verdicts(*CRAN) == ("same-bits", "within-rounding")
    assert case.causes(*CRAN) == ("none",)
    assert case.problems == ()


def test_a_header_allows_rules_by_their_codes(tmp_path: Path) -> None:
    script = tmp_path / "a.R"
    script.write_text("#| allow: L01, m02\nx\n")
    assert read_case(script).allowed == ("L01", "M02")


def test_a_header_ends_with_the_first_other_line(tmp_path: Path) -> None:
    case = read_case(script(tmp_path, "a.R", "x <- 1\n#| title: too late\n"))
    assert case.title == ""


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("#| tite: x", "did you mean 'title'?"),
        ("#| no colon here", "not 'key: value'"),
        ("#| seconds: soon", "seconds should be a number"),
        ("#| unreviewed: maybe", "unreviewed should be yes or no"),
        ("#| title[cran]: x", "'title' takes no brackets"),
        ("#| expect-verdict[crna]: failed", "did you mean 'cran'?"),
        ("#| expect-cause[kears3>=1]: none", "did you mean 'keras3'?"),
        ("#| expect-cause[keras3]: none", "should be a package, a comparison and a version"),
        ("#| expect-cause[keras3=1.5]: none", "such as keras3>=2"),
        ("#| expect-cause[cran>=2]: none", "unknown condition 'cran>=2'"),
        ("#| expect-cause[]: none", "unknown condition ''"),
    ],
)
def test_a_slip_in_a_header_is_named_and_stops_nothing(
    tmp_path: Path, line: str, problem: str
) -> None:
    case = read_case(script(tmp_path, "a.R", f"{line}\n1\n"))
    assert problem in " ".join(case.problems)


@pytest.mark.parametrize(
    ("conditions", "cran", "standin"),
    [
        ("cran", True, False),
        ("standin", False, True),
        ("keras3>=1.5", True, False),
        ("keras3 == 1.5.1", True, False),
        ("keras3<1.5.1", False, False),
        ("keras3>1.5", False, False),
        ("keras3!=1.5.0", True, False),
        ("keras==2.16.1", False, True),
        ("tensorflow>=2.20", True, False),
        ("TensorFlow<=2.21", True, True),
        ("Keras>=3.15, tf_keras>=2.21", True, False),
        ("reticulate==1.46.0.0", True, False),
        ("R<4.5", True, False),
        ("onednn", False, True),
        ("x86_64, avx2", True, False),
        ("keras3>=1.5, standin", False, False),
    ],
)
def test_an_expectation_holds_where_all_in_its_brackets_does(
    tmp_path: Path, conditions: str, cran: bool, standin: bool
) -> None:
    case = read_case(script(tmp_path, "a.R", f"#| expect-verdict[{conditions}]: failed\n"))
    assert case.problems == ()
    assert case.verdicts(*CRAN) == (("failed",) if cran else ())
    assert case.verdicts(*STANDIN) == (("failed",) if standin else ())


def test_the_last_line_that_holds_counts(tmp_path: Path) -> None:
    header = (
        "#| expect-verdict: same-bits\n#| expect-verdict[cran]: different\n"
        "#| expect-verdict[keras3>=1.5]: same-error\n#| expect-verdict[keras3>=1.6]: failed\n"
        "#| expect-cause[standin]: none\n"
    )
    case = read_case(script(tmp_path, "a.R", header))
    assert case.verdicts(*CRAN) == ("same-error",)
    assert case.causes(*CRAN) == ()
    assert case.verdicts(*STANDIN) == ("same-bits",)
    assert case.causes(*STANDIN) == ("none",)
    back = read_case(script(tmp_path, "b.R", header + "#| expect-verdict: abstained\n"))
    assert back.verdicts(*CRAN) == ("abstained",)


def test_a_twin_is_the_file_of_the_same_name(tmp_path: Path) -> None:
    script(tmp_path / "r_scripts", "a.R")
    script(tmp_path / "r_scripts", "b.R")
    script(tmp_path / "comparisons", "a.py", "")
    a, b = find_cases([(tmp_path / "r_scripts", tmp_path / "comparisons")])
    assert a.twin == tmp_path / "comparisons" / "a.py"
    assert b.twin is None


def test_an_earlier_folder_hides_a_later_one(tmp_path: Path) -> None:
    mine = script(tmp_path / "mine", "a.R")
    script(tmp_path / "shipped", "a.R")
    (found,) = find_cases([(tmp_path / each, tmp_path) for each in ("mine", "shipped")])
    assert found.script == mine


def test_an_unknown_name_lists_the_near_ones(tmp_path: Path) -> None:
    cases = [read_case(script(tmp_path, f"{name}.R")) for name in ("relu_middle", "dropout")]
    with pytest.raises(CaseError, match="near it are: relu_middle"):
        choose(cases, ["relu_midle"])


def test_no_name_means_all_and_names_keep_their_order(tmp_path: Path) -> None:
    cases = [read_case(script(tmp_path, f"{name}.R")) for name in ("a", "b")]
    assert choose(cases, []) == cases
    assert [case.name for case in choose(cases, ["b", "a.R"])] == ["b", "a"]


def test_every_case_that_we_ship_expects_verdicts_and_causes_that_exist() -> None:
    verdicts = {"same-bits", "within-rounding", "different", "same-error", "failed", "abstained"}
    cases = find_cases(suite_folders())
    assert cases
    for case in cases:
        assert case.problems == ()
        assert case.title
        assert not case.unreviewed
        for situation in (CRAN, STANDIN):
            assert case.verdicts(*situation)
            assert case.causes(*situation)
        for line in case.expectations:
            known = verdicts.__contains__ if line.subject == "verdict" else is_cause
            assert all(known(value) for value in line.values), case.name


def test_a_line_of_a_header_that_we_ship_says_one_thing() -> None:
    for case in find_cases(suite_folders()):
        for line in case.expectations:
            assert len(line.values) == 1, case.name


def test_a_folder_with_scripts_of_its_own_has_only_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = {case.name for case in find_cases(suite_folders())}
    monkeypatch.chdir(tmp_path)
    assert {case.name for case in find_cases(suite_folders())} == shipped
    (tmp_path / "r_scripts").mkdir()
    assert {case.name for case in find_cases(suite_folders())} == shipped
    script(tmp_path / "r_scripts", "mine.R")
    assert [case.name for case in find_cases(suite_folders())] == ["mine"]
    assert {case.name for case in find_cases(suite_folders(builtin=True))} == {*shipped, "mine"}


def test_the_checkout_of_the_project_has_the_whole_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    scripts = {path.stem for path in (root / "r_scripts").glob("*.R")}
    assert {case.name for case in find_cases(suite_folders())} == scripts
