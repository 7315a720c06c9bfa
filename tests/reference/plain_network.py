"""Networks with both layers, smooth activations and several outputs, once more in plain numpy; no gflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Activation = Callable[[Array], tuple[Array, Array]]


def leaky(slope: float) -> Activation:
    """phi and phi' of max(z, slope z), with phi'(0) = slope."""
    return lambda z: (np.where(z > 0.0, z, slope * z), np.where(z > 0.0, 1.0, slope))


def soft_leaky(slope: float) -> Activation:
    """slope z + (1 - slope) log((1 + e^z) / 2), for moderate z."""
    return lambda z: (
        slope * z + (1.0 - slope) * np.log(0.5 * (1.0 + np.exp(z))),
        slope + (1.0 - slope) / (1.0 + np.exp(-z)),
    )


def huber(h: float) -> Activation:
    """0, z^2 / (2h), z - h/2."""

    def both(z: Array) -> tuple[Array, Array]:
        inside = (z >= 0.0) & (z <= h)
        value = np.where(inside, z * z / (2.0 * h), np.where(z > h, z - 0.5 * h, 0.0))
        return value, np.where(inside, z / h, np.where(z > h, 1.0, 0.0))

    return both


@dataclass(frozen=True)
class Weights:
    """W (m, d), a (m,) or A (K, m), c (K,) or None."""

    W: Array
    a: Array
    c: Array | None = None


@dataclass(frozen=True)
class PlainNetwork:
    """Mean logistic loss of sum_j a_j phi(<w_j, x>), or mean cross-entropy of A phi(W x) + c, and its gradient."""

    X: Array
    y: Array
    activation: Activation
    trains_outer: bool = True

    def loss(self, w: Weights) -> float:
        """L, by the formula and nothing else."""
        f = w.a @ self.activation(w.W @ self.X.T)[0]
        if f.ndim == 1:
            return float(np.mean(np.log1p(np.exp(-self.y * f))))
        f = f if w.c is None else f + w.c[:, None]
        own = f[self.y.astype(int), np.arange(self.y.size)]
        return float(np.mean(np.log(np.exp(f).sum(axis=0)) - own))

    def gradient(self, w: Weights) -> Weights:
        """dL/dW, dL/da, dL/dc."""
        hidden, slopes = self.activation(w.W @ self.X.T)
        f = np.atleast_2d(w.a) @ hidden
        if w.a.ndim == 1:
            error = -(self.y / (1.0 + np.exp(self.y * f)))
        else:
            odds = np.exp(f if w.c is None else f + w.c[:, None])
            error = odds / odds.sum(axis=0)
            error[self.y.astype(int), np.arange(self.y.size)] -= 1.0
        error = error / self.y.size
        inner = ((np.atleast_2d(w.a).T @ error) * slopes) @ self.X
        return Weights(inner, (error @ hidden.T).reshape(w.a.shape), None if w.c is None else error.sum(axis=1))

    def descend(self, w: Weights, eta: float, steps: int) -> Weights:
        """Gradient descent, so many steps of size eta."""
        for _ in range(steps):
            g = self.gradient(w)
            c = None if w.c is None or g.c is None else w.c - eta * g.c
            w = Weights(w.W - eta * g.W, w.a - eta * g.a if self.trains_outer else w.a, c)
        return w
