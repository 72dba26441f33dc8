"""The worst comes first, and the sentence above all says what there is."""

from __future__ import annotations

import itertools

from bridge.report import ranking
from tests.report_samples import different, empty, failed, matching, same_error


def test_cases_come_worst_first_in_whatever_order_they_were_run() -> None:
    cases = [matching(), different(), same_error(), failed(), empty()]
    for shuffled in itertools.permutations(cases):
        names = [report.case for report in ranking.worst_cases(shuffled)]
        assert names == ["different", "failed", "", "matching", "same_error"]


def test_a_case_that_ended_otherwise_than_expected_comes_before_a_worse_verdict() -> None:
    assert ranking.worst_cases([failed(), different()])[0].case == "different"


def test_nan_on_one_side_is_worse_than_any_gap() -> None:
    pair = matching().pairs[-1].model_copy(update={"verdict": "different"})
    huge = pair.model_copy(update={"max_ulp": 1e30, "beyond_bound": 1_000})
    nan = pair.model_copy(update={"nan": 1})
    assert ranking.worst_pairs([huge, nan]) == [nan, huge]


def test_a_gap_that_is_nan_counts_as_the_worst() -> None:
    pair = matching().pairs[-1]
    unknown = pair.model_copy(update={"max_ulp": float("nan")})
    assert ranking.worst_pairs([pair, unknown])[0] is unknown


def test_the_number_that_speaks_for_a_case_is_that_of_its_worst_pair() -> None:
    number, unit, where = ranking.worst_number(different())
    assert (number.text, unit, where) == ("1", "NaN on one side", "A/relu, r/twin")
    number, unit, where = ranking.worst_number(matching())
    assert (number.text, unit) == ("0.499", "of the bound")


def test_ulps_speak_where_no_bound_decided() -> None:
    report = matching()
    pairs = tuple(pair.model_copy(update={"rung": "bit-equal"}) for pair in report.pairs)
    number, unit, _ = ranking.worst_number(report.model_copy(update={"pairs": pairs}))
    assert (number.text, unit) == ("1.50", "ULP")


def test_the_overall_sentence_counts_and_names_surprises() -> None:
    said = ranking.overall([matching(), different(), failed()])
    assert said == "1 of 3 cases not as expected: different"


def test_the_overall_sentence_claims_nothing_where_nothing_was_expected() -> None:
    assert ranking.overall([failed()]) == "1 case: 1 failed or different"
    assert ranking.overall([]) == "No case was run."


def test_all_as_expected_is_said() -> None:
    assert ranking.overall([matching(), same_error()]) == "All 2 cases as expected"
