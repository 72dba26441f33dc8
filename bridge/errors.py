"""What goes wrong: exceptions with a common base, and records of what is our own fault.

Exceptions of keras-bridge say what a caller can do; all of them derive from :class:`BridgeError`,
and from the standard exception that they are a kind of. Any other exception that leaves a step of
a case is a defect of keras-bridge: it ends that step only, and :func:`internal_error` makes the
record of it that reports list.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")

_MAX_MESSAGE: Final = 2_000
_MAX_TRACEBACK: Final = 20_000
#: So many records of one step are kept: a defect in recording calls would be met at each of them.
_MAX_OF_A_STEP: Final = 20


class BridgeError(Exception):
    """Base of the exceptions of keras-bridge, as the tree of them says.

    ::

        BridgeError
            AddingError (ValueError)
            ArrayFileError (ValueError)
            CannotError
            CapsuleError (ValueError)
            CaseError (ValueError)
            ClaimError (TypeError)
            ConditionError (ValueError)
            ContainError (RuntimeError)
            ContradictoryError
            FaultError (ValueError)
            GapError
            JobError
            LeverError (ValueError)
            LookError (RuntimeError)
            MisfitError
            NeedsStatementsError
            NoFrontEndError (RuntimeError)
            NoRError (RuntimeError)
            NoValueError (ValueError)
            NotRecordedError (RuntimeError)
            NothingRecordedError (ValueError)
            ObservedError (ValueError)
            OverBudgetError
            PoolError (RuntimeError)
            RError (RuntimeError)
            RecipeError (ValueError)
            ReplayError (RuntimeError)
            ReportError (ValueError)
            RuleError (ValueError)
            SelftestError (RuntimeError)
            SpoolClosedError (OSError)
            StandinError (RuntimeError)
            SyntaxRowsError (ValueError)
            TableError (ValueError)
            UncheckedError
            UnmadeError (ValueError)
            UnsupportedError
                InexactError
            WatchedError
            WiringError (ValueError)

    Attributes:
        ends_everything: no case can be examined, as where R or TensorFlow cannot be started.
        is_the_scripts: what the script did to us is why; it is no defect of ours.
    """

    ends_everything = False
    is_the_scripts = False


@dataclass(frozen=True)
class InternalError:
    """An exception of ours: the step that it ended, what it said, and its traceback."""

    step: str
    message: str
    traceback: str


class JobError(BridgeError):
    """A process that did a job for us was ended by an exception of ours.

    Attributes:
        record: what that process told of it.
    """

    def __init__(self, record: InternalError) -> None:
        super().__init__(f"a process of keras-bridge failed: {record.message}")
        self.record = record


class Errors:
    """The exceptions of ours that were met in a case, in all of its threads."""

    def __init__(self) -> None:
        self._found: list[InternalError] = []
        self._lock = threading.Lock()

    def add(self, record: InternalError) -> bool:
        """Keep a record, unless it is there or there are many of its step; say whether."""
        with self._lock:
            of_step = sum(earlier.step == record.step for earlier in self._found)
            new = record not in self._found and of_step < _MAX_OF_A_STEP
            if new:
                self._found.append(record)
            return new

    def take(self) -> tuple[InternalError, ...]:
        """Return what was met, and forget it."""
        with self._lock:
            found, self._found = tuple(self._found), []
            return found

    @property
    def found(self) -> tuple[InternalError, ...]:
        """What was met, in order."""
        with self._lock:
            return tuple(self._found)


#: Sees all that is met in this process, in threads of Keras' own as well.
_watching: Errors | None = None
_errors: contextvars.ContextVar[Errors | None] = contextvars.ContextVar("errors", default=None)


@contextlib.contextmanager
def collected(errors: Errors) -> Iterator[Errors]:
    """Keep the exceptions of ours that are met within, in this thread and in its :func:`bound`."""
    token = _errors.set(errors)
    try:
        yield errors
    finally:
        _errors.reset(token)


def watch(errors: Errors | None) -> None:
    """Keep everything that is met in this process in ``errors`` as well; None ends that."""
    global _watching
    _watching = errors


def bound(work: Callable[P, T]) -> Callable[P, T]:
    """Return ``work`` for another thread, so that what it meets is kept where it was asked for."""
    errors = _errors.get()

    @functools.wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        token = _errors.set(errors)
        try:
            return work(*args, **kwargs)
        finally:
            _errors.reset(token)

    return run


def internal_error(step: str, error: BaseException) -> InternalError:
    """Make the record of an exception of ours, and keep it where errors are :func:`collected`."""
    if isinstance(error, JobError):
        # The process that met it made the record, and has told of it.
        return error.record
    record = InternalError(step, _message(error), _traceback(error))
    if not (isinstance(error, BridgeError) and error.is_the_scripts):
        keep(record)
    return record


def isolated(step: str, work: Callable[[], T], otherwise: U) -> T | U:
    """Do one step of a case: an exception of ours ends it alone, and ``otherwise`` is its result.

    Raises:
        BridgeError: one that no case can survive (``ends_everything``).
    """
    try:
        return work()
    except Exception as error:  # what a step does not foresee is our defect, and is recorded
        if isinstance(error, BridgeError) and error.ends_everything:
            raise
        internal_error(step, error)
        return otherwise


def attempted(step: str, work: Callable[[], T]) -> T | InternalError:
    """Do one step of a case: an exception of ours ends it alone, and its record is the result.

    Raises:
        BridgeError: one that says what a caller can do.
    """
    try:
        return work()
    except BridgeError:
        raise
    except Exception as error:  # what a step does not foresee is our defect, and is recorded
        return internal_error(step, error)


def keep(record: InternalError) -> None:
    """Keep a record that another process made."""
    for errors in (_errors.get(), _watching):
        if errors is not None:
            errors.add(record)


def _message(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return _printable(f"{name}: {error}"[:_MAX_MESSAGE])
    except Exception:  # asking a stranger's exception for its message runs its own code
        return name


def _traceback(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # as above
        text = "".join(traceback.format_tb(error.__traceback__))
    return _printable(text[-_MAX_TRACEBACK:])


def _printable(text: str) -> str:
    """Spell out what no text file holds, as the bytes of a file's name that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
