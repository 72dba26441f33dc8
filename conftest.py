"""Shared by the tests and by the examples of the site: warm processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bridge.process.pool import Pool


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Warm processes for all tests: each takes seconds to start, and a job only forks one."""
    from bridge.process.pool import Pool

    with Pool() as pool:
        yield pool
