"""A small model that differs, written as a Python script, an R script and a text for an issue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.errors import BridgeError
from bridge.reduce.model_reduction import Part, Small

#: Numbers in a script, at most.
MOST_NUMBERS: Final = 2000
#: What both scripts say where they fail.
FAILS: Final = "further than rounding can take it"
#: Parts of a configuration that do not matter once the weights are there, or are Keras' usual.
_NOISE: Final = re.compile(r"name|trainable|dtype|.*_(initializer|regularizer|constraint)")
#: The functions of R's packages that are not called as their class is.
_OWN_R: Final = {
    "ReLU": "layer_activation_relu", "LeakyReLU": "layer_activation_leaky_relu",
    "ELU": "layer_activation_elu", "PReLU": "layer_activation_parametric_relu",
    "Softmax": "layer_activation_softmax", "LSTM": "layer_lstm", "GRU": "layer_gru",
    "SimpleRNN": "layer_simple_rnn",
}  # fmt: skip


class RecipeError(BridgeError, ValueError):
    """It cannot be written as a script; the message says why."""


@dataclass(frozen=True)
class Recipe:
    """What is written: the model, what it should make, and how far rounding may take it."""

    small: Small
    expected: AnyArray
    bound: F64
    title: str

    def python(self) -> str:
        """Return a Python script that fails where the model differs.

        Raises:
            RecipeError: it has too many numbers, or an argument that no script can spell.
        """
        return "\n".join(_python(self)) + "\n"

    def r(self) -> str:
        """Return an R script that does the same; as :meth:`python`."""
        return "\n".join(_r(self)) + "\n"

    def markdown(self, python: str, r: str, said: str, versions: str) -> str:
        """Return the text of an issue: what happens, both scripts, what they print."""
        parts = [f"# {self.title}", "", _words(self.small), "", "```python", python.rstrip(), "```"]
        if r:
            parts += ["", "The same from R:", "", "```r", r.rstrip(), "```"]
        fenced = said.replace("```", "'''").rstrip()
        parts += ["", "It prints", "", "```", fenced, "```", "", f"With {versions}.", ""]
        return "\n".join(parts)


def _words(small: Small) -> str:
    how = {"xla": "compiled by XLA", "eager": "run eagerly", "graph": "run as a graph"}[small.way]
    names = ", ".join(part.cls for part in small.parts)
    rows = f"{len(small.x)} row" + ("s" if len(small.x) != 1 else "")
    return (
        f"A model of {names}, {how} on {rows}, gives numbers that are further from its float64 "
        "evaluation than rounding in float32 can take them, in any order of summation."
    )


def _arguments(part: Part) -> dict[str, Any]:
    found = {}
    for key, value in part.config.items():
        if _NOISE.fullmatch(key) or value is None or (key, value) == ("activation", "linear"):
            continue
        if isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value)
        ):
            raise RecipeError(f"{key} of {part.cls} cannot be spelled in a script")
        found[key] = value
    policy = part.config.get("dtype")
    if policy not in (None, "float32") and not (
        isinstance(policy, dict) and policy.get("config", {}).get("name") == "float32"
    ):
        raise RecipeError(f"{part.cls} computes in another type than float32")
    return found


def _fits(recipe: Recipe) -> None:
    small = recipe.small
    count = small.size[2] + 2 * recipe.expected.size
    if count > MOST_NUMBERS:
        raise RecipeError(f"it has {count:,} numbers; a script of more than {MOST_NUMBERS:,} "
                          "would not be read")  # fmt: skip


def _python(recipe: Recipe) -> Iterator[str]:
    _fits(recipe)
    small = recipe.small
    package = small.keras
    yield f"# {recipe.title}"
    yield "import numpy as np"
    yield f"import {package} as keras" if package != "keras" else "import keras"
    yield ""
    yield "model = keras.Sequential(["
    dtype = "" if small.x.dtype == np.float32 else f", dtype={small.x.dtype.name!r}"
    yield f"    keras.Input({tuple(small.x.shape[1:])!r}{dtype}),"
    for part in small.parts:
        said = ", ".join(f"{key}={value!r}" for key, value in _arguments(part).items())
        yield f"    keras.layers.{part.cls}({said}),"
    yield "])"
    weights = [w for part in small.parts for w in part.weights]
    if weights:
        yield "model.set_weights(["
        yield from (f"    {_numpy(each)}," for each in weights)
        yield "])"
    if small.way == "xla":
        yield "model.compile(jit_compile=True)"
    yield f"x = {_numpy(small.x)}"
    yield ""
    if small.way == "eager":
        yield "made = np.asarray(model(x))"
    else:
        yield "made = np.asarray(model.predict(x, verbose=0))"
    yield "# The same in float64, and how far rounding in float32 may take it."
    yield f"expected = {_numpy(recipe.expected)}"
    yield f"bound = {_numpy(recipe.bound)}"
    yield 'print("made    ", made.ravel().tolist())'
    yield 'print("expected", expected.ravel().tolist())'
    yield f'assert np.all(np.abs(made - expected) <= bound), "{FAILS}"'


def _numpy(value: AnyArray) -> str:
    shape = f".reshape({value.shape!r})" if value.ndim != 1 else ""
    flat = ", ".join(_spelled(each, "python") for each in value.ravel().tolist())
    return f"np.array([{flat}], {value.dtype.name!r}){shape}"


def _r(recipe: Recipe) -> Iterator[str]:
    _fits(recipe)
    small = recipe.small
    package = "keras" if small.keras == "tf_keras" else "keras3"
    yield f"# {recipe.title}"
    yield f"library({package})"
    yield ""
    inputs = _vector([int(each) for each in small.x.shape[1:]])
    parts = [f"model <- keras_model_sequential(input_shape = {inputs})"]
    for part in small.parts:
        said = ", ".join(f"{key} = {_as_r(value)}" for key, value in _arguments(part).items())
        parts.append(f"  {_function(part.cls)}({said})")
    yield " %>%\n".join(parts)
    weights = [w for part in small.parts for w in part.weights]
    if weights:
        yield "set_weights(model, list("
        yield ",\n".join(f"  {_array(each)}" for each in weights)
        yield "))"
    if small.way == "xla":
        yield 'compile(model, optimizer = "sgd", loss = "mse", jit_compile = TRUE)'
    yield f"x <- {_array(small.x)}"
    yield ""
    if small.way == "eager":
        yield "made <- as.array(model(x))"
    else:
        yield "made <- predict(model, x, verbose = 0)"
    yield "# The same in float64, and how far rounding in float32 may take it."
    yield f"expected <- {_array(recipe.expected)}"
    yield f"bound <- {_array(recipe.bound)}"
    yield "print(made)"
    yield "print(expected)"
    yield "if (!isTRUE(all(abs(made - expected) <= bound)))"
    yield f'  stop("{FAILS}")'


def _function(cls: str) -> str:
    if cls in _OWN_R:
        return _OWN_R[cls]
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls)
    name = re.sub(r"(?<=[a-z])(?=\dD)", "_", name).lower()
    return f"layer_{name.replace('up_sampling', 'upsampling')}"


def _as_r(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (list, tuple)):
        return _vector(value)
    if isinstance(value, int):
        return f"{value}L"
    if isinstance(value, float):
        return _spelled(value, "r")
    if isinstance(value, str):
        return json.dumps(value)
    raise RecipeError(f"{value!r} cannot be spelled in R")


def _vector(values: Any) -> str:
    return f"c({', '.join(_as_r(each) for each in values)})"


def _array(value: AnyArray) -> str:
    """Return an array as R spells it: the first index runs fastest."""
    flat = ", ".join(_spelled(each, "r") for each in value.ravel(order="F").tolist())
    sizes = ", ".join(str(each) for each in value.shape)
    return f"array(c({flat}), c({sizes}))" if value.ndim > 1 else f"array(c({flat}), {sizes})"


def _spelled(value: Any, language: str) -> str:
    if isinstance(value, bool):
        return ("TRUE" if value else "FALSE") if language == "r" else repr(value)
    if isinstance(value, int):
        return f"{value}L" if language == "r" and abs(value) < 2**31 else repr(value)
    if value != value:
        return "NaN" if language == "r" else 'float("nan")'
    if abs(value) == float("inf"):
        sign = "-" if value < 0 else ""
        return f"{sign}Inf" if language == "r" else f'float("{sign}inf")'
    return repr(value)
