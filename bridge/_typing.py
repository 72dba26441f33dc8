"""The types of arrays that annotations name."""

from __future__ import annotations

from typing import Any

import numpy as np

AnyArray = np.ndarray[Any, np.dtype[Any]]
F64 = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
