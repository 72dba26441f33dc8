"""What the classes of Keras are."""

from __future__ import annotations

import re
from typing import Final

#: Initializers that draw, by their class or their name, wherever they stand in a configuration.
RANDOM_INITIALIZER: Final = re.compile(
    r"Random(Normal|Uniform)|Truncated|VarianceScaling|Glorot|HeNormal|HeUniform|Lecun|Orthogonal"
)
#: Layers that draw whenever they are trained.
RANDOM_LAYER: Final = re.compile(r"Random[A-Z]|Dropout|GaussianNoise")
