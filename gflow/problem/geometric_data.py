"""Random data that are made to satisfy an assumption of a paper, or a rule: cones, the two cones of Telgarsky's
Proposition 2.6, XOR in many inputs, and the labels of a teacher.

Every function draws from the generator `rng` that it is given and from nothing else, so a seed fixes the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError
from gflow.problem.data import flipped
from gflow.problem.dataset import Dataset, check_entries, checked_dataset

Rng = np.random.Generator


def cone_axes(r: int, d: int) -> Array:
    """beta (r, d): unit vectors with products -1 / (r - 1), the corners of a regular simplex; 2 <= r <= d + 1."""
    helmert = np.zeros((r - 1, r))
    for j in range(1, r):
        helmert[j - 1, :j] = 1.0
        helmert[j - 1, j] = -j
    beta = np.zeros((r, d))
    beta[:, : r - 1] = (helmert / np.linalg.norm(helmert, axis=1, keepdims=True)).T
    return np.asarray(beta / np.linalg.norm(beta, axis=1, keepdims=True))


def largest_eps(r: int, margin: float) -> float:
    """The largest eps for which samples of one cone always have products of at most -eps with the axes of the others.

    It solves margin / (r - 1) - margin sqrt(eps / 2) sqrt(1 - 1 / (r - 1)^2) = eps.
    """
    half = 0.5 * margin * np.sqrt(0.5 * (1.0 - 1.0 / (r - 1) ** 2))
    return float((np.sqrt(half**2 + margin / (r - 1)) - half) ** 2)


def cones(n: int, d: int, r: int, margin: float, eps: float, rng: Rng) -> Dataset:
    """Samples in r cones around `cone_axes`, all equally likely, that satisfy Telgarsky's Assumption 3.1.

    x = c beta_k + s with c uniform in [margin, the largest with |x| <= 1] and s uniform in the ball of radius margin
    sqrt(eps / 2) orthogonal to beta_k; y = +1 for the first ceil(r / 2) cones; d >= 2.  Raises ScenarioError for an eps
    above `largest_eps`, and where no |x| <= 1 is that far in.
    """
    check_entries(n, d, "data.n x data.d")
    if eps > largest_eps(r, margin):
        raise ScenarioError(
            f"data.eps = {eps:g}: samples of {r} cones with margin {margin:g} may have larger products than -eps with "
            f"the axes of other cones; use at most {largest_eps(r, margin):.6g}"
        )
    if margin**2 * (1.0 + eps / 2.0) > 1.0:
        raise ScenarioError(
            f"data.margin = {margin:g}: samples of norm 1 at most reach it only below "
            f"1 / sqrt(1 + eps / 2) = {1.0 / np.sqrt(1.0 + eps / 2.0):.6g}; use a smaller one"
        )
    beta, k = cone_axes(r, d), rng.integers(r, size=n)
    axes, radius = beta[k], margin * np.sqrt(eps / 2.0)
    c = rng.uniform(margin, np.sqrt(1.0 - radius**2), size=n)
    s = rng.standard_normal((n, d))
    s -= np.sum(s * axes, axis=1, keepdims=True) * axes
    s *= (radius * rng.random(n) ** (1.0 / (d - 1)) / np.linalg.norm(s, axis=1))[:, None]
    y = np.where(k < (r + 1) // 2, 1.0, -1.0)
    return checked_dataset(c[:, None] * axes + s, y, "data (cones)")


def two_cones(n: int, angle: float, spread: float, alpha: float, rng: Rng) -> Dataset:
    """The data of Telgarsky's Proposition 2.6 in the plane, X (n, 2), all labels +1; n >= 3, angles in degrees.

    ceil((n - 1) / 2) samples at angles from 0 to `spread`, the first at 0, floor((n - 1) / 2) from angle - spread to
    `angle`, the first of them at `angle`, and last x' = alpha v_0 - sqrt(1 - alpha^2) v_1.  So v_1, at angle 0, is a
    support vector of the max-margin direction u, at angle / 2, of all but x', and v_0 is at 90 degrees.  Products
    between the cones are at most -1 / sqrt(2) where angle - 2 spread >= 135 degrees.
    """
    first, second = n // 2, (n - 1) // 2
    turned = np.concatenate([rng.uniform(0.0, spread, size=first), angle - rng.uniform(0.0, spread, size=second)])
    turned[0], turned[first] = 0.0, angle
    turned = np.radians(turned)
    last = [-np.sqrt(1.0 - alpha**2), alpha]
    X = np.vstack([np.column_stack([np.cos(turned), np.sin(turned)]), last])
    return checked_dataset(X, np.ones(n), "data (two_cones)")


def xor(n: int, d: int, norm: float, std: float, label_noise: float, rng: Rng) -> Dataset:
    """x = z + N(0, std^2 I_d), z uniform on +-mu_1, +-mu_2 with mu_k = norm e_k; y = sign(|<mu_1, x>| - |<mu_2, x>|)
    (Frei et al., Section 5), after which labels are flipped as in `gaussian_mixture`; d >= 2.

    In a tie, which has no probability, y is -1.
    """
    check_entries(n, d, "data.n x data.d")
    which, sign = rng.integers(2, size=n), np.where(rng.integers(2, size=n) == 1, norm, -norm)
    X = std * rng.standard_normal((n, d))
    X[np.arange(n), which] += sign
    y = np.where(np.abs(X[:, 0]) > np.abs(X[:, 1]), 1.0, -1.0)
    return checked_dataset(X, flipped(y, label_noise, rng), "data (xor)")


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """The network sum_j a_j max(<w_j, x>, 0), W (m, d) and a (m,), whose sign labels samples."""

    W: Array
    a: Array

    @classmethod
    def drawn(cls, width: int, d: int, rng: Rng) -> Teacher:
        """Rows uniform on the sphere, a_j = +-1 / sqrt(m), ceil(m / 2) of them positive."""
        check_entries(width, d, "data.width x data.d")
        W = rng.standard_normal((width, d))
        a = np.where(np.arange(width) < (width + 1) // 2, 1.0, -1.0) / np.sqrt(width)
        return cls(W / np.linalg.norm(W, axis=1, keepdims=True), a)

    def labels(self, X: Array) -> Array:
        """y (n,) of X (n, d): +1 where the output is above 0, else -1."""
        return np.where(np.maximum(X @ self.W.T, 0.0) @ self.a > 0.0, 1.0, -1.0)


def taught(n: int, teacher: Teacher, std: float, label_noise: float, rng: Rng) -> Dataset:
    """x ~ N(0, std^2 I_d) with the labels of a teacher, after which labels are flipped as in `gaussian_mixture`."""
    d = teacher.W.shape[1]
    check_entries(n, d, "data.n x data.d")
    X = std * rng.standard_normal((n, d))
    return checked_dataset(X, flipped(teacher.labels(X), label_noise, rng), "data (teacher)")
