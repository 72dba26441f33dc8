"""What the classes of Keras are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: Initializers that draw, by their class or their name, wherever they stand in a configuration.
RANDOM_INITIALIZER: Final = re.compile(
    r"Random(Normal|Uniform)|Truncated|VarianceScaling|Glorot|HeNormal|HeUniform|Lecun|Orthogonal"
)
#: Layers that draw whenever they are trained.
RANDOM_LAYER: Final = re.compile(r"Random[A-Z]|Dropout|GaussianNoise")
#: What Keras 2 calls an argument of Keras 3, by the class that takes it (the guide "Migrating Keras
#: 2 code to Keras 3", and the signatures of both).
NAMES_IN_KERAS_2: Final[Mapping[str, Mapping[str, str]]] = {
    "InputLayer": {"shape": "input_shape", "batch_shape": "batch_input_shape"},
    "LeakyReLU": {"negative_slope": "alpha"},
}
