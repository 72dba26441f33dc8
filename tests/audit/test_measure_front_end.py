"""What was heard of a wrapper becomes its entry in a coercion table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.audit.wrapper_calls import spell
from scripts import measure_front_end as measuring

PLAIN = {"2.5": "2.5", "NULL": "None", '"a"': "'a'"}
KINDS = {
    "as_integer": {"probes": {"2.5": "2", "NULL": "None", '"a"': "'a'"}},
    "as_axis": {"probes": {"2.5": "1", "NULL": "None", '"a"': "error: `ARG` is no axis"}},
    "as_is": {},
}


def heard(answers: dict[str, dict[str, Any]], base: dict[str, Any] | None = None) -> Any:
    """A function f(units, rate = NULL) that calls keras.F; probe -> what arrived, or an error."""
    told: list[dict[str, Any]] = [{"e": "plain", "probe": p, "value": v} for p, v in PLAIN.items()]
    told.append({"e": "noted", "function": "", "what": "exports", "value": ["f"]})
    formals = [["units", ""], ["rate", "NULL"]]
    told.append({"e": "noted", "function": "f", "what": "formals", "value": formals})
    call = {"public": "keras.F", "method": False, "is_class": True, "args": [], "kwargs": {}}
    told.append({"e": "base", "function": "f", **call, "kwargs": base or {"units": "3"}})
    for argument, given in answers.items():
        for probe, what in given.items():
            event = {"function": "f", "argument": argument, "probe": probe}
            if isinstance(what, str):
                told.append({"e": "refused", **event, "text": what})
            else:
                told.append({"e": "arrived", **event, **call, **what})
    return measuring.RecordedEvents(told)


def sent(**kwargs: str) -> dict[str, Any]:
    return {"kwargs": kwargs}


def test_answers_are_known_by_the_kind_that_gives_all_of_them() -> None:
    units = {"2.5": sent(units="2"), "NULL": sent(units="None"), '"a"': sent(units="'a'")}
    rate = {
        "2.5": sent(units="3", learning_rate="2.5"),
        "NULL": sent(units="3", learning_rate="None"),
        '"a"': sent(units="3", learning_rate="'a'"),
    }
    entry = measuring.entry(heard({"units": units, "rate": rate}), "f", KINDS)
    assert entry["python"] == "keras.F"
    assert entry["sends"] == "typed"
    assert entry["arguments"] == {
        "units": {"kind": "as_integer", "to": "units"},
        "rate": {"kind": "as_is", "to": "learning_rate"},
    }


def test_one_answer_that_no_kind_gives_makes_an_argument_unknown() -> None:
    units = {"2.5": sent(units="9"), "NULL": sent(units="None"), '"a"': sent(units="'a'")}
    rule = measuring.entry(heard({"units": units}), "f", KINDS)["arguments"]["units"]
    assert rule["kind"] == "unknown"
    assert rule["probes"] == {"2.5": "9", "NULL": "=", '"a"': "="}


def test_errors_are_the_same_answer_and_another_call_is_none() -> None:
    other = {"public": "keras.G", **sent(x="1")}
    units = {"2.5": sent(units="1"), "NULL": sent(units="None"), '"a"': other}
    assert measuring.entry(heard({"units": units}), "f", KINDS)["arguments"]["units"] == {
        "kind": "as_axis",
        "to": "units",
    }
    refused = {**units, '"a"': "no"}
    rule = measuring.entry(heard({"units": refused}), "f", KINDS)["arguments"]["units"]
    assert rule["kind"] == "as_axis"


def test_what_never_arrives_is_ignored_and_null_may_be_dropped() -> None:
    rate = {probe: sent(units="3") for probe in PLAIN}
    entry = measuring.entry(heard({"rate": rate}), "f", KINDS)
    assert entry["arguments"]["rate"] == {"kind": "ignored", "to": None}
    units = {"2.5": sent(units="2"), "NULL": sent(), '"a"': sent(units="'a'")}
    entry = measuring.entry(heard({"units": units}), "f", KINDS)
    assert entry["drops_null"] == ["units"]
    assert entry["arguments"]["units"]["kind"] == "as_integer"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        ((2,), "(2,)"),
        ([None, 3.0], "[None, 3.0]"),
        ({"a": 2.0}, "{'a': 2.0}"),
        (np.array([3.5]), "ndarray(float64, (1,), CF, [3.5])"),
        (np.array([[1, 3]] * 2, "i4", order="F"), "ndarray(int32, (2, 2), F, [[1, 3], [1, 3]])"),
    ],
)  # fmt: skip
def test_what_arrived_is_written_as_the_tables_write_it(value: Any, text: str) -> None:
    assert spell(value) == text
