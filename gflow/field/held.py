"""Neurons on dependent kinks: the velocities of the cells around them, and by how much the hulls of these miss 0.

The velocity of a cell is linear in the push (`field.branch`).  With one output the pushes of two neurons differ by a
factor alone, which scales their hulls: those with the same sides are judged together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Bools, Index, Sides
from gflow.field.hull import least_norm_in_hull, span_basis
from gflow.field.mode import Mode
from gflow.problem.span import row_norms


@dataclass(frozen=True, slots=True)
class CellVelocities:
    """The velocities of c cells in the span of the normals, which has k dimensions, with an orthonormal basis.

    slopes (c, n): phi' of each sample on each cell; features (n, k): the samples in that basis; reach: the most that a
    velocity can move while the push moves by 1 in the 2-norm.
    """

    slopes: Array
    features: Array
    reach: float

    @classmethod
    def around(cls, mode: Mode, j: int, cells: Sides) -> CellVelocities:
        """Those of the cells (c, kinks) around neuron j."""
        problem, on = mode.problem, mode.side[j] == 0
        side = np.repeat(mode.side[j][None], len(cells), axis=0)
        side[:, on] = cells
        slopes = np.where(problem.sample_sides(side) > 0, 1.0, problem.network.slope)
        features = problem.span.C @ span_basis(problem.surfaces.normals[on]).T
        squares = features.T @ ((slopes**2)[..., None] * features)
        return cls(slopes, features, float(np.sqrt(np.linalg.eigvalsh(squares).max(initial=0.0))))

    def at(self, push: Array) -> Array:
        """The velocities (..., c, k) with pushes (..., n)."""
        return np.asarray((self.slopes * push[..., None, :]) @ self.features)


@dataclass(frozen=True, slots=True)
class Alike:
    """Neurons (k,) whose hulls are those of the first of them, up to a factor."""

    neurons: Index
    velocities: CellVelocities

    def gap(self, push: Array) -> float:
        """The distance from 0 of the hull of the velocities with a push (n,), relative to the largest of them."""
        points = self.velocities.at(push)
        least = least_norm_in_hull(points)
        return float(np.linalg.norm(least) / row_norms(points).max()) if least.any() else 0.0


def alike(mode: Mode, moves: Bools, common: bool) -> list[Alike]:
    """The neurons on dependent kinks that are not held by decision, and that move (m,); common: their pushes differ by
    a factor alone.
    """
    groups: dict[tuple[bytes, int], list[int]] = {}
    # In the order of neurons: that of the turns is another one in a run that was resumed.
    for j, cells in sorted(mode.dependent.items(), key=lambda kept: kept[0]):
        if cells is not None and moves[j]:
            groups.setdefault((mode.side[j].tobytes(), -1 if common else j), []).append(j)
    return [_alike(mode, neurons) for neurons in groups.values()]


def _alike(mode: Mode, neurons: list[int]) -> Alike:
    cells = mode.dependent[neurons[0]]
    assert cells is not None, "those held by decision have no hull"
    return Alike(np.array(neurons), CellVelocities.around(mode, neurons[0], cells))
