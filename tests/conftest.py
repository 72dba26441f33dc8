"""Shared by all tests: how many examples are tried, the order, and what to skip."""

from __future__ import annotations

import gc
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import Errors, watch
from bridge.report.words import ERROR_LOG
from tests.examples import register

register()

#: The exceptions of keras-bridge itself that this process has met since the last look.
_MET = Errors()
watch(_MET)


@pytest.fixture(autouse=True)
def no_internal_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a step of keras-bridge itself failed, unless it is marked for that.

    A report lists such a step and goes on; a test that looks at something else would not see it.
    What a fixture of several tests met is told with the first of them, what a command wrote that
    ran in another process is found by the log that it left.
    """
    folder: Path | None = None
    if "tmp_path" in request.fixturenames:
        folder = request.getfixturevalue("tmp_path")
    yield
    met = [f"{each.step}: {each.message}\n{each.traceback}" for each in _MET.take()]
    if folder is not None:
        met += [log.read_text("utf-8") for log in folder.rglob(ERROR_LOG)]
    if met and request.node.get_closest_marker("internal_errors") is None:
        pytest.fail("steps of keras-bridge itself failed:\n" + "\n".join(met))


@pytest.fixture(autouse=True)
def types_that_run_here(request: pytest.FixtureRequest) -> None:
    """Skip a test of TensorFlow in a type that it cannot compute in under the switches set."""
    chosen = getattr(request.node, "callspec", None)
    if chosen is None or request.node.get_closest_marker("tf") is None:
        return
    from bridge.rounding.rules.rounding import FORMATS, Format
    from tests.tensorflow_ways import runs_here

    values = [
        value.name if isinstance(value, Format) else value for value in chosen.params.values()
    ]
    for dtype in {str(value).removeprefix("mixed_") for value in values} & set(FORMATS):
        if not runs_here(dtype):
            pytest.skip(f"TensorFlow does not compute in {dtype} under the switches set")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first, and skip what cannot run here.

    On the project's own machines nothing is skipped.
    """
    _sort(items)
    no_r = shutil.which("Rscript") is None or importlib.util.find_spec("rpy2") is None
    no_tensorflow = importlib.util.find_spec("tensorflow") is None
    for item in items:
        if no_r and item.get_closest_marker("r"):
            item.add_marker(pytest.mark.skip(reason="R or rpy2 is not installed"))
        if no_tensorflow and item.get_closest_marker("tf"):
            item.add_marker(pytest.mark.skip(reason="TensorFlow is not installed"))


def pytest_collection_finish() -> None:
    """Look for garbage seldom, and not in what lives to the end: TensorFlow and all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def _sort(items: list[pytest.Item]) -> None:
    """Put files that need R or TensorFlow first: no process is left with a long one at the end."""
    needs: dict[Path, set[str]] = {}
    for item in items:
        needs.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())
    items.sort(key=lambda item: [name not in needs[item.path] for name in ("r", "tf", "slow")])
