"""What was measured of the activations' kernels, and whether it speaks of an installation.

A model that was measured elsewhere is the best there is, but it is no proof here: what is missing
is measured where a run is made (:mod:`bridge.runs.activation_measurement`), or nothing is said of
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from bridge.rounding.installation import Installation, installation_of_record


@dataclass(frozen=True)
class Coverage:
    """How many activations were measured on an installation, in every type that rules are for.

    ``place`` says in words what is here.
    """

    place: str
    total: int
    covered: int

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be measured at first use."""
        return self.covered == self.total

    @property
    def sentence(self) -> str:
        """What there is, in a sentence."""
        if self.complete:
            return f"The kernels of all {self.total} activations were measured with {self.place}."
        count, which = ("No", "those") if not self.covered else (
            f"{self.covered} of {self.total}", "the others"
        )  # fmt: skip
        return (
            f"{count} activations' kernels were measured with {self.place}: {which} that a model "
            "uses are measured at its first run."
        )


@lru_cache(maxsize=1)
def read() -> dict[str, Any]:
    """Return the file of measurements, ``data/activations.json``."""
    text = files("bridge.rounding").joinpath("data", "activations.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def dtype_of(record: Mapping[str, Any]) -> str:
    """Return the type in which a record was measured."""
    return str(record.get("dtype", "float32"))


@lru_cache(maxsize=512)
def installations_of(activation: str, dtype: str) -> tuple[Installation, ...]:
    """Return the installations on which the file has an activation's kernels in a type."""
    data = read()
    parts: dict[str, set[str]] = {}
    for each in data["measurements"]:
        if (each["activation"], dtype_of(each)) == (activation, dtype):
            parts.setdefault(each["environment"], set()).add(each["part"])
    # A layer of any size runs the loop over whole vectors and that over leftover elements.
    whole = (name for name, seen in sorted(parts.items()) if seen >= {"vector", "scalar"})
    return tuple(installation_of_record(data["environments"][name]) for name in whole)


def coverage(here: Installation) -> Coverage:
    """Say how much of the file was measured on an installation."""
    pairs = {(each["activation"], dtype_of(each)) for each in read()["measurements"]}
    names = {name for name, _dtype in pairs}
    open_ = {
        name
        for name, dtype in pairs
        if not any(place.covers(here, dtype) for place in installations_of(name, dtype))
    }
    return Coverage(place=here.sentence, total=len(names), covered=len(names - open_))
