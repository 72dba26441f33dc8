"""The doctor says in one line whether the error models of activations speak of this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.cli.doctor import Check, Situation, diagnose
from bridge.rounding.measurements import Installation, coverage, installation_of_record, read
from tests.cli.test_doctor import GOOD, with_python


def about_models(situation: Situation) -> list[Check]:
    return [each for each in diagnose(situation) if each.subject == "activations"]


def measured_places() -> list[Installation]:
    """Return the installations of the file that are described well enough to be known again."""
    found = [installation_of_record(each) for each in read()["environments"].values()]
    return [each for each in found if each.described]


def on(place: Installation) -> Situation:
    """Return a situation on an installation."""
    return replace(
        GOOD,
        python_packages={**GOOD.python_packages, **dict(place.packages)},
        machine=place.machine,
        cpu_vendor=place.vendor,
        cpu_flags=tuple(place.instructions),
        onednn=place.onednn,
        switches=dict(place.switches),
    )


@pytest.mark.parametrize("place", measured_places(), ids=lambda place: place.processor)
def test_an_installation_that_was_measured_is_covered(place: Installation) -> None:
    (found,) = about_models(on(place))
    assert found.level == "ok"
    told = coverage(place)
    assert told.covered > 20
    begins = "The kernels of all" if told.complete else f"{told.covered} of {told.total}"
    assert found.sentence.startswith(begins)
    assert place.processor in found.sentence


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        (replace(GOOD, cpu_flags=("asimd",)), "processors with asimd"),
        (replace(GOOD, cpu_flags=()), "a processor of unknown kind"),
        (with_python(tensorflow="2.99.0", tf_keras="2.99.0"), "TensorFlow 2.99.0"),
        (replace(GOOD, onednn=False), "oneDNN off"),
        (replace(GOOD, switches={"ONEDNN_MAX_CPU_ISA": "AVX"}), "under ONEDNN_MAX_CPU_ISA=AVX"),
    ],
    ids=["another processor", "an unknown processor", "another TensorFlow", "oneDNN", "a switch"],
)
def test_one_that_was_not_is_told_in_one_line_what_happens(situation: Situation, says: str) -> None:
    (found,) = about_models(situation)
    assert found.level == "ok"
    assert found.sentence.startswith("No activations' kernels were measured with")
    assert says in found.sentence
    assert "are measured at its first run" in found.sentence
    assert "\n" not in found.sentence
    assert found.fix is None


def test_without_tensorflow_there_is_nothing_to_say_of_models() -> None:
    assert about_models(with_python(tensorflow=None)) == []


@pytest.mark.parametrize("place", measured_places(), ids=lambda place: place.processor)
def test_any_difference_that_may_change_a_kernel_ends_the_coverage(place: Installation) -> None:
    assert coverage(place).covered > 20
    versions = dict(place.packages)
    for other in (
        replace(place, vendor="Another"),
        replace(place, machine="aarch64"),
        replace(place, onednn=not place.onednn),
        replace(place, switches=(("xla_cpu_max_isa", "AVX"),)),
        replace(place, instructions=place.instructions - {"fma"}),
        replace(place, packages=tuple((versions | {"keras": "9.0.0"}).items())),
        Installation(),
    ):
        assert coverage(other).covered == 0, other
    # Instructions for short types leave float32 as it was: some kernels are covered, none wholly.
    short = replace(place, instructions=place.instructions ^ {"amx_fp16"})
    assert place.covers(short, "float32")
    assert not place.covers(short, "bfloat16")
    assert not coverage(short).complete
