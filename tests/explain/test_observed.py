"""Files that say what was reported: read strictly, and bound to the predictions of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge.capsule import write_capsule
from bridge.cases.case import choose, find_cases
from bridge.explain.observations import (
    MAX_BYTES,
    ObservedError,
    Reports,
    bind,
    of_csv,
    of_yaml,
    read_observed,
)
from tests.observed_samples import X, curve, labels, recorded, with_output, written

NINE = """observed:
  - {model: A, activation: relu, shape: linear}
  - {model: [B, C], activation: relu, shape: relu}
  - {model: [A, B, C], activation: [gelu, sigmoid], shape: as expected}
"""


def test_three_lines_are_nine_observations() -> None:
    found = of_yaml(NINE)
    assert len(found) == 9
    assert [(each.who, each.shape) for each in found[:3]] == [
        ("A/relu", "linear"),
        ("B/relu", "relu"),
        ("C/relu", "relu"),
    ]
    assert {each.shape for each in found[3:]} == {"as expected"}
    assert [each.line for each in found[:4]] == [2, 3, 3, 4]


@pytest.mark.parametrize(
    ("said", "word"),
    [("Straight line", "linear"), ("AS_EXPECTED", "as expected"), ("s-shaped", "saturating")],
)
def test_people_say_the_same_in_several_words(said: str, word: str) -> None:
    assert of_yaml(f"observed: [{{model: A, shape: {said}}}]")[0].shape == word


def test_a_point_is_known_to_half_a_unit_of_its_last_digit() -> None:
    (report,) = of_yaml("observed: [{model: A, points: [[-5, -4.50], [1e-3, 20]]}]")
    first, second = report.readings
    assert (first.x, first.y) == (-5, -4.5)
    assert (first.dx, first.dy) == (0.5, 0.005)
    assert (second.dx, second.dy) == (0.0005, 0.5)


def test_rows_of_a_csv_that_are_of_one_model_are_one_observation() -> None:
    found = of_csv("model,activation,shape,x,y\nA,relu,,-5,-5\nA,relu,,5,5\nB,relu,relu,,\n")
    assert [(each.who, each.shape, len(each.readings)) for each in found] == [
        ("A/relu", "", 2),
        ("B/relu", "relu", 0),
    ]
    assert found[0].line == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("observed:\n  - {model: A, shpae: linear}\n", "line 2: there is no key 'shpae'; did you"),
        ("observed:\n  - model: A\n    shape: wavy\n", "line 3: 'shape' is 'wavy': it is one of"),
        ("observed:\n  - {model: A}\n", "either a shape or points"),
        ("observed:\n  - {shape: linear}\n", "does not say of which model"),
        ("observed:\n  - {model: A, points: [[1, two]]}\n", "'two' is none"),
        ("observed:\n  - {model: A, points: [[1, 1e999]]}\n", "'1e999' is none"),
        ("observed:\n  - {model: A, points: [[1]]}\n", "a point is a pair of numbers"),
        ("observed:\n  - {model: A, line: soon, shape: linear}\n", "'line' is 'soon'"),
        (
            "observed:\n  - {model: A, model: B, shape: linear}\n",
            "line 2: the key 'model' is there",
        ),
        ("observed: []\n", "line 1: 'observed'"),
        ("seen: 1\n", "there is no key 'seen'; there are title, source, observed"),
        ("[1, 2", "line 1: this is not YAML"),
        ("", "the file is empty"),
        ("- a\n", "line 1"),
        ("observed:\n  - &a {model: A, shape: linear}\n  - *a\n", "line 2: anchors"),
        ("observed:\n  - !!python/object:os.system {model: A}\n", "line 2: tags"),
        ("observed: [[[[[[[[[[1]]]]]]]]]]\n", "too deeply"),
    ],
)
def test_what_is_not_allowed_is_told_with_its_line_and_an_example(text: str, said: str) -> None:
    with pytest.raises(ObservedError) as error:
        of_yaml(text)
    assert said in str(error.value)
    assert "- {model: A, activation: relu, shape: linear}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,shap\nA,relu\n", "line 1: there is no column 'shap'; did you mean 'shape'?"),
        ("model,shape\nA,relu,3\n", "line 2: there are 3 values for 2 columns"),
        ("model,shape\nA,relu\nB,wavy\n", "line 3: 'shape' is 'wavy'"),
        ('model,shape\n"A,relu\n', "this is not CSV"),
        ("", "the file is empty"),
    ],
)
def test_a_csv_is_read_as_strictly(text: str, said: str) -> None:
    with pytest.raises(ObservedError) as error:
        of_csv(text)
    assert said in str(error.value)
    assert "model,activation,shape" in str(error.value)


def test_a_file_of_no_known_kind_too_large_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ObservedError, match=r"a \.yml, \.yaml or \.csv file"):
        read_observed(written(tmp_path, NINE, "seen.txt"))
    with pytest.raises(ObservedError, match="more than 256 KiB"):
        read_observed(written(tmp_path, "#" * (MAX_BYTES + 1)))
    with pytest.raises(ObservedError, match="cannot be read"):
        read_observed(tmp_path / "none.yml")
    (tmp_path / "odd.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ObservedError, match="is not UTF-8"):
        read_observed(tmp_path / "odd.yml")
    with pytest.raises(ObservedError, match=r"odd\.capsule"):
        read_observed(written(tmp_path, "no", "odd.capsule"))


def bound(text: str, labelled: bool = True) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
    capsule = recorded(labelled)
    names = labels() if labelled else {i: f"predict {i + 1}" for i in range(9)}
    found = bind(Reports("seen.yml", of_yaml(text)), capsule, names)
    return [each.probe for each in found.seen], found.unmatched, found.conflicts


@pytest.mark.parametrize(
    ("who", "labelled", "probe"),
    [
        ("model: B, activation: gelu", True, 4),
        ("probe: C/sigmoid", True, 8),
        ("line: 11, activation: sigmoid", False, 7),
        ("model: model_c, activation: RELU", False, 2),
        ("model: sequential_3", False, 3),
        ("model: 6", False, 5),
    ],
)
def test_a_model_is_known_by_label_line_name_or_number(
    who: str, labelled: bool, probe: int
) -> None:
    assert bound(f"observed: [{{{who}, shape: linear}}]", labelled) == ([probe], (), ())


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("model: D", "there is no model 'D'; there are A, B, C"),
        ("model: A, activation: swish", "there is no activation 'swish' in A; there are"),
        ("model: A", "A may be any of 3 predictions (A/relu, A/gelu, A/sigmoid)"),
        ("line: 99", "nothing is predicted at line 99; there is at 10, 11, 12"),
        ("probe: A/elu", "there is no prediction 'A/elu'; there are A/relu"),
    ],
)
def test_what_the_script_does_not_have_is_left_out_and_said(who: str, said: str) -> None:
    text = f"observed:\n  - {{{who}, shape: linear}}\n  - {{probe: B/relu, shape: relu}}\n"
    seen, unmatched, _ = bound(text)
    assert seen == [1]
    assert len(unmatched) == 1
    assert unmatched[0].startswith("seen.yml, line 2: ")
    assert said in unmatched[0]


def test_two_reports_that_exclude_each_other_are_named() -> None:
    text = "observed:\n- {probe: A/relu, shape: linear}\n- {probe: A/relu, shape: relu}\n"
    _, _, conflicts = bound(text)
    assert conflicts == ("A/relu is reported twice, at lines 2 and 3: 'linear' and 'relu'",)
    agreeing = "observed:\n- {probe: A/relu, shape: hinge}\n- {probe: A/relu, shape: relu}\n"
    assert bound(agreeing)[2] == ()
    points = "observed:\n- {probe: A/relu, points: [[1, 2]]}\n- {probe: A/relu, points: [[1, 4]]}\n"
    assert "exclude each other" in bound(points)[2][0]


def test_a_capsule_from_elsewhere_makes_every_prediction_an_observation(tmp_path: Path) -> None:
    theirs = with_output(recorded(), 0, X)
    write_capsule(theirs, tmp_path / "theirs.capsule")
    found = bind(read_observed(tmp_path / "theirs.capsule"), recorded(), labels())
    assert [each.observation.name for each in found.seen] == list(labels().values())
    assert found.seen[0].array is not None
    assert np.array_equal(found.seen[0].array, X.reshape(-1, 1))
    assert found.seen[1].array is not None
    assert np.array_equal(found.seen[1].array, curve("relu"))
    assert len(found.seen[0].observation.points) == 64


def test_a_capsule_that_was_given_another_input_is_not_compared() -> None:
    theirs = recorded()
    arrays = {**theirs.arrays, "x": X + 1}
    found = bind(
        Reports("t.capsule", capsule=type(theirs)(theirs.manifest, arrays)), recorded(), labels()
    )
    assert found.seen == ()
    assert len(found.unmatched) == 9
    assert "another input" in found.unmatched[0]


def test_the_suite_finds_the_observations_beside_the_twin(tmp_path: Path) -> None:
    for name in ("scripts/one.R", "scripts/two.R", "twins/one.py", "twins/one.observed.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    cases = find_cases([(tmp_path / "scripts", tmp_path / "twins")])
    one, two = choose(cases, ["one", "two"])
    assert one.observed == tmp_path / "twins" / "one.observed.yml"
    assert two.observed is None


def test_the_founding_case_has_its_nine_observations() -> None:
    path = Path(__file__).parents[2] / "comparisons" / "relu_middle_dense.observed.yml"
    found = bind(read_observed(path), recorded(), labels())
    assert sorted(each.probe for each in found.seen) == list(range(9))
    assert found.unmatched == found.conflicts == ()
