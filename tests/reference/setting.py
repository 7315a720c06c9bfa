"""A learning problem in plain numpy, and seeded instances of it; nothing here knows gflow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Setting:
    """f(x) = sum_j outer_j max(z_j, slope z_j), z = W x.  X (n, d), y (n,) in {-1, 1}; loss logistic or exponential."""

    X: Array
    y: Array
    outer: Array
    slope: float
    loss: str

    def losses(self, p: Array) -> Array:
        """l(p): log(1 + exp(-p)) or exp(-p)."""
        return np.asarray(np.exp(-p) if self.loss == "exponential" else np.log1p(np.exp(-p)))

    def pulls(self, p: Array) -> Array:
        """g = -l'(p): exp(-p), or 1 / (1 + exp(p))."""
        return np.asarray(np.exp(-p) if self.loss == "exponential" else 1.0 / (1.0 + np.exp(p)))

    def mean_loss(self, W: Array) -> float:
        """L at the weights W (m, d), by the formula and nothing else."""
        z = W @ self.X.T
        return float(np.mean(self.losses(self.y * (self.outer @ np.maximum(z, self.slope * z)))))


def samples(kind: str, rng: np.random.Generator) -> Array:
    """Inputs (n, d) of a named kind; `degenerate`: repeated, scaled, antipodal and coplanar samples, d < n."""
    if kind == "generic":
        return rng.normal(size=(7, 14))
    if kind == "wide":
        return rng.normal(size=(6, 20))
    if kind == "plane":
        return rng.normal(size=(7, 2))
    if kind == "line":
        return rng.normal(size=(6, 1)) @ rng.normal(size=(1, 3))
    if kind == "degenerate":
        X = rng.normal(size=(8, 5))
        X[3], X[4], X[5], X[6] = 2.0 * X[0], -X[1], X[2], X[0] + X[1]
        return X
    raise ValueError(f"no samples of kind {kind}")


def drawn(kind: str, slope: float, loss: str, seed: int, width: int = 8, size: float = 0.5) -> tuple[Setting, Array]:
    """A setting with random labels and outer signs, and initial weights (m, d) of standard deviation `size`."""
    rng = np.random.default_rng(seed)
    X = samples(kind, rng)
    y = rng.choice([-1.0, 1.0], size=X.shape[0])
    outer = rng.choice([-1.0, 1.0], size=width) / np.sqrt(width)
    return Setting(X, y, outer, slope, loss), size * rng.normal(size=(width, X.shape[1]))
