"""Code to paste: a recorded model with a few rows of its input, in R and in Python.

Only models that can be written down in a few lines are: layers one after the other, few weights.
For any other the code speaks of ``model`` and ``x``, and is to follow the user's own script.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, CapsuleError, LayerState, ModelState
from bridge.rounding.layer_graph import input_shapes
from bridge.rounding.rules import class_name

#: More numbers than this are not written into code.
_MOST_NUMBERS: Final = 200
_NOT_ARGUMENTS: Final = frozenset(
    {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "build_config"}
)
_OWN_MODEL: Final = "# After your own script: 'model' is the model, 'x' its input as a tensor."


@dataclass(frozen=True)
class Lines:
    """A line or several in each language."""

    r: str = ""
    python: str = ""


@dataclass(frozen=True)
class Pasted:
    """A model and its input as code; ``rows`` are those of the recorded input that it has.

    ``generation`` is that of Keras. ``rows`` is empty where the user's own model is spoken of.
    """

    model: Lines
    rows: tuple[int, ...]
    generation: int

    def code(self, before: Lines, run: Lines) -> Lines:
        """Return the whole code; ``before`` comes before anything is made, ``run`` at the end."""
        legacy = self.generation == 2
        r = [
            'Sys.setenv(TF_USE_LEGACY_KERAS = "1")' if legacy else "",
            "library(tensorflow)",
            before.r,
            "keras <- tf$keras",
            self.model.r,
            run.r,
        ]
        python = [
            'import os\n\nos.environ["TF_USE_LEGACY_KERAS"] = "1"\n' if legacy else "",
            "import numpy as np\nimport tensorflow as tf\n",
            before.python,
            "keras = tf.keras",
            self.model.python,
            run.python,
        ]
        return Lines(*("\n".join(part for part in each if part) + "\n" for each in (r, python)))


def pasted(
    recorded: Capsule, state: ModelState | None, x: np.ndarray[Any, Any], rows: Sequence[int]
) -> Pasted:
    """Return a recorded model and some rows of what it was given, as code."""
    legacy = recorded.manifest.environment.keras.startswith("tf_keras")
    generation = 2 if legacy else 3
    written = _model(recorded, state) if state is not None else None
    given = _input(state, x, rows) if state is not None else None
    if written is None or given is None:
        return Pasted(Lines(_OWN_MODEL, _OWN_MODEL), (), generation)
    model = Lines(f"{written.r}\n{given.r}", f"{written.python}\n{given.python}")
    return Pasted(model, tuple(rows), generation)


def _model(recorded: Capsule, state: ModelState) -> Lines | None:
    if not state.cls.endswith("Sequential") or not state.layers:
        return None
    shapes = input_shapes(state)
    calls = [_layer(layer) for layer in state.layers]
    weights = [weight.array for layer in state.layers for weight in layer.weights]
    if len(shapes) != 1 or sum(int(np.prod(each.shape)) for each in weights) > _MOST_NUMBERS:
        return None
    try:
        values = [np.asarray(recorded.array(each)) for each in weights]
    except CapsuleError:
        return None
    written = [each for each in calls if each is not None]
    if len(written) < len(calls):
        return None
    shape = [None, *shapes[0][1:]]
    r = [
        "model <- keras$Sequential(list(",
        ",\n".join(f"  {each.r}" for each in written),
        "))",
        f"model$build({_r(shape)})",
    ]
    python = [
        "model = keras.Sequential([",
        *(f"    {each.python}," for each in written),
        "])",
        f"model.build({tuple(shape)!r})",
    ]
    if values:
        r.append(f"model$set_weights(list({', '.join(_r_array(each) for each in values)}))")
        python.append(f"model.set_weights([{', '.join(_python_array(each) for each in values)}])")
    return Lines("\n".join(r), "\n".join(python))


def _layer(layer: LayerState) -> Lines | None:
    name = class_name(layer.cls)
    if name is None or layer.layers or not name.isidentifier() or "layer" in layer.config:
        return None
    given = {
        key: value
        for key, value in layer.config.items()
        if key not in _NOT_ARGUMENTS and key.isidentifier() and _is_simple(value)
    }
    r = ", ".join(f"{key} = {_r(value)}" for key, value in given.items())
    python = ", ".join(f"{key}={value!r}" for key, value in given.items())
    return Lines(f"keras$layers${name}({r})", f"keras.layers.{name}({python})")


def _is_simple(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, (int, float, str)) for each in value)
    return isinstance(value, (bool, int, float, str))


def _input(state: ModelState, x: np.ndarray[Any, Any], rows: Sequence[int]) -> Lines | None:
    if x.ndim == 0 or x.dtype.kind not in "fiu":
        return None
    some = x[list(rows)]
    declared = input_shapes(state)
    inner = declared[0][1:] if len(declared) == 1 else ()
    sizes = [size for size in inner if size is not None]
    if len(sizes) == len(inner) and len(some) * int(np.prod(sizes)) == some.size:
        # A model that is called, and not asked to predict, takes its input in this shape only.
        some = some.reshape(len(some), *sizes)
    if some.size > _MOST_NUMBERS:
        return None
    kind = "float32" if x.dtype.kind == "f" else str(x.dtype)
    r = f"x <- tf$constant({_r_array(some)}, dtype = tf${kind})"
    return Lines(r, f"x = tf.constant({_python_array(some, kind)})")


def _number(value: Any) -> str:
    """Write a number so that it comes back with its bits."""
    return repr(value.item())


def _python_array(values: np.ndarray[Any, Any], kind: str = "float32") -> str:
    flat = ", ".join(_number(each) for each in values.reshape(-1))
    return f'np.array([{flat}], "{kind}").reshape({values.shape})'


def _r_array(values: np.ndarray[Any, Any]) -> str:
    # R fills arrays along the first axis first.
    flat = ", ".join(_number(each) for each in values.reshape(-1, order="F"))
    return f"array(c({flat}), dim = c({', '.join(f'{size}L' for size in values.shape)}))"


def _r(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"{value}L"
    if isinstance(value, list):
        return f"list({', '.join(_r(each) for each in value)})"
    return json.dumps(value, ensure_ascii=False)
