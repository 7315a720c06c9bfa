"""Kinks with dependent normals, by brute force: cells by random directions, the hull by one linear program."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Array = NDArray[np.float64]
Patterns = NDArray[np.int64]


def dependent(normals: Array) -> bool:
    """Are the unit normals (k, d) linearly dependent?"""
    return bool(np.linalg.matrix_rank(normals, tol=1e-9) < normals.shape[0])


def seen_cells(normals: Array) -> Patterns:
    """Sign patterns (c, k) of normals @ x over 20,000 seeded directions x: all but cells thinner than that."""
    directions = np.random.default_rng(0).normal(size=(20_000, normals.shape[1]))
    return np.unique(np.sign(directions @ normals.T).astype(np.int64), axis=0)


def room_in_hull(points: Array) -> float:
    """Largest s with 0 = sum_c l_c points_c, sum l = 1, all l_c >= s: positive inside the hull, negative outside.

    points (c, d).  -1 when 0 is not even an affine combination.
    """
    count, d = points.shape
    size = max(float(np.abs(points).max()), np.finfo(float).tiny)
    equations = np.vstack([np.hstack([points.T / size, np.zeros((d, 1))]), np.append(np.ones(count), 0.0)])
    found = linprog(
        np.append(np.zeros(count), -1.0),
        A_ub=np.hstack([-np.eye(count), np.ones((count, 1))]),
        b_ub=np.zeros(count),
        A_eq=equations,
        b_eq=np.append(np.zeros(d), 1.0),
        bounds=[(None, None)] * count + [(None, 1.0)],
    )
    return float(found.x[-1]) if found.status == 0 else -1.0
