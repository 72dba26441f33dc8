"""A Keras model whose call is an R function."""

import os
from typing import Any

if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    from tf_keras import Model
else:
    from tensorflow.keras import Model


class RModel(Model):
    """Calls ``r_call``, which R sets once the model is there."""

    r_call: Any = None

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)

    def call(self, inputs: Any, mask: Any = None, **kwargs: Any) -> Any:
        """Return what the R function makes of the inputs."""
        return self.r_call(inputs, mask, **kwargs)
