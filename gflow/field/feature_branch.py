"""The smooth field on one mode in a basis of its features: u' = L q(p_0 + H u), in k dimensions, with H L = K.

The flow is that of the dual branch.  It is used where masses cancel: the weights move by far less than the sum of what
each sample contributes, and masses and K lose just those digits.  The state of the integrator is (u, v).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Index
from gflow.field.affine import AffineBranch, floor_of, margin_floor, margin_rounding
from gflow.field.branch import Tolerances
from gflow.field.clarke import ROUNDING
from gflow.field.feature_basis import FeatureBasis
from gflow.ode.step import DenseStep


@dataclass(frozen=True, slots=True)
class FeatureBranch(AffineBranch):
    """The smooth field in coordinates u (k,) of the basis, with R = H.

    floor (k + 1,): from `feature_floor`; response (k, n): H^T; outside: |W| outside the span of the samples; allowed
    (m,): the error that each neuron is allowed.
    """

    outside: float
    features: FeatureBasis
    allowed: Array

    @property
    def response(self) -> Array:
        """H^T (k, n)."""
        return self.features.H.T

    def _lifted(self, q: Array) -> Array:
        return np.asarray(self.features.lift @ q)

    def _derivative(self, q: Array, weighted: Array) -> tuple[Array, Array]:
        H, lift = self.unit * self.features.H, self.features.lift
        drift = weighted @ H
        return (lift * weighted) @ H - np.outer(lift @ q, drift), drift

    def _rates(self, q: Array) -> tuple[Array, Array]:
        H, lift = self.features.H, self.features.lift
        return H @ (lift @ q), np.abs(H) @ (np.abs(lift) @ q)

    def _weight_floor(self, size: Array) -> Array:
        reach = self.unit * np.linalg.norm(self.features.basis, axis=1) @ size
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray((self.allowed[:, None] / reach).min(axis=0, initial=np.inf))

    def moved_at_most(self, step: DenseStep, states: Array) -> None:
        """None: to look at the weights at states (k, p) is as cheap as any bound."""
        return None

    def margin_rounding(self, y: Array) -> float:
        """The rounding of H u at y (k + 1,), coordinate by coordinate."""
        terms = np.abs(self.features.H) @ np.abs(self.unit * y[:-1])
        return EPS * float(terms.max())

    def at_rest(self, y: Array) -> bool:
        """Whether L q at y (k + 1,) is smaller than its rounding and the effect on q of the rounding of margins."""
        p = self.margins(y)
        q, _ = self._live_dual(p)
        known = ROUNDING + self.margin_rounding(y) + margin_rounding(p)
        return bool((np.abs(self.features.lift @ q) <= known * (np.abs(self.features.lift) @ q)).all())

    def cancels(self, y: Array, h: float) -> bool:
        """False for every y (k + 1,): this branch is used where masses cancel, as its coordinates do not."""
        return False

    def reach(self, h: float) -> Array:
        """The reach (m,) of `Branch`: the motion along each feature, as nothing else is added up."""
        moving = self.features.lift @ self._live_dual(self.p)[0]
        return np.asarray(h * np.linalg.norm(self.features.basis * moving, axis=(1, 2)))

    def _sizes(self, y: Array, p: Array, q: Array) -> tuple[float, float, Array]:
        """Computed from the weights and the features, without differences of squares."""
        velocity = self.features.lift @ q
        norm = float(np.hypot(self.outside, np.linalg.norm(self.weights(y))))
        return norm, float(np.linalg.norm(self.features.basis @ velocity)), self.features.H @ velocity

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U of j neurons at one or several states, (..., k + 1) -> (..., j, r)."""
        own = slice(None) if neurons is None else neurons
        moved = self.features.basis[own] @ y[..., None, :-1, None]
        return np.asarray(self.U[own] + self.unit * moved[..., 0])


def feature_floor(
    features: FeatureBasis, weight_norms: Array, p: Array, log_rate: float, unit: float, tolerances: Tolerances
) -> Array:
    """The error scale (k + 1,) of (u, v) in the units of the branch, coordinate by coordinate as in `error_floor`.

    weight_norms (m,), p (n,).
    """
    allowed = tolerances.atol + tolerances.rtol * weight_norms
    reach = unit * np.linalg.norm(features.basis, axis=1)  # (m, k)
    coupling = unit * np.abs(features.H).sum(axis=0)
    with np.errstate(divide="ignore", over="ignore"):
        weight = (allowed[:, None] / reach).min(axis=0, initial=np.inf)
        margin = margin_floor(p, tolerances.rtol) / coupling
    return floor_of(np.minimum(weight, margin), log_rate, unit, tolerances.rtol)
