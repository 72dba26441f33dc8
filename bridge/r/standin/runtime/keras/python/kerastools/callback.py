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
        for name in MOMENTS:
            function = moments.pop("r_on_" + name, None)
            if not _is_nothing(function):
                setattr(self, "on_" + name, function)
        if moments:
            raise TypeError("unknown moments: " + ", ".join(sorted(moments)))

    def set_params(self, params: Any) -> None:
        """Keep the parameters of the run and tell R of them."""
        super().set_params(params)
        self._tell()

    def set_model(self, model: Any) -> None:
        """Keep the model and tell R of it."""
        super().set_model(model)
        self._tell()

    def _tell(self) -> None:
        if self._r_set_context is not None and not _is_nothing(self._r_set_context):
            self._r_set_context(getattr(self, "params", None), getattr(self, "model", None))


def _is_nothing(function: Callable[..., Any] | None) -> bool:
    return function is None or getattr(function, "__name__", "") == "nothing"
