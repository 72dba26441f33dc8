"""What every layer of Keras is that something is known of: one row for each class.

What a layer *does* is one word, and most of what is asked of it follows from the word. A layer with
a bound has its row here and its rule in the module of ``bridge.rounding.rules`` that the row names.

The arguments' defaults stand in ``keras_signatures.json``, which ``scripts/keras_signatures.py``
reads from the packages themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from bridge.facts.keras import LIBRARIES, Generation

Does = Literal[
    "hands-on",  # its inputs, at inference
    "reshapes",  # the same elements in another shape
    "moves",  # elements of its input, zeros, and what lies between neighbours
    "masks",  # zeros for steps that are to be left out
    "looks-up",  # rows of a table
    "joins",  # its inputs, one after the other
    "largest",  # of several elements
    "smallest",  # of several elements
    "averages",  # of several elements
    "adds",  # its inputs
    "subtracts",  # its inputs
    "multiplies",  # its inputs, or sums products of them
    "products",  # sums of products with its kernel, a bias, an activation
    "scales",  # each element times a number, plus a number
    "normalises",  # by moments of its own input
    "activates",  # a function of each element
    "softmax",  # a function of several elements
    "recurs",  # over steps, with a state
    "wraps",  # another layer
    "decides",  # comparisons, logic and integers, which round nothing
]


@dataclass(frozen=True)
class LayerFacts:
    """What a class of layers is.

    Args:
        name: the class.
        does: what it returns, in a word.
        family: the module of ``bridge.rounding.rules`` that has its rule, "" if it has none.
        weights: the weights that are learned, by name.
        merges: it is called with a list of inputs.
        steps_alike: it treats every step alike, masked or not.
        two_modes: it does something else in training.
        wide: in Keras 3 it computes in float32 at least, whatever its policy.
        units: the argument that says how many units it has, where the last axis of its weights and
            of its output is one unit each.
        op: the op that TensorFlow executes its product by.
        r: the function of R's packages that makes it, where its name does not follow from the
            class.
    """

    name: str
    does: Does
    family: str = ""
    weights: tuple[str, ...] = ()
    merges: bool = False
    steps_alike: bool = True
    two_modes: bool = False
    wide: bool = False
    units: str = ""
    op: str = ""
    r: str = ""

    @property
    def given(self) -> Literal["numbers", "elements", "anything"]:
        """What its rule is given: numbers of its type, elements cast to it, or what there was."""
        if self.does in ("looks-up", "decides"):
            return "anything"
        return "elements" if self.does in MOVING else "numbers"

    @property
    def moves(self) -> bool:
        """Whether its outputs are elements of its inputs or weights, or zeros."""
        return self.does in MOVING or self.does == "looks-up"

    @property
    def silent(self) -> bool:
        """Whether nothing of it is executed at inference."""
        return self.does == "hands-on"

    @property
    def affine(self) -> bool:
        """Whether it is an affine map of its one input, but for an activation at its end."""
        return not self.merges and self.does in (
            "hands-on", "reshapes", "moves", "averages", "products", "scales",
        )  # fmt: skip

    @property
    def learns_affine(self) -> bool:
        """Whether it is an affine map with weights of its own."""
        return self.affine and bool(self.weights)

    @property
    def errors_add(self) -> bool:
        """Whether errors of its inputs add up, or are handed on, as its elements are.

        That is so for sums and selections with factors that are not negative.
        """
        return self.does in (
            "hands-on", "reshapes", "moves", "joins", "largest", "averages", "adds",
        )  # fmt: skip

    @property
    def grows(self) -> bool:
        """Whether numbers may be larger after it than before."""
        sums = self.does in ("adds", "subtracts", "multiplies", "products")
        return sums or (self.does in ("scales", "activates") and bool(self.weights))

    @property
    def activates(self) -> bool:
        """Whether it is nothing but an activation."""
        return self.does in ("activates", "softmax")


#: What is done by layers that only hand elements on, and so are given them as they are.
MOVING: Final = frozenset({
    "hands-on", "reshapes", "moves", "masks", "joins", "largest", "smallest",
})  # fmt: skip

_BIASED: Final = ("kernel", "bias")
_SEPARABLE: Final = ("depthwise_kernel", "pointwise_kernel", "bias")
_CELL: Final = ("kernel", "recurrent_kernel", "bias")


def _each(names: Iterable[str], does: Does, family: str = "", **more: Any) -> list[LayerFacts]:
    return [LayerFacts(name, does, family, **more) for name in names]


def _ranks(name: str, ranks: Iterable[int] = (1, 2, 3)) -> list[str]:
    return [name.format(rank) for rank in ranks]


_ROWS: Final = (
    # Sums of products.
    LayerFacts("Dense", "products", "products", _BIASED, units="units", op="MatMul"),
    LayerFacts("Conv1D", "products", "products", _BIASED, units="filters", op="Conv2D"),
    LayerFacts("Conv2D", "products", "products", _BIASED, units="filters", op="Conv2D"),
    LayerFacts("Conv3D", "products", "products", _BIASED, units="filters", op="Conv3D"),
    *_each(_ranks("Conv{}DTranspose"), "products", "products", weights=_BIASED),
    LayerFacts("DepthwiseConv1D", "products", "products", _BIASED),
    LayerFacts("DepthwiseConv2D", "products", "products", _BIASED, op="DepthwiseConv2dNative"),
    *_each(_ranks("SeparableConv{}D", (1, 2)), "products", "products", weights=_SEPARABLE),
    # What hands elements on.
    *_each(("InputLayer", "Identity", "ActivityRegularization"), "hands-on", "moving"),
    *_each(("Dropout", *_ranks("SpatialDropout{}D"), "AlphaDropout", "GaussianDropout",
            "GaussianNoise"), "hands-on", "moving", two_modes=True),
    *_each(("RandomBrightness", "RandomContrast", "RandomFlip", "RandomHeight", "RandomRotation",
            "RandomTranslation", "RandomWidth", "RandomZoom"), "hands-on", "moving",
           two_modes=True),
    *_each(("Flatten", "Reshape"), "reshapes", "moving"),
    *_each(("Permute", "RepeatVector", *_ranks("ZeroPadding{}D"), *_ranks("Cropping{}D"),
            "CenterCrop", *_ranks("UpSampling{}D")), "moves", "moving"),
    LayerFacts("Masking", "masks", "moving"),
    LayerFacts("Embedding", "looks-up", "moving", ("embeddings",)),
    *_each((*_ranks("MaxPooling{}D"), *_ranks("GlobalMaxPooling{}D")), "largest", "windows"),
    *_each(_ranks("AveragePooling{}D"), "averages", "windows"),
    LayerFacts("GlobalAveragePooling1D", "averages", "windows", steps_alike=False),
    *_each(_ranks("GlobalAveragePooling{}D", (2, 3)), "averages", "windows"),
    # What takes several inputs. A mask changes what three of them merge, in Keras 3.
    LayerFacts("Concatenate", "joins", "merging", merges=True),
    LayerFacts("Maximum", "largest", "merging", merges=True, steps_alike=False),
    LayerFacts("Minimum", "smallest", "merging", merges=True, steps_alike=False),
    LayerFacts("Add", "adds", "merging", merges=True),
    LayerFacts("Average", "averages", "merging", merges=True),
    LayerFacts("Subtract", "subtracts", "merging", merges=True),
    LayerFacts("Multiply", "multiplies", "merging", merges=True, steps_alike=False),
    LayerFacts("Dot", "multiplies", "merging", merges=True),
    # What scales and normalises. Moments of a group leave out what a mask does, in Keras 2.
    *_each(("Rescaling", "Normalization"), "scales", "merging"),
    LayerFacts("BatchNormalization", "scales", "normalising", ("gamma", "beta"), two_modes=True),
    LayerFacts("LayerNormalization", "normalises", "normalising", ("gamma", "beta"), wide=True),
    LayerFacts("GroupNormalization", "normalises", "normalising", ("gamma", "beta"), wide=True,
               steps_alike=False),
    LayerFacts("RMSNormalization", "normalises", "normalising", ("scale",)),
    LayerFacts("UnitNormalization", "normalises", "merging"),
    LayerFacts("SpectralNormalization", "wraps", two_modes=True),
    # Activations.
    LayerFacts("Activation", "activates", "activations"),
    LayerFacts("ReLU", "activates", "activations", r="layer_activation_relu"),
    LayerFacts("LeakyReLU", "activates", "activations", r="layer_activation_leaky_relu"),
    LayerFacts("ELU", "activates", "activations", r="layer_activation_elu"),
    LayerFacts("ThresholdedReLU", "activates", "activations",
               r="layer_activation_thresholded_relu"),
    LayerFacts("PReLU", "activates", "activations", ("alpha",),
               r="layer_activation_parametric_relu"),
    LayerFacts("Softmax", "softmax", "activations", steps_alike=False,
               r="layer_activation_softmax"),
    # Recurrences, and layers around layers.
    LayerFacts("SimpleRNN", "recurs", "recurrent", _CELL, steps_alike=False, op="MatMul",
               r="layer_simple_rnn"),
    LayerFacts("LSTM", "recurs", "recurrent", _CELL, steps_alike=False, op="MatMul",
               r="layer_lstm"),
    LayerFacts("GRU", "recurs", "recurrent", _CELL, steps_alike=False, op="MatMul",
               r="layer_gru"),
    *_each(_ranks("ConvLSTM{}D"), "recurs", weights=_CELL, steps_alike=False),
    LayerFacts("RNN", "recurs", "wrappers", steps_alike=False),
    LayerFacts("Bidirectional", "recurs", "wrappers", steps_alike=False),
    LayerFacts("TimeDistributed", "wraps", "wrappers", steps_alike=False),
    # Operations of Keras 3 that stand in a model by themselves.
    *_each(("Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual", "LogicalAnd",
            "LogicalNot", "LogicalOr", "LogicalXor", "Absolute", "Negative", "Square"),
           "decides", "moving", steps_alike=False),
)  # fmt: skip

#: Every row, by the name of the class.
LAYERS: Final[Mapping[str, LayerFacts]] = {row.name: row for row in _ROWS}
#: Layers that draw whenever they are trained, wherever they stand in a configuration.
RANDOM_LAYER: Final = re.compile(
    "|".join(["Random[A-Z]", *(row.name for row in _ROWS if row.two_modes and row.silent)])
)


def doing(*does: Does) -> tuple[str, ...]:
    """Return the layers that do one of these."""
    return tuple(row.name for row in _ROWS if row.does in does)


def is_two_modes(name: str) -> bool:
    """Say whether a layer does something else in training: those that draw, and some others."""
    return name.startswith("Random") or (name in LAYERS and LAYERS[name].two_modes)


# Names and signatures.


@cache
def _signatures() -> dict[str, Any]:
    text = files("bridge.facts").joinpath("keras_signatures.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def class_name(cls: str) -> str | None:
    """Return the bare name of a class of Keras, or None if it comes from somewhere else.

    Where Keras exports a class under two names, it is the name of the class itself.
    """
    parts = re.split(r"[.:>]", cls)
    if len(parts) > 1 and parts[0] not in LIBRARIES:
        return None
    name: str = _signatures()["aliases"].get(parts[-1], parts[-1])
    return name


def default_of(generation: Generation, name: str, argument: str) -> tuple[Any] | None:
    """Return what a layer takes where an argument is not given, as its configuration has it.

    Args:
        generation: of Keras; 0 asks for what both take.
        name: the layer's class.
        argument: the argument's name, or that of the setting.

    Returns:
        The default alone in a tuple; None if it has none, or the generations have different ones.
    """
    layers = _signatures()["defaults"]
    asked = [str(generation)] if generation else list(layers)
    found = [layers[source][name][argument] for source in asked
             if argument in layers[source].get(name, {})]  # fmt: skip
    if not found or any(value != found[0] for value in found):
        return None
    # No activation is one that changes nothing, and configurations name it.
    return ("linear",) if argument == "activation" and found[0] is None else (found[0],)


def facts_of(cls: str) -> LayerFacts | None:
    """Return what a recorded class is, None if it is none of Keras' that something is known of."""
    return LAYERS.get(class_name(cls) or "")


def is_merging(cls: str) -> bool:
    """Say whether a layer is called with a list of inputs, even of one."""
    facts = facts_of(cls)
    return facts is not None and facts.merges


def is_sum_of_products(cls: str) -> bool:
    """Say whether a layer adds products up and then applies an activation to the sums."""
    facts = facts_of(cls)
    return facts is not None and facts.does == "products"
