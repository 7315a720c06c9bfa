"""Networks with one hidden layer, as functions of span coordinates: what is trained, and what the output is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Sides
from gflow.problem.activation import Smoothing


@dataclass(frozen=True, slots=True)
class Network:
    """f(x) = sum_j a_j phi(<w_j, x>), one output or K of them.

    outer: a (m,), or A (K, m) for K outputs f = A phi(W x) + c; the start when `trains_outer`, else fixed.
    slope: of max(z, slope z): ReLU 0, leaky in (0, 1), linear 1.  smoothing replaces the kink where given.
    directions (m, d): frozen unit rows v_j of the scalar network sum_j a_j phi(b_j <v_j, x>) (Telgarsky, Thm 3.3).
    """

    outer: Array
    slope: float
    trains_outer: bool = False
    smoothing: Smoothing | None = None
    directions: Array | None = None
    output_bias: Array | None = None

    @property
    def width(self) -> int:
        return int(self.outer.shape[-1])

    @property
    def outputs(self) -> int:
        """1, or the number K of classes."""
        return 1 if self.outer.ndim == 1 else int(self.outer.shape[0])

    @property
    def homogeneity(self) -> int:
        """Of the trained parameters: 2 when both layers are trained, else 1 (smooth activations: by name only)."""
        return 2 if self.trains_outer else 1

    @property
    def homogeneous(self) -> bool:
        """Is f(alpha theta) = alpha^homogeneity f(theta), theta all that is trained?"""
        return self.smoothing is None and self.output_bias is None

    @property
    def kinked(self) -> bool:
        """Does the activation have a kink that a neuron can cross?  (Balanced scalar networks never do.)"""
        return self.smoothing is None and self.slope != 1.0 and self.directions is None

    def hidden(self, z: Array, pattern: Sides) -> Array:
        """phi(z) (m, n) at pre-activations z (m, n); the pattern, not a rounded sign, tells the branch at a kink."""
        if self.smoothing is not None:
            return self.smoothing.value(z)
        if not self.kinked:  # no kink is ever crossed, so the sign of z is never in doubt
            return np.asarray(np.where(z > 0.0, z, self.slope * z))
        return np.asarray(np.where(pattern > 0, 1.0, self.slope) * (pattern != 0) * z)


def class_margins(f: Array, labels: Array) -> Array:
    """p_i = f_{y_i} - logsumexp over k != y_i of f_k, f (K, n), labels (n,): cross-entropy is log(1 + e^{-p_i})."""
    own = labels.astype(np.intp)
    columns = np.arange(own.size)
    others = f.copy()
    others[own, columns] = -np.inf
    return np.asarray(f[own, columns] - np.logaddexp.reduce(others, axis=0))
