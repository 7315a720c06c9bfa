"""The arrays that all rooms speak of, and what rounding leaves of a number near 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Numbers; their shape is told where they are named."""
Index = NDArray[np.intp]
"""Which rows, neurons, samples or surfaces."""
Bools = NDArray[np.bool_]
"""Which of several, one answer each."""
Sides = NDArray[np.int8]
"""Signs -1, +1, and 0 for what slides."""
Integers = NDArray[np.int64]
"""Numbers of steps of descent, and samples of its batches, as files and devices keep them."""
EPS = float(np.finfo(float).eps)
"""2^-52, the distance from 1 to the next float64."""
