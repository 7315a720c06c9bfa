"""The dual masses behind the weights of a fixed outer layer: their cone, and their sum, which is the clock.

w_j(t) - w_j(0) = sum_i a_j y_i b_ji x_i with b_ji = (1/n) int phi'_ji g_i dt (Kou et al., Lemma 5.2), so b_ji never
falls, rises by the same dc_i for all neurons that keep sample i on the + side, and sum_i dc_i = d tau.  As phi' lies in
[slope, 1], slope b_ji <= b_li for any two neurons (claims: |rho_ji| / |rho_li| in [slope, 1 / slope]).  All of it is
measured in units of what an error of rtol |w_j| leaves in b_ji.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Bools, Sides
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import Check, Worst, bounded, not_applicable
from gflow.verification.event_log import impossible

GROUP = "invariants"

UNITS = 10.0


def dual_masses(recorded: RecordedRun) -> list[Check]:
    """Checks of cone, sum and ratio of the masses, where the samples are independent and the outer layer is fixed."""
    why = without_masses(recorded.problem)
    if why:
        return [not_applicable(GROUP, name, why) for name in ("cone", "masses", "ratio")]
    return _measured(recorded)


def without_masses(problem: Problem) -> str:
    """Why the masses cannot be read off the weights of this network; empty where they can."""
    network = problem.network
    if network.trains_outer or network.outputs > 1 or network.smoothing is not None or network.directions is not None:
        return "masses need a fixed outer layer, one output and an activation of two slopes"
    if problem.span.rank < problem.samples:
        return f"the samples are dependent (rank {problem.span.rank} of {problem.samples}): masses are not unique"
    return "" if network.outer.any() else "every neuron has a_j = 0: nothing moves"


def _measured(recorded: RecordedRun) -> list[Check]:
    """One pass over the rows."""
    masses, unknown = Masses(recorded), _unknown_changes(recorded)
    changes = None if unknown else _Changes(recorded)
    cone, sums, ratio = Worst(), Worst(), Worst()
    rows = zip(recorded.values("inner"), recorded.values("pattern"), strict=True)
    before: Array | None = None
    side: Sides | None = None
    for row, (U, pattern) in enumerate(rows):
        b, unit = masses.of(U)
        apart = recorded.problem.network.slope * b.max(axis=0) - b.min(axis=0)  # phi' in [slope, 1]
        ratio.see(float((apart / unit.max(axis=0)).max()), row)
        if before is not None and side is not None:
            moved = b - before
            cone.see(float((-moved / unit).max()), row)
            if changes is not None:
                kept = (pattern > 0) & (side > 0) & ~changes.between(row)
                passed = float(recorded.tau[row] - recorded.tau[row - 1])
                sums.see(_gap(moved, unit, kept[masses.moving], passed), row)
        before, side = b, pattern
    in_units = "in units of the error that rtol |w_j| leaves"
    sentence = f"slope max_j b_ji - min_j b_ji, 0 or less along the flow, {in_units}; {ratio.place}"
    found = [
        bounded(GROUP, "cone", max(cone.value, 0.0), UNITS, f"fall of a mass b_ji, {in_units}; {cone.place}"),
        bounded(GROUP, "ratio", max(ratio.value, 0.0), UNITS, sentence),
    ]
    if unknown:
        return [*found, not_applicable(GROUP, "masses", unknown)]
    sentence = f"masses of one sample in several neurons, and their sum against tau, {in_units}; {sums.place}"
    return [*found, bounded(GROUP, "masses", sums.value, UNITS, sentence)]


def _unknown_changes(recorded: RecordedRun) -> str:
    """Why it is not known which pairs switched between two rows; empty where it is."""
    if not recorded.trajectory.records_events:
        return "this run does not keep its events (record.events)"
    return "the log has entries that cannot be" if impossible(recorded, recorded.trajectory.events) else ""


def _gap(moved: Array, unit: Array, kept: Bools, passed: float) -> float:
    """Worst gap between the dc_i that pairs kept on the + side show; and of sum_i dc_i to d tau if all are known."""
    known = kept.any(axis=0)
    least = np.where(kept, unit, np.inf).min(axis=0)
    # Relative to the least unit of a sample: the squares of units below 1e-154 are no float64.
    weights = np.where(kept, (np.where(known, least, 0.0) / unit) ** 2, 0.0)
    dc = (weights * moved).sum(axis=0) / np.where(known, weights.sum(axis=0), 1.0)
    apart = float((np.abs(np.where(kept, moved - dc, 0.0)) / unit).max())
    if not known.all():
        return apart
    return float(np.maximum(apart, abs(float(dc.sum()) - passed) / float(least.sum())))


class Masses:
    """The linear map from weights to masses b_ji (neurons with a_j != 0)."""

    def __init__(self, recorded: RecordedRun) -> None:
        problem = recorded.problem
        C, a = problem.span.C, problem.network.outer
        norms = row_norms(C)
        self.moving = a != 0.0
        self._lift = np.linalg.pinv(C / norms[:, None]) / norms
        self._start, self._outside = recorded.trajectory.read("inner", 0)[self.moving], recorded.outside_norms
        self._factor = a[self.moving, None] * problem.y
        self._lengths = np.linalg.norm(self._lift, axis=0) / np.abs(a[self.moving, None])
        self._rtol = recorded.rtol

    def of(self, U: Array) -> tuple[Array, Array]:
        """b (k, n) since row 0 and its units at U (m, r)."""
        moving = U[self.moving]
        sizes = np.hypot(self._outside[self.moving], row_norms(moving))[:, None]
        tiny = float(np.finfo(float).tiny)
        largest = max(float(sizes.max()), float(row_norms(self._start).max()), tiny)
        sizes = np.maximum(sizes, 1e-3 * largest)  # a neuron near 0 has the rounding of what it was
        units = np.maximum(self._rtol * sizes * self._lengths, tiny)
        return (moving - self._start) @ self._lift / self._factor, units


class _Changes:
    """Which pairs (neuron, sample) have an event between two rows."""

    def __init__(self, recorded: RecordedRun) -> None:
        self._events, self._counts = recorded.trajectory.events, recorded.event_counts
        self._surfaces, self._width = recorded.problem.surfaces, recorded.problem.network.width

    def between(self, row: int) -> Bools:
        """(m, n): pairs with an event between the row before and this one."""
        part = slice(int(self._counts[row - 1]), int(self._counts[row]))
        changed = np.zeros((self._width, self._surfaces.count), dtype=bool)
        changed[self._events.neuron[part], self._surfaces.of_sample[self._events.sample[part]]] = True
        return np.asarray(changed[:, self._surfaces.of_sample])
