"""The command ``audit``: which packages, who answers for them, and what is printed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bridge.audit.judge import AuditReport, Level
from bridge.audit.texts import summary, table, write
from bridge.audit.wrapper_calls import FAMILIES, run_audit
from bridge.process.pool import Limits, Pool
from bridge.r.script import NoFrontEndError, Wanted, inspect, serve

__all__ = ["PACKAGES", "audit", "tell", "write"]

#: The front ends that have wrappers.
PACKAGES: Final = ("keras", "keras3")

#: What the table shows; the rest is in the JSON.
_SHOWN: Final[tuple[Level, ...]] = ("fault",)


def audit(
    packages: Sequence[str],
    frontend: Wanted,
    limits: Limits,
    progress: Callable[[str, str], None] = lambda _package, _step: None,
    families: str = FAMILIES,
) -> list[AuditReport]:
    """Audit these packages, all of them if none is named.

    ``families`` is a regular expression of R's for the names of the functions.

    Raises:
        NoFrontEndError: there is no such package to audit.
        NoRError: R cannot be run.
        PoolError: R, TensorFlow or Keras cannot be started.
        StandinError: the stand-in cannot be built.
    """
    for package in packages:
        if package not in PACKAGES:
            raise NoFrontEndError(
                f"{package!r} has no wrappers to audit: name {' or '.join(PACKAGES)}."
            )
    installed, _ = inspect([])
    reports, shares = [], os.cpu_count() or 1
    with Pool() as pool:
        for package in packages or PACKAGES:
            progress(package, "calls every wrapper with odd arguments")
            served = serve(package, frontend, installed)
            reports.append(run_audit(pool, package, served, limits, shares, families))
    return reports


def tell(reports: Sequence[AuditReport], out: Path, console: Console | None = None) -> None:
    """Print the reports, and write their JSON and issue texts into ``out``."""
    console = console or Console()
    for report in reports:
        console.print(table(report, _SHOWN))
        for line in summary(report):
            console.print(line, markup=False, highlight=False)
        json, *texts = write(report, out)
        console.print(str(json), markup=False, highlight=False, soft_wrap=True)
        if texts:
            count = f"{len(texts)} texts to file" if len(texts) > 1 else "1 text to file"
            console.print(f"{count} in {texts[0].parent}", markup=False, highlight=False)
