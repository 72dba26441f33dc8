"""The processor of this machine, and the switches that hold libraries back from using all of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

#: Variables that change which kernels oneDNN chooses, or with how many digits; it reads both names.
#: Whether oneDNN is on at all is asked of TensorFlow, which decides by more than its variable.
_SWITCHES: Final = {
    "ONEDNN_MAX_CPU_ISA": ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"),
    "ONEDNN_DEFAULT_FPMATH_MODE": ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    "TF_SET_ONEDNN_FPMATH_MODE": ("TF_SET_ONEDNN_FPMATH_MODE",),
}
#: Values that say what holds without them.
_NOTHING: Final = frozenset({"", "ALL", "DEFAULT", "STRICT"})
#: Instructions with which TensorFlow turns oneDNN on by itself.
_NEURAL: Final = frozenset({"avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8"})
#: Of XLA's flags those about the code that it makes for a CPU; others may hold paths.
_XLA_PREFIX: Final = "--xla_cpu_"
#: The keys of /proc/cpuinfo, of Intel's and AMD's processors and of ARM's.
_FLAGS: Final = ("flags", "Features")
_VENDOR: Final = ("vendor_id", "CPU implementer")
_MODEL: Final = ("model name", "CPU part")


def cpu_flags() -> tuple[str, ...]:
    """Return what the processor can do, in the words of Linux; nothing elsewhere."""
    return tuple(_first(_FLAGS).split())


def cpu_vendor() -> str:
    """Return the maker of the processor as it names itself, "" if it is not known."""
    return _first(_VENDOR)


def cpu_model() -> str:
    """Return the name of the processor, "" if it is not known."""
    return _first(_MODEL) or platform.processor()


def onednn_by_default(variables: Mapping[str, str] = os.environ) -> bool:
    """Say whether TensorFlow turns oneDNN on here, without importing it.

    It does where its variable says so, and otherwise on Linux on processors with instructions for
    neural networks (``IsMKLEnabled`` of tensorflow/core/util/util.cc).
    """
    asked = variables.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
    if asked:
        return asked in ("1", "true")
    return platform.system() == "Linux" and not _NEURAL.isdisjoint(cpu_flags())


def kernel_switches(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the switches among ``variables`` that change which kernels run, by name."""
    found = {}
    for name, spellings in _SWITCHES.items():
        value = next((variables[each] for each in spellings if each in variables), "").upper()
        if value not in _NOTHING:
            found[name] = value
    for flag in _xla_flags(variables.get("XLA_FLAGS", "")):
        name, _, value = flag.partition("=")
        if name.startswith(_XLA_PREFIX):
            found[name.removeprefix("--")] = value
    return found


def _xla_flags(value: str) -> list[str]:
    """Return XLA's flags; what does not begin as one is the name of a file that holds them."""
    flags = value.strip()
    if flags and not flags.startswith("-"):
        try:
            flags = Path(flags).read_text("utf-8", errors="replace")
        except (OSError, ValueError):
            flags = ""
    return flags.split()


def _first(keys: tuple[str, ...]) -> str:
    return next((value for name, value in _cpuinfo() if name in keys), "")


@lru_cache(maxsize=1)
def _cpuinfo() -> tuple[tuple[str, str], ...]:
    """Return the keys and values of the first processor."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.exists() else ""
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)
