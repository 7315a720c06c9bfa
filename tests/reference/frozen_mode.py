"""The flow that keeps one activation pattern for ever, and its hard-margin solution, from weights alone; no gflow.

W (m, d), X (n, d), y (n,), fixed outer weights a (m,), phi(z) = max(z, slope z), pattern (m, n) of +1, -1 and 0 where a
neuron slides on the kink of a sample.  In a mode the margins are linear: with features

    h_i[j] = a_j y_i phi'_ji P_j x_i,   P_j away from the samples on which neuron j slides (and phi' = 0 there),

the masses c (n,) of the samples follow dc/dtau = q, q = softmax of log(-l'(p)), p = p_0 + K c, K = H H^T.
Samples whose features are 0, on which no neuron is active, keep their margins: q = 0 there, and the limit is that of
the others; but they pull on a neuron that slides on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import null_space
from scipy.optimize import lsq_linear, nnls

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FrozenMode:
    """See above; loss: `logistic` or `exponential`."""

    W: Array
    X: Array
    y: Array
    a: Array
    slope: float
    pattern: NDArray[np.int8]
    loss: str

    @cached_property
    def features(self) -> Array:
        """H (n, m, d)."""
        slopes = np.where(self.pattern > 0, 1.0, self.slope) * (self.pattern != 0)
        H = np.empty((self.y.size, *self.W.shape))
        for j in range(self.a.size):
            away = null_space(self.X[self.pattern[j] == 0]) if (self.pattern[j] == 0).any() else np.eye(self.X.shape[1])
            H[:, j] = (self.a[j] * self.y * slopes[j])[:, None] * ((self.X @ away) @ away.T)
        return H

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """(n,): does any neuron move with this sample?"""
        sizes = np.linalg.norm(self.features, axis=(1, 2))
        return np.asarray(sizes > 1e-9 * np.abs(self.a).max() * np.linalg.norm(self.X, axis=1))

    def margins(self, W: Array) -> Array:
        z = W @ self.X.T
        slopes = np.where(self.pattern > 0, 1.0, self.slope) * (self.pattern != 0)
        return np.asarray(self.y * (self.a @ (slopes * z)))

    def dual(self, p: Array) -> Array:
        """q (n,), positive, sum 1."""
        log_g = np.where(self.live, self.log_pulls(p), -np.inf)
        q = np.exp(log_g - log_g.max())
        return np.asarray(q / q.sum())

    def log_pulls(self, p: Array) -> Array:
        """log(-l'(p)) (n,), of all samples."""
        return np.asarray(-p if self.loss == "exponential" else -np.logaddexp(0.0, p))

    def followed(self, least_margin: float, rows: int = 40) -> tuple[Array, Array]:
        """Masses (T, n) and log(-l') (T, n) until the least margin is this large, at times that grow evenly in
        logarithm.  The mode must have positive margins in the end.
        """
        H = self.features.reshape(self.y.size, -1)
        K, p_0 = H @ H.T, self.margins(self.W)
        kappa = self.hull_distance() ** 2
        end = 2.0 * (least_margin + max(-float(p_0[self.live].min()), 0.0)) / kappa
        found = solve_ivp(
            lambda _, c: self.dual(p_0 + K @ c),
            (0.0, end),
            np.zeros(self.y.size),
            method="LSODA",
            t_eval=np.append(0.0, np.geomspace(end * 1e-9, end, rows)),
            rtol=1e-10,
            atol=1e-10 * min(1.0, 1.0 / max(float(np.diag(K).max()), 1e-300)),
        )
        if found.status != 0:
            raise ArithmeticError(found.message)
        return found.y.T, np.array([self.log_pulls(p_0 + K @ c) for c in found.y.T])

    def hull_distance(self) -> float:
        """The norm of `limit`: the margin of the best unit vector of the mode."""
        return float(np.linalg.norm(self.limit))

    @cached_property
    def limit(self) -> Array:
        """(m, d): the point nearest to 0 of the convex hull of the live features, the direction that the mode tends to.

        Over all subsets: the nearest point of the affine hull of each that lies inside the subset's convex hull.
        """
        H = self.features.reshape(self.y.size, -1)[self.live]
        size = float(np.linalg.norm(H, axis=1).max(initial=0.0))
        nearest, least = np.full(H.shape[1], np.inf), np.inf
        for count in range(1, len(H) + 1):
            for subset in combinations(range(len(H)), count):
                rows = H[list(subset)] / size
                first, steps = rows[0], (rows[1:] - rows[0]).T
                share = np.linalg.lstsq(steps, -first, rcond=1e-12)[0] if count > 1 else np.empty(0)
                weights = np.append(1.0 - share.sum(), share)
                point = first + steps @ share
                if weights.min() >= -1e-12 and np.linalg.norm(point) < least:
                    nearest, least = point, float(np.linalg.norm(point))
        return (nearest * size).reshape(self.W.shape)

    def off_the_cone(self, W: Array, grain: float) -> float:
        """The distance of W (m, d), over |W|, from the cone of the Clarke gradients of its least margins.

        A gradient has entries a_j y_i s x_i, s = 1 or slope by the sign of z_ji, both of them on a kink: the cone is
        spanned by those with s at the ends.  grain: the relative size up to which a z_ji counts as 0, and a margin as
        the least.
        """
        z = W @ self.X.T
        lengths = np.maximum(np.linalg.norm(W, axis=1), grain * np.linalg.norm(W))
        kinks = np.abs(z) <= grain * lengths[:, None] * np.linalg.norm(self.X, axis=1)
        p = self.y * (self.a @ np.maximum(z, self.slope * z))
        rays = []
        for i in np.flatnonzero(p <= p.min() + grain * np.abs(p).max()):
            ends = [
                (1.0, self.slope) if kinks[j, i] else (1.0 if z[j, i] > 0.0 else self.slope,) for j in range(len(z))
            ]
            for s in product(*ends):
                ray = (self.a * self.y[i] * s)[:, None] * self.X[i]
                rays.append(ray.ravel() / (np.linalg.norm(ray) or 1.0))
        return float(nnls(np.array(rays).T, W.ravel() / np.linalg.norm(W))[1])

    def first_departure(self, c: Array, log_g: Array) -> str:
        """What keeps the pattern from being that of the flow somewhere on this way, else empty.

        c, log_g (T, n), as `followed` gives them.  Preactivations must keep their side, and where a neuron slides there
        must be slopes in [slope, 1] with which its velocity stays on the kinks.
        """
        H = self.features
        z_0, terms = self.W @ self.X.T, np.outer(np.linalg.norm(self.W, axis=1), np.linalg.norm(self.X, axis=1))
        rounding = 2.0 * self.X.shape[1] * np.finfo(float).eps * terms  # of W as it is stored, and of the sums
        rates = np.einsum("kjd,id->kji", H, self.X)
        for mass, pulls in zip(c, log_g, strict=True):
            z = z_0 + np.einsum("k,kji->ji", mass, rates)
            size = np.abs(z_0).max() + np.einsum("k,kji->ji", mass, np.abs(rates))
            turned = np.argwhere(z * self.pattern < -1e-7 * size - rounding)
            if turned.size:
                j, i = turned[0]
                return f"neuron {j} sample {i}: z = {z[j, i]:.3g} of {size[j, i]:.3g}, side {self.pattern[j, i]}"
            for j in np.flatnonzero((self.pattern == 0).any(axis=1)):
                left = self.force_left(int(j), pulls)
                if left > 1e-6:
                    return f"neuron {j} leaves its kinks: force {left:.3g} is not held"
        return ""

    def force_left(self, j: int, log_g: Array) -> float:
        """How much of the force on neuron j towards its kinks no slopes in [slope, 1] can hold, as a share of all."""
        on = self.pattern[j] == 0
        slopes = np.where(self.pattern[j] > 0, 1.0, self.slope)
        felt = on | (slopes > 0.0)
        g = np.where(felt, np.exp(np.minimum(log_g - log_g[felt].max(), 0.0)), 0.0)
        pulls = (g * self.y * self.a[j])[:, None] * self.X
        rest = (pulls * slopes[:, None])[~on].sum(axis=0)
        normals = self.X[on] / np.linalg.norm(self.X[on], axis=1, keepdims=True)
        size = float(np.linalg.norm(pulls, axis=1).sum())
        if size == 0.0 or self.slope == 1.0:
            return 0.0
        held = lsq_linear(normals @ pulls[on].T / size, -(normals @ rest) / size, bounds=(self.slope, 1.0), tol=1e-14)
        return float(np.linalg.norm(held.fun))
