"""The doctor and the reports know whether the error models of activations speak of this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.compare.measured import coverage, processor_class, read
from bridge.doctor import Finding, diagnose
from bridge.r.situation import Situation
from tests.test_doctor import GOOD, with_python


def about_models(situation: Situation) -> list[Finding]:
    return [each for each in diagnose(situation) if each.subject == "activations"]


def test_models_that_were_measured_here_are_in_order() -> None:
    (found,) = about_models(GOOD)
    assert found.level == "ok"
    assert "measured with TensorFlow 2.21.0 on processors with avx2" in found.sentence


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        (with_python(tensorflow="2.99.0", tf_keras="2.99.0"), "TensorFlow 2.99.0 on"),
        (replace(GOOD, cpu_flags=("asimd",)), "processors with asimd"),
        (replace(GOOD, cpu_flags=()), "a processor of unknown kind"),
    ],
    ids=["another TensorFlow", "another processor", "an unknown processor"],
)
def test_models_from_elsewhere_are_warned_of_with_the_command_that_measures(
    situation: Situation, says: str
) -> None:
    (found,) = about_models(situation)
    assert found.level == "warning"
    assert found.sentence.startswith("No activation was measured with")
    assert says in found.sentence
    assert "TensorFlow 2.21.0 on processors with avx2" in found.sentence
    assert found.fix == "make bench-activations"


def test_without_tensorflow_there_is_nothing_to_say_of_models() -> None:
    assert about_models(with_python(tensorflow=None)) == []


def test_every_environment_of_the_file_covers_what_was_measured_there() -> None:
    for name, each in read()["environments"].items():
        found = coverage({"tensorflow": each["tensorflow"]}, each["cpu_flags"])
        there = {
            one["activation"]
            for one in read()["measurements"]
            if one["environment"] == name and one["part"] == "vector" and "dtype" not in one
        }
        assert there <= set(found.here)
        assert not there & set(found.elsewhere)
        assert set(found.sampled) <= set(found.here)


def test_another_keras_counts_only_where_its_version_is_known() -> None:
    flags = ("avx2",)
    assert coverage({"tensorflow": "2.21.0"}, flags).here
    assert coverage({"tensorflow": "2.21.0", "keras": "3.15.1"}, flags).here
    assert coverage({"tensorflow": "2.21.0", "keras": "9.0.0"}, flags).here == ()


def test_a_processor_is_known_by_its_widest_vectors() -> None:
    assert processor_class(("avx", "avx2", "avx512f")) == "avx512f"
    assert processor_class(("fma", "avx2", "avx")) == "avx2"
    assert processor_class(("mmx",)) == ""
