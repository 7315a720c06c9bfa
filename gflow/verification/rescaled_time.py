"""Checks of tau: which samples it counts, where it stops, and the bounds that time and loss set on it between two rows.

d tau = (1/n) sum of g_i dt over the samples that the clock counts: those that some neuron that moves (trained with its
a_j, or a_j != 0) is active on, its slope not 0 and the pair not sliding; all of them where the network has an output
bias or no kinks to cross, or where none is left (`field.clock`).  A sample on which all such neurons slide moves them,
too, by a share of its + branch, but is not counted.  g_i = 1 - exp(-l_i) for the logistic and g_i = l_i for the
exponential loss; the first is concave, so the mean of g over all samples lies between (1 - exp(-n L)) / n and
1 - exp(-L), both of which fall with L.  From above this holds for tau always, from below as long as every sample is
counted.

There are two exceptions, in which tau does not grow with t.  At the start the clock may be so far ahead of the weights
that several rows share one tau: tau is only known up to what moves a margin by one rounding, and a difference of this
size is allowed until tau has passed it.  And where nothing but the clock moves, tau stands still.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array, Sides
from gflow.reference.dual import all_live, moving_pairs
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import RUN, STEPS, Check, Worst, bounded
from gflow.verification.event_log import AFTER, impossible
from gflow.verification.velocity import Field, Weights, weights_at
from gflow.verification.weight_velocity import velocity


def at_rest(recorded: RecordedRun, field: Field, side: Sides, weights: Weights) -> bool:
    """Is the flow at rest at one state, with sides (m, H)?

    It is where the velocity of every neuron is within its rounding error (`weight_velocity`), or where the motion that
    remains ends within the tolerance.  For the latter: along a direction in which margins move by s |V|, the flow loses
    V at the rate s^2, so the distance |V| / s remains, which is |V|^2 over the largest rate of a margin.  Where more
    than the first layer moves (two layers, several outputs), this is not used.
    """
    network = recorded.problem.network
    field.take(side)
    if not field.live.any():
        return True
    if network.trains_outer or network.outputs > 1 or network.smoothing is not None or network.directions is not None:
        return False
    seen = velocity(field, weights, recorded.weights(weights.parameters.U[0]))
    fastest = float(np.abs(seen.motion.at.rates).max())
    return seen.excess <= 1.0 or float(np.vdot(seen.W, seen.W)) <= STEPS * recorded.rtol * fastest


def log_passed(recorded: RecordedRun, units: float = 0.0) -> Array:
    """log(t_1 - t_0) (T - 1,) between rows, with v_1 - v_0 larger by `units` units in the last place of v_1.

    It is -inf where v does not grow: a flow at rest ends at its start, and at a loss of e^1000 the time between two
    rows is shorter than v resolves.
    """
    v = recorded.log1p_time
    with np.errstate(divide="ignore"):
        return np.asarray(v[1:] + np.log(-np.expm1(v[:-1] - v[1:] - units * np.spacing(v[1:]))))


def between_rows(recorded: RecordedRun, group: str) -> Check:
    """d tau against dt and L."""
    n, exponential = recorded.problem.samples, recorded.problem.loss.name == "exponential"
    passed, log_t, log_L = np.diff(recorded.tau), log_passed(recorded), recorded.log_loss
    longest = log_passed(recorded, 1.0)
    granted = 64.0 * EPS * recorded.tau[1:] + unresolved(recorded)
    upper = log_L[:-1] if exponential else _log_slope(log_L[:-1])
    lower = log_L[1:] if exponential else _log_slope(log_L[1:] + np.log(n)) - np.log(n)
    least = np.maximum(passed - granted, 0.0)
    above = np.where(least > 0.0, np.log(np.where(least > 0.0, least, 1.0)) - longest - upper, 0.0)
    below = log_t + lower - np.log(np.maximum(passed + granted, np.finfo(float).tiny))
    bound = RUN * recorded.rtol
    for row in np.flatnonzero(below > bound) + 1:
        if not _counted_throughout(recorded, int(row)) or _rests(recorded, int(row)):
            below[int(row) - 1] = 0.0
    worst = Worst()
    for later, value in enumerate(np.maximum(np.maximum(above, below), 0.0), 1):
        worst.see(float(value), later)
    sentence = f"largest log of d tau over what t and L allow between rows, 0 or less along the flow; {worst.place}"
    return bounded(group, "clock", worst.value, bound, sentence)


def _log_slope(log_L: Array) -> Array:
    """log(1 - exp(-L)) from log L, without underflow."""
    L = np.exp(np.minimum(log_L, 700.0))
    return np.asarray(np.where(log_L < -30.0, log_L - 0.5 * L, np.log(-np.expm1(-np.maximum(L, 1e-300)))))


def unresolved(recorded: RecordedRun) -> Array:
    """The tau (T - 1,) within which, at row 0, no term of any margin moves by more than its rounding at size 1; 0 for
    rows that begin after it.  Terms are measured, not margins, since the terms of a margin may cancel."""
    at, field = recorded.row(0), Field(recorded.problem)
    field.take(at.side(recorded.problem))
    fastest = float(velocity(field, weights_at(at), recorded.weights(at.U)).reach.max())
    most = EPS / fastest if fastest > 0.0 else 0.0
    return np.where(recorded.tau[:-1] <= most, most, 0.0)


def _counted_throughout(recorded: RecordedRun, row: int) -> bool:
    """Is every sample counted all the way from the row before?

    A pair that is active there stops to be so by an event only, so fewer events than it has such pairs leave a sample
    one; and where the events are known, so does each pair without any (a kink of slope > 0: without one onto it).
    """
    problem, counts = recorded.problem, recorded.event_counts
    if all_live(problem):
        return True
    pairs = moving_pairs(problem, recorded.trajectory.read("pattern", row - 1))
    if counts[row] - counts[row - 1] < pairs.sum(axis=0).min():
        return True
    if not recorded.trajectory.records_events or impossible(recorded, recorded.trajectory.events):
        return False
    events, part = recorded.trajectory.events, slice(int(counts[row - 1]), int(counts[row]))
    stops = (AFTER[events.kind[part]] == 0) | (problem.network.slope == 0.0)
    changed = np.zeros((problem.network.width, problem.surfaces.count), dtype=bool)
    changed[events.neuron[part][stops], problem.surfaces.of_sample[events.sample[part][stops]]] = True
    return bool((pairs & ~changed[:, problem.surfaces.of_sample]).any(axis=0).all())


def _rests(recorded: RecordedRun, row: int) -> bool:
    """Does nothing but the clock move at a row?"""
    at = recorded.row(row)
    side = at.side(recorded.problem)
    return at_rest(recorded, Field(recorded.problem), side, weights_at(at))
