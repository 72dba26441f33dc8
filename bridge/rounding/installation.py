"""Installations: what decides which kernels compute an activation, and what was measured of them.

Which loop computes a function depends on the versions of TensorFlow and Keras, on the instructions
that the processor has, on its maker where a kernel starts from an estimate (the estimates of
reciprocals and roots differ between makers), on whether oneDNN is on, and on switches that hold
oneDNN or XLA down to older instructions or to fewer digits. A model of a kernel's errors says
something of the installations that are the same in all of this, and nothing of any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
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
