"""R's base functions on NumPy's arrays, for the Python that R scripts are translated to.

``from bridge.translate import rbase as r``: ``r.matrix(...)`` is R's ``matrix(...)``. Indices count
from 1 here, as the R text does; nothing is converted that R would not convert among its own values.
"""

from bridge.translate.rbase.arithmetic import *  # noqa: F403
from bridge.translate.rbase.functional import *  # noqa: F403
from bridge.translate.rbase.indexing import *  # noqa: F403
from bridge.translate.rbase.text import *  # noqa: F403
from bridge.translate.rbase.values import *  # noqa: F403
from bridge.translate.rbase.vectors import *  # noqa: F403
