"""The tangent kernel of margins: products of their gradients."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array


def tangent_kernel(
    gram: Array, weights: Array, by_output: Array | None = None, hidden: Array | None = None, bias: Array | None = None
) -> Array:
    """<grad p_i, grad p_k> (n, n) of gradients weights_ji x_i in w_j, gram (n, n) the products of the x_i.

    Where the outer layer is trained, dp_i/df_ki by_output (K, n) with phi hidden (m, n) adds its part; bias (K, n): the
    same derivatives, where there is an output bias.
    """
    K = gram * (weights.T @ weights)
    if by_output is not None and hidden is not None:
        K = K + (by_output.T @ by_output) * (hidden.T @ hidden)
    return np.asarray(K if bias is None else K + bias.T @ bias)
