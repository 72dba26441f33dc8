"""A Keras layer whose methods are R functions."""

import os

from .proxy import calls_r

if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    from tf_keras.layers import Layer
else:
    from tensorflow.keras.layers import Layer


@calls_r
class RLayer(Layer):
    """Calls R functions for what a layer does."""
