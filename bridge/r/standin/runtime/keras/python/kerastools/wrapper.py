"""A Keras wrapper whose methods are R functions."""

import os

from .layer import calls_r

if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    from tf_keras.layers import Wrapper
else:
    from tensorflow.keras.layers import Wrapper


@calls_r
class RWrapper(Wrapper):
    """Calls R functions for what a wrapper does."""
