"""How long neurons on dependent kinks surely stay there, so that the compiled loop need not judge their hulls.

Such a neuron stays where it is while the hull of the velocities p_c of its cells contains 0 (`field.hull`).  With
weights lambda_c >= s > 0 of sum 1 and sum_c lambda_c p_c = 0, the hull contains the ball around 0 of radius s sigma,
sigma the least singular value of the centred velocities in their span: it contains 0 as long as no velocity moves
further.  Velocities are linear in q, so they move by at most |a_j| |C|_2 times what q moves in the 2-norm, and by
(e^R - 1) |a_j| sum_l |c_l| q_l while every q_l stays within a factor e^(+-R).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.optimize import linprog

from gflow.arrays import Array, Index, Sides
from gflow.field.affine import pushes
from gflow.field.guards import Push
from gflow.field.hull import SPANNED, velocities
from gflow.field.mode import DualMode
from gflow.flow.engine import Stretch
from gflow.problem.span import row_norms

# Part of the room that is granted, which leaves some for rounding.
GRANTED = 0.9
# Distances of unit normals from the span of others that are clear: what lies between is left to the other loop.
DEPENDENT, CLEAR = 1e-12, 3e-3


@dataclass(frozen=True, slots=True)
class Room:
    """How far q may move until a hull has to be judged: in the 2-norm, or relatively, as a logarithm."""

    path: float = np.inf
    relative: float = np.inf


@dataclass(frozen=True, slots=True)
class Hulls:
    """The neurons on dependent kinks of a stretch, with the cells around them; None where they are held by decision."""

    stretch: Stretch
    cells: dict[int, Sides | None]

    @classmethod
    def of(cls, stretch: Stretch) -> Hulls:
        """Those of the mode that the stretch has now."""
        mode = stretch.branch.mode
        assert isinstance(mode, DualMode)
        return cls(stretch, dict(mode.dependent))

    def room(self, q: Array) -> Room | None:
        """The room of all of them at q (n,); None where some hull does not clearly contain 0."""
        problem, rooms = self.stretch.branch.problem, [Room()]
        outer, sizes = np.abs(problem.network.outer), row_norms(problem.span.C)
        for j, cells in self.cells.items():
            if cells is None or outer[j] == 0.0:
                continue
            depth = GRANTED * depth_of(self._velocities(j, cells, q), self._normals(j))
            if not depth > 0.0:
                return None
            path = depth / (outer[j] * np.linalg.norm(problem.span.C, 2))
            rooms.append(Room(float(path), float(np.log1p(depth / (outer[j] * float(sizes @ q))))))
        return Room(min(room.path for room in rooms), min(room.relative for room in rooms))

    def _normals(self, j: int) -> Array:
        branch = self.stretch.branch
        return np.asarray(branch.problem.surfaces.normals[branch.mode.side[j] == 0])

    def _velocities(self, j: int, cells: Sides, q: Array) -> Array:
        branch = self.stretch.branch
        push = pushes(branch.problem, q, np.array([j]))[0]
        still, on = np.zeros_like(push), np.flatnonzero(branch.mode.side[j] == 0)
        return velocities(self.stretch.guards.kink(j, on, Push(push, still, still)), cells)


def depth_of(points: Array, normals: Array) -> float:
    """The radius of a ball around 0 in the span of `normals` (k, r) that the hull of `points` (c, r) contains; not
    positive where none was found.
    """
    rank = int((np.linalg.svd(normals, compute_uv=False) > SPANNED).sum())
    size, count = float(row_norms(points).max()), points.shape[0]
    if size == 0.0 or count <= rank:
        return 0.0
    scaled = points / size
    # lambda = s + mu with mu >= 0; s is as large as it can be.
    equations = np.vstack([np.column_stack([scaled.T, scaled.sum(axis=0)]), np.append(np.ones(count), count)])
    right, gain = np.append(np.zeros(points.shape[1]), 1.0), np.append(np.zeros(count), -1.0)
    found = linprog(gain, A_eq=equations, b_eq=right, bounds=(0.0, None), method="highs")
    if found.x is None:
        return 0.0
    weights = found.x[:-1] + found.x[-1]
    weights = weights / weights.sum()
    spread = float(np.linalg.svd(scaled - scaled.mean(axis=0), compute_uv=False)[rank - 1])
    return size * (float(weights.min()) * spread - float(np.linalg.norm(weights @ scaled)))


def basis_of(normals: Array) -> Index | None:
    """Some of these unit normals (k, r), as their numbers in order, that span all of them and are clearly independent;
    None where that is a matter of rounding.
    """
    _, R, order = qr(normals.T, mode="economic", pivoting=True)
    distances = np.abs(np.diag(R))
    if ((distances > DEPENDENT) & (distances < CLEAR)).any():
        return None
    return np.sort(order[: int((distances >= CLEAR).sum())])
