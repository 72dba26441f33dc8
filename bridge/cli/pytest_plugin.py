"""R scripts as test items: ``pytest r_scripts/`` runs each, and explains the ones that fail.

Collected are ``.R`` files with a ``#|`` header of this program's in a folder ``r_scripts``, those
with such a header that are named on the command line, and every ``.R`` file with ``--keras-r``.
Nothing but this module is loaded until there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

    from bridge.cases.case import Case
    from bridge.pipeline.examine_case import Examined, Suite
    from bridge.report import CaseReport

#: Keys by which a header is known as ours: others write ``#|`` comments too.
_OURS: Final = frozenset({"expect-verdict", "expect-cause", "markers"})
_HEADER_BYTES: Final = 4096

_suite_key = pytest.StashKey["Suite"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("keras-bridge", "R scripts that use Keras")
    group.addoption(
        "--keras-r",
        action="store_true",
        help="take every .R file for a test, not only those with a header of keras-bridge",
    )
    group.addoption(
        "--keras-r-out",
        metavar="DIR",
        help="write the report of every R script to a folder of its own in DIR",
    )
    group.addoption(
        "--keras-r-frontend",
        default="auto",
        choices=("auto", "cran", "standin"),
        help="who answers library(keras): CRAN's package, the stand-in, or auto",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known that every R script has."""
    known = " ".join(config.getini("markers"))
    for line in ("r: needs R with reticulate", "tf: needs TensorFlow"):
        if not re.search(rf"(^|\s){line.partition(':')[0]}\s*:", known):
            config.addinivalue_line("markers", line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the warm processes, if there are any."""
    suite = config.stash.get(_suite_key, None)
    if suite is not None:
        suite.__exit__()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScriptFile | None:
    """Take an R script for a test file, if it is meant to be one."""
    if file_path.suffix != ".R":
        return None
    if not parent.config.getoption("--keras-r"):
        if "r_scripts" not in file_path.parts[:-1] and not _is_named(file_path, parent.config):
            return None
        with file_path.open("rb") as file:
            start = file.read(_HEADER_BYTES).decode("utf-8", "replace")
        from bridge.cases.case import header_keys

        if _OURS.isdisjoint(header_keys(start)):
            return None
    found: ScriptFile = ScriptFile.from_parent(parent, path=file_path)
    return found


def _is_named(path: Path, config: pytest.Config) -> bool:
    named = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    return any(script.is_file() and script.samefile(path) for script in named)


class ScriptFile(pytest.File):
    """A file with an R script in it: one test."""

    def collect(self) -> Iterator[ScriptItem]:
        """Yield the test, with the markers that the script's header gives it."""
        from bridge.cases.case import read_case

        twin = self.path.parent.parent / "comparisons" / f"{self.path.stem}.py"
        in_suite = self.path.parent.name == "r_scripts" and twin.is_file()
        case = read_case(self.path, twin if in_suite else None)
        item: ScriptItem = ScriptItem.from_parent(self, name=case.name, case=case)
        for marker in ("r", "tf", *case.markers):
            item.add_marker(marker)
        yield item


class ScriptFailedError(Exception):
    """A script is not as its header expects; the report says how."""

    def __init__(self, report: CaseReport) -> None:
        super().__init__(report.sentence)
        self.report = report


class ScriptItem(pytest.Item):
    """An R script as a test: it passes where it is as its header expects."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def runtest(self) -> None:
        """Run the script, its replay and its twin, and compare them.

        Raises:
            ScriptFailedError: it is not as its header expects; without a header, runs part.
        """
        # To its end: what is left in the middle closes the warm processes.
        (examined,) = _suite(self.config).examine([self.case])
        self._write(examined)
        report = examined.report
        self.user_properties += [("verdict", report.verdict), ("cause", report.cause)]
        expected = report.expected
        met = report.verdict not in ("different", "failed") if expected is None else expected.met
        if not met:
            raise ScriptFailedError(report)

    def _write(self, examined: Examined) -> None:
        out = self.config.getoption("--keras-r-out")
        if out:
            from bridge.pipeline.examine_case import write

            write([examined], self.config.invocation_params.dir / out / self.case.name)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        """Explain the failure; what is wrong with the machine is one sentence."""
        if isinstance(excinfo.value, ScriptFailedError):
            from bridge.report.terminal import explain_failure

            return explain_failure(excinfo.value.report)
        from bridge.process.pool import PoolError
        from bridge.r.script import NoFrontEndError, NoRError
        from bridge.r.standin.build import StandinError

        if isinstance(excinfo.value, (NoFrontEndError, NoRError, StandinError, PoolError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the test by its file, and by its title where it has one."""
        return self.path, 0, f"{self.case.name}: {self.case.title}".removesuffix(": ")


def _suite(config: pytest.Config) -> Suite:
    """Return the one suite of this process; its warm processes serve all scripts."""
    suite = config.stash.get(_suite_key, None)
    if suite is None:
        from bridge.pipeline.examine_case import Settings, Suite

        suite = Suite(Settings(frontend=config.getoption("--keras-r-frontend"), jobs=1))
        config.stash[_suite_key] = suite.__enter__()
    return suite
