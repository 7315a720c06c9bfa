"""Unit normals that are dependent, nearly dependent or neither, and an exact look at the cells of their arrangement."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Array = NDArray[np.float64]

KINDS = ("small integers", "repeated", "hyperplane", "plane", "generic", "bundle")


def hostile(seed: int, most: int = 20, rank: int = 6) -> Array:
    """Unit normals (k, r), k <= most, r <= rank: a degenerate arrangement perturbed by 1e-16 to 1e-5, signs at will."""
    rng = np.random.default_rng(seed)
    k, r = int(rng.integers(1, most + 1)), int(rng.integers(1, rank + 1))
    match KINDS[seed % len(KINDS)]:
        case "small integers":
            rows = rng.integers(-1, 2, (k, r)).astype(float)
        case "repeated":
            rows = rng.standard_normal((max(1, k // 3), r))[rng.integers(max(1, k // 3), size=k)]
        case "hyperplane":
            rows = rng.integers(-2, 3, (k, max(1, r - 1))) @ rng.standard_normal((max(1, r - 1), r))
        case "plane":
            rows = rng.integers(-3, 4, (k, 2)) @ rng.standard_normal((2, r))
        case "generic":
            rows = rng.standard_normal((k, r))
        case _:
            rows = rng.standard_normal((1, r)) + 10.0 ** rng.uniform(-12, -4, (k, 1)) * rng.standard_normal((k, r))
    rows[np.linalg.norm(rows, axis=1) == 0.0] = rng.standard_normal(r)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows + 10.0 ** rng.uniform(-16.5, -5.5, (k, 1)) * rng.standard_normal((k, r))
    rows *= rng.choice([-1.0, 1.0], (k, 1))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def width(walls: Array) -> tuple[float, Array]:
    """The largest t with walls @ x >= t for some |x|_inf <= 1, and x, by a linear programme; walls (k, r)."""
    k, r = walls.shape
    found = linprog(
        np.append(np.zeros(r), -1.0),
        A_ub=np.hstack([-walls, np.ones((k, 1))]),
        b_ub=np.zeros(k),
        bounds=[(-1.0, 1.0)] * r + [(None, None)],
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return float(found.x[-1]), np.asarray(found.x[:-1])


def inside(walls: Array, x: Array) -> bool:
    """walls @ x > 0 in exact rational arithmetic."""
    return all(sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, x, strict=True)) > 0 for row in walls)
