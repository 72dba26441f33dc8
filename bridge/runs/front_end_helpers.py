"""What the R packages have in Python, as a replay has it that has none of the packages.

reticulate and the front ends bring modules of their own (``rpytools``, ``kerastools``): classes
whose methods call functions of R's, and helpers that catch what is printed. Each is written here
once more, in the words of Keras alone, by the name by which a recording knows it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from bridge.runs.recorded_functions import NotRecordedError

_MOMENTS: Final = tuple(
    f"{what}_{end}"
    for what in (
        *("epoch", "batch", "train", "train_batch", "test", "test_batch"),
        *("predict", "predict_batch"),
    )
    for end in ("begin", "end")
)


def helper(name: str, keras: Any) -> Any:
    """Return what stands for a helper of the front ends, by its bare name; None if nothing does."""
    return _PLAIN.get(name) or (_OF_KERAS[name](keras) if name in _OF_KERAS else None)


def _callback(keras: Any) -> type:
    class RCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Calls the function given for a moment."""

        def __init__(self, r_set_context: Any = None, **moments: Any) -> None:
            super().__init__()
            self._chief_worker_only = False
            given = {name: moments.get(f"r_on_{name}") for name in _MOMENTS}
            for name, function in given.items():
                if _is_there(function):
                    setattr(self, f"on_{name}", function)
            if _is_there(r_set_context):
                self.on_train_begin = self._told(r_set_context, given["train_begin"])

        def _told(self, set_context: Any, train_begin: Any) -> Callable[..., Any]:
            """Return what tells R of the model when a training begins, and not before."""

            def on_train_begin(logs: Any = None) -> None:
                set_context(self.params, self.model)
                if _is_there(train_begin):
                    train_begin(logs)

            return on_train_begin

    return RCallback


def _is_there(function: Any) -> bool:
    """Say whether a function does anything: our stand-ins give one that is called ``nothing``."""
    return function is not None and function.__name__ != "nothing"


def _constraint(keras: Any) -> type:
    class RConstraint(keras.constraints.Constraint):  # type: ignore[misc]
        """Applies a function to the weights."""

        def __init__(self, r_call: Any, r_get_config: Any = None) -> None:
            self.r_call = r_call
            self.r_get_config = r_get_config

        def __call__(self, w: Any) -> Any:
            return self.r_call(w)

        def get_config(self) -> Any:
            return (self.r_get_config() or {}) if self.r_get_config is not None else {}

    return RConstraint


def _layer(base: Any, name: str) -> type:
    class RLayer(base):  # type: ignore[misc]
        """Calls functions for what a layer does."""

        def __init__(self, r_build: Any, r_call: Any, r_compute_output_shape: Any, **kwargs: Any):
            super().__init__(**kwargs)
            self.r_build = r_build
            self.r_call = r_call
            self.r_compute_output_shape = r_compute_output_shape

        def build(self, input_shape: Any) -> None:
            self.r_build(_listed(input_shape))
            super().build(input_shape)

        def call(self, inputs: Any, mask: Any = None) -> Any:
            return self.r_call(inputs, mask)

        def compute_output_shape(self, input_shape: Any) -> Any:
            shape = self.r_compute_output_shape(_listed(input_shape))
            several = all(isinstance(part, (tuple, list)) for part in shape)
            return shape if several else tuple(shape)

    RLayer.__name__ = RLayer.__qualname__ = name
    return RLayer


def _listed(shape: Any) -> Any:
    if isinstance(shape, (tuple, list)):
        return list(shape)
    return shape.as_list() if hasattr(shape, "as_list") else list(shape)


def _model(keras: Any) -> type:
    class RModel(keras.Model):  # type: ignore[misc]
        """Calls a function that is set once the model is there."""

        r_call: Any = None
        _r_call: Any = None

        def __init__(self, name: str | None = None) -> None:
            super().__init__(name=name)

        def call(self, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
            return (self.r_call or self._r_call)(inputs, mask, **kwargs)

    return RModel


class RGenerator:
    """Gives what a function gives, until that ends."""

    def __init__(self, r_function: Callable[[], Any], completed: Any = None) -> None:
        # In new versions of reticulate the second is how many are asked for ahead.
        self._function = r_function
        self._completed = completed

    def __iter__(self) -> RGenerator:
        return self

    def __next__(self) -> Any:
        try:
            made = self._function()
        except NotRecordedError:
            # Asked for ahead, as R was not: where it is needed, Keras says that it is missing.
            raise StopIteration from None
        if made is None or (isinstance(self._completed, str) and made == self._completed):
            raise StopIteration
        return made

    next = __next__


class OutputCaptureContext:
    """Catches what Python prints."""

    def __init__(self, capture_stdout: bool, capture_stderr: bool) -> None:
        self._names = [
            name
            for name, wanted in (("stdout", capture_stdout), ("stderr", capture_stderr))
            if wanted
        ]
        self._stream = io.StringIO()
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        for name in self._names:
            self._before[name] = getattr(sys, name)
            setattr(sys, name, self._stream)

    def __exit__(self, *_: object) -> None:
        for name, stream in self._before.items():
            setattr(sys, name, stream)

    def collect_output(self, clear: bool = True) -> str:
        """Return what was caught."""
        text = self._stream.getvalue()
        if clear:
            self._stream.truncate(0)
            self._stream.seek(0)
        return text


def _iterator_to_generator(iterator: Any) -> Iterator[Any]:
    yield from map(tuple, iterator)


def _iter_generator(iterator: Any) -> Iterator[Any]:
    while True:
        yield next(iterator)


class NoProcesses:
    """Stands where a front end keeps programs from reading what the user types."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_PLAIN: Final[dict[str, Any]] = {
    "RGenerator": RGenerator,
    "OutputCaptureContext": OutputCaptureContext,
    "iterator_to_generator": _iterator_to_generator,
    "iter_generator": _iter_generator,
    "_patched_subprocess_Popen": NoProcesses,
}
_OF_KERAS: Final[dict[str, Callable[[Any], Any]]] = {
    "RCallback": _callback,
    "RConstraint": _constraint,
    "RLayer": lambda keras: _layer(keras.layers.Layer, "RLayer"),
    "RWrapper": lambda keras: _layer(keras.layers.Wrapper, "RWrapper"),
    "RModel": _model,
}
