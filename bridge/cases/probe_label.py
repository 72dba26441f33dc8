"""Naming what a twin computes, so that reports can speak of ``A/relu`` and not of probe 7."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_label: ContextVar[str] = ContextVar("label", default="")
_on_error: Callable[[str, Exception], None] | None = None


@contextmanager
def probe(label: str) -> Iterator[None]:
    """Name the predictions made inside; without a recording it does nothing.

    An error that leaves the block is recorded and raised on, so that a twin can show an error
    and survive it.

    Example:
        >>> with probe("A/relu"):
        ...     model.predict(x)  # doctest: +SKIP
    """
    token = _label.set(label)
    try:
        yield
    except Exception as error:  # what a stranger's twin raises is noted, and raised again
        if _on_error is not None:
            _on_error(label, error)
        raise
    finally:
        _label.reset(token)


def current_label() -> str:
    """Return the name that applies now, or an empty string."""
    return _label.get()


def on_error(listener: Callable[[str, Exception], None]) -> None:
    """Have ``listener`` told of every error that leaves a :func:`probe` block."""
    global _on_error
    _on_error = listener
