"""The tangent kernel of margins: the inner products of their gradients."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array


def tangent_kernel(
    gram: Array, weights: Array, by_output: Array | None = None, hidden: Array | None = None, bias: Array | None = None
) -> Array:
    """<grad p_i, grad p_k> (n, n) for gradients weights_ji x_i in w_j, weights (m, n), with gram (n, n) = <x_i, x_k>.

    Where the outer layer is trained, by_output (K, n) = dp_i/df_ki and hidden (m, n) = phi add its part.  bias (K, n):
    by_output once more, where there is an output bias.
    """
    K = gram * (weights.T @ weights)
    if by_output is not None and hidden is not None:
        K = K + (by_output.T @ by_output) * (hidden.T @ hidden)
    return np.asarray(K if bias is None else K + bias.T @ bias)
