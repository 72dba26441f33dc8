"""An audit says what a wrapper did to an argument, and no more than what arrived shows."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from bridge.audit.judge import ArgumentChange, AuditReport, judge, sort_events, spelled
from bridge.capsule import FrontEnd
from bridge.cli.audit import issues, summary
from bridge.cli.main import app
from tests.standin import needs_r

PLAIN = {
    "2.5": {"float": "2.5"},
    "2": {"float": "2.0"},
    "3e9": {"float": "3e9"},
    "NULL": None,
    "NA": True,
    "list(b = 2, a = 1)": {"dict": [["b", {"float": "2.0"}], ["a", {"float": "1.0"}]]},
    "c(5, 2, 3)": {"list": [{"float": "5.0"}, {"float": "2.0"}, {"float": "3.0"}]},
    "array(2.5)": {"array": ["float64", [1], [{"float": "2.5"}]]},
}


def base(**more: Any) -> dict[str, Any]:
    event = {"e": "base", "function": "f", "public": "keras.F", "args": [], "kwargs": {}}
    return event | {"defaults": {"a": None}, "documented": {}} | more


def arrival(probe: str, value: Any, python: str = "", **more: Any) -> dict[str, Any]:
    event = {"e": "arrived", "function": "f", "argument": "a", "probe": probe, "args": []}
    return event | {"kwargs": {"a": value}, "python": python} | more


def judged(*events: dict[str, Any], of: dict[str, Any] | None = None) -> tuple[ArgumentChange, ...]:
    plain = [{"e": "plain", "probe": probe, "value": value} for probe, value in PLAIN.items()]
    return judge(sort_events([*plain, of or base(), *events]))


@pytest.mark.parametrize(
    ("probe", "value", "change"),
    [
        ("2.5", {"int": 2}, "truncated"),
        ("3e9", {"int": -(2**31)}, "overflowed"),
        ("NA", {"int": -(2**31)}, "overflowed"),
        ("2", {"int": 1}, "shifted"),
        ("c(5, 2, 3)", {"list": [{"int": 4}, {"int": 1}, {"int": 2}]}, "shifted"),
        ("c(5, 2, 3)", {"list": [{"int": 2}, {"int": 3}, {"int": 5}]}, "reordered"),
        ("list(b = 2, a = 1)", {"list": [{"float": "2.0"}, {"float": "1.0"}]}, "dropped"),
        ("NULL", {"list": []}, "defaulted"),
        ("array(2.5)", {"float": "2.5"}, "dropped"),
    ],
)
def test_what_became_of_a_value_is_named(probe: str, value: Any, change: str) -> None:
    (found,) = judged(arrival(probe, value))
    assert (found.change, found.probe) == (change, probe)


@pytest.mark.parametrize(
    ("probe", "value"),
    [
        ("2", {"int": 2}),
        ("2.5", {"float": "2.5"}),
        ("c(5, 2, 3)", {"tuple": [{"int": 5}, {"int": 2}, {"int": 3}]}),
        ("NULL", None),
        ("NA", True),
    ],
)
def test_the_same_number_of_another_type_is_no_change(probe: str, value: Any) -> None:
    assert judged(arrival(probe, value)) == ()


def test_an_argument_that_python_has_and_that_does_not_arrive_is_dropped() -> None:
    (found,) = judged(arrival("2.5", None, kwargs={}))
    assert (found.change, found.level, found.arrived) == ("dropped", "fault", "nothing")


def test_an_argument_that_only_r_has_is_not_dropped() -> None:
    assert judged(arrival("2.5", None, kwargs={}), of=base(defaults={})) == ()


@pytest.mark.parametrize(
    ("python", "documented", "level"),
    [
        ("keeps", "", "fault"),
        ("keeps", "Minimum change that counts.", "fault"),
        ("keeps", "Integer, how many.", "meant"),
        ("same", "", "harmless"),
        ("refuses: ValueError: no", "", "silent"),
        ("", "", "not known"),
    ],
)
def test_what_python_would_have_done_decides_how_bad_it_is(
    python: str, documented: str, level: str
) -> None:
    about = base(documented={"a": documented})
    (found,) = judged(arrival("2.5", {"int": 2}, python), of=about)
    assert found.level == level


def test_a_default_that_is_sent_and_that_python_has_not_is_found() -> None:
    about = base(kwargs={"a": {"int": 10}}, defaults={"a": {"int": 1}})
    (found,) = judged(arrival("2", {"int": 2}), of=about)
    assert (found.change, found.meant, found.arrived, found.probe) == ("defaulted", "1", "10", "")


def test_a_finding_carries_the_line_of_the_wrapper() -> None:
    line = {"e": "line", "function": "f", "argument": "a", "text": "g(b = 1, a = as.integer(a))"}
    (found,) = judged(line, arrival("2.5", {"int": 2}))
    assert found.line == "a = as.integer(a)"


def test_a_stand_in_is_named_in_every_text_that_may_be_filed() -> None:
    report = AuditReport(
        package="keras",
        frontend=FrontEnd(kind="standin", package="keras", version=""),
        keras="tf_keras 2",
        findings=judged(arrival("2.5", {"int": 2}, "keeps")),
    )
    (text,) = issues(report).values()
    assert "stand-in" in text
    assert "with the CRAN package before this is filed" in text
    assert any("stand-in" in line for line in summary(report))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"tuple": [{"int": 1}]}, "(1,)"),
        ({"dict": [["a", {"int": 1}]]}, "{'a': 1}"),
        ({"list": []}, "[]"),
        (None, "None"),
    ],
)
def test_values_are_written_as_python_writes_them(value: Any, text: str) -> None:
    assert spelled(value) == text


def test_a_package_without_wrappers_is_refused_with_a_sentence() -> None:
    done = CliRunner().invoke(app, ["audit", "ggplot2"])
    assert done.exit_code == 2
    assert "keras or keras3" in done.output


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "function", "argument"),
    [
        ("keras", "constraint_maxnorm", "max_value"),
        ("keras3", "constraint_maxnorm", "max_value"),
        ("keras3", "callback_early_stopping", "min_delta"),
    ],
)
@needs_r[0]
@needs_r[1]
def test_faults_of_the_real_packages_are_found(
    package: str, function: str, argument: str, audited: dict[str, AuditReport]
) -> None:
    found = {(f.function, f.argument, f.change): f for f in audited[package].findings}
    fault = found[function, argument, "truncated"]
    assert (fault.level, fault.python, fault.arrived) == ("fault", "uses it", "2")


@pytest.fixture(scope="module")
def audited() -> dict[str, AuditReport]:
    from bridge.cli.audit import audit
    from bridge.process.pool import Limits

    # Only what the tests look at: the rest takes its time.
    reports = audit([], "standin", Limits(seconds=300), families="^(constraint|callback)_")
    return {report.package: report for report in reports}
