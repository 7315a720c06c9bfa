"""Types of the arrays that all rooms exchange, and the rounding unit of float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Real numbers; the shape, such as (n,) or (m, r), stands in the docstring of whoever names one."""
Index = NDArray[np.intp]
"""Positions of rows, neurons, samples or surfaces, counted from 0."""
Bools = NDArray[np.bool_]
"""One yes or no for each of several things."""
Sides = NDArray[np.int8]
"""Signs: -1, +1, and 0 for a neuron that slides."""
Integers = NDArray[np.int64]
"""Step numbers of descent and sample numbers of its batches, as files and devices store them."""
EPS = float(np.finfo(float).eps)
"""2^-52, the distance from 1 to the next larger float64."""
