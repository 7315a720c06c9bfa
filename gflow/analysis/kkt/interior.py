"""An interior point method for the convex problem behind the KKT conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.kkt.problem import Gradients, Multipliers, Pulls, folded
from gflow.arrays import Array

MOST_STEPS, GAP = 80, 1e-20
# Added to the diagonal in Newton steps: dependent gradients must not make it singular.
REGULAR = 1e-14


@dataclass(frozen=True, slots=True)
class _Slacks:
    """A number for each of what must stay >= 0: lam (N,), nu (E,), and lam - nu (E,) where a kink is."""

    lam: Array
    nu: Array
    gap: Array


def interior_point(gradients: Gradients, price: Array) -> Multipliers:
    """Mehrotra's predictor-corrector method from inside; price (N,) is a linear cost of lam.

    Where the Newton system is singular in float64, the last point before that is returned; the caller has to judge how
    good it is.
    """
    margin, sizes = gradients.margin, np.cumsum([gradients.size.size, gradients.margin.size])
    at = Multipliers(np.ones(gradients.size.size), np.full(margin.size, 0.5))
    s = np.concatenate([at.lam, at.nu, at.nu])
    w = 1.0 / s
    for _ in range(MOST_STEPS):
        gap = float(s @ w) / s.size
        pull = gradients.pulls(gradients.residual(at))
        pull = Pulls(pull.on_base - price, pull.on_kinks)
        try:
            ds, dw = _direction(_Newton(gradients, _Slacks(*np.split(w / s, sizes))), pull, s, w)
        except np.linalg.LinAlgError:
            break
        length = 0.995 * min(_longest(s, ds), _longest(w, dw))
        s, w = s + length * ds, w + length * dw
        at = Multipliers(*np.split(s, sizes)[:2])
        if gap < GAP:
            break
    return at


def _direction(newton: _Newton, pull: Pulls, s: Array, w: Array) -> tuple[Array, Array]:
    """Predictor and corrector: the changes of the slacks s and of their multipliers w."""
    gap = float(s @ w) / s.size
    ds = newton.step(pull, np.zeros(s.size))
    dw = -w - w * ds / s
    ahead = float((s + _longest(s, ds) * ds) @ (w + _longest(w, dw) * dw)) / s.size
    target = gap * min((ahead / gap) ** 3, 1.0) - ds * dw
    ds = newton.step(pull, target / s)
    return ds, (target - w * ds) / s - w


def _longest(s: Array, ds: Array) -> float:
    """The longest step in (0, 1] that keeps s + step ds >= 0."""
    falling = ds < 0.0
    return float(min(1.0, np.min(-s[falling] / ds[falling], initial=np.inf)))


class _Newton:
    """The Newton system of one interior point, factored through its neurons.

    Of nu and lam - nu the smaller is the unknown, so that large stiffnesses do not cancel.
    """

    def __init__(self, gradients: Gradients, stiffness: _Slacks) -> None:
        self._of = gradients
        self._high = stiffness.gap > stiffness.nu
        self._sign = np.where(self._high, -1.0, 1.0)
        other = np.minimum(stiffness.gap, stiffness.nu)
        row, slot, n = gradients.row, gradients.slot, gradients.size.size
        kernel, self._mixed = folded(gradients, self._high)
        signs, diagonal = np.ones((2, *gradients.blocks.shape[:2]))  # 1 in empty slots
        signs[row, slot] = self._sign
        diagonal[row, slot] = stiffness.nu + stiffness.gap + REGULAR
        self._mixed *= signs[:, :, None]
        self._mixed[row, slot, gradients.margin] -= other
        blocks = signs[:, :, None] * gradients.blocks * signs[:, None, :]
        self._inverse = np.linalg.inv(blocks + diagonal[:, :, None] * np.eye(diagonal.shape[1]))
        self._solved = self._inverse @ self._mixed
        kernel = kernel + np.diag(stiffness.lam + gradients.gathered(other) + REGULAR)
        self._kernel = kernel - self._mixed.reshape(-1, n).T @ self._solved.reshape(-1, n)

    def step(self, pull: Pulls, force: Array) -> Array:
        """The change (N + 2 E,) of the slacks under the pulls and the forces of the bounds on them."""
        of, n = self._of, self._of.size.size
        f = _Slacks(force[:n], *np.split(force[n:], 2))
        right = np.zeros(of.blocks.shape[:2])
        right[of.row, of.slot] = self._sign * (pull.on_kinks + f.nu - f.gap)
        inner = (self._inverse @ right[..., None])[..., 0]
        folded = of.gathered(np.where(self._high, pull.on_kinks + f.nu, f.gap))
        lam = np.linalg.solve(self._kernel, pull.on_base + f.lam + folded - np.tensordot(inner, self._mixed, 2))
        own = (inner - self._solved @ lam)[of.row, of.slot]
        rest = lam[of.margin] - own
        return np.concatenate([lam, np.where(self._high, rest, own), np.where(self._high, own, rest)])
