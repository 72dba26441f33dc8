"""A Keras callback whose moments call R functions."""

import os
from collections.abc import Callable
from typing import Any

if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    from tf_keras.callbacks import Callback
else:
    from tensorflow.keras.callbacks import Callback

MOMENTS = tuple(
    f"{what}_{end}"
    for what in (
        "epoch",
        "batch",
        "train",
        "train_batch",
        "test",
        "test_batch",
        "predict",
        "predict_batch",
    )
    for end in ("begin", "end")
)


class RCallback(Callback):
    """Calls the R function given for a moment; one named ``nothing`` is not called at all."""

    def __init__(self, r_set_context: Callable[..., Any] | None = None, **moments: Any) -> None:
        super().__init__()
        self._r_set_context = r_set_context
        given = {name: moments.pop("r_on_" + name, None) for name in MOMENTS}
        if moments:
            raise TypeError("unknown moments: " + ", ".join(sorted(moments)))
        for name, function in given.items():
            if not _is_nothing(function):
                setattr(self, "on_" + name, function)
        if not _is_nothing(r_set_context):
            self.on_train_begin = self._told(given["train_begin"])

    def _told(self, function: Callable[..., Any] | None) -> Callable[..., Any]:
        """Return what tells R of the model when a training begins, and not before."""

        def on_train_begin(logs: Any = None) -> None:
            if self._r_set_context is not None:
                self._r_set_context(self.params, self.model)
            if function is not None and not _is_nothing(function):
                function(logs)

        return on_train_begin


def _is_nothing(function: Callable[..., Any] | None) -> bool:
    return function is None or getattr(function, "__name__", "") == "nothing"
