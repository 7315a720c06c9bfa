"""The dual variables that are possible limits where multipliers are not unique, and the one to which the flow tends.

With unique W* and kappa = 1 / |W*|^2, the admissible limits of q are the polytope
    Q = {q >= 0 : H^T q = kappa W*, q_i = 0 where the margin of W* is above 1} ,
whose elements sum to 1, as <W*, h_i> = 1 where q_i > 0.  Let S be the samples with q_i > 0 somewhere in Q.

*The limit of a flow.*  Within a mode the margins change by H H^T c (c the masses), so that z.p is constant for every z
on S with H^T z = 0, whatever the loss.  The divergence KL(q || pi), pi = softmax(-p), falls for every q in Q
(`certificate`); for one in the relative interior it keeps log pi bounded on S, and pi can accumulate in Q only.  As
z.1 = z.H W* = 0, z.log pi = -z.p is constant too.  So the limit is positive on S, lies in Q and in log pi + range(H_S):
these are the conditions of the unique
    q* = argmin over Q of KL(q || softmax(-p_S)) ,
the projection of Csiszar (1975) of any state on the way.  Samples with margin 1 outside S lose their mass, slowly.

*Errors.*  For e = softmax(-p_S + y), y in range(H_S), the projection of e is q* as well, and by Pythagoras
KL(q || q*) <= KL(q || e) for every q in Q: so |q - q*|_1 <= sqrt(2 KL(q || e)).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_array

from gflow.arrays import Array, Bools
from gflow.limit.hard_margin import HardMargin
from gflow.problem.span import row_norms

# Singular values of unit features below this count as ties.
TIED = 1e-9
# Members of Q are sought with coordinates of at least 1 / LARGEST_SCALE of the largest.
LARGEST_SCALE = 1e7
# Functions whose coefficients are at most 1 count as constant on Q where they vary by no more than this; so many others
# are minimised together.
CONSTANT, MOST_AT_ONCE = 1e-12, 64
# Steps of Newton's method, and the relative step whose square is below rounding.
MOST_NEWTON_STEPS, CONVERGED = 400, 1e-9


@dataclass(frozen=True)
class OptimalSet:
    """member (n,): some q of the relative interior of Q; H (n, k): the features; rank: that of the features on the
    support.
    """

    member: Array
    H: Array
    rank: int

    @classmethod
    def of(cls, hard: HardMargin, H: Array) -> OptimalSet | None:
        """The set around one solution, with features H (n, k); None where no interior point was found."""
        on = hard.binding
        size = row_norms(H)
        left, values, _ = np.linalg.svd(H[on] / size[on, None], full_matrices=False)
        rank = int((values > TIED).sum())
        mu = (hard.dual * size)[on]
        spread = mu if rank == mu.size else _interior(left[:, :rank], mu / mu.sum())
        if spread is None:
            return None
        member = np.zeros(on.size)
        member[on] = spread / size[on]
        member /= member.sum()
        support = member > 0.0
        kept = np.linalg.svd(H[support] / size[support, None], compute_uv=False)
        return cls(member, H, int((kept > TIED).sum()))

    @property
    def support(self) -> Bools:
        """The samples (n,) in S."""
        return self.member > 0.0

    @cached_property
    def _turned(self) -> tuple[Array, Array]:
        """Orthonormal bases of range(H_S) and of its complement in S."""
        H = self.H[self.support]
        inside = np.linalg.svd(H / row_norms(H)[:, None], full_matrices=False)[0][:, : self.rank]
        both = np.linalg.qr(row_norms(H)[:, None] * inside, mode="complete")[0]
        return both[:, : self.rank], both[:, self.rank :]

    @property
    def single(self) -> bool:
        """Whether the set is one point."""
        return self.rank == int(self.support.sum())

    def limit(self, p: Array) -> tuple[Array, Array] | None:
        """q* (n,) for margins p (n,), and log e (n,), -inf off the support; None where no projection was found."""
        S = self.support
        aim, ell = self.member[S], -p[S] - np.logaddexp.reduce(-p[S])
        inside, across = self._turned
        q = aim if self.single else _projected(aim, ell, across)
        if q is None:
            return None
        log_e = ell + inside @ _fitted(inside, np.sqrt(q), np.log(q) - ell)
        whole, logs = np.zeros(S.size), np.full(S.size, -np.inf)
        whole[S], logs[S] = q / q.sum(), log_e - np.logaddexp.reduce(log_e)
        return whole, logs

    def least(self, F: Array) -> Array:
        """The minima (k,) of F q over Q, F (k, n); -inf where none is found."""
        f = F[:, self.support]
        if self.single or not f.size:
            return np.asarray(f @ self.member[self.support])
        size = np.abs(f).max(axis=1)
        moving = size > 0.0
        found = np.zeros(size.size)
        found[moving] = size[moving] * self._least_of_units(f[moving] / size[moving, None])
        return found

    def _least_of_units(self, f: Array) -> Array:
        """As `least`, for f (k, |S|) whose largest coefficients are +-1.

        In f = y + z with y in range(H_S), y.q is the same for all q of Q.  Where z is 0, to rounding, no program is
        solved; the others are the parts of one, as long as there are not too many of them.
        """
        inside, aim = self._turned[0], self.member[self.support]
        z = f - (f @ inside) @ inside.T
        found, size = f @ aim, np.abs(z).max(axis=1)
        varying = np.flatnonzero(size > CONSTANT)
        for some in np.split(varying, range(MOST_AT_ONCE, varying.size, MOST_AT_ONCE)) if varying.size else ():
            least = _least_in_cone(z[some] / size[some, None], inside, aim)
            found[some] += size[some] * least - z[some] @ aim
        return found


def _least_in_cone(f: Array, inside: Array, aim: Array) -> Array:
    """The minima (k,) of f q, f (k, n), over {q >= 0 : inside^T (q - aim) = 0}; -inf where none is found."""
    k = f.shape[0]
    equal = block_diag([csr_array(inside.T)] * k, format="csr")
    solved = linprog(f.ravel(), A_eq=equal, b_eq=np.tile(inside.T @ aim, k), bounds=(0.0, None))
    if solved.status == 0:
        return np.asarray((f * solved.x.reshape(f.shape)).sum(axis=1))
    return np.full(1, -np.inf) if k == 1 else np.concatenate([_least_in_cone(each[None], inside, aim) for each in f])


def _interior(inside: Array, mu: Array) -> Array | None:
    """A point of the relative interior of {mu' >= 0 : inside^T (mu' - mu) = 0} in one linear program (Freund, Roundy
    and Todd 1985): max sum u, 0 <= u <= 1, u <= x, x in the cone of that set."""
    n = mu.size
    cost = np.concatenate([np.zeros(n), -np.ones(n), [0.0]])
    equal = np.hstack([inside.T, np.zeros((inside.shape[1], n)), -(inside.T @ mu)[:, None]])
    below = np.hstack([-np.eye(n), np.eye(n), np.zeros((n, 1))])
    bounds = [(0.0, None)] * n + [(0.0, 1.0)] * n + [(0.0, LARGEST_SCALE)]
    found = linprog(cost, below, np.zeros(n), equal, np.zeros(inside.shape[1]), bounds)
    if found.status != 0 or found.x[-1] <= 0.0:
        return None
    return np.asarray(np.where(found.x[n : 2 * n] > 0.5, found.x[:n] / found.x[-1], 0.0))


def _projected(q: Array, ell: Array, across: Array) -> Array | None:
    """argmin of KL(q || e^ell) over q + range(across), q > 0: Newton's method, which never leaves the positive ones."""
    for _ in range(MOST_NEWTON_STEPS):
        step = across @ _fitted(across, 1.0 / np.sqrt(q), q * (ell - np.log(q)))
        relative = step / q
        if not np.isfinite(relative).all():
            return None
        if np.abs(relative).max() <= CONVERGED:
            return np.asarray(q + step)
        q = q + step * min(1.0, 0.9 / max(float(-relative.min()), 1e-300))
    return None


def _fitted(basis: Array, weight: Array, values: Array) -> Array:
    """argmin |weight (values - basis y)|."""
    return np.asarray(np.linalg.lstsq(weight[:, None] * basis, weight * values)[0])
