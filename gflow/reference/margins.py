"""Margins from pre-activations (MATHEMATICS 1), for every network and over any leading axes:

    f_k(x_i) = sum_j A_kj phi(z_ji) + c_k,    p_i = y_i f(x_i),  or of K outputs  f_{y_i} - log sum_{k != y_i} exp f_k,

so that the cross-entropy of K outputs is log(1 + exp(-p_i)), the same as the logistic loss of one.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Bools, Sides
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem


def slopes(network: Network, z: Array, pattern: Sides | None = None, at_kink: float = 0.0) -> Array:
    """phi'(z) for z (..., m, n), on the sides that `pattern` (m, n) tells; None: those of the signs of z.

    at_kink: the value on the kink, 0 for neurons that slide, whose z stays 0.  Both are ignored where there is no kink
    to cross: for smooth activations, slope 1, and scalar networks, whose signs never change.
    """
    if network.smoothing is not None:
        return network.smoothing.derivative(z)
    if not network.kinked:
        return np.asarray(np.where(z > 0.0, 1.0, network.slope))
    side = z if pattern is None else pattern
    branch = np.where(side > 0, 1.0, np.where(side < 0, network.slope, at_kink))
    return np.broadcast_to(branch, np.broadcast_shapes(z.shape, branch.shape))


def hidden(network: Network, z: Array, pattern: Sides | None = None) -> Array:
    """phi(z), (..., m, n) -> (..., m, n), on sides as in `slopes`; 0 on the kink."""
    if network.smoothing is not None:
        return network.smoothing.value(z)
    return np.asarray(slopes(network, z, pattern) * z)


def outputs(outer: Array, phi: Array, bias: Array | None) -> Array:
    """f (..., K, n) from phi (..., m, n), outer (m,) or (..., K, m), and bias (..., K) or None."""
    f = np.atleast_2d(outer) @ phi
    return np.asarray(f if bias is None else f + bias[..., None])


def margins(y: Array, f: Array) -> Array:
    """p (..., n) from f (..., K, n); y (n,) is -1 or +1 where K = 1, else the classes 0, ..., K - 1."""
    if f.shape[-2] == 1:
        return np.asarray(y * f[..., 0, :])
    own, others = _classes(y, f)
    return np.asarray(np.sum(np.where(own, f, 0.0), axis=-2) - others)


def lead(y: Array, f: Array) -> Array:
    """How far the output of the label is ahead, (..., n) from f (..., K, n): y f, or f_y less the largest other one.

    A label is predicted where this is above 0.
    """
    if f.shape[-2] == 1:
        return np.asarray(y * f[..., 0, :])
    own = y.astype(np.intp) == np.arange(f.shape[-2])[:, None]
    return np.asarray(np.sum(np.where(own, f, 0.0), axis=-2) - np.where(own, -np.inf, f).max(axis=-2))


def by_output(y: Array, f: Array) -> Array:
    """dp_i / df_k(x_i) (..., K, n) at f (..., K, n), with y (n,) as in `margins`.

    It is y_i for one output; for K outputs 1 for the own class, and minus the softmax of the others for those.
    """
    if f.shape[-2] == 1:
        return np.broadcast_to(y, f.shape)
    own, others = _classes(y, f)
    return np.where(own, 1.0, -np.exp(np.where(own, 0.0, f - others[..., None, :])))


def _classes(y: Array, f: Array) -> tuple[Bools, Array]:
    """Masks (K, n) of the output of each sample's own class, and log sum of exp of the others (..., n)."""
    own = y.astype(np.intp) == np.arange(f.shape[-2])[:, None]
    return own, np.logaddexp.reduce(np.where(own, -np.inf, f), axis=-2)


def margins_at(problem: Problem, parameters: Parameters, pattern: Sides | None = None) -> Array:
    """p (..., n) at parameters with U (..., m, r).

    pattern (m, n): the sides; None: those of the pre-activations themselves.
    """
    phi = hidden(problem.network, problem.preactivations(parameters.U), pattern)
    return margins(problem.y, outputs(parameters.outer, phi, parameters.output_bias))
