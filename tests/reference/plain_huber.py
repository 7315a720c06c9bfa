"""The flow of Huberized ReLU networks between jumps of phi'', each of which is located; plain scipy, no gflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853
from scipy.optimize import brentq

from tests.reference.plain_network import Activation, PlainNetwork, Weights

Array = NDArray[np.float64]
Pieces = NDArray[np.int_]

# A pair this little beyond the end of its piece is still counted in it.  The gradient is continuous there, so that a
# delay of D in a jump of phi'' costs D^2 / h only.
SLACK = 1e-9
PLACES = np.linspace(0.0, 1.0, 17)[1:]


def on_pieces(h: float, piece: Pieces) -> Activation:
    """phi and phi' with each pair on a given piece, 0, z^2 / (2h) or z - h/2, wherever z is: smooth functions."""
    return lambda z: (
        np.choose(piece, [0.0 * z, z * z / (2.0 * h), z - 0.5 * h]),
        np.choose(piece, [0.0 * z, z / h, np.ones_like(z)]),
    )


class PiecewiseFlow:
    """dw/dt = -grad L of a Huberized network, by DOP853 on one piece after the other.

    Every stretch is an analytic field, on which the error estimate means what it says.
    """

    def __init__(self, X: Array, y: Array, h: float, trains_outer: bool, rtol: float = 1e-13) -> None:
        self.X, self.y, self.h, self.trains_outer, self.rtol = X, y, h, trains_outer, rtol
        self.jumps = 0

    def at(self, W: Array, a: Array, end: float) -> Array:
        """(W, a), (m, d + 1), at t = end."""
        t, flat = 0.0, np.column_stack([W, a]).ravel()
        z = W @ self.X.T
        piece = np.where(z < 0.0, 0, np.where(z > self.h, 2, 1))
        while t < end:
            t, flat = self._stretch(t, flat, piece, W.shape, end)
            left = self._room(flat, piece, W.shape)
            piece = piece + np.where(left[0] < 0.0, -1, 0) + np.where(left[1] < 0.0, 1, 0)
            self.jumps += t < end
        return flat.reshape(W.shape[0], -1)

    def _stretch(self, t: float, flat: Array, piece: Pieces, shape: tuple[int, int], end: float) -> tuple[float, Array]:
        """To the end, or to where a pair is beyond its piece by `SLACK`."""
        solver = self._solver(t, flat, piece, shape, end)
        while solver.status == "running":
            before = solver.y.copy()
            solver.step()
            first = self._first_beyond(solver, piece, shape)
            if first is not None:
                again = self._solver(solver.t_old, before, piece, shape, first)
                while again.status == "running":
                    again.step()
                return first, np.asarray(again.y)
        return end, np.asarray(solver.y)

    def _first_beyond(self, solver: DOP853, piece: Pieces, shape: tuple[int, int]) -> float | None:
        """When in the last step a pair is beyond its piece by `SLACK` first; None if none is."""
        dense = solver.dense_output()

        def lowest(s: float) -> float:
            return float(min(room.min() for room in self._room(dense(s), piece, shape))) + SLACK

        beyond = [s for s in solver.t_old + PLACES * (solver.t - solver.t_old) if lowest(s) < 0.0]
        return float(brentq(lowest, solver.t_old, beyond[0], xtol=1e-14)) if beyond else None

    def _solver(self, t: float, flat: Array, piece: Pieces, shape: tuple[int, int], end: float) -> DOP853:
        plain = PlainNetwork(self.X, self.y, on_pieces(self.h, piece), self.trains_outer)

        def rate(_: float, now: Array) -> Array:
            both = now.reshape(shape[0], -1)
            g = plain.gradient(Weights(both[:, :-1], both[:, -1]))
            return np.column_stack([-g.W, -g.a if self.trains_outer else 0.0 * g.a]).ravel()

        return DOP853(rate, t, flat, end, rtol=self.rtol, atol=self.rtol)

    def _room(self, flat: Array, piece: Pieces, shape: tuple[int, int]) -> tuple[Array, Array]:
        """How far each pair is from the lower and from the upper end of its piece."""
        z = flat.reshape(shape[0], -1)[:, :-1] @ self.X.T
        lower, upper = np.choose(piece, [-np.inf, 0.0, self.h]), np.choose(piece, [0.0, self.h, np.inf])
        return z - lower, upper - z
