"""A Keras layer whose methods are R functions."""

import os
from collections.abc import Callable
from typing import Any

if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    from tf_keras.layers import Layer
else:
    from tensorflow.keras.layers import Layer


def calls_r(kind: type[Any]) -> type[Any]:
    """Give a class of layers the methods that call the functions that R gave."""

    def initialise(
        self: Any,
        r_build: Callable[..., Any],
        r_call: Callable[..., Any],
        r_compute_output_shape: Callable[..., Any],
        **kwargs: Any,
    ) -> None:
        super(kind, self).__init__(**kwargs)
        self.r_build = r_build
        self.r_call = r_call
        self.r_compute_output_shape = r_compute_output_shape

    def build(self: Any, input_shape: Any) -> None:
        self.r_build(_plain(input_shape))
        super(kind, self).build(input_shape)

    def call(self: Any, inputs: Any, mask: Any = None) -> Any:
        return self.r_call(inputs, mask)

    def compute_output_shape(self: Any, input_shape: Any) -> Any:
        shape = self.r_compute_output_shape(_plain(input_shape))
        # Several outputs have a shape each.
        several = all(isinstance(part, tuple | list) for part in shape)
        return shape if several else tuple(shape)

    kind.__init__ = initialise
    for method in (build, call, compute_output_shape):
        setattr(kind, method.__name__, method)
    return kind


def _plain(shape: Any) -> Any:
    """Return a shape as a list, which R can take apart."""
    if isinstance(shape, tuple):
        return list(shape)
    return shape if isinstance(shape, list) else shape.as_list()


@calls_r
class RLayer(Layer):
    """Calls R functions for what a layer does."""
