"""Networks and cones that separate the data, and Telgarsky's potentials, which measure how neurons grow towards
them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.neurons import conserves_balance, neuron_norms
from gflow.arrays import Array, Index
from gflow.flow.state import FlowState
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

ROUNDING = 1e-12  # of coordinates that a generator or a file rounded
SAME_CONE = 1e-9  # cosine above which two samples can lie in one cone


@dataclass(frozen=True, slots=True)
class Features:
    """A network of r neurons that separates the data: y_i sum_k alpha_k relu(<beta_k, x_i>) >= margin for all i.

    alpha (r,) with |alpha|_1 = 1, beta (r, d) unit rows (Telgarsky, Assumption 1.1).
    """

    alpha: Array
    beta: Array
    margin: float


@dataclass(frozen=True, slots=True)
class Cones:
    """The same with one cone per neuron (Telgarsky, Assumption 3.1): alpha_k = +-1 / r, eps < cone_margin.

    apart: does the stronger separation hold, with no other sample active on units of cosine > 1 - eps with beta_k?
    """

    features: Features
    cone_margin: float
    eps: float
    apart: bool


def parity_features(problem: Problem) -> Features | None:
    """The four neurons of 2-sparse parity (Telgarsky, Proposition 1.6); None for other data.

    Data: corners of {+-1/sqrt(d)}^d with y = d x_1 x_2; every margin is 1/sqrt(8d) then.
    """
    X, y = problem.X, problem.y
    d = X.shape[1]
    if d < 2 or problem.network.outputs > 1:
        return None
    corners = np.abs(np.abs(X) * np.sqrt(d) - 1.0).max() < ROUNDING
    if not corners or np.abs(d * X[:, 0] * X[:, 1] - y).max() > ROUNDING * d:
        return None
    beta = np.zeros((4, d))
    beta[:, :2] = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) / np.sqrt(2.0)
    return Features(np.array([1.0, -1.0, -1.0, 1.0]) / 4.0, beta, float(1.0 / np.sqrt(8.0 * d)))


def cones(problem: Problem) -> Cones | None:
    """The cones of the data: samples of one label with positive products; None where the assumption fails."""
    if problem.network.outputs > 1:
        return None
    X, y = problem.X, problem.y
    together = (X @ X.T > SAME_CONE * np.outer(row_norms(X), row_norms(X))) & (y[:, None] == y[None, :])
    groups = np.unique(together, axis=0)
    if not (groups.sum(axis=0) == 1).all():  # the cones must be disjoint and cover the samples
        return None
    means = groups @ (X / row_norms(X)[:, None])
    beta = means / row_norms(means)[:, None]
    products = beta @ X.T
    across = np.sqrt(np.maximum(np.sum(X**2, axis=1) - products**2, 0.0))
    margin, gap = float(products[groups].min()), -float(products[~groups].max(initial=-np.inf))
    needed = 2.0 * float((across[groups] / margin).max()) ** 2 if margin > 0.0 else np.inf
    eps = min(gap, 0.5 * margin)
    if not needed <= eps or eps <= 0.0:
        return None
    # A unit vector of cosine > 1 - eps with beta_k misses a sample at angle > 90 degrees if 1 - eps >= sin(angle).
    stronger = min(eps, 1.0 - float((across / row_norms(X))[~groups].max(initial=0.0)))
    apart = needed <= stronger and stronger > 0.0
    eps = stronger if apart else eps
    alpha = np.array([y[group][0] for group in groups]) / len(groups)
    return Cones(Features(alpha, beta, margin / len(groups)), margin, eps, apart)


def cone_shares(run: AnalyzedRun, state: FlowState, found: Cones) -> Array:
    """phi_kj (r, m) in [0, 1] of Telgarsky, Theorem 3.2: above 0 for the neurons that point along beta_k."""
    beta, a = found.features.beta @ run.problem.span.B.T, state.parameters.outer
    along = np.sign(found.features.alpha)[:, None] * a * np.maximum(beta @ state.U.T, 0.0)
    return np.asarray(np.clip(along - (1.0 - found.eps) * neuron_norms(run, state), 0.0, 1.0))


def cone_potential(run: AnalyzedRun, state: FlowState, found: Cones) -> float:
    """Phi = (1/4) sum_k |alpha_k| log sum_j phi_kj |a_j w_j|; -inf where a cone has no neuron."""
    carried = cone_shares(run, state, found) @ neuron_norms(run, state)
    if not (carried > 0.0).all():
        return -np.inf
    return float(0.25 * np.abs(found.features.alpha) @ np.log(carried))


def nodes(run: AnalyzedRun, features: Features) -> Index | None:
    """The neurons (r,) of a scalar network that stand for the features; None unless every one has its own.

    |sgn(b_k) v_k - beta_k| <= margin / 2 and sgn(a_k) = sgn(alpha_k) (Telgarsky, proof of Theorem 3.3).
    """
    directions, start = run.problem.network.directions, run.state(0).parameters
    if directions is None:
        return None
    turned = np.sign(start.U) * directions
    cosine = features.beta @ turned.T
    cosine = np.where(np.sign(features.alpha)[:, None] == np.sign(start.outer), cosine, -1.0)
    chosen = cosine.argmax(axis=1)
    near = cosine.max(axis=1) >= 1.0 - features.margin**2 / 8.0  # |u - v|^2 = 2 - 2 <u, v>
    return chosen if near.all() and np.unique(chosen).size == chosen.size else None


def node_potential(state: FlowState, features: Features, chosen: Index) -> float:
    """Phi = (1/4) sum_k |alpha_k| log(a_k^2 + b_k^2) of the chosen neurons (r,) (Telgarsky, Theorem 3.3)."""
    sizes = state.parameters.outer[chosen] ** 2 + state.U[chosen, 0] ** 2
    return float(0.25 * np.abs(features.alpha) @ np.log(sizes))


def potential_rows(run: AnalyzedRun) -> tuple[str, Array] | None:
    """The theorem whose potential the data and the network define, and Phi (T,) along the rows; None without one."""
    if not conserves_balance(run) or run.problem.network.outputs > 1:
        return None
    rows = range(run.trajectory.n_rows)
    if run.problem.network.directions is not None:
        features = parity_features(run.problem)
        chosen = None if features is None else nodes(run, features)
        if features is None or chosen is None:
            return None
        return "3.3", np.array([node_potential(run.state(row), features, chosen) for row in rows])
    found = cones(run.problem)
    return (
        None
        if found is None
        else (
            "3.2",
            np.array([cone_potential(run, run.state(row), found) for row in rows]),
        )
    )


def potential_rate(tau: Array, potential: Array) -> float | None:
    """Least dPhi / dtau over neighbouring rows from the first with a finite Phi on; None without two of them.

    tau (T,), potential (T,).

    d tau <= mean_i g_i dt, with equality where all samples are live (`field.clock`), so a growth of at least Q ghat
    along the flow of n L is one of at least ghat in tau.
    """
    kept = np.isfinite(potential)
    span = np.diff(tau[kept])
    if not (span > 0.0).any():
        return None
    return float((np.diff(potential[kept])[span > 0.0] / span[span > 0.0]).min())
