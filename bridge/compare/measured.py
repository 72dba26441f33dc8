"""What was measured of the activations' kernels: the file, and whether it speaks of this machine.

Which loop computes an activation depends on TensorFlow's version and on the widest vectors of the
processor. A model that was measured elsewhere is the best there is, but it is no proof here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

#: The widest vectors that TensorFlow's loops tell apart, widest first.
_CLASSES: Final = ("avx512f", "avx2", "avx", "sve", "asimd")
#: The packages whose versions decide which kernels run, as people write them.
_PACKAGES: Final = {"tensorflow": "TensorFlow", "tf_keras": "tf_keras", "keras": "Keras"}


@dataclass(frozen=True)
class Coverage:
    """Which activations have models that were measured here, and where the others come from.

    ``here`` are measured with these versions on this kind of processor; ``sampled`` are those of
    them of which not every float32 number was tried; ``elsewhere`` have models from somewhere else
    only. ``place`` says in words what is here, ``places`` where the others were measured.
    """

    here: tuple[str, ...]
    sampled: tuple[str, ...]
    elsewhere: tuple[str, ...]
    place: str
    places: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What there is, in a sentence."""
        total = len(self.here) + len(self.elsewhere)
        if not self.here:
            found = f"No activation was measured with {self.place}; the models are those of "
            return f"{found}{' and of '.join(self.places)}."
        if not self.elsewhere:
            found = f"All {total} activations were measured with {self.place}"
        else:
            found = f"{len(self.here)} of {total} activations were measured with {self.place}"
        if self.sampled:
            found += f", {len(self.sampled)} of them on a sample of float32 only"
        if self.elsewhere:
            found += f"; the models of the others are those of {' and of '.join(self.places)}"
        return f"{found}."


@lru_cache(maxsize=1)
def read() -> dict[str, Any]:
    """Return the file of measurements, ``data/activations.json``."""
    text = files("bridge.compare").joinpath("data", "activations.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def dtype_of(record: Mapping[str, Any]) -> str:
    """Return the type in which a record was measured."""
    return str(record.get("dtype", "float32"))


def processor_class(flags: Collection[str]) -> str:
    """Return the widest vectors of a processor by its flags, "" if none is known."""
    return next((each for each in _CLASSES if each in flags), "")


def coverage(versions: Mapping[str, str], cpu_flags: Collection[str]) -> Coverage:
    """Say which activations were measured with ``versions`` of the packages on such a processor.

    ``versions`` are by package; of "tensorflow", "tf_keras" and "keras", those that it does not
    name may be any. An activation counts as measured when its vector loops were, in float32: the
    loops over leftover elements and the short types are measured by the same command.
    """
    data = read()
    cpu = processor_class(cpu_flags)
    places = {
        name: _place({"tensorflow": each["tensorflow"]}, processor_class(each["cpu_flags"]))
        for name, each in data["environments"].items()
    }
    fits = {
        name
        for name, each in data["environments"].items()
        if processor_class(each["cpu_flags"]) == cpu
        and all(versions.get(part, each[part]) == each[part] for part in _PACKAGES)
    }
    vector = [
        each
        for each in data["measurements"]
        if each["part"] == "vector" and dtype_of(each) == "float32"
    ]
    here = {each["activation"]: each for each in vector if each["environment"] in fits}
    other = [each for each in vector if each["activation"] not in here]
    sampled = (name for name, each in here.items() if each["coverage"] != "exhaustive")
    return Coverage(
        here=tuple(sorted(here)),
        sampled=tuple(sorted(sampled)),
        elsewhere=tuple(sorted({each["activation"] for each in other})),
        place=_place(versions, cpu),
        places=tuple(sorted({places[each["environment"]] for each in other})),
    )


def _place(versions: Mapping[str, str], cpu: str) -> str:
    found = [f"{title} {versions[part]}" for part, title in _PACKAGES.items() if part in versions]
    vectors = f"processors with {cpu}" if cpu else "a processor of unknown kind"
    return f"{', '.join(found) or 'some TensorFlow'} on {vectors}"
