"""What was measured of the activations' kernels, and for which installations it holds."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    # The doctor looks at installations without what capsules need.
    from bridge.capsule import Environment, KernelErrors

#: Instructions that compute with floating-point numbers, in the words of Linux. Those that only
#: multiply integers (AVX-VNNI) or move bits about change no activation.
FLOAT_INSTRUCTIONS: Final = (
    "sse4_1", "sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512dq", "avx512bw", "avx512vl",
    "avx512_bf16", "avx512_fp16", "avx_ne_convert", "avx10_1", "avx10_2", "amx_tile", "amx_bf16",
    "amx_fp16", "amx_complex", "asimd", "asimdhp", "asimdfhm", "sve", "sve2", "svebf16", "bf16",
)  # fmt: skip
#: Of these only arithmetic in short types makes use.
_SHORT: Final = frozenset(
    {"f16c", "avx512_bf16", "avx512_fp16", "avx_ne_convert", "amx_tile", "amx_bf16", "amx_fp16",
     "amx_complex", "asimdhp", "asimdfhm", "svebf16", "bf16"}
)  # fmt: skip
#: The packages whose versions decide which kernels run, as people write them.
PACKAGES: Final = {"tensorflow": "TensorFlow", "tf_keras": "tf_keras", "keras": "Keras"}


@dataclass(frozen=True)
class Installation:
    """What decides which kernels run; "", () and None where it was not recorded.

    ``packages`` are versions by package, ``switches`` those that were set, by name.
    """

    machine: str = ""
    vendor: str = ""
    instructions: frozenset[str] = frozenset()
    packages: tuple[tuple[str, str], ...] = ()
    onednn: bool | None = None
    switches: tuple[tuple[str, str], ...] = ()

    @property
    def described(self) -> bool:
        """Whether enough was recorded to tell it from every other installation."""
        names = {name for name, _version in self.packages}
        known = self.machine and self.vendor and self.instructions and "tensorflow" in names
        return bool(known) and self.onednn is not None

    def covers(self, other: Installation, dtype: str) -> bool:
        """Say whether what was measured here in a type holds on ``other``.

        A package that ``other`` lacks ran nothing there. Instructions for short types decide
        nothing in float32: no kernel of TensorFlow computes float32 in fewer digits unless a
        switch asks for it, and switches have to be the same.
        """
        versions = dict(self.packages)
        return (
            self.described
            and other.described
            and (self.machine, self.vendor) == (other.machine, other.vendor)
            and (self.onednn, self.switches) == (other.onednn, other.switches)
            and all(versions.get(name) == version for name, version in other.packages)
            and self._used(dtype) == other._used(dtype)
        )

    def _used(self, dtype: str) -> frozenset[str]:
        return self.instructions - _SHORT if dtype == "float32" else self.instructions

    @property
    def sentence(self) -> str:
        """What there is, in words."""
        versions = [f"{PACKAGES[name]} {version}" for name, version in self.packages]
        found = [", ".join(versions) or "some TensorFlow", f"on {self.processor}"]
        if self.onednn is not None:
            found.append(f"with oneDNN {'on' if self.onednn else 'off'}")
        if self.switches:
            found.append(f"under {', '.join(f'{name}={value}' for name, value in self.switches)}")
        return " ".join(found)

    @property
    def processor(self) -> str:
        """The processor, by its maker and the instructions that tell it from older ones."""
        newest = [name for name in FLOAT_INSTRUCTIONS if name in self.instructions]
        wide = next((name for name in ("avx512f", "avx2", "avx", "sve", "asimd")
                     if name in newest), "")  # fmt: skip
        short = [name for name in newest if name in _SHORT - {"f16c"}]
        if not newest:
            return "a processor of unknown kind"
        maker = f"{self.vendor} " if self.vendor else ""
        return f"{maker}processors with {' and '.join([wide or newest[-1], *short])}"


@dataclass(frozen=True)
class Kernels:
    """The installation whose kernels computed something, and what was measured of them there.

    ``devices`` are the kinds of device on which they may have run: what was measured on a CPU says
    nothing of any other.
    """

    installation: Installation = Installation()
    measured: tuple[KernelErrors, ...] = field(default=(), repr=False)
    devices: tuple[str, ...] = ("CPU",)


def installation_of(environment: Environment) -> Installation:
    """Return what a capsule's environment says of the kernels."""
    return Installation(
        machine=environment.machine,
        vendor=environment.cpu_vendor,
        instructions=instructions(environment.cpu_flags),
        packages=_packages(environment.packages),
        onednn=environment.onednn,
        switches=tuple(sorted(environment.switches.items())),
    )


def installation_of_record(record: Mapping[str, Any]) -> Installation:
    """Return the installation that an entry of the file of measurements describes.

    Entries of older files say nothing of the maker, so that they describe none.
    """
    return Installation(
        machine=record.get("machine", ""),
        vendor=record.get("cpu_vendor", ""),
        instructions=instructions(record["cpu_flags"]),
        packages=_packages(record),
        onednn=record.get("onednn"),
        switches=tuple(sorted(record.get("switches", {}).items())),
    )


def instructions(flags: Collection[str]) -> frozenset[str]:
    """Return those of a processor's flags that decide how it computes with numbers."""
    return frozenset(flags) & frozenset(FLOAT_INSTRUCTIONS)


def _packages(versions: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(versions[name])) for name in PACKAGES if name in versions)


# What was measured of the activations' kernels, and whether it speaks of an installation.


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
    for measurement in data["measurements"]:
        if (measurement["activation"], dtype_of(measurement)) == (activation, dtype):
            parts.setdefault(measurement["environment"], set()).add(measurement["part"])
    # A layer of any size runs the loop over whole vectors and that over leftover elements.
    whole = (name for name, seen in sorted(parts.items()) if seen >= {"vector", "scalar"})
    return tuple(installation_of_record(data["environments"][name]) for name in whole)


def coverage(here: Installation) -> Coverage:
    """Say how much of the file was measured on an installation."""
    pairs = {
        (measurement["activation"], dtype_of(measurement)) for measurement in read()["measurements"]
    }
    names = {name for name, _dtype in pairs}
    open_ = {
        name
        for name, dtype in pairs
        if not any(place.covers(here, dtype) for place in installations_of(name, dtype))
    }
    return Coverage(place=here.sentence, total=len(names), covered=len(names - open_))
