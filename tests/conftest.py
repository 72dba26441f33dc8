"""Shared by all tests: where R or TensorFlow is missing, tests that need them say so and skip."""

from __future__ import annotations

import importlib.util
import shutil

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here; on the project's own machines nothing is skipped."""
    no_r = shutil.which("Rscript") is None or importlib.util.find_spec("rpy2") is None
    no_tensorflow = importlib.util.find_spec("tensorflow") is None
    for item in items:
        if no_r and item.get_closest_marker("r"):
            item.add_marker(pytest.mark.skip(reason="R or rpy2 is not installed"))
        if no_tensorflow and item.get_closest_marker("tf"):
            item.add_marker(pytest.mark.skip(reason="TensorFlow is not installed"))
