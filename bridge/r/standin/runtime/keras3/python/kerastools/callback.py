"""Callbacks written in R, where epochs and batches are counted from 1."""

from collections.abc import Callable
from typing import Any


def wrap_sig_idx_logs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls ``function`` with its first number one higher."""

    def called(*args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], int):
            args = (args[0] + 1, *args[1:])
        kwargs |= {k: kwargs[k] + 1 for k in ("epoch", "batch") if k in kwargs}
        return function(*args, **kwargs)

    called.__name__ = getattr(function, "__name__", "called")
    return called
