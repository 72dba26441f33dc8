"""Commands of keras-bridge, run in the process of the tests and with its warm processes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from typer.testing import CliRunner, Result

if TYPE_CHECKING:
    from bridge.process.pool import Pool


def keras_bridge(*words: str, cwd: Path | None = None, pool: Pool | None = None) -> Result:
    """Return what a command prints and its exit code.

    ``cwd`` is the folder to run it in; ``pool`` has the warm processes that it is given in place of
    its own.
    """
    from bridge.cli.main import app

    with contextlib.ExitStack() as around:
        around.enter_context(contextlib.chdir(cwd or Path.cwd()))
        if pool is not None:
            around.enter_context(mock.patch.object(pool, "close"))
            for place in ("bridge.process.pool.Pool", "bridge.pipeline.examine_case.Pool"):
                around.enter_context(mock.patch(place, return_value=pool))
        done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done
