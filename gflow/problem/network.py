"""A network with one hidden layer in span coordinates: its activation, what of it is trained, and its hidden values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Sides
from gflow.problem.activation import Smoothing


@dataclass(frozen=True, slots=True)
class Network:
    """f(x) = sum_j a_j phi(<w_j, x>), with one output or K of them.

    outer: a (m,), or A (K, m) for K outputs f = A phi(W x) + c; its start if `trains_outer`, else its fixed value.
    slope: of phi(z) = max(z, slope z), 0 for ReLU, in (0, 1) for leaky ReLU, 1 for linear.  smoothing: a smooth
    activation in place of the kinked one.  directions (m, d): the frozen unit rows v_j of the scalar network sum_j a_j
    phi(b_j <v_j, x>) (Telgarsky, Thm 3.3).  output_bias (K,): c at the start; None where there is none.
    """

    outer: Array
    slope: float
    trains_outer: bool = False
    smoothing: Smoothing | None = None
    directions: Array | None = None
    output_bias: Array | None = None

    @property
    def width(self) -> int:
        """The number m of neurons."""
        return int(self.outer.shape[-1])

    @property
    def outputs(self) -> int:
        """The number of outputs: 1, or the number K of classes."""
        return 1 if self.outer.ndim == 1 else int(self.outer.shape[0])

    @property
    def homogeneity(self) -> int:
        """The degree of f in the trained parameters: 2 where both layers are trained, else 1.

        For smooth activations f is not homogeneous; they get the number that the kinked network would have.
        """
        return 2 if self.trains_outer else 1

    @property
    def homogeneous(self) -> bool:
        """Whether f(alpha theta) = alpha^homogeneity f(theta) for alpha > 0, with theta all trained parameters."""
        return self.smoothing is None and self.output_bias is None

    @property
    def kinked(self) -> bool:
        """Whether neurons can cross a kink of the activation, which those of balanced scalar networks never do."""
        return self.smoothing is None and self.slope != 1.0 and self.directions is None

    def hidden(self, z: Array, pattern: Sides) -> Array:
        """phi(z) (m, n) at pre-activations z (m, n).

        pattern (m, n): the sides of the neurons, which decide the branch at a kink, where the sign of z is rounding; 0
        gives 0.
        """
        if self.smoothing is not None:
            return self.smoothing.value(z)
        if not self.kinked:  # no kink is ever crossed, so the sign of z is never in doubt
            return np.asarray(np.where(z > 0.0, z, self.slope * z))
        return np.asarray(np.where(pattern > 0, 1.0, self.slope) * (pattern != 0) * z)


def class_margins(f: Array, labels: Array) -> Array:
    """Margins p_i (n,) of outputs f (K, n) with classes `labels` (n,): p_i = f_{y_i} - log sum_{k != y_i} exp f_k.

    The cross-entropy of sample i is then log(1 + e^{-p_i}).
    """
    own = labels.astype(np.intp)
    columns = np.arange(own.size)
    others = f.copy()
    others[own, columns] = -np.inf
    return np.asarray(f[own, columns] - np.logaddexp.reduce(others, axis=0))
