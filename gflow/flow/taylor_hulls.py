"""How long neurons on dependent kinks surely stay there, so that the compiled loop need not judge their hulls.

Such a neuron stays where it is while the hull of the velocities v_c of its cells contains 0 (`field.held`).  With
weights lambda_c > 0 of sum 1 and sum_c lambda_c v_c = 0, the hull contains all sum_c (1 + z_c) lambda_c v_c with sum_c
lambda_c z_c = 0 and |z|_2 <= 1, hence a ball around 0, whose squared radius is the least eigenvalue of sum_c lambda_c^2
(v_c - v) (v_c - v)^T with v the mean by lambda_c^2.  The hull contains 0 as long as no velocity moves further.  The
weights are those of greatest product: 1 / (1 + x . v_c) over the number of cells, where x maximises the sum of all
log(1 + x . v_c) (Owen, Empirical Likelihood, ch. 3).

Velocities are linear in q.  They move by so much times the path of q in the 2-norm, and by e^R - 1 times the sum of the
sizes of their terms while every q_l stays within a factor e^(+-R).  Where that is less than one step, hulls are judged
at the nodes of the step, as by the steppers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from gflow.arrays import Array, Bools, Index
from gflow.field.held import Alike, alike
from gflow.field.mode import Mode
from gflow.problem.span import row_norms

# Part of the room that is granted, which leaves some for rounding.
GRANTED = 0.9
# Distances of unit normals from the span of others that are clear: what lies between is left to the other loop.
DEPENDENT, CLEAR = 1e-12, 3e-3
# Newton steps after which a hull does not contain 0 clearly; squares of their lengths that are rounding.
MOST_STEPS, CONVERGED = 60, 1e-20


@dataclass(frozen=True, slots=True)
class Room:
    """How far q may move until a hull has to be judged: in the 2-norm, or relatively, as a logarithm."""

    path: float = np.inf
    relative: float = np.inf


@dataclass(frozen=True, slots=True)
class Hulls:
    """The neurons on dependent kinks of a mode, but those that are held by decision, or never move; y (n,): labels."""

    groups: list[Alike]
    y: Array

    @classmethod
    def of(cls, mode: Mode, moves: Bools) -> Hulls:
        """Those of the mode as it is now; moves (m,): who does.  All velocities of a neuron have the factor a_j, which
        changes nothing.
        """
        return cls(alike(mode, moves, common=True), mode.problem.y)

    def room(self, q: Array) -> Room:
        """The room of all of them at q (n,), not positive where some hull does not clearly contain 0."""
        paths, logs = [np.inf], [np.inf]
        for group in self.groups:
            velocities = group.velocities
            depth = GRANTED * depth_of(velocities.at(self.y * q))
            sizes = velocities.slopes.max(axis=0) * row_norms(velocities.features)
            paths.append(depth / velocities.reach)
            logs.append(float(np.log1p(max(depth, 0.0) / (sizes @ q))))
        return Room(min(paths), min(logs))

    def gaps(self, q: Array) -> Array:
        """By how much each hull misses 0 at q (n,), relative to its largest velocity."""
        return np.array([group.gap(self.y * q) for group in self.groups])

    def hold(self, q: Array, missed: Array) -> bool:
        """Does every hull contain 0 at each of these q (k, n), but for twice what it missed at the start, as in
        `field.guards`?
        """
        return all((self.gaps(each) <= 2.0 * missed).all() for each in q)


def depth_of(points: Array) -> float:
    """The radius of a ball around 0 that the hull of `points` (c, k) contains; 0 where none was found."""
    size = float(row_norms(points).max())
    weights = None if size == 0.0 else central_weights(points / size)
    if weights is None:
        return 0.0
    scaled, squares = points / size, weights**2
    centred = scaled - squares @ scaled / squares.sum()
    radius = np.sqrt(max(np.linalg.eigvalsh((squares[:, None] * centred).T @ centred)[0], 0.0))
    return max(size * float(radius - np.linalg.norm(weights @ scaled)), 0.0)


def central_weights(points: Array) -> Array | None:
    """The weights (c,) > 0 of sum 1 of greatest product with weights @ points = 0 to rounding; points (c, k).

    None where no Newton step is found, or too many are needed: 0 is not clearly inside the hull.
    """
    x = np.zeros(points.shape[1])
    for _ in range(MOST_STEPS):
        weights = 1.0 / (1.0 + points @ x)
        scaled = weights[:, None] * points
        slope, bent = scaled.sum(axis=0), scaled.T @ scaled
        try:
            step = np.linalg.solve(bent, slope)
        except np.linalg.LinAlgError:
            return None
        squared = float(slope @ step)
        if not 0.0 <= squared < np.inf:
            return None
        if squared <= CONVERGED:
            return np.asarray(weights / weights.sum())
        # Shorter steps stay where all weights are positive, as the logarithm is self-concordant.
        x += step / (1.0 + np.sqrt(squared)) if squared > 1.0 / 16.0 else step
    return None


def basis_of(normals: Array) -> Index | None:
    """Some of these unit normals (k, r), as their numbers in order, that span all of them and are clearly independent;
    None where that is a matter of rounding.
    """
    _, R, order = qr(normals.T, mode="economic", pivoting=True)
    distances = np.abs(np.diag(R))
    if ((distances > DEPENDENT) & (distances < CLEAR)).any():
        return None
    return np.sort(order[: int((distances >= CLEAR).sum())])


def are_clear(mode: Mode) -> bool:
    """Have all neurons on dependent kinks a basis of these kinks that is one clearly?"""
    normals = mode.problem.surfaces.normals
    return all(basis_of(normals[mode.side[j] == 0]) is not None for j in mode.dependent)
