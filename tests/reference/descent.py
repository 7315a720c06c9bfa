"""Gradient descent as everyone writes it, on several problems of one shape at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.reference.setting import Setting

Array = NDArray[np.float64]


def descend(settings: Sequence[Setting], W: Array, eta: float, steps: int) -> Array:
    """W (b, m, d) of b settings with one slope and one loss, after so many steps of size eta; phi'(0) = slope."""
    first = settings[0]
    X, y = np.stack([s.X for s in settings]), np.stack([s.y for s in settings])
    outer = np.stack([s.outer for s in settings])
    Xt, size = X.transpose(0, 2, 1), eta / first.y.size
    for _ in range(steps):
        z = W @ Xt
        slopes = np.where(z > 0.0, 1.0, first.slope)
        p = y * (outer[:, None] @ (slopes * z))[:, 0]
        W = W + size * ((outer[..., None] * slopes * (y * first.pulls(p))[:, None]) @ X)
    return W
