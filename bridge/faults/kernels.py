"""Faulty kernels: the ops that multiply and add up, with their operands made less precise.

A layer that is wrapped runs as it is; while it runs, TensorFlow's own functions for these ops are
exchanged. So the fault stands in the kernel of whatever the layer asks for, eagerly as in a graph
that is traced meanwhile, in recurrent layers as in dense ones.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bridge.faults.graph_rewriting import EXPONENT, TF32_HALF, TF32_KEPT

#: The functions through which TensorFlow's Python reaches these kernels, by the module's name.
_KERNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "gen_math_ops": ("mat_mul", "batch_mat_mul", "batch_mat_mul_v2", "batch_mat_mul_v3"),
    "gen_nn_ops": ("conv2d", "conv3d", "depthwise_conv2d_native"),
}


def wrap(layer: Any, kind: str) -> None:
    """Let a layer run on faulty kernels of this kind from now on."""
    whole = layer.call
    lower = LOWERING[kind]

    @functools.wraps(whole)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _operands(lower):
            return whole(*args, **kwargs)

    layer.call = call


@contextmanager
def _operands(lower: Callable[[Any], Any]) -> Iterator[None]:
    import importlib

    kept: list[tuple[Any, str, Any]] = []
    for name, functions in _KERNELS.items():
        module = importlib.import_module(f"tensorflow.python.ops.{name}")
        kept += [
            (module, each, getattr(module, each)) for each in functions if hasattr(module, each)
        ]
    try:
        for module, each, whole in kept:
            setattr(module, each, _lowered(whole, lower))
        yield
    finally:
        for module, each, whole in kept:
            setattr(module, each, whole)


def _lowered(whole: Callable[..., Any], lower: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(whole)
    def lowered(*args: Any, **kwargs: Any) -> Any:
        import tensorflow as tf

        # The operands are the first two arguments of all of them, called by several names. What
        # lowers them is done inside of a real kernel: it is no op of any layer.
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        with graph.name_scope(None) if graph is not None else contextlib.nullcontext():
            given = [lower(x) if place < 2 else x for place, x in enumerate(args)]
            named = {
                key: lower(x) if key in ("a", "b", "x", "y", "input", "filter") else x
                for key, x in kwargs.items()
            }
        return whole(*given, **named)

    return lowered


def _is_float32(x: Any) -> bool:
    return bool(getattr(x, "dtype", None) == "float32")


def to_bf16(x: Any) -> Any:
    """Return what bfloat16 keeps of the numbers."""
    import tensorflow as tf

    return tf.cast(tf.cast(x, tf.bfloat16), tf.float32) if _is_float32(x) else x


def to_tf32(x: Any) -> Any:
    """Return what TensorFloat-32 keeps: 10 bits after the point, ties away from zero."""
    import tensorflow as tf

    if not _is_float32(x):
        return x
    bits = tf.bitcast(x, tf.int32)
    return tf.bitcast(tf.bitwise.bitwise_and(bits + TF32_HALF, TF32_KEPT), tf.float32)


def flushed(x: Any) -> Any:
    """Return the numbers with zeros in the place of subnormal ones."""
    import tensorflow as tf

    if not _is_float32(x):
        return x
    none = tf.equal(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), EXPONENT), 0)
    return tf.where(none, tf.zeros_like(x), x)


#: What each kind of faulty kernel does to its operands.
LOWERING: Final[Mapping[str, Callable[[Any], Any]]] = {
    "kernel-bf16": to_bf16,
    "kernel-tf32": to_tf32,
    "flush-to-zero": flushed,
}
