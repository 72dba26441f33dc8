"""The formulas of layers, written from what Keras documents and not from the rules.

Each makes a :class:`bridge.verify.stages.Stage` of a layer with what it received. A layer that has
none here is reported as not re-checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge.verify import adding, convolution, moving, normalising
from bridge.verify.activated import Activated, parametric
from bridge.verify.activations import LAYERS, activation_of, of_class
from bridge.verify.exact import F64, Ints
from bridge.verify.factors import Elements, Product
from bridge.verify.given import Given
from bridge.verify.kinds import MisfitError, UncheckedError
from bridge.verify.softmax import Softmax
from bridge.verify.stages import Exact, Stage
from bridge.verify.sums import Affine, with_moved

Formula = Callable[[Given], Stage]


def stage_of(given: Given, then: tuple[Given, ...] = ()) -> Stage:
    """Return the stage that a layer is, or several that were executed in one.

    Raises:
        UncheckedError: there is no formula for one of them; the message says why.
        MisfitError: what was recorded contradicts itself.
    """
    formula = FORMULAS.get(given.name)
    if formula is None:
        raise UncheckedError(f"there is no formula for {given.name or 'a class that is not Keras'}")
    if given.masked and given.name in _OVER_STEPS:
        raise UncheckedError("it was given a mask")
    stage, computed = formula(given), given.name not in moving.HANDING_ON
    for layer in then:
        if layer.name in moving.SILENT and not layer.training:
            continue
        if layer.name not in _UNARY or layer.name == "PReLU":
            raise UncheckedError(f"it was executed in one with a {layer.name or 'layer'}")
        stage = _activate(stage, _spec(layer), layer, computed)
        computed = True
    return stage


def _dense(given: Given) -> Stage:
    given.only("kernel", "bias")
    x, kernel = given.the_input(), given.weight("kernel")
    if kernel.ndim != 2 or x.ndim == 0 or x.shape[-1] != kernel.shape[0]:
        raise MisfitError(f"its kernel of shape {kernel.shape} is not for an input of {x.shape}")
    bias = given.weight("bias") if "bias" in given.weights else None
    if bias is not None and bias.shape != kernel.shape[1:]:
        raise MisfitError(f"its bias has shape {bias.shape}")
    if given.shape != (*x.shape[:-1], kernel.shape[1]):
        raise MisfitError(f"its output has shape {given.shape}")
    length = kernel.shape[0]

    def rows(row: Ints, _group: Ints) -> Ints:
        return np.asarray(row[:, None] * length + np.arange(length)[None, :])

    return Affine([Product(Elements(x), rows, kernel)], bias, given.kind)


def _ended(formula: Formula) -> Formula:
    """Return the formula of a layer that ends with an activation."""

    def ended(given: Given) -> Stage:
        return _activate(formula(given), given.config.get("activation"), given, True)

    return ended


def _activate(stage: Stage, spec: JsonValue, given: Given, computed: bool) -> Stage:
    if spec in ("softmax", "log_softmax"):
        return Softmax(stage, given.shape, -1, given.kind, spec == "log_softmax")
    activation = activation_of(spec, given.generation, given.kind)
    if activation is None:
        return stage
    stage = with_moved(stage, activation.function.added)
    return Activated(stage, activation, given.kind, computed)


def _spec(given: Given) -> JsonValue:
    if given.name == "Activation":
        return given.config.get("activation")
    return {"class_name": given.name, "config": dict(given.config)}


def _unary(given: Given) -> Stage:
    if given.name == "Activation" and given.config.get("activation") in (None, "linear"):
        return moving.handed_on(given)
    stage = Exact(_fitting(given))
    if given.name == "Activation":
        return _activate(stage, given.config.get("activation"), given, False)
    activation = of_class(given.name, given.config, given.generation, given.kind)
    return stage if activation is None else Activated(stage, activation, given.kind, False)


def _fitting(given: Given) -> F64:
    x = given.the_input()
    if x.shape != given.shape:
        raise MisfitError(f"its input has shape {x.shape}, its output {given.shape}")
    return x


def _prelu(given: Given) -> Stage:
    given.only("alpha")
    x, alpha = _fitting(given), given.weight("alpha")
    if alpha.ndim != x.ndim - 1 or any(
        own not in (1, size) for own, size in zip(alpha.shape, x.shape[1:], strict=True)
    ):
        raise MisfitError(f"its slopes have shape {alpha.shape}")
    slopes = np.broadcast_to(alpha, x.shape[1:]).ravel()
    return parametric(Exact(x), slopes, given.kind)


def _softmax(given: Given) -> Stage:
    axis = given.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if type(axis) is not int:
        raise UncheckedError("its axis is not one integer")
    return Softmax(Exact(_fitting(given)), given.shape, axis, given.kind)


_UNARY: Final = frozenset({"Activation", "PReLU", *LAYERS})
_MERGING: Final = ("Add", "Subtract", "Average", "Multiply")
_RANKS: Final = (1, 2, 3)


def _by_rank(
    name: str, formula: Callable[..., Stage], ranks: tuple[int, ...]
) -> dict[str, Formula]:
    return {name.format(rank): partial(formula, rank=rank) for rank in ranks}


_CONVOLUTIONS: Final[dict[str, Formula]] = {
    **_by_rank("Conv{}D", convolution.convolution, _RANKS),
    **_by_rank("Conv{}DTranspose", convolution.transposed, _RANKS),
    **_by_rank("DepthwiseConv{}D", convolution.depthwise, (1, 2)),
    **_by_rank("SeparableConv{}D", convolution.separable, (1, 2)),
}

#: The formulas by the name of the class.
FORMULAS: Final[Mapping[str, Formula]] = {
    "Dense": _ended(_dense),
    **{name: _ended(formula) for name, formula in _CONVOLUTIONS.items()},
    **dict.fromkeys(_UNARY, _unary),
    "PReLU": _prelu,
    "Softmax": _softmax,
    **dict.fromkeys(moving.HANDING_ON, moving.handed_on),
    "Concatenate": moving.concatenated,
    "Embedding": moving.looked_up,
    "Masking": moving.masked,
    **dict.fromkeys(("Maximum", "Minimum"), moving.extremum),
    **_by_rank("MaxPooling{}D", moving.largest_in_windows, _RANKS),
    **_by_rank("GlobalMaxPooling{}D", moving.largest_of_all, _RANKS),
    **dict.fromkeys(_MERGING, adding.merged),
    "Dot": adding.dot,
    "Rescaling": adding.rescaled,
    **_by_rank("AveragePooling{}D", adding.mean_in_windows, _RANKS),
    **_by_rank("GlobalAveragePooling{}D", adding.mean_of_all, _RANKS),
    "BatchNormalization": normalising.batch,
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization", "RMSNormalization"), normalising.by_moments
    ),
}

#: Layers in which a mask changes what is computed.
_OVER_STEPS: Final = frozenset(
    {"GlobalAveragePooling1D", "GroupNormalization", "Maximum", "Minimum", "Multiply", "Softmax"}
)
