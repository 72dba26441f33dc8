"""Functions of R's as Python has them, and following each call that Python makes of one.

reticulate wraps a function of R's into a Python function; the front ends wrap that once more, to
give it a signature or to count from 1. Python calls the outermost; R is reached where reticulate's
own wrapper calls ``call_r_function``. That is replaced here, and nothing else.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

#: How the front ends' wrappers hand on what they are given, by the qualified name of their code:
#: at which place they count from 1 for R, and whether what R returns is put into the logs.
PASSING: Final = {
    "wrap_sig_self_idx_logs.<locals>.wrapper": "self-index-logs",
    "wrap_sig_self_logs.<locals>.wrapper": "self-logs",
    "wrap_sig_idx_logs.<locals>.wrapper": "index-logs",
    "wrap_sig_logs.<locals>.wrapper": "logs",
    "counted_from_one.<locals>.called": "self-index-logs",
    "with_logs.<locals>.called": "self-logs",
}
#: Where wrappers come from: texts that a front end wrote, and the front ends' own modules.
_TEXTS: Final = ("<string>", "<R function ")
_FOLDERS: Final = ("rpytools", "kerastools", "rclasses")
_DEEPEST: Final = 4


def r_function(item: Any) -> tuple[types.FunctionType, str] | None:
    """Return reticulate's own wrapper of an R function, and how ``item`` hands on to it.

    None where ``item`` is no function of R's.
    """
    return _unwrapped(item, _DEEPEST)


def _unwrapped(item: Any, depth: int) -> tuple[types.FunctionType, str] | None:
    if type(item) is not types.FunctionType or not depth:
        return None
    code = item.__code__
    folder = next((name for name in _FOLDERS if name in code.co_filename), "")
    if folder == "rpytools" and code.co_name == "python_function":
        return item, ""
    if not folder and not code.co_filename.startswith(_TEXTS):
        return None
    held = [*_cells(item), item.__globals__.get("_function")]
    found = next((function for part in held if (function := _unwrapped(part, depth - 1))), None)
    if found is None:
        return None
    return found[0], PASSING.get(getattr(code, "co_qualname", ""), "") or found[1]


def _cells(item: types.FunctionType) -> Iterator[Any]:
    for cell in item.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is not filled yet
            continue


def handle_of(function: types.FunctionType) -> Any:
    """Return what reticulate's wrapper holds of the R function: the same for every call."""
    return next(_cells(function), function)


def signature_of(item: types.FunctionType, inner: types.FunctionType) -> inspect.Signature | None:
    """Return the arguments that a function of R's shows to Python; None where it takes any."""
    if item is inner and "__signature__" not in vars(item):
        return None
    try:
        return inspect.signature(item)
    except (TypeError, ValueError):
        return None


class Follower(Protocol):
    """Who is told of the calls that Python makes of R's functions."""

    def enter(self, handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Take note that a call begins, and return its number."""
        ...

    def leave(self, number: int, result: Any, error: BaseException | None) -> None:
        """Take note that it ended."""
        ...


def follow(follower: Callable[[], Follower | None]) -> None:
    """Have every call of an R function told to the follower of that moment."""
    # reticulate's own, which can be imported only where R runs.
    call: Any = importlib.import_module("rpytools.call")
    thread: Any = importlib.import_module("rpytools.thread")
    old = getattr(call, "rpycall", None)
    original = old.call_r_function if old is not None else call.call_r_function
    followed = _unseen(_followed(original, follower, old is not None))
    if old is not None:
        call.rpycall = types.SimpleNamespace(call_r_function=followed)
    else:
        call.call_r_function = followed
    if hasattr(thread, "call_r_function"):
        thread.call_r_function = followed


def _followed(
    original: Callable[..., Any], follower: Callable[[], Follower | None], in_pairs: bool
) -> types.FunctionType:
    """Return what is called instead; ``in_pairs``: it returns what R gave, and whether R failed."""

    def call_r_function(f: Any, /, *args: Any, **kwargs: Any) -> Any:
        following = follower()
        # From another thread R is not called yet: reticulate has the main thread do it.
        if following is None or threading.current_thread() is not threading.main_thread():
            return original(f, *args, **kwargs)
        number = following.enter(f, args, kwargs)
        try:
            result = original(f, *args, **kwargs)
        except BaseException as error:  # what it raised is noted, and raised again
            following.leave(number, None, error)
            raise
        if not in_pairs:
            following.leave(number, result, None)
        elif result[1]:
            following.leave(number, None, RuntimeError(result[0]))
        else:
            following.leave(number, result[0], None)
        return result

    assert isinstance(call_r_function, types.FunctionType)
    return call_r_function


def _unseen(function: types.FunctionType) -> types.FunctionType:
    """Let TensorFlow leave a function out where it tells a user the way to an error.

    It leaves out the file with which it converts functions.
    """
    api = sys.modules.get("tensorflow.python.autograph.impl.api")
    if api is not None and api.__file__:
        function.__code__ = function.__code__.replace(co_filename=api.__file__)
    return function


_looking = threading.local()


@contextmanager
def looking() -> Iterator[None]:
    """Mark calls that are made only because something is described."""
    before = is_looking()
    _looking.on = True
    try:
        yield
    finally:
        _looking.on = before


def is_looking() -> bool:
    """Say whether something is being described."""
    return bool(getattr(_looking, "on", False))
