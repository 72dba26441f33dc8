"""A Keras constraint that calls an R function."""

import os
from collections.abc import Callable
from typing import Any

if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    from tf_keras.constraints import Constraint
else:
    from tensorflow.keras.constraints import Constraint


class RConstraint(Constraint):
    """Applies ``r_call`` to the weights; ``r_get_config`` gives the configuration or None."""

    def __init__(
        self, r_call: Callable[..., Any], r_get_config: Callable[[], Any] | None = None
    ) -> None:
        self.r_call = r_call
        self.r_get_config = r_get_config

    def __call__(self, w: Any) -> Any:
        """Return the weights as the R function leaves them."""
        return self.r_call(w)

    def get_config(self) -> dict[str, Any]:
        """Return what R says of the constraint, nothing by default."""
        return (self.r_get_config() or {}) if self.r_get_config is not None else {}
