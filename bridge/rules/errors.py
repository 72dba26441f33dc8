"""The errors that a script met, and the calls of the text around them."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import ErrorRecord
from bridge.rules.run import Run
from bridge.translate.syntax import RCall, walk


def errors(run: Run) -> Iterator[tuple[ErrorRecord, str]]:
    """Yield the errors that the script met, each with all that Python said of it."""
    raised = [call for call in run.asked if call.error is not None]
    ended = run.capsule.manifest.error
    for error in (*run.capsule.manifest.caught, *((ended,) if ended is not None else ())):
        said = [call.error.message for call in raised if call.error and call.line == error.line]
        yield error, "\n".join((error.message, *said))


def around(run: Run, line: int | None) -> Iterator[RCall]:
    """Yield the calls that the text has at a line, or around it."""
    for node in run.written:
        if line in {inner.line for inner in walk(node)}:
            yield node
