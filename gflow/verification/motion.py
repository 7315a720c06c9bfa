"""The check of the motion of rows in the space of the weights: `weight_velocity` against the engine of the run, and
against the row before.

The engine answers two questions at a row: what the velocity of the weights is, and whether anything but the clock
moves.  Where the velocity is larger than its rounding error, the second answer must be yes, and the next row must not
have the same weights, unless the time between is too short to see a difference.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS
from gflow.field.branch import Branch
from gflow.flow.steps import engine_of
from gflow.problem.span import row_norms
from gflow.trajectory.recorded_run import RecordedRow, RecordedRun
from gflow.verification.check import RUN, STEPS, Check, Worst, bounded
from gflow.verification.rescaled_time import log_passed, unresolved
from gflow.verification.velocity import Field, weights_at
from gflow.verification.weight_velocity import Velocity, velocity, ways_left

GROUP, NAME = "identities", "motion"
MOST_ROWS = 10


def motion(recorded: RecordedRun) -> Check:
    """The check at the last row and at rows spread over the run: the largest gap, in units of the allowed one."""
    field, worst = Field(recorded.problem), Worst()
    engine = engine_of(recorded.problem, recorded.inner_initial, recorded.manner)
    last, resting, leap = recorded.trajectory.n_rows - 1, False, np.append(unresolved(recorded), 0.0)
    for row in np.unique(np.linspace(0, last, MOST_ROWS).round()).astype(int).tolist():
        at = recorded.row(row)
        state = at.state(recorded.problem, h=1.0)
        branch = engine.stretch(engine.resume(state)).branch
        field.take(state.side)
        seen = velocity(field, weights_at(at), recorded.weights(at.U))
        resting = branch.at_rest(branch.y0)
        stuck = _resting(recorded, at, seen, float(leap[row]))
        stuck = max(stuck, _unsettled(recorded, field, at, seen)) if resting else stuck
        worst.see(max(_apart(recorded, branch, seen), stuck), row)
    sentence = (
        "dW/dtau of a row, from W and X, against that of the engine, and where the engine or the next row is at rest "
    )
    sentence += f"against 0, in units of {STEPS:g} rtol or of the rounding of its terms"
    sentence += "; at the last row nothing but the clock moves" if resting else ""
    return bounded(GROUP, NAME, worst.value, 1.0, f"{sentence}; {worst.place}")


def _apart(recorded: RecordedRun, branch: Branch, seen: Velocity) -> float:
    """The velocity of each neuron against that of the engine; of all parameters, its size."""
    problem, bound = recorded.problem, STEPS * recorded.rtol
    squares = float(seen.motion.square[0]), branch.measure(branch.y0).speed ** 2
    open_ = bound * max(squares) + float((np.minimum(seen.doubt, seen.terms) * seen.terms).sum())
    found = abs(squares[0] - squares[1]) / (2.0 * open_) if open_ > 0.0 else 0.0
    if not problem.network.kinked or problem.network.directions is not None:
        return found
    everyone = np.arange(problem.network.width)
    rate = branch.mode.project(branch.mode.drift(branch.push(branch.y0, everyone), everyone), everyone)
    gaps, granted = row_norms(seen.W - rate @ problem.span.B), seen.doubt + bound * seen.norms
    return max(found, float(np.divide(gaps, granted, out=np.zeros_like(gaps), where=gaps > 0.0).max()))


def _unsettled(recorded: RecordedRun, field: Field, at: RecordedRow, seen: Velocity) -> float:
    """The largest |dw_j/dtau| over its doubt where the engine is at rest.

    A motion that ends before weights are further than two runs may differ is no reason to go on: its neurons do not
    count.
    """
    network = recorded.problem.network
    if network.trains_outer or network.outputs > 1:
        return seen.excess
    sizes = np.maximum(row_norms(recorded.weights(at.U)), recorded.outside_norms)
    open_ = (seen.norms > 0.0) & (ways_left(field, seen) > RUN * recorded.rtol * sizes)
    return float(np.divide(seen.norms, seen.doubt, out=np.zeros_like(seen.norms), where=open_).max())


def _resting(recorded: RecordedRun, at: RecordedRow, seen: Velocity, leap: float) -> float:
    """The largest |dw_j/dtau| over its doubt if the next row has the same weights, else 0.

    Only neurons count that would have moved, in the time between, by more than two runs may differ.  The tau of the
    leap at the start (`leap`), in which weights do not move, is subtracted from that time.
    """
    if at.row + 1 == recorded.trajectory.n_rows or not seen.excess > 1.0:
        return 0.0
    later, sizes = recorded.row(at.row + 1), np.maximum(row_norms(recorded.weights(at.U)), recorded.outside_norms)
    if (row_norms(later.U - at.U) > 2.0 * EPS * sizes).any() or not np.array_equal(later.outer, at.outer):
        return 0.0
    passed = seen.log_clock + float(log_passed(recorded)[at.row])  # log of tau
    with np.errstate(divide="ignore"):
        passed += np.log1p(-np.exp(min(np.log(leap) - passed, 0.0))) if leap > 0.0 else 0.0
        far = np.log(seen.norms) + passed > np.log(RUN * recorded.rtol * sizes)
    over = np.divide(seen.norms, seen.doubt, out=np.zeros_like(seen.norms), where=far)
    return float(over.max())
