"""Cases are found by name, and their headers say what to expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.cases.case import CaseError, choose, find_cases, read_case, suite_folders
from bridge.facts.causes import is_cause


def script(folder: Path, name: str, text: str = "1 + 1\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_a_header_names_title_verdicts_and_causes(tmp_path: Path) -> None:
    header = "#| title: A title: with a colon\n#| expect-verdict: same-bits, within-rounding\n"
    case = read_case(script(tmp_path, "a.R", header + "#| expect-cause: none\nx <- 1\n"))
    assert case.title == "A title: with a colon"
    assert case.verdicts == ("same-bits", "within-rounding")
    assert case.causes == ("none",)
    assert case.problems == ()


def test_a_header_ends_with_the_first_other_line(tmp_path: Path) -> None:
    case = read_case(script(tmp_path, "a.R", "x <- 1\n#| title: too late\n"))
    assert case.title == ""


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("#| tite: x", "did you mean 'title'?"),
        ("#| no colon here", "not 'key: value'"),
        ("#| seconds: soon", "seconds should be a number"),
    ],
)
def test_a_slip_in_a_header_is_named_and_stops_nothing(
    tmp_path: Path, line: str, problem: str
) -> None:
    case = read_case(script(tmp_path, "a.R", f"{line}\n1\n"))
    assert problem in " ".join(case.problems)


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
        assert case.verdicts
        assert set(case.verdicts) <= verdicts
        assert all(is_cause(cause) for cause in case.causes)


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
    root = Path(__file__).parent.parent
    monkeypatch.chdir(root)
    scripts = {path.stem for path in (root / "r_scripts").glob("*.R")}
    assert {case.name for case in find_cases(suite_folders())} == scripts
