"""A check of sizes whose products leave float64, though inputs, weights and outer layer each fit."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# Entries of the kernel are squares of the forces |a_j| |x_i|; their sums and reciprocals must fit float64.
SMALLEST_FORCE, LARGEST_FORCE = 1e-140, 1e140
LARGEST_MARGIN = 1e290


def check_products(problem: Problem, inner: Array) -> None:
    """Raise ScenarioError where max |a_j| max |x_i|, or the margins at these inner parameters, leave float64.

    inner: W (m, d), or b (m, 1) of the scalar network.  Nothing moves where the outer layer is 0, so that is allowed.
    """
    directions = problem.network.directions
    sample, outer = float(row_norms(problem.X).max()), float(np.abs(problem.network.outer).max())
    force = sample * outer
    if outer > 0.0 and not SMALLEST_FORCE <= force <= LARGEST_FORCE:
        raise ScenarioError(
            f"data and outer layer: the largest sample, {sample:.3g}, times the largest outer weight, {outer:.3g}, is "
            f"{force:.3g}; it must lie in [{SMALLEST_FORCE:g}, {LARGEST_FORCE:g}], where squares fit float64; rescale "
            "the data or the outer layer"
        )
    weight = float(row_norms(inner if directions is None else inner * directions).max())
    with np.errstate(over="ignore"):
        margin = np.float64(force) * weight * problem.network.width
    if margin > LARGEST_MARGIN:
        raise ScenarioError(
            f"start: a largest weight of {weight:.3g} makes margins of up to {margin:.3g}; they must stay below "
            f"{LARGEST_MARGIN:g} to fit float64; rescale the start, the data or the outer layer"
        )
