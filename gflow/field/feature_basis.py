"""The features of the margins on one mode in a basis of their span, which keeps digits that cancel in K.

On a mode, margin i is affine in the weights, with the gradient h_ji = y_i a_j phi'_ji P_j c_i, its feature.  An entry
of K carries a rounding of |h_i| |h_k|, so that K q is lost where the features cancel (almost antipodal or parallel
samples).  Quantities computed from the features themselves carry a rounding of |h_i| only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.field.clarke import ROUNDING
from gflow.field.mode import DualMode
from gflow.problem.span import row_norms


@dataclass(frozen=True, slots=True)
class FeatureBasis:
    """h_i = sum_k lift_ki basis_k: lift (k, n), basis (m, r, k) and H (n, k) = <h_i, basis_k>.

    k is the rank of the features to float64.
    """

    lift: Array
    basis: Array
    H: Array

    @property
    def rank(self) -> int:
        """The number k of basis vectors."""
        return int(self.lift.shape[0])


def factored(mode: DualMode) -> FeatureBasis:
    """The basis of the features by Gaussian elimination, with complete pivoting in units of each coordinate.

    Where two samples almost cancel, their difference is formed once, in each coordinate of each neuron, by the same
    operations for all neurons that see them alike: its rounding is that of one sample, and small coordinates keep their
    digits.  An orthogonal basis would be rounded differently for each neuron, and would move equal neurons apart.
    """
    directions, lengths = mode.directions(), row_norms(mode.problem.span.C)
    n, m, r = directions.shape
    outer = mode.problem.network.outer
    left = (directions * (outer != 0.0)[:, None]).reshape(n, m * r).T / lengths
    # A remainder of the size of rounding, after projection or elimination, counts as 0.
    units = np.maximum(np.abs(left).max(axis=1, initial=0.0), ROUNDING)[:, None]
    basis, lift = [], []
    for _ in range(min(left.shape)):
        row, column = np.unravel_index(np.argmax(np.abs(left) / units), left.shape)
        if abs(left[row, column]) <= ROUNDING * units[row, 0]:
            break
        basis.append(left[:, column].copy())
        lift.append(left[row] / left[row, column])
        left -= np.outer(basis[-1], lift[-1])
    largest = float(lengths.max())
    vectors = largest * outer[:, None, None] * np.reshape(basis, (len(basis), m, r)).transpose(1, 2, 0)
    H = (outer[:, None] * directions).reshape(n, m * r) @ vectors.reshape(m * r, len(basis))
    return FeatureBasis(np.reshape(lift, (len(lift), n)) * (lengths / largest), vectors, H)
