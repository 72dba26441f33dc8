"""Which Python each wrapper of the R packages means: names and places of arguments, no conversions.

The names are read from the tables that were measured of the packages from CRAN. What those say of
conversions is not used here, but for one thing: where a wrapper wants whole numbers, Python does.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.facts.r import newest_tables

#: What ``library(package)`` brings, the later before the earlier.
_ATTACHED: Final = {
    "keras": ("tensorflow", "keras"),
    "keras3": ("tensorflow", "keras3"),
    "tensorflow": ("tensorflow",),
}

#: Kinds of arguments that are whole numbers in Python, and those that are shapes.
WHOLE: Final = frozenset({
    "as_axis", "as_forced_integer_tuple", "as_integer", "as_integer_list", "as_integer_pair",
    "as_integer_list_tuple", "as_integer_tuple", "as_layer_index", "as_node_index",
    "as_nullable_integer", "batch_size_32", "end_index", "integer_if_numeric", "as_index",
    "integer_scalar_spliced", "integer_unless_text", "labels", "padding_2d", "padding_3d",
    "start_index", "as_ceiling_integer", "as_integer_always", "as_integer_array", "permute_dims",
    "as_integer_list_any", "as_integer_resolved", "as_scalar_or_tuple", "split_size",
})  # fmt: skip
SHAPES: Final = frozenset({"normalize_shape", "shape_tuple", "tensor_shape", "newshape",
                           "target_shape"})  # fmt: skip
DATA: Final = frozenset({"data", "data_or_dropped", "keras_array", "validation_data"})
IGNORED: Final = frozenset({"ignored", "refused"})


@dataclass(frozen=True)
class WrapperParameter:
    """One argument of a wrapper: where it goes in Python (a name or a place), and its kind."""

    to: str | int | None
    kind: str


@dataclass(frozen=True)
class Wrapper:
    """One wrapper: the Python behind it, its formals in order, and where they go."""

    name: str
    python: str
    formals: tuple[str, ...]
    parameters: Mapping[str, WrapperParameter]
    composes: bool = False
    method: bool = False
    object: str = "object"
    #: What it returns counts from 1 in R, and from 0 in Python.
    from_one: bool = False
    #: Formals without a default: whatever was measured of them, Python needs them.
    required: frozenset[str] = frozenset()
    #: The defaults of formals, as R's text.
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def positional(self) -> tuple[str, ...]:
        """The formals but the one that the layer is added to, as Python takes them by place."""
        return tuple(f for f in self.formals if f not in ("...", self.object))


@functools.lru_cache(maxsize=8)
def wrappers(package: str, mode: str = "") -> dict[str, Wrapper]:
    """Return the wrappers of a package by name; ``mode`` is "called" or "function"."""
    found: dict[str, Wrapper] = {}
    for attached in _ATTACHED.get(package, ()):
        for name, entry in _table(attached)["functions"].items():
            wrapper = _wrapper(name, entry, mode)
            if wrapper is not None:
                found[name] = wrapper
    return found


@functools.lru_cache(maxsize=4)
def exports(package: str) -> frozenset[str]:
    """Return the names that a package exports."""
    found: set[str] = set()
    for attached in _ATTACHED.get(package, ()):
        found |= set(_table(attached)["exports"])
    return frozenset(found)


def _table(package: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(newest_tables()[package].read_text("utf-8"))
    return table


@functools.lru_cache(maxsize=4)
def by_python(package: str) -> dict[str, Wrapper]:
    """Return the wrappers by the Python that they call; the first that calls it speaks for it."""
    found: dict[str, Wrapper] = {}
    for wrapper in wrappers(package).values():
        found.setdefault(wrapper.python, wrapper)
    return found


def _wrapper(name: str, entry: Mapping[str, Any], mode: str) -> Wrapper | None:
    chosen = entry
    if mode:
        modes = entry.get("modes", {})
        if mode not in modes:
            return None
        chosen = {**entry, **modes[mode]}
    python = chosen.get("python")
    if not python or python.startswith("numpy."):
        return None
    if python.startswith("tensorflow."):
        python = f"tf.{python.removeprefix('tensorflow.')}"
    formals = tuple(str(formal[0]) for formal in entry.get("formals", ()))
    parameters = {
        key: WrapperParameter(value.get("to"), value.get("kind", "unknown"))
        for key, value in {
            **entry.get("dots_arguments", {}),
            **chosen.get("arguments", {}),
        }.items()
    }
    # Measured: the numbers that R got were not those that Python returned.
    from_one = "zero_indexed" in formals and entry.get("returns", "").startswith("when Python")
    return Wrapper(
        name, python, formals, parameters, bool(entry.get("composes")),
        bool(entry.get("method")), entry.get("object") or "object", from_one,
        frozenset(str(pair[0]) for pair in entry.get("formals", ()) if pair[1] is None),
        {str(pair[0]): str(pair[1]) for pair in entry.get("formals", ()) if pair[1] is not None},
    )  # fmt: skip


#: Arguments of functions without a wrapper that are whole numbers, by name.
WHOLE_NAMES: Final = frozenset({
    "axis", "axes", "perm", "dims", "dim", "num", "depth", "multiples", "units", "filters",
    "kernel_size", "strides", "pool_size", "padding", "size", "epochs", "batch_size", "seed",
    "num_classes", "index", "indices", "begin", "ndims", "rank", "k", "n", "num_words", "maxlen",
    "input_dim", "output_dim", "input_length", "steps", "steps_per_epoch", "verbose",
    "num_or_size_splits", "buffer_size", "count", "patience", "dilation_rate", "groups", "repeats",
    "num_heads", "key_dim", "shift", "block_size", "initial_epoch", "num_rows", "num_columns",
})  # fmt: skip
SHAPE_NAMES: Final = frozenset({"shape", "input_shape", "batch_shape", "target_shape",
                                "batch_input_shape", "output_shape", "new_shape"})  # fmt: skip
#: The same by place, for functions of TensorFlow that are often called from R.
_PLACES: Final[Mapping[str, Sequence[int]]] = {
    "reshape": (1,), "zeros": (0,), "ones": (0,), "fill": (0,), "expand_dims": (1,),
    "squeeze": (1,), "transpose": (1,), "concat": (1,), "stack": (1,), "unstack": (1, 2),
    "tile": (1,), "one_hot": (1,), "split": (1, 2), "gather": (1,), "argmax": (1,),
    "argmin": (1,), "reduce_sum": (1,), "reduce_mean": (1,), "reduce_max": (1,), "slice": (1, 2),
    "reduce_min": (1,), "reduce_prod": (1,), "reduce_any": (1,), "reduce_all": (1,),
    "cumsum": (1,), "softmax": (1,), "roll": (1, 2), "reverse": (1,), "pad": (1,), "eye": (0, 1),
    "repeat": (1, 2), "set_seed": (0,), "TensorShape": (0,), "broadcast_to": (1,),
    "random.normal": (0,), "random.uniform": (0,), "random.set_seed": (0,), "batch": (0,),
    "shuffle": (0,), "take": (0,), "skip": (0,), "prefetch": (0,), "Dense": (0,),
    "set_random_seed": (0,), "to_categorical": (1,), "Input": (0,), "norm": (2,),
    "segment_sum": (1,), "top_k": (1,), "set_shape": (0,), "TensorSpec": (0,),
}  # fmt: skip


def whole_places(path: str) -> Sequence[int]:
    """Return the places of arguments that are whole numbers or shapes, of a function of Python."""
    parts = path.split(".")
    for start in (-2, -1):
        name = ".".join(parts[start:])
        if name in _PLACES:
            return _PLACES[name]
    return ()
