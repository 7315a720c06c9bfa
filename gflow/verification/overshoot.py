"""The overshoot of an extreme: how far a quantity goes beyond its values at accepted steps."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.problem.problem import Problem
from gflow.trajectory.extremes import Extremes

# Samples on either side of an extreme whose curvature may be that between it and the next.
NEAR = 2


class SampledExtremes(Extremes):
    """The extremes, and all values that they were chosen from at accepted steps and events, with log(1 + t)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._met: dict[str, list[Array]] = {}  # blocks (k, 2) of v and value

    def _keep(self, name: str, values: Array, v: Array) -> Array:
        self._met.setdefault(name, []).append(np.stack([v, values], axis=1))
        return super()._keep(name, values, v)

    def at_a_row(self) -> None:
        """Drop what was met last: it is the flow at a row, which lies inside a step and is not the end of one."""
        self._settle()
        for met in self._met.values():
            met[-1] = met[-1][:-1]

    def met(self) -> dict[str, Array]:
        """(k, 2) by name: log(1 + t), and the value then."""
        self._settle()
        return {name: np.concatenate(met) for name, met in self._met.items()}


def overshoot(met: Array, v: float, longer: float = 1.0, length: float = 0.0) -> float:
    """How far a quantity may go beyond its values at steps so many times longer than those near v among the values met
    (k, 2), as `SampledExtremes.met` gives them, or of this length in v where that is more.

    Between the ends of a step h it is at most |f''| h^2 / 8 beyond the larger of its values there.  f'' is that of the
    parabola through three neighbours in one stretch (where stretches meet, the same time is met twice); the largest of
    those near v counts.
    """
    found = 0.0
    for stretch in np.split(met, np.flatnonzero(np.diff(met[:, 0]) <= 0.0) + 1):
        if len(stretch) > NEAR and stretch[0, 0] <= v <= stretch[-1, 0]:
            at = int(np.searchsorted(stretch[:, 0], v))
            found = max(found, _largest(stretch[max(at - NEAR, 0) : at + NEAR + 1], longer, length))
    return found


def _largest(near: Array, longer: float, length: float) -> float:
    """max |f''| h^2 / 8 over the three neighbours in a row of (k, 2), h the longer of the two steps, times `longer` and
    at least `length`; 0 for k < 3.
    """
    steps = np.diff(near[:, 0])
    slopes = np.diff(near[:, 1]) / steps
    curvature = 2.0 * np.diff(slopes) / (steps[1:] + steps[:-1])
    h = np.maximum(longer * np.maximum(steps[1:], steps[:-1]), length)
    return float(np.max(np.abs(curvature) * h**2, initial=0.0)) / 8.0
