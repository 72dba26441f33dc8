"""What goes wrong: exceptions with a common base, and records of what is our own fault.

Exceptions of keras-bridge say what a caller can do; all of them derive from :class:`BridgeError`,
and from the standard exception that they are a kind of. Any other exception that leaves a step of
a case is a defect of keras-bridge: it ends that step only, and :func:`internal_error` makes the
record of it that reports list.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MAX_MESSAGE: Final = 2_000
_MAX_TRACEBACK: Final = 20_000
#: So many records of one step are kept: a defect in recording calls would be met at each of them.
_MAX_OF_A_STEP: Final = 20


class BridgeError(Exception):
    """Base of the exceptions of keras-bridge, as the tree of them says.

    ::

        BridgeError
        TREE
    """


@dataclass(frozen=True)
class InternalError:
    """An exception of ours: the step that it ended, what it said, and its traceback."""

    step: str
    message: str
    traceback: str


class Errors:
    """The exceptions of ours that were met in a case, in all of its threads."""

    def __init__(self) -> None:
        self._found: list[InternalError] = []
        self._lock = threading.Lock()

    def add(self, record: InternalError) -> bool:
        """Keep a record, unless it is there or there are many of its step; say whether."""
        with self._lock:
            of_step = sum(each.step == record.step for each in self._found)
            new = record not in self._found and of_step < _MAX_OF_A_STEP
            if new:
                self._found.append(record)
            return new

    @property
    def found(self) -> tuple[InternalError, ...]:
        """What was met, in order."""
        with self._lock:
            return tuple(self._found)


#: What is met where nobody collects: in threads of Keras' own, in a process that does one job.
_elsewhere: Errors | None = None
_errors: contextvars.ContextVar[Errors | None] = contextvars.ContextVar("errors", default=None)


@contextlib.contextmanager
def collected(errors: Errors) -> Iterator[Errors]:
    """Keep the exceptions of ours that are met within, in this thread and in its :func:`bound`."""
    token = _errors.set(errors)
    try:
        yield errors
    finally:
        _errors.reset(token)


def collect_elsewhere(errors: Errors | None) -> None:
    """Keep what is met in this process wherever nothing else is :func:`collected`."""
    global _elsewhere
    _elsewhere = errors


def bound(work: Callable[P, T]) -> Callable[P, T]:
    """Return ``work`` for another thread, so that what it meets is kept where it was asked for."""
    errors = _errors.get()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        token = _errors.set(errors)
        try:
            return work(*args, **kwargs)
        finally:
            _errors.reset(token)

    return run


def internal_error(step: str, error: BaseException) -> InternalError:
    """Make the record of an exception of ours, and keep it where errors are :func:`collected`."""
    record = InternalError(step, _message(error), _traceback(error))
    keep(record)
    return record


def keep(record: InternalError) -> None:
    """Keep a record that another process made."""
    errors = _errors.get() or _elsewhere
    if errors is not None:
        errors.add(record)


def _message(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"[:_MAX_MESSAGE]
    except Exception:
        return name


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))[-_MAX_TRACEBACK:]
    except Exception:
        return "".join(traceback.format_tb(error.__traceback__))[-_MAX_TRACEBACK:]
